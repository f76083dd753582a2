# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The consent to changes that destroy data or access."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  allow_loss:
    description:
      - The changes of risk V(loss) that may be made, by their id, for example V(pool/old).
      - A change that would destroy data or access is refused until its id is listed here. The refusal names the id.
    type: list
    elements: str
    default: []
"""
