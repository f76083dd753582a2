# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host of a XenServer or XCP-ng pool needs for repositories on RBD and CephFS: keys, ceph.conf, rbdmap, LVM's eyes.

The Python of such a host (3.6, or 2.7) is too old for Ansible's modules, so all that runs there is a shell. A secret goes there by standard input,
into its file and nowhere else; what comes back of one is its digest.

PRIVATE to the collection.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import re
import shlex
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import ceph_conf, keyring_files
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Change, Draft, Invalid, Lane, Plan, Secret, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._xen.mappings import RBDMAP, edit_rbdmap, keyring_file, rbdmap_options
from ansible_collections.cephstack.cloud.plugins.module_utils._xen.pool import Repository, device, secret_file

# Runs a script with standard input; gives its exit code, output and errors.
Run = t.Callable[[str, bytes], t.Tuple[int, str, str]]

CONF = "/etc/ceph/ceph.conf"
# LVM of these hosts has two sets of configuration, one for the pool's master (XCP-ng's documentation, "Ceph RBD").
LVM = ("/etc/lvm/lvmlocal.conf", "/etc/lvm/master/lvmlocal.conf")
# As XCP-ng documents them; what stands there already is kept.
_LVM_SETTINGS = {
    "types": ('"rbd"', '"rbd", 1024', '[ "scini", 16, "rbd", 1024 ]'),
    "scan": ('"/dev/rbd"', '"/dev/rbd"', '[ "/dev/disk/by-id", "/dev/rbd" ]'),
}
_TOOLS = {"lvm": ("rbd", "rbdmap"), "cephfs": ("ceph", "mount.ceph")}

# Each thing in a line of words; the last one says that it is the last. In $1: texts, $2: secrets, $3: devices, $4: tools.
_READ = r"""
PATH=$PATH:/usr/sbin:/sbin
for f in $1; do
  if [ -f "$f" ]; then c=$(base64 -w0 "$f") || exit 3; echo "file $f $(stat -L -c %a "$f") $c"
  elif [ -e "$f" ]; then echo "other $f"; fi
done
for f in $2; do
  if [ -f "$f" ]; then
    c=$(sha256sum < "$f") || exit 3
    s=$(stat -L -c "%a %U %G" "$f") || exit 3
    echo "secret $f $s ${c%% *}"
  elif [ -e "$f" ]; then echo "other $f"; fi
done
for d in $3; do
  if [ -b "$d" ] || [ -L "$d" ]; then
    s=$(wipefs -p "$d") || exit 3
    echo "device $d" $(echo "$s" | sed '/^#/d; s/.*,//')
  fi
done
for c in $4; do if command -v "$c" > /dev/null; then echo "tool $c"; fi; done
echo "service $(systemctl is-enabled rbdmap.service 2> /dev/null)"
echo end
"""

# A file that is there is replaced whole, through a link to where it is. In $1: the file, $2: its mode, $3: OWNER:GROUP, where they matter.
_WRITE = r"""
set -e
f=$1; if [ -e "$f" ]; then f=$(readlink -f "$f"); fi
mkdir -p -m 755 "$(dirname "$f")"
umask 077
t=$(mktemp "$f.XXXXXX"); trap 'rm -f "$t"' EXIT
if [ -n "$3" ]; then chown "$3" "$t"; fi
chmod "$2" "$t"; cat > "$t"; mv -f "$t" "$f"
"""


@dataclasses.dataclass(frozen=True)
class Observed:
    """What is on the host.

    texts: mode ("644") and text of files by path. secrets: files with keys, of which only a digest is told. devices: those that are mapped, with
    the signatures on them ("LVM2_member"). service: the state of rbdmap's.
    """

    texts: t.Mapping[str, t.Tuple[str, str]]
    secrets: t.Mapping[str, keyring_files.File]
    devices: t.Mapping[str, t.Tuple[str, ...]]
    tools: t.FrozenSet[str]
    service: str

    def text(self, path: str) -> str:
        """The text of a file, "" where there is none."""
        return self.texts.get(path, ("", ""))[1]


def edit_lvm(text: str) -> str:
    """Return an LVM configuration that looks at RBD devices. All else stays."""
    body = _section(text, "devices")
    if body is None:
        settings = "".join(f"\t{name} = {whole}\n" for name, (_mark, _item, whole) in _LVM_SETTINGS.items())
        return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}devices {{\n{settings}}}\n"
    start, end = body
    inner = text[start:end]
    for name, (mark, item, whole) in _LVM_SETTINGS.items():
        there = re.search(rf"^[ \t]*{name}[ \t]*=[ \t]*(\[[^\]]*\]|\"[^\"]*\")", inner, re.MULTILINE)
        if there is None:
            inner = f"\n\t{name} = {whole}{inner if inner.startswith(chr(10)) else chr(10) + inner}"
        elif mark not in there[1]:
            items = there[1].strip("[] \t\n").rstrip(", \t\n")
            inner = f"{inner[: there.start(1)]}[ {items + ', ' if items else ''}{item} ]{inner[there.end(1) :]}"
    return text[:start] + inner + text[end:]


def _section(text: str, name: str) -> t.Optional[tuple[int, int]]:
    """Where the inside of a section begins and ends, comments and strings apart."""
    found = re.search(rf"^[ \t]*{name}[ \t]*\{{", text, re.MULTILINE)
    if not found:
        return None
    depth = 1
    for token in re.compile(r'#[^\n]*|"(?:\\.|[^"\\])*"|[{}]').finditer(text, found.end()):
        depth += {"{": 1, "}": -1}.get(token[0], 0)
        if not depth:
            return found.end(), token.start()
    raise ValueError(f"its section {name} has no end")


@dataclasses.dataclass
class Provider:
    """Brings one host to what the declared repositories need.

    keys: by client; one may be missing in a dry run only. absent: whether what repositories that are gone had is taken away, or kept for now.
    root, owner, group: before all paths, and whose the files with keys are, for tests.
    """

    run: Run
    repositories: t.Sequence[Repository]
    clients: t.Mapping[str, str]
    fsid: str
    mon_host: str
    keys: t.Mapping[str, Secret]
    absent: bool = False
    root: str = ""
    owner: str = "root"
    group: str = "root"

    def __post_init__(self) -> None:
        mine = [item for item in self.repositories if item.kind in _TOOLS]
        self.present = [item for item in mine if item.present]
        self.gone = [item for item in mine if not item.present and self.absent]
        self.tools = {tool for item in self.present for tool in _TOOLS[item.kind]}

    def _images(self, items: t.Sequence[Repository]) -> dict[str, str]:
        return {item.image: self.clients[item.name] for item in items if item.kind == "lvm"}

    def _secret_files(self, items: t.Sequence[Repository]) -> dict[str, str]:
        return {(keyring_file if item.kind == "lvm" else secret_file)(self.clients[item.name]): self.clients[item.name] for item in items}

    def observe(self) -> Observed:
        """Read all of it in one go. Raises Unreachable where the host doesn't say everything."""
        both = [*self.present, *self.gone]
        asked = ((CONF, RBDMAP, *LVM), self._secret_files(both), map(device, self._images(both)))
        words = [" ".join(f"{self.root}{path}" for path in paths) for paths in asked]
        code, out, err = self.run(_script(_READ, *words, " ".join(sorted(self.tools))), b"")
        lines = [line.split() for line in out.splitlines() if line.strip()]
        if code or not lines or lines[-1] != ["end"]:
            raise Unreachable(f"the host's files could not be read (exit code {code}): {err.strip() or 'it said nothing'}")
        texts: dict[str, tuple[str, str]] = {}
        secrets: dict[str, keyring_files.File] = {}
        devices: dict[str, tuple[str, ...]] = {}
        tools, service = set(), ""
        for word, *rest in lines:
            path = rest[0][len(self.root) :] if rest else ""
            if word == "file":
                texts[path] = (rest[1], base64.b64decode("".join(rest[2:])).decode("utf-8", "surrogateescape"))
            elif word == "secret":
                secrets[path] = keyring_files.File(True, Secret(rest[4]), rest[2], rest[3], f"{int(rest[1], 8):04o}")
            elif word == "other":
                raise Invalid([f"{path} is no file: take away what is there"])
            elif word == "device":
                devices[path] = tuple(rest[1:])
            elif word == "tool":
                tools.add(rest[0])
            elif word == "service":
                service = "".join(rest)
        return Observed(texts, secrets, devices, frozenset(tools), service)

    def plan(self, observed: Observed) -> Plan:
        """Compare. Raises Invalid where the host lacks what this can't give it."""
        draft = Draft()
        images, gone, secrets = self._images(self.present), self._images(self.gone), self._secret_files(self.present)
        leaving = {image: client for image, client in gone.items() if image not in images}
        if self.present:
            self._check(observed, draft)
            self._plan_text(draft, CONF, observed, lambda text: ceph_conf.edit_conf(text, {"fsid": self.fsid, "mon_host": self.mon_host}))
        for path, client in secrets.items():
            self._plan_secret(draft, path, client, observed)
        if images or (leaving and observed.text(RBDMAP)):
            entries = {**dict.fromkeys(leaving), **{image: rbdmap_options(client) for image, client in images.items()}}
            self._plan_text(draft, RBDMAP, observed, lambda text: edit_rbdmap(text, entries))
        if images:
            for path in LVM:
                self._plan_text(draft, path, observed, edit_lvm)
            enable = functools.partial(self._do, "systemctl enable rbdmap.service")
            draft.ensure("service", "rbdmap", {"enabled": observed.service == "enabled"}, {"enabled": True}, enable)
        files = [f"file/{path}" for path in (CONF, RBDMAP, *secrets)]
        for image, client in images.items():
            if device(image) not in observed.devices:
                command = f"rbd map {shlex.quote(image)} --id {shlex.quote(client.partition('.')[2])} --keyring {shlex.quote(keyring_file(client))}"
                draft.ensure("mapping", image, None, {"client": client}, functools.partial(self._do, command), needs=files)
        for image, client in leaving.items():
            if device(image) in observed.devices:
                command = f"rbd unmap /dev/rbd/{shlex.quote(image)}"
                draft.ensure("mapping", image, {"client": client}, None, functools.partial(self._do, command))
        unmapped = [f"mapping/{image}" for image in leaving]
        for path in self._secret_files(self.gone):
            if path not in secrets and path in observed.secrets:
                command = f"rm -f {shlex.quote(self.root + path)}"
                draft.ensure("file", path, {"there": True}, None, functools.partial(self._do, command), needs=unmapped)
        return draft.plan(Lane("shell"))

    def _check(self, observed: Observed, draft: Draft) -> None:
        missing = sorted(self.tools - observed.tools)
        if missing:
            draft.problem(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed: install ceph-common on this host")
        there = ceph_conf.conf_value(observed.text(CONF), "fsid")
        if there and there != self.fsid:
            draft.problem(f"{CONF} is that of another cluster, {there}, not {self.fsid}: this host can use one cluster only")

    def _plan_text(self, draft: Draft, path: str, observed: Observed, edit: t.Callable[[str], str]) -> None:
        now = observed.text(path)
        mode, _text = observed.texts.get(path, ("", ""))
        try:
            text = edit(now)
        except ValueError as error:
            draft.problem(f"{path}: {error}: mend it by hand")
            return
        if text != now or not mode:
            old, new = now.splitlines(), text.splitlines()
            before, after = ({"lines": [_shown(line) for line in lines if line not in others]} for lines, others in ((old, new), (new, old)))
            write = functools.partial(self._write, path, mode or "644", text.encode("utf-8", "surrogateescape"))
            draft.add(Change("file", path, "update" if mode else "create", before if mode else None, after, write))

    def _plan_secret(self, draft: Draft, path: str, client: str, observed: Observed) -> None:
        key, place = self.keys.get(client), keyring_files.Place(path, client, self.owner, self.group)
        text = digest = None
        if key is not None:  # it is in a dry run before the cluster has made it
            text = keyring_files.keyring_text(client, key) if path == keyring_file(client) else f"{key.reveal()}\n"
            digest = Secret(hashlib.sha256(text.encode()).hexdigest())
        write = functools.partial(self._write, path, place.mode, (text or "").encode(), f"{place.owner}:{place.group}")
        keyring_files.ensure(draft, place, observed.secrets.get(path, keyring_files.File()), digest, write, kind="file")

    def _write(self, path: str, mode: str, content: bytes, owner: str = "") -> None:
        self._run(_script(_WRITE, self.root + path, mode, owner), content, f"{path} could not be written")

    def _do(self, command: str) -> None:
        self._run(f"PATH=$PATH:/usr/sbin:/sbin; {command}", b"", command)

    def _run(self, script: str, content: bytes, what: str) -> None:
        code, out, err = self.run(script, content)
        if code:
            raise RuntimeError(f"{what}: {(err.strip() or out.strip()) or f'exit code {code}'}")

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        """Return the images that repositories lie on, whether each is mapped, and what it is seen to hold."""
        found = {image: observed.devices.get(device(image)) for image in self._images(self.present)}
        return {"images": [{"image": image, "mapped": holds is not None, "holds": list(holds or ())} for image, holds in found.items()]}


def _script(body: str, *words: str) -> str:
    # Ansible appends to what it runs, so it can't end with a line.
    return f"set -- {' '.join(shlex.quote(word) for word in words)}\n{body.strip()}"


def _shown(line: str) -> str:
    """A line of a file of somebody else's, without a key that may be in it."""
    return re.sub(r"((?:secret|key)\s*=\s*)[A-Za-z0-9+/]{20,}={0,2}", r"\1********", line)
