# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bcrypt that imports nothing until it is asked for something.

Ceph's manager before release 20 runs each of its modules in a Python subinterpreter. mgr_util imports bcrypt at its top, and a
bcrypt that is built with PyO3 refuses to be loaded in a subinterpreter, so that no module at all would load. bcrypt is
needed only to hash the passwords of the dashboard.

It is imported before the manager defines the class of which every module is one, and so this is also where that gets what 18.2
leaves out: for each module without NOTIFY_TYPES Python 3.13 keeps an error that nobody has cleared, which makes the next import fail.
The module's part for standby managers is then not found, and the manager makes a crash report of it at each start.
"""

import importlib
import os
import sys

try:
    import ceph_module
except ImportError:  # this is no manager
    ceph_module = None

if ceph_module is not None and not hasattr(ceph_module.BaseMgrModule, "NOTIFY_TYPES"):

    class BaseMgrModule(ceph_module.BaseMgrModule):
        """What modules are told of, unless they say more: nothing."""

        NOTIFY_TYPES = []

    ceph_module.BaseMgrModule = BaseMgrModule

_HERE = os.path.dirname(os.path.abspath(__file__))


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    path, shim = list(sys.path), sys.modules.pop("bcrypt", None)
    sys.path[:] = [entry for entry in path if os.path.abspath(entry or ".") != _HERE]
    try:
        return getattr(importlib.import_module("bcrypt"), name)
    finally:
        sys.path[:] = path
        if shim is not None:
            sys.modules["bcrypt"] = shim
