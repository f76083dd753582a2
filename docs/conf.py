# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sphinx's settings for the site that tests/tools/site builds."""

from __future__ import annotations

project = "cephstack.cloud"
author = "The cephstack.cloud authors"
copyright = "2026, the cephstack.cloud authors"

extensions = ["myst_parser", "sphinx_antsibull_ext"]
nitpicky = True
default_role = "any"
# Labels of the documentation of Ansible itself, which is not asked.
nitpick_ignore_regex = [("std:ref", r"common_return_values|\w+_plugins|ansible_configuration_settings|ansible_collections\.ansible\..*")]
highlight_language = "text"
pygments_style = "ansible"
pygments_dark_style = "monokai"

# A heading can be linked to from another page, as on GitHub.
myst_heading_anchors = 3

html_theme = "furo"
html_title = "cephstack.cloud"
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
html_use_index = False
html_theme_options = {"source_repository": "https://github.com/cephstack/cloud/", "source_branch": "main", "source_directory": "docs/"}
