# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Zones that were made to try things, and are taken away again."""

from __future__ import annotations

import concurrent.futures
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import client


def delete_zone(server: client.Client, name: str) -> None:
    """Delete a zone with all that is in it."""
    zone = next((row for row in server.rows("listZones") if row["name"] == name), None)
    if zone is None:
        return
    server.call("updateZone", id=zone["id"], allocationstate="Disabled")
    for pool in server.rows("listStoragePools", zoneid=zone["id"]):
        if pool["state"] != "Maintenance":
            server.job("enableStorageMaintenance", id=pool["id"])
        server.call("deleteStoragePool", id=pool["id"], forced=True)
    hosts = server.rows("listHosts", zoneid=zone["id"], type="Routing", details="min")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda host: server.call("deleteHost", id=host["id"], forced=True), hosts))
    for store in server.rows("listImageStores", zoneid=zone["id"]):
        server.call("deleteImageStore", id=store["id"])
    for store in server.rows("listSecondaryStagingStores", zoneid=zone["id"]):
        server.call("deleteSecondaryStagingStore", id=store["id"])
    for listing, delete in (("listClusters", "deleteCluster"), ("listVlanIpRanges", "deleteVlanIpRange")):
        for row in server.rows(listing, zoneid=zone["id"]):
            server.call(delete, id=row["id"])
    for network in server.rows("listNetworks", zoneid=zone["id"], listall=True):
        server.job("deleteNetwork", id=network["id"])
    for pod in server.rows("listPods", zoneid=zone["id"]):
        server.call("deletePod", id=pod["id"])
    for network in server.rows("listPhysicalNetworks", zoneid=zone["id"]):
        for traffic in server.rows("listTrafficTypes", physicalnetworkid=network["id"]):
            server.job("deleteTrafficType", id=traffic["id"])
        server.job("deletePhysicalNetwork", id=network["id"])
    server.call("deleteZone", id=zone["id"])
