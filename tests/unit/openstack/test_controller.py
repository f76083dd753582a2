# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller of OpenStack: what its files say, and what is planned for what is there."""

from __future__ import annotations

import base64
import configparser
import dataclasses
import hashlib
import json
import pathlib
import re
import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import derived
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, host_files
from ansible_collections.cephstack.cloud.plugins.module_utils._host.systemd import Unit
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack import (
    configuration,
    controller,
    databases,
    declaration,
    keystone,
    messages,
    schemas,
    service_users,
)
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.configuration import Controller
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.databases import Seen, Server
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Plan, Secret, Together

FSID = "7c5e3f6c-64ef-4c0e-8d9c-6f2f6a3a5e11"
DECLARED: dict[str, t.Any] = {
    "admin_password": "adm$n-secret",
    "service_password": "service-secret",
    "database": {"password": "database-secret"},
    "messages": {"password": "messages-secret"},
    "networks": [{"name": "physnet1", "bridge": "br-flat"}],
}
SECRETS = ("adm$n-secret", "service-secret", "database-secret", "messages-secret", "key-secret")
CONSUMERS = [
    {"name": "glance", "kind": "glance", "pools": [{"name": "images"}]},
    {"name": "cinder", "kind": "cinder", "pools": [{"name": "volumes"}, {"name": "fast"}, {"name": "images", "access": "ro"}]},
    {"name": "backup", "kind": "cinder-backup", "pools": [{"name": "backups"}]},
]
OPENSTACK = declaration.of(DECLARED, ["192.0.2.31"])
ONE = Controller(OPENSTACK, "192.0.2.31", derived(CONSUMERS, FSID), local=("database", "messages"))
TLS = dataclasses.replace(
    ONE,
    openstack=declaration.of({**DECLARED, "tls": {"certificate": "/c", "key": "/k", "ca_path": "/ca"}}, ["192.0.2.31"]),
    certificate="CERT",
    key=Secret("key-secret"),
)
SERVER = Server(OPENSTACK, local=True)
WHOLE = {service: Seen(True, frozenset(names), {schemas.NOTE: "2:1-1"}) for service, names in declaration.DATABASES.items()}


def text_of(one: Controller, path: str) -> str:
    (found,) = (file for files in configuration.files(one).values() for file in files if file["path"] == path)
    return str(found["secret"])


def parsed(one: Controller, path: str) -> configparser.ConfigParser:
    found = configparser.ConfigParser(interpolation=None)
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read_string(text_of(one, path))
    return found


def ids(plan: Plan) -> list[str]:
    return [f"{change.action} {change.id}" for change in plan.changes]


# -- files


def test_each_service_alone_reads_its_files() -> None:
    for service, given in configuration.files(TLS).items():
        for file in given:
            assert file["owner"] == "root"
            if service == "root":
                assert (file["group"], file["mode"]) == ("root", "0600")
            elif file["path"].startswith(f"/etc/{service}/"):
                assert (file["group"], file["mode"]) == (service, "0640")
            else:
                assert not any(secret in str(file["secret"]) for secret in SECRETS)


def test_every_section_that_names_a_region_names_the_declared_one() -> None:
    """The packages' own is another, and a service that asks for it is answered that there is no such endpoint."""
    for one in (ONE, TLS):
        for given in configuration.files(one).values():
            for file in given:
                for name, value in re.findall(r"^(\w*region_name) = (.*)$", file["secret"] or "", re.M):
                    assert value == "RegionOne", (file["path"], name)
    assert parsed(ONE, "/etc/nova/nova.conf")["cinder"]["os_region_name"] == "RegionOne"


def test_init_scripts_find_what_they_look_for() -> None:
    """Neutron's read its core plugin out of the file by this pattern."""
    assert re.findall(r"(?m)^[ \t]*core_plugin[ \t]*=[ \t]*[._a-zA-Z0-9]*$", text_of(ONE, "/etc/neutron/neutron.conf")) == ["core_plugin = ml2"]


def test_an_api_has_as_many_processes_as_declared() -> None:
    one = dataclasses.replace(ONE, openstack=OPENSTACK._replace(workers=3))
    for service, how in configuration.UWSGI.items():
        if service != "glance":
            assert parsed(one, f"/etc/{service}/{how.path}")["uwsgi"]["processes"] == "3"
    assert parsed(one, "/etc/glance/glance-api.conf")["DEFAULT"]["workers"] == "3"


def test_each_pool_that_cinder_may_write_is_a_backend() -> None:
    found = parsed(ONE, "/etc/cinder/cinder.conf")
    assert found["DEFAULT"]["enabled_backends"] == "volumes,fast"
    assert found["DEFAULT"]["default_volume_type"] == "volumes"
    assert {name: (found[name]["rbd_pool"], found[name]["volume_backend_name"], found[name]["rbd_user"]) for name in ("volumes", "fast")} == {
        "volumes": ("volumes", "volumes", "cinder"),
        "fast": ("fast", "fast", "cinder"),
    }
    assert found["volumes"]["rbd_secret_uuid"] == ONE.consumers[1]["secret_uuid"]
    assert "images" not in found
    assert found["DEFAULT"]["backup_ceph_pool"] == "backups"
    assert "coordination" not in found
    assert parsed(dataclasses.replace(ONE, several=True), "/etc/cinder/cinder.conf")["coordination"]["backend_url"].startswith("mysql://cinder:")


def test_glance_says_where_images_are_so_that_they_can_be_cloned() -> None:
    found = parsed(ONE, "/etc/glance/glance-api.conf")
    assert (found["DEFAULT"]["show_image_direct_url"], found["rbd"]["rbd_store_pool"], found["rbd"]["rbd_store_user"]) == ("true", "images", "glance")


def test_a_dollar_in_a_password_is_no_reference() -> None:
    assert "adm$n-secret" in configuration.clouds(OPENSTACK)
    assert "pa$$$$word" in declaration.render({"a": {"b": "pa$$word"}})


def test_tls_comes_with_its_files_and_goes_with_them() -> None:
    at = [path for service in declaration.DATABASES for path in configuration.certificate_files(service)] + [configuration.GLANCE_DROP_IN]
    with_tls = {file["path"]: file for files in configuration.files(TLS).values() for file in files}
    without = {file["path"]: file for files in configuration.files(ONE).values() for file in files}
    assert {with_tls[path]["state"] for path in at} == {"present"}
    assert {without[path]["state"] for path in at} == {"absent"}
    assert "https://192.0.2.31:5000/v3" in configuration.clouds(TLS.openstack)
    assert parsed(TLS, "/etc/nova/nova.conf")["glance"]["cafile"] == "/ca"
    assert ":9292,/etc/glance/ssl/public/cephstack.crt,/etc/glance/ssl/private/cephstack.pem" in str(with_tls[configuration.GLANCE_DROP_IN]["secret"])


def test_units_that_nothing_is_declared_for_are_kept_from_running() -> None:
    bare = dataclasses.replace(ONE, consumers=derived(CONSUMERS[:1], FSID))
    for one, runs in ((bare, []), (ONE, ["cinder-volume", "cinder-backup"])):
        wanted = controller.services(one).units
        assert [unit for unit in configuration.OPTIONAL if wanted[f"{unit}.service"]["state"] == "started"] == runs


def test_a_service_reads_its_keyring_and_no_other_s_server_file() -> None:
    wanted = controller.services(TLS).units
    assert "/etc/ceph/ceph.client.cinder.keyring" in wanted["cinder-volume.service"]["reads"]
    assert "/etc/ceph/ceph.client.glance.keyring" in wanted["glance-api.service"]["reads"]
    assert "/etc/nova/nova-api-uwsgi.ini" in wanted["nova-api.service"]["reads"]
    assert not [path for path in wanted["nova-conductor.service"]["reads"] if "uwsgi" in path or "ssl" in path]


# -- what is planned


class Fixed:
    """A provider whose observation is given."""

    def __init__(self, provider: t.Any, seen: t.Any) -> None:
        self.provider, self.seen = provider, seen
        self.plan, self.returned = provider.plan, provider.returned

    def observe(self) -> t.Any:
        return self.seen


def plan_of(
    one: Controller = ONE,
    seen: t.Mapping[str, Seen] | None = None,
    login: bool = True,
    schema: schemas.Observed | None = None,
    key: keystone.Observed | None = None,
    users: service_users.Observed | None = None,
    host: controller.Observed | None = None,
) -> Plan:
    providers = [
        Fixed(databases.Provider(SERVER), WHOLE if seen is None else seen),
        Fixed(messages.Provider(OPENSTACK, local=True, runs=True), login),
        Fixed(schemas.Provider(SERVER), schema or SCHEMA),
        Fixed(keystone.Provider(OPENSTACK, SERVER, {}), key or KEYSTONE),
        Fixed(service_users.Provider(OPENSTACK, SERVER), users or USERS),
        Fixed(controller.Services(one, 1), host or HOST),
    ]
    together = Together(providers)  # type: ignore[arg-type]
    return together.plan(together.observe())


INSTALLED = dict.fromkeys(declaration.DATABASES, "2:1-1")
CELLS = {name: {"uuid": "u", **cell} for name, cell in schemas.CELLS.items()}
SCHEMA = schemas.Observed(INSTALLED, dict(INSTALLED), CELLS)
AUTH = "http://192.0.2.31:5000/v3"
ADMINISTRATOR = {"password": "as declared", "role": True, "service_role": True, "public": AUTH, "internal": AUTH, "admin": AUTH}
KEYS = {"fernet": {"0": "a", "1": "b"}, "credential": {"0": "c", "1": "d"}}
KEYSTONE = keystone.Observed(KEYS, ADMINISTRATOR)
URLS = {api.type: OPENSTACK.url(name) + api.path for name, api in declaration.APIS.items() if name != "keystone"}
USERS = service_users.Observed(
    True,
    {user: {"password": "as declared", "roles": ["admin", "service"]} for user in service_users.users_of(OPENSTACK)},
    {type_: ["x"] for type_ in URLS},
    {type_: [(interface, url) for interface in keystone.INTERFACES] for type_, url in URLS.items()},
)


def host_of(one: Controller, **stopped: bool) -> controller.Observed:
    wanted = controller.services(one)
    units = {name: Unit(enabled=bool(unit["enabled"]), active=unit["state"] == "started", began=5) for name, unit in wanted.units.items()}
    times = {path: 1 for unit in wanted.units.values() for path in unit["reads"]}
    return controller.Observed(host_files.Observed({path: file for path, file in wanted.files.items() if file}, units, times), [*declaration.APIS])


HOST = host_of(ONE)
NOTHING = {
    "seen": dict.fromkeys(declaration.DATABASES, Seen()),
    "login": False,
    "schema": schemas.Observed(INSTALLED, dict.fromkeys(declaration.DATABASES, ""), {}),
    "key": keystone.Observed({}, {}),
    "users": service_users.Observed(),
    "host": controller.Observed(host_files.Observed({}, {}, {path: 0 for unit in controller.services(TLS).units.values() for path in unit["reads"]}), []),
}


def test_what_is_as_declared_is_left_alone() -> None:
    assert ids(plan_of()) == []


def test_from_nothing_keystone_runs_before_its_users_and_they_are_there_before_other_services() -> None:
    stages = [{change.id for change in stage} for stage in plan_of(**NOTHING).stages()]

    def stage_of(id_: str) -> int:
        (found,) = (number for number, stage in enumerate(stages) if id_ in stage)
        return found

    order = ["database/keystone", "database_user/keystone", "schema/keystone", "administrator/admin", "unit/keystone.service", "api/keystone"]
    order += ["project/service", "user/nova", "unit/placement-api.service", "api/placement", "unit/nova-conductor.service"]
    assert [stage_of(id_) for id_ in order] == sorted({stage_of(id_) for id_ in order})
    assert stage_of("file//etc/nova/nova.conf") < stage_of("schema/nova") < stage_of("cell/cell1") < stage_of("unit/nova-api.service") < stage_of("api/nova")
    assert "cell/cell0" not in {id_ for stage in stages for id_ in stage}  # made with the schema


def test_no_secret_is_shown() -> None:
    for plan in (plan_of(**NOTHING), plan_of(one=TLS, host=NOTHING["host"])):  # type: ignore[arg-type]
        shown = json.dumps([plan.diff(), plan.rows(), plan.to_json()], default=str)
        assert not [secret for secret in SECRETS if secret in shown]


@pytest.mark.parametrize(
    ("differs", "expected"),
    [
        ({"seen": {**WHOLE, "nova": Seen(False, frozenset(("nova", "nova_api")))}}, ["create database/nova_cell0", "update database_user/nova"]),
        ({"login": False}, ["update broker_user/openstack"]),
        ({"schema": dataclasses.replace(SCHEMA, current={**INSTALLED, "glance": "2:0-1"})}, ["update schema/glance"]),
        ({"schema": dataclasses.replace(SCHEMA, cells={"cell0": CELLS["cell0"]})}, ["create cell/cell1"]),
        ({"schema": dataclasses.replace(SCHEMA, cells={**CELLS, "cell1": {**CELLS["cell1"], "database": "mysql://"}})}, ["update cell/cell1"]),
        ({"key": dataclasses.replace(KEYSTONE, keys={**KEYS, "fernet": {}})}, ["create keys/fernet"]),
        ({"key": dataclasses.replace(KEYSTONE, administrator={**ADMINISTRATOR, "password": "another"})}, ["update administrator/admin"]),
        ({"users": dataclasses.replace(USERS, users={**USERS.users, "nova": {"password": "another", "roles": ["admin"]}})}, ["update user/nova"]),
        ({"users": dataclasses.replace(USERS, services={**USERS.services, "image": []})}, ["create service/glance"]),
        ({"users": dataclasses.replace(USERS, endpoints={**USERS.endpoints, "image": [("public", URLS["image"])]})}, ["update endpoint/glance"]),
        ({"host": dataclasses.replace(HOST, answering=[api for api in declaration.APIS if api != "nova"])}, ["update api/nova"]),
    ],
)
def test_each_drift_is_exactly_its_change(differs: dict[str, t.Any], expected: list[str]) -> None:
    assert ids(plan_of(**differs)) == expected


def test_an_edited_file_restarts_its_service_which_is_waited_for() -> None:
    files = {**HOST.host.files, "/etc/placement/placement.conf": {**HOST.host.files["/etc/placement/placement.conf"], "mode": "0644"}}
    seen = dataclasses.replace(HOST, host=dataclasses.replace(HOST.host, files=files))
    assert ids(plan_of(host=seen)) == ["update file//etc/placement/placement.conf"]
    files = {**files, "/etc/placement/placement.conf": {**files["/etc/placement/placement.conf"], "secret": None}}
    seen = dataclasses.replace(HOST, host=dataclasses.replace(HOST.host, files=files))
    assert ids(plan_of(host=seen)) == ["update file//etc/placement/placement.conf", "update unit/placement-api.service", "update api/placement"]


def test_older_packages_than_the_schema_are_refused() -> None:
    seen = dataclasses.replace(SCHEMA, current={**INSTALLED, "nova": "2:2-1"}, newer=["nova"])
    with pytest.raises(Invalid, match="the schema of nova is of version 2:2-1, and this host has 2:1-1"):
        plan_of(schema=seen)


def test_of_a_database_server_that_is_stopped_nothing_is_made_up() -> None:
    """Its databases are seen by their folders; what is in them is asked when it runs."""
    unknown = {service: Seen(True, frozenset(names), unknown=True) for service, names in declaration.DATABASES.items()}
    seen = {"schema": schemas.Observed(INSTALLED, dict.fromkeys(declaration.DATABASES), None), "key": keystone.Observed(KEYS, None)}
    assert ids(plan_of(seen=unknown, **seen)) == []  # type: ignore[arg-type]


def test_two_of_a_service_are_told() -> None:
    with pytest.raises(Invalid, match=r"2 services of type image \(glance, other\)"):
        plan_of(users=dataclasses.replace(USERS, services={**USERS.services, "image": ["glance", "other"]}))
    twice = [*USERS.endpoints["image"], ("public", "http://elsewhere")]
    with pytest.raises(Invalid, match="several endpoints of type image in the region RegionOne for public"):
        plan_of(users=dataclasses.replace(USERS, endpoints={**USERS.endpoints, "image": twice}))


def test_the_other_controllers_have_the_first_one_s_keys() -> None:
    theirs = {"fernet": {"2": "x", "3": "y"}, "credential": KEYS["credential"]}
    plan = keystone.Provider(OPENSTACK, SERVER, theirs).plan(KEYSTONE)
    assert ids(plan) == ["update keys/fernet"]
    assert "x" not in json.dumps(plan.diff()[0]["after"])
    assert ids(keystone.Provider(OPENSTACK, SERVER, theirs).plan(keystone.Observed(theirs, ADMINISTRATOR))) == []
    # one key alone was left by a run that was cut off
    assert ids(keystone.Provider(OPENSTACK, SERVER, {}).plan(keystone.Observed({"fernet": {"0": "a"}, "credential": {"1": "b"}}, None))) == [
        "create keys/fernet"
    ]


def test_keys_are_such_as_keystone_takes() -> None:
    keys = keystone.new_keys()
    assert {number: len(base64.urlsafe_b64decode(key)) for number, key in keys.items()} == {"0": 32, "1": 32}
    assert keys["0"] != keys["1"]


def test_the_broker_is_given_a_salted_hash() -> None:
    told = json.loads(messages.definitions("messages-secret", b"salt"))
    (user,) = told["users"]
    raw = base64.b64decode(user["password_hash"])
    assert raw == b"salt" + hashlib.sha256(b"salt" + b"messages-secret").digest()
    assert "messages-secret" not in json.dumps(told)


def test_a_broker_of_others_must_know_its_user() -> None:
    with pytest.raises(Invalid, match="does not let in openstack with this password"):
        messages.Provider(OPENSTACK, local=False, runs=True).plan(False)


def test_no_password_is_on_a_command_line() -> None:
    for service, steps in schemas.STEPS.items():
        assert not any(secret in " ".join(step) for step in steps for secret in SECRETS), service
    assert all("{password}" in cell["database"] for cell in schemas.CELLS.values())


@pytest.mark.parametrize(
    ("more", "controllers", "said"),
    [
        ({"database": {"password": "p@ss"}}, 1, "openstack.database.password has what a URL must quote"),
        ({"messages": {"password": "a/b"}}, 1, "openstack.messages.password has what a URL must quote"),
        ({"database": {"password": "a", "host": "localhost"}}, 2, "openstack.database.host is localhost"),
        ({"messages": {"password": "a", "host": "127.0.0.1"}}, 1, "openstack.messages.host is 127.0.0.1"),
        ({"workers": 0}, 1, "openstack.workers is 0"),
        ({"address": "2001:db8::1"}, 1, "openstack.address is 2001:db8::1"),
    ],
)
def test_what_cannot_be_is_told_before_it_is_tried(more: dict[str, t.Any], controllers: int, said: str) -> None:
    (text,) = declaration.problems({**DECLARED, **more}, controllers)
    assert text.startswith(said)


def test_a_right_declaration_is_no_problem() -> None:
    assert declaration.problems({**DECLARED, "database": {"password": "a", "host": "localhost"}}, 1) == []


def test_an_authority_s_file_is_for_all_to_read(tmp_path: pathlib.Path) -> None:
    """Services of several users do, and end where they cannot."""
    path = tmp_path / "ca.pem"
    assert not files.readable_by_all(str(path))
    path.touch(0o644)
    assert files.readable_by_all("/etc/passwd")
    path.chmod(0o640)
    assert not files.readable_by_all(str(path))
    tmp_path.chmod(0o700)
    path.chmod(0o644)
    assert not files.readable_by_all(str(path))
