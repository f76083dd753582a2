# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""s3_probe against a real gateway."""

from __future__ import annotations

import json
import subprocess

import pytest
from conftest import Failed, _free_ports
from test_rgw_site import SITE, Gateway

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3_probe import PREFIX, bucket_names


@pytest.fixture(scope="module")
def rgw(cluster):
    return Gateway(cluster, "probed")


@pytest.fixture
def gateway(run, rgw):
    """A gateway with two users."""
    if not rgw.answers():
        run("rgw_site", site=SITE)
        rgw.certificate, rgw.secure = str(rgw.cluster.dir / "s3.pem"), f"127.0.0.1:{_free_ports(1)[0]}"
        make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=s3 -addext subjectAltName=DNS:s3.example.org"
        subprocess.run([*make.split(), "-keyout", f"{rgw.certificate}.key", "-out", rgw.certificate], check=True, capture_output=True)
        rgw.start(f"ssl_endpoint={rgw.secure} ssl_certificate={rgw.certificate} ssl_private_key={rgw.certificate}.key")
        run("rgw_site", endpoints=[rgw.url], users=[{"uid": "amy"}, {"uid": "ben"}])
    return rgw


@pytest.fixture
def keys(run, gateway):
    """The keys of both users."""
    return run("ceph_keys_info", users=["amy", "ben"])["s3_keys"]


@pytest.fixture
def prove(run, gateway, keys):
    """Prove the gateway, with both users' keys or those given."""

    def call(check=False, **options):
        return run("s3_probe", check=check, connection=False, **{"endpoints": [gateway.url], "keys": keys, **options})

    return call


def buckets(gateway, uid):
    return bucket_names(gateway.client.s3(gateway.credentials(uid)))


def test_every_user_is_proven_and_nothing_is_left(prove, gateway, keys):
    result = prove()
    assert not result["changed"] and result["problems"] == []
    assert [(proof["endpoint"], proof["uid"]) for proof in result["probes"]] == [(gateway.url, "amy"), (gateway.url, "ben")]
    for proof in result["probes"]:
        assert set(proof["latency"]) == {"create bucket", "put", "get", "remove"} and min(proof["latency"].values()) > 0
    assert buckets(gateway, "amy") == buckets(gateway, "ben") == []
    assert keys["amy"][0]["secret_key"] not in json.dumps({key: value for key, value in result.items() if key != "invocation"})


def test_check_mode_reaches_the_gateway_and_makes_nothing(prove, gateway):
    result = prove(check=True)
    assert result["probes"] == [] and buckets(gateway, "amy") == []


def test_what_a_killed_run_left_behind_is_removed(prove, gateway):
    credentials = gateway.credentials("amy")
    for name in (PREFIX + "0123456789abcdef", "hers"):
        gateway.client.request(credentials, "PUT", f"/{name}")
        gateway.client.request(credentials, "PUT", f"/{name}/object", None, b"left behind")
    prove(check=True)
    assert len(buckets(gateway, "amy")) == 2, "check mode removes nothing"
    prove()
    assert buckets(gateway, "amy") == ["hers"]
    assert gateway.client.request(credentials, "GET", "/hers/object") == b"left behind"


def test_a_wrong_key_a_suspended_user_and_a_full_one_are_seen(prove, gateway, keys):
    wrong = {"amy": [{**keys["amy"][0], "secret_key": "wrong"}]}
    with pytest.raises(Failed, match="SignatureDoesNotMatch"):
        prove(keys=wrong)
    gateway.admin("user", "suspend", "--uid=ben")
    try:
        with pytest.raises(Failed, match="UserSuspended"):
            prove(keys={"ben": keys["ben"]})
    finally:
        gateway.admin("user", "enable", "--uid=ben")
    # May sign in, but not make a bucket: it is named with its gateway, and the other user is proven all the same
    gateway.admin("user", "modify", "--uid=ben", "--max-buckets=-1")
    try:
        with pytest.raises(Failed) as caught:
            prove()
    finally:
        gateway.admin("user", "modify", "--uid=ben", "--max-buckets=1000")
    (problem,) = caught.value.result["problems"]
    assert problem.startswith(f"ben at {gateway.url}:")
    assert "put" in caught.value.result["probes"][0]["latency"]


def test_an_object_that_everybody_can_read_is_a_problem(prove, monkeypatch):
    """Ceph does not do that; a proxy in front of it that signs in everybody's name would."""
    from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3 import Client

    monkeypatch.setattr(Client, "status_without_key", lambda *_arguments: 200)
    with pytest.raises(Failed, match="answers 200, not 403, to somebody without a key"):
        prove()


def test_a_gateway_that_does_not_answer_is_named(prove):
    with pytest.raises(Failed, match=r"127\.0\.0\.1:1"):
        prove(endpoints=["http://127.0.0.1:1"])


def test_files_are_kept_as_objects_of_any_size(run, gateway, keys, tmp_path):
    client, credentials = gateway.client, gateway.credentials("amy")
    client.request(credentials, "PUT", "/files")
    contents = {"small": b"small", "large": bytes(range(256)) * (130 << 10), "at once": b"a" * (17 << 20), "sub/ü +": b"named", "empty": b""}
    for number, content in enumerate(contents.values()):
        (tmp_path / str(number)).write_bytes(content)
    client.request(credentials, "PUT", "/files/at once", None, contents["at once"])
    objects = [{"bucket": "files", "key": key, "owner": "amy", "path": str(tmp_path / str(number))} for number, key in enumerate(contents)]

    def keep(objects=objects, **more):
        result = run("s3_objects", connection=False, endpoints=[gateway.url], s3_keys=keys, objects=objects, **more)
        return [f"{change['action']} {change['name']}" for change in result["changes"]]

    created = [f"create files/{key}" for key in contents if key != "at once"]
    assert keep(check=True) == created
    assert keep() == created
    assert keep() == []
    assert {key: client.request(credentials, "GET", f"/files/{key}") for key in contents} == contents
    (tmp_path / "1").write_bytes(b"x" + contents["large"][1:])
    assert keep() == ["update files/large"]
    assert keep([{**one, "state": "absent"} for one in objects]) == [f"delete files/{key}" for key in contents]
    with pytest.raises(Failed, match="there is no bucket none"):
        keep([{**objects[0], "bucket": "none"}])
    client.request(credentials, "DELETE", "/files")


def test_tls_is_proven_at_the_address_for_the_name(prove, run, gateway, keys):
    secure = {"endpoints": [f"https://{gateway.secure}"], "ca_path": gateway.certificate}
    with pytest.raises(Failed, match=r"its certificate is not trusted \(as 127\.0\.0\.1: IP address mismatch"):
        prove(**secure)
    proven = prove(**secure, tls_names=["s3.example.org"])
    assert [proof["uid"] for proof in proven["probes"]] == ["amy", "ben"]
    assert not run("rgw_site", **secure, tls_names=["s3.example.org"], wait=5, users=[{"uid": "amy"}])["changed"]
    with pytest.raises(Failed, match=r"as s3\.example\.com: Hostname mismatch"):
        run("rgw_site", **secure, tls_names=["s3.example.com"], wait=1, users=[{"uid": "amy"}])
