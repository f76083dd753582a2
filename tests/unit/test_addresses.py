# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which address of a host the roles use, with the variables of made-up hosts."""

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.tests.unit.templating import answers, question


def facts(*addresses, default=None, **more):
    of_family = {"all_ipv4_addresses": [one for one in addresses if ":" not in one], "all_ipv6_addresses": [one for one in addresses if ":" in one]}
    return {**of_family, **({f"default_ipv{6 if ':' in default else 4}": {"address": default}} if default else {}), **more}


NAME = "cloud1.example.org"


@pytest.mark.parametrize(
    ("variables", "address", "in_url"),
    [
        ({"ansible_host": "10.0.0.9"}, "10.0.0.9", "10.0.0.9"),
        ({"ansible_host": "cloud1.example.net"}, "cloud1.example.net", "cloud1.example.net"),
        ({"ansible_ssh_host": "10.0.0.9"}, "10.0.0.9", "10.0.0.9"),
        ({"ansible_host": "fd00::9"}, "fd00::9", "[fd00::9]"),
        ({}, NAME, NAME),
        ({"ansible_facts": facts("10.9.9.9", "10.0.0.8", default="10.0.0.8")}, "10.0.0.8", "10.0.0.8"),
    ],
)
def test_a_host_is_reached_by_one_address_whoever_asks(variables, address, in_url):
    hosts, groups = {NAME: variables, "kvm1": {}}, {"cloudstack_management": [NAME], "xen_pool_hosts": [NAME]}
    given = {"cloudstack_management_group": "cloudstack_management", "cloudstack": {}, "xen_pool": {"repositories": []}}
    zones = "[{'pods': [{'clusters': [{'hosts': [{'address': '" + NAME + "'}]}]}]}] | cephstack.cloud.cloudstack_hosts(hostvars)"
    kvm, url, pool, zone = answers(
        [
            question("__kvm_host_server_addresses", "kvm_host", hosts, groups, "kvm1", **given),
            question("__cloudstack_management_url", "cloudstack_management", hosts, groups, NAME, **given),
            question("__xen_pool_addresses", "xen_pool", hosts, groups, NAME, **given),
            question(zones, "cloudstack_region", hosts, groups, NAME, **given),
        ]
    )
    assert [kvm, url, pool] == [[address], f"http://{in_url}:8080/client/api", [address]]
    assert zone[0]["pods"][0]["clusters"][0]["hosts"] == [{"address": address}]


def test_a_management_server_tells_the_others_an_address_that_it_has():
    groups = {"cloudstack_management": ["cloud1"]}
    both = facts("10.0.0.9", "10.1.0.9", default="10.1.0.9")
    cases = [
        ({"ansible_host": "10.0.0.9", "ansible_facts": both}, "10.0.0.9"),
        ({"ansible_host": "192.0.2.1", "ansible_facts": both}, "10.1.0.9"),
        ({"ansible_facts": facts("10.0.0.9")}, "10.0.0.9"),
        ({"ansible_facts": {}}, "127.0.0.1"),
    ]
    asked = [question("__cloudstack_management_address", "cloudstack_management", {"cloud1": variables}, groups, "cloud1") for variables, _ in cases]
    assert answers(asked) == [address for _, address in cases]


def test_without_management_servers_there_is_no_url_to_fail_for():
    given = {"cloudstack": {"url": "https://cloud.example.org/client/api"}, "cloudstack_management_group": "cloudstack_management"}
    assert answers([question("__cloudstack_management_url", "cloudstack_management", {"kvm1": {}}, {}, "kvm1", **given)]) == [given["cloudstack"]["url"]]
