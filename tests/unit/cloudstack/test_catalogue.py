# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks, templates and users: planned from lists as a server gave them."""

from __future__ import annotations

import hashlib
import pathlib
import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import networks, templates, users
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Secret

OFFERING = {"id": "o1", "name": "DefaultL2NetworkOffering", "guestiptype": "L2", "state": "Enabled", "specifyvlan": False}
VLAN_OFFERING = {**OFFERING, "id": "o2", "name": "DefaultL2NetworkOfferingVlan", "specifyvlan": True}
SHARED = {**OFFERING, "id": "o3", "name": "DefaultSharedNetworkOffering", "guestiptype": "Shared", "specifyvlan": True}
NETWORK = {
    "id": "n1", "name": "guests", "zonename": "z1", "account": "admin", "networkofferingname": "DefaultL2NetworkOffering", "displaytext": "guests",
    "physicalnetworkid": "pn", "type": "L2",
}  # fmt: skip
TEMPLATE = {
    "id": "t1", "name": "debian", "zonename": "z1", "zoneid": "1", "account": "admin", "displaytext": "debian", "url": "http://web/d.qcow2.gz",
    "format": "QCOW2", "hypervisor": "KVM", "directdownload": True, "ostypename": "Other Linux (64-bit)", "ispublic": True, "isfeatured": True,
    "passwordenabled": False, "details": {"keyboard": "de"}, "checksum": "a" * 64,
}  # fmt: skip
USER = {"id": "u1", "username": "anna", "account": "anna", "domainid": "root", "apikey": Secret("k"), "email": "a@b"}
LISTS: dict[str, t.Any] = {
    "zones": [{"id": "1", "name": "z1"}],
    "physical_networks": [{"id": "pn", "name": "pn1", "zonename": "z1", "vlan": "100-200"}],
    "network_offerings": [OFFERING, VLAN_OFFERING, SHARED],
    "networks": [NETWORK],
    "vlan_ranges": [],
    "hosts": [{"id": "h", "name": "kvm1", "zonename": "z1", "hypervisor": "KVM"}],
    "storage_pools": [],
    "templates": [TEMPLATE],
    "os_types": [{"id": "os", "name": "Other Linux (64-bit)"}, {"id": "deb", "name": "Debian GNU/Linux 12 (64-bit)"}],
    "users": [USER],
    "accounts": [{"id": "a1", "name": "anna", "domainid": "root", "rolename": "User"}],
    "domains": [{"id": "root", "path": "ROOT"}],
    "roles": [{"id": "r", "name": "User"}, {"id": "r2", "name": "Domain Admin"}],
}


class Calls:
    """Keeps what a plan would send."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, t.Any]]] = []

    def call(self, command: str, **params: t.Any) -> dict[str, t.Any]:
        self.sent.append((command, params))
        answer = {"id": "new", "username": params.get("username")}
        return {"network": answer, "template": [answer], "user": answer, "account": {"user": [answer]}, "userkeys": {}}

    job = call

    def rows(self, command: str, **unused: t.Any) -> list[dict[str, t.Any]]:
        made = [params["account"] for sent, params in self.sent if sent == "createAccount"]
        return [{"name": name} for name in made]


def complete(options: dict[str, t.Any], item: dict[str, t.Any]) -> dict[str, t.Any]:
    assert not set(item) - set(options)
    return {name: item.get(name, option.get("default")) for name, option in options.items()}


def planned(kind: t.Any, items: list[dict[str, t.Any]], lists: t.Optional[dict[str, t.Any]] = None, **declaration: t.Any) -> tuple[Draft, Calls]:
    calls = Calls()
    sheet = Draft(declaration)
    declared = [complete(kind.OPTIONS, item) for item in items]
    assert kind.problems(declared, "x") == []
    region = Region(calls, {**LISTS, **(lists or {})})
    if kind is templates:
        templates.settle(declared, region, sheet)
    kind.plan(declared, region, sheet)
    return sheet, calls


# -- networks


def network(**more: t.Any) -> dict[str, t.Any]:
    return {"name": "guests", "zone": "z1", "offering": "DefaultL2NetworkOffering", **more}


def test_a_network_as_declared_needs_nothing() -> None:
    sheet, _calls = planned(networks, [network(physical_network="pn1")])
    assert not sheet.changes and not sheet.problems


def test_a_tenant_s_network_of_the_same_name_is_not_ours() -> None:
    others = [{**NETWORK, "account": "anna"}, {**NETWORK, "id": "n2", "project": "p"}]
    sheet, calls = planned(networks, [network()], {"networks": others})
    assert [change.action for change in sheet.changes] == ["create"]
    sheet.changes[0].apply()
    assert calls.sent[0][1]["networkofferingid"] == "o1"


def test_two_networks_of_a_name_are_an_error() -> None:
    sheet, _calls = planned(networks, [network()], {"networks": [NETWORK, {**NETWORK, "id": "n2"}]})
    assert "there are 2 networks of this name in the zone z1 (n1, n2)" in sheet.problems[0]


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (network(name="new", offering="none"), "there is no network offering none (there are: DefaultL2NetworkOffering, "),
        (network(name="new", zone="z9"), "there is no zone z9"),
        (network(name="new", vlan="300"), "CloudStack gives one itself"),
        (network(name="new", offering="DefaultL2NetworkOfferingVlan"), "vlan is missing"),
        (network(name="new", offering="DefaultL2NetworkOfferingVlan", vlan="150"), "150 is among those that CloudStack gives"),
        (network(name="new", offering="DefaultSharedNetworkOffering", vlan="300"), "a shared network needs gateway, netmask, start and end"),
        (network(name="new", gateway="10.0.0.1", netmask="255.255.255.0"), "an L2 network has no addresses of its own"),
        (network(vlan="300"), "vlan is None, and 300 is declared"),
        (network(physical_network="pn2"), "it is on the physical network pn1, and pn2 is declared"),
    ],
)
def test_networks_that_cannot_be(item: dict[str, t.Any], said: str) -> None:
    sheet, _calls = planned(networks, [item])
    assert len(sheet.problems) == 1 and said in sheet.problems[0]


def test_a_network_that_goes_must_be_allow_loss() -> None:
    sheet, calls = planned(networks, [network(state="absent"), network(name="gone", state="absent")])
    (change,) = sheet.changes
    assert (change.id, change.risk.value) == ("network/z1/guests", "loss")
    change.apply()
    assert calls.sent == [("deleteNetwork", {"id": "n1"})]


def test_wrong_networks_are_said_at_once() -> None:
    items = [
        {"name": "a", "zone": "z", "vlan": "5000", "start": "1.1.1.1", "dns1": "x"},
        {"name": "a", "zone": "z", "offering": "o", "gateway": "10.0.0.1", "netmask": "255.255.255.0", "start": "10.0.0.9", "end": "10.0.0.3"},
        {"name": "b", "zone": "z", "offering": "o", "vlan": "7"},
        {"name": "c", "zone": "z", "offering": "o", "vlan": "7"},
    ]
    text = "\n".join(networks.problems([complete(networks.OPTIONS, item) for item in items], "networks"))
    for said in (
        "offering is missing",
        "'5000' is neither",
        "gateway, netmask, end: missing",
        "dns1: 'x'",
        "is declared twice",
        "ends before it",
        "7 is that of b",
    ):
        assert said in text


# -- templates


def template(**more: t.Any) -> dict[str, t.Any]:
    return {"name": "debian", "zone": "z1", "url": "http://web/d.qcow2.gz", **more}


def test_a_template_as_declared_needs_nothing() -> None:
    sheet, _calls = planned(templates, [template(checksum="sha256:" + "A" * 64, details={"keyboard": "de"})])
    assert not sheet.changes and not sheet.problems


def test_details_of_a_template_that_are_not_named_stay() -> None:
    """updateTemplate replaces all of them."""
    sheet, calls = planned(templates, [template(details={"rootDiskController": "scsi"}, password_enabled=True, public=False)])
    (change,) = sheet.changes
    assert change.after == {"details.rootDiskController": "scsi", "password_enabled": True, "public": False}
    change.apply()
    sent = {"id": "t1", "passwordenabled": True, "details[0].keyboard": "de", "details[0].rootDiskController": "scsi"}
    assert calls.sent == [("updateTemplate", sent), ("updateTemplatePermissions", {"id": "t1", "ispublic": False})]


RBD = {"name": "rbd1", "zonename": "z1", "type": "RBD"}


@pytest.mark.parametrize("url", ["http://web/new.qcow2", "http://web/new.qcow2?as=x.gz"])
def test_a_plain_file_on_rbd_is_refused(url: str) -> None:
    new = template(name="new", url=url)
    assert "on RBD (rbd1) hosts take a compressed file only" in planned(templates, [new], {"storage_pools": [RBD]})[0].problems[0]
    declared = [{"name": "rbd1", "zone": "z1", "state": "present"}]
    assert "on RBD (rbd1)" in planned(templates, [new], primary_storage=declared)[0].problems[0]


def test_a_file_that_rbd_takes() -> None:
    pools = {"storage_pools": [RBD]}
    for more in ({"url": "http://web/new.qcow2.GZ?token=1"}, {"url": "http://web/new.qcow2", "direct_download": False}):
        assert not planned(templates, [template(name="new", **more)], pools)[0].problems
    elsewhere = {"storage_pools": [{**RBD, "zonename": "z2"}]}
    assert not planned(templates, [template(name="new", url="http://web/new.qcow2")], elsewhere)[0].problems
    both = {"storage_pools": [RBD, {"name": "nfs", "zonename": "z1", "type": "NetworkFilesystem"}]}
    sheet, _calls = planned(templates, [template(name="new", url="http://web/new.qcow2")], both)
    assert not sheet.problems and "guests of it can be on nfs" in sheet.warnings[0]


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (template(url="http://web/other.gz"), "url is http://web/d.qcow2.gz, and http://web/other.gz is declared. A template's file cannot be changed"),
        (template(checksum="b" * 64), "checksum is " + "a" * 64),
        (template(name="new", os_type="Debian nosuch"), "knows none of the name Debian nosuch (there are: Debian GNU/Linux 12 (64-bit)"),
        (template(name="new", zone="z9"), "there is no zone z9"),
    ],
)
def test_templates_that_cannot_be(item: dict[str, t.Any], said: str) -> None:
    sheet, _calls = planned(templates, [item])
    assert len(sheet.problems) == 1 and said in sheet.problems[0]


def test_a_zone_without_a_host_registers_no_template() -> None:
    sheet, _calls = planned(templates, [template(name="new")], {"hosts": []})
    assert "has no host with KVM" in sheet.problems[0]
    coming = [{"name": "z1", "pods": [{"clusters": [{"hypervisor": "kvm", "hosts": [{"address": "h"}]}]}]}]
    assert not planned(templates, [template(name="new")], {"hosts": []}, zones=coming)[0].problems


def test_a_wrong_checksum_is_found_before_anything_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "download_sum", lambda url, algorithm: "a" * 64)
    assert not planned(templates, [template(name="new", checksum="a" * 64)])[0].problems
    assert "has SHA-256 aaaa" in planned(templates, [template(name="new", checksum="b" * 64)])[0].problems[0]
    assert not planned(templates, [template(name="new", checksum="b" * 64, verify=False)])[0].problems

    def away(url: str, algorithm: str) -> str:
        raise OSError("no route")

    monkeypatch.setattr(templates, "download_sum", away)
    sheet, _calls = planned(templates, [template(name="new", checksum="b" * 64)])
    assert not sheet.problems and "cannot be read from here: no route" in sheet.warnings[0]


def test_the_sum_of_a_file(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 3_000_000)
    assert templates.download_sum((tmp_path / "file").as_uri(), "SHA-256") == hashlib.sha256(b"x" * 3_000_000).hexdigest()


def test_checksums_have_several_spellings() -> None:
    digits = "a" * 64
    assert {templates.checksum(text) for text in (digits, f"sha256:{digits}", f"SHA-256:{digits.upper()}", f"{{SHA-256}}{digits}")} == {("SHA-256", digits)}
    for wrong in ("abc", f"md5:{digits}", "{SHA-256}" + "a" * 63, "sha256:" + "g" * 64):
        with pytest.raises(ValueError, match=r"checksum|digits"):
            templates.checksum(wrong)


def test_a_template_that_goes_must_be_allow_loss() -> None:
    (change,) = planned(templates, [template(state="absent", url=None)])[0].changes
    assert (change.id, change.action, change.risk.value) == ("template/z1/debian", "delete", "loss")


# -- users


def test_a_user_s_keys_are_never_made_anew() -> None:
    sheet, _calls = planned(users, [{"name": "anna"}])
    assert not sheet.changes and not sheet.problems
    sheet, calls = planned(users, [{"name": "anna", "password": "another"}], {"users": [{**USER, "apikey": None}]})
    (change,) = sheet.changes
    assert (change.before, change.after) == ({"keys": False}, {"keys": True})
    change.apply()
    assert [command for command, _params in calls.sent] == ["getUserKeys", "registerUserKeys"]


def test_two_new_users_of_an_account_make_it_once() -> None:
    items = [{"name": "b1", "account": "shop", "password": "pw-one"}, {"name": "b2", "account": "shop", "password": "pw-two", "keys": False}]
    sheet, calls = planned(users, items)
    for change in sheet.changes:
        assert "pw-" not in str(change.after)
        change.apply()
    assert [command for command, _params in calls.sent] == ["createAccount", "registerUserKeys", "createUser"]


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"name": "new"}, "password is missing"),
        ({"name": "new", "password": "x", "role": "none"}, "there is no role none (there are: Domain Admin, User)"),
        ({"name": "new", "password": "x", "domain": "ROOT/none"}, "there is no domain ROOT/none"),
        ({"name": "anna", "role": "Domain Admin"}, "the account anna has User, and Domain Admin is declared"),
        ({"name": "anna", "account": "other"}, "the user belongs to anna, and other is declared"),
    ],
)
def test_users_that_cannot_be(item: dict[str, t.Any], said: str) -> None:
    sheet, _calls = planned(users, [item])
    assert len(sheet.problems) == 1 and said in sheet.problems[0] and not sheet.changes


def test_wrong_users_are_said_at_once() -> None:
    items = [{"name": "a"}, {"name": "a", "role": "Domain Admin"}]
    found = users.problems([complete(users.OPTIONS, item) for item in items], "users")
    assert [text.split(": ", 1)[1] for text in found] == [
        "is declared twice in the domain ROOT: keep one of them",
        "role: an account has one role, and a is declared with User too",
    ]


@pytest.mark.parametrize(("what", "row", "other"), [("networks", NETWORK, "anna"), ("templates", TEMPLATE, "anna")])
def test_a_name_is_one_of_the_administrator_s(what: str, row: dict[str, t.Any], other: str) -> None:
    theirs = [
        {**row, "id": "x1", "account": other},
        {**row, "id": "x2", "project": "p"},
        {**row, "id": "x3", "zonename": "z2"},
        {**row, "id": "x4", "name": "n"},
    ]
    item, accounts, sheet = {"name": row["name"], "zone": "z1"}, ("admin",), Draft({}, "")
    # A template that is in several stores is several rows of one id.
    assert sheet.owned(what, item, accounts, Region(None, {what: [*theirs, row, row]}), "here") == row
    assert sheet.owned(what, item, accounts, Region(None, {what: theirs}), "here") is None
    assert sheet.problems == []
    sheet.owned(what, item, accounts, Region(None, {what: [row, {**row, "id": "0"}]}), "here")
    assert sheet.problems == [f"here: there are 2 {what} of this name in the zone z1 (0, {row['id']}): delete or rename all but one, then run again"]


# -- what the server makes of a value


@pytest.mark.parametrize(
    ("item", "row"),
    [
        ({"offering": "DefaultL2NetworkOfferingVlan", "vlan": "0070"}, {"networkofferingname": "DefaultL2NetworkOfferingVlan", "vlan": "70"}),
        ({"offering": "DefaultL2NetworkOfferingVlan", "vlan": "70"}, {"networkofferingname": "DefaultL2NetworkOfferingVlan", "vlan": "vlan://70"}),
        ({"offering": "DefaultL2NetworkOfferingVlan", "vlan": "Untagged"}, {"networkofferingname": "DefaultL2NetworkOfferingVlan", "vlan": "untagged"}),
        ({"gateway": "10.1.1.1", "netmask": "24"}, {"gateway": "10.1.1.1", "netmask": "255.255.255.0"}),
    ],
)
def test_a_network_in_the_server_s_words_is_no_change(item: dict[str, t.Any], row: dict[str, t.Any]) -> None:
    sheet, _calls = planned(networks, [network(**item)], {"networks": [{**NETWORK, **row}]})
    assert (sheet.changes, sheet.problems) == ([], [])


def test_a_network_s_name_server_is_of_ipv4() -> None:
    """dns1 of the API takes no other; the server would refuse it once the rest was made."""
    assert "is no IPv4 address" in networks.problems([complete(networks.OPTIONS, network(dns1="fd00::53"))], "x")[0]


@pytest.mark.parametrize(
    ("item", "row"),
    [
        ({"url": "HTTP://WEB:80/d.qcow2.gz"}, {}),
        ({"details": {"UEFI": True, "rootdisksize": 5}}, {"details": {"UEFI": "true", "rootdisksize": "5"}}),
        ({"checksum": "sha256:" + "A" * 64}, {"checksum": "{SHA-256}" + "a" * 64}),
        ({"checksum": "sha256:" + "a" * 64}, {"checksum": "b" * 32}),  # of MD5, which the server made itself
        ({"direct_download": False}, {"directdownload": None}),
        ({}, {"format": "qcow2"}),
    ],
)
def test_a_template_in_the_server_s_words_is_no_change(item: dict[str, t.Any], row: dict[str, t.Any]) -> None:
    sheet, _calls = planned(templates, [template(**item)], {"templates": [{**TEMPLATE, **row}]})
    assert (sheet.changes, sheet.problems) == ([], [])


def test_details_of_a_template_are_sent_as_they_are_compared() -> None:
    sheet, calls = planned(templates, [template(details={"UEFI": True})])
    sheet.changes[0].apply()
    assert calls.sent[0][1]["details[0].UEFI"] == "true"


@pytest.mark.parametrize(("item", "row"), [({"name": "Anna"}, {}), ({"account": "ANNA"}, {}), ({"domain": "/root/"}, {}), ({}, {"username": "ANNA"})])
def test_a_user_is_known_whatever_the_case(item: dict[str, t.Any], row: dict[str, t.Any]) -> None:
    """The server's database takes anna and Anna for one: it would refuse to make the other."""
    sheet, _calls = planned(users, [{"name": "anna", "account": "anna", **item}], {"users": [{**USER, **row}]})
    assert (sheet.changes, sheet.problems) == ([], [])


def test_two_users_that_are_one_to_the_server() -> None:
    declared = [complete(users.OPTIONS, {"name": name}) for name in ("anna", "Anna")]
    assert "declared twice" in users.problems(declared, "x")[0]
