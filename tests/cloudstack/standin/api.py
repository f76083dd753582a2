# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands: what a request may say, who handles it, and what of the answer is shown. All of that is the real server's own listApis."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import threading
import typing as t
import uuid

from standin.state import Row, State, now

DATA = pathlib.Path(__file__).resolve().parents[1] / "data"
PAGE = 500  # default.page.size
# What comes out of the rule "the command in lower case and response".
_ENVELOPES = {
    "addImageStoreS3": "addImageStoreS3Response",
    "enableStorageMaintenance": "prepareprimarystorageformaintenanceresponse",
    "cancelStorageMaintenance": "cancelprimarystoragemaintenanceresponse",
    "listSecondaryStagingStores": "listsecondarystagingstoreresponse",
}
# Where listApis tells another command's answer than the one that is given (seen).
_ANSWERS = {"listTrafficTypes": "addTrafficType"}
# cserrorcode of an exception's class
_CSERRORS = {430: 9999, 431: 4350, 530: 4250, 531: 4365}


class Refused(Exception):
    """The server says no. code: also the HTTP status. cs: of the class of Java's exception, where it is not the usual one of the code."""

    def __init__(self, code: int, text: str, cs: t.Optional[int] = -1, uuids: t.Sequence[str] = ()) -> None:
        self.code, self.text, self.uuids = code, text, uuids
        self.cs = _CSERRORS.get(code) if cs == -1 else cs
        super().__init__(text)

    def body(self) -> Row:
        said: Row = {"uuidList": [{"uuid": one} for one in self.uuids], "errorcode": self.code}
        if self.cs is not None:
            said["cserrorcode"] = self.cs
        return {**said, "errortext": self.text}


def internal(text: str) -> Refused:
    """What the server did not foresee: 530 of the general kind."""
    return Refused(530, text, 9999)


class Call:
    """One request: its parameters, checked and typed, and what it may look at."""

    def __init__(self, server: t.Any, command: str, params: Row, user: Row) -> None:
        self.server, self.command, self.params, self.user = server, command, params, user
        self.state: State = server.state

    def __getitem__(self, name: str) -> t.Any:
        return self.params[name]

    def get(self, name: str, default: t.Any = None) -> t.Any:
        return self.params.get(name, default)

    def given(self, *names: str) -> Row:
        """Those parameters that were given."""
        return {name: self.params[name] for name in names if name in self.params}

    def row(self, table: str, name: str = "id") -> Row:
        """The row that a parameter names. Raises Refused where there is something of that id, but of another kind."""
        row = self.state.get(table, self.params.get(name))
        if not row:
            raise self.server.api.invalid(self.command, name, self.params.get(name))
        return row


@dataclasses.dataclass(frozen=True)
class Command:
    """How a command is handled.

    shape: of what the handler returns: "one" (a row under the key), "list" (rows, paged), "rows" (rows, all of them), "done", "raw".
    creates: for asynchronous commands, whether the object is made, or refused, before the job begins; else the whole of it is the job.
    locked: whether it runs while nothing else does.
    """

    name: str
    handler: t.Callable[[Call], t.Any]
    key: str
    shape: str
    creates: str
    locked: bool


COMMANDS: t.Dict[str, Command] = {}


def command(name: str, key: str = "", shape: str = "one", creates: str = "", locked: bool = True) -> t.Callable[[t.Any], t.Any]:
    """Register a handler. key: of the object in an answer."""

    def register(handler: t.Callable[[Call], t.Any]) -> t.Callable[[Call], t.Any]:
        COMMANDS[name] = Command(name, handler, key, shape if key else ("done" if shape == "one" else shape), creates, locked)
        return handler

    return register


# Parameters of lists that say how to list, not what.
_HOW = {"page", "pagesize", "listall", "isrecursive", "details", "showicon", "showunique", "templatefilter", "showcapacities", "keyword", "available"}
_KEYS = {"provider": "providername", "status": "state"}


def listed(name: str, key: str, table: str, like: t.Sequence[str] = (), show: t.Callable[[Call, Row], Row] = lambda call, row: row) -> None:
    """Register a list command: rows of a table whose keys are as the parameters of the same name. like: of these a part is enough."""

    def handler(call: Call) -> t.List[Row]:
        wanted = {_KEYS.get(name, name): value for name, value in call.params.items() if name not in _HOW}
        found = []
        for row in call.state.rows(table):
            shown = call.state.joined(row)
            if "keyword" in call.params and call["keyword"].lower() not in str(shown.get("name", "")).lower():
                continue
            if all((str(value) in str(shown.get(key, ""))) if key in like else shown.get(key) == value for key, value in wanted.items()):
                found.append(show(call, shown))
        return found

    command(name, key, "list")(handler)


class Api:
    """The commands that the server knows, with their parameters and the names in their answers."""

    def __init__(self) -> None:
        data = json.loads((DATA / "apis.json").read_text(encoding="utf-8"))
        self.responses = [frozenset(text.split()) | {"jobid", "jobstatus"} for text in data["responses"]]
        self.commands: t.Dict[str, Row] = data["commands"]

    def envelope(self, name: str) -> str:
        return _ENVELOPES.get(name, name.lower() + "response") if name in self.commands else "errorresponse"

    def fields(self, name: str) -> t.FrozenSet[str]:
        return self.responses[self.commands[_ANSWERS.get(name, name)]["response"]]

    def invalid(self, name: str, parameter: str, value: t.Any) -> Refused:
        return Refused(
            431,
            f"Unable to execute API command {name.lower()} due to invalid value. Invalid parameter {parameter} value={value} due to incorrect long value "
            f"format, or entity does not exist or due to incorrect parameter annotation for the field in api cmd class.",
            9999,
        )

    def parsed(self, name: str, sent: t.Mapping[str, str], state: State) -> Row:
        """The parameters in their types; what the command does not know is left out, as the server does. Raises Refused."""
        known = self.commands[name]["params"]
        found: Row = {}
        maps: t.Dict[str, t.Dict[str, str]] = {}
        for parameter, value in sent.items():
            part = re.fullmatch(r"([^\[]+)\[(\d+)\]\.(.+)", parameter)
            if part and known.get(part.group(1).lower(), "").startswith("map"):
                maps.setdefault(part.group(1).lower(), {})[f"{int(part.group(2)):04}.{part.group(3)}"] = value
                continue
            spec = known.get(parameter) or known.get(parameter.lower())
            if spec is not None:
                found[parameter if parameter in known else parameter.lower()] = self._typed(name, parameter, spec.partition(" ")[0].rstrip("!"), value, state)
        for parameter, entries in maps.items():
            found[parameter] = _map(entries)
        for parameter, spec in known.items():
            if "!" in spec and found.get(parameter) in (None, ""):
                raise Refused(431, f"Unable to execute API command {name.lower()} due to missing parameter {parameter}", 9999)
        return found

    def _typed(self, name: str, parameter: str, kind: str, value: str, state: State) -> t.Any:
        if kind == "boolean":
            return value.lower() == "true"
        if kind in ("integer", "long", "short"):
            try:
                return int(value)
            except ValueError:
                raise self.invalid(name, parameter, value) from None
        if kind == "list":
            return [part.strip() for part in value.split(",") if part.strip()]
        if kind == "uuid" and parameter != "jobid" and not state.known(value):
            raise self.invalid(name, parameter, value)
        return value

    def cut(self, name: str, row: Row) -> Row:
        """Of a row what the command's answers have."""
        fields = self.fields(name)
        return {key: value for key, value in row.items() if key in fields and value is not None}

    def shaped(self, made: Command, params: Row, result: t.Any) -> Row:
        """An answer's inside."""
        if made.shape == "done":
            return {"success": True}
        if made.shape == "raw":
            return dict(result)
        if made.shape == "one":
            return {made.key: self.cut(made.name, result)}
        rows = [self.cut(made.name, row) for row in result]
        if not rows:
            return {}
        if made.shape == "rows":
            return {"count": len(rows), made.key: rows}
        if ("page" in params) != ("pagesize" in params):
            raise Refused(431, '"page" and "pagesize" parameters are required to be specified together', 9999)
        size = params.get("pagesize", PAGE)
        if size > PAGE or size < 1:
            raise Refused(431, f"The parameter pagesize exceeded its max value - {PAGE}", 9999)
        page = rows[(params.get("page", 1) - 1) * size :][:size]
        return {"count": len(rows), **({made.key: page} if page else {})}


def _map(entries: t.Mapping[str, str]) -> t.Dict[str, str]:
    """details[0].key=a, details[0].value=1 and details[0].a=1 alike."""
    found: t.Dict[str, str] = {}
    numbers = sorted({key.partition(".")[0] for key in entries})
    for number in numbers:
        own = {key.partition(".")[2]: value for key, value in entries.items() if key.startswith(number + ".")}
        if "key" in own:
            found[own["key"]] = own.get("value", "")
        else:
            found.update(own)
    return found


class Jobs:
    """Asynchronous jobs, each in a thread."""

    def __init__(self) -> None:
        self._jobs: t.Dict[str, Row] = {}

    def start(self, call: Call, run: t.Callable[[], Row]) -> str:
        job: Row = {
            "accountid": call.user["accountid"],
            "account": call.user["account"],
            "domainid": call.user["domainid"],
            "domainpath": "ROOT",
            "userid": call.user["id"],
            "cmd": f"{call.command[0].upper()}{call.command[1:]}Cmd",
            "jobprocstatus": 0,
            "jobresultcode": 0,
            "created": now(),
            "jobid": str(uuid.uuid4()),
            "jobstatus": 0,
        }
        self._jobs[job["jobid"]] = job
        threading.Thread(target=self._work, args=(job, run), daemon=True).start()
        return str(job["jobid"])

    @staticmethod
    def _work(job: Row, run: t.Callable[[], Row]) -> None:
        try:
            result, status, code = run(), 1, 0
        except Refused as refused:
            result, status, code = {"errorcode": 530, "errortext": refused.text}, 2, 530
        job.update(jobresult=result, jobresulttype="object", jobresultcode=code, completed=now(), jobstatus=status)

    def get(self, jobid: str) -> t.Optional[Row]:
        job = self._jobs.get(jobid)
        return dict(job) if job else None
