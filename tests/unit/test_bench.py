# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts region and openstack of the benchmarks declare, and how they read what was measured. Nothing is measured here."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import pathlib
import sys
import threading
import typing as t

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import region
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bench() -> t.Any:
    sys.path.insert(0, str(ROOT / "tests" / "bench"))
    import region as part

    return part


@pytest.fixture(scope="module")
def catalogue(bench: t.Any) -> t.Any:
    import catalogue as part

    return part


@pytest.mark.parametrize("count", [1, 10, 11, 50, 51, 100, 300])
def test_the_declared_region_is_one(bench: t.Any, count: int) -> None:
    declared = bench.declared(f"c{count:03}", count, 0.71)
    parsed = ArgumentSpecValidator(arguments(region.OPTIONS)).validate(declared)
    assert not parsed.error_messages
    assert region.declared_problems(parsed.validated_parameters) == []
    plan, _sheet = region.plan(parsed.validated_parameters, Region(None))
    kinds = [change.kind for change in plan.changes]
    assert kinds.count("host") == count
    assert kinds.count("cluster") == -(-count // 10)
    assert kinds.count("pod") == -(-count // 50)
    assert {"zone", "setting", "primary_storage", "disk_offering", "service_offering", "vlan_range"} <= set(kinds)
    clusters = {host["cluster"] for host in bench.named(declared)}
    assert not [(one, other) for one in clusters for other in clusters if one != other and one in other], "the server looks for a part of the name"


def test_existing_hosts_keep_their_clusters(bench: t.Any) -> None:
    declared = bench.declared("c012", 12, 0.71)
    rows = [{"name": f"Simulated.{number}", "clustername": host["cluster"]} for number, host in enumerate(bench.named(declared))]
    named = bench.named(declared, rows[::-1])
    assert sorted((host["name"], host["cluster"]) for host in named) == sorted((row["name"], row["clustername"]) for row in rows)
    with pytest.raises(SystemExit):
        bench.named(declared, rows[1:])


def test_what_was_measured_is_read(bench: t.Any) -> None:
    hosts = {"changed": True, "results": [{"changed": True}, {"changed": False}, {"changed": False, "skipped": True}]}
    run = bench.read({"marks": [10.0, 10.5, 13.0], "done": {"bench_zone": {"changed": False}, "bench_hosts": hosts}}, 7)
    assert run == bench.Run(2.0, 7, 3, 1, ["hosts"])


def test_a_loop_that_was_cut_off_is_never_shown_as_whole(bench: t.Any) -> None:
    ours, whole = bench.Run(2.0, 20, 1, 0, []), bench.Run(100.0, 500, 120, 0, [])
    assert bench.line("x", [ours], [whole]) == "| x | 2.00 s, 20 calls | 100.00 s, 500 calls | 50× |"
    assert bench.line("x", [ours], []) == "| x | 2.00 s, 20 calls | not run | |"
    bench.notes.clear()
    assert bench.line("x", [ours], [whole._replace(cut=3)]) == "| x | 2.00 s, 20 calls | > 100.00 s, > 500 calls | > 50× |"
    assert "3 of 123 objects" in bench.notes.pop()


@pytest.mark.parametrize("ended", [None, KeyboardInterrupt, SystemExit])
def test_the_hosts_are_removed_however_it_ends(bench: t.Any, monkeypatch: pytest.MonkeyPatch, ended: t.Optional[type[BaseException]]) -> None:
    played: list[str] = []

    def play(lab: t.Any, playbook: str, lab_state: str) -> float:
        played.append(lab_state)
        if ended and lab_state == "up":  # while they are being made
            raise ended
        return 0.0

    monkeypatch.setattr(bench.Lab, "play", play)
    with pytest.raises(ended) if ended else contextlib.nullcontext(), bench.Lab({}, {}) as lab:
        lab.up({"cloud1": "10.78.20.11"}, {"cloudstack_management": ["cloud1"]})
    assert played == ["up", "down"]
    assert not pathlib.Path(lab.folder.name).exists()
    with bench.Lab({}, {}, keep=True) as lab:
        pass
    assert played == ["up", "down"]


class Api(http.server.BaseHTTPRequestHandler):
    """Answers with what it was asked, and drops each second connection."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("X-Subject-Token", "t")
        self.send_header("Content-Length", str(len(body) + len(self.path)))
        self.end_headers()
        self.wfile.write(self.path.encode() + body)

    def do_DELETE(self) -> None:
        self.send_response(204)
        self.end_headers()
        self.close_connection = True  # without saying so

    def log_message(self, *unused: object) -> None:
        pass


def test_the_proxy_hands_on_and_counts(catalogue: t.Any) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api) as api, catalogue.Proxy("127.0.0.1") as proxy:
        threading.Thread(target=api.serve_forever, daemon=True).start()
        there = f"http://127.0.0.1:{api.server_address[1]}/v3/auth?nocatalog"
        client = http.client.HTTPConnection(proxy.url.removeprefix("http://"), timeout=10)
        for body in (b"one", b"two"):
            client.request("POST", there, body)
            answer = client.getresponse()
            assert (answer.status, answer.headers["X-Subject-Token"], answer.read()) == (201, "t", b"/v3/auth?nocatalog" + body)
            client.request("DELETE", there)
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (204, b"")
        client.close()
        assert proxy.count == 4
        api.shutdown()
