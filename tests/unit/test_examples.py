# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the docs show can be used as it stands: variables and tasks are what roles and modules take, commands name what is there.

A block in fences is an example by its language: yaml, sh or console. A fragment, or what a program says, is text.
"""

from __future__ import annotations

import ast
import functools
import itertools
import pathlib
import re
import shlex
import typing as t

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOADER: t.Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
COLLECTION = "cephstack.cloud."
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("roles/*/README.md"))]
MODULES = sorted(path for path in (ROOT / "plugins" / "modules").glob("*.py"))
# Made by the reader, as the first steps say.
MADE = {"inventories/mine": "inventories/example"}
# What an inventory may say beside the roles' variables.
OTHER_VARIABLES = re.compile(r"ansible_\w+|vault_\w+")
Options = t.Mapping[str, t.Mapping[str, t.Any]]


# -- what roles and modules take


def argument_spec(options: Options) -> dict[str, t.Any]:
    """The options of documentation, or of a role's specification, as the argument spec of a module."""
    keys = ("type", "elements", "required", "choices", "aliases")
    spec: dict[str, t.Any] = {name: {key: option[key] for key in keys if key in option} for name, option in options.items()}
    for name, option in options.items():
        below = option.get("suboptions") or option.get("options")
        if below:
            spec[name]["options"] = argument_spec(below)
    return spec


@functools.cache
def constants(path: pathlib.Path) -> dict[str, str]:
    """The texts of a plugin's file that have a name: DOCUMENTATION, EXAMPLES."""
    assignments = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Assign)]
    texts = [(node.targets[0], node.value) for node in assignments if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)]
    return {name.id: str(value.value) for name, value in texts if isinstance(name, ast.Name)}


@functools.cache
def module_spec(name: str) -> dict[str, t.Any]:
    said = yaml.load(constants(ROOT / "plugins" / "modules" / f"{name}.py")["DOCUMENTATION"], LOADER)
    options = dict(said.get("options") or {})
    fragments = said.get("extends_documentation_fragment") or []
    for fragment in [fragments] if isinstance(fragments, str) else fragments:
        file, _, part = fragment.removeprefix(COLLECTION).partition(".")
        texts = constants(ROOT / "plugins" / "doc_fragments" / f"{file}.py")
        options.update(yaml.load(texts[part.upper() or "DOCUMENTATION"], LOADER).get("options") or {})
    return argument_spec(options)


@functools.cache
def entry_points(role: str) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", yaml.load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_bytes(), LOADER)["argument_specs"])


@functools.cache
def variables() -> dict[str, t.Any]:
    """Every variable of every role. One that several have is the same in all, but that some can do without it."""
    known: dict[str, t.Any] = {}
    for path in sorted(ROOT.glob("roles/*/meta/argument_specs.yml")):
        for entry in entry_points(path.parent.parent.name).values():
            known.update(argument_spec(entry.get("options") or {}))
    return known


# -- what is wrong with an example


def filled(value: t.Any, spec: t.Mapping[str, t.Any]) -> t.Any:
    """A value with something of the right type in the place of each template, which only a run can know."""
    if isinstance(value, str) and "{{" in value:
        required = {name: filled(value, below) for name, below in spec.get("options", {}).items() if below.get("required")}
        samples: dict[str, t.Any] = {"int": 1, "float": 1.0, "bool": True, "list": [], "dict": required}
        return (spec.get("choices") or [samples.get(spec.get("type", "str"), "text")])[0]
    if isinstance(value, dict) and "options" in spec:
        return {key: filled(below, spec["options"].get(key, {})) for key, below in value.items()}
    if isinstance(value, list):
        return [filled(below, {**spec, "type": spec.get("elements", "str")}) for below in value]
    return value


def together(below: t.Any, above: t.Any) -> t.Any:
    """Mappings, one put upon the other; of all else, the one above."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{name: together(below.get(name), value) for name, value in above.items()}}


@functools.cache
def example_inventory() -> dict[str, t.Any]:
    said: dict[str, t.Any] = {}
    for path in (ROOT / "inventories" / "example" / "group_vars" / "all").glob("*.yml"):
        said.update(yaml.load(path.read_bytes(), LOADER) or {})
    return said


def against(values: t.Mapping[str, t.Any], spec: dict[str, t.Any]) -> list[str]:
    return list(ArgumentSpecValidator(spec).validate({name: filled(value, spec.get(name, {})) for name, value in values.items()}).error_messages)


def of_variables(values: t.Mapping[str, t.Any]) -> list[str]:
    known = variables()
    # A page shows what is added to the example inventory, in which all that is required is said.
    unknown = [f"no role has a variable {name}" for name in values if name not in known and not OTHER_VARIABLES.fullmatch(name)]
    shown = {name: together(example_inventory().get(name), values[name]) for name in values if name in known}
    return unknown + against(shown, {name: known[name] for name in shown})


def of_role(name: str, said: t.Mapping[str, t.Any], entry: str) -> list[str]:
    role = name.removeprefix(COLLECTION)
    if not (ROOT / "roles" / role).is_dir() or name == role:
        return [f"there is no role {name}"]
    point = entry_points(role).get(entry)
    if point is None:
        return [f"{name} has no entry point {entry}"]
    return against(said, argument_spec(point.get("options") or {}))


def of_task(task: t.Mapping[str, t.Any]) -> list[str]:
    wrong = [problem for name in ("block", "rescue", "always") for below in task.get(name) or [] for problem in of_task(below)]
    for name, said in task.items():
        if name in ("ansible.builtin.include_role", "ansible.builtin.import_role") and said["name"].startswith(COLLECTION):
            wrong += of_role(said["name"], task.get("vars") or {}, said.get("tasks_from", "main"))
        elif name.startswith(COLLECTION):
            module = name.removeprefix(COLLECTION)
            wrong += against(said or {}, module_spec(module)) if ROOT / "plugins" / "modules" / f"{module}.py" in MODULES else [f"there is no module {name}"]
        elif "." not in name and isinstance(said, dict) and name not in ("vars", "environment", "loop_control", "module_defaults", "args"):
            wrong.append(f"{name} has no full name")
    return wrong


def of_play(play: t.Mapping[str, t.Any]) -> list[str]:
    if "ansible.builtin.import_playbook" in play:
        return of_playbook(play["ansible.builtin.import_playbook"])
    wrong = of_variables(play.get("vars") or {})
    for role in play.get("roles") or []:
        name = role if isinstance(role, str) else role.get("role") or role["name"]
        wrong += [] if (ROOT / "roles" / name.removeprefix(COLLECTION)).is_dir() and name.startswith(COLLECTION) else [f"there is no role {name}"]
    return wrong + [problem for kind in ("pre_tasks", "tasks", "post_tasks") for task in play.get(kind) or [] for problem in of_task(task)]


def of_group(name: str, group: t.Any) -> list[str]:
    """A group of an inventory."""
    if not isinstance(group, dict):
        return [f"the group {name} is empty"]
    wrong = [f"{name}: a group has no {key}" for key in group if key not in ("hosts", "vars", "children")]
    wrong += of_variables(group.get("vars") or {})
    wrong += [problem for said in (group.get("hosts") or {}).values() for problem in of_variables(said or {})]
    return wrong + [problem for below, said in (group.get("children") or {}).items() if said for problem in of_group(below, said)]


def of_yaml(text: str) -> list[str]:
    try:
        said = yaml.load(text, LOADER)
    except yaml.YAMLError as error:
        return [f"it is no YAML: {error}"]
    if isinstance(said, list):
        return [problem for one in said for problem in (of_play if "hosts" in one or "ansible.builtin.import_playbook" in one else of_task)(one)]
    if not isinstance(said, dict):
        return ["it is neither variables nor tasks nor plays"]
    groups = {name: group for name, group in said.items() if isinstance(group, dict) and name not in variables() and {"hosts", "children", "vars"} & set(group)}
    wrong = [problem for name, group in groups.items() for problem in of_group(name, group)]
    return wrong + of_variables({name: value for name, value in said.items() if name not in groups})


def of_playbook(name: str) -> list[str]:
    there = ROOT / "playbooks" / f"{name.removeprefix(COLLECTION)}.yml" if name.startswith(COLLECTION) else ROOT / name
    return [] if there.exists() else [f"there is no playbook {name}"]


@functools.cache
def tags() -> set[str]:
    plays = [play for path in (ROOT / "playbooks").glob("*.yml") for play in yaml.load(path.read_bytes(), LOADER)]
    return {"all", "always", "never", *(tag for play in plays for tag in play.get("tags") or [])}


def of_command(words: list[str]) -> list[str]:
    """The words of one command. Only what is of this repository is looked at."""
    while words and re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    if words and words[0] in ("sudo", "env"):
        return of_command(words[1:])
    program = pathlib.PurePath(words[0]).name if words else ""
    wrong = []
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
        wrong += [f"there is no target {word}" for word in words[1:] if re.fullmatch(r"[a-z-]+", word) and word not in targets]
    for option, value in zip(words, words[1:]):
        if option in ("-i", "--inventory") and not (ROOT / MADE.get(value.rstrip("/"), value)).exists() and not value.endswith(","):
            wrong.append(f"there is no inventory {value}")
        if (
            option in ("-m", "--module-name")
            and value.startswith(COLLECTION)
            and ROOT / "plugins" / "modules" / f"{value[len(COLLECTION) :]}.py" not in MODULES
        ):
            wrong.append(f"there is no module {value}")
        if option in ("-t", "--tags", "--skip-tags") and program == "ansible-playbook":
            wrong += [f"no play has the tag {tag}" for tag in value.split(",") if tag not in tags()]
    if program == "ansible-playbook":
        named = [word for word in words if word.startswith(COLLECTION) or (word.endswith((".yml", ".yaml")) and "@" not in word and "inventories/" not in word)]
        wrong += [problem for name in named for problem in of_playbook(name)] if named else ["it names no playbook"]
    files = [word for word in words if re.match(r"(tests|playbooks|roles|plugins|molecule)/", word)]
    return wrong + [f"there is no {file}" for file in files if not (ROOT / file).exists()]


def of_console(text: str) -> list[str]:
    wrong = []
    shown = text.replace("\\\n", " ")
    if re.search(r"^[$#] ", shown, re.M) and not re.match(r"# ", shown):
        shown = "\n".join(line[2:] for line in shown.splitlines() if line.startswith(("$ ", "# ")))  # the others are what it says
    for line in shown.splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            wrong.append(f"no shell takes this: {line}: {error}")
            continue
        commands: list[list[str]] = [[]]
        for word in words:
            if word in ("&&", "||", "|", ";"):
                commands.append([])
            else:
                commands[-1].append(word)
        wrong += [problem for command in commands for problem in of_command(command)]
    return wrong


JUDGES = {"yaml": of_yaml, "yml": of_yaml, "sh": of_console, "console": of_console, "bash": of_console}
# Languages of what is shown, and not to be used as it stands.
SHOWN = ("text", "xml", "ini", "json", "diff")


def blocks(page: pathlib.Path) -> t.Iterator[tuple[str, str, str]]:
    """The blocks of a page: where it begins, its language, its text."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^( *)```(\S*)\n(.*?)^\1```$", text, re.M | re.S):
        yield f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, found.start()) + 1}", found[2], re.sub(f"^{found[1]}", "", found[3], flags=re.M)


EXAMPLES = [block for page in PAGES for block in blocks(page) if block[1] in JUDGES]


@pytest.mark.parametrize(("language", "text"), [block[1:] for block in EXAMPLES], ids=[block[0] for block in EXAMPLES])
def test_an_example_of_the_docs_can_be_used(language: str, text: str) -> None:
    assert JUDGES[language](text) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_block_has_a_language(page: pathlib.Path) -> None:
    """Without one it would be neither an example nor what is only shown."""
    assert [where for where, language, _ in blocks(page) if language not in JUDGES and language not in SHOWN] == []


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_an_example_of_a_module_can_be_used(module: pathlib.Path) -> None:
    assert of_yaml(constants(module)["EXAMPLES"]) == []


@pytest.mark.parametrize("page", [*PAGES, ROOT / "SECURITY.md"], ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_leads_to_a_file_that_is_there(page: pathlib.Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"\w+:", link)]
    assert [link for link in links if not (page.parent / link).exists()] == []


# -- what is run of every change


WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))


def runs(path: pathlib.Path) -> t.Iterator[tuple[str, dict[str, str]]]:
    """Every command of a workflow, once for each entry of its job's matrix, which comes with it."""
    for name, job in yaml.load(path.read_bytes(), LOADER)["jobs"].items():
        matrix = job.get("strategy", {}).get("matrix", {})
        entries = matrix.get("include") or [dict(zip(matrix, values)) for values in itertools.product(*matrix.values())]
        for entry in entries:
            known = {"github.job": name, **{f"matrix.{key}": value for key, value in entry.items()}}
            for step in job["steps"]:
                if "run" in step:
                    yield re.sub(r"\$\{\{ ([\w.]+) \}\}", lambda found, known=known: known[found[1]], step["run"]), entry


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_runs_what_is_there(path: pathlib.Path) -> None:
    assert [problem for command, _ in runs(path) for problem in of_console(command)] == []


@pytest.mark.parametrize("part", ["unit", "sanity"])
def test_every_supported_core_is_tested(part: str) -> None:
    pairs = {(entry["core"], entry["python"]) for path in WORKFLOWS for command, entry in runs(path) if f"make {part} " in command}
    assert {core for core, _ in pairs} == {"2.19", "2.20", "2.21"}
    oldest = {"2.19": 11, "2.20": 12, "2.21": 12}
    # The oldest Python that a core runs on, and the newest that tests/tools/env takes.
    assert pairs == {(core, f"3.{minor}") for core, first in oldest.items() for minor in (first, 13)}


# -- the judges themselves


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "it is no YAML"),
        ("only words", "neither variables nor tasks"),
        ("ceph_cluster_pool: []", "no role has a variable ceph_cluster_pool"),
        ("ceph_cluster_pools: [{name: vms, sise: 3}]", "sise"),
        ("ceph_cluster_pools: [{size: 3}]", "name"),
        ("mons: {hosts: {a: {ceph_cluster_pools: [{}]}}}", "name"),
        ("mons: {host: {}, vars: {}}", "a group has no host"),
        ("- cephstack.cloud.no_such: {}", "there is no module cephstack.cloud.no_such"),
        ("- cephstack.cloud.ceph_cluster: {pools: [{sise: 3}]}", "sise"),
        ("- block: [{cephstack.cloud.ceph_cluster: {pools: 3}}]", "pools"),
        ("- debug: {msg: a}", "debug has no full name"),
        ("- {hosts: a, tasks: [{cephstack.cloud.ceph_cluster: {pool: []}}]}", "pool"),
        ("- {hosts: a, roles: [cephstack.cloud.no_such]}", "there is no role"),
        ("- ansible.builtin.import_playbook: cephstack.cloud.no_such", "there is no playbook"),
        ("- ansible.builtin.include_role: {name: cephstack.cloud.ceph_osd}", "ceph"),
        ("- ansible.builtin.include_role: {name: cephstack.cloud.ceph_osd, tasks_from: none}", "no entry point none"),
    ],
)
def test_a_wrong_yaml_is_found(text: str, problem: str) -> None:
    assert any(problem in said for said in of_yaml(text))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("make nothing", "there is no target nothing"),
        ("sudo env A=b make nothing", "there is no target nothing"),
        ("cd x && make demo nothing", "there is no target nothing"),
        ("$ make nothing\nmade", "there is no target nothing"),
        ("ansible-playbook -i inventories/none cephstack.cloud.site", "there is no inventory inventories/none"),
        ("ansible-playbook -i inventories/mine cephstack.cloud.none", "there is no playbook cephstack.cloud.none"),
        ("ansible-playbook -i inventories/mine", "it names no playbook"),
        ("ansible-playbook -i inventories/mine \\\n  cephstack.cloud.site --tags ceph,none", "no play has the tag none"),
        ("ansible mons -i inventories/mine -m cephstack.cloud.none", "there is no module cephstack.cloud.none"),
        ("tests/none/run", "there is no tests/none/run"),
        ("echo 'a", "no shell takes this"),
    ],
)
def test_a_wrong_command_is_found(text: str, problem: str) -> None:
    assert any(problem in said for said in of_console(text))


def test_templates_are_of_the_right_type() -> None:
    assert of_yaml('ceph_rgw_instances: [{name: s3, port: "{{ port }}"}]\nceph_cluster_pools: "{{ pools }}"') == []
