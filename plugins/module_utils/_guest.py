# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests made of bytes: what a hypervisor can boot to prove itself, with no download and no boot loader of others. And what is believed of them.

A guest's marker says which virtual machine wrote it: "cephstack-guest " and the domain's UUID as 32 upper-case hex digits, which no image can know
beforehand. Those for the BIOS of a PC stand below as machine code beside their assembly, so that nothing is needed to build them.

PRIVATE to the collection.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import re
import struct
import typing as t

SECTOR = 512
MAGIC = b"cephstack-guest "
# Of a guest and of images made for it, followed by the host's name.
PREFIX = "cephstack-guest."
# Where a guest writes its marker, in bytes from the beginning of its disk, and how much of the disk it may use for it.
MARKER_OFFSET = MARKER_LENGTH = SECTOR
# What the guest of probe_sector writes to port 0xe9, and QEMU's exit code where it was told to stop: (0x10 << 1) | 1.
PROBE_LETTER, PROBE_EXIT = b"K", 33


class GuestFailed(Exception):
    """The guest did not do what it should have done. Says what, and what the hypervisor and its console said."""


def expected_marker(uuid: str) -> bytes:
    """Return how the marker begins that the domain of this UUID writes."""
    return MAGIC + uuid.replace("-", "").upper().encode()


def readable(data: bytes) -> str:
    """Return the printable beginning of what was read."""
    text = data.split(b"\0", 1)[0].decode("ascii", "replace").strip()
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def sums(first: bytes, found: bytes) -> str:
    """Return what a Linux guest's marker says of what it read: its disk's first sector, and what was where the marker goes."""
    return " read {} found {}".format(*(hashlib.md5(sector, usedforsecurity=False).hexdigest() for sector in (first, found)))


def said_by(console: str) -> str:
    """Return the last that the guest said, as the end of a sentence."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1bc", "", console).replace("\r", "").strip()[-600:]
    return f"its console ends with: {text}" if text else "its console said nothing"


def _sector(code: str, data: t.Mapping[int, bytes]) -> bytes:
    """Return a boot sector: the hex digits before each "#" of code, then data at its offsets."""
    text = "".join(line.partition("#")[0] for line in code.splitlines())
    sector = bytearray(bytes.fromhex(text).ljust(SECTOR, b"\0"))
    for offset, value in data.items():
        if any(sector[offset : offset + len(value)]):
            raise ValueError(f"the boot sector's code reaches into its data at {offset:#x}")
        sector[offset : offset + len(value)] = value
    sector[510:] = b"\x55\xaa"
    return bytes(sector)


# Loaded by the BIOS to 0x7c00. The UUID is item 2 of QEMU's firmware configuration device (ports 0x510 and 0x511; QEMU's docs/specs/fw_cfg).
_MARKER_CODE = """
31c0 8ed8 8ec0 8ed0 bc007c fc   #       xor ax,ax; mov ds,ax; mov es,ax; mov ss,ax; mov sp,0x7c00; cld
ba1005 b80200 ef 42             #       mov dx,0x510; mov ax,2; out dx,ax; inc dx       the UUID, please
bf107e b91000                   #       mov di,0x7e10; mov cx,16                        after the magic
ec 88c4 c0e804 e83300           # byte: in al,dx; mov ah,al; shr al,4; call hex
88e0 240f e82c00 e2ee           #       mov al,ah; and al,15; call hex; loop byte
bea07d bf007e b91000 f3a4       #       mov si,magic; mov di,0x7e00; mov cx,16; rep movsb
beb07d b80043 b280 cd13         #       mov si,packet; mov ax,0x4300; mov dl,0x80; int 0x13     extended write, without verify, to the first disk
b80753 bb0100 b90300 cd15       #       mov ax,0x5307; mov bx,1; mov cx,3; int 0x15     power management: the state of all devices to off
ba0406 b80020 ef                #       mov dx,0x604; mov ax,0x2000; out dx,ax          where the BIOS can't: ACPI's PM1a control, as SeaBIOS places it
f4 ebfd                         # end:  hlt; jmp end
3c0a 1c69 2f aa c3              # hex:  cmp al,10; sbb al,0x69; das; stosb; ret         the old trick from a nibble to its digit
"""


def marker_image(sectors: int = 2048, stays: bool = False) -> bytes:
    """Return the disk of the guest that writes its marker and powers off. sectors: its size, 1 MiB by default. stays: it halts, and runs on."""
    packet = struct.pack("<BBHHHQ", 16, 0, 1, 0x7E00, 0, MARKER_OFFSET // SECTOR)
    # hlt, and a jump back to it, in the place of the first step to power off
    code = _MARKER_CODE.replace("b80753", "f4ebfd", 1) if stays else _MARKER_CODE
    return _sector(code, {0x1A0: MAGIC, 0x1B0: packet}).ljust(sectors * SECTOR, b"\0")


# Page tables at 0x1000 (one page of 2 MiB is enough), then into 64 bit mode, 100,000 rounds with the stack, CPUID, and out.
_PROBE_CODE = """
fa 31c0 8ed8 8ec0 8ed0 bc007c fc    #       cli; xor ax,ax; mov ds,ax; mov es,ax; mov ss,ax; mov sp,0x7c00; cld
bf0010 b90018 f3ab                  #       mov di,0x1000; mov cx,0x1800; rep stosw
c70600100320 c70600200330           #       mov word [0x1000],0x2003; mov word [0x2000],0x3003
c70600308300 0f0116987c             #       mov word [0x3000],0x83; lgdt [0x7c98]
66b820000000 0f22e0                 #       mov eax,0x20; mov cr4,eax                   PAE
66b800100000 0f22d8                 #       mov eax,0x1000; mov cr3,eax
66b9800000c0 0f32 0d0001 0f30       #       mov ecx,0xc0000080; rdmsr; or ax,0x100; wrmsr   long mode
66b811000080 0f22c0                 #       mov eax,0x80000011; mov cr0,eax             paging and protection
ea597c0800                          #       jmp 8:long
b9a0860100                          # long: mov ecx,100000
31c0 51 59 ffc9 75f8                # more: xor eax,eax; push rcx; pop rcx; dec ecx; jnz more
0fa2 66bae900 b04b ee               #       cpuid; mov dx,0xe9; mov al,'K'; out dx,al
66ba0105 b010 ee                    #       mov dx,0x501; mov al,0x10; out dx,al
f4 ebfd                             # end:  hlt; jmp end
"""


def probe_sector() -> bytes:
    """Return the boot sector that proves that a processor mode a kernel needs really works."""
    gdt = struct.pack("<QQQ", 0, 0x00209A0000000000, 0x0000920000000000)
    return _sector(_PROBE_CODE, {0x80: gdt, 0x98: struct.pack("<HI", len(gdt) - 1, 0x7C80)})


# Reads the kernel's real mode part to 0x90000, the rest in pieces of 32 KiB to 0x10000 and from there up (INT 15h, AH=87h), then jumps.
# Its data: a GDT for the BIOS at 0x160 (where the destination's base is counted up), two disk packets, and how many pieces there are.
_LOADER_CODE = """
31c0 8ed8 8ec0 8ed0 bc007c fc       #       xor ax,ax; mov ds,ax; mov es,ax; mov ss,ax; mov sp,0x7c00; cld
8816b47d bea07d e87200 7279         #       mov [drive],dl; mov si,setup; call read; jc fail
be907d e86a00 7271                  # next: mov si,packet; call read; jc fail
b487 b90040 be607d cd15 7265        #       mov ah,0x87; mov cx,0x4000; mov si,gdt; int 0x15; jc fail       move a block of so many words
8306987d40 83169a7d00               #       add word [packet+8],64; adc word [packet+10],0
81067a7d0080 80167c7d00 80167f7d00  #       add word [base],0x8000; adc byte [base+2],0; adc byte [base+5],0
ff0eb07d 75cc                       #       dec word [pieces]; jnz next
833eb27d00 741e                     #       cmp word [pieces+2],0; je go
a1b27d a3b07d c706b27d0000          #       mov ax,[pieces+2]; mov [pieces],ax; mov word [pieces+2],0       now the initramfs
c7067a7d0000 c6067c7d00 c6067f7d08  #       mov word [base],0; mov byte [base+2],0; mov byte [base+5],8
eba7                                #       jmp next
b80090 8ed8 8ec0 8ee0 8ee8          # go:   mov ax,0x9000; mov ds,ax; mov es,ax; mov fs,ax; mov gs,ax
fa 8ed0 bc00e0 fb ea00002090        #       cli; mov ss,ax; mov sp,0xe000; sti; jmp 0x9020:0
b442 8a16b47d cd13 c3               # read: mov ah,0x42; mov dl,[drive]; int 0x13; ret                      extended read
f4 ebfd                             # fail: hlt; jmp fail
"""

# Linux/x86 boot protocol (the kernel's Documentation/arch/x86/boot.rst): where things are loaded, and the fields of the header.
_SETUP_LBA, _SETUP_SECTORS = 2, 116
_COMMAND_LINE = 0xE000  # in the segment of 0x90000, as are the stack and the heap below it
_PIECE = 64 * SECTOR
_PIECES_LBA = 128
_INITRAMFS_ADDRESS = 0x08000000  # 128 MiB: beyond the 16 MiB + about 60 MiB that a kernel takes to unpack itself


def linux_image(kernel: bytes, initramfs: bytes, command_line: str) -> bytes:
    """Return a disk that boots the kernel (a bzImage) with the initramfs. Raises ValueError where the kernel is of another kind."""
    if kernel[0x202:0x206] != b"HdrS" or struct.unpack_from("<H", kernel, 0x206)[0] < 0x0203:
        raise ValueError("not a Linux kernel that a BIOS could boot (bzImage, protocol 2.03 or newer)")
    length = ((kernel[0x1F1] or 4) + 1) * SECTOR
    line = command_line.encode("ascii") + b"\0"
    if length > _COMMAND_LINE or len(line) > _SETUP_SECTORS * SECTOR - _COMMAND_LINE:
        raise ValueError("the kernel's real mode part or its command line is too long")
    setup = bytearray(kernel[:length].ljust(_COMMAND_LINE, b"\0") + line)
    struct.pack_into("<H", setup, 0x1FA, 0xFFFF)  # the video mode as it is
    setup[0x210] = 0xFF  # a loader of no known kind
    setup[0x211] |= 0x81  # loaded high, may use the heap
    struct.pack_into("<II", setup, 0x218, _INITRAMFS_ADDRESS, len(initramfs))
    struct.pack_into("<HBBI", setup, 0x224, _COMMAND_LINE - 0x200, 0, 0, 0x90000 + _COMMAND_LINE)
    body, archive = _pieces(kernel[length:]), _pieces(initramfs)
    source, target = (struct.pack("<HHBBBB", 0xFFFF, base & 0xFFFF, base >> 16 & 0xFF, 0x93, 0, base >> 24) for base in (0x10000, 0x100000))
    data = {
        0x160: bytes(16) + source + target + bytes(16),
        0x190: struct.pack("<BBHHHQ", 16, 0, _PIECE // SECTOR, 0, 0x1000, _PIECES_LBA),
        0x1A0: struct.pack("<BBHHHQ", 16, 0, _SETUP_SECTORS, 0, 0x9000, _SETUP_LBA),
        0x1B0: struct.pack("<HHB", len(body) // _PIECE, len(archive) // _PIECE, 0),
    }
    head = _sector(_LOADER_CODE, data).ljust(_SETUP_LBA * SECTOR, b"\0") + bytes(setup)
    return head.ljust(_PIECES_LBA * SECTOR, b"\0") + body + archive


def _pieces(data: bytes) -> bytes:
    return data.ljust(-(-len(data) // _PIECE) * _PIECE, b"\0")


# How the programme of a Linux guest begins, on whatever hypervisor.
BEGIN = """#!/bin/busybox sh
export PATH=/bin
busybox mount -t proc proc /proc
busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t sysfs sys /sys
for module in $(cat /modules/order); do insmod /modules/$module; done
"""
# And on QEMU, with its first disk.
WITH_DISK = f"""{BEGIN}waited=0
while [ ! -b /dev/vda ] && [ $waited -lt 100 ]; do usleep 100000; waited=$((waited + 1)); done
"""
_INIT = f"""{WITH_DISK}uuid=$(tr -d '\\n-' < /sys/class/dmi/id/product_uuid | tr a-f A-F)
sum() {{ dd if=/dev/vda bs=512 skip=$1 count=1 2>/dev/null | md5sum | cut -d' ' -f1; }}
printf 'cephstack-guest %s linux %s read %s found %s\\n' "$uuid" "$(uname -r)" "$(sum 0)" "$(sum 1)" > /marker
dd if=/marker of=/dev/vda bs=512 seek=1 conv=sync,notrunc,fsync 2>/dev/null
cat /marker
sync
poweroff -f
"""


def load_order(there: t.Mapping[str, bytes], wanted: t.Iterable[str]) -> dict[str, bytes]:
    """Return the kernel modules to load, by file name, each after those it needs. One that is not there is built into the kernel."""
    order: dict[str, bytes] = {}
    for name in (name for name in wanted if name in there):
        data = lzma.decompress(there[name]) if there[name].startswith(b"\xfd7zXZ") else there[name]
        needs = re.search(rb"\0depends=([^\0]*)\0", data)
        order.update(load_order(there, needs[1].decode().replace("-", "_").split(",") if needs else ()))
        order.setdefault(f"{name}.ko", data)
    return order


def initramfs(busybox: bytes, modules: t.Mapping[str, bytes], init: str = "") -> bytes:
    """Return a compressed initramfs. modules: kernel modules by file name, in the order to load them. init: its programme, by default one that writes the
    marker."""
    files: list[tuple[str, int, bytes]] = [(name, 0o040755, b"") for name in ("bin", "dev", "modules", "proc", "sys")]
    files += [
        ("bin/busybox", 0o100755, busybox),
        ("init", 0o100755, (init or _INIT).encode()),
        ("modules/order", 0o100644, "\n".join(modules).encode() + b"\n"),
    ]
    files += [(f"modules/{name}", 0o100644, data) for name, data in modules.items()]
    return gzip.compress(cpio(files), 6, mtime=0)


def cpio(files: t.Iterable[tuple[str, int, bytes]]) -> bytes:
    """Return an archive of the format newc, of root's and of no age (the kernel's Documentation/driver-api/early-userspace/buffer-format.rst)."""
    out = bytearray()
    for number, (name, mode, data) in enumerate([*files, ("TRAILER!!!", 0, b"")], 1):
        encoded = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
        for part in (b"070701" + b"".join(b"%08X" % field for field in fields) + encoded, data):
            out += part
            out += bytes(-len(out) % 4)
    return bytes(out)
