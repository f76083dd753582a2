# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests made of bytes: what a hypervisor can boot to prove itself, with no download and no boot loader of others.

Three of them, all for the BIOS of a PC:

- marker_image: 512 bytes of code. It writes its marker to the second sector of its disk and powers off. A tenth of a second.
- probe_sector: it enters long mode, as every kernel does, writes one letter to QEMU's debug port and stops QEMU.
- linux_image: a Linux kernel with an initramfs, and 150 bytes that load them. It writes the same marker, from Linux.

The marker says which virtual machine wrote it: "cephstack-guest " and the domain's UUID as 32 upper-case hex digits, which no image can
know beforehand. The code stands below as machine code beside its assembly, so that nothing is needed to build it.

Pure: imports nothing of Ansible, Ceph or libvirt.

PRIVATE to the collection.
"""

from __future__ import annotations

import gzip
import lzma
import re
import struct
import typing as t

SECTOR = 512
MAGIC = b"cephstack-guest "
# Where a guest writes its marker, in bytes from the beginning of its disk, and how much of the disk it may use for it.
MARKER_OFFSET = SECTOR
MARKER_LENGTH = SECTOR
# What the guest of probe_sector writes to port 0xe9, and QEMU's exit code where it was told to stop: (0x10 << 1) | 1.
PROBE_LETTER = b"K"
PROBE_EXIT = 33

_SIGNATURE = b"\x55\xaa"


def expected_marker(uuid: str) -> bytes:
    """Return how the marker begins that the domain of this UUID writes."""
    return MAGIC + uuid.replace("-", "").upper().encode()


def readable(data: bytes) -> str:
    """Return the printable beginning of what was read."""
    text = data.split(b"\0", 1)[0].decode("ascii", "replace").strip()
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _sector(code: str, data: t.Mapping[int, bytes]) -> bytes:
    """Return a boot sector: the hex digits before each "#" of code, then data at its offsets."""
    text = "".join(line.partition("#")[0] for line in code.splitlines())
    sector = bytearray(bytes.fromhex(text).ljust(SECTOR, b"\0"))
    for offset, value in data.items():
        if any(sector[offset : offset + len(value)]):
            raise ValueError(f"the boot sector's code reaches into its data at {offset:#x}")
        sector[offset : offset + len(value)] = value
    sector[510:] = _SIGNATURE
    return bytes(sector)


# Loaded by the BIOS to 0x7c00. The UUID is item 2 of QEMU's firmware configuration device (ports 0x510 and 0x511; QEMU's docs/specs/fw_cfg).
_MARKER_CODE = """
31c0        #       xor  ax,ax
8ed8        #       mov  ds,ax
8ec0        #       mov  es,ax
8ed0        #       mov  ss,ax
bc007c      #       mov  sp,0x7c00
fc          #       cld
ba1005      #       mov  dx,0x510
b80200      #       mov  ax,2
ef          #       out  dx,ax          the UUID, please
42          #       inc  dx
bf107e      #       mov  di,0x7e10      after the magic
b91000      #       mov  cx,16
ec          # byte: in   al,dx
88c4        #       mov  ah,al
c0e804      #       shr  al,4
e83300      #       call hex
88e0        #       mov  al,ah
240f        #       and  al,15
e82c00      #       call hex
e2ee        #       loop byte
bea07d      #       mov  si,magic
bf007e      #       mov  di,0x7e00
b91000      #       mov  cx,16
f3a4        #       rep  movsb
beb07d      #       mov  si,packet
b80043      #       mov  ax,0x4300      extended write, without verify
b280        #       mov  dl,0x80        the first disk
cd13        #       int  0x13
b80753      #       mov  ax,0x5307      power management: set the state
bb0100      #       mov  bx,1           of all devices
b90300      #       mov  cx,3           to off
cd15        #       int  0x15
ba0406      #       mov  dx,0x604       where the BIOS can't: ACPI's PM1a control, as SeaBIOS places it
b80020      #       mov  ax,0x2000
ef          #       out  dx,ax
f4          # end:  hlt
ebfd        #       jmp  end
3c0a        # hex:  cmp  al,10          the old trick from a nibble to its digit
1c69        #       sbb  al,0x69
2f          #       das
aa          #       stosb
c3          #       ret
"""

# Where a guest is to stay, it halts here for ever: hlt, and a jump back to it, in place of the first step to power off.
_POWER_OFF, _STAY = "b80753", "f4ebfd"


def marker_image(sectors: int = 2048, stays: bool = False) -> bytes:
    """Return the disk of the guest that writes its marker and powers off. sectors: its size, 1 MiB by default. stays: it halts, and runs on."""
    packet = struct.pack("<BBHHHQ", 16, 0, 1, 0x7E00, 0, MARKER_OFFSET // SECTOR)
    code = _MARKER_CODE.replace(_POWER_OFF, _STAY, 1) if stays else _MARKER_CODE
    return _sector(code, {0x1A0: MAGIC, 0x1B0: packet}).ljust(sectors * SECTOR, b"\0")


# Page tables at 0x1000 (one page of 2 MiB is enough), then into 64 bit mode, 100,000 rounds with the stack, CPUID, and out.
_PROBE_CODE = """
fa                  #       cli
31c0                #       xor  ax,ax
8ed8                #       mov  ds,ax
8ec0                #       mov  es,ax
8ed0                #       mov  ss,ax
bc007c              #       mov  sp,0x7c00
fc                  #       cld
bf0010              #       mov  di,0x1000
b90018              #       mov  cx,0x1800
f3ab                #       rep  stosw
c70600100320        #       mov  word [0x1000],0x2003
c70600200330        #       mov  word [0x2000],0x3003
c70600308300        #       mov  word [0x3000],0x83
0f0116987c          #       lgdt [0x7c98]
66b820000000        #       mov  eax,0x20
0f22e0              #       mov  cr4,eax        PAE
66b800100000        #       mov  eax,0x1000
0f22d8              #       mov  cr3,eax
66b9800000c0        #       mov  ecx,0xc0000080
0f32                #       rdmsr
0d0001              #       or   ax,0x100       long mode
0f30                #       wrmsr
66b811000080        #       mov  eax,0x80000011
0f22c0              #       mov  cr0,eax        paging and protection
ea597c0800          #       jmp  8:long
b9a0860100          # long: mov  ecx,100000
31c0                # more: xor  eax,eax
51                  #       push rcx
59                  #       pop  rcx
ffc9                #       dec  ecx
75f8                #       jnz  more
0fa2                #       cpuid
66bae900            #       mov  dx,0xe9
b04b                #       mov  al,'K'
ee                  #       out  dx,al
66ba0105            #       mov  dx,0x501
b010                #       mov  al,0x10
ee                  #       out  dx,al
f4                  # end:  hlt
ebfd                #       jmp  end
"""


def probe_sector() -> bytes:
    """Return the boot sector that proves that a processor mode a kernel needs really works."""
    gdt = struct.pack("<QQQ", 0, 0x00209A0000000000, 0x0000920000000000)
    return _sector(_PROBE_CODE, {0x80: gdt, 0x98: struct.pack("<HI", len(gdt) - 1, 0x7C80)})


# Reads the kernel's real mode part to 0x90000, the rest in pieces of 32 KiB to 0x10000 and from there up (INT 15h, AH=87h), then jumps.
# Its data: a GDT for the BIOS at 0x160 (where the destination's base is counted up), two disk packets, and how many pieces there are.
_LOADER_CODE = """
31c0            #       xor  ax,ax
8ed8            #       mov  ds,ax
8ec0            #       mov  es,ax
8ed0            #       mov  ss,ax
bc007c          #       mov  sp,0x7c00
fc              #       cld
8816b47d        #       mov  [drive],dl
bea07d          #       mov  si,setup
e87200          #       call read
7279            #       jc   fail
be907d          # next: mov  si,packet
e86a00          #       call read
7271            #       jc   fail
b487            #       mov  ah,0x87        move a block
b90040          #       mov  cx,0x4000      of so many words
be607d          #       mov  si,gdt
cd15            #       int  0x15
7265            #       jc   fail
8306987d40      #       add  word [packet+8],64
83169a7d00      #       adc  word [packet+10],0
81067a7d0080    #       add  word [base],0x8000
80167c7d00      #       adc  byte [base+2],0
80167f7d00      #       adc  byte [base+5],0
ff0eb07d        #       dec  word [pieces]
75cc            #       jnz  next
833eb27d00      #       cmp  word [pieces+2],0
741e            #       je   go
a1b27d          #       mov  ax,[pieces+2]  now the initramfs
a3b07d          #       mov  [pieces],ax
c706b27d0000    #       mov  word [pieces+2],0
c7067a7d0000    #       mov  word [base],0
c6067c7d00      #       mov  byte [base+2],0
c6067f7d08      #       mov  byte [base+5],8
eba7            #       jmp  next
b80090          # go:   mov  ax,0x9000
8ed8            #       mov  ds,ax
8ec0            #       mov  es,ax
8ee0            #       mov  fs,ax
8ee8            #       mov  gs,ax
fa              #       cli
8ed0            #       mov  ss,ax
bc00e0          #       mov  sp,0xe000
fb              #       sti
ea00002090      #       jmp  0x9020:0
b442            # read: mov  ah,0x42        extended read
8a16b47d        #       mov  dl,[drive]
cd13            #       int  0x13
c3              #       ret
f4              # fail: hlt
ebfd            #       jmp  fail
"""

# Linux/x86 boot protocol (the kernel's Documentation/arch/x86/boot.rst): where things are loaded, and the fields of the header.
_SETUP_LBA, _SETUP_SECTORS = 2, 116
_COMMAND_LINE = 0xE000  # in the segment of 0x90000, as are the stack and the heap below it
_PIECE = 64 * SECTOR
_PIECES_LBA = 128
_INITRAMFS_ADDRESS = 0x08000000  # 128 MiB: beyond the 16 MiB + about 60 MiB that a kernel takes to unpack itself
LINUX_MEMORY = 256  # MiB that such a guest needs


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
    gdt = bytes(16) + _descriptor(0x10000) + _descriptor(0x100000) + bytes(16)
    data = {
        0x160: gdt,
        0x190: struct.pack("<BBHHHQ", 16, 0, _PIECE // SECTOR, 0, 0x1000, _PIECES_LBA),
        0x1A0: struct.pack("<BBHHHQ", 16, 0, _SETUP_SECTORS, 0, 0x9000, _SETUP_LBA),
        0x1B0: struct.pack("<HHB", len(body) // _PIECE, len(archive) // _PIECE, 0),
    }
    head = _sector(_LOADER_CODE, data).ljust(_SETUP_LBA * SECTOR, b"\0") + bytes(setup)
    return head.ljust(_PIECES_LBA * SECTOR, b"\0") + body + archive


def _pieces(data: bytes) -> bytes:
    return data.ljust(-(-len(data) // _PIECE) * _PIECE, b"\0")


def _descriptor(base: int) -> bytes:
    return struct.pack("<HHBBBB", 0xFFFF, base & 0xFFFF, base >> 16 & 0xFF, 0x93, 0, base >> 24)


# The programme of the Linux guest. It reads its disk (the sums of the first sector, and of what was where the marker goes) and writes them into
# the marker.
_INIT = """#!/bin/busybox sh
export PATH=/bin
busybox mount -t proc proc /proc
busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t sysfs sys /sys
for module in $(cat /modules/order); do insmod /modules/$module; done
waited=0
while [ ! -b /dev/vda ] && [ $waited -lt 100 ]; do usleep 100000; waited=$((waited + 1)); done
uuid=$(tr -d '\\n-' < /sys/class/dmi/id/product_uuid | tr a-f A-F)
sum() { dd if=/dev/vda bs=512 skip=$1 count=1 2>/dev/null | md5sum | cut -d' ' -f1; }
printf 'cephstack-guest %s linux %s read %s found %s\\n' "$uuid" "$(uname -r)" "$(sum 0)" "$(sum 1)" > /marker
dd if=/marker of=/dev/vda bs=512 seek=1 conv=sync,notrunc,fsync 2>/dev/null
cat /marker
sync
poweroff -f
"""


def load_order(there: t.Mapping[str, bytes], wanted: t.Iterable[str]) -> dict[str, bytes]:
    """Return the kernel modules to load, by file name, each after those it needs. One that is not there is built into the kernel."""
    order: dict[str, bytes] = {}

    def add(name: str) -> None:
        if name not in there or f"{name}.ko" in order:
            return
        data = there[name]
        data = lzma.decompress(data) if data.startswith(b"\xfd7zXZ") else data
        needs = re.search(rb"\0depends=([^\0]*)\0", data)
        for need in needs[1].decode().split(",") if needs else ():
            add(need.replace("-", "_"))
        order[f"{name}.ko"] = data

    for name in wanted:
        add(name)
    return order


def initramfs(busybox: bytes, modules: t.Mapping[str, bytes], init: str = _INIT) -> bytes:
    """Return a compressed initramfs that writes the marker. modules: kernel modules by file name, in the order to load them. init: its programme."""
    files: list[tuple[str, int, bytes]] = [(name, 0o040755, b"") for name in ("bin", "dev", "modules", "proc", "sys")]
    files += [("bin/busybox", 0o100755, busybox), ("init", 0o100755, init.encode())]
    files += [("modules/order", 0o100644, "\n".join(modules).encode() + b"\n")]
    files += [(f"modules/{name}", 0o100644, data) for name, data in modules.items()]
    return gzip.compress(cpio(files), 6, mtime=0)


def cpio(files: t.Iterable[tuple[str, int, bytes]]) -> bytes:
    """Return an archive of the format newc, of root's and of no age (the kernel's Documentation/driver-api/early-userspace/buffer-format.rst)."""
    out = bytearray()
    for number, (name, mode, data) in enumerate([*files, ("TRAILER!!!", 0, b"")], 1):
        encoded = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        out += bytes(-len(out) % 4)
        out += data
        out += bytes(-len(out) % 4)
    return bytes(out)
