# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module says about itself."""

from __future__ import annotations


class ModuleDocFragment:
    # A module fills in the support of check_mode, diff_mode and idempotent itself.
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Says what it would do, from what is there, and changes nothing.
  diff_mode:
    description: Returns what is and what would be of each object that differs. Secrets are hidden on both sides.
  idempotent:
    description: When run twice in a row, with nothing changed in between, the second run changes nothing.
  platform:
    description: The target's operating system.
    support: full
    platforms: linux
"""

    # For modules that only read.
    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Reads only, so check mode makes no difference.
    support: full
  diff_mode:
    description: Reads only, so there is nothing to compare.
    support: N/A
  idempotent:
    description: Reads only, so it never changes anything.
    support: full
"""

    # The action group of meta/runtime.yml that a module is in, which is one.
    ACTIONGROUP_CEPH = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/cephstack.cloud.ceph) in C(module_defaults) to set defaults for all modules that connect to a Ceph cluster.
    support: full
    membership:
      - cephstack.cloud.ceph
"""

    ACTIONGROUP_CLOUDSTACK = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/cephstack.cloud.cloudstack) in C(module_defaults) to set defaults for all modules that connect to CloudStack's API.
    support: full
    membership:
      - cephstack.cloud.cloudstack
"""

    ACTIONGROUP_OPENSTACK = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/cephstack.cloud.openstack) in C(module_defaults) to set defaults for all modules that talk to OpenStack's APIs.
    support: full
    membership:
      - cephstack.cloud.openstack
"""

    ACTIONGROUP_XENAPI = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/cephstack.cloud.xenapi) in C(module_defaults) to set defaults for all modules that connect to a pool by XenAPI.
    support: full
    membership:
      - cephstack.cloud.xenapi
"""

    ACTIONGROUP_HOST = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/cephstack.cloud.host) in C(module_defaults) to set defaults for all modules that work on a host itself.
    support: full
    membership:
      - cephstack.cloud.host
"""
