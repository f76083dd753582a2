# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Primary, secondary and object storage.

CEPHSTACK_RGW  for a real server: a JSON file with url, and access_key and secret_key of a user with caps users=*;buckets=*, as admin, and of one
               without, as user. The server must reach that gateway. Without it, object stores are skipped there. The stand-in brings its own.
"""

from __future__ import annotations

import json
import typing as t

import pytest
from conftest import PREFIX, Failed, Files, differences, ids

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import bucket_probe, client, primary_storage

KEY = "AQD+hJxk/W1RGRAAA56oHGN6d+WPDLss2b05Cw=="
MON_HOST = "[v2:10.9.0.2:3300,v1:10.9.0.2:6789] [v2:10.9.0.1:3300,v1:10.9.0.1:6789]"
POOL, DATA = PREFIX + "volumes", PREFIX + "ec"
CEPH = {"mon_host": MON_HOST, "keys": {"client.cs": KEY}, "pools": [POOL, DATA]}
CONSUMERS = [{"name": "cs", "kind": "cloudstack", "pools": [{"name": POOL}, {"name": DATA}]}]


@pytest.fixture
def storage(run: t.Any, server: client.Client, zone: dict[str, t.Any]) -> t.Iterator[t.Callable[..., t.Any]]:
    """storage(check, allow_loss, mon_host, items, **changes): the module, for one pool of the zone's cluster, or for the given items."""
    item = {
        "name": "rbd",
        "zone": zone["name"],
        "scope": "cluster",
        "pod": "pod1",
        "cluster": "sim",
        "hypervisor": "simulator",
        "consumer": "cs",
        "pool": POOL,
        "data_pool": DATA,
        "tags": ["ssd", "ceph"],
    }

    def do(check: bool = False, allow_loss: t.Sequence[str] = (), mon_host: str = MON_HOST, items: t.Any = None, **changes: t.Any) -> t.Any:
        declared = [{**item, **one} for one in items or [changes]]
        result = run(check=check, allow_loss=allow_loss, ceph={**CEPH, "mon_host": mon_host}, consumers=CONSUMERS, primary_storage=declared)
        assert KEY not in json.dumps(result)
        assert KEY.replace("+", "-").replace("/", "_") not in json.dumps(result)
        return result

    yield do
    for row in server.rows("listStoragePools"):
        if row["zonename"] == zone["name"]:
            server.job("enableStorageMaintenance", id=row["id"])
            server.call("deleteStoragePool", id=row["id"])


def pool_row(server: client.Client, name: str = "rbd") -> dict[str, t.Any]:
    return next(row for row in server.rows("listStoragePools") if row["name"] == name and row["path"] == POOL)


def change(zone: dict[str, t.Any], name: str = "rbd") -> str:
    return f"primary_storage/{zone['name']}/{name}"


def test_a_pool_is_registered_once(storage: t.Any, server: client.Client, zone: dict[str, t.Any]) -> None:
    planned = storage(check=True)
    assert ids(planned) == {change(zone)}
    made = storage()
    after = differences(made)[change(zone)][1]
    assert after["monitors"] == ["10.9.0.1", "10.9.0.2"]
    assert after["key"] == "********"
    row = pool_row(server)
    assert row["id"] == after["uuid"] == made["primary_storage"][0]["uuid"] == primary_storage.pool_uuid("10.9.0.1,10.9.0.2", POOL)
    assert (row["ipaddress"], row["tags"], row["details"]) == ("10.9.0.1,10.9.0.2", "ceph,ssd", {primary_storage.DATA_POOL: DATA})
    assert not storage()["changed"]
    # The same cluster in other words
    assert not storage(mon_host="10.9.0.1:6789,10.9.0.2")["changed"]


def test_drift_is_mended(storage: t.Any, server: client.Client, zone: dict[str, t.Any]) -> None:
    with pytest.raises(Failed, match="none of them has the access groups gold"):
        storage(access_groups=["gold"])
    storage()
    storage(access_groups=["gold"])
    row = pool_row(server)
    server.call("updateStoragePool", id=row["id"], tags="other", enabled=False, **{f"details[0].{primary_storage.DATA_POOL}": "nothing"})
    server.job("configureStorageAccess", storageid=row["id"], storageaccessgroups="lead")
    wanted = (
        {"enabled": False, "tags": ["other"], "access_groups": ["lead"], "data_pool": "nothing"},
        {"enabled": True, "tags": ["ceph", "ssd"], "access_groups": ["gold"], "data_pool": DATA},
    )
    assert differences(storage(check=True, access_groups=["gold"])) == {change(zone): wanted}
    assert storage(access_groups=["gold"])["changed"]
    assert not storage(access_groups=["gold"])["changed"]
    # What is not declared is left alone; an empty list takes all away
    assert not storage(access_groups=None, tags=None, data_pool=None)["changed"]
    assert differences(storage(access_groups=[], tags=[])) == {
        change(zone): ({"tags": ["ceph", "ssd"], "access_groups": ["gold"]}, {"tags": [], "access_groups": []})
    }


def test_a_pool_of_ceph_is_never_registered_twice(storage: t.Any, server: client.Client, zone: dict[str, t.Any]) -> None:
    storage()
    with pytest.raises(Failed, match=r"registered as rbd .*Declare it by that name"):
        storage(name="again")
    row = pool_row(server)
    where = {"zoneid": row["zoneid"], "podid": row["podid"], "clusterid": row["clusterid"], "scope": "cluster"}
    server.call("createStoragePool", name="by-hand", url=f"rbd://cs:aaaa@10.9.0.2,10.9.0.1/{POOL}", **where)  # the server takes it
    with pytest.raises(Failed, match=r"registered as by-hand .* beside rbd"):
        storage()
    both = [{}, {"name": "by-hand", "state": "absent"}]
    with pytest.raises(Failed, match=rf"name it in allow_loss: {change(zone, 'by-hand')}"):
        storage(items=both)
    assert ids(storage(items=both, allow_loss=[change(zone, "by-hand")])) == {change(zone, "by-hand")}
    assert not storage(items=both)["changed"]


def test_a_pool_can_be_registered_under_another_name_in_one_run(storage: t.Any, zone: dict[str, t.Any]) -> None:
    storage()
    renamed = [{"name": "new"}, {"state": "absent"}]
    assert ids(storage(items=renamed, allow_loss=[change(zone)])) == {change(zone), change(zone, "new")}
    assert not storage(items=renamed)["changed"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pool": DATA, "data_pool": None}, f"registered with the Ceph pool {POOL}, and {DATA} is declared"),
        ({"scope": "zone", "pod": None, "cluster": None}, "changeStoragePoolScope"),
        ({"cluster": "none"}, "there is no cluster none"),
        ({"data_pool": "none"}, "may not use the data pool none.*Ceph has no pool none"),
        ({"mon_host": "10.9.0.1"}, "monitors that are not the cluster's: 10.9.0.2"),
        ({"mon_host": "10.8.0.1"}, "monitors that are not the cluster's: 10.9.0.1, 10.9.0.2"),
        ({"mon_host": "10.9.0.1:1,10.9.0.2:2"}, "one port for all monitors"),
    ],
    ids=["pool", "scope", "cluster", "data pool", "monitor", "monitors", "ports"],
)
def test_what_the_server_cannot_mend_is_refused(storage: t.Any, changes: dict[str, t.Any], said: str) -> None:
    storage()
    with pytest.raises(Failed, match=said):
        storage(**changes)


def test_a_new_monitor_is_no_error(storage: t.Any) -> None:
    storage()
    result = storage(mon_host="10.9.0.1,10.9.0.2,10.9.0.3")
    assert not result["changed"]
    assert "and not 10.9.0.3" in result["warnings"][0]


def test_stores_of_nfs(run: t.Any, server: client.Client, zone: dict[str, t.Any]) -> None:
    if any(row["providername"] != "NFS" for row in server.rows("listImageStores")):
        pytest.skip("the server has image stores of another provider")
    image = {"name": PREFIX + "nfs", "zone": zone["name"], "url": "nfs://10.9.0.9/secondary"}
    staging = {"zone": zone["name"], "url": "nfs://10.9.0.9/staging"}
    everything = {f"image_store/{image['name']}", f"staging_store/{zone['name']}/{staging['url']}"}
    assert ids(run(image_stores=[image], staging_stores=[staging])) == everything
    assert not run(image_stores=[image], staging_stores=[staging])["changed"]
    row = next(row for row in server.rows("listImageStores") if row["name"] == image["name"])
    server.call("updateImageStore", id=row["id"], readonly=True)
    assert not run(image_stores=[image])["changed"]
    mended = run(image_stores=[{**image, "readonly": False}])
    assert differences(mended) == {f"image_store/{image['name']}": ({"readonly": True}, {"readonly": False})}
    with pytest.raises(Failed, match=r"registered with nfs://10\.9\.0\.9/secondary"):
        run(image_stores=[{**image, "url": "nfs://10.9.0.9/other"}])
    with pytest.raises(Failed, match=f"registered as {image['name']} already"):
        run(image_stores=[{**image, "name": "another"}])
    s3 = {"name": "s3", "provider": "s3", "s3": {"endpoint": "127.0.0.1:1", "bucket": "b", "access_key": "a", "secret_key": "s"}}
    with pytest.raises(Failed, match="takes none of S3 beside them"):
        run(image_stores=[s3])
    gone = {"image_stores": [{**image, "state": "absent"}], "staging_stores": [{**staging, "state": "absent"}]}
    assert ids(run(allow_loss=sorted(everything), **gone)) == everything
    assert not run(**gone)["changed"]


@pytest.fixture
def rgw(files: Files) -> dict[str, t.Any]:
    if files.gateway is None:
        pytest.skip("CEPHSTACK_RGW names no file with the address and users of a gateway")
    return json.loads(files.gateway.read_text(encoding="utf-8"))


@pytest.fixture
def store(run: t.Any, rgw: dict[str, t.Any]) -> t.Iterator[dict[str, t.Any]]:
    """The declaration of an object store, which is gone at the end."""
    declared = {"name": PREFIX + "rgw", "url": rgw["url"], "size": 10, **rgw["admin"]}
    yield declared
    gone = {"object_stores": [{"name": declared["name"], "state": "absent"}], "buckets": [{"name": PREFIX + "bucket", "state": "absent"}]}
    run(allow_loss=[f"object_store/{declared['name']}", f"bucket/{PREFIX}bucket"], **gone)


def test_an_object_store_and_a_bucket(run: t.Any, server: client.Client, store: dict[str, t.Any]) -> None:
    bucket = {"name": PREFIX + "bucket", "object_store": store["name"], "quota": 2}
    everything = {"object_stores": [store], "buckets": [bucket]}
    names = {f"object_store/{store['name']}", f"bucket/{bucket['name']}"}
    assert ids(run(check=True, **everything)) == names
    made = run(**everything)
    assert ids(made) == names
    assert store["secret_key"] not in json.dumps(made)
    assert not run(**everything)["changed"]
    row = next(row for row in server.rows("listBuckets", listall=True) if row["name"] == bucket["name"])
    assert row["usersecretkey"].reveal() not in json.dumps(run(**everything))
    server.call("updateBucket", id=row["id"], quota=5, versioning=True)
    store_row = next(row for row in server.rows("listObjectStoragePools") if row["name"] == store["name"])
    server.call("updateObjectStoragePool", id=store_row["id"], size=77)
    drifted = {f"object_store/{store['name']}": ({"size": 77}, {"size": 10}), f"bucket/{bucket['name']}": ({"quota": 5}, {"quota": 2})}
    assert differences(run(check=True, **everything)) == drifted
    assert differences(run(**everything)) == drifted
    assert not run(**everything)["changed"]
    with pytest.raises(Failed, match=f"registered as {store['name']} already"):
        run(object_stores=[{**store, "name": "another"}])
    probes, problems = bucket_probe.probe_all(server, [store["name"]], None, True)
    assert not problems
    assert {"put", "get"} <= set(probes[0]["latency"])


def test_a_user_without_caps_is_refused(run: t.Any, rgw: dict[str, t.Any], server: client.Client) -> None:
    declared = {"name": PREFIX + "refused", "url": rgw["url"], **rgw["user"]}
    with pytest.raises(Failed, match=r"lacks admin caps .* it needs buckets=\*; users=\*"):
        run(object_stores=[declared])
    with pytest.raises(Failed, match="does not take the keys"):
        run(object_stores=[{**declared, "secret_key": "wrong"}])
    assert all(row["name"] != declared["name"] for row in server.rows("listObjectStoragePools"))
