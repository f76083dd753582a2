# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NFS-Ganesha on a host: its keyring, configuration and unit, and a server that was seen to serve every export.

PRIVATE to the collection.
"""

from __future__ import annotations

import ctypes
import dataclasses
import errno
import functools
import glob
import hashlib
import json
import os
import time
import typing as t
import zlib

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import keyring_files
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.exports import ANONYMOUS, Export
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._nfs import rpc
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Change, Draft, Invalid, Plan, Risk, Secret, differing

PROGRAM = "ganesha.nfsd"
UNIT = "nfs-ganesha.service"
CONF = "/etc/ganesha/ganesha.conf"
LOG = "/var/log/ganesha/ganesha.log"
# What the running server was last told; it lies beside its configuration.
STAMP = "/etc/ganesha/.cephstack-loaded"
# The kernel's own server, which has the same port.
KERNEL_SERVER = "nfs-server.service"
# The host itself may look at each export, but not into it, so that the server can be asked what it serves.
SELF = "127.0.0.1"

DROP_IN = """# Made by cephstack.cloud
[Unit]
# An export whose filesystem does not answer is left out, so not before Ceph's daemons of this host.
Wants=network-online.target
After=network-online.target ceph.target

[Service]
Restart=on-failure
RestartSec=5
"""

_SQUASH = {"no_root_squash": "No_Root_Squash", "root_squash": "Root_Squash", "all_squash": "All_Squash"}
_ACCESS = {"rw": "RW", "ro": "RO"}


def io_flusher_refused() -> bool:
    """Whether this host forbids PR_SET_IO_FLUSHER, without which the server does not start unless it is told to go on.

    It takes CAP_SYS_RESOURCE, which containers may lack. Reading the setting (PR_GET_IO_FLUSHER, 58) takes the same and changes nothing.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(58, 0, 0, 0, 0) == -1 and ctypes.get_errno() == errno.EPERM)


def knows_io_flusher() -> bool:
    """Whether the installed server asks for it at all, and so knows the option to go on without. 4.3 does not."""
    for path in glob.glob("/usr/lib/ganesha/libganesha_nfsd.so*") + glob.glob("/usr/lib64/ganesha/libganesha_nfsd.so*"):
        with open(path, "rb") as file:
            if b"allow_set_io_flusher_fail" in file.read().lower():
                return True
    return False


# -- the configuration


def export_ids(pseudos: t.Iterable[str]) -> dict[str, int]:
    """A number for each export, the same on every gateway and in every run: file handles that clients hold carry it."""
    found: dict[str, int] = {}
    for pseudo in sorted(pseudos):
        number = zlib.crc32(pseudo.encode()) % 65534 + 1
        while number in found.values():
            number = number % 65534 + 1
        found[pseudo] = number
    return found


def head_text(flusher_refused: bool) -> str:
    """All of the configuration but the exports. What changes here takes a restart."""
    lenient = "    # This host's kernel refuses it (no CAP_SYS_RESOURCE)\n    Allow_Set_Io_Flusher_Fail = true;\n" if flusher_refused else ""
    return f"""# Made by cephstack.cloud: what is written here by hand is lost.
NFS_CORE_PARAM {{
    Protocols = 3, 4;
    # NFSv3 mounts by the same path as NFSv4
    mount_path_pseudo = true;
    MNT_Port = {rpc.MOUNT_PORT};
    # Version 4 has its own locks. Those of version 3 would hold back every start for a whole grace period
    Enable_NLM = false;
    Enable_RQUOTA = false;
    # One datagram has made 6.5 write its log without end
    Enable_UDP = false;
{lenient}}}
NFSv4 {{
    RecoveryBackend = fs;
    Delegations = false;
}}
# libcephfs has a cache of its own, which hears of others' changes
MDCACHE {{
    Dir_Chunk = 0;
}}
EXPORT_DEFAULTS {{
    Access_Type = None;
    Protocols = 3, 4;
    Transports = TCP;
    SecType = sys;
    Anonymous_Uid = {ANONYMOUS};
    Anonymous_Gid = {ANONYMOUS};
    Attr_Expiration_Time = 0;
}}
CEPH {{
    Ceph_Conf = /etc/ceph/ceph.conf;
}}
"""


def export_text(export: Export, number: int, client: str) -> str:
    """One export."""
    return f"""EXPORT {{
    Export_Id = {number};
    Path = {export.path};
    Pseudo = {export.pseudo};
    FSAL {{
        Name = CEPH;
        User_Id = {client.partition(".")[2]};
        Filesystem = {export.filesystem};
    }}
    CLIENT {{
        Clients = {", ".join(export.clients)};
        Access_Type = {_ACCESS[export.access]};
        Squash = {_SQUASH[export.squash]};
    }}
    CLIENT {{
        Clients = {SELF};
        Access_Type = MDONLY_RO;
    }}
}}
"""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The configuration, and what of it takes a restart. fixed, texts: by pseudo path."""

    head: str
    fixed: t.Mapping[str, str]
    texts: t.Mapping[str, str]

    @property
    def text(self) -> str:
        return self.head + "".join(self.texts[pseudo] for pseudo in sorted(self.texts))

    def stamp(self, key: Secret) -> str:
        """What is kept of it after it was loaded: digests, among them one of the key."""
        value = {
            "start": _digest(self.head, key.reveal()),
            "exports": {pseudo: [_digest(self.fixed[pseudo]), _digest(text)] for pseudo, text in sorted(self.texts.items())},
        }
        return json.dumps(value, sort_keys=True) + "\n"


def wanted(exports: t.Sequence[Export], client: str, flusher_refused: bool) -> Wanted:
    """The configuration of the exports."""
    numbers = export_ids(export.pseudo for export in exports)
    return Wanted(
        head_text(flusher_refused),
        # A session keeps the rights with which it began, so a wider or narrower access takes a new one.
        {export.pseudo: f"{numbers[export.pseudo]} {export.folder} {export.access} {client}" for export in exports},
        {export.pseudo: export_text(export, numbers[export.pseudo], client) for export in exports},
    )


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:32]


def unloaded(loaded: t.Optional[str], stamp: str) -> tuple[list[str], list[str]]:
    """What the running server does not know yet, out of two stamps: (reasons for a restart, reasons for a reload)."""
    try:
        before = json.loads(loaded or "")
        start, known = before["start"], {pseudo: tuple(digests) for pseudo, digests in before["exports"].items()}
    except (ValueError, KeyError, TypeError):
        return ["it has not read this configuration"], []
    after = json.loads(stamp)
    restart = ["its settings or its key changed"] if start != after["start"] else []
    reload = []
    for pseudo, (fixed, text) in after["exports"].items():
        if pseudo not in known:
            reload.append(f"{pseudo} is new")
        elif known[pseudo][0] != fixed:
            restart.append(f"{pseudo} is another folder now, or its access is another")
        elif known[pseudo][1] != text:
            reload.append(f"{pseudo} changed")
    reload += [f"{pseudo} is not declared any more" for pseudo in known if pseudo not in after["exports"]]
    return restart, reload


# -- the provider


@dataclasses.dataclass(frozen=True)
class Observed:
    """What is there of it. serves: the exports that the server shows, None where it does not answer."""

    installed: bool = False
    flusher_refused: bool = False
    conf: t.Optional[str] = None
    drop_in: t.Optional[str] = None
    loaded: t.Optional[str] = None
    file: keyring_files.File = keyring_files.File()
    unit: systemd.Unit = systemd.NO_UNIT
    kernel_server: systemd.Unit = systemd.NO_UNIT
    serves: t.Optional[t.Mapping[str, t.Sequence[str]]] = None


class Provider:
    """The gateway of this host.

    key: the client's key; None in check mode where the client is not there yet.
    bare: in check mode the server need not be installed.
    wait: seconds that the server may take to serve what it was told to.
    """

    def __init__(self, exports: t.Sequence[Export], client: str, key: t.Optional[str], bare: bool = False, wait: float = 60) -> None:
        self.exports = list(exports)
        self.client = client
        self.key = None if key is None else Secret(key)
        self.bare = bare
        self.wait = wait
        self.place = keyring_files.Place(f"/etc/ceph/ceph.{client}.keyring", client)

    # -- observe

    def observe(self) -> Observed:
        """Read the files and units, and ask the server what it serves."""
        units = systemd.units([UNIT, KERNEL_SERVER])
        installed = process.installed(PROGRAM)
        return Observed(
            installed=installed,
            flusher_refused=io_flusher_refused() and (not installed or knows_io_flusher()),
            conf=files.read(CONF),
            drop_in=files.read(systemd.drop_in_path(UNIT)),
            loaded=files.read(STAMP),
            file=keyring_files.read(self.place),
            unit=units[UNIT],
            kernel_server=units[KERNEL_SERVER],
            serves=self._serves() if units[UNIT].active else None,
        )

    def _serves(self, patience: float = 5.0) -> t.Optional[dict[str, list[str]]]:
        """What the server shows this host; it may be just starting. None where it does not answer."""
        end = time.monotonic() + patience
        while True:
            try:
                rpc.alive()
                return rpc.summary(rpc.exports(), but=(f"{SELF}/32",))
            except rpc.Silent:
                if time.monotonic() > end:
                    return None
                time.sleep(0.25)

    @property
    def _expected(self) -> dict[str, list[str]]:
        return {export.pseudo: [network for network in export.clients if network != f"{SELF}/32"] for export in self.exports}

    # -- plan

    def plan(self, observed: Observed) -> Plan:
        """Compare. Raises Invalid where this host cannot be a gateway."""
        problems = []
        if not observed.installed and not self.bare:
            problems.append(f"{PROGRAM} is not installed on this host: install the packages nfs-ganesha and nfs-ganesha-ceph")
        if observed.kernel_server.active:
            problems.append(f"{KERNEL_SERVER} runs on this host, and there can be one NFS server only: stop and disable it, or take another host")
        if self.key is None and not self.bare:
            problems.append(f"{self.client} has no key")
        if problems:
            raise Invalid(problems)
        aim = wanted(self.exports, self.client, observed.flusher_refused)
        changes = [*self._file_changes(observed, aim)]
        return Plan([*changes, *self._unit_changes(observed, aim, [change.id for change in changes])])

    def _file_changes(self, observed: Observed, aim: Wanted) -> t.Iterator[Change]:
        write = functools.partial(keyring_files.write, self.place, self.key or keyring_files.UNKNOWN)
        draft = Draft()
        keyring_files.ensure(draft, self.place, observed.file, self.key, write)
        yield from draft.changes
        if observed.drop_in != DROP_IN:
            action, had = ("create", None) if observed.drop_in is None else ("update", {"text": observed.drop_in})
            yield Change("drop_in", UNIT, action, had, {"text": DROP_IN}, self._write_drop_in)
        if observed.conf != aim.text:
            action, had = ("create", None) if observed.conf is None else ("update", {"text": observed.conf})
            yield Change("conf", CONF, action, had, {"text": aim.text}, lambda: files.write(CONF, aim.text, 0o644))

    def _unit_changes(self, observed: Observed, aim: Wanted, needs: t.Sequence[str]) -> t.Iterator[Change]:
        stamp = aim.stamp(self.key or keyring_files.UNKNOWN)
        restart, reload = unloaded(observed.loaded, stamp)
        if not restart and not reload and observed.unit.active and observed.serves != self._expected:
            lost = sorted(pseudo for pseudo, groups in self._expected.items() if (observed.serves or {}).get(pseudo) != groups)
            restart.append("it does not answer" if observed.serves is None else f"it does not serve {', '.join(lost) or 'only these'} as it was told to")
        had = {"enabled": observed.unit.enabled, "running": observed.unit.active}
        if not (observed.unit.enabled and observed.unit.active):
            before, after = differing(had, {"enabled": True, "running": True})
            verb = "restart" if observed.unit.active else "start"
            yield Change("unit", UNIT, "update", before, after, lambda: self._begin(verb, stamp), needs=frozenset(needs))
        elif restart:
            reason = "; ".join(restart)
            after = {"restart": reason}
            yield Change(
                "unit",
                UNIT,
                "update",
                {"restart": None},
                after,
                lambda: self._begin("restart", stamp),
                risk=Risk.RESTART,
                reason=reason,
                needs=frozenset(needs),
            )
        elif reload:
            reason = "; ".join(reload)
            after = {"reload": reason}
            yield Change("unit", UNIT, "update", {"reload": None}, after, lambda: self._begin("reload", stamp), reason=reason, needs=frozenset(needs))

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        """Return what clients mount."""
        rows = [{"path": export.pseudo, "folder": export.folder, "access": export.access, "clients": list(export.clients)} for export in self.exports]
        return {"client": self.client, "exports": rows, "running": observed.unit.active}

    # -- apply

    def _write_drop_in(self) -> None:
        files.write(systemd.drop_in_path(UNIT), DROP_IN, 0o644)
        process.run(["systemctl", "daemon-reload"], timeout=120)

    def _begin(self, how: str, stamp: str) -> None:
        """Start, restart or reload, and return when the server serves every export to those who may have it, and no other."""
        if files.read(STAMP) is not None:
            os.unlink(STAMP)  # so that what fails or is killed from here on is a restart for the next run
        if how == "reload":
            process.run(["systemctl", "reload", UNIT], timeout=60)
        elif how == "restart":
            systemd.start(UNIT)
            systemd.restart(UNIT)
        else:
            systemd.start(UNIT)
        shown: dict[str, t.Any] = {}

        def ready() -> bool:
            unit = systemd.units([UNIT])[UNIT]
            if unit.state == "failed":
                raise TimeoutError(f"{UNIT} failed: {last_words()}")
            shown["serves"] = self._serves(patience=0) if unit.active else None
            return shown["serves"] == self._expected

        wait_until(
            ready,
            self.wait,
            lambda: f"after {how} the server serves {shown['serves'] or 'nothing'} and not {self._expected} within {self.wait} s: {last_words()}",
        )
        files.write(STAMP, stamp, 0o600)


def last_words() -> str:
    """The last complaints in the server's own log, without what it says of its stack."""
    try:
        with open(LOG, "rb") as file:
            file.seek(max(0, os.path.getsize(LOG) - 20000))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return systemd.last_words(UNIT)
    bad = [line.partition("] ")[2] for line in lines if any(word in line for word in (":CRIT :", ":FATAL :", ":MAJ :"))]
    words = [line for line in bad if "backtrace" not in line and "gss_principal_init" not in line]
    return " / ".join(words[-4:]) or systemd.last_words(UNIT)
