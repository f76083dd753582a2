#!/usr/bin/python
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: apt_packages
short_description: Debian packages, and the repository or the files that they come from
version_added: 0.1.0
author: The cephstack.cloud authors (@cephstack)
description:
  - Installs packages, without those that they only recommend. What is installed is not upgraded.
  - Adds the repository that they come out of, with its key and the preference of its packages, and has apt read it.
  - It is tried first, in a folder of its own beside everything that the host has. One that apt can't read, or that is signed by another key,
    is refused before anything is changed, as apt would then read no sources at all.
  - Where packages are missing and apt's lists are older than a day, they are read anew.
  - With O(files) it installs packages out of files on the host instead, all at once, with what they depend on. One that is installed in the file's version is
    left alone, and one of another version, older or newer, is replaced.
extends_documentation_fragment:
  - cephstack.cloud.attributes
  - cephstack.cloud.attributes.actiongroup_host
attributes:
  check_mode:
    support: full
    details: All packages that would be installed are among the changes with their versions, also those of a repository that is not there yet.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  name:
    description: The name of the repository's files, C(/etc/apt/sources.list.d/NAME.sources) and C(/etc/apt/preferences.d/NAME.pref). Needed with O(repository).
    type: str
  repository:
    description: The repository. One of the flat kind, whose packages lie in one folder, has a O(repository.suite) that ends with a slash, and no
      O(repository.components).
    type: dict
    suboptions:
      url:
        description: Its address.
        type: str
        required: true
      suite:
        description: Its suite.
        type: str
        required: true
      components:
        description: Its components.
        type: list
        elements: str
        default: []
      key:
        description: The key that signs it, as armored text, or an address that the host fetches it from.
        type: str
        required: true
      pin:
        description: The priority of its preferred packages.
        type: int
        default: 1001
  prefer:
    description: Names and patterns of the packages that are taken out of it rather than out of another.
    type: list
    elements: str
    default: []
  packages:
    description: The packages that are to be installed.
    type: list
    elements: str
    default: []
  splits:
    description:
      - Which of the packages are there in some releases only, because they were a part of another one before.
      - What is installed of that one decides, else what apt would install, and not which distribution the host has.
    type: list
    elements: dict
    default: []
    suboptions:
      package:
        description: The package.
        type: str
        required: true
      of:
        description: Which one it was a part of.
        type: str
        required: true
      release:
        description: The first number of the version in which it is a package of its own.
        type: int
        required: true
  upgrade:
    description: Whether packages that O(prefer) names, and that are installed, are brought to the version that apt would install, those that O(packages) does
      not name too.
    type: bool
    default: false
  start:
    description: "Whether a package that is installed may start or restart services by itself. The SSH server's does in any case: some of its versions accept no
      new connection any more until it has restarted."
    type: bool
    default: true
  prefix:
    description: What the options are called where the user wrote them, for messages.
    type: str
    default: repository
  files:
    description: Packages as files on the host, named C(NAME_VERSION_ARCH.deb) as packages are, in the place of O(packages) and O(repository). One need not be
      there in check mode, nor when its version is installed.
    type: list
    elements: path
    default: []
  mysql_connector:
    description:
      - The file C(mysql_connector_python-VERSION-py2.py3-none-any.whl) from PyPI, MySQL's connector for Python, which CloudStack depends on and Debian does not
        have. It goes with O(files).
      - A package is made of it and installed, unless a package with the connector is installed. Without this, nothing is done about it.
    type: path
"""

EXAMPLES = r"""
- name: Packages of a flat repository
  cephstack.cloud.apt_packages:
    name: ceph
    repository:
      url: https://mirror.example.org/ceph-18.2
      suite: /
      key: "{{ lookup('ansible.builtin.file', 'files/ceph-release.asc') }}"
    prefer: ["ceph*"]
    packages: [ceph-osd, ceph-volume]
    splits:
      - {package: ceph-volume, of: ceph-osd, release: 17}

- name: Packages of those that the host has
  cephstack.cloud.apt_packages:
    packages: [nfs-common, rpcbind]

- name: CloudStack's management server out of files
  cephstack.cloud.apt_packages:
    files:
      - /var/cache/cephstack/cloudstack-common_4.22.0.0_all.deb
      - /var/cache/cephstack/cloudstack-management_4.22.0.0_all.deb
    mysql_connector: /var/cache/cephstack/mysql_connector_python-9.1.0-py2.py3-none-any.whl
    start: false # it needs its databases first
"""

RETURN = r"""
packages:
  description: The packages without those that are still a part of another one.
  type: list
  elements: str
  returned: success
versions:
  description: Of each of the packages that exists, the version that is C(installed) and the C(candidate) that would be installed, empty for none.
  type: dict
  returned: success
changes:
  description: The changes, in the order of their stages.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url

from ansible_collections.cephstack.cloud.plugins.module_utils import _apt, _deb_files
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, run_module
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments

FIELDS = {**_apt.OPTIONS, **_deb_files.OPTIONS}


def main() -> None:
    module = AnsibleModule(
        argument_spec=arguments(FIELDS),
        supports_check_mode=True,
        required_by={"repository": ["name"]},
    )
    params = module.params
    try:
        if params["files"] or params["mysql_connector"]:
            provider = _deb_files.provider(params)
        else:
            provider = _apt.provider(params, module.check_mode, lambda url: open_url(url, timeout=60).read())
        run_module(module, provider)
    except Invalid as error:
        module.fail_json(msg="; ".join(error.problems), problems=error.problems)


if __name__ == "__main__":
    main()
