# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How to reach the cluster and CloudStack's API, as a run has learned it: with the keys, in memory only, and filled in where a task names no connection.

Ansible forks a process for each task. Its strategies load the plugin of a task that learns before they fork for it, so that all later processes share
this memory. It is on no disk, in no variable and in no result, and it ends with the run.
"""

from __future__ import annotations

import json
import mmap
import struct
import typing as t
import uuid
import zlib

from ansible.plugins.action.normal import ActionModule as Normal

_HEADER = struct.Struct(">II")  # length and checksum of the text behind it


class Memory:
    """Values by name, shared by all processes that are forked after it was made. size: bytes of all values as JSON."""

    def __init__(self, size: int = 1 << 20) -> None:
        self._shared = mmap.mmap(-1, size)

    def recall(self) -> dict[str, t.Any]:
        """Return all of it. What another process is just writing counts as not there yet."""
        length, checksum = _HEADER.unpack_from(self._shared)
        text = self._shared[_HEADER.size : _HEADER.size + length]
        whole = length and len(text) == length and zlib.crc32(text) == checksum
        return t.cast("dict[str, t.Any]", json.loads(text)) if whole else {}

    def keep(self, name: str, value: t.Any) -> None:
        """Keep a value. Raises ValueError where there is no room for it."""
        text = json.dumps({**self.recall(), name: value}).encode()
        if _HEADER.size + len(text) > len(self._shared):
            raise ValueError(f"{len(text)} bytes are more than is kept of how to reach {name}")
        _HEADER.pack_into(self._shared, 0, 0, 0)
        self._shared[_HEADER.size : _HEADER.size + len(text)] = text
        _HEADER.pack_into(self._shared, 0, len(text), zlib.crc32(text))


CEPH, CLOUDSTACK = Memory(), Memory()
# What counts of a monitor's host's answer.
_ANSWER = ("state", "reason", "msg", "fsid", "mon_host", "addresses", "conf_fsid", "maintenance", "key")


def note_answer(group: str, host: str, answer: t.Mapping[str, t.Any]) -> None:
    """Keep what a monitor's host said (the result of ceph_mon_info) among the answers of its group. The last one that runs counts."""
    known = CEPH.recall().get(group) or {"new_fsid": str(uuid.uuid4()), "answers": {}}
    answers = {name: said for name, said in known["answers"].items() if name != host}
    CEPH.keep(group, {**known, "answers": {**answers, host: {name: answer[name] for name in _ANSWER if name in answer}}})


def ceph_connection(group: str) -> dict[str, str]:
    """Return the option `connection` for the running cluster of a group of monitors, {} where none is known."""
    running = _running((CEPH.recall().get(group) or {}).get("answers", {}))
    return {"mon_host": running[1]["mon_host"], "client": "client.admin", "key": running[1]["key"]} if running else {}


def running_cluster(group: str, hosts: t.Sequence[str], fsid: str = "") -> dict[str, t.Any]:
    """Return all that is known and no secret of the cluster of a group; see the lookup running_cluster. hosts: of the group. fsid: of a cluster to be made."""
    known = CEPH.recall().get(group) or {"new_fsid": "", "answers": {}}
    answers = known["answers"]
    running = _running(answers)
    host, said = running or ("", {})
    silent = {name: answers.get(name, {}) for name in hosts if answers.get(name, {}).get("state") != "none"}
    down = {name: str(answer.get("reason") or answer.get("msg") or "it gave no answer") for name, answer in silent.items()}
    written = [answer.get("conf_fsid") for answer in answers.values()]
    return {
        "running": bool(running),
        "fsid": next(filter(None, [said.get("fsid"), fsid, *written, known["new_fsid"]]), "").lower(),
        "mon_host": said.get("mon_host", ""),
        "monmap": said.get("addresses") or {},
        "host": host or next(iter(hosts), ""),
        "down": {} if running else down,
        "maintenance": said.get("maintenance") or [],
    }


def external_cluster(external: t.Mapping[str, t.Any], host: str) -> dict[str, t.Any]:
    """Return the same of a cluster that others keep: what is declared of it. host: who asks it. That it is the one that answers is seen by who asks first."""
    return {
        "running": True,
        "fsid": str(external.get("fsid") or "").lower(),
        "mon_host": ",".join(map(str, external.get("monitors") or ())),
        "monmap": {},
        "host": host,
        "down": {},
        "maintenance": [],
    }


def _running(answers: t.Mapping[str, t.Mapping[str, t.Any]]) -> t.Optional[tuple[str, t.Mapping[str, t.Any]]]:
    return next(((name, answer) for name, answer in reversed(list(answers.items())) if answer.get("state") == "running"), None)


class Access(Normal):  # type: ignore[misc]
    """Runs a module of a family. The one that learns how to reach something leaves that in memory, and all others get it where the task names no connection.

    learns: the module's name. secrets: what of its result nobody else is shown, unless the task is hidden whole (no_log).
    """

    learns: str
    secrets: tuple[str, ...]

    def run(self, tmp: t.Optional[str] = None, task_vars: t.Optional[dict[str, t.Any]] = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        if self._task.action.rpartition(".")[2] != self.learns:
            return self._run(tmp, variables)
        told, context = self._task.no_log, self._connection._play_context
        shown = context.no_log
        try:
            if not told:  # why a host cannot be reached is hidden with all else
                self._low_level_execute_command("true")
            # By the task's word the module returns its secrets, and by the connection's -vvv does not show what came over it.
            self._task.no_log = context.no_log = True
            result = self._run(tmp, variables)
        except Exception as error:
            self.learn({"reason": str(error)}, variables)
            raise
        finally:
            self._task.no_log, context.no_log = told, shown
        self.learn(result, variables)
        return result if told else {name: value for name, value in result.items() if name not in self.secrets}

    def _run(self, tmp: t.Optional[str], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", super().run(tmp, variables))

    def _execute_module(self, module_name: t.Any = None, module_args: t.Any = None, task_vars: t.Any = None, **more: t.Any) -> t.Any:
        # A copy: callbacks are given the task's own arguments.
        args = dict(self._task.args if module_args is None else module_args)
        if self._task.action.rpartition(".")[2] == self.learns:
            args.update(self.asks())
        elif args.get("connection") is None:
            args.update({"connection": known} if (known := self.known(task_vars or {})) else {})
        return super()._execute_module(module_name, args, task_vars=task_vars, **more)

    def asks(self) -> dict[str, t.Any]:
        """Return the arguments by which the module returns all that is to be learned."""
        return {}

    def learn(self, result: t.Mapping[str, t.Any], variables: t.Mapping[str, t.Any]) -> None:
        """Keep what the module returned, or only the reason why it did not."""
        raise NotImplementedError

    def known(self, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """Return the option `connection`, {} where nothing was learned."""
        raise NotImplementedError

    def variable(self, variables: t.Mapping[str, t.Any], name: str, default: t.Any) -> t.Any:
        """Return a variable of the task; they are not yet templated."""
        return self._templar.template(variables[name]) if name in variables else default
