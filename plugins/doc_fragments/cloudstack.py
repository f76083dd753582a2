# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a module reaches a management server (CONNECTION_SPEC in plugins/module_utils/_cloudstack/client.py)."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  connection:
    description:
      - How to reach CloudStack's API, and as whom.
      - By default as M(cephstack.cloud.cloudstack_keys) has learned it in this run. The roles see to that.
    type: dict
    default: {}
    suboptions:
      url:
        description: The address of the API, such as V(http://mgmt1:8080/client/api).
        type: str
        required: true
      api_key:
        description: The API key of the user, a root admin.
        type: str
      api_secret:
        description: The secret key that belongs to it. It signs the calls and is never sent.
        type: str
      validate_certs:
        description: Whether the server's certificate must be trusted, where the address is C(https).
        type: bool
        default: true
      ca_path:
        description: A file on the host that runs the module, with the certificates of the authorities to be trusted. By default the host's own.
        type: path
      timeout:
        description: How many seconds one call may take. Adding a host takes minutes.
        type: int
        default: 900
      job_timeout:
        description: How many seconds a job of the server may take.
        type: int
        default: 1800
"""
