# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all HTTP clients share: addresses, and secrets that are hidden. Connections and certificates: the tests of each client."""

from __future__ import annotations

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._http import Server, hide
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid


@pytest.mark.parametrize("url", ["10.0.0.1:8080", "ftp://h", "http://", "http://h:x", "http://h:0", "http://h:65536", "http://h/a?b", "http://me:word@h/"])
def test_what_is_no_address_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(Invalid, match=r"^endpoints: .* is no address of the form http://HOST:PORT$") as caught:
        Server(url)
    assert "word" not in str(caught.value)


def test_secrets_are_hidden_in_each_form_and_the_longest_first() -> None:
    said = hide("key=a+b/c~ key=a%2Bb%2Fc%7E key=a-b_c~ key=a+b ok", ["a+b", "a+b/c~", "ok", ""])
    assert said == "key=******** key=******** key=******** key=******** ok"
