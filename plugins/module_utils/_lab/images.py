# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root trees and disk images, made once for a release and a list of packages, and kept.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import glob
import gzip
import os
import shlex
import shutil
import tempfile
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._host.files import write
from ansible_collections.cephstack.cloud.plugins.module_utils._lab import model, surroundings, system

# Of a virtual machine's root file system. Sparse: it takes what is in it.
ROOT_SIZE = 32 * model.GIB
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# Where packages that are files of this machine lie while an image is made.
_OWN = "/var/cache/lab-packages"
_SSHD = """AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/lab_authorized_keys
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
UseDNS no
"""
# Units that a throwaway host is better without: apt's own timers take its lock at any time; and all devices need not have been seen before the network,
# which is there from the initramfs on (under emulation that takes half of the boot). Whatever no one asks for is left out where it would be emulated.
_MASKED_ALWAYS = ("apt-daily.timer", "apt-daily-upgrade.timer")
_MASKED_VM = (
    *_MASKED_ALWAYS, "ifupdown-pre.service", "e2scrub_reap.service", "getty@tty1.service", "modprobe@drm.service", "modprobe@efi_pstore.service",
    "systemd-binfmt.service",
)  # fmt: skip
_MASKED = {"container": _MASKED_ALWAYS, "vm": _MASKED_VM, "xen": _MASKED_VM}
# What its package starts at boot, though it can do nothing until the host is set up: it would keep a processor busy until then.
_ENABLED_LATER = (
    "cinder-*.service", "cloudstack-agent.service", "glance-*.service", "keystone.service", "neutron-*.service", "nova-*.service", "placement-*.service",
)  # fmt: skip
_XEN_INITRAMFS_HOOK = """#!/bin/sh
[ "$1" = prereqs ] && exit 0
# The disk is there as soon as its driver is.
rm -f "${DESTDIR}"/scripts/init-top/udev "${DESTDIR}"/scripts/init-bottom/udev
"""

# What an initramfs needs to mount the root file system of a QEMU machine, and nothing else: it is unpacked under emulation.
_INITRAMFS_HOOK = """#!/bin/sh
[ "$1" = prereqs ] && exit 0
. /usr/share/initramfs-tools/hook-functions
copy_exec /bin/cp
force_load virtio_pci
force_load virtio_blk
force_load virtio_net
force_load ext4
"""
# The files of one host come in a second archive behind the initramfs (see vms.py); those in "once" only at its first boot.
_INITRAMFS_SCRIPT = """#!/bin/sh
[ "$1" = prereqs ] && exit 0
[ -d /lab ] || exit 0
if [ ! -e "${rootmnt}/etc/lab-host" ]; then
  cp -a /lab/once/. "${rootmnt}/"
  : > "${rootmnt}/etc/lab-host"
fi
cp -a /lab/always/. "${rootmnt}/"
"""
# What finds out about other machines than these: those with a screen, a TPM, partitions, a disk to sleep on.
_GENERATORS = ("debug", "getty", "gpt-auto", "hibernate-resume", "rc-local", "run", "ssh", "system-update", "tpm2")
# Throwaway hosts need no fsync after each unpacked file.
_UNSAFE = "/etc/dpkg/dpkg.cfg.d/lab"
# What is put into an image before its own packages, by its kinds.
_FILES = (
    ("container vm xen", "/etc/ssh/sshd_config.d/lab.conf", _SSHD, 0o644),
    # nspawn names the interface of a container host0; roles expect what a server has.
    (
        "container", "/etc/systemd/system/networking.service.d/lab.conf",
        "[Service]\nExecStartPre=-/bin/sh -c 'test -e /sys/class/net/eth0 || ip link set host0 name eth0'\n", 0o644,
    ),
    ("vm xen", "/etc/initramfs-tools/conf.d/lab", "MODULES=list\nCOMPRESS=zstd\nRESUME=none\n", 0o644),
    ("vm xen", "/etc/initramfs-tools/hooks/lab", _INITRAMFS_HOOK, 0o755),
    ("vm xen", "/etc/initramfs-tools/scripts/init-bottom/lab", _INITRAMFS_SCRIPT, 0o755),
    # The same names for disks as in a container: /dev/disk/by-id/lab-NAME (QEMU's serial is lab-NAME).
    (
        "vm xen", "/etc/udev/rules.d/99-lab.rules",
        'SUBSYSTEM=="block", ENV{DEVTYPE}=="disk", ENV{ID_SERIAL}=="lab-*", SYMLINK+="disk/by-id/$env{ID_SERIAL}"\n', 0o644,
    ),
    # They are run at every reload of systemd, which then takes twice the time under emulation. That for ssh asks the hypervisor, which takes four modules.
    *(("vm xen", f"/etc/systemd/system-generators/systemd-{name}-generator", "", 0o644) for name in _GENERATORS),
    ("xen", "/etc/initramfs-tools/hooks/lab-xen", _XEN_INITRAMFS_HOOK, 0o755),
    # Under Xen, emulation is several times slower still: there only what a server uses is looked for, no floppy, mouse, screen.
    (
        "xen", "/etc/systemd/system/systemd-udev-trigger.service.d/lab.conf",
        "[Service]\nExecStart=\n"
        "ExecStart=-udevadm trigger --type=all --action=add --subsystem-match=block --subsystem-match=net --subsystem-match=misc\n", 0o644,
    ),
)  # fmt: skip


def build(lab: model.Lab, host: model.Host, around: surroundings.Surroundings) -> None:
    """Make the image of a host, unless another run has just done so: it gets its name only when it was made to its end. Raises LabError."""
    with _made_whole(lab, host.image) as partial:
        if not partial:
            return
        tree = os.path.join(partial, "root")
        system.run(["cp", "--archive", "--reflink=auto", _base(lab, host.release, around), tree], timeout=600)
        for kinds, path, content, mode in _FILES:
            if host.image_kind in kinds.split():
                write(tree + path, content, mode)
        for unit in _MASKED[host.image_kind]:
            os.symlink("/dev/null", f"{tree}/etc/systemd/system/{unit}")
        _install(lab, host, tree)
        _clean(tree)
        if host.xen:
            # Unpacked: QEMU's loader of multiboot kernels reads nothing else.
            with gzip.open(_in_boot(tree, "xen-*.gz", "Xen"), "rb") as packed, open(os.path.join(partial, "xen"), "wb") as stream:
                shutil.copyfileobj(packed, stream)
        if host.kind == "vm":
            _to_disk(partial, tree)


@contextlib.contextmanager
def _made_whole(lab: model.Lab, name: str) -> t.Iterator[str]:
    """A folder in which an image is made, and which gets its name at the end; "" where it is there already."""
    whole, partial = lab.image(name), lab.image(name + ".partial")
    with system.alone_for(whole):
        if os.path.isdir(whole):
            yield ""
            return
        system.remove_tree(partial)
        os.makedirs(partial)
        os.chmod(partial, 0o755)
        yield partial
        os.rename(partial, whole)


def _base(lab: model.Lab, release: str, around: surroundings.Surroundings) -> str:
    """Return the tree that all images of a release begin with: half of their making is the same."""
    name = model.base_name(release)
    with _made_whole(lab, name) as partial:
        if partial:
            with tempfile.TemporaryDirectory(prefix="staging-", dir=lab.images) as staging:
                write(staging + _UNSAFE, "force-unsafe-io\n", 0o644)
                for number, certificate in enumerate(around.certificates):
                    write(f"{staging}/usr/local/share/ca-certificates/lab-{number}.crt", system.read(certificate), 0o644)
                _mmdebstrap(lab, release, around, os.path.join(partial, "root"), staging)
    return lab.image(name, "root")


def _mmdebstrap(lab: model.Lab, release: str, around: surroundings.Surroundings, tree: str, staging: str) -> None:
    kept = os.path.join(lab.cache, "apt", release)
    os.makedirs(kept, exist_ok=True)
    argv = [
        *("mmdebstrap", "--variant=minbase", "--mode=root", "--quiet", "--dpkgopt=force-unsafe-io", f"--include={','.join(model.BASE)}"),
        # Packages come and go by hard links: no copies, and the next image or host needs no download.
        f'--setup-hook=mkdir -p "$1/var/cache/apt/archives" && find "{kept}" -name "*.deb" -exec ln -f -t "$1/var/cache/apt/archives" {{}} +',
        f'--essential-hook=cp -R --no-preserve=ownership "{staging}/." "$1/"',
        *(f"--aptopt={line}" for line in around.apt),
        *([f"--keyring={_KEYRING}"] if os.path.exists(_KEYRING) else []),
        f'--customize-hook=find "$1/var/cache/apt/archives" -maxdepth 1 -name "*.deb" -exec ln -f -t "{kept}" {{}} +',
        '--customize-hook=find "$1/var/cache/apt/archives" -maxdepth 1 -name "*.deb" -delete',
        # The package lists stay: a host can install at once. The essential packages are kept as all others are.
        "--skip=essential/unlink,cleanup/apt/lists,download/empty",
        *(release, tree),
        *surroundings.sources(release, around),
    ]
    system.run(argv, timeout=1800, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "TMPDIR": lab.images, "LC_ALL": "C.UTF-8"})


def _install(lab: model.Lab, host: model.Host, tree: str) -> None:
    """Install an image's own packages into its tree, where nothing is started by them."""
    packages, own = model.image_packages(host.image_kind, host.packages), model.package_files(host.packages)
    if not packages and not own:
        return
    archives, kept = f"{tree}/var/cache/apt/archives", os.path.join(lab.cache, "apt", host.release)
    _link(kept, archives)
    for path in own:
        os.makedirs(tree + _OWN, exist_ok=True)
        shutil.copy(path, tree + _OWN)
    for path in ("/etc/hosts", "/etc/resolv.conf"):  # as this machine finds the archive
        write(tree + path, system.read(path), 0o644)
    policy = f"{tree}/usr/sbin/policy-rc.d"
    write(policy, "#!/bin/sh\nexit 101\n", 0o755)
    wanted = [*packages, *(f"{_OWN}/{os.path.basename(path)}" for path in own)]
    inside = f"apt-get --quiet update && apt-get --quiet --yes --no-install-recommends install {shlex.join(wanted)}"
    mounts = 'mount -t proc proc "$0/proc" && mount -t sysfs -o ro sysfs "$0/sys" && mount --bind /dev "$0/dev"'
    script = f'{mounts} && exec chroot "$0" sh -c "$1"'
    argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, tree, inside]
    # nothing of this machine's shell: its temporary folder is not in the tree
    system.run(argv, timeout=1800, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "HOME": "/root"})
    os.remove(policy)
    system.remove_tree(tree + _OWN)
    _link(archives, kept)


def _link(source: str, target: str) -> None:
    """Put the packages of one folder into another as well."""
    os.makedirs(target, exist_ok=True)
    for path in glob.glob(os.path.join(source, "*.deb")):
        with contextlib.suppress(FileExistsError, FileNotFoundError):
            os.link(path, os.path.join(target, os.path.basename(path)))


def _clean(tree: str) -> None:
    """Take out of a fresh tree what must differ from host to host, and what only the building needed."""
    patterns = ["etc/ssh/ssh_host_*", "etc/apt/apt.conf.d/99mmdebstrap", "etc/dpkg/dpkg.cfg.d/99mmdebstrap", "etc/hostname", "etc/hosts", "etc/resolv.conf"]
    patterns += ["var/cache/apt/archives/*.deb", *(f"etc/systemd/system/*.wants/{unit}" for unit in _ENABLED_LATER)]
    unneeded = [path for pattern in patterns for path in glob.glob(os.path.join(tree, pattern))]
    # AppArmor compiles each of its profiles at the first boot. Those of programs that may do anything are for desktops.
    profiles = [path for path in glob.glob(os.path.join(tree, "etc/apparmor.d/*")) if os.path.isfile(path)]
    for path in [*unneeded, *(path for path in profiles if "flags=(unconfined)" in system.read(path))]:
        os.remove(path)
    write(os.path.join(tree, "etc/machine-id"), "", 0o444)
    # Says that /etc and /var fit /usr: else systemd rebuilds caches at the first boot, which takes a minute under emulation.
    usr = os.stat(os.path.join(tree, "usr")).st_mtime + 2
    for path in (os.path.join(tree, "etc/.updated"), os.path.join(tree, "var/.updated")):
        write(path, "", 0o644)
        os.utime(path, (usr, usr))


def _in_boot(tree: str, pattern: str, what: str) -> str:
    found = sorted(glob.glob(os.path.join(tree, "boot", pattern)))
    if not found:
        raise system.LabError(f"the image has no /boot/{pattern}: no {what} was installed into it")
    return found[-1]


def _to_disk(partial: str, tree: str) -> None:
    """Turn a tree into a disk without mounting anything: mke2fs copies it in. The kernel is kept outside, for -kernel."""
    for pattern, target in (("vmlinuz-*", "vmlinuz"), ("initrd.img-*", "initrd")):
        shutil.copyfile(_in_boot(tree, pattern, "kernel"), os.path.join(partial, target))
    # No journal and no reserved blocks: the disk is as throwaway as the host.
    options = ["-q", "-t", "ext4", "-L", "lab-root", "-O", "^has_journal", "-m", "0", "-d", tree]
    system.run(["mke2fs", *options, os.path.join(partial, "disk.raw"), f"{ROOT_SIZE >> 10}k"], timeout=600)
    system.remove_tree(tree)


def share_packages(lab: model.Lab, release: str, name: str, back: bool = False) -> None:
    """Give a new container the packages that were downloaded before, as hard links; back: keep those that it has downloaded."""
    kept, own = os.path.join(lab.cache, "apt", release), lab.host(name, "upper/var/cache/apt/archives")
    _link(own, kept) if back else _link(kept, own)
