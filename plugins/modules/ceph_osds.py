#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_osds
short_description: The OSDs of a host, all of them in one call
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Makes an OSD on each declared device that is empty, starts existing OSDs, and returns when all of them are up in the cluster.
  - What is on a device is read from the device itself, so that a run that changes nothing starts no C(ceph-volume) at all.
  - A device that holds anything is refused, with what it holds. It is wiped only if O(allow_loss) names it, and never while it is
    mounted or in use. All problems are reported together, before anything is touched.
  - A device that is gone or cannot be read is a warning if its OSD is known and down, and the rest goes on. If no OSD of this host was on it,
    that is an error.
  - OSDs that are on their devices alone, since the host's system disk was made anew, get all else that belongs to them.
  - An OSD that was moved in CRUSH, or taken out of it, is put back below its host. It is left where it is if C(osd_crush_update_on_start) is off, or
    C(crush_location) or its hook is set.
  - OSDs whose devices are no longer declared are left alone.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_ceph
  - cephstack.cloud.connection
  - cephstack.cloud.allow_loss
attributes:
  check_mode:
    support: full
    details: Works before Ceph is installed. Then it says that all OSDs would be made, if the devices allow it.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  devices:
    description: The devices of this host that carry OSDs.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: The device, by a stable name such as those of C(/dev/disk/by-id). A logical volume will do as well for the type V(lvm).
        type: path
        required: true
      type:
        description:
          - How the OSD lies on it. V(lvm) allows shared devices for O(devices[].db), and encryption.
          - V(raw) needs no device mapper.
        type: str
        choices: [lvm, raw]
        default: lvm
      db:
        description:
          - A faster device for the OSD's database. OSDs of the type V(lvm) that name the same one share it.
          - The volume of an OSD that the cluster no longer has, and whose data is gone from the host, is used again by the next one. So a disk can be replaced.
            If there is no room, nothing is touched.
          - A logical volume is used as it is, by one OSD.
        type: path
      db_size:
        description: How large the database is, such as V(60G). By default it gets one of O(devices[].db_slots) equal shares of its device.
        type: str
      db_slots:
        description:
          - Into how many equal shares the device of the database is divided. Declare as many as it is to serve in the end, so that there is room for the OSDs
            that come later. By default as many as name it now, and none is left.
          - All that name the same device have the same number.
        type: int
      wal:
        description: A faster device for the OSD's write-ahead log, if it is not that of the database.
        type: path
      wal_size:
        description: As O(devices[].db_size), for the write-ahead log.
        type: str
      wal_slots:
        description: As O(devices[].db_slots), for the device of the write-ahead log.
        type: int
      encrypted:
        description: Whether the OSD is encrypted with dm-crypt. The cluster keeps the key.
        type: bool
        default: false
      device_class:
        description: Its CRUSH device class, such as V(ssd). By default what Ceph finds. A change moves data.
        type: str
  memory_share:
    description:
      - The share of the host's memory that its OSDs may use together. Each gets an equal part as its C(osd_memory_target), at least 896 MiB.
      - Without it their memory is left as it is.
    type: float
  hostname:
    description: The host's name in CRUSH. The host's short name by default.
    type: str
  wait:
    description: How many seconds an OSD may take until it is up.
    type: int
    default: 300
  allow_loss:
    description:
      - The devices that may be wiped, for example V(device//dev/disk/by-id/wwn-0x5000c500a0b1c2d3).
      - A device that holds anything is refused until its id is listed here. The refusal names the id.
      - A disk loses its volume groups with all their volumes. A logical volume is only wiped, with its tags, and stays where it is.
      - What is in use, or a part of an OSD that the cluster has, is refused even then.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Two disks with their databases on one flash device, and room for those of four more
  cephstack.cloud.ceph_osds:
    devices:
      - path: /dev/disk/by-id/wwn-0x5000c500a0b1c2d3
        db: /dev/disk/by-id/nvme-eui.0025388b71b2a4f1
        db_slots: 6
      - path: /dev/disk/by-id/wwn-0x5000c500a0b1c2d4
        db: /dev/disk/by-id/nvme-eui.0025388b71b2a4f1
        db_slots: 6
    memory_share: 0.5
"""

RETURN = r"""
osds:
  description: The declared devices and their OSDs.
  type: list
  elements: dict
  returned: success
  contains:
    path:
      description: The device, as declared.
      type: str
    id:
      description: The OSD's number, also of one whose device is gone; null where there is none yet.
      type: int
    type:
      description: How it lies on the device.
      type: str
    up:
      description: Whether the cluster has it as up.
      type: bool
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CONNECTION, CommandFailed, Connection, nowhere, require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.osds import OPTIONS, provider
from ansible_collections.cephstack.cloud.plugins.module_utils._host.process import installed
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable, run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments

FIELDS = {"connection": CONNECTION, **OPTIONS}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    params = module.params
    try:
        if module.check_mode and (nowhere(params["connection"]) or not installed("ceph-volume")):
            run_module(module, provider(params, None, patient=False), allow_loss=params["allow_loss"])
        require_binding(module)
        with Connection(params["connection"]) as cluster:
            run_module(module, provider(params, cluster, patient=not module.check_mode), allow_loss=params["allow_loss"])
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)
    except (CommandFailed, Unreachable) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
