# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ceph in a host's libvirt: the secrets that hold cephx keys, and the RBD storage pools that use them. No volume is ever touched.

A guest that runs has its own connection to Ceph and its own copy of the key, so nothing here touches it. A storage pool that is defined anew goes on with its
old definition until it is started again; both are observed, and both are mended.

PRIVATE to the collection.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import re
import typing as t
import uuid as uuids

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.mon_addresses import Address, parse_mon_host, show_address
from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import SERVICES, client_of, kind_of, pools_of
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt import xml
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.connection import Host
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Plan, Secret, Unreachable, differing

# Bits of libvirt's API (virStoragePoolXMLFlags): the definition that the next start will use.
_INACTIVE = 1


class WantedSecret(t.NamedTuple):
    """entity: as Ceph writes it, client.x. key: as in a keyring; None where the secret is to be absent."""

    entity: str
    uuid: str
    usage: str
    key: t.Optional[Secret]


class WantedPool(t.NamedTuple):
    """name: libvirt's. definition: None where the pool is to be absent."""

    name: str
    definition: t.Optional[xml.RbdPool]
    autostart: bool = True


class Wanted(t.NamedTuple):
    secrets: t.Sequence[WantedSecret]
    pools: t.Sequence[WantedPool]


@dataclasses.dataclass(frozen=True)
class SecretNow:
    """A secret of the host. value is None where there is none, or where it is private and cannot be read."""

    definition: xml.CephSecret
    value: t.Optional[Secret]
    handle: t.Any


@dataclasses.dataclass(frozen=True)
class PoolNow:
    """A storage pool of the host. definition, live: None where it is not of type rbd, or not running."""

    name: str
    uuid: str
    active: bool
    autostart: bool
    definition: t.Optional[xml.RbdPool]
    live: t.Optional[xml.RbdPool]
    handle: t.Any

    def remove(self) -> None:
        if self.active:
            self.handle.destroy()
        self.handle.undefine()


class Observed(t.NamedTuple):
    """secrets by UUID, pools by name: all of the host."""

    secrets: t.Mapping[str, SecretNow]
    pools: t.Mapping[str, PoolNow]


def parse(
    fsid: str, mon_host: str, secrets: t.Sequence[t.Mapping[str, t.Any]], pools: t.Sequence[t.Mapping[str, t.Any]], may_lack_keys: bool = False
) -> Wanted:
    """Read a declaration. Raises Invalid with every problem found.
    may_lack_keys: in a dry run the cluster may not have made a key yet. It is then taken for one that differs from what is there."""
    try:
        uuids.UUID(fsid)
    except ValueError:
        raise Invalid([f"not the fsid of a cluster: {fsid}"]) from None
    problems: list[str] = []
    hosts: tuple[Address, ...] = ()
    try:
        hosts = parse_mon_host(mon_host)
        problems += [] if hosts else ["no monitor is named in mon_host"]
    except ValueError as error:
        problems.append(str(error))
    wanted_secrets = [_parse_secret(fsid, item, problems, may_lack_keys) for item in secrets]
    uuid_of = {secret.entity: secret.uuid for secret in wanted_secrets if secret.key is not None}
    wanted_pools = [_parse_pool(hosts, item, uuid_of, problems) for item in pools]
    for what, names in (("secret", [secret.entity for secret in wanted_secrets]), ("pool", [pool.name for pool in wanted_pools])):
        problems += [f"{what} {name} is declared {names.count(name)} times" for name in sorted(set(names)) if names.count(name) > 1]
    if problems:
        raise Invalid(problems)
    return Wanted(wanted_secrets, wanted_pools)


def of_consumers(consumers: t.Sequence[t.Mapping[str, t.Any]], keys: t.Mapping[str, str]) -> tuple[list[dict[str, t.Any]], list[dict[str, t.Any]]]:
    """Return the secrets and pools (as parse takes them) that consumers need: a secret a client, a pool for each they may write but of OpenStack's services.
    A libvirt pool has the name of Ceph's. Where two clients share one, the second's is called POOL-CONSUMER. libvirt has no pools of namespaces."""
    secrets: dict[str, dict[str, t.Any]] = {}
    pools: dict[str, dict[str, t.Any]] = {}
    for consumer in consumers:
        client = client_of(consumer)
        secrets[client] = {"client": client, "key": keys.get(client)}
        for pool in (pool["name"] for pool in pools_of(consumer) if pool["access"] == "rw" and not pool["namespace"] and kind_of(consumer) not in SERVICES):
            name = f"{pool}-{consumer['name']}" if pool in pools and pools[pool]["client"] != client else pool
            pools[name] = {"name": name, "pool": pool, "client": client}
    return list(secrets.values()), list(pools.values())


def _parse_secret(fsid: str, item: t.Mapping[str, t.Any], problems: list[str], may_lack_key: bool) -> WantedSecret:
    entity, key, absent, uuid = item["client"], item.get("key"), item.get("state") == "absent", item.get("uuid")
    ours = xml.secret_of(fsid, entity)
    if not re.fullmatch(r"client\.[^\s,:/]+", entity):
        problems.append(f"secret {entity}: not the name of a cephx client (client.NAME)")
    if not absent and not key and not may_lack_key:
        problems.append(f"secret {entity}: no key was given")
    try:
        key = base64.b64encode(base64.b64decode((key or "").strip(), validate=True)).decode()  # as it is read back
    except (binascii.Error, ValueError):
        problems.append(f"secret {entity}: its key is not one of Ceph's (base64)")
    try:
        uuid = str(uuids.UUID(uuid)) if uuid else ours.uuid
    except ValueError:
        problems.append(f"secret {entity}: not a UUID: {uuid}")
    return WantedSecret(entity, uuid or "", ours.usage, None if absent else Secret(key or ""))


def _parse_pool(hosts: tuple[Address, ...], item: t.Mapping[str, t.Any], uuid_of: t.Mapping[str, str], problems: list[str]) -> WantedPool:
    name, entity = item["name"], item.get("client") or ""
    if not name or "/" in name or name in (".", ".."):
        problems.append(f"pool {name!r}: not a name that libvirt takes")
    if item.get("state") == "absent":
        return WantedPool(name, None)
    if entity not in uuid_of:
        problems.append(f"pool {name}: there is no secret for its client {entity}" if entity else f"pool {name}: its client is missing")
    definition = xml.RbdPool(name, item.get("pool") or name, hosts, entity[len("client.") :], uuid_of.get(entity, ""))
    return WantedPool(name, definition, item.get("autostart", True))


@dataclasses.dataclass
class Provider:
    """Brings the secrets and pools of one host to what was declared. host is None where libvirt is yet to be installed."""

    host: t.Optional[Host]
    wanted: Wanted

    def observe(self) -> Observed:
        if self.host is None:
            return Observed({}, {})
        try:
            secrets = [self._read_secret(self.host, handle) for handle in self.host.api.listAllSecrets()]
            pools = [_read_pool(handle) for handle in self.host.api.listAllStoragePools()]
        except self.host.lib.libvirtError as error:
            raise Unreachable(f"libvirt at {self.host.uri}: {error}") from error
        return Observed({secret.definition.uuid: secret for secret in secrets}, {pool.name: pool for pool in pools})

    def _read_secret(self, host: Host, handle: t.Any) -> SecretNow:
        definition = xml.read_secret(handle.XMLDesc(0))
        value = None
        # Only the values of our own are read, and nobody can read a private one.
        if not definition.private and definition.uuid in {secret.uuid for secret in self.wanted.secrets}:
            try:
                value = Secret(base64.b64encode(handle.value(0)).decode())
            except host.lib.libvirtError as error:
                if error.get_error_code() != host.lib.VIR_ERR_NO_SECRET:
                    raise
        return SecretNow(definition, value, handle)

    def plan(self, observed: Observed) -> Plan:
        """Compare. Raises Invalid where a name is taken by something else."""
        draft = Draft()
        for secret in self.wanted.secrets:
            self._plan_secret(secret, observed, draft)
        for pool in self.wanted.pools:
            self._plan_pool(pool, observed.pools.get(pool.name), draft)
        return draft.plan()

    def _plan_secret(self, wanted: WantedSecret, observed: Observed, draft: Draft) -> None:
        now, key = observed.secrets.get(wanted.uuid), wanted.key
        if key is None:
            if now is not None:
                users = [f"pool/{pool.name}" for pool in self.wanted.pools]
                draft.ensure("secret", wanted.entity, {"uuid": wanted.uuid}, None, now.handle.undefine, needs=users)
            return
        rivals = [uuid for uuid, other in observed.secrets.items() if other.definition.usage == wanted.usage and uuid != wanted.uuid]
        if now is not None and not now.definition.usage:
            draft.problem(f"secret {wanted.entity}: the UUID {wanted.uuid} is that of a secret of another kind")
        elif rivals:
            taken = f"this host already has one for it with the UUID {rivals[0]}, not {wanted.uuid}"
            draft.problem(f"secret {wanted.entity}: {taken}; remove it once no guest's definition names it")
        definition = xml.CephSecret(wanted.uuid, wanted.usage)
        before = {**dataclasses.asdict(now.definition), "key": now.value} if now else None

        def apply() -> None:
            handle: t.Any = now.handle if now else None
            if now is None or now.definition != definition:
                if now is not None and (now.definition.private or now.definition.usage != definition.usage):
                    handle.undefine()  # libvirt never makes a private secret readable again, nor renames one; who uses it names its UUID
                handle = self._api.secretDefineXML(xml.write_secret(definition), 0)
            handle.setValue(base64.b64decode(key.reveal()), 0)
            # The key is tried at once on the running pools that use it and are otherwise as declared.
            settled = {pool.name for pool in self.wanted.pools} - {change.name for change in draft.changes if change.kind == "pool"}
            for pool in observed.pools.values():
                if pool.name in settled and pool.active and pool.live and pool.live.secret == wanted.uuid:
                    pool.handle.refresh(0)

        draft.ensure("secret", wanted.entity, before, {**dataclasses.asdict(definition), "key": key}, apply)

    def _plan_pool(self, wanted: WantedPool, now: t.Optional[PoolNow], draft: Draft) -> None:
        name, definition, autostart = wanted
        if now is not None and now.definition is None:
            draft.problem(f"pool {name}: this host already has a storage pool of this name, and it is not of type rbd")
            return
        before = {**_shown(now.definition), "autostart": now.autostart, "active": now.active} if now and now.definition else None
        if definition is None:
            draft.ensure("pool", name, before, None, now.remove if now else None, reason="only libvirt's entry goes, no image is touched")
            return
        after: dict[str, t.Any] = {**_shown(definition), "autostart": autostart, "active": True}
        if now is not None and before == after and now.live is not None and now.live != definition:
            left, right = differing(_shown(now.live), _shown(definition))
            before, after = {"running with": left}, {"running with": right}
        needs = [f"secret/{secret.entity}" for secret in self.wanted.secrets if secret.uuid == definition.secret]

        def apply() -> None:
            handle: t.Any = now.handle if now else None
            if now is None or now.definition != definition:
                handle = self._api.storagePoolDefineXML(xml.write_pool(definition, now.uuid if now else None), 0)
            if bool(handle.autostart()) != autostart:
                handle.setAutostart(int(autostart))
            if now is None or not now.active or now.live != definition:
                if now is not None and now.active:
                    handle.destroy()  # libvirt's word for stop
                handle.create(0)

        draft.ensure("pool", name, before, after, apply, needs=needs, reason="guests that run keep their disks" if now else "")

    @property
    def _api(self) -> t.Any:
        if self.host is None:
            raise RuntimeError("there is no libvirt to change")
        return self.host.api

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        """Return the declared secrets (client, uuid) and pools (name, pool, active, autostart)."""
        pools = []
        for name, definition, _autostart in self.wanted.pools:
            if definition is not None:
                now = observed.pools.get(name)
                pools.append({"name": name, "pool": definition.source, "active": bool(now and now.active), "autostart": bool(now and now.autostart)})
        return {"secrets": [{"client": secret.entity, "uuid": secret.uuid} for secret in self.wanted.secrets if secret.key is not None], "pools": pools}


def _read_pool(handle: t.Any) -> PoolNow:
    active = bool(handle.isActive())
    definition, live = xml.read_pool(handle.XMLDesc(_INACTIVE)), xml.read_pool(handle.XMLDesc(0)) if active else None
    return PoolNow(handle.name(), handle.UUIDString(), active, bool(handle.autostart()), definition, live, handle)


def _shown(definition: xml.RbdPool) -> dict[str, t.Any]:
    hosts = [show_address(host) for host in definition.hosts]
    return {"pool": definition.source, "hosts": hosts, "client": "client." + definition.user, "secret": definition.secret}
