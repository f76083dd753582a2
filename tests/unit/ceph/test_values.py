# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What YAML and the servers make of a value, beside what test_cluster.py has of the cluster's own kinds."""

from __future__ import annotations

import datetime
import json
from unittest import mock

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import (
    buckets,
    images,
    keyring_files,
    librbd,
    mon_addresses,
    mons,
    rgw_site,
    users,
    values,
)
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid

# -- YAML


@pytest.mark.parametrize(
    ("value", "allowed", "text"),
    [
        (True, (), "true"),
        (False, (), "false"),
        (True, ("on", "off", "warn"), "on"),
        (False, ("no", "yes"), "no"),
        ("False", ("on", "off"), "off"),
        ("false", ("on", "off"), "false"),  # said as it is: it is for the one who checks to refuse it
        (3, (), "3"),
        (" a ", (), "a"),
        ("Zstd", ("zstd", "lz4"), "zstd"),
        (datetime.date(2012, 10, 17), (), "2012-10-17"),
        (datetime.datetime(2026, 11, 1, 12, 0, tzinfo=datetime.timezone.utc), (), "2026-11-01T12:00:00+00:00"),
    ],
)
def test_the_text_that_was_meant(value, allowed, text):
    assert values.word(value, allowed) == text


def test_numbers_that_yaml_wrote_with_a_point():
    assert (values.size(1e3), values.count(1e3), values.size("1.5G")) == (1000, 1000, 3 << 29)
    with pytest.raises(ValueError, match="whole number of bytes"):
        values.size(4.5)
    with pytest.raises(ValueError, match="whole number"):
        values.count(4.5)


def test_metadata_of_images_in_librbd_s_words():
    image = {"pool": "vms", "name": "a", "size": "1G", "metadata": {"conf_rbd_cache": False, "n": 5}}
    (wanted,) = images.parse([image])
    assert wanted.metadata == {"conf_rbd_cache": "false", "n": "5"}
    there = images.Observed(pools=frozenset({"vms"}), images={"vms/a": librbd.Image(size=1 << 30, metadata={"conf_rbd_cache": "false", "n": "5"})})
    assert not images.plan([wanted], there, None)


def test_tags_and_policies_of_buckets_in_s3_s_words():
    assert buckets.tidy_rule({"id": "a", "tags": {"keep": True, "n": 1}, "expiration_days": 1})["tags"] == {"keep": "true", "n": "1"}
    policy = {"Version": datetime.date(2012, 10, 17), "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "r"}]}
    assert json.loads(json.dumps(buckets.tidy_policy(policy)))["Version"] == "2012-10-17"


def test_a_mode_that_yaml_read_as_octal():
    key = "AQ" + "A" * 36 + "=="
    with pytest.raises(Invalid, match=r"keyrings\[0\]\.mode 416: YAML reads 0640 without quotes as another number"):
        keyring_files.parse([{"client": "client.a", "key": key, "mode": 0o640}])
    assert keyring_files.parse([{"client": "client.a", "key": key, "mode": "640"}])[0].mode == "0640"


# -- servers


def mon_problems(provider, there):
    draft = Draft()
    provider.note_problems(there, draft)
    return draft.problems


def test_a_monitor_s_address_in_another_spelling():
    there = mons.Observed(data=True, monmap={"a": mon_addresses.addresses_of({"public_addrs": {"addrvec": [{"type": "v2", "addr": "[fd00::1]:3300"}]}})})
    for address in ("fd00::1", "fd00::0:1", "FD00:0:0::1"):
        assert mon_problems(mons.Provider("a", address, "fd00::/64"), there) == []
        assert "belongs to mon.a" in mon_problems(mons.Provider("b", address), there)[0]
    assert mon_problems(mons.Provider("a", "fd00::2"), there)


def test_an_fsid_in_another_spelling():
    fsid = "a1518dee-9fad-4e9e-bd6d-34d8dac7efd1"
    there = mons.Observed(data=True, fsid=fsid, own_fsid=fsid, monmap={"a": frozenset({"10.0.0.1"})})
    for text in (fsid.upper(), fsid.replace("-", "")):
        assert mon_problems(mons.Provider("a", "10.0.0.1", fsid=text), there) == []
    assert values.fsid(fsid.upper()) == fsid
    assert values.fsid("no uuid") == "no uuid"


def user(**changed):
    nothing = {"enabled": False, "max_size": -1, "max_size_kb": 0, "max_objects": -1}
    found = {"user_id": "a", "display_name": "a", "email": "", "suspended": 0, "max_buckets": 1000, "caps": [], "user_quota": nothing, "bucket_quota": nothing}
    return {**found, "keys": [{"user": "a", "access_key": "A", "secret_key": "s"}], **changed}


@pytest.mark.parametrize(
    ("declared", "kept"),
    [
        ({"email": "Alice@Example.org"}, {"email": "alice@example.org"}),
        ({"max_buckets": -5}, {"max_buckets": -1}),
        ({"user_quota": {"enabled": True, "max_objects": -7}}, {"user_quota": {"enabled": True, "max_size": -1, "max_objects": -1}}),
        ({"bucket_quota": {"enabled": True, "max_size": "1000"}}, {"bucket_quota": {"enabled": True, "max_size": 1024, "max_objects": -1}}),
        ({"caps": {"users": "write, read", "buckets": "*"}}, {"caps": [{"type": "buckets", "perm": "*"}, {"type": "users", "perm": "*"}]}),
    ],
)
def test_what_the_gateways_keep_of_a_user_is_no_difference(declared, kept):
    wanted = rgw_site.parse({"endpoints": ["http://10.0.0.1"], "users": [{"uid": "a", **declared}]})
    own = user(user_id="cephstack-admin", caps=[{"type": kind, "perm": perm} for kind, perm in users.ADMIN_CAPS.items()])
    for record, expected in ((user(**kept), []), (user(), ["user/a"])):
        there = rgw_site.Observed(users={"a": record, "cephstack-admin": own}, uids=frozenset({"a", "cephstack-admin"}))
        assert [change.id for change in rgw_site.plan(wanted, there, mock.Mock()).changes] == expected


def test_moves_of_a_lifecycle_on_one_day_come_in_the_gateway_s_order():
    moves = [{"days": 3, "storage_class": "WARM"}, {"days": 3, "storage_class": "COLD"}]
    declared = buckets.tidy_rule({"id": "a", "transitions": moves})
    assert buckets.lifecycle_from_s3(buckets.lifecycle_to_s3([{**declared, "transitions": moves[::-1]}])) == [declared]


def test_a_policy_that_names_no_version_is_of_the_old_one_to_a_gateway():
    statement = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam:::user/a"}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/${aws:username}/*"}
    declared = buckets.tidy_policy({"Statement": [statement]})
    assert declared["Version"] == "2012-10-17"
    # by hand, without Version: its variables are no variables
    assert buckets.tidy_policy(json.dumps({"Statement": [statement]}).encode()) != declared
    assert buckets.tidy_policy(json.dumps(declared).encode()) == declared
