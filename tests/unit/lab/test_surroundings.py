# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.cephstack.cloud.plugins.module_utils._host.config_files import block, put_block
from ansible_collections.cephstack.cloud.plugins.module_utils._lab import access, containers, surroundings, system

STANZA = """Types: deb
URIs: http://mirror.example/debian/
Suites: trixie trixie-updates

Types: deb
URIs: http://mirror.example/debian-security
Suites: trixie-security
"""


def test_mirrors_of_both_formats():
    assert surroundings.mirrors([], [STANZA]) == ("http://mirror.example/debian", "http://mirror.example/debian-security")
    lines = "# deb http://old/debian x main\ndeb [signed-by=/x] https://m/debian trixie main\ndeb http://archive.ubuntu.com/ubuntu noble main\n"
    assert surroundings.mirrors([lines], []) == ("https://m/debian", "")


def test_a_machine_of_another_distribution_has_no_mirror():
    assert surroundings.mirrors(["deb http://archive.ubuntu.com/ubuntu noble main\n", "deb cdrom:[x]/debian y main\n"], []) == ("", "")


def test_apt_settings_that_matter_and_proxies_of_the_environment():
    dump = 'APT "";\nAcquire "";\nAcquire::Check-Valid-Until "false";\nAcquire::https::Proxy "http://p:1";\nAcquire::cdrom::mount "/x";\nDir "/";\n'
    said = surroundings.apt_settings(dump, {"http_proxy": "http://localhost:3142", "https_proxy": "http://other"})
    assert said == ('Acquire::Check-Valid-Until "false";', 'Acquire::https::Proxy "http://p:1";', 'Acquire::http::Proxy "http://localhost:3142";')


def test_a_proxy_on_the_machine_is_reached_by_the_gateway():
    lines = ['Acquire::http::Proxy "http://localhost:3142";', 'Acquire::http::Proxy "http://127.0.0.1/";', 'Acquire::http::Proxy "http://localhost.example/";']
    assert surroundings.for_hosts(lines, "10.0.0.1") == [
        'Acquire::http::Proxy "http://10.0.0.1:3142";',
        'Acquire::http::Proxy "http://10.0.0.1/";',
        'Acquire::http::Proxy "http://localhost.example/";',
    ]


def test_nameservers_and_names():
    text = "search x\nnameserver 10.0.0.1\n nameserver fe80::1\n#nameserver 9.9.9.9\nnameserver 127.0.0.53\n"
    assert surroundings.nameservers(text) == [
        "10.0.0.1",
        "127.0.0.53",
    ]
    assert surroundings.other_names("127.0.0.1 localhost\n::1 localhost\n10.1.1.1 mirror # mine\n\n# x\n") == ("10.1.1.1 mirror",)


def test_testing_has_no_security_archive():
    around = surroundings.Surroundings("http://m/debian", "http://m/security", (), (), "", (), ())
    assert surroundings.sources("trixie", around)[-1] == "deb http://m/security trixie-security main"
    assert not [line for line in surroundings.sources("forky", around) if "security" in line]


def test_the_answer_of_a_host():
    hosts = put_block("127.0.0.1 localhost\n", access.NAMES, "10.0.0.2 a\n")
    text = f"degraded\n{access._CUT}\nfoo.service loaded failed failed Foo\n{access._CUT}\n{hosts}"
    assert access.parse(text) == access.Answer("degraded", ("foo.service",), "10.0.0.2 a\n")
    assert access.parse("") is None
    assert access.parse(f"running\n{access._CUT}\n") is None


def test_names_are_replaced_and_the_rest_stays():
    first = put_block("127.0.0.1 localhost\n", access.NAMES, "1 a\n")
    second = put_block(first + "9 own\n", access.NAMES, "2 b\n")
    assert block(second, access.NAMES) == "2 b\n"
    assert second.startswith("127.0.0.1 localhost\n")
    assert second.endswith("9 own\n")
    assert not block("127.0.0.1 localhost\n", access.NAMES)


def test_machines_are_known_by_their_command_lines():
    commands = {
        1: ["systemd"], 2: [], 3: ["/usr/bin/systemd-nspawn", "--quiet", "--machine=lab.a"], 4: ["systemd-nspawn", "--machine=lab-two.a"],
        5: ["qemu-system-x86_64", "-name", "lab.v", "-m", "1"], 6: ["grep", "--machine=lab.a"], 7: ["qemu-system-x86_64", "-name"],
    }  # fmt: skip
    assert system.machines(commands, "lab.") == {"a": 3, "v": 5}


def test_the_first_process_is_the_machine_and_no_helper_that_it_forks():
    nspawn = ["systemd-nspawn", "--machine=lab.a"]
    assert system.machines({12: nspawn, 11: nspawn, 13: nspawn}, "lab.") == {"a": 11}


def test_mounts_below_a_path_the_last_first():
    text = "1 0 8:1 / /c/a rw - ext4 x rw\n2 0 8:1 / /c/a/b rw - ext4 x rw\n3 0 8:1 / /c/ab rw - ext4 x rw\n4 0 8:1 / /c/a/x\\040y rw - ext4 x rw\n"
    assert system.below(text, "/c/a") == ["/c/a/x y", "/c/a/b", "/c/a"]


def test_nodes_and_names_of_disks():
    lines = containers.tmpfiles({"osd0": "/dev/loop12"}).splitlines()
    assert lines[1:] == [
        "b+ /dev/loop12 0660 root disk - 7:12",
        "L+ /dev/disk/by-id/lab-osd0 - - - - /dev/loop12",
    ]
