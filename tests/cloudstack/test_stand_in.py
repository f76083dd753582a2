# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in answers as the real server did: what was asked of that one (data/exchanges.jsonl) is asked again, in the same order."""

from __future__ import annotations

import json
import pathlib
import re
import threading
import time
import typing as t

import pytest
from standin import gateway, wire

pytestmark = pytest.mark.stand_in

DATA = pathlib.Path(__file__).parent / "data"
EXCHANGES = [json.loads(line) for line in (DATA / "exchanges.jsonl").read_text(encoding="utf-8").splitlines()]
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# What is not of the API, but of hosts and of Ceph: no host at an address, a wrong password, no pool of that name.
_ELSEWHERE = ("http://10.77.0.77", '"password": "wrong", "url"', "@10.77.0.11/nopool")
_GATEWAY = "http://10.77.0.11:7480"
# What the stand-in has fewer of, or in other numbers.
_FEWER = {"listNetworkOfferings", "listRoles", "listTemplates", "listHosts", "listStorageTags"}
# Keys that a row has by chance, of what else was done on that server.
_CHANCE = {"tags", "jobid", "jobstatus", "accountdetails", "user", "details", "service"}


class Replay:
    """Ask a fresh stand-in what was asked of the real server. Ids are those that the stand-in gave in the place of the recorded ones."""

    def __init__(self, url: str) -> None:
        self.server = wire.StandIn()
        self.url = url
        self.cookies: dict[str, str] = {}
        self.user = self.server.state.rows("users", username="admin")[0]
        names = {row["name"]: row["id"] for row in self.server.state.rows("network_offerings")}
        # The list of offerings was cut when it was recorded.
        self.ids = {
            "bdb9a6d1-9ac1-4928-9cf6-60990b270b74": names["DefaultL2NetworkOffering"],
            "cea37020-b865-48af-a42a-7ddf92a22873": names["DefaultL2NetworkOfferingVlan"],
        }

    def ask(self, exchange: t.Mapping[str, t.Any]) -> tuple[int, dict[str, t.Any]]:
        sent = {key: self.ours(str(value)) for key, value in exchange["params"].items()}
        sent["command"] = exchange["command"]
        if "sessionkey" in sent:
            sent["sessionkey"] = self.cookies["sessionkey"]
        elif exchange["command"] != "login":
            sent["apikey"] = self.user["apikey"]
            sent["signature"] = "wrong" if exchange["status"] == 401 else wire.signature(sent, self.user["_secretkey"])
        status, envelope, _headers = self.server.answer(sent, self.cookies)
        (body,) = envelope.values()
        self.cookies = {"sessionkey": body["sessionkey"]} if "sessionkey" in body else self.cookies
        (theirs,) = exchange["body"].values()
        self.learn(theirs, body)
        return status, envelope

    def ours(self, text: str) -> str:
        """A recorded text as this server would say it."""
        return _UUID.sub(lambda match: self.ids.get(match.group(), match.group()), text.replace(_GATEWAY, self.url))

    def learn(self, theirs: t.Any, ours: t.Any) -> None:
        if isinstance(theirs, dict) and isinstance(ours, dict):
            for key in set(theirs) & set(ours):
                self.learn(theirs[key], ours[key])
        elif isinstance(theirs, list) and isinstance(ours, list):
            for left, right in zip(theirs, ours):
                self.learn(left, right)
        elif isinstance(theirs, str) and isinstance(ours, str) and _UUID.fullmatch(theirs):
            self.ids.setdefault(theirs, ours)


def differences(theirs: t.Any, ours: t.Any, where: str) -> t.Iterator[str]:
    """Where two answers are not of one form: other keys, or a value of another type."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        missing, more = set(theirs) - set(ours) - _CHANCE, set(ours) - set(theirs) - _CHANCE
        if missing or more:
            yield f"{where}: missing {sorted(missing)}, more {sorted(more)}"
        for key in set(theirs) & set(ours) - _CHANCE:
            yield from differences(theirs[key], ours[key], f"{where}.{key}")
    elif isinstance(theirs, list) and isinstance(ours, list):
        if theirs and ours:
            yield from differences(theirs[0], ours[0], f"{where}[0]")
    elif type(theirs) is not type(ours):
        yield f"{where}: {theirs!r}, not {ours!r}"


@pytest.fixture
def replay() -> t.Iterator[Replay]:
    server, gateways, url = gateway.serve()
    gateways.users["admin"]["keys"] = gateway.Keys("AKADMIN", "SKADMIN0123456789")
    yield Replay(url)
    server.shutdown()
    server.server_close()


def test_the_stand_in_answers_as_the_real_server_did(replay: Replay) -> None:
    found: list[str] = []
    compared = 0
    for exchange in EXCHANGES:
        command, text = exchange["command"], json.dumps(exchange)
        if any(part in text for part in _ELSEWHERE):
            continue
        if command == "addHost" and "Simulator" in text:  # this cluster's making was not recorded
            params = {key: exchange["params"][key] for key in ("zoneid", "podid", "hypervisor")}
            params.update(clustername="sim1", clustertype="CloudManaged")
            body = {"addclusterresponse": {"cluster": [{"id": exchange["params"]["clusterid"]}]}}
            replay.ask({"command": "addCluster", "params": params, "status": 200, "body": body})
        status, envelope = replay.ask(exchange)
        deadline = time.monotonic() + 5
        while command == "queryAsyncJobResult" and not envelope["queryasyncjobresultresponse"]["jobstatus"] and time.monotonic() < deadline:
            time.sleep(0.01)
            status, envelope = replay.ask(exchange)
        ((their_name, theirs),) = exchange["body"].items()
        ((our_name, ours),) = envelope.items()
        here = f"{command} {json.dumps(exchange['params'])}"
        compared += 1
        if (status, our_name) != (exchange["status"], their_name):
            found.append(f"{here}: {exchange['status']} {their_name}, not {status} {our_name} {ours.get('errortext', '')}")
        elif "errortext" in theirs:
            wanted = {**theirs, "errortext": replay.ours(theirs["errortext"]), "uuidList": [{"uuid": replay.ours(one["uuid"])} for one in theirs["uuidList"]]}
            if _numbers(wanted) != _numbers(ours):
                found.append(f"{here}: {wanted}, not {ours}")
        elif command == "queryAsyncJobResult":
            found += differences(
                {"jobresult": theirs["jobresult"], "jobstatus": theirs["jobstatus"]}, {key: ours[key] for key in ("jobresult", "jobstatus")}, here
            )
        elif command not in _FEWER:
            found += differences(theirs, ours, here)
    assert not found, "\n".join(found)
    assert compared > 110


def _numbers(body: t.Any) -> str:
    """An error without the rows' numbers in the database."""
    return re.sub(r'(\\?"id\\?":|id:) ?\\?"?\d+\\?"?', "id", json.dumps(body))


def test_two_ranges_at_once_end_one_of_them(replay: Replay) -> None:
    """The database does so with two who number addresses of one zone; clients take turns."""
    call = [exchange for exchange in EXCHANGES if exchange["status"] == 200]
    for exchange in call[: next(number for number, one in enumerate(call) if one["command"] == "createPod")]:
        replay.ask(exchange)
    pod = next(exchange for exchange in call if exchange["command"] == "createPod")
    pods = []
    for number in range(2):
        params = {
            **pod["params"],
            "name": f"p{number}",
            **{key: pod["params"][key].replace(".77.", f".{90 + number}.") for key in ("gateway", "startip", "endip")},
        }
        pods.append({**pod, "params": params})
    answers: list[int] = []
    threads = [threading.Thread(target=lambda one=one: answers.append(replay.ask(one)[0])) for one in pods]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 530]


def test_parameters_are_those_of_the_real_server(replay: Replay) -> None:
    def ask(command: str, **params: t.Any) -> tuple[int, dict[str, t.Any]]:
        for exchange in () if replay.user.get("apikey") else EXCHANGES[1:5]:
            replay.ask(exchange)
        status, envelope = replay.ask({"command": command, "params": params, "status": 0, "body": {"": {}}})
        return status, next(iter(envelope.values()))

    assert ask("createZone", name="z")[0] == 431
    status, said = ask("createZone", name="z", networktype="Advanced", dns1="10.0.0.1")
    assert (status, "missing parameter internaldns1" in said["errortext"]) == (431, True)
    status, said = ask("createZone", name="z", networktype="Advanced", dns1="10.0.0.1", internaldns1="10.0.0.1", nosuch="1")
    assert (status, "nosuch" in said["zone"]) == (200, False)
    assert ask("listZones", page=1)[0] == 431
    assert ask("listZones", page=2, pagesize=10)[1] == {"count": 1}
    assert ask("listZones", name="other")[1] == {}
    assert ask("migrateVirtualMachine", virtualmachineid=said["zone"]["id"])[0] == 530  # known, but not done
