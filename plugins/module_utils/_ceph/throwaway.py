# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that only prove something, and are gone afterwards.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import functools
import time
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import binding
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import retry_while

rbd = binding("rbd")


@contextlib.contextmanager
def throwaway_images(io_context: t.Any, *names: str) -> t.Iterator[None]:
    """Images that may be made within, a clone before its parent: none is there at the beginning, and none is left, whatever happens."""
    remove_images(io_context, *names)
    try:
        yield
    finally:
        remove_images(io_context, *names)


def remove_images(io_context: t.Any, *names: str) -> None:
    """Remove images with their snapshots, however far their making had come. One that a killed process held is in use for half a minute."""
    end = time.monotonic() + 40
    for name in names:
        with contextlib.suppress(rbd.ImageNotFound), rbd.Image(io_context, name) as image:
            for snapshot in list(image.list_snaps()):
                if image.is_protected_snap(snapshot["name"]):
                    image.unprotect_snap(snapshot["name"])
                image.remove_snap(snapshot["name"])
        with contextlib.suppress(rbd.ImageNotFound):
            retry_while(lambda error: isinstance(error, rbd.ImageBusy), functools.partial(rbd.RBD().remove, io_context, name), end - time.monotonic(), 0.2)
