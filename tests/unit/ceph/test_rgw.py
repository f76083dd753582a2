# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is planned for the object storage, how requests are signed, and what S3 documents mean."""

from __future__ import annotations

import datetime
import http.server
import json
import ssl
import subprocess
import threading
from unittest import mock

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import buckets, gateways
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.rgw import ADMIN_CAPS, Observed, parse, plan, tidy_perm, user_keys
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3 import ApiFailed, Client, Credentials, canonical_query, sign
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Risk, Secret, Unreachable

# -- signing: the examples of AWS, "Signature Calculations for the Authorization Header" (S3 API reference)

EXAMPLE = Credentials("AKIAIOSFODNN7EXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"))
HOST = "examplebucket.s3.amazonaws.com"
NOW = datetime.datetime(2013, 5, 24, tzinfo=datetime.timezone.utc)


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "headers", "signature"),
    [
        ("GET", "/test.txt", {}, b"", {"Range": "bytes=0-9"}, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        (
            "PUT", "/test%24file.text", {}, b"Welcome to Amazon S3.",
            {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        ("GET", "/", {"lifecycle": ""}, b"", {}, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("GET", "/", {"prefix": "J", "max-keys": "2"}, b"", {}, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)  # fmt: skip
def test_signatures_are_those_of_the_reference(method, path, query, body, headers, signature):
    assert sign(EXAMPLE, method, HOST, path, query, body, NOW, headers)["authorization"].endswith(f"Signature={signature}")


def test_a_body_may_stay_unsigned():
    assert sign(EXAMPLE, "PUT", HOST, "/", {}, b"text", NOW, sign_body=False)["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"


def test_the_query_is_in_the_order_that_is_signed():
    assert canonical_query({"uid": "a$b c", "caps": "", "user-caps": "users=*;x=read"}) == "caps=&uid=a%24b%20c&user-caps=users%3D%2A%3Bx%3Dread"


def test_no_gateway_is_no_empty_answer():
    with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:1: .*refused.*; http://127\.0\.0\.1:2: "):
        Client(["http://127.0.0.1:1", "http://127.0.0.1:2"]).request(EXAMPLE, "GET", "/")


# -- TLS: gateways are asked by their addresses, and have certificates for names


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """For names only, as an authority gives it."""
    names = ["s3.example.org", "*.s3.example.org"]
    path, key = (str(tmp_path_factory.mktemp("tls") / name) for name in ("crt.pem", "key.pem"))
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=gateway"]
    command += ["-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names), "-keyout", key, "-out", path]
    subprocess.run(command, check=True, capture_output=True)
    return path, key


@pytest.fixture
def secure(certificate):
    """Something that answers 403 to everybody, with TLS. asked: the names that clients asked for."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked.append(self.headers["Host"])
            self.send_response(403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.sni_callback = lambda _socket, name, _context: server.names.append(name)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.asked, server.names, server.url = [], [], f"https://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_certificate_for_a_name_is_verified_for_it_at_the_address(secure, certificate):
    client = Client([secure.url], ca_path=certificate[0], names=["other.example.org", "s3.example.org"])
    client.wait(0)
    with pytest.raises(ApiFailed, match="403"):
        client.request(EXAMPLE, "GET", "/")
    assert client.status_without_key("/bucket/object") == 403
    assert set(secure.names) == {"other.example.org", "s3.example.org"}
    assert set(secure.asked) == {secure.url.partition("//")[2]}, "for who asks by address, names in the path are buckets' names"


def test_a_certificate_for_another_name_or_of_nobodys_is_not_trusted(secure, certificate):
    for names, why in (([], r"\(as 127\.0\.0\.1: "), (["s3.example.com"], r"as s3\.example\.com: Hostname mismatch.*; as 127\.0\.0\.1: "), ([""], "as 127")):
        client = Client([secure.url], ca_path=certificate[0], names=names)
        with pytest.raises(Unreachable, match=f"its certificate is not trusted .*{why}"):
            client.request(EXAMPLE, "GET", "/")
        with pytest.raises(Unreachable, match=why):
            client.wait(0)
        with pytest.raises(Unreachable, match=why):
            client.status_without_key("/")
    with pytest.raises(Unreachable, match="its certificate is not trusted"):
        Client([secure.url], names=["s3.example.org"]).request(EXAMPLE, "GET", "/")
    # Who asks by a name means that name
    with pytest.raises(Unreachable, match=r"its certificate is not trusted .as localhost: Hostname mismatch[^;]*$"):
        Client([secure.url.replace("127.0.0.1", "localhost")], ca_path=certificate[0], names=["s3.example.org"]).request(EXAMPLE, "GET", "/")
    assert secure.asked == []
    with pytest.raises(ApiFailed, match="403"):
        Client([secure.url], validate_certs=False).request(EXAMPLE, "GET", "/")


# -- S3 documents


def test_lifecycle_survives_the_way_to_xml_and_back():
    rules = [
        buckets.tidy_rule({"id": "a", "expiration_days": 3}),
        buckets.tidy_rule(
            {"id": "b", "enabled": False, "prefix": "x/", "tags": {"k": "v", "n": 1}, "noncurrent_expiration_days": 9, "abort_multipart_days": 2}
        ),
        buckets.tidy_rule(
            {"id": "c", "expire_delete_markers": True, "transitions": [{"days": 9, "storage_class": "COLD"}, {"days": 3, "storage_class": "WARM"}]}
        ),
        buckets.tidy_rule({"id": "d", "tags": {"k": "v"}, "noncurrent_transitions": [{"days": 9, "storage_class": "COLD"}]}),
    ]
    assert buckets.lifecycle_from_xml(buckets.lifecycle_to_xml(rules)) == rules


def test_lifecycle_of_others_is_understood():
    xml = b"""<?xml version="1.0"?><LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
    <Rule><ID>z</ID><Prefix>old/</Prefix><Status>Enabled</Status><Expiration><Days>5</Days></Expiration></Rule>
    <Rule><ID>a</ID><Filter/><Status>Disabled</Status><Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration></Rule></LifecycleConfiguration>"""
    first, second = buckets.lifecycle_from_xml(xml)
    assert second == buckets.tidy_rule({"id": "z", "prefix": "old/", "expiration_days": 5})
    assert first["other"], "what cannot be declared must differ from everything declared"


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"id": "r"}, "does nothing"),
        ({"id": "r", "expiration_days": 0}, "1 or more"),
        ({"id": "r", "expiration_days": 1, "expire_delete_markers": True}, "exclude"),
    ],
)
def test_rules_that_s3_would_refuse(rule, text):
    assert any(text in found for found in buckets.rule_problems(rule))


def test_policies_are_compared_by_their_meaning():
    one = {
        "Statement": {"Effect": "Allow", "Principal": "*", "Action": ["s3:b", "s3:a"], "Resource": "r", "Condition": {"Bool": {"aws:SecureTransport": False}}}
    }
    two = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:a", "s3:b", "s3:a"], "Resource": ["r"],
                "Condition": {"Bool": {"aws:SecureTransport": ["false"]}},
            }
        ],
    }  # fmt: skip
    assert buckets.tidy_policy(one) == buckets.tidy_policy(json.dumps(two))
    assert buckets.tidy_policy({}) is None
    assert buckets.tidy_policy(b"") is None
    two["Statement"][0]["Effect"] = "Deny"
    assert buckets.tidy_policy(one) != buckets.tidy_policy(two)


def test_public_policies_are_known():
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}
    assert buckets.is_public(buckets.tidy_policy({"Statement": statement}))
    assert not buckets.is_public(buckets.tidy_policy({"Statement": {**statement, "Effect": "Deny"}}))
    assert not buckets.is_public(buckets.tidy_policy({"Statement": {**statement, "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}}))
    assert not buckets.is_public(buckets.tidy_policy({"Statement": {**statement, "Principal": {"AWS": "arn:aws:iam:::user/a"}}}))
    assert not buckets.is_public(None)


def test_versioning():
    assert buckets.versioning_from_xml(buckets.versioning_to_xml(True)) is True
    assert buckets.versioning_from_xml(buckets.versioning_to_xml(False)) is False
    assert buckets.versioning_from_xml(b"<VersioningConfiguration/>") is False


def test_permissions():
    assert [tidy_perm(text) for text in ("read, write", "*", "write", "read")] == ["*", "*", "write", "read"]
    with pytest.raises(ValueError, match="'all' is not a permission"):
        tidy_perm("all")


# -- planning

URLS = ["http://g:8080"]
SITE = {"realm": "r", "zonegroup": "zg", "zone": "z", "endpoints": URLS}
NONE = {"enabled": False, "max_size": -1, "max_objects": -1}


def planned(observed=None, **params):
    return plan(parse({"endpoints": URLS, **params}), observed or Observed(), mock.Mock())


def ids(result):
    return [sorted(f"{change.action} {change.id}" for change in stage) for stage in result.stages()]


def record(uid, **changed):
    keys = [{"user": uid, "access_key": "K", "secret_key": "s"}]
    return {
        "user_id": uid,
        "display_name": uid,
        "email": "",
        "suspended": 0,
        "max_buckets": 1000,
        "caps": [],
        "user_quota": NONE,
        "bucket_quota": NONE,
        "keys": keys,
        **changed,
    }


def observed(*users, **changed):
    admin = record("cephstack-admin", caps=[{"type": kind, "perm": perm} for kind, perm in ADMIN_CAPS.items()])
    records = {user["user_id"]: user for user in (admin, *users)}
    return Observed(**{"users": records, "uids": frozenset(records), **changed})


def whole_site(**changed):
    place = {"endpoints": URLS, "hostnames": [], "realm_id": "1"}
    group = {**place, "master": "z", "leads": True, "members": ["z"]}
    period = {**group, "zonegroup": "zg", "zone": "z"}
    whole = {"realms": {"r": {"id": "1"}}, "zonegroups": {"zg": group}, "zones": {"z": {**place, "master": True, "system_key": None}}, "period": period}
    return Observed(**{**whole, "lead_zonegroup": "zg", "lead_zone": "z", **changed})


def test_the_first_run_does_it_all_in_order():
    result = planned(site=SITE, users=[{"uid": "u"}], buckets=[{"name": "b", "owner": "u"}])
    assert ids(result) == [
        ["create realm/r"], ["create zonegroup/zg"], ["create zone/z"], ["create period/r"],
        ["create user/cephstack-admin"], ["create user/u"], ["create bucket/b"],
    ]  # fmt: skip


def test_a_whole_site_needs_nothing():
    assert not planned(whole_site(), site=SITE)


def test_what_was_staged_and_not_committed_is_committed():
    old = {"endpoints": ["http://old"], "hostnames": [], "zonegroup": "zg", "zone": "z", "master": "z"}
    (change,) = planned(whole_site(period=old), site=SITE).changes
    assert (change.id, change.before, change.after) == ("period/r", {"endpoints": ["http://old"]}, {"endpoints": URLS})


def test_a_realm_that_would_hide_a_zone_is_a_loss():
    place = {"endpoints": [], "hostnames": [], "realm_id": "", "master": "default", "leads": True}
    hidden = planned(Observed(zonegroups={"default": None}, zones={"default": None}), site=SITE)
    assert [change.risk for change in hidden.changes if change.kind == "realm"] == [Risk.LOSS]
    taken = planned(
        Observed(zonegroups={"default": place}, zones={"default": place}), site={"realm": "r", "zonegroup": "default", "zone": "default", "endpoints": URLS}
    )
    assert ids(taken) == [["create realm/r"], ["update zonegroup/default"], ["update zone/default"], ["create period/r"]]
    assert {change.risk for change in taken.changes} == {Risk.NONE}


EAST = ["http://east:8080"]
KEY = {"access_key": "SYSTEM", "secret_key": "system's"}


def secondary(**changed):
    """A realm that was pulled: z is a zone of this cluster, and east, of another, is the master."""
    group = {"endpoints": EAST, "hostnames": ["s3.example.org"], "realm_id": "1", "master": "east", "leads": True, "members": ["east", "z"]}
    zone = {"endpoints": URLS, "hostnames": [], "realm_id": "1", "master": False, "system_key": {**KEY, "secret_key": Secret("system's")}}
    period = {**group, "zonegroup": "zg", "zone": "z", "zone_endpoints": URLS}
    whole = {"realms": {"r": {"id": "1"}}, "zonegroups": {"zg": group}, "zones": {"z": zone}, "period": period}
    return Observed(**{**whole, "lead_zonegroup": "zg", "lead_zone": "east", **changed})


def joining(**changed):
    """The same before the zone is made."""
    have = secondary()
    group = {**have.zonegroups["zg"], "members": ["east"]}
    return secondary(zonegroups={"zg": group}, zones={}, period={**have.period, "zone": None, "zone_endpoints": []}, **changed)


@pytest.mark.parametrize("master", [None, False])
def test_a_secondary_zone_changes_nothing_of_its_master(master):
    assert not planned(secondary(), site={**SITE, "master": master})
    have = secondary()
    have.zones["z"]["endpoints"] = have.period["zone_endpoints"] = ["http://old"]
    result = planned(have, site={**SITE, "master": master})
    assert ids(result) == [["update zone/z"], ["update period/r"]]
    assert [(change.before, change.after) for change in result.changes] == [
        ({"endpoints": ["http://old"]}, {"endpoints": URLS}),
        ({"zone_endpoints": ["http://old"]}, {"zone_endpoints": URLS}),
    ]


def test_what_a_secondary_zone_staged_and_did_not_commit_is_committed():
    have = secondary()
    have.period["zone_endpoints"] = ["http://old"]
    assert ids(planned(have, site=SITE)) == [["update period/r"]]


def test_a_zone_joins_an_existing_zonegroup_as_no_master():
    result = planned(joining(), site={**SITE, "system_key": KEY})
    assert ids(result) == [["create zone/z"], ["update period/r"]]
    assert result.changes[0].after["master"] is False
    assert {change.risk for change in result.changes} == {Risk.NONE}
    assert "system's" not in json.dumps(result.diff())


def test_a_second_zonegroup_does_not_lead_the_realm():
    have = joining()
    have.period = None  # which is of the declared zonegroup
    (group, zone, period) = planned(have, site={**SITE, "zonegroup": "us", "zone": "us-1", "system_key": KEY}).changes
    assert (group.id, group.after["master"]) == ("zonegroup/us", False)
    assert (zone.id, zone.after["master"]) == ("zone/us-1", True), "each zonegroup has a master of its own"
    assert {change.risk for change in (group, zone, period)} == {Risk.NONE}


def test_a_master_is_replaced_by_name_only():
    result = planned(secondary(), site={**SITE, "master": True})
    assert ids(result) == [["update zonegroup/zg"], ["update zone/z"], ["update period/r"]]
    refused = result.refusals()
    assert len(refused) == 2 and "the zone east would no longer be the master of the zonegroup zg" in refused[1]
    assert result.refusals(["zonegroup/zg", "zone/z"]) == []


def test_a_master_that_somebody_staged_is_committed_by_name_only():
    have = secondary()
    have.zonegroups["zg"]["master"], have.zones["z"]["master"] = "z", True
    assert not planned(have, site=SITE), "it is not what was declared"
    have.zones["z"]["endpoints"] = have.period["zone_endpoints"] = ["http://old"]
    (refused,) = planned(have, site=SITE).refusals()
    assert refused.startswith("update period/r: z is staged to be the master of the zonegroup zg instead of east")
    have = secondary()
    have.zonegroups["zg"]["master"], have.zones["z"]["master"] = "z", True
    (refused,) = planned(have, site={**SITE, "endpoints": EAST, "master": True}).refusals(["zone/z", "zonegroup/zg"])
    assert "To allow it, arm it by name: period/r" in refused
    # The master itself takes back what was staged against it
    have = whole_site()
    have.zonegroups["zg"]["master"], have.zones["z"]["master"] = "other", False
    result = planned(have, site=SITE)
    assert ids(result) == [["update zone/z"], ["update period/r"]] and result.refusals() == []


def test_a_default_realm_is_replaced_by_name_only():
    (change,) = planned(whole_site(default_realm=False), site=SITE).changes
    assert (change.id, change.risk) == ("realm/r", Risk.NONE)
    (refused,) = planned(whole_site(default_realm=False, another_default="old"), site=SITE).refusals()
    assert "update realm/r: old would no longer be the default realm" in refused
    (refused,) = planned(Observed(realms={"old": None}, default_realm=False, another_default="old"), site=SITE).refusals()
    assert "create realm/r: old would no longer be the default realm" in refused


@pytest.mark.parametrize(
    ("have", "site", "text"),
    [
        (Observed(), {"master": False}, "pull the realm first"),
        (whole_site(), {"master": False}, "it is the master of the zonegroup zg"),
        (secondary(), {"zone": "east", "system_key": KEY}, "the zonegroup zg has a zone of that name on another cluster"),
        (joining(), {}, "this zone has no key for that"),
    ],
)
def test_what_goes_against_the_realm_as_it_is(have, site, text):
    with pytest.raises(Invalid, match=text):
        planned(have, site={**SITE, **site})


def test_names_of_a_zonegroup_are_its_masters():
    result = planned(secondary(), site={**SITE, "hostnames": ["other.example.org"]})
    assert not result and "only its master zone, east, changes them" in result.warnings[0]
    assert planned(secondary(), site={**SITE, "hostnames": ["s3.example.org"]}).warnings == []


def test_users_and_buckets_are_the_master_zones():
    known = observed(record("u"))
    have = secondary(users=known.users, uids=known.uids)
    assert not planned(have, site=SITE, users=[{"uid": "u"}])
    with pytest.raises(Invalid, match=r"create user/v: .* in the realm's master zone, east") as caught:
        planned(have, site=SITE, users=[{"uid": "u", "max_buckets": 1}, {"uid": "v"}], buckets=[{"name": "b", "owner": "u"}])
    assert len(caught.value.problems) == 3


def test_a_zone_of_another_realm_is_not_taken():
    place = {"endpoints": URLS, "hostnames": [], "realm_id": "2"}
    with pytest.raises(Invalid, match="the zone z belongs to another realm"):
        planned(whole_site(zones={"z": place}), site=SITE)


def test_a_user_as_declared_needs_nothing():
    user = record("u", caps=[{"type": "usage", "perm": "read"}], user_quota={"enabled": True, "max_size": 1 << 30, "max_objects": -1}, suspended=1)
    want = {"uid": "u", "caps": {"usage": "read"}, "user_quota": {"max_size": "1G"}, "suspended": True, "bucket_quota": {"enabled": False, "max_size": "5G"}}
    assert not planned(observed(user), users=[want])


def test_what_differs_of_a_user_and_no_more():
    user = record("u", caps=[{"type": "users", "perm": "*"}], email="a@b")
    (change,) = planned(observed(user), users=[{"uid": "u", "caps": {}, "max_buckets": 5, "user_quota": {"max_objects": 1}}]).changes
    assert change.before == {"max_buckets": 1000, "caps": {"users": "*"}, "user_quota": NONE}
    assert change.after == {"max_buckets": 5, "caps": {}, "user_quota": {"enabled": True, "max_size": -1, "max_objects": 1}}
    assert change.risk is Risk.NONE


def test_keys():
    have = observed(record("u"))
    given = {"uid": "u", "keys": [{"access_key": "N", "secret_key": "n"}]}
    (change,) = planned(have, users=[given]).changes
    assert (set(change.after["keys"]), change.risk) == ({"K", "N"}, Risk.NONE)
    (change,) = planned(have, users=[{**given, "exclusive_keys": True}]).changes
    assert (set(change.after["keys"]), change.risk) == ({"N"}, Risk.LOSS)
    assert not planned(have, users=[{"uid": "u", "keys": [{"access_key": "K", "secret_key": "s"}], "exclusive_keys": True}])
    (change,) = planned(observed(record("u", keys=[])), users=[{"uid": "u"}]).changes
    assert change.after == {"keys": "generated"}
    assert planned(have, users=[given]).diff()[0]["after"]["keys"]["N"].startswith("***")


def test_the_collections_own_user_is_mended_first():
    broken = observed(record("u"), record("cephstack-admin", suspended=1, keys=[]))
    result = planned(broken, users=[{"uid": "u", "max_buckets": 1}])
    assert ids(result) == [["update user/cephstack-admin"], ["update user/u"]]
    assert result.changes[0].after == {"caps": ADMIN_CAPS, "suspended": False, "keys": "generated"}


BUCKET = {"id": "1", "owner": "u", "objects": 3, "quota": NONE, "versioning": False, "lifecycle": [], "policy": None}


def test_a_bucket():
    have = observed(record("u"), record("v"), buckets={"b": BUCKET}, bucket_ids=frozenset({"b"}))
    assert not planned(have, buckets=[{"name": "b", "owner": "u", "versioning": False, "lifecycle": [], "policy": {}, "quota": {"enabled": False}}])
    (change,) = planned(have, buckets=[{"name": "b", "owner": "v", "versioning": True, "lifecycle": [{"id": "x", "expiration_days": 1}]}]).changes
    assert change.before == {"owner": "u", "versioning": False, "lifecycle": []}
    (change,) = planned(have, buckets=[{"name": "b", "owner": "u", "state": "absent"}]).changes
    assert (change.risk, change.reason) == (Risk.LOSS, "its 3 objects would be deleted")


def test_a_tenants_bucket_is_another():
    have = observed(record("t$u"), buckets={"b": BUCKET}, bucket_ids=frozenset({"b"}))
    assert ids(planned(have, buckets=[{"name": "b", "owner": "t$u"}])) == [["create bucket/t/b"]]


def test_a_user_with_buckets_stays_until_they_go():
    have = observed(record("u"), owned={"u": ["b"]}, buckets={"b": BUCKET}, bucket_ids=frozenset({"b"}))
    gone = [{"uid": "u", "state": "absent"}]
    with pytest.raises(Invalid, match="user u still owns buckets: b"):
        planned(have, users=gone)
    assert ids(planned(have, users=gone, buckets=[{"name": "b", "owner": "u", "state": "absent"}])) == [["delete bucket/b"], ["delete user/u"]]
    assert ids(planned(have, users=gone, prune=["buckets"])) == [["delete bucket/b"], ["delete user/u"]]


def test_pruning_spares_the_collections_own_user():
    have = observed(record("u"), record("stray"))
    assert ids(planned(have, users=[{"uid": "u"}], prune=["users"])) == [["delete user/stray"]]
    assert not planned(have, users=[{"uid": "u"}])


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"users": [{"uid": "u"}] * 2}, "user u is declared twice"),
        ({"users": [{"uid": "cephstack-admin"}]}, "own user"),
        ({"users": [{"uid": "u", "caps": {"users": "x"}}]}, "is not a permission"),
        ({"users": [{"uid": "u", "user_quota": {"max_size": "4X"}}]}, "'4X' is not a size"),
        ({"users": [{"uid": "u", "exclusive_keys": True}]}, "needs keys"),
        ({"users": [{"uid": uid, "keys": [{"access_key": "K", "secret_key": "s"}]} for uid in "ab"]}, "given to two users"),
        ({"users": [{"uid": "u", "state": "absent"}], "buckets": [{"name": "b", "owner": "u"}]}, "declared absent"),
        ({"buckets": [{"name": "b", "owner": "u", "policy": {"Statement": []}}]}, "no Statement"),
        ({"buckets": [{"name": "b", "owner": "u", "policy": {"Statement": {"Effect": "Allow", "Principal": "*"}}}]}, "public: true"),
        ({"buckets": [{"name": "b", "owner": "u", "lifecycle": [{"id": "r", "expiration_days": 1}] * 2}]}, "rule r is declared twice"),
        ({"users": [{"uid": "u"}], "endpoints": []}, "need endpoints"),
        ({"endpoints": ["g:8080"]}, "is not a URL"),
    ],
)
def test_what_is_written_wrongly(params, text):
    with pytest.raises(Invalid, match=text):
        parse({"endpoints": URLS, **params})


# -- the gateways of hosts


def test_gateways_of_a_host():
    instances = [
        {"name": "s3", "port": 8080},
        {"name": "tls", "port": 8443, "certificate": "/c.pem", "private_key": "/k.pem", "options": {"rgw_dns_name": "x"}},
    ]
    plain, tls = gateways.gateways("ceph1.example.org", "10.0.0.1", instances, SITE)
    assert plain["entity"] == "client.rgw.ceph1.s3"
    assert plain["daemon"]["id"] == "rgw.ceph1.s3"
    assert plain["urls"] == ["http://10.0.0.1:8080"]
    assert plain["options"] == {"rgw_frontends": "beast port=8080", "rgw_realm": "r", "rgw_zonegroup": "zg", "rgw_zone": "z"}
    assert tls["urls"] == ["https://10.0.0.1:8443"]
    assert tls["options"]["rgw_frontends"] == "beast ssl_port=8443 ssl_certificate=/c.pem ssl_private_key=/k.pem"
    assert tls["options"]["rgw_dns_name"] == "x"
    assert (plain["names"], tls["names"]) == ([], ["x"])
    assert gateways.gateways("h", "10.0.0.1", instances, {**SITE, "hostnames": ["y"]})[1]["names"] == ["x", "y"]
    assert gateways.gateways("h", "fd00::1", instances[:1], SITE)[0]["urls"] == ["http://[fd00::1]:8080"]
    changed = gateways.gateways("ceph1", "10.0.0.1", [{"name": "s3", "port": 8081}], SITE)[0]
    assert changed["daemon"]["restart_on"] != plain["daemon"]["restart_on"]
    assert gateways.short_name("10.0.0.1") == "10-0-0-1"


@pytest.mark.parametrize(
    ("address", "port", "text", "urls"),
    [
        ("10.0.0.31", 80, "beast port=80 ssl_port=443 ssl_certificate=/etc/ceph/s3.pem", ["http://10.0.0.31:80", "https://10.0.0.31:443"]),
        ("10.0.0.31", 8080, "beast endpoint=10.0.0.99:8080", ["http://10.0.0.99:8080"]),
        ("10.0.0.31", 8080, "beast port=8080 ssl_certificate=/etc/ssl/s3.pem", ["http://10.0.0.31:8080"]),
        ("10.0.0.31", 80, "beast port=80 port=8000", ["http://10.0.0.31:80", "http://10.0.0.31:8000"]),
        ("10.0.0.31", 443, "beast ssl_endpoint=10.0.0.99 ssl_certificate=config://rgw/cert/s3.pem", ["https://10.0.0.99:443"]),
        ("10.0.0.31", 80, "beast  endpoint=[fd00::9]", ["http://[fd00::9]:80"]),
        ("10.0.0.31", 7, "beast endpoint=10.0.0.98:7 endpoint=10.0.0.99:7", ["http://10.0.0.98:7", "http://10.0.0.99:7"]),
        ("10.0.0.31", 7, "beast endpoint=0.0.0.0:7 endpoint=[::]:7", ["http://10.0.0.31:7"]),
        ("fd00::1", 7, "beast endpoint=[0:0::0]:7", ["http://[fd00::1]:7"]),
        ("10.0.0.31", 7, "beast endpoint=127.0.0.1:7 ssl_endpoint=10.0.0.31:8 ssl_certificate=/c", ["https://10.0.0.31:8"]),
        ("10.0.0.31", 80, "beast port=80 tcp_nodelay=1, beast ssl_port=443 ssl_certificate=/c", ["http://10.0.0.31:80", "https://10.0.0.31:443"]),
        ("10.0.0.31", 8000, "civetweb port=10.0.0.9:8000+443s num_threads=9", ["http://10.0.0.9:8000", "https://10.0.0.31:443"]),
    ],
)
def test_addresses_follow_from_the_frontends_text(address, port, text, urls):
    (gateway,) = gateways.gateways("h", address, [{"name": "s3", "port": port, "frontends": text}], SITE)
    assert (gateway["urls"], gateway["options"]["rgw_frontends"]) == (urls, text)
    (gateway,) = gateways.gateways("h", address, [{"name": "s3", "port": port, "options": {"rgw_frontends": text}}], SITE)
    assert gateway["urls"] == urls, "the same text as an option"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("beast port=8081", "its port is 8080, and its frontends listen on 8081"),
        ("beast endpoint=10.0.0.99", "its port is 8080, and its frontends listen on 80"),
        ("beast", "its frontends name no port"),
        ("beast port=http", "port=http: 'http' is no port"),
        ("beast port=99999", "port=99999: '99999' is no port"),
        ("beast endpoint=fd00::1:8080", "endpoint=fd00::1:8080: an IPv6 address stands in brackets"),
        ("beast endpoint=ceph1:8080", "endpoint=ceph1:8080: 'ceph1' is no address"),
        ("beast endpoint=[fd00::1]8080", "endpoint=\\[fd00::1\\]8080: "),
        ("beast endpoint=127.0.0.1:8080", "only this host itself can reach it"),
        ("fastcgi socket_port=8080", "fastcgi: only beast and civetweb are read"),
        ("", "its frontends name no port"),
    ],
)
def test_frontends_that_contradict_the_port_or_nobody_can_read(text, said):
    with pytest.raises(ValueError, match=f"h: ceph_rgw_instances: s3: .*{said}"):
        gateways.gateways("h", "10.0.0.31", [{"name": "s3", "port": 8080, "options": {"rgw_frontends": text}}], SITE)


def test_gateways_that_cannot_be():
    with pytest.raises(ValueError, match="is no name for a gateway"):
        gateways.gateways("h", "1.1.1.1", [{"name": "a.b", "port": 1}], SITE)
    with pytest.raises(ValueError, match="private_key and no certificate"):
        gateways.gateways("h", "1.1.1.1", [{"name": "a", "port": 1, "private_key": "/k"}], SITE)


# -- the keys of users: what is not there, and what could not be asked


class Cluster:
    """A cluster with some pools, and radosgw-admin beside it. fail: the command that it refuses."""

    def __init__(self, pools=(), zones=(), users=(), fail=""):
        self.pools, self.zones, self.users, self.fail = pools, zones, users, fail
        self.asked = []

    def command(self, prefix):
        return {"pools": [{"pool_name": name} for name in self.pools]}

    def __call__(self, *arguments):
        self.asked.append(" ".join(arguments[:2]))
        if self.asked[-1] == self.fail:
            raise ApiFailed(f"radosgw-admin {self.fail}", 5, "failed", "Input/output error")
        return {
            "zone list": {"zones": list(self.zones)},
            "zone get": {"user_uid_pool": "default.rgw.meta:users.uid"},
            "metadata list": list(self.users),
            "user info": record("ann", keys=[{"user": "ann", "access_key": "A", "secret_key": "S"}]),
        }[self.asked[-1]]


RAN = {"pools": [".rgw.root", "default.rgw.meta"], "zones": ["default"]}


@pytest.mark.parametrize(
    ("cluster", "asked"),
    [
        (Cluster(), []),
        (Cluster([".rgw.root"]), ["zone list"]),
        (Cluster([".rgw.root"], ["default"]), ["zone list", "zone get"]),
        (Cluster(**RAN), ["zone list", "zone get", "metadata list"]),
    ],
    ids=["no gateway ever", "no zone", "a zone without users' pool", "others only"],
)
def test_keys_of_nobody_are_none_and_no_pool_is_made_by_asking(cluster, asked):
    assert user_keys(cluster, cluster, ["ann"]) == {"ann": None}
    assert cluster.asked == asked


def test_keys_of_those_who_are_there():
    cluster = Cluster(**RAN, users=["ann", "bob"])
    assert user_keys(cluster, cluster, ["ann", "nobody", "ann"]) == {"ann": [{"access_key": "A", "secret_key": "S"}], "nobody": None}


@pytest.mark.parametrize("fail", ["zone list", "zone get", "metadata list", "user info"])
def test_keys_that_could_not_be_read_are_an_error(fail):
    cluster = Cluster(**RAN, users=["ann"], fail=fail)
    with pytest.raises(ApiFailed, match="Input/output error"):
        user_keys(cluster, cluster, ["ann"])


def test_an_empty_list_of_endpoints_leaves_those_that_are_there():
    """For a run that doesn't know all gateways: neither none nor only those that are asked."""
    site = {"realm": "r", "zonegroup": "g", "zone": "z"}
    assert parse({"endpoints": URLS, "site": site}).site.endpoints == tuple(URLS)
    assert parse({"endpoints": URLS, "site": {**site, "endpoints": []}}).site.endpoints == ()
