# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What OpenStack offers, against a real controller: Keystone, Glance, Nova, Neutron and Cinder on Ceph.

CEPHSTACK_OPENSTACK         the inventory whose group openstack_controllers has the controller, reached by ssh; the first of it is asked. Without it all is
                            left out.
CEPHSTACK_OPENSTACK_PREFIX  what the names of all that is made begin with, "test-" by default, so that several can test on one controller.

How a test uses it:

    def test_a_flavor(run, by_hand, name):
        run(flavors=[{"name": name("small"), "vcpus": 1, "ram": 64}])   # makes it so; raises Failed (with .result)
        by_hand("cloud.compute.delete_flavor(...)")                     # drift, by the plain SDK
        assert ids(run(check=True, flavors=[...])) == {"flavor/..."}

What begins with the prefix is deleted before the first test and after the last one.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import typing as t

import pytest

INVENTORY = os.environ.get("CEPHSTACK_OPENSTACK", "")
PREFIX = os.environ.get("CEPHSTACK_OPENSTACK_PREFIX", "test-")
ROOT = pathlib.Path(__file__).resolve().parents[2]
# Seconds for a play with one task; the module takes some of them.
LIMIT = 300

# The plain SDK, as an operator would write it.
SDK = "import openstack\ncloud = openstack.connect(cloud='cephstack')\nPREFIX = %r\n"
CLEAN = """
own = lambda things: [thing for thing in things if (thing.name or "").startswith(PREFIX)]
projects = {cloud.current_project_id: None, **{project.id: None for project in own(cloud.identity.projects())}}
for user in own(cloud.identity.users()):
    for pair in cloud.compute.keypairs(user_id=user.id):
        cloud.compute.delete_keypair(pair.name, user_id=user.id)
    cloud.identity.delete_user(user)
for pair in own(cloud.compute.keypairs()):
    cloud.compute.delete_keypair(pair)
for image in own(cloud.image.images()):
    cloud.image.delete_image(image)
for flavor in own(cloud.compute.flavors(is_public="None")):
    cloud.compute.delete_flavor(flavor)
for kind in own(cloud.block_storage.types(is_public="None")):
    cloud.block_storage.delete_type(kind)
for spec in cloud.block_storage.get("/qos-specs").json()["qos_specs"]:
    if spec["name"].startswith(PREFIX):
        cloud.block_storage.delete("/qos-specs/" + spec["id"])
for network in own(cloud.network.networks()):
    cloud.network.delete_network(network)
for group in own(cloud.network.security_groups()):
    cloud.network.delete_security_group(group)
for service in own(cloud.identity.services()):
    cloud.identity.delete_service(service)
for role in own(cloud.identity.roles()):
    cloud.identity.delete_role(role)
for project in own(cloud.identity.projects()):
    for group in cloud.network.security_groups(project_id=project.id):
        cloud.network.delete_security_group(group)
    cloud.identity.delete_project(project)
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not INVENTORY:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="CEPHSTACK_OPENSTACK names no inventory with a controller"))


class Failed(AssertionError):
    """The module failed; its whole result is in result."""

    def __init__(self, result: dict[str, t.Any]) -> None:
        self.result = result
        super().__init__(result["msg"])


def ids(result: t.Mapping[str, t.Any]) -> set[str]:
    """The ids of a result's changes."""
    return {f"{change['kind']}/{change['name']}" for change in result["changes"]}


def differences(result: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """{id: (before, after)} of a result."""
    return {entry["before_header"]: (entry["before"], entry["after"]) for entry in result["diff"]}


def play(folder: pathlib.Path, task: dict[str, t.Any], check: bool = False) -> dict[str, t.Any]:
    """The result of a task on the controller. It is given by file, as it may have passwords."""
    file = folder / "play.json"
    tasks = [{**task, "register": "result", "ignore_errors": True}, {"ansible.builtin.debug": {"var": "result"}}]
    file.write_text(json.dumps([{"hosts": "openstack_controllers[0]", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    command = [str(pathlib.Path(sys.executable).parent / "ansible-playbook"), "-i", INVENTORY, *["--check"] * check, str(file)]
    environment = {**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_DIFF_ALWAYS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False)
    told = re.search(r'^ok: \[[^]]+\] => (\{\n    "result": .*?^\})$', done.stdout, re.MULTILINE | re.DOTALL)
    assert told, done.stdout + done.stderr
    return dict(json.loads(told[1])["result"])


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("openstack")


@pytest.fixture(scope="session")
def run(folder: pathlib.Path) -> t.Callable[..., dict[str, t.Any]]:
    """run(check=False, **options): the module, on the controller. Returns its result."""

    def do(check: bool = False, **options: t.Any) -> dict[str, t.Any]:
        result = play(folder, {"cephstack.cloud.openstack_catalogue": options}, check)
        if result.get("failed"):
            raise Failed(result)
        return result

    return do


@pytest.fixture(scope="session")
def ssh(folder: pathlib.Path) -> t.Callable[[str, str], str]:
    """ssh(command, text): a command on the controller with a text to read; what it prints. Ansible says once how the host is reached."""
    names = ("host", "user", "ssh_private_key_file", "ssh_common_args")
    host, user, key, more = play(folder, {"ansible.builtin.debug": {"msg": [f"{{{{ ansible_{name} | default('') }}}}" for name in names]}})["msg"]
    argv = ["ssh", *(["-i", key] if key else []), *shlex.split(more), "-o", "ControlMaster=auto", "-o", "ControlPersist=60s", "-o", f"ControlPath={folder}/ssh"]
    argv.append(f"{user or 'root'}@{host}")

    def do(command: str, text: str = "") -> str:
        # A pipe would be held open by ssh's persistent master.
        with (folder / "errors").open("w+") as errors, (folder / "said").open("w+") as said:
            done = subprocess.run([*argv, command], input=text, stdout=said, stderr=errors, text=True, timeout=LIMIT, check=False)
            assert done.returncode == 0, (folder / "errors").read_text()
        return (folder / "said").read_text().strip()

    return do


@pytest.fixture(scope="session")
def by_hand(ssh: t.Callable[[str, str], str]) -> t.Callable[[str], str]:
    """by_hand(code): Python on the controller, with the plain SDK's connection in `cloud`; what it prints."""
    return lambda code: ssh("/usr/bin/python3 -", SDK % PREFIX + code)


@pytest.fixture(scope="session")
def shell(ssh: t.Callable[[str, str], str]) -> t.Callable[[str], str]:
    """shell(commands): a shell on the controller, as its administrator; what it prints."""
    return lambda commands: ssh("bash -s", f"set -e; export OS_CLOUD=cephstack\n{commands}")


@pytest.fixture(scope="session")
def name() -> t.Callable[[str], str]:
    """name(text): a name with the prefix of all that is made."""
    return lambda text: PREFIX + text


@pytest.fixture(scope="session", autouse=True)
def clean(by_hand: t.Callable[[str], str]) -> t.Iterator[None]:
    by_hand(CLEAN)
    yield
    by_hand(CLEAN)
