# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue against real APIs: made, made again, drifted by the plain SDK, told of in check mode, set right."""

from __future__ import annotations

import copy
import typing as t

import pytest
from conftest import PREFIX, Failed, differences, ids

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKqJ0v7gB6r3s2l8w1f5s6p7d8e9f0a1b2c3d4e5f6a7"
Run = t.Callable[..., dict[str, t.Any]]
Hand = t.Callable[[str], str]


@pytest.fixture
def whole(name: t.Callable[[str], str]) -> dict[str, t.Any]:
    """One of everything that a single host's OpenStack has."""
    team, anna = name("team"), name("anna")
    quotas = {"compute": {"cores": 7}, "volume": {"gigabytes": 50, f"gigabytes_{name('fast')}": 5}, "network": {"port": 9}}
    subnets = [
        {"name": name("v4"), "cidr": "10.99.0.0/24", "pools": ["10.99.0.10-10.99.0.20"], "dns": ["10.99.0.2"], "routes": {"10.98.0.0/16": "10.99.0.3"}},
        {"name": name("closed"), "cidr": "10.99.1.0/24", "gateway": "", "dhcp": False},
    ]
    rules = [{"protocol": "tcp", "ports": "22"}, {"protocol": "icmp"}, {"protocol": "tcp", "ports": "80-81", "remote": "10.0.0.0/8"}]
    rules.append({"remote_group": name("web")})
    return {
        "projects": [{"name": team, "description": "A team", "quotas": quotas}],
        "roles": [{"name": name("auditor")}],
        "users": [{"name": anna, "password": "by-the-test", "roles": [{"role": "member", "project": team}, {"role": name("auditor"), "system": True}]}],
        "services": [{"type": name("service"), "name": name("service"), "endpoints": [{"url": "http://192.0.2.1:1/", "region": "RegionOfTests"}]}],
        "flavors": [
            {"name": name("small"), "vcpus": 1, "ram": 64, "extra_specs": {"hw:cpu_policy": "shared"}},
            {"name": name("own"), "vcpus": 1, "ram": 64, "public": False, "projects": [team]},
        ],
        "qos": [{"name": name("slow"), "specs": {"total_iops_sec": 500}}],
        "volume_types": [{"name": name("fast"), "backend": "none", "qos": name("slow"), "public": False, "projects": [team]}],
        "networks": [{"name": name("guests"), "type": "local", "subnets": subnets}, {"name": name("guests"), "project": team, "type": "local"}],
        "security_groups": [{"name": name("web"), "rules": rules}, {"name": name("web"), "project": team}],
        "keypairs": [{"name": name("laptop"), "public_key": f"{KEY} a comment"}, {"name": name("laptop"), "user": anna, "public_key": KEY}],
    }


def test_everything(run: Run, by_hand: Hand, whole: dict[str, t.Any], name: t.Callable[[str], str]) -> None:
    planned = run(check=True, **whole)
    assert by_hand("print([p.name for p in cloud.identity.projects() if p.name.startswith(PREFIX)])") == "[]"
    made = run(**whole)
    assert ids(made) == ids(planned) and len(ids(made)) > 20
    again = run(**whole)
    assert again["changes"] == [] and not again["changed"]
    # Lists, the limits of one project, the attempt of one password, and who sees what is not public.
    assert again["api_calls"] <= 24
    by_hand("""
project = cloud.identity.find_project(PREFIX + "team")
cloud.compute.delete_flavor(cloud.compute.find_flavor(PREFIX + "small"))
cloud.compute.put(f"/os-quota-sets/{project.id}", json={"quota_set": {"cores": 3}})
cloud.identity.update_user(cloud.identity.find_user(PREFIX + "anna"), password="drifted-away")
cloud.network.update_subnet(cloud.network.find_subnet(PREFIX + "v4"), dns_nameservers=[])
(group,) = cloud.network.security_groups(name=PREFIX + "web", project_id=cloud.current_project_id)
cloud.network.delete_security_group_rule(next(rule["id"] for rule in group.security_group_rules if rule["protocol"] == "icmp"))
cloud.network.create_security_group_rule(security_group_id=group.id, direction="ingress", protocol="udp", ethertype="IPv4")
(kind,) = [kind for kind in cloud.block_storage.types(is_public="None") if kind.name == PREFIX + "fast"]
cloud.block_storage.post(f"/types/{kind.id}/extra_specs", json={"extra_specs": {"volume_backend_name": "other"}})
(service,) = [one for one in cloud.identity.services() if one.name == PREFIX + "service"]
endpoint = next(one for one in cloud.identity.endpoints(service_id=service.id) if one.interface == "internal")
cloud.identity.update_endpoint(endpoint, url="http://192.0.2.9:9/")
role = cloud.identity.find_role("member")
cloud.identity.unassign_project_role_from_user(project, cloud.identity.find_user(PREFIX + "anna"), role)
""")
    found = run(check=True, **whole)
    team, anna = name("team"), name("anna")
    assert ids(found) == {
        f"flavor/{name('small')}", f"quota/{team}/compute", f"user/{anna}", f"subnet/{name('guests')}/{name('v4')}", f"security_group/{name('web')}",
        f"volume_type/{name('fast')}", f"endpoint/{name('service')}/RegionOfTests/internal", f"grant/{anna}/{team}/member",
    }  # fmt: skip
    assert differences(found)[f"quota/{team}/compute"] == ({"cores": 3}, {"cores": 7})
    assert "by-the-test" not in str(found)
    assert ids(run(**whole)) == ids(found)
    assert run(**whole)["changes"] == []


def test_what_cannot_be_changed_is_made_anew_if_that_is_allowed(run: Run, by_hand: Hand, whole: dict[str, t.Any], name: t.Callable[[str], str]) -> None:
    run(**whole)
    other = copy.deepcopy(whole)
    other["flavors"][0]["ram"] = 128
    other["networks"][0]["subnets"][1]["cidr"] = "10.99.2.0/24"
    small, closed = f"flavor/{name('small')}", f"subnet/{name('guests')}/{name('closed')}"
    with pytest.raises(Failed) as error:
        run(**other)
    assert all(f"allow_loss: {id_}" in str(error.value) for id_ in (small, closed))
    assert by_hand("print(cloud.compute.find_flavor(PREFIX + 'small').ram)") == "64"
    assert ids(run(**other, allow_loss=[small, closed])) == {small, closed}
    assert run(**other)["changes"] == []
    assert by_hand("print(cloud.compute.find_flavor(PREFIX + 'small', get_extra_specs=True).extra_specs)") == "{'hw:cpu_policy': 'shared'}"
    run(**whole, allow_loss=[small, closed])


def test_every_mistake_is_told_before_anything_is_made(run: Run, whole: dict[str, t.Any], by_hand: Hand, name: t.Callable[[str], str]) -> None:
    run(**whole)
    wrong = copy.deepcopy(whole)
    wrong["flavors"].append({"name": name("new"), "vcpus": 1, "ram": 64})
    wrong["projects"][0]["quotas"]["compute"]["cors"] = 1
    wrong["volume_types"][0]["projects"] = [name("nobody")]
    with pytest.raises(Failed) as error:
        run(**wrong)
    assert "cors: it knows cores" in str(error.value) and f"there is no project {name('nobody')}" in str(error.value)
    assert by_hand("print(cloud.compute.find_flavor(PREFIX + 'new'))") == "None"


def test_two_of_a_name_are_listed(run: Run, by_hand: Hand, name: t.Callable[[str], str]) -> None:
    made = by_hand("for _ in (1, 2): print(cloud.network.create_network(name=PREFIX + 'twice', provider_network_type='local').id)").split()
    with pytest.raises(Failed, match="there are 2 networks of the name") as error:
        run(networks=[{"name": name("twice")}])
    assert all(id_ in str(error.value) for id_ in made)
    by_hand(f"cloud.network.delete_network('{made[0]}')")
    assert run(networks=[{"name": name("twice")}])["changes"] == []


def test_what_is_to_go(run: Run, whole: dict[str, t.Any]) -> None:
    run(**whole)
    gone = {kind: [{key: item[key] for key in ("name", "type", "project", "user") if key in item and (key != "type" or kind == "services")} for item in items]
            for kind, items in whole.items() if kind != "projects"}  # fmt: skip
    gone = {kind: [{**item, "state": "absent"} for item in items] for kind, items in gone.items()}
    with pytest.raises(Failed, match="refused, nothing was changed") as error:
        run(**gone)
    allowed = [text.rpartition(" ")[2] for text in error.value.result["refused"]]
    assert any(id_.startswith("user/") for id_ in allowed) and not any(id_.startswith("flavor/") for id_ in allowed)
    run(**gone, allow_loss=allowed)
    assert run(**gone)["changes"] == []


def test_an_error_is_no_absence(run: Run, shell: Hand, whole: dict[str, t.Any]) -> None:
    """A Keystone that does not answer is told, in check mode too; only where there is no file yet everything is new."""
    shell("install -m 0600 /etc/openstack/clouds.yaml /root/test-clouds.yaml; sed -i 's/:5000/:5009/' /root/test-clouds.yaml")
    try:
        with pytest.raises(Failed, match="Keystone did not let in the user of the cloud cephstack"):
            run(check=True, config="/root/test-clouds.yaml", **whole)
        shell("install -m 0600 /etc/openstack/clouds.yaml /root/test-clouds.yaml; sed -i 's/\\( password:\\).*/\\1 wrong/' /root/test-clouds.yaml")
        with pytest.raises(Failed, match="HTTP 401"):
            run(check=True, config="/root/test-clouds.yaml", **whole)
    finally:
        shell("rm /root/test-clouds.yaml")
    assert len(run(check=True, config="/nonesuch/clouds.yaml", **whole)["changes"]) > 20
    with pytest.raises(Failed, match="make the controller first"):
        run(config="/nonesuch/clouds.yaml", **whole)


DISK = 'python3 -c \'d = bytearray(8 << 20); d[510:512] = b"\\x55\\xaa"; d[1 << 20 : (1 << 20) + 4] = b"%s"; open("%s", "wb").write(d)\''


def test_images_of_files(run: Run, by_hand: Hand, shell: Hand, name: t.Callable[[str], str]) -> None:
    folder = f"/root/{PREFIX}images"
    shell(f"mkdir -p {folder}; cd {folder}; {DISK % ('mark', 'a.raw')}; qemu-img convert -O qcow2 a.raw a.qcow2; echo '<html>' > b.raw")
    images = [
        {"name": name("raw"), "file": f"{folder}/a.raw", "properties": {"hw_disk_bus": "virtio"}},
        {"name": name("qcow2"), "file": f"{folder}/a.qcow2", "visibility": "private"},
    ]
    try:
        run(images=images)
        assert run(images=images)["changes"] == []
        # Raw in Glance, whatever the file was, with the file's own content: so that guests' disks can be clones.
        read = "import hashlib; print(hashlib.sha512(open('%s/a.raw', 'rb').read()).hexdigest() == cloud.image.find_image(PREFIX + '%s').hash_value)"
        assert [by_hand(read % (folder, one)) for one in ("raw", "qcow2")] == ["True", "True"]
        assert by_hand("print({i.disk_format for i in cloud.image.images() if i.name.startswith(PREFIX)})") == "{'raw'}"
        by_hand("cloud.image.update_image(cloud.image.find_image(PREFIX + 'raw'), visibility='private', hw_disk_bus='scsi')")
        assert ids(run(check=True, images=images)) == {f"image/{name('raw')}"}
        run(images=images)
        # An upload that was cut off leaves an image without data.
        by_hand("cloud.image.delete_image(cloud.image.find_image(PREFIX + 'raw')); cloud.image.post('/images', json={'name': PREFIX + 'raw'})")
        assert differences(run(images=images)) == {f"image/{name('raw')}": ({"status": "queued"}, {"status": "active"})}
        shell(f"touch {folder}/a.raw")
        assert run(images=images)["changes"] == []
        shell(f"cd {folder}; {DISK % ('next', 'a.raw')}")
        with pytest.raises(Failed, match=f"allow_loss: image/{name('raw')}"):
            run(images=images)
        run(images=images, allow_loss=[f"image/{name('raw')}"])
        assert run(images=images)["changes"] == []
        with pytest.raises(Failed, match="is no disk image"):
            run(images=[{"name": name("bad"), "file": f"{folder}/b.raw"}, *images])
    finally:
        shell(f"rm -r {folder}")


def test_an_image_in_rbd_is_registered_without_a_copy(run: Run, by_hand: Hand, shell: Hand, name: t.Callable[[str], str]) -> None:
    golden = name("golden")
    shell(f"cd /root; {DISK % ('mark', 'golden.raw')}; rbd --id glance import --no-progress golden.raw images/{golden}; rm golden.raw")
    shell(f"rbd --id glance snap create --no-progress images/{golden}@snap; rbd --id glance snap protect images/{golden}@snap")
    images = [{"name": name("registered"), "rbd": {"pool": "images", "image": golden, "snapshot": "snap"}}]
    run(images=images)
    assert run(images=images)["changes"] == []
    found = by_hand("i = cloud.image.find_image(PREFIX + 'registered'); print(i.status, i.size, i.direct_url)").split()
    assert found[:2] == ["active", str(8 << 20)] and found[2].endswith(f"/images/{golden}/snap")
    assert by_hand("print(cloud.image.find_image(PREFIX + 'registered').id)") not in shell("rbd --id glance ls images")
    run(images=[{"name": name("registered"), "state": "absent"}], allow_loss=[f"image/{name('registered')}"])
    assert golden not in shell("rbd --id glance ls images")
