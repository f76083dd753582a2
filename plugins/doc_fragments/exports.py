# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of CephFS that gateways export (OPTIONS in plugins/module_utils/_ceph/exports.py)."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  exports:
    description: All folders that the gateway exports.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: The folder in the filesystem, such as V(/secondary). It is made if it does not exist.
        type: str
        required: true
      pseudo:
        description:
          - The path under which clients mount it, O(exports[].path) by default.
          - It may be neither V(/) nor within another one.
        type: str
      filesystem:
        description: The name of the filesystem.
        type: str
        required: true
      access:
        description: Whether clients may write, or only read.
        type: str
        choices: [rw, ro]
        default: rw
      squash:
        description:
          - Whose rights clients have. V(root_squash) makes their root nobody, V(all_squash) all their users.
          - CloudStack needs V(no_root_squash).
        type: str
        choices: [no_root_squash, root_squash, all_squash]
        default: root_squash
      clients:
        description: The addresses and networks that may mount it, in CIDR form. Nobody else can.
        type: list
        elements: str
        required: true
      state:
        description: V(absent) takes an export away from its clients. Its folder stays, with all that is in it.
        type: str
        choices: [present, absent]
        default: present
"""
