# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What preflight says of inventories, which are read as Ansible reads them.

Lookups are found only where Ansible's loader was there before anything of the collection was imported: for inventories with some, this is run as a program.
"""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace


def judged(sources: list[str]) -> dict:
    """What it says of the sources, as one inventory."""
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader
    from ansible.template import Templar
    from ansible.vars.hostvars import HostVars
    from ansible.vars.manager import VariableManager

    from ansible_collections.cephstack.cloud.plugins.action import preflight

    loader = DataLoader()
    inventory = InventoryManager(loader, sources=sources)
    hostvars = HostVars(inventory, VariableManager(loader, inventory), loader)
    task = SimpleNamespace(args={}, async_val=0, check_mode=False, diff=False)
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="none"))
    action = preflight.ActionModule(task, connection, None, loader, Templar(loader, variables={}), None)
    return action.run(None, {"groups": inventory.get_groups_dict(), "hostvars": hostvars})


def judge(inventories: list[list[str]]) -> list[dict]:
    """The same of several, in a process of its own."""
    done = subprocess.run([sys.executable, __file__], input=json.dumps(inventories), stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    from ansible.plugins.loader import init_plugin_loader

    init_plugin_loader()
    found = [judged(sources) for sources in json.load(sys.stdin)]
    print(json.dumps([{key: [str(text) for text in one[key]] for key in ("problems", "warnings", "unchecked")} for one in found]))


if __name__ == "__main__":
    main()
