# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A region: its lists, its kinds, settings."""

from __future__ import annotations

import base64
import pathlib
import threading
import typing as t

import pytest
import yaml

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import region, settings
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid
from ansible_collections.cephstack.cloud.plugins.plugin_utils._gateways import FIELDS

ROOT = pathlib.Path(__file__).resolve().parents[3]


class Answers:
    """Stands for a client that has answers for list commands."""

    def __init__(self, **answers: t.Any) -> None:
        self.answers = answers
        self.asked: list[tuple[str, dict[str, t.Any]]] = []
        self.calls = 0
        self._lock = threading.Lock()

    def rows(self, command: str, **parameters: t.Any) -> list[dict[str, t.Any]]:
        with self._lock:
            self.calls += 1
            self.asked.append((command, parameters))
        return [dict(row) for row in self.answers.get(command, [])]


def test_each_list_is_read_once_and_those_that_hang_on_others_after_them() -> None:
    networks = [{"id": "n1", "name": "a", "zonename": "z1"}, {"id": "n2", "name": "b", "zonename": "z2"}]
    client = Answers(listZones=[{"id": "1", "name": "z1"}], listPhysicalNetworks=networks, listTrafficTypes=[{"id": "t", "traffictype": "Guest"}])
    found = Region(client, within={"z1"}).read(["zones", "traffic_types", "zones"])
    assert sorted(command for command, _parameters in client.asked) == ["listPhysicalNetworks", "listTrafficTypes", "listZones"]
    assert found.rows("traffic_types") == [{"id": "t", "traffictype": "Guest", "physicalnetworkid": "n1"}]
    found.rows("zones")
    found.rows("physical_networks")
    assert client.calls == 3


def test_what_is_found_by_name() -> None:
    rows = [{"id": "1", "name": "pod", "zoneid": "a"}, {"id": "2", "name": "pod", "zoneid": "b"}]
    found = Region(None, {"pods": rows})
    assert found.find("pods", "pod", zoneid="b") == rows[1]
    assert found.find("pods", "other") is None
    assert found.duplicates == []
    found.find("pods", "pod")
    assert found.duplicates == ["pods: there are 2 of the name pod (1, 2): delete or rename all but one, then run again"]


def test_a_template_of_two_zones_is_one() -> None:
    found = Region(None, {"templates": [{"id": "1", "name": "t", "zoneid": "a"}, {"id": "1", "name": "t", "zoneid": "b"}]})
    assert found.find("templates", "t")
    assert found.duplicates == []


def test_what_was_made_is_found_too() -> None:
    found = Region(None, {"zones": []})
    with pytest.raises(LookupError, match="there is no zone z1"):
        found.id("zones", "z1")
    found.made("zones", "z1", {"id": "7", "name": "z1"})
    assert found.id("zones", "z1") == "7"
    assert found.find("zones", "z1") is None, "a plan sees only what was observed"


# -- settings

EXISTING = [
    {"name": "a.number", "type": "Number", "value": "200", "isdynamic": True},
    {"name": "a.factor", "type": "Decimal", "value": "2", "isdynamic": True},
    {"name": "a.switch", "type": "Boolean", "value": "true", "isdynamic": False},
    {"name": "a.list", "type": "CSV", "value": "a,b", "isdynamic": True},
    {"name": "a.choice", "type": "Select", "value": "low", "options": "low,high", "isdynamic": True},
    {"name": "a.secret", "type": "String", "category": "Secure", "value": "ENC(x)", "isdynamic": True},
]


def planned(declared: t.Any, zones: t.Sequence[t.Any] = ()) -> t.Any:
    declaration = {"settings": declared, "zones": zones}
    found = Region(None, {"settings": EXISTING, "zones": [{"id": "z", "name": "z1"}], "zone_settings": [{**EXISTING[0], "value": "5", "zoneid": "z"}]})
    sheet = Draft(declaration)
    settings.plan(declared, found, sheet)
    for zone in zones:
        settings.plan_zone(zone["settings"], zone["name"], found, sheet, f"zones ({zone['name']}).settings")
    if sheet.problems:
        raise Invalid(sheet.problems)
    return sheet


@pytest.mark.parametrize(
    "declared",
    [
        {"a.number": 200},
        {"a.number": "200"},
        {"a.factor": 2.0},
        {"a.switch": True},
        {"a.switch": "yes"},
        {"a.list": ["a", "b"]},
        {"a.list": "a, b"},
        {"a.choice": "low"},
    ],
)
def test_the_same_setting_in_other_words(declared: dict[str, t.Any]) -> None:
    assert planned(declared).changes == []


def test_settings_that_differ() -> None:
    sheet = planned({"a.number": 100, "a.switch": False}, [{"name": "z1", "settings": {"a.number": 6}}])
    assert [(change.id, change.before, change.after) for change in sheet.changes] == [
        ("setting/a.number", {"value": "200"}, {"value": "100"}),
        ("setting/a.switch", {"value": "true"}, {"value": "false"}),
        ("setting/a.number@z1", {"value": "5"}, {"value": "6"}),
    ]
    assert sheet.restart == ["a.switch"]


def test_a_secret_setting_is_not_shown() -> None:
    sheet = planned({"a.secret": "word"})
    assert "word" not in str(sheet.changes[0].after)


def test_settings_that_cannot_be_are_said_together() -> None:
    zones = [{"name": "z1", "settings": {"a.factor": 1, "b": 1}}, {"name": "new", "settings": {"a.factor": 1}}]
    with pytest.raises(Invalid) as refused:
        planned({"a.number": 1.5, "a.factor": "x", "a.switch": "perhaps", "a.choice": "middle", "nothing": 1}, zones)
    assert refused.value.problems == [
        "settings: a.number: '1.5' does not fit: it is a whole number",
        "settings: a.factor: 'x' does not fit: it is a number",
        "settings: a.switch: 'perhaps' does not fit: it is true or false",
        "settings: a.choice: 'middle' does not fit: it is one of low, high",
        "settings: this server has no setting nothing",
        "zones (z1).settings: a.factor is not a setting of a zone: declare it in settings",
        "zones (z1).settings: this server has no setting b",
        "zones (new).settings: a.factor is not a setting of a zone: declare it in settings",
    ]


def test_without_a_server_everything_is_new() -> None:
    plan, _sheet = region.plan({"settings": {"a": 1}}, Region(None))
    assert [change.id for change in plan.changes] == ["setting/a"]


# -- the role says what the module says


def _options(options: t.Mapping[str, t.Any], sub: str) -> dict[str, t.Any]:
    """Without descriptions, and without empty defaults, which a role's specification leaves out."""
    keys = ("type", "elements", "choices", "required", "default")
    found = {}
    for name, option in options.items():
        known = {key: option[key] for key in keys if key in option and option[key] not in (False, None, [], {})}
        found[name] = {**known, "options": _options(option.get(sub) or {}, sub)}
    return found


def test_the_role_takes_what_the_module_takes() -> None:
    role = yaml.safe_load((ROOT / "roles" / "cloudstack_region" / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    declared = dict(role["argument_specs"]["main"]["options"]["cloudstack_region"]["options"])
    del declared["restart"], declared["allow_loss"]
    module = {name: option for name, option in region.OPTIONS.items() if name not in ("consumers", "ceph")}
    for name, instead in FIELDS.items():  # by which the role makes urls
        own = {**module[name]["options"], **{key: {**module[name]["options"].get(key, {}), **one} for key, one in instead.items()}}
        module[name] = {**module[name], "options": own}
    assert _options(declared, "options") == _options(module, "options")


# -- what the server makes of a value


class Settings:
    """A server with one sealed setting: it shows another text at each call."""

    def __init__(self, value: str = "") -> None:
        self.value, self.shown, self.sent = value, 0, []

    calls = 0

    def rows(self, command: str, **unused: t.Any) -> list[dict[str, t.Any]]:
        self.shown += 1
        value = base64.b64encode(f"nonce of 16 bytes {self.shown:04} {self.value[::-1]}".encode()).decode() if self.value else None
        return [{"name": "a.secret", "type": "String", "category": "Secure", "isdynamic": True, **({"value": value} if value else {})}]

    def call(self, command: str, **parameters: t.Any) -> dict[str, t.Any]:
        self.sent.append(parameters)
        self.value = parameters["value"]
        return {}


def again(server: Settings, value: str, *allow_loss: str) -> t.Any:
    """Plan, apply, and plan again, as the engine does. Returns the first plan; the second must be empty."""
    provider = region.Provider({"settings": {"a.secret": value}}, server, "", allow_loss)
    made = provider.plan(provider.observe())
    assert made.apply() == []
    assert provider.plan(provider.observe()).changes == []
    return made


def test_a_sealed_setting_is_set_once_and_converges() -> None:
    server = Settings()
    assert [change.id for change in again(server, "word").changes] == ["setting/a.secret"]
    made = again(server, "word")
    assert made.changes == []
    assert len(server.sent) == 1
    assert any("cannot be compared" in warning and "name it in allow_loss: setting/a.secret" in warning for warning in made.warnings)


def test_a_sealed_setting_is_set_anew_where_it_is_allow_loss() -> None:
    server = Settings("old")
    assert again(server, "new").changes == []
    assert [change.id for change in again(server, "new", "setting/a.secret").changes] == ["setting/a.secret"]
    assert server.value == "new"
    assert "new" not in str(again(server, "new", "setting/a.secret").diff())


@pytest.mark.parametrize(
    ("existing", "declared"),
    [
        ({"type": "String", "value": "a b"}, " a b\n"),
        ({"type": "String", "defaultvalue": "localhost"}, ""),
        ({"type": "String", "defaultvalue": "localhost"}, None),
        ({"type": "Number", "value": "1000"}, 1e3),
        ({"type": "Decimal", "value": "0.50"}, 0.5),
        ({"type": "Boolean", "value": "false"}, "off"),
        ({"type": "String", "category": "Hidden", "value": "in clear"}, "in clear"),
    ],
)
def test_a_setting_in_the_server_s_words_is_no_change(existing: dict[str, t.Any], declared: t.Any) -> None:
    sheet = Draft({})
    settings.plan({"a": declared}, Region(None, {"settings": [{"name": "a", "isdynamic": True, **existing}]}), sheet)
    assert (sheet.changes, sheet.problems) == ([], [])


@pytest.mark.parametrize(
    ("kind", "declared", "sent"), [("Boolean", "yes", "true"), ("Boolean", "Off", "false"), ("Number", 1e3, "1000"), ("String", " x ", "x")]
)
def test_a_setting_is_sent_as_the_server_takes_it(kind: str, declared: t.Any, sent: str) -> None:
    """It refuses yes of a boolean, and 1000.0 of a whole number."""
    sheet = Draft({})
    settings.plan({"a": declared}, Region(None, {"settings": [{"name": "a", "type": kind, "value": "true" if sent == "false" else "7"}]}), sheet)
    assert [change.after for change in sheet.changes] == [{"value": sent}]
