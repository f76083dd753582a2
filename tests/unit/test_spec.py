# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields, and what is made of them: argument specs, documentation, doc fragments, roles' argument specs."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import pathlib
import typing as t

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.cephstack.cloud.plugins.module_utils import _consumers
from ansible_collections.cephstack.cloud.plugins.module_utils._ceph import pools
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import arguments, choice, integer, presence, record, records, string, strings
from ansible_collections.cephstack.cloud.plugins.modules import lab_hosts

ROOT = pathlib.Path(__file__).resolve().parents[2]
loader = importlib.machinery.SourceFileLoader("spec_under_test", str(ROOT / "tests" / "tools" / "spec"))
spec: t.Any = importlib.util.module_from_spec(t.cast(t.Any, importlib.util.spec_from_loader("spec_under_test", loader)))
loader.exec_module(spec)

FIELDS = {
    "name": string("The name.", required=True),
    "state": presence(),
    "parts": records("The parts.", {"size": integer("How large.", default=3)}, default=[]),
    "limits": record("Limits.", {"kind": choice("Which.", ["soft", "hard"])}, default={}, apply_defaults=True),
}


# -- arguments


def test_fields_are_an_argument_spec() -> None:
    parsed = ArgumentSpecValidator(arguments(FIELDS)).validate({"name": "a", "parts": [{}]})
    assert parsed.error_messages == []
    assert parsed.validated_parameters == {"name": "a", "state": "present", "parts": [{"size": 3}], "limits": {"kind": None}}


def test_an_argument_spec_has_no_descriptions_and_is_a_copy() -> None:
    made = arguments(FIELDS)
    assert made["parts"] == {"type": "list", "elements": "dict", "default": [], "options": {"size": {"type": "int", "default": 3}}}
    made["parts"]["default"].append("filled in")
    assert FIELDS["parts"]["default"] == []


def test_an_option_may_be_called_description() -> None:
    assert arguments({"description": string("What it is for.")}) == {"description": {"type": "str"}}


# -- what is made


def changed() -> set[str]:
    """The files that are not what they should be."""
    spec.specification.cache_clear()
    return {str(path.relative_to(ROOT)) for path, text in spec.made().items() if path.read_text(encoding="utf-8") != text}


def test_all_is_current() -> None:
    assert changed() == set()


def test_a_description_reaches_module_and_role(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pools.OPTIONS["size"], "description", "How often it is kept.")
    assert changed() == {"plugins/modules/ceph_cluster.py", "roles/ceph_cluster/meta/argument_specs.yml"}


def test_a_shared_field_reaches_its_fragment_and_every_role(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_consumers.OPTIONS["client"], "description", "As whom it comes.")
    roles = ("ceph_cluster", "cloudstack_region", "kvm_host", "openstack_catalogue", "openstack_controller", "openstack_storage", "verify", "xen_host")
    files = {"plugins/doc_fragments/consumers.py", "plugins/modules/openstack_catalogue.py"}
    assert changed() == files | {f"roles/{role}/meta/argument_specs.yml" for role in roles}


def test_a_default_and_a_new_sub_option_reach_them_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pools.OPTIONS, "colour", choice("Its colour.", ["red", "green"], default="red"))
    role = yaml.safe_load(spec.role("ceph_cluster", spec.specs("ceph_cluster").read_text(encoding="utf-8") + "\n"))
    made = role["argument_specs"]["main"]["options"]["ceph_cluster_pools"]["options"]["colour"]
    assert made == {"description": "Its colour.", "type": "str", "choices": ["red", "green"], "default": "red"}
    assert "plugins/modules/ceph_cluster.py" in changed()


def test_a_default_reaches_the_role_s_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(lab_hosts.FIELDS["network"], "default", "10.78.0.0/24")
    assert changed() == {"plugins/modules/lab_hosts.py", "roles/lab/defaults/main.yml", "roles/lab/meta/argument_specs.yml"}


def test_a_stale_file_is_told_and_written(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "plugins" / "doc_fragments" / "allow_loss.py"
    path.parent.mkdir(parents=True)
    text = (ROOT / "plugins" / "doc_fragments" / "allow_loss.py").read_text(encoding="utf-8")
    path.write_text(text.replace("The refusal names the id.", ""), encoding="utf-8")
    fields = spec.fields(spec.FRAGMENTS["allow_loss"]["allow_loss"])
    monkeypatch.setattr(spec, "fields", lambda name: fields)
    monkeypatch.setattr(spec, "ROOT", tmp_path)
    assert spec.main(["--check"]) == 1
    assert "plugins/doc_fragments/allow_loss.py is not what its fields say: run make spec" in capsys.readouterr().out
    assert spec.main([]) == 0
    assert path.read_text(encoding="utf-8") == (ROOT / "plugins" / "doc_fragments" / "allow_loss.py").read_text(encoding="utf-8")
    assert spec.main(["--check"]) == 0


def test_what_is_written_by_hand_stays() -> None:
    text = 'x = 1\nDOCUMENTATION = r"""\nmodule: a\nnotes:\n  - One.\noptions:\n  old:\n    description: Gone.\n\nseealso:\n  - module: b\n"""\ny = 2\n'
    made = spec.with_options(text, {"new": spec.option(strings("Here."), "suboptions")})
    assert made == (
        'x = 1\nDOCUMENTATION = r"""\nmodule: a\nnotes:\n  - One.\noptions:\n  new:\n    description: Here.\n    type: list\n    elements: str\n'
        'seealso:\n  - module: b\n"""\ny = 2\n'
    )


def test_a_variable_is_made_where_its_name_stands_and_missed_where_it_does_not() -> None:
    text = spec.specs("nfs_gateway").read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    document["argument_specs"]["main"]["options"]["nfs_gateway_exports"] = {"description": "By hand."}
    made = yaml.safe_load(spec.role("nfs_gateway", f"---\n{yaml.safe_dump(document)}"))["argument_specs"]["main"]["options"]["nfs_gateway_exports"]
    assert (made["description"], made["required"], sorted(made["options"])[0]) == ("By hand.", True, "access")
    del document["argument_specs"]["main"]["options"]["nfs_gateway_exports"]
    with pytest.raises(SystemExit, match="has no nfs_gateway_exports"):
        spec.role("nfs_gateway", f"---\n{yaml.safe_dump(document)}")


# -- a role's words


def test_an_option_of_the_module_is_the_role_s_variable() -> None:
    say = spec.in_role("site", {"allow_loss": "site_allow_loss", "pools": "site.pools", "connection.user": "site.user"})
    said = say("needs O(allow_loss=pool/NAME), as O(pools[].size), of O(connection.user)")
    assert said == "needs O(site_allow_loss=pool/NAME), as O(site.pools[].size), of O(site.user)"


def test_an_option_that_a_role_has_not_is_told() -> None:
    with pytest.raises(SystemExit, match=r"site: none of its variables is O\(allowed\)"):
        spec.in_role("site", {"allow_loss": "site_allow_loss"})("see O(allowed)")


# -- YAML


@pytest.mark.parametrize(
    "text", ["plain", "", "on", "a: b", "a #b", "- a", "it's", "'a'", '"a"', "{a}", "[a], b", "1", "0.1.0", "null", "@a", "*a", "a\\b", "…", "100-200", "~"]
)
def test_a_text_is_read_as_it_was(text: str) -> None:
    document = {"description": [text, text * 60], "name": text, "choices": [text], "default": {text or "none": text}, "type": "dict"}
    assert yaml.safe_load(spec.written(document, {})) == document


def test_long_texts_are_wrapped_and_short_lists_are_not() -> None:
    made = spec.written({"a": {"description": "word: " * 80 + "end", "type": "list", "choices": ["one", "two"], "default": []}}, {})
    assert max(len(line) for line in made.splitlines()) <= spec.WIDTH
    assert "  choices: [one, two]\n  default: []\n" in made


def test_what_stands_twice_is_written_once() -> None:
    options = {"a": {"type": "str"}}
    assert spec.written({"main": {"options": options}, "other": {"options": options}}, {}) == (
        "main:\n  options: &options\n    a:\n      type: str\nother:\n  options: *options\n"
    )
