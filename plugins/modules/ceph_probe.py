#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_probe
short_description: Prove that consumers of Ceph can do what they were promised, and nothing else
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Run it on the host of the consumers. For each it connects with the consumer's own key, found in its keyring file, and, in each pool that it may write,
    writes, reads back, snapshots, clones and removes an image (or writes, reads and removes an object), and measures how long that takes.
  - Then it proves that the consumer is refused what it must be, which is a write to a pool that it may only read, every access to every other pool of the
    cluster, to everything but its own namespace in a pool where it has one, and an administrator's commands to the monitors.
  - What it makes is named after the host, and is removed in any case.
  - It fails with every problem found, after all consumers were probed.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_ceph
  - cephstack.cloud.connection
  - cephstack.cloud.consumers
attributes:
  check_mode:
    support: full
    details: In check mode it writes nothing. It connects, reads, and proves the refusals that can be proven by reading.
  diff_mode:
    support: N/A
    details: It leaves nothing changed.
  idempotent:
    support: full
    details: It leaves nothing changed.
options:
  rounds:
    description: How many writes and reads of 4 KiB the median of the latency is taken of. At most 1000.
    type: int
    default: 20
  markers:
    description: Parts of images to read and give back, each as one of the O(consumers).
    type: list
    elements: dict
    default: []
    suboptions:
      client:
        description: The full name of the cephx client to read with. By default O(connection.client).
        type: str
      pool:
        description: The pool.
        type: str
        required: true
      image:
        description: The image.
        type: str
        required: true
      offset:
        description: Where to begin, in bytes.
        type: int
        default: 512
      length:
        description: How much to read, in bytes.
        type: int
        default: 512
requirements:
  - python3-rados and python3-rbd, of the distribution's own Python (another interpreter hands over to it by itself)
"""

EXAMPLES = r"""
- name: Prove what the guests' client can do from here
  cephstack.cloud.ceph_probe:
    consumers:
      - name: guests
        pools:
          - name: vms
          - name: images
            access: ro

- name: Read what a guest wrote
  cephstack.cloud.ceph_probe:
    markers:
      - client: client.guests
        pool: vms
        image: guest1
"""

RETURN = r"""
consumers:
  description: What was found out, for each client.
  type: list
  elements: dict
  returned: always
  contains:
    client:
      description: The cephx client.
      type: str
    pools:
      description: Its pools, with the median latency of each operation in milliseconds.
      type: list
      elements: dict
    refused:
      description: What was tried and refused, as it should be.
      type: list
      elements: str
    problems:
      description: What is not as promised.
      type: list
      elements: str
markers:
  description: What was read.
  type: list
  elements: dict
  returned: always
  contains:
    pool:
      description: The pool.
      type: str
    image:
      description: The image.
      type: str
    text:
      description: The printable beginning.
      type: str
    hex:
      description: All of it, as hex digits.
      type: str
problems:
  description: What is not as promised, of all consumers.
  type: list
  elements: str
  returned: always
"""

import dataclasses

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.connection import CONNECTION, require_binding
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.probe import plan_probes, probe_all, read_markers
from ansible_collections.cephstack.cloud.plugins.module_utils._consumers import CONSUMERS
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, integer, records, string

MARKER = {
    "client": string("The full name of the cephx client to read with. By default O(connection.client)."),
    "pool": string("The pool.", required=True),
    "image": string("The image.", required=True),
    "offset": integer("Where to begin, in bytes.", default=512),
    "length": integer("How much to read, in bytes.", default=512),
}


FIELDS = {
    "connection": CONNECTION,
    "consumers": CONSUMERS,
    "rounds": integer("How many writes and reads of 4 KiB the median of the latency is taken of. At most 1000.", default=20),
    "markers": records("Parts of images to read and give back, each as one of the O(consumers).", MARKER, default=[]),
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    params = module.params
    if not 1 <= params["rounds"] <= 1000:
        module.fail_json(msg=f"rounds must be between 1 and 1000, not {params['rounds']}")
    require_binding(module)
    require_binding(module, "rbd", "python3-rbd")
    probes = plan_probes(params["connection"], params["consumers"])
    reports = probe_all(probes, params["rounds"], write=not module.check_mode)
    markers, problems = read_markers(params["connection"], probes, params["markers"])
    problems = [problem for report in reports for problem in report.problems] + problems
    result = {"changed": False, "consumers": [dataclasses.asdict(report) for report in reports], "markers": markers, "problems": problems}
    if problems:
        module.fail_json(msg="; ".join(problems), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
