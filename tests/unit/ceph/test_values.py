# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What YAML and the servers make of a value, beside what test_cluster.py has of the cluster's own kinds."""

from __future__ import annotations

import datetime
import json

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import buckets, keyrings, rbd, values
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid

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
    (wanted,) = rbd.parse([image])
    assert wanted.metadata == {"conf_rbd_cache": "false", "n": "5"}
    there = rbd.Observed(pools=frozenset({"vms"}), images={"vms/a": rbd.Image(size=1 << 30, metadata={"conf_rbd_cache": "false", "n": "5"})})
    assert not rbd.plan([wanted], there, None)


def test_tags_and_policies_of_buckets_in_s3_s_words():
    assert buckets.tidy_rule({"id": "a", "tags": {"keep": True, "n": 1}, "expiration_days": 1})["tags"] == {"keep": "true", "n": "1"}
    policy = {"Version": datetime.date(2012, 10, 17), "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "r"}]}
    assert json.loads(json.dumps(buckets.tidy_policy(policy)))["Version"] == "2012-10-17"


def test_a_mode_that_yaml_read_as_octal():
    key = "AQ" + "A" * 36 + "=="
    with pytest.raises(Invalid, match=r"keyrings\[0\]\.mode 416: YAML reads 0640 without quotes as another number"):
        keyrings.parse([{"client": "client.a", "key": key, "mode": 0o640}])
    assert keyrings.parse([{"client": "client.a", "key": key, "mode": "640"}])[0].mode == "0640"
