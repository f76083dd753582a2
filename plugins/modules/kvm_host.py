#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kvm_host
short_description: Make a KVM host whose guests keep their disks in Ceph
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Finds out first whether the host can run guests under KVM, and refuses one that can't before anything of it is changed, unless O(allow_emulation).
    It runs a guest of 512 bytes, which takes a fifth of a second on real hardware and enters the processor mode that every operating system needs. The mere
    presence of C(/dev/kvm) is not believed. Inside another virtual machine it may be there and carry no ordinary guest.
  - What is declared of the rest is done in this order, libvirt's service (O(libvirt)), the secrets and storage pools in it, and bridges. What is not declared
    is left alone.
  - libvirt's daemon is kept running, also when it is idle, and started at every boot, with storage pools that come back after each restart. It is restarted
    if it has not read its files as they are, whether they change now or were changed since it was started, as by a run that was cut off. Guests that run are
    not touched by that. In a container whose cgroups cannot be written, it is told to do without them.
  - Guests of the clients that are declared each get an admin socket and a log of their Ceph client, in C(/run/ceph-guests) and C(/var/log/ceph-guests).
    AppArmor is told to allow them. Without any client, what was written for them is removed. Sockets and logs are left.
  - Lines of others in C(ceph.conf), C(qemu.conf), C(libvirtd.conf) and C(libvirt.conf) are left alone.
  - Each of O(consumers) gives libvirt a secret of type C(ceph) for its client, and a storage pool of type C(rbd) for each pool that it may write as a
    whole. libvirt's storage pools know no namespaces. O(secrets) and O(pools) name others. Those of OpenStack's services give it secrets alone.
  - For a consumer of kind V(nova) the members of the group C(libvirt), of which Nova's user is one, may use libvirt, and nobody else but root. polkit is not
    asked.
  - A secret has the same UUID on every host, derived from the cluster's fsid and the client's name, so that guests can move. A key that changed is set anew
    and tried at once on the running pools that use it.
  - Pools are started and started at boot. A pool whose definition, monitors, key or state differs is set right without touching a volume, and without
    touching guests, which have their own connections.
  - An existing bridge is left alone, whatever it holds. One that isn't is made and gets the addresses of the interface that it holds, now and at every boot.
  - Only addresses, gateway, DNS and routes move. What makes the interface what it is stays with it (slaves and mode of a bond, a VLAN's device, hardware
    address, offloads), so it may be a bond or a VLAN. The bridge gets the interface's C(mtu), too. Options that are not known stay with the interface;
    commands that are not known stay where they run before it is up, and move where they run after.
  - A timer is set before that. It puts everything back unless the module is called a second time, which proves that the host can still
    be reached. What comes up wrong is put back at once.
  - The interface must be described in C(/etc/network/interfaces) or a file in C(/etc/network/interfaces.d). Where netplan, systemd-networkd or
    NetworkManager set up the network, the module says so and changes nothing.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_host
  - cephstack.cloud.consumers
attributes:
  check_mode:
    support: full
    details: On a host that has no libvirt yet it says that everything would be created.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details: The call after the one that made a bridge keeps it and so is a change.
requirements:
  - python3-libvirt, of the distribution's own Python (another interpreter hands over to it by itself), for secrets and storage pools
  - bridge-utils, for bridges
seealso:
  - module: cephstack.cloud.ceph_probe
  - module: cephstack.cloud.libvirt_guest_probe
options:
  allow_emulation:
    description: Whether a host that can't run guests under KVM may emulate them, which is many times slower.
    type: bool
    default: false
  guest_timeout:
    description:
      - Within how many seconds the guest that is tried must be through. Slower than this KVM is of no use.
      - With V(0) none is tried.
    type: float
    default: 2.5
  cloudstack:
    description:
      - Whether the host is for CloudStack, which never emulates. libvirt then listens itself, instead of systemd's sockets, so that guests can move between
        hosts.
      - Once CloudStack has the host, no guest is tried on it, and C(qemu.conf) and C(libvirtd.conf) are CloudStack's own. They are no longer written, and what
        it writes there is no reason for a restart.
    type: bool
    default: false
  libvirt:
    description: How libvirt's service is set up for guests on Ceph. Left as it is by default.
    type: dict
    suboptions:
      user:
        description: The user that QEMU runs as, who owns the folders of sockets and logs.
        type: str
        default: libvirt-qemu
      group:
        description: Its group.
        type: str
        default: kvm
      apparmor:
        description: The file from which AppArmor reads additions to the profiles of guests. Leave it out if there is no AppArmor.
        type: path
  uri:
    description: Which libvirt to speak to.
    type: str
    default: qemu:///system
  fsid:
    description: The fsid of the cluster. Required for secrets and storage pools.
    type: str
  mon_host:
    description:
      - The monitors of the running cluster, in any form of a C(mon_host) in a C(ceph.conf). Required for secrets and storage pools.
      - They are kept sorted. The usual ports are left out, so that the client may use either protocol.
    type: str
  keys:
    description: The keys of the clients of O(consumers), by client.
    type: dict
    default: {}
  secrets:
    description: The cephx clients whose keys this host holds.
    type: list
    elements: dict
    default: []
    suboptions:
      client:
        description: The full name of the cephx client, such as V(client.guests).
        type: str
        required: true
      key:
        description: Its key. It is given to libvirt through its API, and reaches no file and no command line.
        type: str
      uuid:
        description: Another UUID than the one that is made of the fsid and the client, for guests that already name one.
        type: str
      state:
        description: Whether the host holds it.
        type: str
        choices: [present, absent]
        default: present
  pools:
    description: The storage pools of libvirt.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The name of the pool in libvirt.
        type: str
        required: true
      pool:
        description: The name of the pool in Ceph, if it is a different one.
        type: str
      client:
        description: The cephx client that libvirt uses. It must be among O(secrets). Required for a pool that is present.
        type: str
      autostart:
        description: Whether the pool is started when the host boots.
        type: bool
        default: true
      state:
        description: Whether libvirt has the pool. V(absent) removes libvirt's entry only, never an image.
        type: str
        choices: [present, absent]
        default: present
  bridges:
    description: The bridges.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The name of the bridge, such as V(cloudbr0).
        type: str
        required: true
      interface:
        description: The interface that it holds and whose addresses it takes over. By default that of the default route.
        type: str
  revert_after:
    description: Within how many seconds the call that keeps a new bridge must come.
    type: int
    default: 90
  prefix:
    description: What stands before an option's name in messages, so that a role can name its own variables.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Refuse a host that can only emulate
  cephstack.cloud.kvm_host:

- name: Guests' disks on the pool vms
  cephstack.cloud.kvm_host:
    libvirt:
      apparmor: /etc/apparmor.d/abstractions/libvirt-qemu.d/cephstack
    fsid: 5b8a6a02-1c7e-4d36-a5b7-3a8b0f4b8a11
    mon_host: 10.77.0.11,10.77.0.12,10.77.0.13
    secrets:
      - client: client.guests
        key: "{{ guests_key }}"
    pools:
      - name: vms
        client: client.guests

- name: libvirt and a bridge as CloudStack wants them
  cephstack.cloud.kvm_host:
    cloudstack: true
    libvirt: {}
    bridges:
      - name: cloudbr0
  register: made

- name: Keep the bridge, now that the host was reached over it
  cephstack.cloud.kvm_host:
    cloudstack: true
    bridges:
      - name: cloudbr0
  when: made.bridges | rejectattr('kept') | length > 0
"""

RETURN = r"""
domain_type:
  description:
    - V(kvm) where a guest ran, V(qemu) where only emulation is left, in libvirt's words.
    - V(unknown) where there is no QEMU to try it with, and where it was not tried.
  type: str
  returned: success
reason:
  description: Why it is not V(kvm). Empty where it is.
  type: str
  returned: success
seconds:
  description: How long the guest took.
  type: float
  returned: success
registered:
  description: Whether CloudStack has this host already. Always V(false) without O(cloudstack).
  type: bool
  returned: success
cgroups:
  description: Whether libvirt can put guests into cgroups of their own, which it can't in some containers.
  type: bool
  returned: if O(libvirt) is declared
secrets:
  description: The secrets that were declared.
  type: list
  elements: dict
  returned: if any are declared, or storage pools
  contains:
    client:
      description: The cephx client.
      type: str
    uuid:
      description: The UUID to name in a guest's disk.
      type: str
pools:
  description: The storage pools that were declared, as they are.
  type: list
  elements: dict
  returned: if any are declared, or secrets
  contains:
    name:
      description: The name in libvirt.
      type: str
    pool:
      description: The name in Ceph.
      type: str
    active:
      description: Whether it runs.
      type: bool
    autostart:
      description: Whether it is started when the host boots.
      type: bool
bridges:
  description: The bridges that were declared, as they are.
  type: list
  elements: dict
  returned: if any are declared
  contains:
    name:
      description: The name of the bridge.
      type: str
    ports:
      description: The interfaces that it holds.
      type: list
      elements: str
    addresses:
      description: Its addresses.
      type: list
      elements: str
    kept:
      description: Whether no timer is there that would take it away.
      type: bool
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import binding_or_dry_run
from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import CONSUMERS
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.connection import URI_OPTION
from ansible_collections.cephstack.cloud.plugins.module_utils._libvirt.kvm_host import bring, parse
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, end_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import (
    PREFIX,
    arguments,
    boolean,
    filepath,
    integer,
    mapping,
    presence,
    real,
    record,
    records,
    string,
)

SECRET = {
    "client": string("The full name of the cephx client, such as V(client.guests).", required=True),
    "key": string("Its key. It is given to libvirt through its API, and reaches no file and no command line.", no_log=True),
    "uuid": string("Another UUID than the one that is made of the fsid and the client, for guests that already name one."),
    "state": presence("Whether the host holds it."),
}
POOL = {
    "name": string("The name of the pool in libvirt.", required=True),
    "pool": string("The name of the pool in Ceph, if it is a different one."),
    "client": string("The cephx client that libvirt uses. It must be among O(secrets). Required for a pool that is present."),
    "autostart": boolean("Whether the pool is started when the host boots.", default=True),
    "state": presence("Whether libvirt has the pool. V(absent) removes libvirt's entry only, never an image."),
}
BRIDGE = {
    "name": string("The name of the bridge, such as V(cloudbr0).", required=True),
    "interface": string("The interface that it holds and whose addresses it takes over. By default that of the default route."),
}
SERVICE = {
    "user": string("The user that QEMU runs as, who owns the folders of sockets and logs.", default="libvirt-qemu"),
    "group": string("Its group.", default="kvm"),
    "apparmor": filepath("The file from which AppArmor reads additions to the profiles of guests. Leave it out if there is no AppArmor."),
}


FIELDS = {
    "allow_emulation": boolean("Whether a host that can't run guests under KVM may emulate them, which is many times slower.", default=False),
    "guest_timeout": real(
        "Within how many seconds the guest that is tried must be through. Slower than this KVM is of no use.\nWith V(0) none is tried.", default=2.5
    ),
    "cloudstack": boolean(
        "Whether the host is for CloudStack, which never emulates. libvirt then listens itself, instead of systemd's sockets, so that guests can move "
        "between hosts.\n"
        "Once CloudStack has the host, no guest is tried on it, and C(qemu.conf) and C(libvirtd.conf) are CloudStack's own. They are no longer written, and "
        "what it writes there is no reason for a restart.",
        default=False,
    ),
    "libvirt": record("How libvirt's service is set up for guests on Ceph. Left as it is by default.", SERVICE),
    "uri": URI_OPTION,
    "fsid": string("The fsid of the cluster. Required for secrets and storage pools."),
    "mon_host": string(
        "The monitors of the running cluster, in any form of a C(mon_host) in a C(ceph.conf). Required for secrets and storage pools.\n"
        "They are kept sorted. The usual ports are left out, so that the client may use either protocol."
    ),
    "consumers": CONSUMERS,
    "keys": mapping("The keys of the clients of O(consumers), by client.", default={}, no_log=True),
    # no_log would hide the names of the clients in every later output; the keys within are hidden
    "secrets": records("The cephx clients whose keys this host holds.", SECRET, default=[], no_log=False),
    "pools": records("The storage pools of libvirt.", POOL, default=[]),
    "bridges": records("The bridges.", BRIDGE, default=[]),
    "revert_after": integer("Within how many seconds the call that keeps a new bridge must come.", default=90),
    "prefix": PREFIX,
}


def main() -> None:
    module = AnsibleModule(argument_spec=arguments(FIELDS), supports_check_mode=True)
    params = module.params
    try:
        wanted = parse(params, module.check_mode)
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    bare = wanted.in_libvirt and not binding_or_dry_run(module, "libvirt", "python3-libvirt")
    end_module(module, bring(wanted, params["uri"], params["revert_after"], module.check_mode, bare))


if __name__ == "__main__":
    main()
