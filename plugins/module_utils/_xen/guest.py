# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A throwaway paravirtual guest on RBD images: made, booted, watched, read, and gone again.

It runs the first domain's own kernel with a busybox. What counts is what librbd finds in the images afterwards; the console only tells why it failed.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import io
import os
import pathlib
import re
import socket
import tempfile
import time
import typing as t
import uuid as uuids

from ansible_collections.cephstack.cloud.plugins.module_utils import _guest
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection, binding
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.librbd import remove_images
from ansible_collections.cephstack.cloud.plugins.module_utils._guest import GuestFailed, readable, sums
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid
from ansible_collections.cephstack.cloud.plugins.module_utils._xen import disks as xen_disks
from ansible_collections.cephstack.cloud.plugins.module_utils._xen import mappings, xenstore
from ansible_collections.cephstack.cloud.plugins.module_utils._xen.host import is_dom0, last_line

rbd = binding("rbd")

_SIZE = 16 << 20  # of an image that is made
# What a marker takes without a text of one's own, and for each disk that is only read; it must stay within its sector.
_MARKER, _MARKER_ONLY = 180, 96
_CONSOLE_LOG = "/var/log/xen/console/guest-{}.log"

# What the guest does. {disks}: a line for each disk, "xvda w a text of one's own".
_INIT = """uuid=$(tr -d '\\n-' < /sys/hypervisor/uuid | tr a-f A-F)
sum() { dd if=/dev/$1 bs=512 skip=$2 count=1 2>/dev/null | md5sum | cut -d' ' -f1; }
write() { dd if=/marker of=/dev/$1 bs=512 seek=1 count=1 conv=sync,notrunc,fsync 2>/failed || { cat /failed; return 1; }; }
cat > /list <<'END'
{disks}
END
others=
while read -r device mode text; do
  waited=0
  while [ ! -b /dev/$device ] && [ $waited -lt 600 ]; do usleep 100000; waited=$((waited + 1)); done
  [ -b /dev/$device ] || echo "there is no disk $device: $(ls /sys/block)"
  if [ $mode = r ]; then
    dd if=/dev/$device of=/marker bs=512 skip=1 count=1 2>/dev/null # what is there already: harmless where it is wrongly allowed
    if write $device; then done=written; else done=refused; fi
    others="$others only $device read $(sum $device 0) found $(sum $device 1) $done"
  fi
done < /list
while read -r device mode text; do
  if [ $mode = w ]; then
    printf 'cephstack-guest %s xen linux %s read %s found %s%s%s\\n' \\
      "$uuid" "$(uname -r)" "$(sum $device 0)" "$(sum $device 1)" "${text:+ says $text}" "$others" > /marker
    write $device
    cat /marker
  fi
done < /list
echo "cephstack-guest $uuid is through$others"
sync
poweroff -f
"""


Disks = t.Sequence[xen_disks.Disk]
# The first two sectors of each disk, by device.
Sectors = t.Mapping[str, t.Tuple[bytes, bytes]]


@dataclasses.dataclass(frozen=True)
class Order:
    """What to boot. made: the devices whose images are made for the guest. expect, write: texts, by device. memory in MiB, timeout in seconds."""

    disks: tuple[xen_disks.Disk, ...]
    made: t.Collection[str]
    expect: t.Mapping[str, str]
    write: t.Mapping[str, str]
    kernel: str
    busybox: str
    memory: int
    timeout: float
    conf: str
    data_pools: t.Mapping[str, t.Optional[str]]


def parse(params: t.Mapping[str, t.Any]) -> Order:
    """Read the module's options. Raises Invalid with every problem found."""
    problems: list[str] = []
    name = _guest.PREFIX + socket.gethostname()
    items = [dict(item) for item in params["disks"]] or [{key: option.get("default") for key, option in xen_disks.DISK_OPTIONS.items()}]
    made = {item["device"] for item in items if not item.get("image")}
    room = _guest.MARKER_LENGTH - _MARKER - _MARKER_ONLY * sum(item["mode"] == "r" for item in items)
    if room < 0:
        problems.append("disks: the guest can't report on so many disks that are only read: name three at most")
    for item in items:
        here, write = f"disks ({item['device']})", item.get("write") or ""
        users = [one for one in params["consumers"] if one.get("kind") == "xen" and item.get("consumer") in (None, one["name"])]
        pools = [pool["name"] for one in users for pool in one.get("pools") or () if pool.get("access", "rw") == "rw"]
        item["pool"] = item.get("pool") or next(iter(pools), None)
        if not item["pool"]:
            problems.append(f"{here}: no pool is named, and there is no consumer of kind xen that may write one: name a pool")
        if not item.get("image"):
            item["image"] = name if item["device"] == "xvda" else f"{name}.{item['device']}"
            if item["mode"] == "r":
                problems.append(f"{here}: an image that is made for the guest holds nothing to read: name one, or say mode: w")
        if len(write) > room or not re.fullmatch(r"[ -~]*", write):
            problems.append(f"{here}: write: at most {max(0, room)} plain characters fit beside what the guest reports")
    disks: tuple[xen_disks.Disk, ...] = ()
    if not problems:
        try:
            disks = xen_disks.parse([{"name": name, "disks": items}], params["backend"], params["consumers"]).guests[name]
        except Invalid as error:
            problems += error.problems
    if disks and all(disk.mode == "r" for disk in disks):
        problems.append("disks: at least one must be writable, since the guest reports by writing: add one, which is made if it names no image")
    kernel = params.get("kernel") or newest_kernel(glob.glob("/boot/vmlinuz-*"), os.uname().release)
    busybox = params.get("busybox") or next(filter(os.path.exists, ("/bin/busybox", "/usr/bin/busybox")), "")
    if not os.path.exists(kernel):
        problems.append(f"there is no kernel {kernel or 'in /boot'} to boot the guest with: install linux-image-amd64, or name one (kernel)")
    if not os.path.exists(busybox):
        problems.append("there is no busybox to boot the guest with: install busybox-static, or name one (busybox)")
    if problems:
        raise Invalid(problems)
    expect, write = ({item["device"]: item[what] for item in items if item.get(what)} for what in ("expect", "write"))
    data_pools = {pool["name"]: pool.get("data_pool") for one in params["consumers"] for pool in one.get("pools") or ()}
    return Order(disks, made, expect, write, kernel, busybox, params["memory"], params["timeout"], params["conf"], data_pools)


def newest_kernel(paths: t.Sequence[str], running: str) -> str:
    """Return the kernel that runs, whose modules are surely there; else the newest. "" where there is none."""
    same = [path for path in paths if path.endswith("/vmlinuz-" + running)]
    return max(same or paths, key=lambda path: [int(part) for part in re.findall(r"\d+", os.path.basename(path))], default="")


def run_guest(order: Order) -> dict[str, t.Any]:
    """Boot the guest; return what it read and wrote. Nothing is left behind in any case. Raises GuestFailed, Unreachable, CommandError."""
    if not is_dom0():
        raise GuestFailed("this host is not Xen's first domain: it must be booted into Xen")
    name, uuid = _guest.PREFIX + socket.gethostname(), str(uuids.uuid4())
    images, problems = xen_disks.ask_images([disk for disk in order.disks if disk.device not in order.made], order.conf)
    problems += filter(None, (xen_disks.in_use(disk, images) for disk in order.disks))
    if problems:
        raise GuestFailed("; ".join(problems))
    with contextlib.ExitStack() as stack:
        clients = sorted({disk.client for disk in order.disks})
        opened = {client: stack.enter_context(Connection({"client": client, "conf": order.conf})) for client in clients}
        made = [disk for disk in order.disks if disk.device in order.made]
        _clear(name, made, made, opened)  # what a run left that was killed
        # What is mapped for others stays so.
        mapped = mappings.krbd_mapped()
        others = {disk.device for disk in order.disks if disk.name in mapped or (disk.mapping and os.path.exists(mappings.nbd_conf(disk.name)))}
        own = [disk for disk in order.disks if disk in made or disk.device not in others]
        stack.push(lambda _kind, error, _trace: _clear(name, own, made, opened, error))
        for disk in made:
            with _pool(opened, disk) as io_context:
                rbd.RBD().create(io_context, disk.image, _SIZE, data_pool=order.data_pools.get(disk.pool))
        before = {disk.device: _sectors(opened, disk) for disk in order.disks}
        for disk in order.disks:
            found = readable(before[disk.device][1])
            if order.expect.get(disk.device, "") not in found:
                raise GuestFailed(f"{disk.name} should hold the marker '{order.expect[disk.device]}', and holds '{found or 'nothing'}'")
        for mapping in filter(None, (disk.mapping for disk in own)):
            if mapping.way == "nbd":
                files.write(mappings.nbd_conf(mapping.name), mapping.entry, 0o644)
            mappings.map_image(mapping)
        begun = time.monotonic()
        said = _boot(name, uuid, order, stack.enter_context(tempfile.TemporaryDirectory(prefix="cephstack-guest-")))
        seconds = round(time.monotonic() - begun, 2)
        after = {disk.device: _sectors(opened, disk) for disk in order.disks}
        problems = verdict(uuid, order, before, after)
        if problems:
            raise GuestFailed("; ".join([*problems, *said]))
        left = "the guest is gone, and its hotplug script left {} mapped"
        wait_until(lambda: not _still_mapped(own), 15, lambda: GuestFailed(left.format(", ".join(_still_mapped(own)))), 0.3)
    rows = [{key: getattr(disk, key) for key in ("device", "pool", "image", "backend", "mode")} for disk in order.disks]
    for row in rows:
        row["read"] = readable(before[row["device"]][1])
        row["written"] = readable(after[row["device"]][1]) if row["mode"] == "w" else ""
    return {"uuid": uuid, "seconds": seconds, "disks": rows}


def verdict(uuid: str, order: Order, before: Sectors, after: Sectors) -> list[str]:
    problems = []
    told = ""
    for disk in sorted(order.disks, key=lambda disk: disk.mode == "r"):  # what is only read is told by the markers on the others
        here, seen, then, now = f"{disk.device} ({disk.name})", sums(*before[disk.device]), before[disk.device], after[disk.device]
        text = order.write.get(disk.device)
        if disk.mode == "w" and not now[1].startswith(_guest.expected_marker(uuid)):
            problems.append(f"the guest powered off, but its marker is not on {here}: found {readable(now[1]) or 'nothing'}")
        elif disk.mode == "w":
            told = readable(now[1])
            wrong = {
                f"the guest read something else from {here} than what was there": seen not in told.partition(" only ")[0],
                f"what the guest was to write is not on {here}: found {told}": text is not None and f" says {text}" not in told,
                f"the first sector of {here} has changed, which the guest did not write": now[0] != then[0],
            }
            problems += [problem for problem, so in wrong.items() if so]
        elif told and f" only {disk.device}{seen} " not in told:
            problems.append(f"the guest read something else from {here} than what is there")
        elif told and (f" only {disk.device}{seen} refused" not in told or now != then):
            problems.append(f"the guest could write to {here}, which it may only read")
    return problems


@contextlib.contextmanager
def _pool(opened: t.Mapping[str, Connection], disk: xen_disks.Disk) -> t.Iterator[t.Any]:
    try:
        with contextlib.closing(opened[disk.client].rados.open_ioctx(disk.pool)) as io_context:
            yield io_context
    except Exception as error:  # librados and librbd have families of errors of their own
        raise GuestFailed(xen_disks.trouble(error, disk)) from error


def _sectors(opened: t.Mapping[str, Connection], disk: xen_disks.Disk) -> tuple[bytes, bytes]:
    """Return the first two sectors. The image is closed again, since who has it open for writing keeps the guest from it."""
    with _pool(opened, disk) as io_context, rbd.Image(io_context, disk.image, read_only=True) as image:
        return bytes(image.read(0, _guest.SECTOR)), bytes(image.read(_guest.SECTOR, _guest.SECTOR))


def _still_mapped(own: Disks) -> list[str]:
    """Those that a hotplug script should have unmapped."""
    mapped = mappings.krbd_mapped()
    return [f"{disk.name} ({mapped[disk.name].device})" for disk in own if disk.mapping is None and disk.name in mapped]


def _clear(name: str, own: Disks, made: Disks, opened: t.Mapping[str, Connection], error: t.Optional[BaseException] = None) -> None:
    """Take away all that a guest of this name has left: itself, what was mapped for it, what images were made. Every step is tried.

    error: what failed before, which is told too.
    """

    def remove(disk: xen_disks.Disk) -> None:
        with _pool(opened, disk) as io_context:
            remove_images(io_context, disk.image)

    failed = []
    steps: list[tuple[t.Callable[[t.Any], None], t.Any]] = [(_destroy, name), *((_unmap, disk) for disk in own), *((remove, disk) for disk in made)]
    for step, what in steps:
        try:
            step(what)
        except Exception as trouble:  # the next step may still succeed
            failed.append(str(trouble))
    if failed:
        text = "something of the guest could not be taken away: " + "; ".join(failed)
        raise GuestFailed(f"{error}; {text}" if error else text) from error


def _destroy(name: str) -> None:
    if name in xenstore.look().guests:
        _xl(["destroy", name])
        wait_until(lambda: name not in xenstore.look().guests, 60, lambda: GuestFailed(f"the guest {name} was destroyed and is still there"), 0.3)


def _unmap(disk: xen_disks.Disk) -> None:
    conf, unit, device = mappings.nbd_conf(disk.name), mappings.nbd_unit(disk.name), f"/dev/rbd-nbd/{disk.name}"
    mapped = mappings.krbd_mapped().get(disk.name)
    nbd = disk.mapping is not None and disk.mapping.way == "nbd"
    if not (os.path.exists(conf) if nbd else mapped):
        return
    if mapped and not nbd:
        device = mapped.device
    # Blkback lets go of a device a moment after its guest is gone.
    wait_until(lambda: not (os.path.exists(device) and in_backend(device)), 10, pause=0.3)
    if not nbd:
        mappings.unmap_device(device)
        return
    process.run(["systemctl", "stop", unit], timeout=300)
    os.unlink(conf)
    with contextlib.suppress(OSError):  # there are others
        os.rmdir(os.path.dirname(conf))
    if os.path.lexists(device):
        raise GuestFailed(f"{unit} was stopped, and {disk.name} is still mapped: {systemd.last_words(unit)}")


def in_backend(device: str, backends: str = "/sys/bus/xen-backend/devices/vbd-*/physical_device") -> bool:
    """Return whether blkback has a device open. It claims none, so that an exclusive opening beside it would succeed."""
    number = os.stat(device).st_rdev
    for path in glob.glob(backends):
        with contextlib.suppress(OSError):
            if pathlib.Path(path).read_text("ascii").strip() == f"{os.major(number):x}:{os.minor(number):x}":
                return True
    return False


def configuration(name: str, uuid: str, order: Order, ramdisk: str) -> str:
    values = {"name": name, "uuid": uuid, "type": "pv", "kernel": order.kernel, "ramdisk": ramdisk, "extra": "console=hvc0 loglevel=4 panic=1"}
    values.update(dict.fromkeys(("on_poweroff", "on_reboot", "on_crash"), "destroy"))
    lines = [f'{key} = "{value}"' for key, value in values.items()]
    return "\n".join([*lines, f"memory = {order.memory}", "vcpus = 1", ""]) + xen_disks.fragment(name, order.disks)


def programme(order: Order) -> str:
    disks = "\n".join(f"{disk.device} {disk.mode} {order.write.get(disk.device, '')}".rstrip() for disk in order.disks)
    return _guest.BEGIN + _INIT.replace("{disks}", disks)


def guest_modules(kernel: str) -> dict[str, bytes]:
    """Return what the guest's kernel must load to have disks. Empty where it is built in."""
    release = os.path.basename(kernel).partition("-")[2]
    found: dict[str, bytes] = {}
    for path in glob.glob(f"/lib/modules/{release}/kernel/drivers/block/xen-blkfront.ko*"):
        # Ubuntu's are packed; Python has no zstd
        found["xen_blkfront"] = process.read_bytes(["zstd", "-dcq", path]) if path.endswith(".zst") else pathlib.Path(path).read_bytes()
    return _guest.load_order(found, ["xen_blkfront"])


def _boot(name: str, uuid: str, order: Order, folder: str) -> list[str]:
    """Run the guest to its end; return what was said of it meanwhile, by xenstore and on its console."""
    ramdisk, config, log = pathlib.Path(folder, "initramfs"), os.path.join(folder, "guest.cfg"), pathlib.Path(_CONSOLE_LOG.format(name))
    ramdisk.write_bytes(_guest.initramfs(pathlib.Path(order.busybox).read_bytes(), guest_modules(order.kernel), programme(order)))
    files.write(config, configuration(name, uuid, order, str(ramdisk)), 0o600)
    log.unlink(missing_ok=True)
    # paused, so that nothing of its console is lost
    _xl(["create", "-p", config])
    with xenstore.Xenstore() as store, _terminal(store, name) as terminal:
        waiting: dict[str, xenstore.Disk] = {}  # disks that were never seen connected, as last seen
        connected: set[str] = set()
        console = bytearray()
        said: list[str] = []
        _xl(["unpause", name])

        def ended() -> bool:
            with contextlib.suppress(OSError):  # the guest is gone
                for piece in iter(lambda: terminal.read(4096) or b"", b""):
                    console.extend(piece)
            logged = log.read_bytes() if not console and log.exists() else b""  # xenconsoled keeps one where it was told to
            running = xenstore.running(store)
            own = [disk for disk in running.disks if disk.guest == name]
            connected.update(disk.device for disk in own if disk.state == xenstore.CONNECTED)
            waiting.update((disk.device, disk) for disk in own if disk.state != xenstore.CONNECTED)
            last = _guest.said_by((console or logged).decode("utf-8", "replace"))
            said[:] = [*complaints(disk for device, disk in waiting.items() if device not in connected), last]
            return name not in running.guests

        late = f"the guest was not through within {order.timeout:g} s"
        wait_until(ended, order.timeout, lambda: GuestFailed("; ".join([late, *said])), 0.5)
    return said


def complaints(waiting: t.Iterable[xenstore.Disk]) -> list[str]:
    never = "its disk {0.device} ({0.params}) never connected: the backend's state was {0.state} ({0.state_name})"
    return [never.format(disk) + (f", {disk.error}" if disk.error else "") for disk in waiting]


def _terminal(store: xenstore.Xenstore, name: str) -> t.Union[io.FileIO, io.BytesIO]:
    """Open the terminal that xenconsoled has for a guest; an empty file where it has none."""
    number = xenstore.running(store).guests.get(name)
    # xenconsoled is told of a new guest as others are
    path = number is not None and wait_until(lambda: store.read(f"/local/domain/{number}/console/tty"), 5, pause=0.1)
    with contextlib.suppress(OSError):
        if path:
            return io.FileIO(path, opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY))
    return io.BytesIO()


def _xl(words: list[str]) -> None:
    """Run xl. Its output goes to a file: what hotplug scripts leave running may keep a pipe open for ever."""
    with tempfile.TemporaryFile() as output:
        try:
            done = process.complete(["xl", *words], timeout=180, output=output)
        except process.CommandError as error:
            raise GuestFailed(f"xl {words[0]} did not end within 180 s" if error.code == process.LATE else error.text) from error
        output.seek(0)
        if done.code:
            raise GuestFailed(f"xl {words[0]} failed: {reason(output.read().decode('utf-8', 'replace'))}")


def reason(said: str) -> str:
    """Return why xl failed: what a hotplug script told libxl, else its first errors."""
    errors = [re.sub(r"^libxl: error: \S+\.c:\d+:[^:]*:\s*(Domain \S+?:)?", "", line).strip() for line in said.splitlines() if "error:" in line]
    scripts = [line.partition("script:")[2].strip() for line in errors if line.startswith("script:")]
    return "; ".join(dict.fromkeys(scripts)) or "; ".join(errors[:2]) or last_line(said) or "it said nothing"
