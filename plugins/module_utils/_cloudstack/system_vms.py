# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""System virtual machines: which zones are to have them, whether they are up, and why they are not; and their template, in the image stores of zones.

CloudStack starts them by itself when all is there that they need, and says of what is missing nothing that a person finds. The template it puts there
itself too, when a zone's first NFS store is added, for the clusters that the zone then has. It says nothing where that fails. So it is proven that the
server can do it; and a store that has none is found by looking into it, and filled with the server's own script, as root on a management server.

PRIVATE to the collection.
"""

from __future__ import annotations

import configparser
import contextlib
import functools
import ipaddress
import os
import pathlib
import shutil
import socket
import tempfile
import time
import typing as t
import uuid
from urllib.parse import unquote, urlsplit

from ansible_collections.cephstack.cloud.plugins.module_utils import _plan
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.client import reading
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.draft import Draft, Item, kind
from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.lists import Region, Row
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import named
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import integer, strings

# As the server calls them, as people do, and the memory in MiB that each takes.
TYPES = {"secondarystoragevm": ("the secondary-storage VM", 512), "consoleproxy": ("the console proxy", 1024)}
# Addresses of a zone's public range and of its pods' ranges that these two take.
_ADDRESSES = 2
_PAUSE = 5.0
_SHOWN = {"name": "name", "state": "state", "agent_state": "agentstate", "host": "hostname", "private_ip": "privateip", "public_ip": "publicip"}
_HYPERVISOR = "KVM"
_AGENT_PORT = 8250

BUNDLE = "/usr/share/cloudstack-management/templates/systemvm"
# Of metadata.ini in BUNDLE, for hosts with KVM of this architecture; the packages have none for others.
SECTION = "kvm-x86_64"
SCRIPT = "/usr/share/cloudstack-common/scripts/storage/secondary/setup-sysvm-tmplt"
# Templates in a store, and the one that every database has for KVM.
TEMPLATES, OWN = "template/tmpl/1", "3"
# What the script wants to be free in KiB, both here, where it unpacks, and in the store; and how long it may take, as with the server itself.
SPACE, SCRATCH, LIMIT = 2120000, "/tmp", 1800
_MOUNT_TIMEOUT = 60
# What the server calls, and the package that has it; and as whom it calls sudo.
TOOLS = {"mount.nfs": "nfs-common", "sudo": "sudo", "bunzip2": "bzip2", "file": "file", "qemu-img": "qemu-utils"}
USER = "cloud"
PROBE_OPTIONS: dict[str, t.Any] = {
    "zones": strings("The names of the zones.", required=True),
    "timeout": integer(
        "Within how many seconds they must be up. New ones take some minutes, of which the first copy of the template to primary storage is the most.",
        default=900,
    ),
}


def zones(declaration: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """The zones that are to have them: by their word, else by an NFS image store and a cluster of KVM; with the urls of their NFS stores."""
    found = []
    stores = [one for one in declaration.get("image_stores") or () if one.get("url") and one.get("state") != "absent" and one.get("provider") in (None, "nfs")]
    for zone in declaration.get("zones") or ():
        urls = [str(store["url"]) for store in stores if store.get("zone") == zone["name"]]
        clusters = [cluster for pod in zone.get("pods") or () for cluster in pod.get("clusters") or ()]
        wanted = zone.get("system_vms")
        if wanted or (wanted is None and urls and any(cluster.get("hypervisor") in (None, "kvm") for cluster in clusters)):
            found.append({"name": zone["name"], "image_stores": urls})
    return found


def plan(declared: t.Sequence[Item], region: Region, draft: Draft) -> None:
    """Refuse what they could not come up with. Nothing is planned: the server starts them by itself."""
    wanted = {zone["name"]: zone["image_stores"] for zone in zones(draft.declaration)}
    for number, zone in enumerate(declared):
        if zone["name"] not in wanted:
            continue
        stores = wanted[zone["name"]] or any(row.get("zonename") == zone["name"] for row in region.rows("image_stores"))
        public = sum(_count(item["start"], item["end"]) for item in zone.get("public_ranges") or ())
        private = sum(_count(pod["start"], pod["end"]) for pod in zone.get("pods") or ())
        few_public = kind(zone) == "advanced" and public < _ADDRESSES and region.find("zones", zone["name"]) is None
        for wrong, text in (
            (not stores, "need an image store of NFS: declare one (image_stores)"),
            (few_public, f"take {_ADDRESSES} public addresses, and public_ranges has {public}: declare more"),
            (zone.get("pods") and private < _ADDRESSES, f"take {_ADDRESSES} addresses of the pods, and they have {private}: give them more"),
        ):
            if wrong:
                draft.problem(f"{named(f'{draft.prefix}zones', number, zone)}: system virtual machines {text}, or say system_vms: false")


def _count(first: t.Any, last: t.Any) -> int:
    try:
        return int(ipaddress.IPv4Address(str(last))) - int(ipaddress.IPv4Address(str(first))) + 1
    except ValueError:
        return 0


class Store(t.NamedTuple):
    """An NFS image store."""

    zone: str
    name: str
    url: str


class Seen(t.NamedTuple):
    """What is in a store. template: its path in the store, "" for none. begun: a copy that was not ended, with its age in seconds. free: KiB.

    problem: why it could not be looked into. lack: why this server could not fill it.
    """

    template: str = ""
    begun: str = ""
    age: float = 0.0
    free: int = 0
    problem: str = ""
    lack: str = ""


def export(url: str) -> str:
    """nfs://HOST/PATH as the server mounts it: HOST:/PATH. A port in it is not looked at."""
    parts = urlsplit(url)
    name = parts.hostname or ""
    return f"{f'[{name}]' if ':' in name else name}:{unquote(parts.path)}"


@contextlib.contextmanager
def mounted(url: str, write: bool) -> t.Iterator[str]:
    """A store, mounted for a while; the path of it. Raises CommandError."""
    folder = tempfile.mkdtemp(prefix="cephstack-store-")
    try:
        options = "soft,timeo=100,retrans=2" if write else "ro,soft,timeo=50,retrans=2"
        process.run(["mount", "-t", "nfs", "-o", options, export(url), folder], timeout=_MOUNT_TIMEOUT)
        try:
            yield folder
        finally:
            try:
                process.run(["umount", folder], timeout=_MOUNT_TIMEOUT)
            except process.CommandError:
                process.run(["umount", "-l", folder], timeout=_MOUNT_TIMEOUT)
    finally:
        with contextlib.suppress(OSError):  # what is still mounted is left
            os.rmdir(folder)


def look(url: str) -> Seen:
    server = socket.gethostname()
    try:
        with mounted(url, write=False) as folder:
            return within(folder)
    except process.CommandError as error:
        return Seen(problem=f"{server} cannot mount {export(url)}, as it must to put the template of the system virtual machines there: {_said(error)}")
    except OSError as error:
        return Seen(problem=f"{server} cannot look into {export(url)}: {error.strerror or error} (is root squashed? The export needs no_root_squash)")


def _said(error: process.CommandError) -> str:
    """The first line of what a program said; mount adds one about dmesg."""
    return next((line.strip() for line in error.text.splitlines() if line.strip()), str(error))


def within(folder: str) -> Seen:
    """The same of a folder. A template is whole when its properties, which are written last, are there. Raises OSError."""
    seen = Seen(free=shutil.disk_usage(folder).free // 1024)
    templates = pathlib.Path(folder, TEMPLATES)
    for place in sorted(templates.iterdir()) if templates.is_dir() else ():
        images = sorted(place.glob("*.qcow2"))
        properties = files.read(str(place / "template.properties"))
        if images and "uniquename=routing-" in (properties or ""):
            return seen._replace(template=str(images[0].relative_to(folder)), begun="")
        if place.name == OWN and (images or properties is not None):
            seen = seen._replace(begun=f"{TEMPLATES}/{OWN}", age=time.time() - max(path.stat().st_mtime for path in [*images, place]))
    return seen


class Bundle(t.NamedTuple):
    """The template in the server's package. checksum: SHA-512."""

    path: str
    checksum: str


def bundle() -> t.Optional[Bundle]:
    """The template of this server's release; None where its package has none."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(files.read(f"{BUNDLE}/metadata.ini") or "")
        found = Bundle(os.path.join(BUNDLE, parser[SECTION]["filename"].strip()), parser[SECTION]["checksum"].strip().lower())
    except (KeyError, configparser.Error):
        return None
    return found if os.path.exists(found.path) else None


def lacking() -> list[str]:
    """What this server lacks to fill a store, each with its remedy."""
    found = [f"{tool} is not installed: install {package}" for tool, package in TOOLS.items() if not process.installed(tool)]
    if process.installed("sudo"):
        try:
            process.run(["runuser", "-u", USER, "--", "sudo", "-n", "-l", "mount"], timeout=30)
        except process.CommandError as error:
            found.append(f"the user {USER} may not mount by sudo ({_said(error)}): /etc/sudoers.d/cloudstack of the package cloudstack-management lets it")
    if not os.path.exists(SCRIPT):
        found.append(f"{SCRIPT} is not there: is cloudstack-common complete?")
    if bundle() is None:
        found.append(f"{BUNDLE} has no template for {SECTION}: the project's own packages have one")
    free = shutil.disk_usage(SCRATCH).free // 1024
    if free < SPACE:
        found.append(f"{SCRATCH} has {free >> 10} MiB free, and the template takes {SPACE >> 10} MiB there while it is unpacked: make room")
    return found


class Provider:
    """zones: {name, image_stores: [urls]}s, as declared. seed: fill stores that have no template; else prove that the server can fill new ones."""

    def __init__(self, zones: t.Sequence[t.Mapping[str, t.Any]], client: t.Any, seed: bool, prefix: str = "") -> None:
        self._zones, self._client, self._seed, self._prefix = zones, client, seed, prefix

    def observe(self) -> dict[Store, Seen]:
        """Look into the stores: of each zone the one that has the template, else the first, or those that are new. Raises Unreachable."""
        if self._client is None or not self._zones:
            return {}
        with reading("the image stores could not be read"):
            rows = [row for row in self._client.rows("listImageStores") if row.get("providername") == "NFS"]
        found: dict[Store, Seen] = {}
        for zone in self._zones:
            existing = [Store(zone["name"], row["name"], row["url"]) for row in rows if row.get("zonename") == zone["name"]]
            # Where none is to be put there now: the server does it itself, into the first store of a zone.
            new = [] if existing else [Store(zone["name"], url, url) for url in zone.get("image_stores") or ()][:1]
            seen: dict[Store, Seen] = {}
            for store in existing if self._seed else new:
                seen[store] = look(store.url)
                if seen[store].template:
                    seen = {store: seen[store]}
                    break
            found.update(list(seen.items())[:1])
        if not all(seen.template for seen in found.values()):
            lack = "; ".join(lacking())
            server = f"the management server {socket.gethostname()} cannot put the template of the system virtual machines into an image store"
            found = {store: seen._replace(lack=f"{server}: {lack}" if lack else "") for store, seen in found.items()}
        return found

    def plan(self, observed: t.Mapping[Store, Seen]) -> _plan.Plan:
        draft = _plan.Draft(self._prefix)
        empty = {store: seen for store, seen in observed.items() if not seen.template}
        for seen in empty.values():
            if seen.lack:
                draft.problem(seen.lack)
        for store, seen in empty.items():
            here = f"{self._prefix}image_stores ({store.name}) of the zone {store.zone}"
            if seen.problem:
                draft.problem(f"{here}: {seen.problem}")
            elif seen.begun and seen.age < LIMIT:
                draft.warn(f"{here}: a copy of the template is under way in {seen.begun}: the next run will see")
            elif seen.begun:
                draft.problem(f"{here}: {seen.begun} holds a copy of the template that was never ended: remove that folder from the store, then run again")
            elif seen.free < SPACE:
                draft.problem(f"{here}: the store has {seen.free >> 10} MiB free, and the template takes {SPACE >> 10} MiB: make room")
            elif self._seed:
                reason = "the server has put none there: the store was added before the zone had a cluster, or by hand, or it failed"
                after = {"url": store.url, "folder": f"{TEMPLATES}/{OWN}"}
                draft.ensure("system_template", f"{store.zone}/{store.name}", None, after, functools.partial(fill, store.url), reason=reason)
        if draft.problems:
            draft.problem("or, for a zone that is to have no system virtual machines, say system_vms: false")
        return draft.plan()

    def returned(self, observed: t.Mapping[Store, Seen]) -> dict[str, t.Any]:
        return {"stores": [{**store._asdict(), "template": seen.template or None} for store, seen in observed.items()]}


def fill(url: str) -> None:
    """Put the template into a store, with the server's own script. Raises RuntimeError, CommandError."""
    found = bundle()
    if found is None:
        raise RuntimeError(f"{BUNDLE} has no template for {SECTION}")
    if process.run(["sha512sum", "--binary", found.path]).split()[0] != found.checksum:
        raise RuntimeError(f"{found.path} is not the file that its package says (SHA-512): install cloudstack-management again")
    with mounted(url, write=True) as folder:
        place = os.path.join(folder, TEMPLATES, OWN)
        process.run([SCRIPT, "-u", str(uuid.uuid4()), "-f", found.path, "-h", "kvm", "-d", place], timeout=LIMIT)


class Lists(t.NamedTuple):
    """What is there of one zone. server_address: the setting host."""

    zone: Row
    hosts: t.Sequence[Row]
    pools: t.Sequence[Row]
    stores: t.Sequence[Row]
    templates: t.Sequence[Row]
    ranges: t.Sequence[Row]
    pods: t.Sequence[Row]
    server_address: str


def up(vm: t.Optional[Row]) -> bool:
    """Whether it runs, and its agent has come."""
    return vm is not None and vm.get("state") == "Running" and vm.get("agentstate") == "Up"


def why(sort: str, vm: t.Optional[Row], lists: Lists, look: t.Callable[[str], Seen]) -> list[str]:
    """Which of the known reasons it is that one is not up. look: looks into a store."""
    if vm is not None and vm.get("state") == "Running":
        return [_no_agent(vm, lists.server_address)]
    found = _missing(sort, lists)
    if not found:
        # What the server says of the template is no proof; the file is.
        seen = [(store["name"], look(str(store.get("url")))) for store in lists.stores]
        none = "it has no template of system virtual machines: the server puts it there only when the store is added after a cluster"
        if not any(one.template for _name, one in seen):
            found = [f"image store {name}: {one.problem or none} (the role cloudstack_region puts it there)" for name, one in seen]
    if vm is not None and vm.get("state") == "Starting":
        begun = f"it is starting on {vm.get('hostname') or 'a host'}: a new one takes two minutes there"
        found.append(f"{begun}. Where it never ends, that host only emulates KVM, or has no /usr/share/cloudstack-common/vms/agent.zip")
    return found or ["everything is there that it needs: see management-server.log for InsufficientServerCapacityException, and agent.log on the hosts"]


def _missing(sort: str, lists: Lists) -> list[str]:
    """What the server waits for, as far as its own lists tell."""
    zone, memory = lists.zone, TYPES[sort][1]
    hosts = [row for row in lists.hosts if row.get("hypervisor") == _HYPERVISOR]
    ready = [row for row in hosts if row.get("state") == "Up" and row.get("resourcestate") == "Enabled"]
    host_states = ", ".join(f"{row['name']}: {row.get('state')}, {row.get('resourcestate')}" for row in hosts) or "there is none"
    pool_states = ", ".join(f"{row['name']}: {row.get('state')}" for row in lists.pools) or "there is none"
    free = [(int(row.get("memorytotal") or 0) - int(row.get("memoryallocatedbytes") or 0)) >> 20 for row in ready if row.get("memorytotal")]
    no_template = f"the server has no template of system virtual machines for {_HYPERVISOR} that is ready in this zone"
    public = sum(_count(row.get("startip"), row.get("endip")) for row in lists.ranges if row.get("forvirtualnetwork"))
    private = sum(_count(part.get("startip"), part.get("endip")) for pod in lists.pods for part in pod.get("ipranges") or ())
    with_public = zone.get("networktype") == "Advanced" and not zone.get("securitygroupsenabled")
    reasons = (
        (zone.get("allocationstate") != "Enabled", f"the zone is {zone.get('allocationstate')}"),
        (not ready, f"no host with {_HYPERVISOR} is Up and enabled ({host_states})"),
        (free and max(free) < memory, f"no host has the {memory} MiB of memory that it takes: the most that one has free are {max([0, *free])} MiB"),
        (not any(row.get("state") == "Up" for row in lists.pools), f"no primary storage is Up ({pool_states})"),
        (not lists.stores, "the zone has no image store of NFS"),
        (lists.stores and not any(row.get("isready") for row in lists.templates), no_template),
        (with_public and public < _ADDRESSES, f"the zone has {public} public addresses, and they take {_ADDRESSES}"),
        (private < _ADDRESSES, f"the pods have {private} addresses of their own, and they take {_ADDRESSES}"),
    )
    return [text for wrong, text in reasons if wrong]


def _no_agent(vm: Row, address: str) -> str:
    if any(part.strip() in ("", "localhost") or part.strip().startswith("127.") for part in address.split(",")):
        says = f"its agent connects to what the setting host says, which is '{address}'"
        return f"it runs, and {says}: set it to the management server's address (settings: host)"
    agent = f"its agent, which is {vm.get('agentstate') or 'not seen yet'}, must reach {address} (the setting host) on port {_AGENT_PORT}"
    return (
        f"it runs, and {agent} from {vm.get('privateip') or 'the pod network'}: is that the server's address there, is there a route, does a firewall bar it? "
        "On a host that only emulates KVM the agent never starts"
    )


def read(client: t.Any, name: str) -> t.Optional[tuple[Lists, dict[str, t.Optional[Row]]]]:
    """What is there of a zone, and of each type the system virtual machine, one that is up where there are several; None where there is no such zone."""
    zone = next((row for row in client.rows("listZones", name=name) if row["name"] == name), None)
    if zone is None:
        return None
    of = {"zoneid": zone["id"]}
    templates = client.rows("listTemplates", templatefilter="all", templatetype="SYSTEM", listall=True, **of)
    address = next((row.get("value") for row in client.rows("listConfigurations", name="host") if row.get("name") == "host"), None)
    lists = Lists(
        zone=zone,
        hosts=client.rows("listHosts", type="Routing", details="capacity", **of),
        pools=client.rows("listStoragePools", **of),
        stores=[row for row in client.rows("listImageStores", **of) if row.get("providername") == "NFS"],
        templates=[row for row in templates if row.get("hypervisor") == _HYPERVISOR],
        ranges=client.rows("listVlanIpRanges", **of),
        pods=client.rows("listPods", **of),
        server_address=str(address or ""),
    )
    vms = sorted(client.rows("listSystemVms", **of), key=up, reverse=True)
    return lists, {sort: next((row for row in vms if row.get("systemvmtype") == sort), None) for sort in TYPES}


def prove(client: t.Any, names: t.Sequence[str], timeout: float, look: t.Callable[[str], Seen] = look) -> tuple[list[dict[str, t.Any]], list[str]]:
    """Wait until the system virtual machines of zones are up. Returns what was seen of each, and what is wrong. Raises ApiError, Unreachable."""
    known: dict[str, t.Optional[tuple[Lists, dict[str, t.Optional[Row]]]]] = {}

    def all_up() -> bool:
        known.update((name, read(client, name)) for name in names)
        return all(up(vm) for zone in known.values() if zone for vm in zone[1].values())

    wait_until(all_up, timeout, pause=min(_PAUSE, max(0.1, timeout)))
    found: list[dict[str, t.Any]] = []
    problems = [f"there is no zone {name}" for name, zone in known.items() if zone is None]
    for name, zone in known.items():
        lists, vms = zone or (None, {})
        for sort, vm in vms.items():
            shown = {ours: (vm or {}).get(key) for ours, key in _SHOWN.items()}
            reasons = why(sort, vm, lists, look) if lists and not up(vm) else []
            found.append({"zone": name, "type": sort, **shown, "reasons": reasons})
            if reasons:
                state = f"is {shown['state']}, its agent {shown['agent_state'] or 'not seen yet'}" if vm else "is not there"
                problems.append(f"zone {name}: {TYPES[sort][0]} {state}: {'; '.join(reasons)}")
    return found, problems
