# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of an inventory before anything is touched, by inventories that are read as Ansible reads them."""

from __future__ import annotations

import pathlib
import shutil

import pytest
import yaml

from ansible_collections.cephstack.cloud.tests.unit.action.judging import judge, judged

ROOT = pathlib.Path(__file__).resolve().parents[3]
SECRETS = yaml.safe_load((ROOT / "tests" / "example_secrets.yml").read_text(encoding="utf-8"))
MINIMAL = """
cloudstack_management: {hosts: {cloud1: {ansible_host: 192.0.2.31}, cloud2: {ansible_host: 192.0.2.32}}}
kvm_hosts: {hosts: {kvm1: {ansible_host: 192.0.2.21}}}
"""


def problems(folder: pathlib.Path) -> list[str]:
    return said(folder)["problems"]


def said(folder: pathlib.Path) -> dict:
    return judged([f"{folder}/"])


@pytest.fixture
def example(tmp_path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(shutil.copytree(ROOT / "inventories" / "example", tmp_path / "mine"))


# As each is used: more hosts besides those of a scenario, and so on.
BESIDES = {"inventory_scaled_out", "inventory_named"}
INVENTORIES = [
    [ROOT / "inventories" / "lab"],
    [path for path in (ROOT / "inventories" / name for name in ("lab", "cloudstack", "xen")) if path.exists()],
    *([path] for path in sorted(ROOT.glob("molecule/*/inventory"))),
    *([path.with_name("inventory"), path] for name in sorted(BESIDES) for path in sorted(ROOT.glob(f"molecule/*/{name}"))),
]


def test_nothing_is_wrong_with_the_inventories_of_ours() -> None:
    """Whose hosts have no facts here: what they would say is no mistake."""
    for sources, told in zip(INVENTORIES, judge([[str(path) for path in sources] for sources in INVENTORIES])):
        assert (told["problems"], told["unchecked"]) == ([], []), sources


def minimal(folder: pathlib.Path, cloudstack: str, ceph: str = "ceph: {public_network: 192.0.2.0/24}") -> list[str]:
    (folder / "hosts.yml").write_text(MINIMAL, encoding="utf-8")
    (folder / "group_vars").mkdir(exist_ok=True)
    (folder / "group_vars" / "all.yml").write_text(f"{ceph}\n{cloudstack}", encoding="utf-8")
    return problems(folder)


def test_the_example_inventory_has_no_passwords_of_its_own(example: pathlib.Path) -> None:
    found = problems(example)
    assert len(found) == len(SECRETS) == 4
    for secret in SECRETS:
        (problem,) = (line for line in found if secret in line)
        assert "cloud1: cloudstack." in problem and f"{secret} is not set" in problem and str(example / "group_vars/all/vault.yml") in problem


def test_the_example_inventory_is_sound_once_they_are_given(example: pathlib.Path) -> None:
    (example / "group_vars" / "all" / "vault.yml").write_text(yaml.safe_dump(SECRETS), encoding="utf-8")
    assert problems(example) == []


def test_without_cloudstack_no_secret_of_its_is_asked_for(example: pathlib.Path) -> None:
    hosts = yaml.safe_load((example / "hosts.yml").read_text(encoding="utf-8"))
    del hosts["cloudstack_management"]
    (example / "hosts.yml").write_text(yaml.safe_dump(hosts), encoding="utf-8")
    assert problems(example) == []


def test_all_servers_of_a_secret_that_is_missing_are_named(tmp_path: pathlib.Path) -> None:
    found = minimal(tmp_path, "cloudstack: {database: {password: '{{ vault_x }}'}, admin_password: '', management_key: a}")
    assert len(found) == 3
    assert "cloud1, cloud2: cloudstack.database.password: 'vault_x' is undefined" in found
    for name in ("admin_password", "database_key"):
        assert f"cloud1, cloud2: cloudstack.{name} is not set: keep it in a vault" in found


def test_secrets_may_come_from_other_hosts_and_variables(tmp_path: pathlib.Path) -> None:
    whole = (
        "there: {database: {password: '{{ hostvars.cloud2.ansible_host }}'}, admin_password: '{{ groups.kvm_hosts | first }}'}\n"
        "cloudstack: \"{{ there | combine({'management_key': 1, 'database_key': 'b'}) }}\"\n"
    )
    assert minimal(tmp_path, whole) == []


REGION = """
kvm_host_bridges: [{name: cloudbr1, interface: ens1f0np0}]
cloudstack_region:
  zones:
    - name: "{{ hostvars.cloud1.ansible_host }}"
      dns1: 192.0.2.1
      physical_networks:
        - {name: p1, vlan: 1996-2000, traffic: [{type: guest, kvm_label: cloudbr1}, {type: management}, {type: public}]}
      pods:
        - {name: pod1, start: 192.0.2.50, end: 192.0.2.60, gateway: 192.0.2.1, netmask: 255.255.255.0,
           clusters: [{name: c1, hosts: [{address: "{{ hostvars.kvm1.ansible_host }}"}]}]}
"""
CONSUMER = "consumers: [{name: cloud, kind: cloudstack, hosts: [kvm_hosts], pools: [{name: vms}]}]"
CLOUDSTACK = "cloudstack: {database: {password: a}, admin_password: b, management_key: c, database_key: d}"


def test_a_region_may_be_made_of_other_hosts_variables(tmp_path: pathlib.Path) -> None:
    """Which hostvars, asked for one's own, can't template."""
    assert minimal(tmp_path, CLOUDSTACK + REGION + CONSUMER) == []
    (warning,) = said(tmp_path)["warnings"]
    assert warning.startswith("kvm1: the bridge cloudbr1 holds ens1f0np0")


def test_what_a_region_is_made_of_may_not_be_known_yet(tmp_path: pathlib.Path) -> None:
    """It is told where it matters, and no matter of hosts that are not CloudStack's."""
    unknown = CLOUDSTACK + REGION.replace("hostvars.cloud1.ansible_host", "nothing.of_it")
    assert minimal(tmp_path, unknown + CONSUMER) == []
    (warning,) = said(tmp_path)["warnings"]
    assert warning.rpartition(": whether")[0] == "kvm1: cloudstack_region: 'nothing' is undefined"
    assert minimal(tmp_path, unknown) == []
    assert said(tmp_path)["warnings"] == []


def test_a_consumer_of_hosts_that_are_not_there_is_told(tmp_path: pathlib.Path) -> None:
    declared = "consumers: [{name: cloud, kind: cloudstack, hosts: [kvm_hots, kvm1], pools: [{name: vms}]}]"
    (found,) = minimal(tmp_path, f"{CLOUDSTACK}\n{declared}")
    assert found == "consumers[0] (cloud): hosts: 'kvm_hots' is neither a group nor a host of the inventory: write the name of one"


def test_consumers_of_one_host_alone_are_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "host_vars").mkdir()
    (tmp_path / "host_vars" / "kvm1.yml").write_text("consumers: [{name: cloud, kind: cloudstack, pools: [{name: vms}]}]", encoding="utf-8")
    (found,) = minimal(tmp_path, f"{CLOUDSTACK}\n{CONSUMER}")
    assert found.startswith("kvm1: consumers is another one than that of all hosts: declare it once for all hosts (group_vars/all)")


def test_a_host_that_no_consumer_names_is_warned_of(tmp_path: pathlib.Path) -> None:
    assert minimal(tmp_path, f"{CLOUDSTACK}\n{CONSUMER.replace(' hosts: [kvm_hosts],', '')}") == []
    (warning,) = said(tmp_path)["warnings"]
    assert warning.startswith("kvm1: use no consumer, and those of kind cloudstack (cloud) name no hosts: where they are to use one, write hosts: [kvm_hosts]")


def test_a_store_whose_gateway_is_not_there_is_told(tmp_path: pathlib.Path) -> None:
    region = "cloudstack_region: {image_stores: [{name: nfs, zone: z, gateway: nfs_gatewys, path: /secondary}]}"
    (found,) = minimal(tmp_path, f"{CLOUDSTACK}\n{region}")
    assert found.startswith("cloud1: cloudstack_region.image_stores[0] (nfs): gateway: 'nfs_gatewys' is neither a group nor a host of the inventory")


def test_a_repository_that_apt_would_stumble_over_is_refused(tmp_path: pathlib.Path) -> None:
    secrets = "database: {password: a}, admin_password: b, management_key: c, database_key: d"
    flat = "repository: {url: https://mirror.example.org, suite: /, components: [main]}"
    (said,) = minimal(tmp_path, f"cloudstack: {{{secrets}, packages: {{{flat}}}}}")
    assert said.startswith("cloud1, cloud2: cloudstack.packages.repository.components is main, but")
    assert minimal(tmp_path, f"cloudstack: {{{secrets}, packages: {{source: folder, {flat}}}}}") == []
    reef = "repository: {url: https://mirror.example.org, key: k, suite: reef, components: []}"
    cluster = f"ceph: {{public_network: 192.0.2.0/24, packages: {{source: repository, {reef}}}}}"
    (said,) = minimal(tmp_path, f"cloudstack: {{{secrets}}}", cluster)
    assert said.startswith("ceph.packages.repository.components is empty, but ceph.packages.repository.suite reef does not end with a slash")
