# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options in the text of a ceph.conf.

PRIVATE to the collection.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._host import config_files


def conf_value(text: t.Optional[str], option: str, section: str = "global") -> t.Optional[str]:
    """Return an option of a ceph.conf; spaces, dashes and underscores in its name are one, as for Ceph."""
    found = [line for here, line in config_files.sections(text or "") if here == section and conf_name(line) == conf_name(option)]
    return _value(found[-1]) if found else None


def edit_conf(text: t.Optional[str], settings: t.Mapping[str, t.Optional[str]]) -> str:
    """Return a ceph.conf whose [global] has the settings, None meaning not there. All else stays as it is, comments too."""
    wanted = {conf_name(name): value for name, value in settings.items()}
    return config_files.put_values(text or "", wanted, "{} = {}", conf_name, _value, "global")


def _value(line: str) -> str:
    return re.split(r"\s[#;]", line.partition("=")[2], maxsplit=1)[0].strip()


def conf_name(line: str) -> str:
    return re.sub(r"[\s_-]+", "_", line.partition("=")[0].strip())
