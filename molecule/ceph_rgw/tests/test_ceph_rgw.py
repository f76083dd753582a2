# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateways serve what was declared."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3 import ApiFailed, Client, Credentials
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Secret

testinfra_hosts = ["ceph1"]
URLS = ["http://10.78.6.11:8080", "http://10.78.6.12:8080", "https://10.78.6.12:8443"]
READER = Credentials("READERSKEY", Secret("the-readers-secret"))


@pytest.fixture(scope="module")
def backup(host):
    """The user whose key was generated."""
    key = json.loads(host.check_output("radosgw-admin user info --uid=backup"))["keys"][0]
    return Credentials(key["access_key"], Secret(key["secret_key"]))


@pytest.mark.parametrize("url", URLS)
def test_every_gateway_serves_the_same_bucket(host, backup, url):
    client = Client([url], validate_certs=False)
    client.request(backup, "PUT", "/nightly/from here", body=url.encode())
    for other in URLS:
        assert Client([other], validate_certs=False).request(READER, "GET", "/nightly/from here") == url.encode()


def test_the_reader_reads_only():
    with pytest.raises(ApiFailed, match="AccessDenied"):
        Client(URLS).request(READER, "PUT", "/nightly/mine", body=b"text")


def test_nobody_gets_nothing():
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(URLS[0] + "/nightly/")


def test_the_certificate_is_the_given_one(host):
    certificate = host.file("/etc/ceph/rgw.pem").content_string.partition("-----BEGIN PRIVATE")[0].strip()
    assert ssl.get_server_certificate(("10.78.6.12", 8443)).strip() == certificate


def test_the_realm_can_grow(host):
    period = json.loads(host.check_output("radosgw-admin period get"))
    (zonegroup,) = period["period_map"]["zonegroups"]
    assert (zonegroup["name"], [zone["name"] for zone in zonegroup["zones"]]) == ("eu", ["eu-1"])
    assert sorted(zonegroup["endpoints"]) == URLS


def test_options_are_each_gateways_own(host):
    options = {(item["section"], item["name"]): item["value"] for item in json.loads(host.check_output("ceph config dump -f json"))}
    assert options["client.rgw.ceph2.tls", "rgw_dns_name"] == "s3.example.org"
    assert options["client.rgw.ceph1.s3", "rgw_frontends"] == "beast port=8080"
    assert ("client.rgw.ceph2.s3", "rgw_dns_name") not in options


def test_keystones_password_is_in_a_file_of_the_gateway_s_host_alone(host):
    dump = host.check_output("ceph config dump -f json")
    options = {(item["section"], item["name"]): item["value"] for item in json.loads(dump)}
    assert options["client.rgw.ceph1.s3", "rgw_keystone_url"] == "http://127.0.0.1:5000"
    assert ("client.rgw.ceph2.s3", "rgw_keystone_url") not in options
    assert "nobodys-services" not in dump
    file = host.file(options["client.rgw.ceph1.s3", "rgw_keystone_admin_password_path"])
    assert (file.user, file.mode, file.content_string) == ("ceph", 0o600, "nobodys-services")


def test_a_user_that_only_keystone_may_know_is_refused():
    with pytest.raises(ApiFailed):
        Client(URLS[:1]).request(Credentials("OFKEYSTONE", Secret("a-secret")), "GET", "/")
