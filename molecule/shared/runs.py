# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of whole stacks do: run a playbook and see what it changed, ask a host, write meanwhile, look through the command lines that were watched."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time
import typing as t

import testinfra

SHARED = pathlib.Path(__file__).resolve().parent
TOOLS = SHARED.parent.parent / "tests" / "tools"


class Scenario(t.NamedTuple):
    """A scenario by its folder."""

    folder: pathlib.Path

    def play(self, tmp_path: pathlib.Path, *arguments: str, playbook: str = "cephstack.cloud.site") -> tuple[list[dict[str, t.Any]], dict[str, dict[str, int]]]:
        """Run a playbook; return its changes (see the callback cephstack.cloud.changes) and its recap, {host: {"ok": 9, ...}}."""
        changes, log = tmp_path / "changes.json", tmp_path / "log"
        environment = {
            **os.environ,
            "ANSIBLE_CALLBACKS_ENABLED": "cephstack.cloud.changes",
            "CEPHSTACK_CHANGES_FILE": str(changes),
            "ANSIBLE_FORCE_COLOR": "0",
            "ANSIBLE_NOCOLOR": "1",
        }
        command = ["ansible-playbook", "-i", str(self.folder / "inventory"), *arguments, playbook]
        with log.open("w") as out:  # a pipe would be held open by ssh's persistent master
            done = subprocess.run(command, stdout=out, stderr=out, env=environment, cwd=SHARED.parent.parent, check=False)
        text = log.read_text()
        assert done.returncode == 0, "\n".join([*re.findall(r"^(?:fatal|failed): .*|^\[ERROR\].*", text, re.MULTILINE)[:4], text[-6000:]])
        recap = {
            host: {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", counts)}
            for host, counts in re.findall(r"^(\S+)\s+: (ok=.*)$", text.split("PLAY RECAP")[1], re.MULTILINE)
        }
        return json.loads(changes.read_text()), recap

    def ssh(self, name: str, command: str) -> str:
        """Run a command on a host as root; return what it printed."""
        done = _host(name).run(command)
        assert done.rc == 0, f"{name}: {command}: {done.stderr or done.stdout}"
        return str(done.stdout)

    def refused(self, *arguments: str, playbook: str) -> str:
        """Run a playbook where it must be refused; return what it said, on one line."""
        command = ["ansible-playbook", "-i", str(self.folder / "inventory"), *arguments, playbook]
        with tempfile.TemporaryFile("w+") as out:  # a pipe would be held open by ssh's persistent master
            done = subprocess.run(command, stdout=out, stderr=out, cwd=SHARED.parent.parent, check=False)
            out.seek(0)
            text = " ".join(out.read().split())
        assert done.returncode, text[-3000:]
        return text

    @contextlib.contextmanager
    def written(self, host: str, *words: str, s3: t.Iterable[str] = (), least: int = 200) -> t.Iterator[None]:
        """Records that a host writes and reads back meanwhile (tests/tools/writer, with these options). None may be wrong, and nothing may have failed.

        s3: the addresses of gateways, asked in this order; it writes to them as the user "writer". least: how many records each way must have taken.
        """
        environment, options = "", ["--pause", "0.1", *words]  # without a pause a third of the machine is the writer's
        if gateways := ",".join(f"http://{address}:8080" for address in s3):
            user = json.loads(self.ssh("ceph1", "radosgw-admin user info --uid=writer"))["keys"][0]
            environment = f"AWS_ACCESS_KEY_ID={user['access_key']}\nAWS_SECRET_ACCESS_KEY={user['secret_key']}"
            options += ["--s3", gateways]
        self.ssh(host, f"cat > /run/writer <<'END'\n{(TOOLS / 'writer').read_text()}\nEND")
        self.ssh(host, f"umask 077; cat > /run/writer.env <<'END'\n{environment}\nEND")
        own = "-p StandardOutput=truncate:/run/writer.json -p StandardError=truncate:/run/writer.log -p EnvironmentFile=/run/writer.env -p TimeoutStopSec=360"
        self.ssh(host, f"systemd-run --unit=writer {own} python3 /run/writer {' '.join(options)}")
        time.sleep(2)
        assert self.ssh(host, "systemctl is-active writer || cat /run/writer.log").strip() == "active"
        yield
        self.ssh(host, "systemctl stop writer")
        told = json.loads(self.ssh(host, "cat /run/writer.json"))
        print(json.dumps(told, indent=1))
        assert (told["errors"], told["wrong"]) == (0, 0), told
        ways = {"--rbd", "--path", "--s3"} & {*options}
        assert [part["writes"] > least for part in told["channels"].values()] == [True] * len(ways), told

    def started(self, names: t.Iterable[str], units: str = "'ceph-*@*.service' libvirtd.service 'cloudstack-*.service'") -> dict[str, str]:
        """When each daemon of these hosts was started."""
        return {name: self.ssh(name, f"systemctl show --property=Id,ActiveEnterTimestampMonotonic {units}") for name in names}

    def watched(self, name: str) -> list[str]:
        """The command lines and environments that were seen on a host (watch.yml)."""
        lines = self.ssh(name, "cat /run/argv.log").split("\n")
        assert [line for line in lines if "sshd" in line], f"{name} was not watched: {lines[:20]}"
        return lines


@functools.cache
def _host(name: str) -> t.Any:
    return testinfra.get_host(f"ansible://{name}?ansible_inventory={SHARED / 'inventory.py'}")


def telling(lines: t.Iterable[str], secrets: t.Iterable[str]) -> list[str]:
    """The lines with a secret in them, as they may be shown."""
    found = re.compile("|".join(sorted(map(re.escape, secrets), key=len, reverse=True)))
    return [found.sub("********", line)[:1000] for line in map(_without_osd_keys, lines) if found.search(line)]


def _without_osd_keys(line: str) -> str:
    """ceph-volume itself gives a new OSD's key to ceph-authtool that way; there is no other way to have it make an OSD."""
    return re.sub(r"^([^ ]*ceph-authtool /var/lib/ceph/osd/[^ ]* --create-keyring --name osd\.[0-9]* --add-key) [^ ]+", r"\1", line)
