# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of upgrades share: one release becomes another under a writer (tests/tools/writer) of the old release, which stays that."""

from __future__ import annotations

import contextlib
import json
import pathlib
import time
import typing as t

from ansible_collections.cephstack.cloud.molecule.shared import runs

CEPH = ("ceph1", "ceph2", "ceph3")


class Way(t.NamedTuple):
    """From one release to another. stack: a scenario with the hosts of CEPH, kvm1, the pool vms and the user writer; gateways at .11 and .12 of its network.

    declared: the inventory beside its own that has the new release. old, new: versions. release: the new one's name. beyond: one that is too far on.
    """

    stack: runs.Scenario
    declared: str
    network: str
    old: str
    new: str
    release: str
    beyond: int

    def ceph(self, command: str) -> t.Any:
        return json.loads(self.stack.ssh("ceph1", f"ceph --format json {command}") or "null")

    def upgrade(self, tmp_path: pathlib.Path, *words: str) -> tuple[list[dict[str, t.Any]], dict[str, dict[str, int]]]:
        return self.stack.play(tmp_path, "-i", str(self.stack.folder / self.declared), *words, playbook="cephstack.cloud.upgrade")

    @contextlib.contextmanager
    def written(self) -> t.Iterator[None]:
        """Writes on kvm1, to an image with the hypervisors' key, and to a bucket."""
        with self.stack.written("kvm1", "--client", "kvm", "--rbd", "vms", s3=[f"{self.network}.{number}" for number in (11, 12)]):
            yield

    def _refused(self, *words: str) -> str:
        """Run it where it must be refused; return what it said."""
        return self.stack.refused(*words, playbook="cephstack.cloud.upgrade")

    def _state(self) -> t.Any:
        """What a refused run must leave as it was."""
        command = "dpkg-query -W 'ceph*' librados2 librbd1; ls /etc/apt/sources.list.d /etc/apt/preferences.d"
        return {name: self.stack.ssh(name, command) for name in CEPH}, self._started()

    def _started(self) -> dict[str, str]:
        return self.stack.started(CEPH, "'ceph-*@*.service'")  # libvirtd ends where nobody asks it, and comes when somebody does

    def _is_as(self, before: t.Any) -> None:
        after = self._state()
        assert after == before, [(host, one, other) for was, now in zip(before, after) for host, one in was.items() if (other := now[host]) != one]

    def _is_full(self, full: bool) -> None:
        end = time.monotonic() + 60
        while ("OSD_NEARFULL" in self.ceph("health")["checks"]) != full and time.monotonic() < end:
            time.sleep(1)

    # -- what a test asserts

    def refuses_what_is_closed(self) -> None:
        before = self._state()
        # All that is wrong is said at once.
        self.stack.ssh("ceph1", "ceph osd set-nearfull-ratio 0.00001")
        try:
            self._is_full(True)
            said = self._refused("-e", f"upgrade_release={self.beyond}")
        finally:
            self.stack.ssh("ceph1", "ceph osd set-nearfull-ratio 0.85")
        assert f"{self.old} runs, and {self.beyond} is what is wanted: that is more than 2 releases on. Upgrade to {self.release} first" in said
        for name in CEPH:
            assert f"{name}: apt offers {self.old} of " in said, said
        assert "name it in accept_health: OSD_NEARFULL" in said
        self._is_full(False)
        # The way is open, but for the restarts that come after the packages.
        self.stack.ssh("ceph1", "ceph osd pool set vms min_size 3")
        try:
            said = self._refused("-i", str(self.stack.folder / self.declared))
        finally:
            self.stack.ssh("ceph1", "ceph osd pool set vms min_size 2")
        assert "lets none of them stop (osd ok-to-stop)" in said and "of which vms would have too few copies left" in said, said[-3000:]
        self._is_as(before)

    def says_in_check_mode(self, tmp_path: pathlib.Path) -> None:
        before = self._state()
        changes, _recap = self.upgrade(tmp_path, "--check")
        self._is_as(before)
        assert {"file//etc/apt/sources.list.d/ceph.sources", "package/ceph-osd", "package/librbd1", "require_osd_release/osd"} <= ids(changes)

    def is_gone(self, tmp_path: pathlib.Path) -> str:
        """Upgrade, while a guest runs on kvm1; return what the run said."""
        guest = "qemu-system-x86_64 -name guest=web1 -accel tcg -m 64 -nodefaults -display none -drive file=rbd:vms/web1:id=kvm,format=raw,cache=none,if=virtio"
        self.stack.ssh("ceph1", "rbd create vms/web1 --size 16M")
        self.stack.ssh("kvm1", f"systemd-run --unit=web1 {guest}")
        began = time.monotonic()
        self.upgrade(tmp_path)
        said = (tmp_path / "log").read_text()
        print(f"{time.monotonic() - began:.0f} s")
        end = time.monotonic() + 90  # a gateway that has restarted is counted twice until its former self is forgotten
        while sum((versions := self.ceph("versions")["overall"]).values()) > 12 and time.monotonic() < end:
            time.sleep(2)
        assert [text.split()[2] for text in versions] == [self.new] and sum(versions.values()) == 12, versions
        osd = self.ceph("osd dump")
        assert osd["require_osd_release"] == self.release and not {"noout", "norebalance"} & set(osd["flags"].split(","))
        assert not [key for key in self.ceph("config-key ls") if key.startswith("cephstack/")]
        health = self.ceph("health")
        print(health)
        assert health["status"] != "HEALTH_ERR", health
        assert "MGR_MODULE_DEPENDENCY" not in health["checks"] and self.ceph("crash ls") == []
        # What is not posted yet will be within ten minutes.
        assert {name: self.stack.ssh(name, "find /var/lib/ceph/crash -path '*/posted' -prune -o -name meta -print") for name in CEPH} == dict.fromkeys(CEPH, "")
        assert self.old in self.stack.ssh("kvm1", "ceph --version")
        return said

    def is_at_its_end(self, tmp_path: pathlib.Path) -> None:
        before = self._started()
        changes, recap = self.upgrade(tmp_path)
        assert changes == [] and {name: counts["changed"] for name, counts in recap.items()} == dict.fromkeys(recap, 0)
        assert self._started() == before

    def osds_start(self) -> None:
        """After a reboot too."""
        self.stack.ssh("ceph1", "systemctl restart ceph-osd.target")
        end = time.monotonic() + 60
        while (found := self.ceph("osd stat"))["num_up_osds"] < 3 and time.monotonic() < end:
            time.sleep(1)
        assert found["num_up_osds"] == 3

    def takes_hypervisors_along(self, tmp_path: pathlib.Path) -> None:
        """By a second run, which changes nothing else."""
        before = self._started()
        changes, recap = self.upgrade(tmp_path, "-e", '{"upgrade_clients": ["kvm_hosts"]}')
        assert "package/librbd1" in ids(changes)
        assert [name for name, counts in recap.items() if counts["changed"]] == ["kvm1"]
        assert self._started() == before
        assert self.new in self.stack.ssh("kvm1", "ceph --version")
        said = " ".join((tmp_path / "log").read_text().split())
        assert "web1 (" in said and "run with the library of before" in said, said[-3000:]


def ids(changes: t.Iterable[t.Mapping[str, t.Any]]) -> set[str]:
    return {f"{one['kind']}/{one['name']}" for one in changes}
