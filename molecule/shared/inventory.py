#!/usr/bin/env python3
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenario's inventory for testinfra, with plain values for how the hosts are reached.

testinfra calls ssh itself, which is many times faster than going through Ansible for each command, but it resolves no
templates. The values are those of lab.yml beside this file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys


def main() -> None:
    cache = os.environ.get("CEPHSTACK_LAB_CACHE") or os.path.expanduser("~/.cache/cephstack-lab")
    lab = "m-" + os.environ["MOLECULE_SCENARIO_NAME"].replace("_", "-")
    source = os.path.join(os.environ["MOLECULE_SCENARIO_DIRECTORY"], "inventory")
    inventory = json.loads(subprocess.run(["ansible-inventory", "-i", source, "--list"], capture_output=True, check=True, text=True).stdout)
    for variables in inventory["_meta"]["hostvars"].values():
        variables["ansible_ssh_private_key_file"] = f"{cache}/ssh/id_ed25519"
        known = f"-o UserKnownHostsFile={cache}/labs/{lab}/known_hosts -o GlobalKnownHostsFile=/dev/null -o IdentitiesOnly=yes"
        variables["ansible_ssh_common_args"] = f"{known} -o ConnectTimeout=60 -o ServerAliveInterval=30 -o ServerAliveCountMax=10"
    json.dump(inventory, sys.stdout)


if __name__ == "__main__":
    main()
