#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudstack_packages
short_description: CloudStack's packages out of files
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Installs packages of Debian and Ubuntu out of files on the host, all at once, with what they depend on. One that is installed in the
    file's version is left alone.
  - Makes a package of MySQL's connector for Python, which CloudStack depends on and Debian does not have.
  - No service is started.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_host
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  files:
    description: The files, named C(NAME_VERSION_ARCH.deb) as packages are. One need not be there in check mode, nor when its version is installed.
    type: list
    elements: path
    default: []
  connector:
    description:
      - The file C(mysql_connector_python-VERSION-py2.py3-none-any.whl) from PyPI.
      - A package is made of it and installed, unless a package with the connector is installed. Without this, nothing is done about it.
    type: path
"""

EXAMPLES = r"""
- name: The management server out of files
  cephstack.cloud.cloudstack_packages:
    files:
      - /var/cache/cephstack/cloudstack-common_4.22.0.0_all.deb
      - /var/cache/cephstack/cloudstack-management_4.22.0.0_all.deb
    connector: /var/cache/cephstack/mysql_connector_python-9.1.0-py2.py3-none-any.whl
"""

RETURN = r"""
installed:
  description: The versions that are installed, by package.
  type: dict
  returned: success
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack.packages import Provider, parse
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, field, filepath

FIELDS = {
    "files": field(
        "list",
        "The files, named C(NAME_VERSION_ARCH.deb) as packages are. One need not be there in check mode, nor when its version is installed.",
        elements="path",
        default=[],
    ),
    "connector": filepath(
        "The file C(mysql_connector_python-VERSION-py2.py3-none-any.whl) from PyPI.\n"
        "A package is made of it and installed, unless a package with the connector is installed. Without this, nothing is done about it."
    ),
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
    )
    try:
        run_module(module, Provider(parse(module.params["files"]), module.params["connector"]))
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)


if __name__ == "__main__":
    main()
