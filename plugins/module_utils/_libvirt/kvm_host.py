# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A KVM host as one: whether it can run guests at all, then libvirt's service, the secrets and storage pools in it, and the bridges.

One after the other: what is in libvirt can only be asked once it runs, over a connection that its restart would end. Bridges come last, as the timer that
takes them back waits for nobody.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import SERVICES, client_of, kind_of
from ansible_collections.cephstack.cloud.plugins.module_utils._host.files import read
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt import bridge, rbd, service
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.connection import Host
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.virtualisation import Verdict, probe
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Outcome, Plan, reconcile


@dataclasses.dataclass
class Judge:
    """Refuses a host that can only emulate. timeout: of the guest that is tried, in seconds; 0: none is. prefix: stands before an option's name."""

    timeout: float
    cloudstack: bool = False
    allow_emulation: bool = False
    prefix: str = ""

    def observe(self) -> tuple[Verdict, bool]:
        """Run a guest; none on a host that CloudStack has. Returns what came of it, and whether it has."""
        registered = self.cloudstack and service.is_registered(read(service.AGENT))
        if registered or not self.timeout:
            return Verdict("unknown", "no guest was tried" + registered * ": CloudStack has this host already"), registered
        return probe(self.timeout), registered

    def plan(self, observed: tuple[Verdict, bool]) -> Plan:
        """Plan nothing. Raises Invalid where the host is refused. CloudStack's hosts may never emulate."""
        verdict, _registered = observed
        if verdict.domain_type == "qemu" and (self.cloudstack or not self.allow_emulation):
            remedy = "" if self.cloudstack else f". To let it emulate them, which is many times slower, set {self.prefix}allow_emulation to true"
            raise Invalid([f"this host cannot run guests under KVM: {verdict.reason}{remedy}"])
        return Plan()

    def returned(self, observed: tuple[Verdict, bool]) -> dict[str, t.Any]:
        verdict, registered = observed
        return {"domain_type": verdict.domain_type, "reason": verdict.reason, "seconds": round(verdict.seconds, 3), "registered": registered}


class Wanted(t.NamedTuple):
    """What is declared of a host. service: None where libvirt is left as it is."""

    judge: Judge
    service: t.Optional[service.Wanted]
    rbd: rbd.Wanted
    bridges: tuple[bridge.Bridge, ...]

    @property
    def in_libvirt(self) -> bool:
        """Whether something in libvirt is declared."""
        return bool(self.rbd.secrets or self.rbd.pools)


def parse(params: t.Mapping[str, t.Any], check_mode: bool = False) -> Wanted:
    """Read a declaration. Raises Invalid with every problem found. check_mode: then keys may be missing."""
    problems: list[str] = []

    def part(read: t.Callable[[], t.Any], nothing: t.Any) -> t.Any:
        try:
            return read()
        except Invalid as error:
            problems.extend(error.problems)
            return nothing

    secrets, pools = (declared + made for declared, made in zip((params["secrets"], params["pools"]), rbd.of_consumers(params["consumers"], params["keys"])))
    # Not OpenStack's services: they use these clients themselves, as users who must not write to the folders of guests.
    others = {client_of(one) for one in params["consumers"] if kind_of(one) in SERVICES}
    clients = [secret["client"] for secret in secrets if secret.get("state") != "absent" and secret["client"] not in others]
    openstack = any(kind_of(one) == "nova" for one in params["consumers"])
    libvirt = {"clients": clients, "cloudstack": params["cloudstack"], "openstack": openstack, **(params["libvirt"] or {})}
    wanted = Wanted(
        Judge(params["guest_timeout"], params["cloudstack"], params["allow_emulation"], params["prefix"]),
        part(lambda: service.parse(libvirt), None) if params["libvirt"] else None,
        part(lambda: rbd.parse(params["fsid"] or "", params["mon_host"] or "", secrets, pools, check_mode), None) if secrets or pools else rbd.Wanted((), ()),
        part(lambda: bridge.parse(params["bridges"]), ()),
    )
    if problems:
        raise Invalid(problems)
    return wanted


def bring(wanted: Wanted, uri: str, revert_after: int, check_mode: bool = False, bare: bool = False) -> Outcome:
    """Bring a host to what was declared. bare: it has no libvirt that could be asked, in check mode."""

    def in_libvirt() -> Outcome:
        if bare:
            return reconcile(rbd.Provider(None, wanted.rbd), check_mode)
        with Host(uri) as host:
            return reconcile(rbd.Provider(host, wanted.rbd), check_mode)

    outcome, declared = reconcile(wanted.judge, check_mode), wanted.service
    if declared:
        outcome = outcome.then(lambda: reconcile(service.Provider(declared, check_mode), check_mode))
    if wanted.in_libvirt:
        outcome = outcome.then(in_libvirt)
    if wanted.bridges:
        outcome = outcome.then(lambda: reconcile(bridge.Provider(wanted.bridges, revert_after), check_mode))
    return outcome
