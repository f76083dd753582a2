# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ceph in a host's libvirt: the secrets that hold cephx keys, and the RBD storage pools that use them.

A guest that runs has its own connection to Ceph and its own copy of the key, so nothing here touches it. A storage pool
that is defined anew goes on with its old definition until it is started again; both are observed, and both are mended.
No volume is ever touched.

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
from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import client_of, secret_uuid
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt import xml
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.connection import Host
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Plan, Secret, Unreachable, differing

# Bits of libvirt's API (virStoragePoolXMLFlags): the definition that the next start will use.
_INACTIVE = 1


@dataclasses.dataclass(frozen=True)
class WantedSecret:
    """entity: as Ceph writes it, client.x. key: as in a keyring; None where the secret is to be absent."""

    entity: str
    uuid: str
    usage: str
    key: t.Optional[Secret]
    absent: bool = False


@dataclasses.dataclass(frozen=True)
class WantedPool:
    """name: libvirt's. definition: None where the pool is to be absent."""

    name: str
    definition: t.Optional[xml.RbdPool]
    autostart: bool = True


@dataclasses.dataclass(frozen=True)
class SecretNow:
    """A secret of the host. value is None where there is none, or where it is private and cannot be read."""

    definition: xml.CephSecret
    value: t.Optional[Secret]
    handle: t.Any = dataclasses.field(default=None, compare=False, repr=False)


@dataclasses.dataclass(frozen=True)
class PoolNow:
    """A storage pool of the host. definition, live: None where it is not of type rbd, or not running."""

    name: str
    uuid: str
    active: bool
    autostart: bool
    definition: t.Optional[xml.RbdPool]
    live: t.Optional[xml.RbdPool]
    handle: t.Any = dataclasses.field(default=None, compare=False, repr=False)


@dataclasses.dataclass(frozen=True)
class Observed:
    """secrets by UUID, pools by name: all of the host."""

    secrets: t.Mapping[str, SecretNow]
    pools: t.Mapping[str, PoolNow]


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What was declared, each part once."""

    secrets: t.Tuple[WantedSecret, ...]
    pools: t.Tuple[WantedPool, ...]


def parse(
    fsid: str, mon_host: str, secrets: t.Sequence[t.Mapping[str, t.Any]], pools: t.Sequence[t.Mapping[str, t.Any]], may_lack_keys: bool = False
) -> Wanted:
    """Read a declaration. Raises Invalid with every problem found.

    may_lack_keys: in a dry run the cluster may not have made a key yet. It is then taken for one that differs from what is there.
    """
    problems: list[str] = []
    try:
        uuids.UUID(fsid)
    except ValueError:
        raise Invalid([f"not the fsid of a cluster: {fsid}"]) from None
    hosts: tuple[Address, ...] = ()
    try:
        hosts = parse_mon_host(mon_host)
        if not hosts:
            problems.append("no monitor is named in mon_host")
    except ValueError as error:
        problems.append(str(error))
    wanted_secrets = [_parse_secret(fsid, item, problems, may_lack_keys) for item in secrets]
    by_entity = {secret.entity: secret for secret in wanted_secrets if not secret.absent}
    wanted_pools = [_parse_pool(fsid, hosts, item, by_entity, problems) for item in pools]
    for what, names in (("secret", [secret.entity for secret in wanted_secrets]), ("pool", [pool.name for pool in wanted_pools])):
        problems.extend(f"{what} {name} is declared {names.count(name)} times" for name in sorted(set(names)) if names.count(name) > 1)
    if problems:
        raise Invalid(problems)
    return Wanted(tuple(wanted_secrets), tuple(wanted_pools))


def of_consumers(consumers: t.Sequence[t.Mapping[str, t.Any]], keys: t.Mapping[str, str]) -> tuple[list[dict[str, t.Any]], list[dict[str, t.Any]]]:
    """Return the secrets and pools (as parse takes them) that consumers need: a secret a client, a pool for each they may write.

    A libvirt pool has the name of Ceph's. Where two clients share one, the second's is called POOL-CONSUMER.
    """
    secrets: dict[str, dict[str, t.Any]] = {}
    pools: dict[str, dict[str, t.Any]] = {}
    for consumer in consumers:
        client = client_of(consumer)
        secrets.setdefault(client, {"client": client, "key": keys.get(client)})
        for pool in consumer.get("pools") or ():
            if pool.get("access", "rw") != "rw":
                continue
            name = pool["name"]
            if name in pools and pools[name]["client"] != client:
                name = f"{name}-{consumer['name']}"
            pools[name] = {"name": name, "pool": pool["name"], "client": client}
    return list(secrets.values()), list(pools.values())


def _parse_secret(fsid: str, item: t.Mapping[str, t.Any], problems: list[str], may_lack_key: bool) -> WantedSecret:
    entity, key, absent = item["client"], item.get("key"), item.get("state") == "absent"
    if not re.fullmatch(r"client\.[^\s,:/]+", entity):
        problems.append(f"secret {entity}: not the name of a cephx client (client.NAME)")
    if not absent and not key and not may_lack_key:
        problems.append(f"secret {entity}: no key was given")
    if key:
        try:
            key = base64.b64encode(base64.b64decode(key.strip(), validate=True)).decode()  # as it is read back
        except (binascii.Error, ValueError):
            problems.append(f"secret {entity}: its key is not one of Ceph's (base64)")
    uuid = item.get("uuid") or secret_uuid(fsid, entity)
    try:
        uuid = str(uuids.UUID(uuid))
    except ValueError:
        problems.append(f"secret {entity}: not a UUID: {uuid}")
    return WantedSecret(entity, uuid, f"{entity} of {fsid}", None if absent else Secret(key or ""), absent)


def _parse_pool(fsid: str, hosts: tuple[Address, ...], item: t.Mapping[str, t.Any], by_entity: t.Mapping[str, WantedSecret], problems: list[str]) -> WantedPool:
    name = item["name"]
    if not name or "/" in name or name in (".", ".."):
        problems.append(f"pool {name!r}: not a name that libvirt takes")
    if item.get("state") == "absent":
        return WantedPool(name, None)
    entity = item.get("client") or ""
    if not entity:
        problems.append(f"pool {name}: its client is missing")
    elif entity not in by_entity:
        problems.append(f"pool {name}: there is no secret for its client {entity}")
    secret = by_entity[entity].uuid if entity in by_entity else ""
    return WantedPool(name, xml.RbdPool(name, item.get("pool") or name, hosts, entity[len("client.") :], secret), item.get("autostart", True))


class Provider:
    """Brings the secrets and pools of one host to what was declared. host is None where libvirt is yet to be installed."""

    def __init__(self, host: t.Optional[Host], wanted: Wanted) -> None:
        self.host = host
        self.wanted = wanted

    def observe(self) -> Observed:
        """Read all secrets and pools of the host."""
        if self.host is None:
            return Observed({}, {})
        try:
            secrets = [self._observe_secret(secret) for secret in self.host.api.listAllSecrets()]
            pools = [self._observe_pool(pool) for pool in self.host.api.listAllStoragePools()]
        except self.host.lib.libvirtError as error:
            raise Unreachable(f"libvirt at {self.host.uri}: {error}") from error
        return Observed({secret.definition.uuid: secret for secret in secrets}, {pool.name: pool for pool in pools})

    def _observe_secret(self, handle: t.Any) -> SecretNow:
        definition = xml.read_secret(handle.XMLDesc(0))
        value = None
        # Only the values of our own are read, and nobody can read a private one.
        if not definition.private and definition.uuid in {secret.uuid for secret in self.wanted.secrets}:
            try:
                value = Secret(base64.b64encode(handle.value(0)).decode())
            except self.host.lib.libvirtError as error:
                if error.get_error_code() != self.host.lib.VIR_ERR_NO_SECRET:
                    raise
        return SecretNow(definition, value, handle)

    def _observe_pool(self, handle: t.Any) -> PoolNow:
        active = bool(handle.isActive())
        return PoolNow(
            name=handle.name(),
            uuid=handle.UUIDString(),
            active=active,
            autostart=bool(handle.autostart()),
            definition=xml.read_pool(handle.XMLDesc(_INACTIVE)),
            live=xml.read_pool(handle.XMLDesc(0)) if active else None,
            handle=handle,
        )

    def plan(self, observed: Observed) -> Plan:
        """Compare. Raises Invalid where a name is taken by something else."""
        draft = Draft()
        for secret in self.wanted.secrets:
            self._plan_secret(secret, observed, draft)
        for pool in self.wanted.pools:
            self._plan_pool(pool, observed, draft)
        return draft.plan()

    def _plan_secret(self, wanted: WantedSecret, observed: Observed, draft: Draft) -> None:
        now = observed.secrets.get(wanted.uuid)
        if wanted.absent:
            if now is not None:
                users = [f"pool/{pool.name}" for pool in self.wanted.pools]
                draft.ensure("secret", wanted.entity, {"uuid": wanted.uuid}, None, now.handle.undefine, needs=users)
            return
        if now is not None and not now.definition.usage:
            draft.problem(f"secret {wanted.entity}: the UUID {wanted.uuid} is that of a secret of another kind")
            return
        rival = next((other for other in observed.secrets.values() if other.definition.usage == wanted.usage and other.definition.uuid != wanted.uuid), None)
        if rival is not None:
            draft.problem(
                f"secret {wanted.entity}: this host already has one for it with the UUID {rival.definition.uuid}, not {wanted.uuid}; "
                f"remove it once no guest's definition names it"
            )
            return
        after = {"uuid": wanted.uuid, "usage": wanted.usage, "private": False, "ephemeral": False, "key": wanted.key}
        before = (
            None
            if now is None
            else {
                "uuid": wanted.uuid,
                "usage": now.definition.usage,
                "private": now.definition.private,
                "ephemeral": now.definition.ephemeral,
                "key": now.value,
            }
        )

        def apply() -> None:
            self._set_secret(wanted, now)
            # The key is tried at once on the running pools that use it and are otherwise as declared.
            settled = {pool.name for pool in self.wanted.pools} - {change.name for change in draft.changes if change.kind == "pool"}
            for pool in observed.pools.values():
                if pool.name in settled and pool.active and pool.live and pool.live.secret == wanted.uuid:
                    pool.handle.refresh(0)

        draft.ensure("secret", wanted.entity, before, after, apply)

    def _set_secret(self, wanted: WantedSecret, now: t.Optional[SecretNow]) -> None:
        definition = xml.CephSecret(wanted.uuid, wanted.usage)
        if now is None or now.definition != definition:
            if now is not None and (now.definition.private or now.definition.usage != definition.usage):
                now.handle.undefine()  # libvirt never makes a private secret readable again, nor renames one; who uses it names its UUID
            handle = self.host.api.secretDefineXML(xml.write_secret(definition), 0)
        else:
            handle = now.handle
        handle.setValue(base64.b64decode(wanted.key.reveal()), 0)

    def _plan_pool(self, wanted: WantedPool, observed: Observed, draft: Draft) -> None:
        now = observed.pools.get(wanted.name)
        if now is not None and now.definition is None:
            draft.problem(f"pool {wanted.name}: this host already has a storage pool of this name, and it is not of type rbd")
            return
        before = None if now is None else _shown(now)
        if wanted.definition is None:
            draft.ensure("pool", wanted.name, before, None, lambda: self._remove_pool(now), reason="only libvirt's entry goes, no image is touched")
            return
        after = {**_shown_definition(wanted.definition), "autostart": wanted.autostart, "active": True}
        if now is not None and before == after and now.live is not None and now.live != wanted.definition:
            left, right = differing(_shown_definition(now.live), _shown_definition(wanted.definition))
            before, after = {"running with": left}, {"running with": right}
        needs = [f"secret/{secret.entity}" for secret in self.wanted.secrets if secret.uuid == wanted.definition.secret]
        reason = "guests that run keep their disks" if now else ""
        draft.ensure("pool", wanted.name, before, after, lambda: self._set_pool(wanted, now), needs=needs, reason=reason)

    def _set_pool(self, wanted: WantedPool, now: t.Optional[PoolNow]) -> None:
        handle = None if now is None else now.handle
        if now is None or now.definition != wanted.definition:
            handle = self.host.api.storagePoolDefineXML(xml.write_pool(wanted.definition, now.uuid if now else None), 0)
        if bool(handle.autostart()) != wanted.autostart:
            handle.setAutostart(int(wanted.autostart))
        if now is not None and now.active:
            if now.live == wanted.definition:
                return
            handle.destroy()  # libvirt's word for stop
        handle.create(0)

    def _remove_pool(self, now: PoolNow) -> None:
        if now.active:
            now.handle.destroy()
        now.handle.undefine()

    def returned(self, observed: Observed) -> dict[str, t.Any]:
        """Return the declared secrets (client, uuid) and pools (name, pool, active, autostart)."""
        return {
            "secrets": [{"client": secret.entity, "uuid": secret.uuid} for secret in self.wanted.secrets if not secret.absent],
            "pools": [
                {"name": pool.name, "pool": pool.definition.source, "active": now is not None and now.active, "autostart": now is not None and now.autostart}
                for pool, now in ((pool, observed.pools.get(pool.name)) for pool in self.wanted.pools)
                if pool.definition is not None
            ],
        }


def _shown_definition(definition: xml.RbdPool) -> dict[str, t.Any]:
    hosts = [show_address(host) for host in definition.hosts]
    return {"pool": definition.source, "hosts": hosts, "client": "client." + definition.user, "secret": definition.secret}


def _shown(now: PoolNow) -> dict[str, t.Any]:
    return {**_shown_definition(now.definition), "autostart": now.autostart, "active": now.active}
