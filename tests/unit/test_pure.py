# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan is pure: what must be asked is asked before, in observe, and what is drawn is drawn in apply.

The sources are read, not run: from every planner all calls are followed within module_utils, as far as names and types tell where they go. What a planner
only hands on (a lambda, a function inside it, a partial) is left out: it is the change's apply.
"""

from __future__ import annotations

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = "ansible_collections.cephstack.cloud.plugins.module_utils"

# What planning may not come to; a name stands for all that is below it.
IMPURE = {
    "time.time": "a clock",
    "time.monotonic": "a clock",
    "time.sleep": "a clock",
    "time.localtime": "a clock",
    "time.gmtime": "a clock",
    "datetime.datetime.now": "a clock",
    "datetime.datetime.today": "a clock",
    "datetime.datetime.utcnow": "a clock",
    "datetime.date.today": "a clock",
    "random": "randomness",
    "secrets": "randomness",
    "os.urandom": "randomness",
    "uuid.uuid1": "randomness",
    "uuid.uuid4": "randomness",
    "socket": "the network",
    "ssl": "the network",
    "http": "the network",
    "urllib.request": "the network",
    "subprocess": "a process",
    "os.system": "a process",
    **{f"{PACKAGE}._host.process.{name}": "a process" for name in ("run", "complete", "read_bytes", "begin", "installed", "start_ticks")},
}
# Planners by their names.
PLANNER = re.compile(r"_?(plan|planned|problems|wanted)(_\w+)?|\w+_(problems|changes)|of_consumers")


class Code:
    """The functions and classes of Python modules. sources: by the name that a module is imported by."""

    def __init__(self, sources: dict[str, str]) -> None:
        self.functions: dict[str, ast.FunctionDef] = {}
        self.classes: dict[str, ast.ClassDef] = {}
        self.names: dict[str, dict[str, str]] = {}  # what a name in a module is called everywhere
        for module, source in sources.items():
            tree, names = ast.parse(source), self.names.setdefault(module, {})
            for node in ast.walk(tree):
                if isinstance(node, ast.Import):
                    names.update((alias.asname, alias.name) if alias.asname else (alias.name.partition(".")[0],) * 2 for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    names.update((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)
            for node in tree.body:
                if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                    names[node.name] = name = f"{module}.{node.name}"
                    if isinstance(node, ast.FunctionDef):
                        self.functions[name] = node
                    else:
                        self.classes[name] = node
                        self.functions.update((f"{name}.{inner.name}", inner) for inner in node.body if isinstance(inner, ast.FunctionDef))
        self.fields = {name: self._fields(name) for name in self.classes}

    def _module(self, name: str) -> str:
        return next(module for module in sorted(self.names, key=len, reverse=True) if name.startswith(f"{module}."))

    def _class(self, module: str, node: ast.AST | None) -> str:
        """The class that an annotation or a call names, "" where it is none of these."""
        words = re.findall(r"[\w.]+", ast.unparse(node.func if isinstance(node, ast.Call) else node)) if node else []
        for head, _dot, rest in (word.partition(".") for word in words):
            name = ".".join(filter(None, (self.names[module].get(head, head), rest)))
            if name in self.classes:
                return name
        return ""

    def _types(self, module: str, function: ast.FunctionDef) -> dict[str, str]:
        """The classes of a function's parameters and variables, as far as they are said."""
        types = {one.arg: self._class(module, one.annotation) for one in (*function.args.args, *function.args.kwonlyargs)}
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and isinstance(node.targets[0], ast.Name):
                types[node.targets[0].id] = self._class(module, node.value)
            elif isinstance(node, ast.withitem) and isinstance(node.optional_vars, ast.Name):
                types[node.optional_vars.id] = self._class(module, node.context_expr)
        return {name: known for name, known in types.items() if known}

    def _fields(self, name: str) -> dict[str, str]:
        """The classes of what an object has."""
        module = self._module(name)
        found = {node.target.id: self._class(module, node.annotation) for node in self.classes[name].body if isinstance(node, ast.AnnAssign)}
        making = self.functions.get(f"{name}.__init__")
        for node in ast.walk(making) if making else ():
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
                value = node.value
                found[node.targets[0].attr] = (
                    self._types(module, making).get(value.id, "")
                    if isinstance(value, ast.Name)
                    else self._class(module, value)
                    if isinstance(value, ast.Call)
                    else ""
                )
        return found

    def uses(self, function: str) -> set[str]:
        """The whole names of what a function calls, and of the properties that it reads."""
        module, body = self._module(function), self.functions[function].body
        types = self._types(module, self.functions[function])
        owner = function.rpartition(".")[0]
        if owner in self.classes:
            types["self"] = owner
        found: set[str] = set()
        within: dict[str, ast.FunctionDef] = {}

        def whole(dotted: str) -> str:
            head, *rest = dotted.split(".")
            at = types.get(head) or self.names[module].get(head, "?")
            for step in rest:
                at = (self.fields[at].get(step) if at in self.classes else "") or f"{at}.{step}"
            return at

        def visit(node: ast.AST) -> None:
            if isinstance(node, ast.FunctionDef):
                within[node.name] = node
            if isinstance(node, (ast.FunctionDef, ast.Lambda)):
                return
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in within:
                for child in within.pop(node.func.id).body:  # one that is called here after all
                    visit(child)
            elif isinstance(node, (ast.Call, ast.Attribute)):
                dotted = ast.unparse(node.func if isinstance(node, ast.Call) else node)
                name = whole(dotted) if re.fullmatch(r"[\w.]+", dotted) else "?"
                decorators = self.functions[name].decorator_list if name in self.functions else []
                if isinstance(node, ast.Call) or any(ast.unparse(one).endswith("property") for one in decorators):
                    found.add(name)
            for child in ast.iter_child_nodes(node):
                visit(child)

        for child in body:
            visit(child)
        return found

    def impure(self, planners: list[str]) -> list[str]:
        """What planners come to that is not pure, each with the way there."""
        found = []
        ways = [[planner] for planner in planners]
        seen = set(planners)
        while ways:
            way = ways.pop(0)
            for name in sorted(self.uses(way[-1])):
                bad = next((what for start, what in IMPURE.items() if f"{name}.".startswith(f"{start}.")), "")
                target = name if name in self.functions else f"{name}.__init__"
                if bad:
                    found.append(f"{bad}: {' -> '.join([*way, name])}".replace(f"{PACKAGE}.", ""))
                elif target in self.functions and target not in seen:
                    seen.add(target)
                    ways.append([*way, target])
        return found


def planners(code: Code) -> list[str]:
    return [name for name in code.functions if PLANNER.fullmatch(name.rpartition(".")[2])]


def test_planning_asks_nobody() -> None:
    folders = {PACKAGE: ROOT / "plugins" / "module_utils", PACKAGE.replace("module", "plugin"): ROOT / "plugins" / "plugin_utils"}
    paths = [(package, folder, path) for package, folder in folders.items() for path in folder.rglob("*.py") if path.name != "__init__.py"]
    files = {".".join([package, *path.relative_to(folder).with_suffix("").parts]): path for package, folder, path in paths}
    code = Code({name: path.read_text(encoding="utf-8") for name, path in files.items()})
    assert len(planners(code)) > 100
    found = code.impure(planners(code))
    assert found == []


BELOW = """
import socket
import time
def ask():
    socket.create_connection(("h", 1))
class Client:
    def call(self):
        ask()
class Api:
    def __init__(self, client: Client):
        self.client = client
    @property
    def now(self):
        return time.time()
def pure(text):
    return text
"""
ABOVE = """
import functools
import uuid as uuids
from m.below import Api, Client, ask, pure
from m import below
"""


@pytest.mark.parametrize(
    "planner",
    [
        "def plan():\n    ask()",
        "def _plan_one():\n    below.ask()",
        "def plan():\n    return str(uuids.uuid4())",
        "def plan():\n    return [one for one in (ask(),)]",
        "def deeper():\n    ask()\ndef plan():\n    deeper()",
        "def plan():\n    def inner():\n        ask()\n    inner()",
        "def plan(client: t.Optional[Client]):\n    client.call()",
        "def plan(api: Api):\n    api.client.call()",
        "def plan(api: Api):\n    return api.now",
        "def plan():\n    client = Client()\n    client.call()",
        "class Provider:\n    def __init__(self, client: Client):\n        self.client = client\n    def _ask(self):\n        self.client.call()\n"
        "    def plan(self, observed):\n        self._ask()",
    ],
)
def test_what_is_not_pure_is_found(planner: str) -> None:
    code = Code({"m.below": BELOW, "m.above": ABOVE + planner})
    assert len(code.impure(planners(code))) == 1


@pytest.mark.parametrize(
    "planner",
    [
        "def plan():\n    return pure('x')",
        "def plan(draft):\n    draft.ensure(lambda: ask())",
        "def plan(draft):\n    draft.ensure(ask)",
        "def plan(draft):\n    draft.ensure(functools.partial(ask, 1))",
        "def plan(draft):\n    def apply():\n        ask()\n    draft.ensure(apply)",
        "def plan():\n    return uuids.uuid5(uuids.NAMESPACE_DNS, 'x')",
        "def observe():\n    ask()\ndef plan(observed):\n    return observed",
    ],
)
def test_what_is_left_to_apply_or_observe_is_pure(planner: str) -> None:
    code = Code({"m.below": BELOW, "m.above": ABOVE + planner})
    assert code.impure(planners(code)) == []
