# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rgw_site against a real cluster with a real gateway."""

from __future__ import annotations

import http.server
import json
import os
import pathlib
import subprocess
import threading
import urllib.error
import urllib.request

import pytest
from conftest import Failed, _free_ports

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3 import ApiFailed, Client, Credentials
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Secret
from ansible_collections.cephstack.cloud.plugins.plugin_utils._gateways import keystone_options

SITE = {"realm": "main", "zonegroup": "eu", "zone": "eu-1"}


def changed(result):
    return sorted(f"{change['action']} {change['kind']}/{change['name']}" for change in result["changes"])


class Gateway:
    """A gateway, and the site that it serves."""

    def __init__(self, cluster, name="a"):
        self.cluster = cluster
        self.name = f"client.rgw.{name}"
        self.port = _free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self, frontends="", zone=""):
        """Start it in that zone, or in the default one."""
        made = self.cluster.command("auth get-or-create", entity=self.name, caps=["mon", "allow rw", "mgr", "allow rw", "osd", "allow rwx tag rgw *=*"])
        keyring = self.cluster.dir / f"{self.name}.keyring"
        keyring.write_text(f"[{self.name}]\nkey = {made[0]['key']}\n")
        argv = [
            "radosgw",
            "-c",
            str(self.cluster.conf),
            "-n",
            self.name,
            "-k",
            str(keyring),
            "-f",
            "--rgw-frontends",
            f"beast endpoint=127.0.0.1:{self.port} {frontends}",
        ]
        # Whose realm changes starts anew, and would wait 2 minutes for the leases of its own former self.
        argv += ["--rgw-zone", zone, "--rgw-sync-lease-period", "10", "--rgw-meta-sync-poll-interval", "1"] if zone else []
        self.cluster.spawn(self.name, [*argv, "--rgw-data", str(self.cluster.dir), "--rgw-lc-debug-interval", "0"])
        self.cluster.wait(self.answers, 60, "the gateway")
        return self

    def answers(self):
        try:
            with urllib.request.urlopen(self.url, timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def admin(self, *arguments):
        argv = ["radosgw-admin", "-c", str(self.cluster.conf), "-k", str(self.cluster.keyring), *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": ""})
        return json.loads(done.stdout) if done.stdout.startswith(("{", "[")) else done.stdout

    def credentials(self, uid):
        key = self.admin("user", "info", f"--uid={uid}")["keys"][0]
        return Credentials(key["access_key"], Secret(key["secret_key"]))

    @property
    def client(self):
        return Client([self.url])


@pytest.fixture(scope="module")
def rgw(cluster):
    return Gateway(cluster)


@pytest.fixture
def site(run, rgw):
    """The declared site, and a gateway that serves it."""
    run("rgw_site", site={**SITE, "endpoints": [rgw.url]})
    return rgw if rgw.answers() else rgw.start()


def test_the_site_is_made_before_any_gateway(run, rgw, cluster):
    pools = cluster.command("osd lspools")
    wanted = {**SITE, "endpoints": [rgw.url], "hostnames": ["s3.example.org"]}
    everything = ["create period/main", "create realm/main", "create zone/eu-1", "create zonegroup/eu"]
    assert changed(run("rgw_site", check=True, site=wanted)) == everything
    assert cluster.command("osd lspools") == pools, "check mode makes no pools"
    assert changed(run("rgw_site", site=wanted)) == everything
    assert not run("rgw_site", site=wanted)["changed"]
    period = rgw.admin("period", "get")
    assert [zone["name"] for zone in period["period_map"]["zonegroups"][0]["zones"]] == ["eu-1"]
    assert period["period_map"]["zonegroups"][0]["hostnames"] == ["s3.example.org"]
    # With users, but no gateway yet: check mode plans, a real run says what is missing
    assert changed(run("rgw_site", check=True, site=wanted, endpoints=[rgw.url], users=[{"uid": "u"}])) == ["create user/cephstack-admin", "create user/u"]


def test_drift_of_the_site_is_mended(run, site):
    wanted = {**SITE, "endpoints": [site.url]}
    site.admin("zone", "modify", "--rgw-zone=eu-1", "--endpoints=http://127.0.0.9:1")
    seen = run("rgw_site", check=True, site=wanted)
    assert changed(seen) == ["update period/main", "update zone/eu-1"]
    assert seen["diff"][0]["before"] == {"endpoints": ["http://127.0.0.9:1"]}
    # Staged and not committed, as an interrupted run leaves it
    site.admin("zonegroup", "modify", "--rgw-zonegroup=eu", "--endpoints=http://127.0.0.9:1")
    site.admin("period", "update", "--commit")
    site.admin("zonegroup", "modify", "--rgw-zonegroup=eu", f"--endpoints={site.url}")
    site.admin("zone", "modify", "--rgw-zone=eu-1", f"--endpoints={site.url}")
    assert changed(run("rgw_site", check=True, site=wanted)) == ["update period/main"]
    run("rgw_site", site=wanted)
    assert not run("rgw_site", site=wanted)["changed"]


def test_a_user_is_made_drifts_and_is_mended(run, site):
    wanted = {
        "site": SITE,
        "endpoints": [site.url],
        "users": [
            {
                "uid": "ann", "display_name": "Ann", "email": "ann@example.org", "max_buckets": 7, "caps": {"usage": "read", "buckets": "read,write"},
                "user_quota": {"max_size": "10G", "max_objects": 1000}, "bucket_quota": {"max_size": "1G"},
            },
            {"uid": "bob", "suspended": True, "keys": [{"access_key": "BOBSKEY", "secret_key": "bobs+secret/key"}]},
        ],
    }  # fmt: skip
    planned = changed(run("rgw_site", check=True, **wanted))
    assert {"create user/ann", "create user/bob"} <= set(planned)
    result = run("rgw_site", **wanted)
    assert changed(result) == planned
    assert "bobs+secret/key" not in json.dumps(result["users"]) + json.dumps(result["diff"])
    again = run("rgw_site", **wanted)
    assert again["changes"] == []
    ann = next(user for user in again["users"] if user["uid"] == "ann")
    assert ann["caps"] == {"usage": "read", "buckets": "*"}
    assert ann["user_quota"] == {"enabled": True, "max_size": 10 << 30, "max_objects": 1000}
    assert len(site.admin("user", "info", "--uid=ann")["keys"]) == 1
    (key,) = site.admin("user", "info", "--uid=bob")["keys"]
    assert (key["user"], key["access_key"], key["secret_key"]) == ("bob", "BOBSKEY", "bobs+secret/key")
    log = (site.cluster.dir / "client.rgw.a.log").read_text(errors="replace")
    assert "bobs" not in log

    site.admin("caps", "add", "--uid=ann", "--caps=users=*")
    site.admin("user", "modify", "--uid=ann", "--max-buckets=9")
    site.admin("quota", "disable", "--uid=ann", "--quota-scope=user")
    site.admin("user", "enable", "--uid=bob")
    site.admin("key", "create", "--uid=bob", "--access-key=BOBSKEY", "--secret-key=another")
    seen = run("rgw_site", check=True, **wanted)
    assert changed(seen) == ["update user/ann", "update user/bob"]
    before = {entry["before_header"]: entry["before"] for entry in seen["diff"]}
    assert before["user/ann"]["max_buckets"] == 9
    assert before["user/ann"]["caps"] == {"usage": "read", "buckets": "*", "users": "*"}
    assert before["user/ann"]["user_quota"]["enabled"] is False
    assert before["user/bob"]["suspended"] is False
    assert set(before["user/bob"]["keys"]) == {"BOBSKEY"}
    run("rgw_site", **wanted)
    assert run("rgw_site", **wanted)["changes"] == []
    assert "users" not in [cap["type"] for cap in site.admin("user", "info", "--uid=ann")["caps"]]


def test_what_the_gateway_keeps_in_another_spelling(run, site):
    user = {"uid": "spelled", "email": "Spelled@Example.ORG", "max_buckets": -5, "caps": {"users": "write, read", "usage": "read"}}
    user.update(user_quota={"max_size": "1000", "max_objects": -7}, bucket_quota={"enabled": False, "max_size": "1M"})
    wanted = {"site": {**SITE, "endpoints": [site.url]}, "endpoints": [site.url], "users": [user]}
    run("rgw_site", **wanted)
    assert site.admin("user", "info", "--uid=spelled")["email"] == "spelled@example.org"
    assert not run("rgw_site", **wanted)["changed"]
    run("rgw_site", **{**wanted, "users": [{"uid": "spelled", "state": "absent"}]}, allow_loss=["user/spelled"])


def test_keys_that_were_not_given_go_only_allow_loss(run, site):
    wanted = {"endpoints": [site.url], "users": [{"uid": "kim", "keys": [{"access_key": "KIM1", "secret_key": "one"}]}]}
    run("rgw_site", **wanted)
    site.admin("key", "create", "--uid=kim", "--access-key=KIM2", "--secret-key=two")
    assert run("rgw_site", **wanted)["changes"] == []
    wanted["users"][0]["exclusive_keys"] = True
    with pytest.raises(Failed, match="access keys KIM2 is locked out"):
        run("rgw_site", **wanted)
    run("rgw_site", **wanted, allow_loss=["user/kim"])
    assert [key["access_key"] for key in site.admin("user", "info", "--uid=kim")["keys"]] == ["KIM1"]
    assert run("rgw_site", **wanted)["changes"] == []


def test_flags(run, site):
    wanted = {"site": SITE, "endpoints": [site.url], "users": [{"uid": "root", "system": True, "admin": True}]}
    run("rgw_site", **wanted)
    assert run("rgw_site", **wanted)["changes"] == []


def test_this_collections_own_user_is_mended(run, site):
    wanted = {"endpoints": [site.url], "users": [{"uid": "own"}]}
    run("rgw_site", **wanted)
    site.admin("caps", "rm", "--uid=cephstack-admin", "--caps=users=*")
    assert changed(run("rgw_site", **wanted)) == ["update user/cephstack-admin"]
    assert run("rgw_site", **wanted)["changes"] == []


def test_a_bucket_is_made_drifts_and_is_mended(run, site):
    wanted = {
        "site": SITE,
        "endpoints": [site.url],
        "users": [{"uid": "carl"}, {"uid": "dora"}],
        "buckets": [
            {
                "name": "nightly", "owner": "carl", "versioning": True,
                "lifecycle": [
                    {"id": "old", "noncurrent_expiration_days": 30, "abort_multipart_days": 3},
                    {"id": "logs", "prefix": "logs/", "expiration_days": 10, "enabled": False},
                ],
                "policy": {
                    "Statement": {
                        "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam:::user/dora"}, "Action": ["s3:ListBucket", "s3:GetObject"],
                        "Resource": ["arn:aws:s3:::nightly/*", "arn:aws:s3:::nightly"],
                    }
                },
                "quota": {"max_size": "1G"},
            },
            {"name": "plain", "owner": "carl"},
        ],
    }  # fmt: skip
    assert {"create bucket/nightly", "create bucket/plain"} <= set(changed(run("rgw_site", check=True, **wanted)))
    result = run("rgw_site", **wanted)
    assert [(bucket["name"], bucket["owner"]) for bucket in result["buckets"]] == [("nightly", "carl"), ("plain", "carl")]
    assert run("rgw_site", **wanted)["changes"] == []

    # It is what was declared: dora may read, and not write
    carl, dora, client = site.credentials("carl"), site.credentials("dora"), site.client
    client.request(carl, "PUT", "/nightly/a b+c", body=b"text")
    assert client.request(dora, "GET", "/nightly/a b+c") == b"text"
    with pytest.raises(ApiFailed, match="AccessDenied"):
        client.request(dora, "PUT", "/nightly/other", body=b"text")

    client.request(carl, "DELETE", "/nightly", {"policy": ""})
    site.admin("quota", "disable", "--bucket=nightly", "--quota-scope=bucket")
    site.admin("bucket", "link", "--bucket=plain", "--uid=dora")
    seen = run("rgw_site", check=True, **wanted)
    assert changed(seen) == ["update bucket/nightly", "update bucket/plain"]
    before = {entry["before_header"]: entry["before"] for entry in seen["diff"]}
    assert set(before["bucket/nightly"]) == {"policy", "quota"}
    assert before["bucket/plain"] == {"owner": "dora"}
    run("rgw_site", **wanted)
    assert run("rgw_site", **wanted)["changes"] == []

    wanted["buckets"][0].update(lifecycle=[], policy={}, versioning=False)
    assert changed(run("rgw_site", **wanted)) == ["update bucket/nightly"]
    assert run("rgw_site", **wanted)["changes"] == []


def test_what_holds_data_goes_only_allow_loss(run, site):
    wanted = {"endpoints": [site.url], "users": [{"uid": "eve"}], "buckets": [{"name": "eves", "owner": "eve"}]}
    run("rgw_site", **wanted)
    site.client.request(site.credentials("eve"), "PUT", "/eves/object", body=b"text")
    gone = {"endpoints": [site.url], "users": [{"uid": "eve", "state": "absent"}]}
    with pytest.raises(Failed, match="user eve still owns buckets: eves"):
        run("rgw_site", **gone, allow_loss=["user/eve"])
    gone["buckets"] = [{"name": "eves", "owner": "eve", "state": "absent"}]
    with pytest.raises(Failed, match="its 1 objects would be deleted") as caught:
        run("rgw_site", **gone)
    assert len(caught.value.result["refused"]) == 2
    run("rgw_site", **gone, allow_loss=["user/eve", "bucket/eves"])
    assert run("rgw_site", **gone)["changes"] == []


def test_what_is_not_declared_is_left_alone_unless_pruned(run, site):
    site.admin("user", "create", "--uid=stray", "--display-name=Stray")
    wanted = {"endpoints": [site.url], "users": [{"uid": uid} for uid in site.admin("user", "list") if uid not in ("stray", "cephstack-admin")]}
    assert run("rgw_site", **wanted)["changes"] == []
    with pytest.raises(Failed, match="delete user/stray: it is not declared"):
        run("rgw_site", **wanted, prune=["users"])
    site.admin("user", "rm", "--uid=stray")


def test_a_tenants_user_and_bucket(run, site):
    wanted = {
        "endpoints": [site.url],
        "users": [{"uid": "acme$tom", "keys": [{"access_key": "TOM", "secret_key": "toms"}]}, {"uid": "acme$tim"}],
        "buckets": [{"name": "shared", "owner": "acme$tom", "quota": {"max_objects": 5}}],
    }
    run("rgw_site", **wanted)
    assert run("rgw_site", **wanted)["changes"] == []
    wanted["users"][0]["keys"][0]["secret_key"] = "other"
    run("rgw_site", **wanted)
    assert run("rgw_site", **wanted)["changes"] == []
    wanted["buckets"][0]["state"] = "absent"
    run("rgw_site", **wanted, allow_loss=["bucket/acme/shared"])
    assert run("rgw_site", **wanted)["changes"] == []


def test_a_gateway_that_does_not_answer_is_no_empty_site(run, site):
    with pytest.raises(Failed, match=r"no object gateway answers: http://127\.0\.0\.1:1"):
        run("rgw_site", check=True, endpoints=["http://127.0.0.1:1"], users=[{"uid": "ann"}])
    # … but any of them will do
    assert run("rgw_site", endpoints=["http://127.0.0.1:1", site.url], users=[{"uid": "ann"}])["changes"] == []


def test_all_mistakes_at_once(run, site):
    with pytest.raises(Failed) as caught:
        run(
            "rgw_site",
            users=[{"uid": "a", "caps": {"users": "all"}, "user_quota": {"max_size": "4X"}}, {"uid": "a"}, {"uid": "cephstack-admin"}],
            buckets=[{"name": "b", "owner": "a", "policy": {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}}}],
        )
    assert len(caught.value.result["problems"]) == 6
    with pytest.raises(Failed, match="its owner nobody is neither declared nor there"):
        run("rgw_site", endpoints=[site.url], buckets=[{"name": "b", "owner": "nobody"}])


def test_the_keys_for_those_who_need_them(run, site):
    run("rgw_site", endpoints=[site.url], users=[{"uid": "ann"}])
    both = run("ceph_keys_info", entities=["client.admin"], users=["ann"])
    found = both["s3_keys"]["ann"]
    assert list(both["cephx_keys"]) == ["client.admin"]
    assert site.client.request(Credentials(found[0]["access_key"], Secret(found[0]["secret_key"])), "GET", "/")
    with pytest.raises(Failed, match=r"has no client\.nobody: .*; there is no user nobody"):
        run("ceph_keys_info", entities=["client.nobody"], users=["ann", "nobody"])
    lenient = run("ceph_keys_info", users=["ann", "nobody"], required=False)["s3_keys"]
    assert lenient == {"ann": found, "nobody": None}


class Keystone(http.server.BaseHTTPRequestHandler):
    """Lets nobody in, and notes who asks as whom."""

    asked: list[tuple[str, str]] = []

    def do_POST(self):
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["auth"]["identity"]["password"]["user"]
        self.asked.append((self.path, f"{said['name']} {said['password']}"))
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *unused):
        pass


def test_a_gateway_asks_keystone_for_those_who_are_not_its_own_users(run, site, cluster, tmp_path):
    password = tmp_path / "password"
    password.write_text("hush")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keystone) as keystone:
        threading.Thread(target=keystone.serve_forever, daemon=True).start()
        gateway = Gateway(cluster, "openstack")
        told = {**keystone_options(f"http://127.0.0.1:{keystone.server_address[1]}"), "rgw_keystone_admin_password_path": str(password)}
        options = {gateway.name: told}
        made = changed(run("rgw_site", options=options))
        # Not every release knows, and so needs, all of them
        assert {f"create option/{gateway.name}/{name}" for name in told if name != "rgw_keystone_api_version"} <= set(made)
        assert not run("rgw_site", options=options)["changed"]
        run("rgw_site", endpoints=[site.url], users=[{"uid": "ann"}])
        gateway.start(zone=SITE["zone"])

        own, foreign = gateway.credentials("ann"), Credentials("of-nobody-here", Secret("x"))
        assert gateway.client.request(own, "GET", "/")
        assert Keystone.asked == []
        with pytest.raises(ApiFailed):
            gateway.client.request(foreign, "GET", "/")
        assert set(Keystone.asked) == {("/v3/auth/tokens", "swift hush")}
        password.write_text("changed")
        Keystone.asked.clear()
        with pytest.raises(ApiFailed):
            gateway.client.request(foreign, "GET", "/")
        assert set(Keystone.asked) == {("/v3/auth/tokens", "swift changed")}, "the file is read anew, without a restart"
        keystone.shutdown()
    assert gateway.client.request(own, "GET", "/"), "Keystone does not answer"


def test_a_site_of_a_gateway_that_ran_without_one_is_not_hidden(run, make_cluster):
    old = make_cluster(osds=1, mgr=False, conf={"osd_pool_default_size": "1", "osd_pool_default_min_size": "1", "mon_allow_pool_size_one": "true"})
    assert run("ceph_keys_info", cluster=old, users=["old"], required=False)["s3_keys"] == {"old": None}
    gateway = Gateway(old).start()
    gateway.admin("user", "create", "--uid=old", "--display-name=Old")
    with pytest.raises(Failed, match="users and buckets of the zone default would no longer be seen"):
        run("rgw_site", cluster=old, site=SITE)
    same = {"realm": "main", "zonegroup": "default", "zone": "default", "endpoints": [gateway.url]}
    run("rgw_site", cluster=old, site=same)
    assert run("rgw_site", cluster=old, site=same)["changes"] == []
    assert gateway.admin("user", "list") == ["old"]


def test_no_cluster_yet(run):
    result = run("rgw_site", check=True, connection={"conf": "/nowhere.conf"}, site=SITE, endpoints=["http://127.0.0.1:1"], users=[{"uid": "a"}])
    assert len(result["changes"]) == 6
    assert pathlib.Path("/nowhere.conf").exists() is False
