# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateways of hosts."""

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.plugin_utils import _object_gateways as gateways

SITE = {"realm": "r", "zonegroup": "zg", "zone": "z", "endpoints": ["http://g:8080"]}


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


def test_an_instance_s_own_options_come_before_those_of_all():
    keystone = {"rgw_keystone_url": "http://k:5000", "rgw_s3_auth_order": "sts, local, external"}
    plain, told, own = (
        gateways.gateways("ceph1", "10.0.0.1", [{"name": "s3", "port": 8080, "options": options}], SITE, more)[0]
        for options, more in (({}, None), ({}, keystone), ({"rgw_s3_auth_order": "local"}, keystone))
    )
    assert told["options"] == {**plain["options"], **keystone}
    assert own["options"] == {**told["options"], "rgw_s3_auth_order": "local"}
    assert len({one["daemon"]["restart_on"] for one in (plain, told, own)}) == 3, "a gateway that has not read them restarts"


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
