# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Ceph names a host, where its daemons' files are there, and whose they are.

PRIVATE to the collection.
"""

from __future__ import annotations

import grp
import pwd
import socket

# Where Debian, Ubuntu and the EL family put them all.
DATA = "/var/lib/ceph"
RUN = "/run/ceph"
CLUSTER = "ceph"


def short_hostname() -> str:
    """The host's name without its domain, as Ceph itself names a host."""
    return socket.gethostname().split(".")[0]


def owner() -> tuple[int, int]:
    """The uid and gid of Ceph's daemons on this host; root's where the packages are not there yet."""
    try:
        return pwd.getpwnam("ceph").pw_uid, grp.getgrnam("ceph").gr_gid
    except KeyError:
        return 0, 0
