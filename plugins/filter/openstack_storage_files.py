# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._openstack import storage

DOCUMENTATION = r"""
name: openstack_storage_files
short_description: What OpenStack's services have to know of Ceph, as files
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Takes the consumers of kinds V(glance), V(cinder), V(cinder-backup) and V(nova) that a host uses, and returns files as
    P(cephstack.cloud.host_files#module) takes them. These are parts of the services' configuration, and what C(virsh) needs for the secrets of a host of
    Nova.
  - A part that no consumer needs is said to be absent.
positional: volumes, fsid, keys
options:
  _input:
    description: The consumers.
    type: list
    elements: dict
    required: true
  volumes:
    description: All consumers of kind V(cinder), whose secrets are needed on the hosts of Nova.
    type: list
    elements: dict
    required: true
  fsid:
    description: The fsid of the cluster.
    type: str
    required: true
  keys:
    description: The keys, by the full names of their clients.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Say what Nova has to know
  ansible.builtin.debug:
    msg: "{{ consumers | cephstack.cloud.openstack_storage_files([], '5b8a6a02-1c7e-4d36-a5b7-3a8b0f4b8a11', {}) }}"
"""

RETURN = r"""
_value:
  description: The files.
  type: list
  elements: dict
"""


def openstack_storage_files(
    consumers: t.Sequence[t.Mapping[str, t.Any]], volumes: t.Sequence[t.Mapping[str, t.Any]], fsid: str, keys: t.Mapping[str, str]
) -> list[dict[str, t.Any]]:
    """Return the files; see RETURN."""
    return storage.files(consumers, volumes, fsid, keys)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return them by name."""
        return {"openstack_storage_files": openstack_storage_files}
