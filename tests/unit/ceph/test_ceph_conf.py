# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import ceph_conf


@pytest.mark.parametrize("name", ["mon_host", "mon host", "mon-host"])
def test_names_of_options(name):
    assert ceph_conf.conf_value(f"[global]\n\t{name} = a,b # note\n", "mon_host") == "a,b"
