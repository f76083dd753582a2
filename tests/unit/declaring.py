# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator declares, as a module gets it."""

from __future__ import annotations

import copy
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator


def filled(options: dict[str, t.Any], said: dict[str, t.Any]) -> dict[str, t.Any]:
    """What was said, in the types and with the defaults of an argument spec, which is left alone: its own defaults would be filled in too."""
    parsed = ArgumentSpecValidator(copy.deepcopy(options)).validate(said)
    assert not parsed.error_messages, parsed.error_messages
    return parsed.validated_parameters
