# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role's variables come to on a host, by Ansible's own templating and the collection's filters.

Ansible loads filters of a collection only where its loader was there before anything of the collection was imported. So this is run
as a program, which answers until the tests end.
"""

from __future__ import annotations

import functools
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def question(expression, role, hostvars, groups, here, **more):
    """What is the expression on the host here, within a role? hostvars: of every host. more: other variables.
    With the distribution among its facts, the role's tables for it count too."""
    hostvars = {name: {"inventory_hostname": name, **variables} for name, variables in hostvars.items()}
    plain = {"hostvars": hostvars, "groups": groups, "ansible_facts": {}, "ansible_play_hosts": list(hostvars), "ansible_check_mode": False}
    return {"expression": expression, "role": role, "variables": {**plain, **hostvars[here], **more}}


@functools.cache
def program():
    return subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def answers(questions):
    """Return the answers to the questions; an error is its text, as {"error": text}."""
    asked = program()
    print(json.dumps(questions), file=asked.stdin, flush=True)
    return json.loads(asked.stdout.readline())


def main():
    import yaml
    from ansible.errors import AnsibleError
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import init_plugin_loader
    from ansible.template import Templar, trust_as_template

    def trusted(value):
        if isinstance(value, dict):
            return {key: trusted(item) for key, item in value.items()}
        if isinstance(value, list):
            return [trusted(item) for item in value]
        return trust_as_template(value) if isinstance(value, str) else value

    @functools.cache
    def read(path):
        return trusted(yaml.safe_load(path.read_text()) or {}) if path.exists() else {}

    def tables(role, variables):
        """What the role's tasks load for the distribution that the facts name."""
        found = {}
        for path in sorted((ROOT / "roles" / role / "tasks").glob("*.yml")):
            for task in read(path):
                if "ansible.builtin.include_vars" in task:
                    own = {**variables, **task.get("vars", {}), "role_path": str(ROOT / "roles" / role)}
                    file = Templar(DataLoader(), variables=own).template(task["ansible.builtin.include_vars"]["file"])
                    found.update(read(ROOT / "roles" / role / "vars" / file))
        return found

    def answer(asked):
        variables = {"role_path": str(ROOT / "roles" / asked["role"])}
        roles = ("ceph_common", asked["role"])
        for role in roles:
            for folder in ("defaults", "vars"):
                variables.update(read(ROOT / "roles" / role / folder / "main.yml"))
        variables.update(asked["variables"])
        try:
            if "distribution" in variables["ansible_facts"]:
                for role in roles:
                    variables.update(tables(role, variables))
            return Templar(DataLoader(), variables=variables).template(trusted("{{ " + asked["expression"] + " }}"))
        except AnsibleError as error:
            return {"error": str(error)}

    init_plugin_loader()
    for questions in sys.stdin:
        print(json.dumps([answer(asked) for asked in json.loads(questions)]), flush=True)


if __name__ == "__main__":
    main()
