# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof that a consumer can do what it was promised, and nothing else: with its own key, from the host that it runs on.

Whatever is made here has the host's name in its own and is removed whatever happens, by the next run where one was killed.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import os
import socket
import statistics
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection, binding
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.librbd import throwaway_images
from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import KINDS, client_of, kind_of, place_of, pools_of
from ansible_collections.cephstack.cloud.plugins.module_utils._guest import readable
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Unreachable

rados, rbd = binding("rados"), binding("rbd")

_NOBODYS = "cephstack-probe"  # a namespace that is none of any client's
PREFIX = "cephstack-probe."  # of every probe object's and image's name, before the host's name
_IMAGE_SIZE = 4 << 20
Declared = t.Mapping[str, t.Any]

# What only an administrator may tell the monitors. Harmless where it is wrongly allowed: one reads, the others remove what does not exist.
ADMIN_COMMANDS: tuple[tuple[str, dict[str, t.Any]], ...] = (
    ("auth ls", {}),
    ("auth rm", {"entity": "client.cephstack-probe-nobody"}),
    ("config-key rm", {"key": "cephstack-probe/nothing"}),
)


class PoolAccess(t.NamedTuple):
    """A pool as a client was promised it. kind: rbd (images) or rados (objects). data_pool: where the data of images goes, None for the pool itself.
    namespace: in this one alone, "" for the pool as a whole."""

    name: str
    write: bool
    kind: str
    data_pool: t.Optional[str] = None
    namespace: str = ""

    @property
    def place(self) -> str:
        return place_of(self.name, self.namespace)

    @property
    def both(self) -> list[str]:
        return [self.name, *([self.data_pool] if self.data_pool else [])]


@dataclasses.dataclass
class Report:
    """What was found out for one client. latency in milliseconds by pool and operation."""

    client: str
    pools: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    refused: list[str] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)


class Stopwatch:
    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}

    @contextlib.contextmanager
    def measure(self, operation: str) -> t.Iterator[None]:
        begun = time.monotonic()
        yield
        self.seconds.setdefault(operation, []).append(time.monotonic() - begun)

    def milliseconds(self) -> dict[str, float]:
        """Return the median of each operation."""
        return {operation: round(statistics.median(values) * 1000, 2) for operation, values in self.seconds.items()}


class Fault(Exception):
    """Something is not as promised."""


def probe_client(connection: Connection, pools: t.Sequence[PoolAccess], rounds: int, write: bool = True) -> Report:
    """Prove what one client can and cannot do; what is not as promised is a problem of the report. write: False to read only. Raises Unreachable."""
    report = Report(connection.client)
    name = PREFIX + socket.gethostname()
    there = set(connection.rados.list_pools())
    for pool in pools:
        missing = [name for name in pool.both if name not in there]
        if missing:
            report.problems += [f"{connection.client}: the pool {name} is not there" for name in missing]
            continue
        watch, access = Stopwatch(), "rw" if pool.write else "ro"
        prove = _PROOFS[pool.kind, pool.write and write]
        try:
            with _opened(connection, pool.name, pool.namespace) as io_context:
                if pool.namespace and pool.kind == "rbd" and not rbd.RBD().namespace_exists(io_context, pool.namespace):
                    raise Fault(f"the namespace {pool.place} is not there")
                prove(io_context, pool.data_pool, name, rounds, watch)
        except Fault as fault:
            report.problems.append(f"{connection.client}: {fault}")
        except Exception as error:  # librados and librbd have families of errors of their own
            _reraise_unreachable(error, connection)
            report.problems.append(f"{connection.client}: pool {pool.place} ({access}): {error}")
        report.pools.append({"name": pool.place, "access": access, "kind": pool.kind, "latency": watch.milliseconds()})
    _prove_refusals(connection, pools, there, name, write, report)
    return report


@contextlib.contextmanager
def _opened(connection: Connection, pool: str, namespace: str = "") -> t.Iterator[t.Any]:
    with contextlib.closing(connection.rados.open_ioctx(pool)) as io_context:
        io_context.set_namespace(namespace)
        yield io_context


def _write_images(io_context: t.Any, data_pool: t.Optional[str], name: str, rounds: int, watch: Stopwatch) -> None:
    with throwaway_images(io_context, name + ".clone", name):
        api, block = rbd.RBD(), os.urandom(4096)
        with watch.measure("create"):
            api.create(io_context, name, _IMAGE_SIZE, data_pool=data_pool)
        with rbd.Image(io_context, name) as image:
            for number in range(rounds):
                with watch.measure("write"):
                    image.write(block, number * 4096)
            image.flush()
            for number in range(rounds):
                with watch.measure("read"):
                    found = image.read(number * 4096, 4096)
                if found != block:
                    raise Fault(f"image {name}: what was read is not what was written")
            with watch.measure("snapshot"):
                image.create_snap("probe")
            image.protect_snap("probe")
        with watch.measure("clone"):
            api.clone(io_context, name, "probe", io_context, name + ".clone", data_pool=data_pool)
        with rbd.Image(io_context, name + ".clone") as clone:
            if clone.read(0, 4096) != block:
                raise Fault(f"image {name}.clone: the clone does not hold what its parent holds")
            clone.write(bytes(4096), 0)
            clone.flush()
        with rbd.Image(io_context, name, read_only=True) as image:
            if image.read(0, 4096) != block:
                raise Fault(f"image {name}: a write to its clone changed it")
        with watch.measure("remove"):
            api.remove(io_context, name + ".clone")
    if {name, name + ".clone"} & set(rbd.RBD().list(io_context)):
        raise Fault(f"image {name}: it was removed and is still there")


def _write_objects(io_context: t.Any, _data_pool: t.Optional[str], name: str, rounds: int, watch: Stopwatch) -> None:
    block = os.urandom(4096)
    try:
        for _unused in range(rounds):
            with watch.measure("write"):
                io_context.write_full(name, block)
        for _unused in range(rounds):
            with watch.measure("read"):
                found = io_context.read(name, 4096)
            if found != block:
                raise Fault(f"object {name}: what was read is not what was written")
    finally:
        with contextlib.suppress(rados.ObjectNotFound):
            io_context.remove_object(name)


def _read_images(io_context: t.Any, _data_pool: t.Optional[str], _name: str, _rounds: int, watch: Stopwatch) -> None:
    with watch.measure("list"):
        names = rbd.RBD().list(io_context)
    for name in names[:1]:
        with contextlib.suppress(rbd.ImageNotFound), rbd.Image(io_context, name, read_only=True) as image, watch.measure("read"):
            image.read(0, min(4096, image.size()))


def _read_objects(io_context: t.Any, _data_pool: t.Optional[str], _name: str, _rounds: int, watch: Stopwatch) -> None:
    with watch.measure("list"):
        first = next(iter(io_context.list_objects()), None)
    if first is not None:
        with watch.measure("read"):
            io_context.read(first.key, 4096)


# By what is in a pool, and whether it may be written to.
_PROOFS = {("rbd", True): _write_images, ("rbd", False): _read_images, ("rados", True): _write_objects, ("rados", False): _read_objects}


def _touch(io_context: t.Any, name: str) -> None:
    """Write an object; if that succeeds, remove it again."""
    io_context.write_full(name, b"probe")
    with contextlib.suppress(rados.ObjectNotFound):
        io_context.remove_object(name)


def _read_nothing(io_context: t.Any, name: str) -> None:
    """Read an object that is not there: who may read is told so, who may not is refused."""
    with contextlib.suppress(rados.ObjectNotFound):
        io_context.read(name, 1)


def _prove_refusals(connection: Connection, pools: t.Sequence[PoolAccess], there: set[str], name: str, write: bool, report: Report) -> None:
    """Everything that was not promised must be refused: writes to what is to be read, other namespaces, other pools, and the commands of an administrator."""

    def in_pool(place: tuple[str, str], act: t.Callable[[t.Any, str], t.Any]) -> None:
        with _opened(connection, *place) as io_context:
            act(io_context, name)

    def prove(act: tuple[str, str, t.Callable[[], t.Any]]) -> str:
        """Return what is wrong, "" where it is refused as it should be."""
        what, allowed, do = act
        try:
            do()
        except Exception as error:
            if _errno(error) in (errno.EPERM, errno.EACCES):
                return ""
            _reraise_unreachable(error, connection)
            return f"{connection.client}: {what} should be refused, and failed otherwise: {error}"
        return f"{connection.client}: {allowed or f'{what} should be refused, and is allowed'}"

    acts: list[tuple[str, str, t.Callable[[], t.Any]]] = []
    promised = {(name, pool.namespace): pool.write for pool in pools for name in pool.both if name in there}
    for place in (place for place, may_write in promised.items() if write and not may_write):
        shown = place_of(*place)
        allowed = f"a write to the read-only pool {shown} was not refused"
        acts.append((f"write to {shown}", allowed, functools.partial(in_pool, place, _touch)))
    whole = {name for name, namespace in promised if not namespace}
    within = sorted({name for name, _namespace in promised} - whole)
    # Rights are on names, so that the other namespace need not be there.
    foreign = [*((name, "") for name in sorted(there - whole)), *((name, _NOBODYS) for name in within)]
    for place in foreign:
        shown = f"{'another' if place[1] else 'the default'} namespace of {place[0]}" if place[0] in within else place[0]
        for what, act in (("read from", _read_nothing), ("write to", _touch))[: 2 if write else 1]:
            acts.append((f"{what} {shown}", "", functools.partial(in_pool, place, act)))
    acts += [(prefix, "", functools.partial(connection.command, prefix, **more)) for prefix, more in ADMIN_COMMANDS[: None if write else 1]]
    with ThreadPoolExecutor(max_workers=16) as workers:
        for (what, _allowed, _do), problem in zip(acts, workers.map(prove, acts)):
            (report.problems if problem else report.refused).append(problem or what)


def _errno(error: Exception) -> int:
    code = getattr(error, "code", getattr(error, "errno", None))  # that of a command, or of librados
    return abs(code) if isinstance(code, int) else 0


def _reraise_unreachable(error: Exception, connection: Connection) -> None:
    if isinstance(error, Unreachable):
        raise error
    if _errno(error) in (errno.ETIMEDOUT, errno.ENOTCONN, errno.ESHUTDOWN):
        raise Unreachable(f"{connection.client}: the cluster did not answer within {connection.timeout} s: {error}") from error


class Probe(t.NamedTuple):
    """One client to probe: how to connect as it, and all that its consumers were promised together."""

    options: Declared
    pools: tuple[PoolAccess, ...]


def plan_probes(connection: Declared, consumers: t.Iterable[Declared]) -> list[Probe]:
    """One probe a client, with the pools of all its consumers. connection: its key is used for its very client only, its keyring for all."""
    pools: dict[str, dict[tuple[str, str], PoolAccess]] = {}
    for consumer in consumers:
        known = pools.setdefault(client_of(consumer), {})
        for pool in pools_of(consumer):
            place = (pool["name"], pool["namespace"])
            write = pool["access"] == "rw" or (place in known and known[place].write)
            known[place] = PoolAccess(pool["name"], write, KINDS[kind_of(consumer)], pool.get("data_pool"), pool["namespace"])
    keys = {connection.get("client"): connection.get("key")}
    return [Probe({**connection, "client": client, "key": keys.get(client)}, tuple(known.values())) for client, known in pools.items()]


def probe_all(probes: t.Sequence[Probe], rounds: int, write: bool) -> list[Report]:
    """Probe every client, side by side. A cluster that can't be reached is a problem of each that could not."""

    def one(probe: Probe) -> Report:
        try:
            with Connection(probe.options) as connection:
                return probe_client(connection, probe.pools, rounds, write)
        except Unreachable as error:
            return Report(probe.options["client"], problems=[str(error)])

    with ThreadPoolExecutor(max_workers=8) as workers:
        return list(workers.map(one, probes))


def read_markers(connection: Declared, probes: t.Sequence[Probe], markers: t.Sequence[Declared]) -> tuple[list[dict[str, t.Any]], list[str]]:
    """Read parts of images. Returns what was read, and what could not be."""
    known = {probe.options["client"]: probe.options for probe in probes}
    found: list[dict[str, t.Any]] = []
    problems: list[str] = []
    for marker in markers:
        client = marker.get("client") or connection.get("client") or "client.admin"
        place = {"pool": marker["pool"], "image": marker["image"]}
        try:
            with contextlib.ExitStack() as stack:
                opened = stack.enter_context(Connection(known.get(client) or {**connection, "client": client}))
                io_context = stack.enter_context(contextlib.closing(opened.rados.open_ioctx(marker["pool"])))
                image = stack.enter_context(rbd.Image(io_context, marker["image"], read_only=True))
                data = bytes(image.read(marker["offset"], marker["length"]))
            found.append({**place, "text": readable(data), "hex": data.hex()})
        except Exception as error:  # Unreachable, and the families of librados and librbd
            problems.append(f"{'/'.join(place.values())} could not be read as {client}: {error}")
    return found, problems
