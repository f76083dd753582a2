# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time of the same work on a host, and one thread of it at a step.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import threading
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Module, Provider, Unreachable, run_module


@contextlib.contextmanager
def alone(work: str, seconds: float = 1800.0, folder: str = "/run/lock") -> t.Iterator[None]:
    """Do something on this host while nobody else does the same.

    A module goes on where only its playbook was ended. The next run waits for it, then sees what it has made.
    Raises Unreachable where the other does not end within seconds.
    """
    path = os.path.join(folder, f"cephstack-{work}")
    with open(path, "a+", encoding="ascii") as lock:

        def taken() -> bool:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        def holder() -> Unreachable:
            lock.seek(0)
            pid = lock.read().strip() or "?"
            return Unreachable(f"process {pid} on {socket.gethostname()} has been at the same work for {seconds:.0f} s: let it end, or end it")

        wait_until(taken, seconds, holder)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def reconcile_alone(work: str, module: Module, provider: Provider, allow_loss: t.Collection[str] = ()) -> None:
    """Do run_module() while no other run is at the same work on this host."""
    try:
        with contextlib.nullcontext() if module.check_mode else alone(work):
            run_module(module, provider, allow_loss=allow_loss)
    except Unreachable as error:
        module.fail_json(msg=str(error))


def turn() -> t.ContextManager[t.Any]:
    """What the threads of a module take one after the other: for a step of changes that are otherwise applied side by side."""
    return threading.Lock()
