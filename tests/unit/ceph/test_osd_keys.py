# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import clients, keyring_files, osd_keys
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Secret

OLD, NEW = (Secret(clients.new_key(kind)) for kind in ("aes", "aes256k"))


def one(key, file, up=True):
    return osd_keys.One(key, keyring_files.File(True, file, "ceph", "ceph", "0600"), up)


@pytest.mark.parametrize(
    ("seen", "planned"),
    [
        (one(NEW, NEW), []),
        (one(OLD, OLD), ["key/osd.3"]),
        (one(NEW, OLD), ["key/osd.3"]),  # of a run that was ended after the cluster had the new one
    ],
)
def test_which_osds_get_a_key(seen, planned):
    made = osd_keys.Provider(None, "aes256k").plan({3: seen})
    assert [change.id for change in made.changes] == planned
    assert not any(key.reveal() in str(made.diff()) for key in (OLD, NEW))


def test_one_that_is_down_keeps_its_key():
    made = osd_keys.Provider(None, "aes256k").plan({3: one(OLD, OLD, up=False)})
    assert not made.changes and "osd.3 is down, so it keeps its key" in made.warnings[0]
