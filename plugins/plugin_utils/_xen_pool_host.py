# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host of a XenServer or XCP-ng pool needs for repositories on RBD and CephFS: keys, ceph.conf, rbdmap, LVM's eyes.

All that runs there is a shell: its Python is too old for Ansible's modules. A secret goes there by standard input; what comes back is its digest.

PRIVATE to the collection.
"""

from __future__ import annotations

import base64
import collections
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
echo "service rbdmap $(systemctl is-enabled rbdmap.service 2> /dev/null)"
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
    """What is on the host, by path. service: the state of rbdmap's.

    texts: mode ("644") and text of files, ("", "") of one that is not there. secrets: files with keys, of which only a digest is told.
    devices: those that are mapped, with the signatures on them ("LVM2_member").
    """

    texts: t.Mapping[str, t.Tuple[str, str]]
    secrets: t.Mapping[str, keyring_files.File]
    devices: t.Mapping[str, t.Tuple[str, ...]]
    tools: t.FrozenSet[str]
    service: str


def edit_lvm(text: str) -> str:
    """Return an LVM configuration that looks at RBD devices. All else stays."""
    body = _section(text, "devices")
    if body is None:
        settings = "".join(f"\t{name} = {whole}\n" for name, (_mark, _item, whole) in _LVM_SETTINGS.items())
        return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}devices {{\n{settings}}}\n"
    inner = text[body]
    for name, (mark, item, whole) in _LVM_SETTINGS.items():
        there = re.search(rf"^[ \t]*{name}[ \t]*=[ \t]*(\[[^\]]*\]|\"[^\"]*\")", inner, re.MULTILINE)
        if there is None:
            inner = f"\n\t{name} = {whole}{inner if inner.startswith(chr(10)) else chr(10) + inner}"
        elif mark not in there[1]:
            items = there[1].strip("[] \t\n").rstrip(", \t\n")
            inner = f"{inner[: there.start(1)]}[ {items + ', ' if items else ''}{item} ]{inner[there.end(1) :]}"
    return text[: body.start] + inner + text[body.stop :]


def _section(text: str, name: str) -> t.Optional[slice]:
    """Where the inside of a section is, comments and strings apart."""
    found = re.search(rf"^[ \t]*{name}[ \t]*\{{", text, re.MULTILINE)
    if not found:
        return None
    depth = 1
    for token in re.compile(r'#[^\n]*|"(?:\\.|[^"\\])*"|[{}]').finditer(text, found.end()):
        depth += {"{": 1, "}": -1}.get(token[0], 0)
        if not depth:
            return slice(found.end(), token.start())
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
        """What there is to be and what is to go, by whom it is used: images, and files with keys."""
        present = [item for item in self.repositories if item.kind in _TOOLS and item.present]
        gone = [item for item in self.repositories if item.kind in _TOOLS and not item.present and self.absent]
        self.tools = {tool for item in present for tool in _TOOLS[item.kind]}
        self.images, leaving = ({item.image: self.clients[item.name] for item in items if item.kind == "lvm"} for items in (present, gone))
        place = {"lvm": keyring_file, "cephfs": secret_file}
        self.secrets, dropped = ({place[item.kind](self.clients[item.name]): self.clients[item.name] for item in items} for items in (present, gone))
        self.leaving = {image: client for image, client in leaving.items() if image not in self.images}
        self.dropped = [path for path in dropped if path not in self.secrets]

    def observe(self) -> Observed:
        """Read all of it in one go. Raises Unreachable where the host doesn't say everything, Invalid where something is no file."""
        asked = ((CONF, RBDMAP, *LVM), [*self.secrets, *self.dropped], map(device, [*self.images, *self.leaving]))
        words = [" ".join(f"{self.root}{path}" for path in paths) for paths in asked]
        code, out, err = self.run(_script(_READ, *words, " ".join(sorted(self.tools))), b"")
        lines = [line.split() for line in out.splitlines() if line.strip()]
        if code or not lines or lines.pop() != ["end"]:
            raise Unreachable(f"the host's files could not be read (exit code {code}): {err.strip() or 'it said nothing'}")
        said: dict[str, dict[str, list[str]]] = collections.defaultdict(dict)
        for word, name, *rest in (line for line in lines if len(line) > 1):  # a login shell may say words of its own
            said[word][name[len(self.root) :] if name.startswith(self.root) else name] = rest
        if said["other"]:
            raise Invalid([f"{path} is not a file: remove what is there" for path in said["other"]])
        texts = dict.fromkeys(asked[0], ("", ""))
        texts.update((path, (mode, base64.b64decode("".join(text)).decode("utf-8", "surrogateescape"))) for path, (mode, *text) in said["file"].items())
        keyed = said["secret"].items()
        secrets = {path: keyring_files.File(True, Secret(digest), owner, group, mode.zfill(4)) for path, (mode, owner, group, digest) in keyed}
        devices = {path: tuple(holds) for path, holds in said["device"].items()}
        return Observed(texts, secrets, devices, frozenset(said["tool"]), "".join(said["service"].get("rbdmap", ())))

    def plan(self, observed: Observed) -> Plan:
        draft = Draft()
        if self.tools:
            self._check(observed, draft)
            self._plan_text(draft, CONF, observed, lambda text: ceph_conf.edit_conf(text, {"fsid": self.fsid, "mon_host": self.mon_host}))
        for path, client in self.secrets.items():
            self._plan_secret(draft, path, client, observed)
        if self.images or (self.leaving and observed.texts[RBDMAP][1]):
            entries = {**dict.fromkeys(self.leaving), **{image: rbdmap_options(client) for image, client in self.images.items()}}
            self._plan_text(draft, RBDMAP, observed, lambda text: edit_rbdmap(text, entries))
        if self.images:
            for path in LVM:
                self._plan_text(draft, path, observed, edit_lvm)
            enable = self._command("systemctl", "enable", "rbdmap.service")
            draft.ensure("service", "rbdmap", {"enabled": observed.service == "enabled"}, {"enabled": True}, enable)
        for image, client in self.images.items():
            if device(image) not in observed.devices:
                apply = self._command("rbd", "map", image, "--id", client.partition(".")[2], "--keyring", keyring_file(client))
                draft.ensure("mapping", image, None, {"client": client}, apply, needs=[f"file/{path}" for path in (CONF, RBDMAP, *self.secrets)])
        for image, client in self.leaving.items():
            if device(image) in observed.devices:
                draft.ensure("mapping", image, {"client": client}, None, self._command("rbd", "unmap", device(image)))
        for path in self.dropped:
            if path in observed.secrets:
                unmapped = [f"mapping/{image}" for image in self.leaving]
                draft.ensure("file", path, {"there": True}, None, self._command("rm", "-f", self.root + path), needs=unmapped)
        return draft.plan(Lane("shell"))

    def _check(self, observed: Observed, draft: Draft) -> None:
        missing = sorted(self.tools - observed.tools)
        if missing:
            draft.problem(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed: install ceph-common on this host")
        there = ceph_conf.conf_value(observed.texts[CONF][1], "fsid")
        if there and there != self.fsid:
            draft.problem(f"{CONF} is that of another cluster, {there}, not {self.fsid}: this host can use one cluster only")

    def _plan_text(self, draft: Draft, path: str, observed: Observed, edit: t.Callable[[str], str]) -> None:
        mode, now = observed.texts[path]
        try:
            text = edit(now)
        except ValueError as error:
            draft.problem(f"{path}: {error}: correct it by hand")
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
        self._run(f"{path} could not be written", _script(_WRITE, self.root + path, mode, owner), content)

    def _command(self, *words: str) -> t.Callable[[], None]:
        command = shlex.join(words)
        return functools.partial(self._run, command, f"PATH=$PATH:/usr/sbin:/sbin; {command}", b"")

    def _run(self, what: str, script: str, content: bytes) -> None:
        code, out, err = self.run(script, content)
        if code:
            raise RuntimeError(f"{what}: {err.strip() or out.strip() or f'exit code {code}'}")

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        """Return the images that repositories lie on, whether each is mapped, and what it is seen to hold."""
        found = {image: observed.devices.get(device(image)) for image in self.images}
        return {"images": [{"image": image, "mapped": holds is not None, "holds": list(holds or ())} for image, holds in found.items()]}


def _script(body: str, *words: str) -> str:
    # Ansible appends to what it runs, so it can't end with a line.
    return f"set -- {shlex.join(words)}\n{body.strip()}"


def _shown(line: str) -> str:
    """A line of a file of somebody else's, without a key that may be in it."""
    return re.sub(r"((?:secret|key)\s*=\s*)[A-Za-z0-9+/]{20,}={0,2}", r"\1********", line)
