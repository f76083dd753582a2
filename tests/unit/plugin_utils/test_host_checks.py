# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts said of themselves is judged: what a stack would run with is a warning, and what it would not run with is a problem."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.plugin_utils import _host_checks
from ansible_collections.cephstack.cloud.plugins.plugin_utils._stack import Stack

GROUPS = {"mons": ["a", "b", "c"], "mgrs": ["a"], "osds": ["a", "b", "d"], "rgws": ["d"]}
CEPH = {"ceph": {"public_network": "192.0.2.0/24", "cluster_network": "198.51.100.0/24"}}
NUMBERS = {"a": 1, "b": 2, "c": 3, "d": 4}
GIB = 1 << 30


def way(host: str, **more: t.Any) -> dict[str, t.Any]:
    address = f"192.0.2.{NUMBERS[host]}"
    return {"host": host, "address": address, "answers": True, "size": 1500, "full": True, "told": 0, "ahead": 0.0, "error": 0.001, **more}


def facts(name: str, mtu: int = 1500, cluster_mtu: int = 9000, **said: t.Any) -> dict[str, t.Any]:
    number = NUMBERS[name]
    return {
        "hostname": name,
        "interfaces": ["lo", "eth0", "bond-1"],
        "eth0": {"mtu": mtu, "ipv4": {"address": f"192.0.2.{number}"}, "ipv6": [{"address": f"2001:db8::{number}"}]},
        "bond_1": {"mtu": cluster_mtu, "ipv4": {}, "ipv4_secondaries": [{"address": f"198.51.100.{number}"}]},
        "all_ipv4_addresses": [f"192.0.2.{number}", f"198.51.100.{number}"],
        "cephstack": {
            "time": 1000.0,
            "asked": [999.0, 1001.0],
            "ways": [way(other) for other in NUMBERS if other != name],
            "rooms": [{"path": path, "total": 100 * GIB, "free": 50 * GIB} for path in ("/usr", "/var/lib/ceph")],
            "listeners": [],
            "programs": [],
            "traces": {"monitors": [], "admin": False, "osds": {}},
            **said,
        },
    }


def judge(
    groups: t.Optional[dict[str, list[str]]] = None, playing: t.Optional[list[str]] = None, given: t.Any = None, **of: t.Any
) -> tuple[list[str], list[str]]:
    """(problems, warnings), of hosts that are sound but for what is said of single ones."""
    everybody = {name: of.get(name, facts(name)) for name in NUMBERS}
    stack = Stack(groups or GROUPS, {}, lambda name: {**CEPH, **(given or {})}, lambda name, value: value, lambda name: everybody[name], playing, table={})
    stack.warnings.clear()
    for check in _host_checks.CHECKS:
        for host, text in check(stack):
            stack.say(host, text)
    return stack.problems, stack.warnings


def seen(ahead: t.Mapping[str, float], **more: t.Any) -> dict[str, t.Any]:
    """Hosts that have compared their clocks, which are so far ahead."""
    return {
        name: facts(name, ways=[way(other, ahead=ahead.get(other, 0.0) - ahead.get(name, 0.0), **more) for other in NUMBERS if other != name])
        for name in NUMBERS
    }


def test_nothing_is_said_of_sound_hosts_nor_of_those_that_were_not_asked() -> None:
    assert judge() == ([], [])
    assert judge(a={}, b={"interfaces": []}) == ([], [])
    assert judge(playing=["b", "c"], a=facts("a", rooms=[{"path": "/usr", "total": 1, "free": 0}])) == ([], [])


def test_the_clock_that_is_off_is_named_and_not_those_that_see_it() -> None:
    problems, warnings = judge(**seen({"b": 0.3}))
    assert problems == [] and len(warnings) == 1
    assert warnings[0].startswith("b: its clock is 0.3 s ahead of that of a, and monitors complain from 0.05 s on (mon_clock_drift_allowed): set up chrony")
    problems, warnings = judge(**seen({"a": -7.0}))
    assert warnings == [] and len(problems) == 1
    assert problems[0].startswith("a: its clock is 7 s behind that of b: monitors that far apart have no quorum (mon_lease)")
    assert judge(**seen({"b": 0.2}), given={"ceph_cluster_options": {"mon": {"mon_clock_drift_allowed": 0.5}}}) == ([], [])


def test_what_may_be_an_error_of_measuring_is_no_matter() -> None:
    assert judge(**seen({"b": 0.3}, error=0.27)) == ([], [])
    assert judge(**seen({"d": 0.9})) == ([], [])


def test_others_than_monitors_may_be_further_off() -> None:
    problems, warnings = judge(**seen({"d": 30.0}))
    assert problems == [] and "d: its clock is 30 s ahead" in warnings[0]
    problems, warnings = judge(**seen({"d": -1000.0}))
    assert "d: its clock is 1000 s behind" in problems[0] and "S3 refuses" in problems[0]


def test_openstack_has_a_minute() -> None:
    groups = {**GROUPS, "openstack_controllers": ["c"], "kvm_hosts": ["d"], "rgws": []}
    problems, _warnings = judge(groups, **seen({"d": 90.0}))
    (one,) = [text for text in problems if "clock" in text]
    assert one.startswith("d: ") and "service_down_time" in one


def test_where_nothing_could_be_compared_the_controller_sees_what_is_beyond_doubt() -> None:
    silent: dict[str, t.Any] = {name: facts(name, ways=[]) for name in NUMBERS}
    assert judge(**silent) == ([], [])
    silent["b"]["cephstack"].update(time=1001.9)
    assert judge(**silent) == ([], [])
    silent["b"]["cephstack"].update(time=1009.0)
    problems, _warnings = judge(**silent)
    assert problems[0].startswith("b: its clock is 7 s ahead of that of a") and len(problems) == 1
    # A whole day is nothing to timestamps of the day.
    whole = seen({})
    whole["c"]["cephstack"]["time"] = 1000.0 + 86400
    assert judge(**whole)[0][0].startswith("c: its clock is")


def test_interfaces_with_another_mtu_are_told_and_no_packet_is_blamed_for_it() -> None:
    small = facts("b", cluster_mtu=1500)
    assert judge(b=small)[1] == [
        "ceph.cluster_network: the MTU of its interfaces differs, 9000 on a, d; 1500 on b: set one MTU on all hosts and switches of this network"
    ]
    large = facts("a", mtu=9000, ways=[way("b", size=9000, full=False)])
    problems, warnings = judge(a=large)
    assert problems == [] and warnings[0].startswith("ceph.public_network: the MTU of its interfaces differs, 9000 on a; 1500 on b, c, d")


def test_packets_of_full_size_that_are_lost_are_a_problem_of_a_new_host() -> None:
    ways = [way("b", size=9000, full=False), way("c", size=9000, full=False), way("d", size=9000)]
    big: dict[str, t.Any] = {name: facts(name, mtu=9000) for name in "bcd"}
    problems, warnings = judge(a=facts("a", mtu=9000, ways=ways), **big)
    assert warnings == [] and problems[0].startswith(
        "a: packets of 9000 bytes, its MTU, do not come through to b (192.0.2.2), c (192.0.2.3), and small ones do: something between"
    )
    problems, warnings = judge(a=facts("a", mtu=9000, ways=ways, traces={"monitors": ["ceph-a"], "admin": True, "osds": {}}), **big)
    assert problems == [] and warnings[0].startswith("a: packets of 9000 bytes")
    # One that is down, and a router that says what it takes, which TCP goes by.
    for harmless in (way("b", answers=False, full=False), way("b", full=False, told=1400)):
        assert judge(a=facts("a", ways=[harmless])) == ([], [])


def test_a_vlan_keeps_its_point() -> None:
    """Ansible's facts have bond-1.200 as bond_1.200."""
    tagged = {**facts("d", cluster_mtu=1500), "interfaces": ["eth0", "bond-1.200"]}
    tagged["bond_1.200"] = tagged.pop("bond_1")
    assert "1500 on d" in "".join(judge(d=tagged)[1])


def test_an_osd_host_needs_the_cluster_network() -> None:
    without = facts("d")
    assert judge(d={name: value for name, value in without.items() if name != "bond_1"})[0] == [], "it has one, wherever"
    del without["bond_1"], without["all_ipv4_addresses"][1]
    assert judge(d=without)[0][0].startswith("d: has no address in ceph.cluster_network (198.51.100.0/24), and OSDs do not start without")
    without = facts("c")
    del without["bond_1"]
    assert judge(c=without) == ([], [])


@pytest.mark.parametrize(("free", "words"), [(4, "4 % (4 GiB) are free"), (20, "")])
def test_a_monitors_store_needs_room(free: int, words: str) -> None:
    rooms = [{"path": "/usr", "total": 100 * GIB, "free": 50 * GIB}, {"path": "/var/lib/ceph", "total": 100 * GIB, "free": free * GIB}]
    problems, warnings = judge(a=facts("a", rooms=rooms), d=facts("d", rooms=rooms))
    assert len(problems) == bool(words) and len(warnings) == (not words)
    assert "a: " in (problems + warnings)[0] and words in (problems + warnings)[0]
    assert judge(a=facts("a", rooms=rooms), given={"ceph_cluster_options": {"mon": {"mon_data_avail_warn": 3, "mon_data_avail_crit": 1}}}) == ([], [])


def test_packages_need_room_until_they_are_there() -> None:
    rooms = [{"path": "/usr", "total": 100 * GIB, "free": GIB // 4}]
    problems, _warnings = judge(d=facts("d", rooms=rooms))
    assert problems == ["d: 0.25 GiB are free in /usr, and the packages of osds, rgws need about 0.8 GiB there: make room, or give it a larger disk"]
    assert judge(d=facts("d", rooms=rooms, programs=["radosgw", "ceph-osd"])) == ([], [])


def held(port: int, address: str, program: str = "", unit: str = "", name: str = "") -> dict[str, t.Any]:
    return {"port": port, "address": address, "program": program, "name": name, "unit": unit}


def test_a_port_that_something_else_holds_is_told_with_what_holds_it() -> None:
    problems, _warnings = judge(
        a=facts("a", listeners=[held(3300, "0.0.0.0", "nginx", "nginx.service"), held(6789, "192.0.2.1", "ceph-mon", "ceph-mon@a.service")]),
        b=facts("b", listeners=[held(3300, "127.0.0.1", "nginx"), held(8080, "0.0.0.0", "nginx"), held(6789, "::", "python3.13", "", "ceph-mon")]),
        d=facts("d", listeners=[held(8080, "::", "java", "tomcat.service")]),
    )
    assert problems == [
        "a: port 3300, on which its monitor is to listen, is held by nginx (nginx.service): stop that",
        "d: port 8080, on which the object gateway s3 is to listen, is held by java (tomcat.service): stop that, or give the gateway another port "
        "(ceph_rgw_instances)",
    ]
    groups = {**GROUPS, "nfs_gateways": ["c"]}
    assert "is held by the kernel (its NFS server" in judge(groups, c=facts("c", listeners=[held(2049, "0.0.0.0")]))[0][0]


def test_two_roles_of_a_host_that_want_one_port_are_told() -> None:
    problems, _warnings = judge({**GROUPS, "cloudstack_management": ["d"]})
    assert (
        "d: CloudStack's management server and the object gateway s3 would both listen on port 8080: give the gateway another port (ceph_rgw_instances)"
        in problems
    )


OSD = {"/var/lib/ceph/osd/ceph-0": "11111111-2222-3333-4444-555555555555"}


def test_no_new_cluster_is_made_where_all_monitors_lost_their_stores() -> None:
    left = facts("d", traces={"monitors": [], "admin": False, "osds": OSD})
    problems, _warnings = judge(d=left)
    assert problems[0].startswith(
        "no host of mons has a monitor's store, and there are OSDs of the cluster 11111111-2222-3333-4444-555555555555 (/var/lib/ceph/"
    )
    assert judge(d=left, given={"ceph": {**CEPH["ceph"], "fsid": "99999999-2222-3333-4444-555555555555"}}) == ([], [])
    assert judge(d=left, given={"ceph_osd_allow_loss": ["device//var/lib/ceph/osd/ceph-0"]}) == ([], [])
    # One has its store, or was not asked: whoever bootstraps looks for it.
    assert judge(d=left, c=facts("c", traces={"monitors": ["ceph-c"], "admin": True, "osds": {}})) == ([], [])
    assert judge(d=left, c={}) == ([], [])
    admin = facts("b", traces={"monitors": [], "admin": True, "osds": {}})
    assert judge(b=admin)[0][0].startswith("b: it has /etc/ceph/ceph.client.admin.keyring, and no host of mons has a monitor's store")


def test_each_host_tries_the_way_to_the_monitors_and_to_some_others() -> None:
    groups = {"mons": ["h05"], "osds": [f"h{number:02}" for number in range(20)]}
    assert _host_checks.peers_of("h18", groups, {}) == ["h05", "h19", "h00", "h01", "h02"]
    assert _host_checks.peers_of("h05", groups, {}) == ["h06", "h07", "h08", "h09"]
    assert _host_checks.peers_of("other", groups, {}) == []
