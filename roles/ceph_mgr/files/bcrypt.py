# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ceph's manager imports before anything of its own, for two faults that are not ours to mend: as bcrypt.py before release 20, in bcrypt's place;
from then on, when nothing of it imports that any more, as sitecustomize.py.

Before release 20 the manager runs each of its modules in a Python subinterpreter. A bcrypt that is built with PyO3 refuses to be loaded in
one, so that no module at all would load. It is needed only to hash the passwords of the dashboard. So where the real one can be loaded it is
what everybody gets, and else it is not asked for until somebody wants something of it.

From release 17 to 20 the manager does not clear the error that a module without NOTIFY_TYPES leaves. With Python 3.13 and later it makes the
next import fail: the module's part for standby managers is not found, and at each start there is a crash report of nearly every module. The
class of which all modules are is not yet made when this is imported, so here it gets what it lacks.
"""

import importlib
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))

try:
    import ceph_module
except ImportError:  # this is no manager
    ceph_module = None

if ceph_module is not None and not hasattr(ceph_module.BaseMgrModule, "NOTIFY_TYPES"):

    class BaseMgrModule(ceph_module.BaseMgrModule):
        """What modules are told of, unless they say more: nothing."""

        NOTIFY_TYPES = []

    ceph_module.BaseMgrModule = BaseMgrModule


def _real():
    """Import the distribution's own, and leave that in sys.modules. Raises ImportError, and then this one stays there."""
    path, shim = list(sys.path), sys.modules.pop("bcrypt", None)
    sys.path[:] = [entry for entry in path if os.path.abspath(entry or ".") != _HERE]
    try:
        return importlib.import_module("bcrypt")
    except ImportError:
        if shim is not None:
            sys.modules["bcrypt"] = shim
        raise
    finally:
        sys.path[:] = path


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(_real(), name)


try:
    _real()
except ImportError:
    pass  # it is refused here, or not installed
