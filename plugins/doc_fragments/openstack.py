# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a module reaches OpenStack's APIs (CONNECTION in plugins/module_utils/_openstack/client.py)."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  cloud:
    description: The name of the cloud in O(config), whose user is an administrator.
    type: str
    default: cephstack
  config:
    description: The file C(clouds.yaml) on the host that runs the module, with the address and the password.
    type: path
    default: /etc/openstack/clouds.yaml
"""
