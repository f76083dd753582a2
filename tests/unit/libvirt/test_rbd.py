# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is planned for a host's libvirt: secrets and pools compared."""

from __future__ import annotations

import base64
import dataclasses

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt import rbd, xml
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Secret

FSID = "5b8a6a02-1c7e-4d36-a5b7-3a8b0f4b8a11"
MONS = "[v2:10.0.0.2:3300/0,v1:10.0.0.2:6789/0],[v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0]"
HOSTS = (("10.0.0.1", 0), ("10.0.0.2", 0))
KEY = "AQCeGgFrXhZxNBAASKQRL4kHy9NJdCCZLTIWUw=="
OTHER_KEY = "AQAAHgFrjb99HBAARCThxf60vWZgi6iAZEpfug=="
CLIENT = "client.guests"
UUID = rbd.xml.secret_uuid(FSID, CLIENT)
USAGE = f"{CLIENT} of {FSID}"


def declared(secrets=None, pools=None, mon_host=MONS, **options):
    secrets = [{"client": CLIENT, "key": KEY}] if secrets is None else secrets
    pools = [{"name": "vms", "client": CLIENT}] if pools is None else pools
    return rbd.parse(FSID, mon_host, secrets, pools, **options)


class Handle:
    """Stands where libvirt's objects stand. Planning must not touch it."""

    def undefine(self):
        raise AssertionError("planning undefined something")


class FakeHost:
    uri = "test"


def secret_now(key=KEY, usage=USAGE, uuid=UUID, private=False):
    return rbd.SecretNow(xml.CephSecret(uuid, usage, private), None if key is None else Secret(key), Handle())


def pool_now(name="vms", active=True, autostart=True, definition=None, live=None):
    definition = definition or xml.RbdPool("vms", "vms", HOSTS, "guests", UUID)
    return rbd.PoolNow(name, "pool-uuid", active, autostart, definition, (live or definition) if active else None, Handle())


def plan(wanted, secrets=(), pools=()):
    return rbd.Provider(FakeHost(), wanted).plan(rbd.Observed({one.definition.uuid: one for one in secrets}, {one.name: one for one in pools}))


def by_id(found):
    return {change.id: (change.action, change.before, change.after) for change in found.changes}


class TestPlan:
    def test_from_nothing_the_pool_waits_for_its_secret(self):
        found = plan(declared())
        assert [[change.id for change in stage] for stage in found.stages()] == [["secret/client.guests"], ["pool/vms"]]
        assert all(change.action == "create" for change in found.changes)
        assert KEY not in str(found.diff())

    def test_nothing_where_all_is_right(self):
        assert not plan(declared(), [secret_now()], [pool_now()])

    def test_a_key_that_was_set_is_tried_on_the_pools_that_stay_as_they_are(self):
        class Living(Handle):
            def setValue(self, value, flags):
                done.append(value)

            def refresh(self, flags):
                done.append(self)

        done: list = []
        secret, pools = secret_now(OTHER_KEY), [pool_now(), pool_now("moving", autostart=False), pool_now("stopped", active=False)]
        pools[1] = dataclasses.replace(pools[1], definition=dataclasses.replace(pools[1].definition, name="moving"))
        handles = [Living() for _pool in pools]
        found = plan(
            declared(pools=[{"name": "vms", "client": CLIENT}, {"name": "moving", "pool": "vms", "client": CLIENT}]),
            [dataclasses.replace(secret, handle=Living())],
            [dataclasses.replace(pool, handle=handle) for pool, handle in zip(pools, handles)],
        )
        assert [change.id for change in found.changes] == ["secret/client.guests", "pool/moving"]
        found.changes[0].apply()
        assert done == [base64.b64decode(KEY), handles[0]]

    def test_another_order_of_monitors_is_no_difference(self):
        assert not plan(declared(mon_host="10.0.0.1,10.0.0.2:6789"), [secret_now()], [pool_now()])

    def test_a_changed_key_touches_the_secret_only(self):
        found = by_id(plan(declared(), [secret_now(OTHER_KEY)], [pool_now()]))
        assert found == {"secret/client.guests": ("update", {"key": Secret(OTHER_KEY)}, {"key": Secret(KEY)})}

    def test_a_secret_without_a_value_gets_one(self):
        assert by_id(plan(declared(), [secret_now(None)], [pool_now()]))["secret/client.guests"][1] == {"key": None}

    def test_a_private_secret_is_made_anew(self):
        assert by_id(plan(declared(), [secret_now(None, private=True)], [pool_now()]))["secret/client.guests"][1] == {"private": True, "key": None}

    @pytest.mark.parametrize(
        ("now", "before", "after"),
        [
            ({"autostart": False}, {"autostart": False}, {"autostart": True}),
            ({"active": False}, {"active": False}, {"active": True}),
            (
                {"definition": xml.RbdPool("vms", "vms", HOSTS[:1], "guests", UUID)},
                {"hosts": ["10.0.0.1"]},
                {"hosts": ["10.0.0.1", "10.0.0.2"]},
            ),
            ({"definition": xml.RbdPool("vms", "vms", HOSTS, "other", UUID)}, {"client": "client.other"}, {"client": CLIENT}),
            ({"definition": xml.RbdPool("vms", "vms", HOSTS, "guests", "u")}, {"secret": "u"}, {"secret": UUID}),
            (
                {"live": xml.RbdPool("vms", "vms", HOSTS[1:], "guests", UUID)},
                {"running with": {"hosts": ["10.0.0.2"]}},
                {"running with": {"hosts": ["10.0.0.1", "10.0.0.2"]}},
            ),
        ],
    )
    def test_drift_of_a_pool_is_named(self, now, before, after):
        assert by_id(plan(declared(), [secret_now()], [pool_now(**now)])) == {"pool/vms": ("update", before, after)}

    def test_names_that_are_taken_are_all_told(self):
        rival = secret_now(uuid="11111111-1111-1111-1111-111111111111")
        taken = rbd.PoolNow("vms", "u", True, True, None, None, Handle())
        with pytest.raises(Invalid) as caught:
            plan(declared(), [rival], [taken])
        assert [problem.split(":")[0] for problem in caught.value.problems] == ["secret client.guests", "pool vms"]

    def test_a_uuid_of_another_kind_of_secret_is_refused(self):
        with pytest.raises(Invalid, match="another kind"):
            plan(declared(), [secret_now(usage="")], [pool_now()])

    def test_what_is_to_go_goes_pools_first(self):
        wanted = declared([{"client": CLIENT, "state": "absent"}], [{"name": "vms", "state": "absent"}])
        found = plan(wanted, [secret_now()], [pool_now()])
        assert [[change.id for change in stage] for stage in found.stages()] == [["pool/vms"], ["secret/client.guests"]]
        assert not plan(wanted)

    def test_a_dry_run_may_lack_keys(self):
        wanted = declared([{"client": CLIENT, "key": None}], may_lack_keys=True)
        assert set(by_id(rbd.Provider(None, wanted).plan(rbd.Observed({}, {})))) == {"secret/client.guests", "pool/vms"}


class TestDeclaration:
    @pytest.mark.parametrize(
        ("secrets", "pools", "problem"),
        [
            ([{"client": "guests", "key": KEY}], [], "not the name of a cephx client"),
            ([{"client": CLIENT, "key": None}], [], "no key was given"),
            ([{"client": CLIENT, "key": "!!"}], [], "base64"),
            ([{"client": CLIENT, "key": KEY, "uuid": "x"}], [], "not a UUID"),
            ([{"client": CLIENT, "key": KEY}] * 2, [], "declared 2 times"),
            ([], [{"name": "vms"}], "its client is missing"),
            ([], [{"name": "vms", "client": CLIENT}], "no secret for its client"),
            ([], [{"name": "a/b", "state": "absent"}], "not a name"),
        ],
    )
    def test_mistakes_are_told(self, secrets, pools, problem):
        with pytest.raises(Invalid, match=problem):
            declared(secrets, pools)

    def test_all_mistakes_together(self):
        with pytest.raises(Invalid) as caught:
            declared([{"client": CLIENT, "key": None}], [{"name": "vms", "client": "client.x"}], mon_host="")
        assert len(caught.value.problems) == 3

    def test_a_bad_fsid(self):
        with pytest.raises(Invalid, match="fsid"):
            rbd.parse("x", MONS, [], [])

    def test_a_namespace_is_no_pool_of_libvirts(self):
        consumers = [{"name": "x", "client": CLIENT, "namespace": "tenant", "pools": [{"name": "vms"}, {"name": "scratch", "namespace": ""}]}]
        secrets, pools = rbd.of_consumers(consumers, {CLIENT: KEY})
        assert [secret["client"] for secret in secrets] == [CLIENT] and [pool["name"] for pool in pools] == ["scratch"]

    def test_consumers_become_secrets_and_pools(self):
        consumers = [
            {"name": "guests", "pools": [{"name": "vms"}, {"name": "images", "access": "ro"}]},
            {"name": "two", "client": CLIENT, "pools": [{"name": "vms"}, {"name": "more"}]},
            {"name": "other", "pools": [{"name": "vms"}]},
        ]
        secrets, pools = rbd.of_consumers(consumers, {CLIENT: KEY})
        assert secrets == [{"client": CLIENT, "key": KEY}, {"client": "client.other", "key": None}]
        assert [(pool["name"], pool["pool"], pool["client"]) for pool in pools] == [
            ("vms", "vms", CLIENT),
            ("more", "more", CLIENT),
            ("vms-other", "vms", "client.other"),
        ]


class TestNormalForms:
    """libvirt writes a UUID in lower case; a key is read back from its bytes."""

    def test_uuids_in_upper_case(self):
        upper = UUID.upper()
        assert xml.read_secret(f"<secret><uuid>{upper}</uuid></secret>").uuid == UUID
        source = f"<source><name>v</name><auth type='ceph' username='g'><secret uuid='{upper}'/></auth></source>"
        assert xml.read_pool(f"<pool type='rbd'><name>p</name>{source}</pool>").secret == UUID
        (secret,) = rbd.parse(FSID, MONS, [{"client": CLIENT, "key": KEY, "uuid": upper}], []).secrets
        assert secret.uuid == UUID

    @pytest.mark.parametrize("key", [f" {KEY}\n", KEY[:-3] + "x=="])
    def test_a_key_is_compared_by_its_bytes(self, key):
        (secret,) = rbd.parse(FSID, MONS, [{"client": CLIENT, "key": key}], []).secrets
        assert secret.key == Secret(KEY)
