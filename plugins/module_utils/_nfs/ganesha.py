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
import hashlib
import json
import os
import pathlib
import typing as t
import zlib

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import keyring_files
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.exports import ANONYMOUS, Export
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import retry_while, wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._nfs import rpc
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Plan, Risk, Secret

PROGRAM = "ganesha.nfsd"
UNIT = "nfs-ganesha.service"
CONF = "/etc/ganesha/ganesha.conf"
LOG = "/var/log/ganesha/ganesha.log"
STAMP = "/etc/ganesha/.cephstack-loaded"  # what the running server was last told
KERNEL_SERVER = "nfs-server.service"  # the kernel's own, which has the same port
SELF = "127.0.0.1"  # the host itself may look at each export, but not into it, so that the server can be asked what it serves
_SELF_NETWORK = f"{SELF}/32"

MADE = "# Made by cephstack.cloud"
DROP_IN = f"""{MADE}
[Unit]
# An export whose filesystem does not answer is left out, so not before Ceph's daemons of this host.
Wants=network-online.target
After=network-online.target ceph.target

[Service]
Restart=on-failure
RestartSec=5
"""


def io_flusher_refused(installed: bool) -> bool:
    """Whether this host forbids PR_SET_IO_FLUSHER, without which a server that asks for it does not start unless it is told to go on.

    It takes CAP_SYS_RESOURCE, which containers may lack. Reading the setting (PR_GET_IO_FLUSHER, 58) takes the same and changes nothing.
    A server that does not ask for it, such as 4.3, does not know the option to go on either.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(58, 0, 0, 0, 0) != -1 or ctypes.get_errno() != errno.EPERM:
        return False
    libraries = pathlib.Path("/usr").glob("lib*/ganesha/libganesha_nfsd.so*")
    return not installed or any(b"allow_set_io_flusher_fail" in path.read_bytes().lower() for path in libraries)


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
    return f"""{MADE}: what is written here by hand is lost.
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
        Access_Type = {export.access.upper()};
        Squash = {export.squash.title()};
    }}
    CLIENT {{
        Clients = {SELF};
        Access_Type = MDONLY_RO;
    }}
}}
"""


class Wanted(t.NamedTuple):
    """The configuration. exports: by pseudo path, what of it takes a restart, and its text."""

    head: str
    exports: t.Mapping[str, tuple[str, str]]

    @property
    def text(self) -> str:
        return self.head + "".join(text for _pseudo, (_fixed, text) in sorted(self.exports.items()))

    def stamp(self, key: Secret) -> str:
        """What is kept of it after it was loaded: digests, among them one of the key."""
        exports = {pseudo: [_digest(text) for text in texts] for pseudo, texts in self.exports.items()}
        return json.dumps({"start": _digest(self.head, key.reveal()), "exports": exports}, sort_keys=True) + "\n"


def wanted(exports: t.Sequence[Export], client: str, flusher_refused: bool) -> Wanted:
    numbers = export_ids(export.pseudo for export in exports)
    # A session keeps the rights with which it began, so a wider or narrower access takes a new one.
    fixed = {export.pseudo: f"{numbers[export.pseudo]} {export.folder} {export.access} {client}" for export in exports}
    return Wanted(head_text(flusher_refused), {one.pseudo: (fixed[one.pseudo], export_text(one, numbers[one.pseudo], client)) for one in exports})


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:32]


def unloaded(loaded: t.Optional[str], stamp: str) -> tuple[list[str], list[str]]:
    """What the running server does not know yet, out of two stamps: (reasons for a restart, reasons for a reload)."""
    try:
        before = json.loads(loaded or "")
        start, known = before["start"], dict(before["exports"])
    except (ValueError, KeyError, TypeError):
        return ["it has not read this configuration"], []
    after = json.loads(stamp)
    restart = ["its settings or its key changed"] if start != after["start"] else []
    reload = [f"{pseudo} is not declared any more" for pseudo in known if pseudo not in after["exports"]]
    for pseudo, digests in after["exports"].items():
        if pseudo not in known:
            reload.append(f"{pseudo} is new")
        elif known[pseudo][0] != digests[0]:
            restart.append(f"{pseudo} is another folder now, or its access is another")
        elif known[pseudo] != digests:
            reload.append(f"{pseudo} changed")
    return restart, reload


@dataclasses.dataclass(frozen=True)
class Observed:
    installed: bool = False
    flusher_refused: bool = False
    conf: t.Optional[str] = None
    drop_in: t.Optional[str] = None
    loaded: t.Optional[str] = None
    file: keyring_files.File = keyring_files.File()
    unit: systemd.Unit = systemd.NO_UNIT
    kernel_server: systemd.Unit = systemd.NO_UNIT
    serves: t.Optional[t.Mapping[str, t.Sequence[str]]] = None  # the exports that the server shows, None where it does not answer


@dataclasses.dataclass
class Provider:
    exports: t.Sequence[Export]
    client: str
    key: t.Optional[Secret]  # the client's; None in check mode where the client is not there yet
    bare: bool = False  # in check mode the server need not be installed
    wait: float = 60  # seconds that the server may take to serve what it was told to
    patience: float = 5  # seconds that one which is found running may take to answer

    def __post_init__(self) -> None:
        self.place = keyring_files.Place(f"/etc/ceph/ceph.{self.client}.keyring", self.client)
        self.expected = {export.pseudo: [network for network in export.clients if network != _SELF_NETWORK] for export in self.exports}

    def observe(self) -> Observed:
        """Read the files and units, and ask the server what it serves."""
        units, installed = systemd.units([UNIT, KERNEL_SERVER]), process.installed(PROGRAM)
        return Observed(
            installed=installed,
            flusher_refused=io_flusher_refused(installed),
            conf=files.read(CONF),
            drop_in=files.read(systemd.drop_in_path(UNIT)),
            loaded=files.read(STAMP),
            file=keyring_files.read(self.place),
            unit=units[UNIT],
            kernel_server=units[KERNEL_SERVER],
            serves=self._shown(self.patience) if units[UNIT].active else None,
        )

    def _shown(self, patience: float = 0) -> t.Optional[dict[str, list[str]]]:
        """What the server, which may be just starting, shows this host. None where it does not answer."""
        if self.bare and not process.installed("showmount"):
            return self.expected  # a dry run, before the package is there to ask with
        try:
            return retry_while(lambda error: isinstance(error, rpc.Silent), lambda: rpc.exports(but=(_SELF_NETWORK,)), patience, 0.25)
        except rpc.Silent:
            return None

    def plan(self, observed: Observed) -> Plan:
        """Compare. Raises Invalid where this host cannot be a gateway."""
        draft = Draft()
        for wrong, text in (
            (not observed.installed and not self.bare, f"{PROGRAM} is not installed on this host: install the packages nfs-ganesha and nfs-ganesha-ceph"),
            (
                observed.kernel_server.active,
                f"{KERNEL_SERVER} runs on this host, and there can be one NFS server only: stop and disable it, or take another host",
            ),
            (self.key is None and not self.bare, f"{self.client} has no key"),
        ):
            if wrong:
                draft.problem(text)
        aim, key = wanted(self.exports, self.client, observed.flusher_refused), self.key or keyring_files.UNKNOWN
        keyring_files.ensure(draft, self.place, observed.file, self.key, functools.partial(keyring_files.write, self.place, key))
        for kind, name, had, text, write in (
            ("drop_in", UNIT, observed.drop_in, DROP_IN, _write_drop_in),
            ("conf", CONF, observed.conf, aim.text, lambda: files.write(CONF, aim.text, 0o644)),
        ):
            draft.ensure(kind, name, None if had is None else {"text": had}, {"text": text}, write)

        unit, stamp, needs = observed.unit, aim.stamp(key), [change.id for change in draft.changes]
        restart, reload = unloaded(observed.loaded, stamp)
        if not restart and not reload and unit.active and observed.serves != self.expected:
            lost = sorted(pseudo for pseudo, groups in self.expected.items() if (observed.serves or {}).get(pseudo) != groups)
            restart.append("it does not answer" if observed.serves is None else f"it does not serve {', '.join(lost) or 'only these'} as it was told to")
        if not (unit.enabled and unit.active):
            how, before = "restart" if unit.active else "start", {"enabled": unit.enabled, "running": unit.active}
            draft.ensure("unit", UNIT, before, {"enabled": True, "running": True}, lambda: self._begin(how, stamp), needs=needs)
        elif restart or reload:
            how, reason, risk = ("restart", "; ".join(restart), Risk.RESTART) if restart else ("reload", "; ".join(reload), Risk.NONE)
            draft.ensure("unit", UNIT, {how: None}, {how: reason}, lambda: self._begin(how, stamp), needs=needs, reason=reason, risk=risk)
        return draft.plan()

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        rows = [{"path": export.pseudo, "folder": export.folder, "access": export.access, "clients": list(export.clients)} for export in self.exports]
        return {"client": self.client, "exports": rows, "running": observed.unit.active}

    def _begin(self, how: str, stamp: str) -> None:
        """Start, restart or reload, and return when the server serves every export to those who may have it, and no other."""
        if files.read(STAMP) is not None:
            os.unlink(STAMP)  # so that what fails or is killed from here on is a restart for the next run
        if how == "reload":
            process.run(["systemctl", "reload", UNIT], timeout=60)
        else:
            systemd.start(UNIT)
        if how == "restart":
            systemd.restart(UNIT)
        shown: t.Optional[dict[str, list[str]]] = None

        def ready() -> bool:
            nonlocal shown
            unit = systemd.units([UNIT])[UNIT]
            if unit.state == "failed":
                raise TimeoutError(f"{UNIT} failed: {last_words()}")
            shown = self._shown() if unit.active else None
            return shown == self.expected

        wait_until(ready, self.wait, lambda: f"after {how} the server serves {shown or 'nothing'} and not {self.expected} within {self.wait} s: {last_words()}")
        files.write(STAMP, stamp, 0o600)


def _write_drop_in() -> None:
    files.write(systemd.drop_in_path(UNIT), DROP_IN, 0o644)
    process.run(["systemctl", "daemon-reload"], timeout=120)


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
