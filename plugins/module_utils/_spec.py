# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields: what an operator may write, said once. A field is an option of Ansible's argument spec, with its description.

From them `make spec` writes the modules' documentation, the doc fragments and the roles' argument specs.

PRIVATE to the collection.
"""

from __future__ import annotations

import collections
import copy
import functools
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator


def field(type_: str, description: str, **more: t.Any) -> dict[str, t.Any]:
    """description: in Ansible's markup, one paragraph a line. more: further keys of an argument spec, such as default."""
    return {"description": description, "type": type_, **more}


string, integer, real = functools.partial(field, "str"), functools.partial(field, "int"), functools.partial(field, "float")
boolean, filepath, mapping = functools.partial(field, "bool"), functools.partial(field, "path"), functools.partial(field, "dict")
strings = functools.partial(field, "list", elements="str")


def choice(description: str, choices: t.Iterable[str], **more: t.Any) -> dict[str, t.Any]:
    return string(description, choices=[*choices], **more)


def presence(description: str = "Whether it is there.") -> dict[str, t.Any]:
    return choice(description, ["present", "absent"], default="present")


def record(description: str, options: dict[str, t.Any], **more: t.Any) -> dict[str, t.Any]:
    return mapping(description, options=options, **more)


def records(description: str, options: dict[str, t.Any], **more: t.Any) -> dict[str, t.Any]:
    return field("list", description, elements="dict", options=options, **more)


ALLOW_LOSS = strings(
    "The changes of risk V(loss) that may be made, by their id, for example V(pool/old).\n"
    "A change that would destroy data or access is refused until its id is listed here. The refusal names the id.",
    default=[],
)
PREFIX = string("What stands before an option's name in messages, so that a role can name its own variables.", default="")


def arguments(fields: t.Mapping[str, dict[str, t.Any]]) -> dict[str, t.Any]:
    """The argument spec of fields, a copy: AnsibleModule fills in defaults where they stand, and knows no descriptions."""
    spec = {name: {key: copy.deepcopy(value) for key, value in one.items() if key not in ("description", "options")} for name, one in fields.items()}
    for name, one in fields.items():
        if "options" in one:
            spec[name]["options"] = arguments(one["options"])
    return spec


def complete(fields: t.Mapping[str, dict[str, t.Any]], given: t.Mapping[str, t.Any]) -> tuple[dict[str, t.Any], list[str]]:
    """Return what was given for fields with the defaults of the others, as a module would have it, and what is wrong with it."""
    judged = ArgumentSpecValidator(arguments(fields)).validate(_plain(given))
    return judged.validated_parameters, judged.error_messages


def _plain(value: t.Any) -> t.Any:
    """The same in Python's own containers: the validator copies what it is given, and a copy of what Ansible has yet to template takes all variables along."""
    if isinstance(value, t.Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def twice(names: t.Iterable[str]) -> list[str]:
    """The names that occur more than once in what was declared, sorted."""
    return sorted(name for name, times in collections.Counter(names).items() if times > 1)
