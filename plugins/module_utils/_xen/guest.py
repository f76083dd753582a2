# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A throwaway paravirtual guest on RBD images: made, booted, watched, read, and gone again.

It runs the first domain's own kernel with a busybox, reads the beginning of each of its disks, writes its marker where guests of KVM write
theirs, and powers off. What counts is what librbd finds in the images afterwards; the console only serves to say why something failed.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import glob
import hashlib
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
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import Connection
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.librbd import remove_images
from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process, systemd
from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._xen import disks as xen_disks
from ansible_collections.cephstack.cloud.plugins.module_utils._xen import mappings, xenstore
from ansible_collections.cephstack.cloud.plugins.module_utils._xen.host import is_dom0, last_line

try:
    import rbd
except ImportError:
    rbd = None

# Name of the guest, and of images made for it, followed by the host's name.
PREFIX = "cephstack-guest."
_SIZE = 16 << 20  # of an image that is made
# What a marker takes without a text of one's own, and for each disk that is only read; it must stay within its sector.
_MARKER, _MARKER_ONLY = 180, 96
_CONSOLE_LOG = "/var/log/xen/console/guest-{}.log"

# What the guest does. {disks}: a line for each disk, "xvda w a text of one's own".
_INIT = """#!/bin/busybox sh
export PATH=/bin
busybox mount -t proc proc /proc
busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t sysfs sys /sys
for module in $(cat /modules/order); do insmod /modules/$module; done
uuid=$(tr -d '\\n-' < /sys/hypervisor/uuid | tr a-f A-F)
sum() { dd if=/dev/$1 bs=512 skip=$2 count=1 2>/dev/null | md5sum | cut -d' ' -f1; }
write() { dd if=/marker of=/dev/$1 bs=512 seek=1 count=1 conv=sync,notrunc,fsync 2>/failed || { cat /failed; return 1; }; }
list() {
cat <<'END'
{disks}
END
}
others=
list > /list
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


class GuestFailed(Exception):
    """The guest did not do what it should have done. Says what, and what xl, xenstore and its console said."""


@dataclasses.dataclass(frozen=True)
class Order:
    """What to boot. images: for each disk whether its image is made for the guest; expect, write: texts, by device.

    kernel, busybox: paths. memory in MiB, timeout in seconds. conf: Ceph's configuration.
    """

    disks: tuple[xen_disks.Disk, ...]
    made: t.Collection[str]
    expect: t.Mapping[str, str]
    write: t.Mapping[str, str]
    kernel: str
    busybox: str
    memory: int
    timeout: float
    conf: str


def parse(params: t.Mapping[str, t.Any]) -> Order:
    """Read the module's options. Raises Invalid with every problem found."""
    problems: list[str] = []
    name = PREFIX + socket.gethostname()
    items = [dict(item) for item in params["disks"]] or [{key: option.get("default") for key, option in xen_disks.DISK_OPTIONS.items()}]
    made = set()
    room = _guest.MARKER_LENGTH - _MARKER - _MARKER_ONLY * sum(item["mode"] == "r" for item in items)
    if room < 0:
        problems.append("disks: the guest can't report on so many disks that are only read: name three at most")
    for item in items:
        users = [one for one in params["consumers"] if one.get("kind") == "xen" and item.get("consumer") in (None, one["name"])]
        pools = [pool["name"] for one in users for pool in one.get("pools") or () if pool.get("access", "rw") == "rw"]
        pool = item.get("pool") or next(iter(pools), None)
        if not pool:
            problems.append(f"disks ({item['device']}): no pool is named, and there is no consumer of kind xen that may write one: name a pool")
        item["pool"] = pool or "none"
        if not item.get("image"):
            item["image"] = name if item["device"] == "xvda" else f"{name}.{item['device']}"
            made.add(item["device"])
            if item["mode"] == "r":
                problems.append(f"disks ({item['device']}): an image that is made for the guest holds nothing to read: name one, or say mode: w")
        if len(item.get("write") or "") > room or not re.fullmatch(r"[ -~]*", item.get("write") or ""):
            problems.append(f"disks ({item['device']}): write: at most {max(0, room)} plain characters fit beside what the guest reports")
    disks: tuple[xen_disks.Disk, ...] = ()
    if not problems:
        try:
            disks = xen_disks.parse([{"name": name, "disks": items}], params["backend"], params["consumers"]).guests[name]
        except Invalid as error:
            problems += error.problems
    if disks and all(disk.mode == "r" for disk in disks):
        problems.append("disks: at least one must be writable, since the guest reports by writing: add one, which is made if it names no image")
    kernel = params.get("kernel") or newest_kernel(glob.glob("/boot/vmlinuz-*"), os.uname().release)
    busybox = params.get("busybox") or next((path for path in ("/bin/busybox", "/usr/bin/busybox") if os.path.exists(path)), "")
    if not os.path.exists(kernel):
        problems.append(f"there is no kernel {kernel or 'in /boot'} to boot the guest with: install linux-image-amd64, or name one (kernel)")
    if not os.path.exists(busybox):
        problems.append("there is no busybox to boot the guest with: install busybox-static, or name one (busybox)")
    if problems:
        raise Invalid(problems)
    expect, write = ({item["device"]: item[what] for item in items if item.get(what)} for what in ("expect", "write"))
    return Order(disks, made, expect, write, kernel, busybox, params["memory"], params["timeout"], params["conf"])


def newest_kernel(paths: t.Sequence[str], running: str) -> str:
    """Return the kernel that runs, whose modules are surely there; else the newest. "" where there is none."""
    same = [path for path in paths if path.endswith("/vmlinuz-" + running)]
    if same:
        return same[0]
    return max(paths, key=lambda path: [int(part) for part in re.findall(r"\d+", os.path.basename(path))], default="")


def run_guest(order: Order) -> dict[str, t.Any]:
    """Boot the guest; return what it read and wrote. Nothing is left behind in any case.

    Raises GuestFailed, Unreachable, CommandError.
    """
    if not is_dom0():
        raise GuestFailed("this host is not Xen's first domain: it must be booted into Xen")
    name = PREFIX + socket.gethostname()
    uuid = str(uuids.uuid4())
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
        stack.push(lambda unused, error, trace: _clear_after(error, name, own, made, opened))
        for disk in made:
            with _pool(opened, disk) as io_context:
                rbd.RBD().create(io_context, disk.image, _SIZE)
        before = {disk.device: _sectors(opened, disk) for disk in order.disks}
        for disk in order.disks:
            found = _guest.readable(before[disk.device][1])
            if order.expect.get(disk.device, "") not in found:
                raise GuestFailed(f"{disk.name} should hold the marker '{order.expect[disk.device]}', and holds '{found or 'nothing'}'")
        for disk in own:
            _map(disk.mapping)
        begun = time.monotonic()
        said = _boot(name, uuid, order, stack.enter_context(tempfile.TemporaryDirectory(prefix="cephstack-guest-")))
        seconds = time.monotonic() - begun
        after = {disk.device: _sectors(opened, disk) for disk in order.disks}
        problems = verdict(uuid, order, before, after)
        if problems:
            raise GuestFailed("; ".join([*problems, *said]))
        wait_until(lambda: not _still_mapped(own), 15, pause=0.3)
        left = _still_mapped(own)
        if left:
            raise GuestFailed(f"the guest is gone, and its hotplug script left {', '.join(left)} mapped")
    return {
        "uuid": uuid,
        "seconds": round(seconds, 2),
        "disks": [
            {
                **{key: getattr(disk, key) for key in ("device", "pool", "image", "backend", "mode")},
                "read": _guest.readable(before[disk.device][1]),
                "written": _guest.readable(after[disk.device][1]) if disk.mode == "w" else "",
            }
            for disk in order.disks
        ],
    }


def verdict(uuid: str, order: Order, before: t.Mapping[str, tuple[bytes, bytes]], after: t.Mapping[str, tuple[bytes, bytes]]) -> list[str]:
    """Return what is not as it should be. before, after: the first two sectors of each disk, as librbd read them."""
    problems = []
    told = ""
    for disk in order.disks:
        if disk.mode == "r":
            continue
        here, found = f"{disk.device} ({disk.name})", after[disk.device][1]
        if not found.startswith(_guest.expected_marker(uuid)):
            problems.append(f"the guest powered off, but its marker is not on {here}: found {_guest.readable(found) or 'nothing'}")
            continue
        told = _guest.readable(found)
        sums = re.search(r" read ([0-9a-f]{32}) found ([0-9a-f]{32})", told)
        if not sums or sums.groups() != _sums(before[disk.device]):
            problems.append(f"the guest read something else from {here} than what was there")
        if f" says {order.write.get(disk.device, '')}" not in told and disk.device in order.write:
            problems.append(f"what the guest was to write is not on {here}: found {told}")
        if after[disk.device][0] != before[disk.device][0]:
            problems.append(f"the first sector of {here} has changed, which the guest did not write")
    for disk in order.disks:
        if disk.mode == "w" or not told:
            continue
        here = f"{disk.device} ({disk.name})"
        seen = re.search(rf" only {disk.device} read ([0-9a-f]{{32}}) found ([0-9a-f]{{32}}) (refused|written)", told)
        if not seen or seen.groups()[:2] != _sums(before[disk.device]):
            problems.append(f"the guest read something else from {here} than what is there")
        elif seen[3] != "refused" or after[disk.device] != before[disk.device]:
            problems.append(f"the guest could write to {here}, which it may only read")
    return problems


def _sums(sectors: tuple[bytes, bytes]) -> tuple[str, str]:
    first, second = (hashlib.md5(sector, usedforsecurity=False).hexdigest() for sector in sectors)
    return first, second


# -- the images


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
        data = bytes(image.read(0, 2 * _guest.SECTOR))
    return data[: _guest.SECTOR], data[_guest.SECTOR :]


def _map(mapping: t.Optional[mappings.Mapping]) -> None:
    """Map an image as xen_rbd would, by rbd or by the unit of rbd-nbd, where anything must be mapped before the guest is there."""
    if mapping and mapping.way == "krbd":
        mappings.map_image(mapping)
    elif mapping:
        unit = mappings.nbd_unit(mapping.name)
        files.write(mappings.nbd_conf(mapping.name), mapping.entry, 0o644)
        try:
            systemd.restart(unit)
        except process.CommandError as error:
            raise GuestFailed(f"{error}; {systemd.last_words(unit)}") from error


def _still_mapped(own: t.Sequence[xen_disks.Disk]) -> list[str]:
    """Return the images that a hotplug script should have unmapped."""
    mapped = mappings.krbd_mapped()
    return [f"{disk.name} ({mapped[disk.name].device})" for disk in own if disk.mapping is None and disk.name in mapped]


def _clear(name: str, own: t.Sequence[xen_disks.Disk], made: t.Sequence[xen_disks.Disk], opened: t.Mapping[str, Connection]) -> None:
    """Take away all that a guest of this name has left: itself, what was mapped for it, what images were made. Every step is tried."""
    failed = []
    steps: list[t.Callable[[], None]] = [functools.partial(_destroy, name)]
    steps += [functools.partial(_unmap, disk) for disk in own]
    steps += [functools.partial(_remove, opened, disk) for disk in made]
    for step in steps:
        try:
            step()
        except Exception as error:  # the next step may still succeed
            failed.append(str(error))
    if failed:
        raise GuestFailed("something of the guest could not be taken away: " + "; ".join(failed))


def _clear_after(error: t.Optional[BaseException], *arguments: t.Any) -> bool:
    """The same at the end; what failed before is not lost over what fails here."""
    try:
        _clear(*arguments)
    except GuestFailed as trouble:
        raise GuestFailed(f"{error}; {trouble}" if error else str(trouble)) from error
    return False


def _destroy(name: str) -> None:
    with xenstore.Xenstore() as store:
        if name in xenstore.running(store).guests:
            _xl(["destroy", name])
            late = GuestFailed(f"the guest {name} was destroyed and is still there")
            wait_until(lambda: name not in xenstore.running(store).guests, 60, lambda: late, 0.3)


def _unmap(disk: xen_disks.Disk) -> None:
    conf, unit, link = mappings.nbd_conf(disk.name), mappings.nbd_unit(disk.name), f"/dev/rbd-nbd/{disk.name}"
    if disk.mapping is None or disk.mapping.way == "krbd":
        mapped = mappings.krbd_mapped().get(disk.name)
        if mapped:
            _wait_until_free(mapped.device)
            mappings.unmap_device(mapped.device)
    elif os.path.exists(conf):
        _wait_until_free(link)
        process.run(["systemctl", "stop", unit], timeout=300)
        os.unlink(conf)
        with contextlib.suppress(OSError):  # there are others
            os.rmdir(os.path.dirname(conf))
        if os.path.lexists(link):
            raise GuestFailed(f"{unit} was stopped, and {disk.name} is still mapped: {systemd.last_words(unit)}")


def _wait_until_free(device: str) -> None:
    """Blkback lets go of a device a moment after its guest is gone."""
    wait_until(lambda: not (os.path.exists(device) and in_backend(device)), 10, pause=0.3)


def in_backend(device: str, backends: str = "/sys/bus/xen-backend/devices/vbd-*/physical_device") -> bool:
    """Return whether blkback has a device open. It claims none, so that an exclusive opening beside it would succeed."""
    number = os.stat(device).st_rdev
    for path in glob.glob(backends):
        with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
            if file.read().strip() == f"{os.major(number):x}:{os.minor(number):x}":
                return True
    return False


def _remove(opened: t.Mapping[str, Connection], disk: xen_disks.Disk) -> None:
    with _pool(opened, disk) as io_context:
        remove_images(io_context, disk.image)


# -- the guest


def configuration(name: str, uuid: str, order: Order, ramdisk: str) -> str:
    values = {"name": name, "uuid": uuid, "type": "pv", "kernel": order.kernel, "ramdisk": ramdisk, "extra": "console=hvc0 loglevel=4 panic=1"}
    values.update(dict.fromkeys(("on_poweroff", "on_reboot", "on_crash"), "destroy"))
    lines = [f'{key} = "{value}"' for key, value in values.items()]
    return "\n".join([*lines, f"memory = {order.memory}", "vcpus = 1", ""]) + xen_disks.fragment(name, order.disks)


def programme(order: Order) -> str:
    return _INIT.replace("{disks}", "\n".join(f"{disk.device} {disk.mode} {order.write.get(disk.device, '')}".rstrip() for disk in order.disks))


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
    ramdisk, config = os.path.join(folder, "initramfs"), os.path.join(folder, "guest.cfg")
    with open(order.busybox, "rb") as busybox, open(ramdisk, "wb") as file:
        file.write(_guest.initramfs(busybox.read(), guest_modules(order.kernel), programme(order)))
    files.write(config, configuration(name, uuid, order, ramdisk), 0o600)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_CONSOLE_LOG.format(name))
    # paused, so that nothing of its console is lost
    _xl(["create", "-p", config])
    with xenstore.Xenstore() as store, _console(store, name) as console:
        waiting: dict[str, xenstore.Disk] = {}  # disks that were never seen connected, as last seen
        connected: set[str] = set()
        said: list[str] = []
        _xl(["unpause", name])

        def ended() -> bool:
            text, running = console(), xenstore.running(store)
            own = [disk for disk in running.disks if disk.guest == name]
            connected.update(disk.device for disk in own if disk.state == xenstore.CONNECTED)
            waiting.update((disk.device, disk) for disk in own if disk.state != xenstore.CONNECTED)
            said[:] = [*complaints(disk for device, disk in waiting.items() if device not in connected), said_by(text or _logged(name))]
            return name not in running.guests

        late = f"the guest was not through within {order.timeout:g} s"
        wait_until(ended, order.timeout, lambda: GuestFailed("; ".join([late, *said])), 0.5)
    return said


def complaints(waiting: t.Iterable[xenstore.Disk]) -> list[str]:
    never = "its disk {0.device} ({0.params}) never connected: the backend's state was {0.state} ({0.state_name})"
    return [never.format(disk) + (f", {disk.error}" if disk.error else "") for disk in waiting]


@contextlib.contextmanager
def _console(store: xenstore.Xenstore, name: str) -> t.Iterator[t.Callable[[], str]]:
    """Give what returns all that the guest has said so far, read off the terminal that xenconsoled has for it."""
    number = xenstore.running(store).guests.get(name)
    # xenconsoled is told of a new guest as others are
    path = number is not None and wait_until(lambda: store.read(f"/local/domain/{number}/console/tty"), 5, pause=0.1)
    said = bytearray()
    with contextlib.ExitStack() as stack:
        terminal: t.Optional[io.FileIO] = None
        if path:
            with contextlib.suppress(OSError):
                terminal = stack.enter_context(io.FileIO(path, opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)))

        def listen() -> str:
            with contextlib.suppress(OSError):  # the guest is gone
                while terminal:
                    piece = terminal.read(4096)
                    if not piece:  # nothing new
                        break
                    said.extend(piece)
            return said.decode("utf-8", "replace")

        yield listen


def _logged(name: str) -> str:
    """Return the console's log, which xenconsoled keeps where it was told to."""
    with contextlib.suppress(Unreachable):
        return files.read(_CONSOLE_LOG.format(name)) or ""
    return ""


def said_by(console: str) -> str:
    """Return the last that the guest said, as the end of a sentence."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1bc", "", console).replace("\r", "").strip()[-600:]
    return f"its console ends with: {text}" if text else "its console said nothing"


def _xl(words: list[str]) -> None:
    """Run xl. Its output goes to a file: what hotplug scripts leave running may keep a pipe open for ever."""
    with tempfile.TemporaryFile() as output:
        try:
            done = process.complete(["xl", *words], timeout=180, output=output)
        except process.CommandError as error:
            raise GuestFailed(f"xl {words[0]} did not end within 180 s" if error.code == process.LATE else error.text) from error
        output.seek(0)
        said = output.read().decode("utf-8", "replace")
    if done.code:
        raise GuestFailed(f"xl {words[0]} failed: {reason(said)}")


def reason(said: str) -> str:
    """Return why xl failed: what a hotplug script told libxl, else its first error."""
    errors = [re.sub(r"^libxl: error: \S+\.c:\d+:[^:]*:\s*(Domain \S+?:)?", "", line).strip() for line in said.splitlines() if "error:" in line]
    scripts = [line.partition("script:")[2].strip() for line in errors if line.startswith("script:")]
    return "; ".join(dict.fromkeys(scripts)) or "; ".join(errors[:2]) or last_line(said) or "it said nothing"
