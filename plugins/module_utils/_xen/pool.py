# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage repositories (SRs) on Ceph of a pool of XenServer or XCP-ng, shared by all of it, and how each host is plugged to them (PBDs).

PRIVATE to the collection.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import re
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Lane, Plan, Risk, differing
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, choice, integer, presence, string
from ansible_collections.cephstack.cloud.plugins.module_utils._xen.xenapi import Failure, Session

REPOSITORY_OPTIONS: dict[str, t.Any] = {
    "name": string("Its name. A pool may have several of one name, but not one that is declared.", required=True),
    "description": string("What it is for."),
    "type": choice("LVM on an RBD image, CephFS (XCP-ng only), or NFS.", ["lvm", "cephfs", "nfs"], required=True),
    "image": string("The RBD image of an V(lvm) one, as V(pool/image). It must be mapped on every host."),
    "client": string("The cephx client of an V(lvm) or V(cephfs) one, such as V(client.xen)."),
    "server": string("The NFS gateway, or the monitors of V(cephfs), separated by commas."),
    "path": string("The NFS export, or the folder in CephFS. Each repository makes a folder of its own within."),
    "port": integer("The port of the monitors. By default 6789; the kernel of these hosts speaks Ceph's older protocol only."),
    "filesystem": string("The CephFS filesystem, if the cluster has several."),
    "version": choice("The version of NFS. By default V(4).", ["3", "4", "4.0", "4.1"]),
    "options": string("Further mount options."),
    "uuid": string("The UUID of a repository that is on the storage but unknown to the pool, to take it over."),
    "default": boolean("Whether new disks go there by default.", default=False),
    "state": presence("Whether the pool has it. V(absent) must be allowed by its name, V(sr/NAME)."),
    "removal": choice(
        "What to do with one that is to be absent. V(forget) leaves all that is on the storage; O(repositories[].uuid) takes it over again.\n"
        "V(destroy) removes it from the storage, too, and is refused while disks are in it.",
        ["forget", "destroy"],
        default="forget",
    ),
}

# What each type takes, and what it cannot do without.
_TAKES = {
    "lvm": ({"image", "client"}, {"image", "client"}),
    "cephfs": ({"server", "path", "client", "port", "filesystem", "options"}, {"server", "path", "client"}),
    "nfs": ({"server", "path", "version", "options"}, {"server", "path"}),
}
# How options are written, and what is said of one that is not.
_WRITTEN = {
    "image": (r"(?a)[\w.+-]+/[\w.+-]+", "is not POOL/IMAGE"),
    "client": (r"(?a)client\.[\w.+-]+", "is no cephx client: its name begins with 'client.'"),
    "path": (r"/\S*", "does not begin with /, or has blanks"),
    "uuid": (r"(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "is no UUID"),
}
# A server of NFS, or those of CephFS.
_SERVERS = {"nfs": (r"[^\s/,]+", "one name or address"), "cephfs": (r"[^\s/,]+(,[^\s/,]+)*", "names or addresses, separated by commas")}
# The keys of a device_config that say where the data are. Others say how they are reached.
_PLACE = {"device", "server", "serverpath"}
_DEVICES = "/dev/rbd/"
# More than a code can say, by SR_BACKEND_FAILURE_* (drivers/XE_SR_ERRORCODES.xml of sm) and a word of what was said.
_HINTS = (
    ("SR_BACKEND_FAILURE_47", "ceph is not installed", "install ceph-common on every host of the pool"),
    ("SR_BACKEND_FAILURE_19", "", "the image is not mapped on the master"),
    ("SR_BACKEND_FAILURE_16", "", "another repository of the pool uses the device"),
    ("SR_BACKEND_FAILURE_72", "", "the gateway doesn't serve this version of NFS"),
    ("SR_BACKEND_FAILURE_73", "", "is the export there, and does the gateway let this host mount it?"),
    ("SR_BACKEND_FAILURE_108", "", "no NFS server answers there on port 2049"),
    ("SR_BACKEND_FAILURE_111", "", "is the path in the filesystem, and may the client use it?"),
    ("SR_BACKEND_FAILURE_461", "", "the export is read only, or squashes root: it needs access rw and no_root_squash"),
    ("SR_UNKNOWN_DRIVER", "", "this pool has no driver of this type"),
    ("HOST_OFFLINE", "", "start the host, or take it out of the pool"),
    ("VDI_IN_USE", "", "disks of running guests are there: stop or move these guests first"),
    ("SR_NOT_EMPTY", "", "disks are left in it"),
    ("SR_BACKEND_FAILURE_39", "", "disks are left in it"),
    ("RBAC_PERMISSION_DENIED", "", "the user needs the role pool-operator"),
)


@dataclasses.dataclass(frozen=True)
class Repository:
    """One storage repository as declared. config is its device_config; description None where nothing is said of it."""

    name: str
    kind: str
    config: t.Mapping[str, str]
    description: t.Optional[str] = None
    uuid: t.Optional[str] = None
    default: bool = False
    present: bool = True
    destroy: bool = False

    @property
    def image(self) -> str:
        """POOL/IMAGE that it lies on, "" where it lies on none."""
        return self.config.get("device", "")[len(_DEVICES) :]


@dataclasses.dataclass(frozen=True)
class Observed:
    """The pool's records by reference, whole. probed: the UUIDs that are on a device, by the name of the repository to be; None where it can't be known."""

    pool: str
    master: str
    default: str
    hosts: t.Mapping[str, t.Mapping[str, t.Any]]
    repositories: t.Mapping[str, t.Mapping[str, t.Any]]
    pbds: t.Mapping[str, t.Mapping[str, t.Any]]
    types: t.FrozenSet[str]
    existing: t.FrozenSet[str]
    probed: t.Mapping[str, t.Optional[t.Tuple[str, ...]]] = dataclasses.field(default_factory=dict)

    def label(self, reference: str) -> str:
        record = self.hosts.get(reference) or self.repositories.get(reference) or {}
        return str(record.get("name_label") or reference)

    def named(self, name: str) -> list[str]:
        return [reference for reference, record in self.repositories.items() if record["name_label"] == name]

    def plugs(self, repository: str) -> dict[str, tuple[str, t.Mapping[str, t.Any]]]:
        """The PBDs of a repository, with their references, by host."""
        return {record["host"]: (reference, record) for reference, record in self.pbds.items() if record["SR"] == repository}


def device(image: str) -> str:
    """The device of a mapped image, POOL/IMAGE, by udev's rule of ceph-common."""
    return f"{_DEVICES}{image}"


def secret_file(client: str) -> str:
    """Where a client's bare key is, for mount.ceph."""
    return f"/etc/ceph/{client.partition('.')[2]}.secret"


def parse(items: t.Sequence[t.Mapping[str, t.Any]], where: str = "repositories") -> list[Repository]:
    """Read a declaration. Raises Invalid with every problem found."""
    problems: list[str] = []
    found = [_parse(item, f"{where}[{number}] ({item['name']})", problems) for number, item in enumerate(items)]
    names = collections.Counter(repository.name for repository in found)
    problems += [f"{where}: {name} is declared {count} times: keep one of them" for name, count in sorted(names.items()) if count > 1]
    images = collections.Counter(repository.image for repository in found if repository.present and repository.image)
    problems += [f"{where}: {count} repositories name the image {image}: each needs one of its own" for image, count in sorted(images.items()) if count > 1]
    defaults = [repository.name for repository in found if repository.default]
    if len(defaults) > 1:
        problems.append(f"{where}: {', '.join(defaults)} are each said to be the default: keep one")
    if problems:
        raise Invalid(problems)
    return found


def _parse(item: t.Mapping[str, t.Any], here: str, problems: list[str]) -> Repository:
    kind, present = item["type"], item.get("state", "present") == "present"
    given = {key for keys, _needs in _TAKES.values() for key in keys if item.get(key) is not None}
    takes, needs = _TAKES[kind]
    missing = sorted(needs - given)
    written = {key: item[key] for key in _WRITTEN if item.get(key) is not None}
    server, (servers, whose) = item.get("server"), _SERVERS.get(kind, _SERVERS["cephfs"])
    wrong = {
        "name is empty": not item["name"].strip(),
        **{f"a repository of type {kind} has no {key}": True for key in sorted(given - takes)},
        f"a repository of type {kind} needs {', '.join(missing)}": missing,
        **{f"{key} '{value}' {_WRITTEN[key][1]}": not re.fullmatch(_WRITTEN[key][0], value) for key, value in written.items()},
        f"server '{server}' is not {whose}": server is not None and not re.fullmatch(servers, server),
        "options holds a secret, which all of the pool could read: leave it out, the key comes from client": ",secret=" in f",{item.get('options')}",
        "it can't be the default and absent": item.get("default") and not present,
    }
    problems += [f"{here}: {text}" for text, so in wrong.items() if so]
    uuid, config = (item.get("uuid") or "").lower() or None, {} if missing else _config(item)
    return Repository(item["name"], kind, config, item.get("description"), uuid, bool(item.get("default")), present, item.get("removal") == "destroy")


def _config(item: t.Mapping[str, t.Any]) -> dict[str, str]:
    if item["type"] == "lvm":
        return {"device": device(item["image"])}
    config = {"server": item["server"], "serverpath": item["path"]}
    if item["type"] == "nfs":
        config["nfsversion"] = item.get("version") or "4"
        return {**config, "options": item["options"]} if item.get("options") else config
    filesystem = f"mds_namespace={item['filesystem']}" if item.get("filesystem") else ""
    options = (f"name={item['client'].partition('.')[2]}", f"secretfile={secret_file(item['client'])}", filesystem, item.get("options"))
    config["options"] = ",".join(filter(None, options))
    if item.get("port") not in (None, 6789):  # CephFSSR.py's own default
        config["serverport"] = str(item["port"])
    return config


def told(failure: Failure) -> str:
    said = ", ".join(failure.params)
    hint = next((f": {hint}" for code, word, hint in _HINTS if failure.code == code and word in said), "")
    return f"{failure}{hint}"


@dataclasses.dataclass
class Provider:
    """Brings the repositories of one pool to what was declared.

    hosts: name and address of each host as the inventory has them; none where they are not to be compared with the pool's.
    images: what a host saw on the images, as xen_pool_host returns it.
    dry: the hosts may not have been prepared yet, so a device that can't be looked at is no mistake.
    """

    session: Session
    wanted: t.Sequence[Repository]
    hosts: t.Sequence[t.Mapping[str, str]] = ()
    images: t.Sequence[t.Mapping[str, t.Any]] = ()
    dry: bool = False

    def observe(self) -> Observed:
        try:
            (pool,) = self.session.records("pool").values()
            metrics, hosts, drivers = (self.session.records(kind) for kind in ("host_metrics", "host", "SM"))
            existing = frozenset(reference for reference, record in hosts.items() if metrics.get(record["metrics"], {}).get("live"))
            types = frozenset(record["type"] for record in drivers.values())
            repositories, pbds = self.session.records("SR"), self.session.records("PBD")
        except Failure as failure:
            raise Invalid([f"{self.session.where}: {told(failure)}"]) from None
        seen = Observed(pool["name_label"] or pool["uuid"], pool["master"], pool["default_SR"], hosts, repositories, pbds, types, existing)
        bare = [item for item in self.wanted if item.present and item.kind == "lvm" and not item.uuid and not seen.named(item.name)]
        return dataclasses.replace(seen, probed={item.name: self._probe(item, seen) for item in bare if item.kind in types})

    def _probe(self, wanted: Repository, observed: Observed) -> t.Optional[tuple[str, ...]]:
        """The UUIDs of the repositories on a device; None where it can't be looked at, which only a dry run forgives."""
        try:
            text = self.session.call("SR.probe", observed.master, dict(wanted.config), wanted.kind, {})
        except Failure as failure:
            if self.dry:
                return None
            where = f"{wanted.config['device']} cannot be looked at on {observed.label(observed.master)}"
            raise Invalid([f"repository {wanted.name}: {where}: {told(failure)}"]) from None
        return tuple(re.findall(r"<UUID>\s*([0-9a-f-]{36})\s*</UUID>", str(text)))

    def plan(self, observed: Observed) -> Plan:
        draft = Draft()
        if self.hosts:
            self._check_hosts(observed, draft)
        for wanted in self.wanted:
            for reference in sorted(set(observed.hosts) - observed.existing) if wanted.present else ():
                draft.warn(f"repository {wanted.name}: the host {observed.label(reference)} is offline; it is plugged when it is back")
            there = observed.named(wanted.name)
            taken = _taken(wanted, there, observed)
            if taken:
                draft.problem(f"repository {wanted.name}: the pool has {taken}")
            elif there:
                (self._plan_update if wanted.present else self._plan_removal)(wanted, there[0], observed, draft)
            elif wanted.present:
                self._plan_creation(wanted, observed, draft)
        default = next((item.name for item in self.wanted if item.default and item.present), None)
        if default and observed.default not in observed.named(default):
            now = observed.repositories.get(observed.default, {}).get("name_label")
            apply = functools.partial(self._make_default, default, observed)
            draft.ensure("pool", "default", {"repository": now}, {"repository": default}, apply, needs=[f"sr/{default}"])
        # xapi formats and plugs one repository after the other anyway.
        return draft.plan(Lane("session"))

    def _check_hosts(self, observed: Observed, draft: Draft) -> None:
        shown = {reference: f"{record['name_label']} ({record['address']})" for reference, record in observed.hosts.items()}
        known = {reference: [record[key].lower() for key in ("address", "name_label", "hostname")] for reference, record in observed.hosts.items()}
        matched: set[str] = set()
        for host in self.hosts:
            address, name = str(host.get("address") or "-").lower(), host["name"].lower()
            found = [reference for reference, (at, *names) in known.items() if address == at or name in names]
            matched.update(found)
            if not found:
                whose = f"none of the pool {observed.pool}, whose hosts are {', '.join(sorted(shown.values()))}"
                draft.problem(f"host {host['name']} ({host.get('address') or 'no address'}) is {whose}")
        why = "a shared repository must be reachable from every host of its pool, so declare it"
        for reference in (reference for reference in shown if reference not in matched):
            draft.problem(f"host {shown[reference]} of the pool {observed.pool} is not in the inventory: {why}")

    def _plan_creation(self, wanted: Repository, observed: Observed, draft: Draft) -> None:
        here, path = f"repository {wanted.name}", wanted.config.get("device")
        if wanted.kind not in observed.types:
            draft.problem(f"{here}: the pool {observed.pool} has no driver of type {wanted.kind}, only {', '.join(sorted(observed.types))}")
            return
        for other in observed.repositories.values():
            if other["uuid"] == wanted.uuid:
                draft.problem(f"{here}: uuid {wanted.uuid} is that of the repository {other['name_label']}: rename it, or declare that name")
        using = {observed.label(record["SR"]) for record in observed.pbds.values() if path and record["device_config"].get("device") == path}
        for name in sorted(using):
            draft.problem(f"{here}: {path} already is the repository {name}: declare it by that name, or another image")
        if path and not using and not wanted.uuid:
            self._judge(wanted.name, path, observed.probed.get(wanted.name, ()), draft)
        after = {"type": wanted.kind, "shared": True, "device_config": dict(wanted.config), "description": wanted.description, "uuid": wanted.uuid}
        after = {key: value for key, value in after.items() if value is not None}
        reason = "what is on the storage is taken over as it is" if wanted.uuid else ""
        draft.ensure("sr", wanted.name, None, after, lambda: self._create(wanted, observed), reason=reason)

    def _judge(self, name: str, path: str, probed: t.Optional[tuple[str, ...]], draft: Draft) -> None:
        """May the image be formatted? Only if it was seen to be empty: SR.create wipes what is on it, another repository too.

        SR.probe names that, but takes a device that it can't read for an empty one (sm's lvutil.py, _get_sr_uuid), so a host must have looked too.
        """
        seen = {device(item["image"]): item["holds"] for item in self.images if item["mapped"]}
        holds, here = seen.get(path), f"repository {name}: {path}"
        if probed:
            draft.problem(f"{here} holds the repository {', '.join(probed)}, which would be lost: declare uuid: {probed[0]} to take it over, or another image")
        elif holds:
            why = "and the pool finds no repository in it: declare another image, or its uuid if it is one"
            draft.problem(f"{here} holds {', '.join(holds)}, which would be lost, {why}")
        elif (holds is None or probed is None) and self.dry:
            draft.warn(f"{here} could not be looked at yet; if something is on it, it will be refused")
        elif holds is None:
            draft.problem(f"repository {name}: no host has looked at what is on {path}: give images, as xen_pool_host returns them")

    def _plan_update(self, wanted: Repository, reference: str, observed: Observed, draft: Draft) -> None:
        record, calls = observed.repositories[reference], {"shared": "SR.set_shared", "description": "SR.set_name_description"}
        after = {"shared": True, **({} if wanted.description is None else {"description": wanted.description})}

        def update(differs: t.Mapping[str, t.Any]) -> None:
            for key, value in differs.items():
                self._do(calls[key], observed, reference, value)

        draft.ensure("sr", wanted.name, {"shared": record["shared"], "description": record["name_description"]}, after, update=update)
        for host in observed.hosts:
            self._plan_plug(wanted, reference, host, observed, draft)

    def _plan_plug(self, wanted: Repository, repository: str, host: str, observed: Observed, draft: Draft) -> None:
        """The change of one host's connection to a repository. An offline host plugs by itself when it is back."""
        now, existing, config = observed.plugs(repository).get(host), host in observed.existing, dict(wanted.config)
        ensure = functools.partial(draft.ensure, "pbd", f"{wanted.name}/{observed.label(host)}", needs=[f"sr/{wanted.name}"])
        if now is None:
            ensure(None, {"device_config": config, "attached": existing}, lambda: self._plug(host, repository, config, observed))
            return
        reference, record = now
        left, right = differing(_normal(record["device_config"]), _normal(config))
        # What only another declaration had is no longer wanted; what a driver added for itself stays.
        dropped = {key: value for key, value in record["device_config"].items() if key in ("options", "serverport", "nfsversion") and key not in config}

        def again() -> None:
            self._unplug(now, observed)
            self._do("PBD.destroy", observed, reference)
            self._plug(host, repository, config, observed)

        if (right or dropped) and existing:
            reason = "the host is unplugged from it for a moment; guests with disks there must not run on it"
            before, after = {"device_config": {**left, **dropped}}, {"device_config": {**right, **dict.fromkeys(dropped)}}
            ensure(before, after, again, risk=Risk.RESTART, reason=reason)
        elif existing:
            ensure({"attached": record["currently_attached"]}, {"attached": True}, lambda: self._do("PBD.plug", observed, reference))

    def _plan_removal(self, wanted: Repository, reference: str, observed: Observed, draft: Draft) -> None:
        record = observed.repositories[reference]
        disks = len(record.get("VDIs") or ())
        if wanted.destroy and disks:
            held = f"it holds {disks} disk{'s' * (disks > 1)}: remove or move them before it is destroyed, or let it be forgotten"
            draft.problem(f"repository {wanted.name}: {held}")

        def apply() -> None:
            for plug in observed.plugs(reference).values():
                self._unplug(plug, observed)
            self._do("SR.destroy" if wanted.destroy else "SR.forget", observed, reference)

        forgets = f"the pool forgets it and which guest has which of its {disks} disks; what is on the storage stays"
        reason = "the repository is taken off the storage" if wanted.destroy else forgets
        draft.ensure("sr", wanted.name, {"uuid": record["uuid"], "type": record["type"], "disks": disks}, None, apply, risk=Risk.LOSS, reason=reason)

    def _make_default(self, name: str, observed: Observed) -> None:
        (pool,) = self.session.records("pool")
        (reference,) = self.session.call("SR.get_by_name_label", name)
        self._do("pool.set_default_SR", observed, pool, reference)

    def _create(self, wanted: Repository, observed: Observed) -> None:
        config, plugged = dict(wanted.config), dict[str, str]()
        about: tuple[t.Any, ...] = (wanted.name, wanted.description or "", wanted.kind, "user", True, {})
        if wanted.uuid:
            reference = self._do("SR.introduce", observed, wanted.uuid, *about)
        else:
            # 0, a string in XenAPI, is all that there is. It plugs the hosts, but says nothing of one that fails: that is asked.
            reference = self._do("SR.create", observed, observed.master, config, "0", *about)
            plugged = {record["host"]: pbd for pbd, record in self.session.records("PBD").items() if record["SR"] == reference}
        failures = []
        # The master first: it is the one that makes and changes what is on the storage.
        for host in sorted(observed.hosts, key=lambda host: host != observed.master):
            try:
                self._plug(host, reference, config, observed, plugged.get(host, ""))
            except RuntimeError as error:
                failures.append(f"{observed.label(host)}: {error}")
        if failures:
            raise RuntimeError("it was made, but not plugged everywhere: " + "; ".join(failures))

    def _plug(self, host: str, repository: str, config: t.Mapping[str, str], observed: Observed, pbd: str = "") -> None:
        """Plug a host that is not offline. pbd: its connection, where there is one already."""
        pbd = pbd or self._do("PBD.create", observed, {"host": host, "SR": repository, "device_config": config, "other_config": {}})
        if host in observed.existing:
            self._do("PBD.plug", observed, pbd)

    def _unplug(self, plug: tuple[str, t.Mapping[str, t.Any]], observed: Observed) -> None:
        if plug[1]["currently_attached"]:
            self._do("PBD.unplug", observed, plug[0])

    def _do(self, name: str, observed: Observed, *args: t.Any) -> t.Any:
        """Call, and say what was refused with names instead of references. Raises RuntimeError."""
        try:
            return self.session.call(name, *args)
        except Failure as failure:
            params = [self._name_of(param, observed) for param in failure.params]
            raise RuntimeError(told(Failure(failure.call, failure.code, params))) from None

    def _name_of(self, param: str, observed: Observed) -> str:
        for kind, records in (("host", observed.hosts), ("repository", observed.repositories)):
            if param in records:
                return f"{kind} {observed.label(param)}"
        if param in observed.pbds:
            return f"the connection of {observed.label(observed.pbds[param]['host'])}"
        if param.startswith("OpaqueRef:"):
            with contextlib.suppress(Failure):
                return f"disk {self.session.call('VDI.get_name_label', param)}"
        return param

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        rows: list[dict[str, t.Any]] = []
        for reference in (reference for wanted in self.wanted if wanted.present for reference in observed.named(wanted.name)):
            record = observed.repositories[reference]
            rows.append({"name": record["name_label"], "uuid": record["uuid"], "type": record["type"], "default": reference == observed.default})
            hosts = {observed.label(host): bool(pbd["currently_attached"]) for host, (_pbd, pbd) in observed.plugs(reference).items()}
            rows[-1].update(size=int(record["physical_size"]), used=int(record["physical_utilisation"]), hosts=hosts)
        return {"pool": observed.pool, "master": observed.label(observed.master), "repositories": rows}


def _taken(wanted: Repository, there: t.Sequence[str], observed: Observed) -> str:
    """Why those of the wanted one's name are not what was declared; "" where there is none, or it is."""
    records = [observed.repositories[reference] for reference in there]
    if len(records) > 1:
        return f"{len(records)} of this name ({', '.join(record['uuid'] for record in records)}): rename all but one"
    place, why = _normal({key: value for key, value in wanted.config.items() if key in _PLACE}), ""
    for record in records if wanted.config else ():
        if record["type"] != wanted.kind:
            why = f"of type {record['type']}, not {wanted.kind}"
        elif wanted.uuid and record["uuid"] != wanted.uuid:
            why = f"with the uuid {record['uuid']}, not {wanted.uuid}"
        else:
            for host, (_reference, pbd) in observed.plugs(there[0]).items():
                before, after = differing(_normal(pbd["device_config"]), place)
                if after and not why:
                    why = f"elsewhere ({', '.join(f'{key} {before[key]}, not {after[key]}' for key in after)}; on {observed.label(host)})"
    return why and f"one of this name {why}: use another name{'' if wanted.present else '; nothing is taken away'}"


def _normal(config: t.Mapping[str, str]) -> dict[str, str]:
    """A device_config in which what leads to the same place reads the same: servers regardless of case and order, paths without a slash at the end."""
    found = dict(config)
    if "server" in found:
        found["server"] = ",".join(sorted(server.strip().lower() for server in found["server"].split(",")))
    if "serverpath" in found:
        found["serverpath"] = re.sub(r"/{2,}", "/", found["serverpath"]).rstrip("/") or "/"
    return found
