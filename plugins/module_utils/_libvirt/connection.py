# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection to a host's libvirt for a whole module call.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import string

try:
    import libvirt
except ImportError:
    libvirt = None

URI_OPTION: dict[str, t.Any] = string("Which libvirt to speak to.", default="qemu:///system")


class Host:
    """An open connection to libvirt. Use as a context manager; ``api`` is the virConnect itself, ``lib`` the module."""

    def __init__(self, uri: str) -> None:
        self.uri, self.lib = uri, libvirt
        self.api: t.Any = None

    def __enter__(self) -> Host:
        # libvirt prints every error on stderr by itself; each is raised as well.
        libvirt.registerErrorHandler(lambda *unused: None, None)
        try:
            self.api = libvirt.open(self.uri)
        except libvirt.libvirtError as error:
            raise Unreachable(f"cannot connect to libvirt at {self.uri}: {error}") from error
        return self

    def __exit__(self, *unused: object) -> None:
        self.api.close()
        self.api = None
