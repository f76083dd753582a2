# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import values
from ansible_collections.cephstack.cloud.plugins.module_utils._lab import model
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid


def host(name, address, **more):
    declared = {"name": name, "address": address, "kind": "container", "release": "13", "packages": [], "disks": [], "memory": 2048, "cpus": 2, "xen": False}
    return {**declared, **more}


def lab(*hosts, **more):
    return model.parse({"name": "lab", "network": "10.77.0.0/24", "cache": "/c", "hosts": hosts, **more})


def problems(*hosts, **more):
    with pytest.raises(Invalid) as caught:
        lab(*hosts, **more)
    return caught.value.problems


@pytest.mark.parametrize(("text", "size"), [("512M", 512 << 20), ("10G", 10 << 30), ("1.5 GiB", 3 << 29), ("7", 7), ("2TB", 2 << 40)])
def test_sizes(text, size):
    assert values.size(text) == size


@pytest.mark.parametrize("text", ["4X", "", "G", "-1G", "1,5G"])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match="is not a size"):
        values.size(text)


@pytest.mark.parametrize("text", ["10G", "1.5G", "16M", "7"])
def test_sizes_are_shown_as_written(text):
    assert model.show_size(values.size(text)) == text


def test_a_lab():
    made = lab(host("a", "10.77.0.2", disks=[{"name": "osd0", "size": "1G"}], packages=["b", "a", "a"]))
    assert made.hosts[0].disks == (model.Disk("osd0", 1 << 30),)
    assert made.hosts[0].packages == ("a", "b")
    assert made.hosts[0].release == "trixie"
    assert made.gateway == "10.77.0.1"


def test_every_mistake_is_told_at_once():
    said = problems(
        host("Bad_", "10.77.0.2"),
        host("a", "10.78.0.3", release="11"),
        host("b", "10.77.0.1"),
        host("c", "10.77.0.2", disks=[{"name": "x", "size": "4X"}, {"name": "much-too-long-a-name", "size": "1M"}]),
        host("c", "nonsense", kind="vm", memory=100, cpus=0),
        name="Lab",
    )
    for part in [
        "lab's name 'Lab'",
        "'Bad_'",
        "'11' is not known",
        "10.78.0.3 is outside",
        "10.77.0.1 cannot be a host's",
        "10.77.0.2 is given to more than one host: Bad_, c",
        "'4X' is not a size",
        "much-too-long-a-name",
        "too small: 1M",
        "'nonsense' is not an IPv4",
        "at least 512 MiB",
        "at least one CPU",
        "the name c is given",
    ]:
        assert [line for line in said if part in line], part


@pytest.mark.parametrize("network", ["10.77.0.1/24", "fe80::/64", "10.0.0.0/8", "10.77.0.0/30", "x"])
def test_networks_that_will_not_do(network):
    assert len(problems(network=network)) == 1


def test_interface_names_fit_and_differ():
    names = [lab(name=name).bridge for name in ("lab", "a-lab-of-some-length", "a-lab-of-some-lengti")]
    assert names[0] == "br-lab"
    assert len(set(names)) == 3
    assert max(map(len, names)) <= 15
    assert len(lab().tap("a-host-with-a-long-name")) <= 15


def test_no_lab_is_the_prefix_of_another():
    assert not lab(name="lab-two").machine("a").startswith(lab().machine(""))


def test_images_are_shared_by_what_is_in_them():
    first, second = model.image_name("trixie", "vm", ["a", "b"]), model.image_name("trixie", "vm", ("b", "a", "a"))
    assert first == second
    others = {model.image_name(*what) for what in [("trixie", "vm", ["a"]), ("bookworm", "vm", ["a", "b"]), ("trixie", "container", ["a", "b"])]}
    assert len(others - {first}) == 3


def test_a_xen_host():
    plain, made = (lab(host("a", "10.77.0.2", kind="vm", memory=4096, xen=xen)).hosts[0] for xen in (False, True))
    assert made.image != plain.image
    assert made.record()["xen"] is True and "xen" not in plain.record()
    assert made.xen_share == 1024
    # the kernel that cannot be Xen's first domain is not the one of its image
    packages = model.image_packages(made.image_kind, made.packages)
    assert "linux-image-amd64" in packages and "linux-image-cloud-amd64" not in packages


def test_what_cannot_be_a_xen_host():
    said = problems(host("a", "10.77.0.2", xen=True), host("b", "10.77.0.3", kind="vm", release="12", memory=1024, xen=True), cache="/my cache")
    for part in ["a: Xen boots on a machine of its own", "b: a Xen host is made of Debian 13", "b: a Xen host with a guest needs at least 1536", "has a space"]:
        assert [line for line in said if part in line], part


def test_hardware_addresses_are_lasting_and_local():
    assert model.mac("lab.a") == model.mac("lab.a") != model.mac("lab.b")
    assert model.mac("lab.a").startswith("52:54:00:")


def test_a_package_may_be_a_file_of_this_machine(tmp_path):
    package = tmp_path / "own_1.0_all.deb"
    package.write_bytes(b"one")
    (made,) = lab(host("a", "10.77.0.2", packages=["b", str(package)])).hosts
    assert model.package_files(made.packages) == [str(package)]
    assert "b" in model.image_packages("container", made.packages)
    assert str(package) not in model.image_packages("container", made.packages)
    before = made.image
    package.write_bytes(b"another")
    assert made.image != before


def test_files_of_packages_must_be_there():
    said = problems(host("a", "10.77.0.2", packages=["own.deb", "/no/such/package.deb"]))
    assert len(said) == 2
    assert "there is no package /no/such/package.deb" in said[0]
    assert "write its whole path" in said[1]
