# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole site of two pools and nothing else. Nothing answers by ssh, which repositories on NFS do not need."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import typing as t

import pytest

from ansible_collections.cephstack.cloud.tests.unit.xen.xapi_server import Pool, Server

ROOT = pathlib.Path(__file__).resolve().parents[3]
HOSTS = {"east": ["xcp1", "xcp2"], "west": ["xcp3", "xcp4"]}
Site = t.Callable[..., tuple[int, str]]


@pytest.fixture
def pools() -> dict[str, Pool]:
    return {name: Pool(hosts) for name, hosts in HOSTS.items()}


@pytest.fixture
def site(pools: dict[str, Pool], serve: t.Callable[..., Server], certificate: tuple[str, str], tmp_path: pathlib.Path) -> Site:
    children = {}
    for name, pool in pools.items():
        pool.exports.add(("10.0.0.11", f"/{name}"))
        repositories = [{"name": f"shared-{name}", "type": "nfs", "server": "10.0.0.11", "path": f"/{name}"}]
        said = {"group": name, "master": serve(pool).address, "password": "right", "ca_path": certificate[0], "repositories": repositories}
        # The stand-in gives the hosts of any pool these addresses.
        hosts = {host: {"ansible_host": f"10.0.0.{number}"} for number, host in enumerate(HOSTS[name], 21)}
        children[name] = {"hosts": hosts, "vars": {"xen_pool": said}}
    (tmp_path / "hosts.yml").write_text(json.dumps({"all": {"children": {"xen_pool_hosts": {"children": children}}}}))

    def run(*arguments: str) -> tuple[int, str]:
        command = [str(pathlib.Path(sys.executable).parent / "ansible-playbook"), "-i", str(tmp_path / "hosts.yml"), *arguments]
        own = {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local")}
        playbook = [str(ROOT / "playbooks" / "site.yml"), "-e", f"ansible_playbook_python={sys.executable}"]
        done = subprocess.run([*command, *playbook], capture_output=True, text=True, env={**os.environ, **own}, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def names(pools: dict[str, Pool]) -> list[str]:
    return [row["name_label"] for pool in pools.values() for row in pool.tables["SR"].values()]


def changed(text: str) -> int:
    return sum(map(int, re.findall(r" changed=(\d+) ", text)))


def test_every_pool_gets_its_repositories_once(site: Site, pools: dict[str, Pool]) -> None:
    for arguments, made, changes in ((["--check", "--diff"], [], 2), ([], ["shared-east", "shared-west"], 2), ([], ["shared-east", "shared-west"], 0)):
        code, text = site(*arguments)
        assert code == 0, text
        assert (names(pools), changed(text)) == (made, changes), text
