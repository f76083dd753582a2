# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: cloudstack_api
short_description: Where this run has found CloudStack's API
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Says what M(cephstack.cloud.cloudstack_keys) has learned in this run, without the keys.
options:
  _terms:
    description: The inventory groups of the management servers.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show the address of the API
  ansible.builtin.debug:
    msg: "{{ lookup('cephstack.cloud.cloudstack_api', 'cloudstack_management') }}"
"""

RETURN = r"""
_raw:
  description: For each group the address of the API, empty where it was not asked for the keys yet.
  type: list
  elements: str
"""

import typing as t

from ansible.plugins.lookup import LookupBase

from ansible_collections.cephstack.cloud.plugins.plugin_utils import _access


class LookupModule(LookupBase):
    """See DOCUMENTATION."""

    def run(self, terms: list[str], variables: t.Any = None, **options: t.Any) -> list[str]:
        """Return one address for each group; see RETURN."""
        self.set_options(var_options=variables, direct=options)
        known = _access.CLOUDSTACK.recall()
        return [known.get(group, {}).get("url", "") for group in terms]
