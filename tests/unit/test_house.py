# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every module and every role, whoever wrote it."""

from __future__ import annotations

import ast
import ipaddress
import itertools
import pathlib
import re
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "plugins" / "modules").glob("*.py"))
# A folder without tasks is not a role yet.
ROLES = sorted(path.parent.parent for path in ROOT.glob("roles/*/tasks/main.yml"))
PLAYBOOKS = sorted(ROOT.glob("playbooks/*.yml"))
# What modules share goes to the targets; what only plugins share stays on the controller.
SHARED = {path: folder for folder in (ROOT / "plugins" / "module_utils", ROOT / "plugins" / "plugin_utils") for path in sorted(folder.rglob("*.py"))}


def names(paths: list[pathlib.Path]) -> list[str]:
    return [path.stem for path in paths]


def read(path: pathlib.Path) -> object:
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None


def documentation(module: pathlib.Path) -> dict:
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "DOCUMENTATION":
            return yaml.safe_load(ast.literal_eval(node.value))
    raise AssertionError(f"{module.name} has no DOCUMENTATION")


def public_files() -> list[pathlib.Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for path in (ROOT / name for name in listed.stdout.decode().split("\0") if name) if path.is_file()]


@pytest.mark.parametrize("module", MODULES, ids=names(MODULES))
def test_a_module_says_what_it_supports(module: pathlib.Path) -> None:
    documented = documentation(module)
    fragments = documented.get("extends_documentation_fragment", [])
    assert "cephstack.cloud.attributes" in fragments
    if "cephstack.cloud.attributes.info" not in fragments:
        assert {"check_mode", "diff_mode", "idempotent"} <= set(documented.get("attributes", {}))
    assert documented.get("version_added")


@pytest.mark.parametrize("module", MODULES, ids=names(MODULES))
def test_a_module_is_thin(module: pathlib.Path) -> None:
    """Under 100 lines of code below its documentation: the logic is in module_utils."""
    body = ast.parse(module.read_text(encoding="utf-8")).body
    code = [node for node in body if not (isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("DOCUMENTATION", "EXAMPLES", "RETURN"))]
    assert sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in code) < 100


@pytest.mark.parametrize("module", MODULES, ids=names(MODULES))
def test_a_module_supports_check_mode(module: pathlib.Path) -> None:
    text = module.read_text(encoding="utf-8")
    if (ROOT / "plugins" / "action" / module.name).exists() and "AnsibleModule" not in text:
        return  # the action plugin does the work, on the controller; the module is its documentation
    assert "supports_check_mode=True" in text


@pytest.mark.parametrize("role", ROLES, ids=names(ROLES))
def test_a_role_s_defaults_are_its_specification_s(role: pathlib.Path) -> None:
    entries = read(role / "meta" / "argument_specs.yml")["argument_specs"]
    options = entries["main"].get("options", {})
    defaults = read(role / "defaults" / "main.yml") or {}
    assert not set(defaults) - {name for entry in entries.values() for name in entry.get("options", {})}, "in defaults/main.yml only"
    specified = {name: option["default"] for name, option in options.items() if "default" in option}
    assert {name: value for name, value in defaults.items() if name in options} == specified
    assert not [name for name, option in options.items() if option.get("required") and "default" in option], "required and with a default"


@pytest.mark.parametrize("role", ROLES, ids=names(ROLES))
def test_a_role_s_variables_carry_its_name(role: pathlib.Path) -> None:
    shared = {"ceph", "cloudstack", "consumers", "ceph_rgw_tls", "openstack"}
    entries = read(role / "meta" / "argument_specs.yml")["argument_specs"]
    # ceph_common's variables are those of the Ceph hosts, whichever role reads them, and so cloudstack_management's.
    owners = (role.name + "_", "ceph_common_", "cloudstack_management_", "openstack_controller_")
    for entry in entries.values():
        wrong = [name for name in entry.get("options", {}) if name not in (*shared, role.name) and not name.startswith(owners)]
        assert not wrong


# Whose results are secrets in clear, and nothing else would keep them from being shown; with what makes it so.
IN_CLEAR = {
    "cephstack.cloud.ceph_keys_info": {},
    "cephstack.cloud.cloudstack_keys": {"return_keys": True},
    "cephstack.cloud.openstack_keys_info": {},
    "ansible.builtin.set_fact": {},
}


def tasks_of(entries: list) -> list[dict]:
    """Every task of a file, those of blocks and plays too."""
    found = []
    for entry in entries or []:
        found.append(entry)
        for name in ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks", "handlers"):
            found += tasks_of(entry.get(name) or [])
    return found


@pytest.mark.parametrize("path", [*sorted(ROOT.glob("roles/*/tasks/*.yml")), *PLAYBOOKS], ids=lambda path: str(path.relative_to(ROOT)))
def test_only_what_returns_a_secret_is_hidden_whole(path: pathlib.Path) -> None:
    """A task that is hidden whole hides its changes and its errors with it: options and the engine hide what is secret by themselves."""
    hidden = [task for task in tasks_of(read(path)) if task.get("no_log")]
    for task in hidden:
        module = next((name for name in task if name in IN_CLEAR), None)
        assert module, f"{task['name']}: nothing that it returns is secret, so it need not be hidden whole"
        missing = {name: value for name, value in IN_CLEAR[module].items() if (task[module] or {}).get(name) != value}
        assert not missing, f"{task['name']}: without {missing} it returns no secret"
    text = path.read_text(encoding="utf-8")
    assert len(re.findall(r"^ +no_log: true # \S", text, re.MULTILINE)) == len(hidden), "each says why, beside it"


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.name)
def test_a_playbook_uses_nothing_that_only_a_role_can_resolve(path: pathlib.Path) -> None:
    """role_path is not there in a task of a play, also where the variable that needs it is."""
    needing = [name for one in ROOT.glob("roles/*/vars/main.yml") for name, value in (read(one) or {}).items() if "role_path" in str(value)]
    assert needing
    assert not [name for name in needing if name in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", sorted(ROOT.glob("roles/*/tasks/*.yml")), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_returns_a_secret_is_hidden_whole(path: pathlib.Path) -> None:
    for task in tasks_of(read(path)):
        for module, options in IN_CLEAR.items():
            if module != "ansible.builtin.set_fact" and module in task and options.items() <= (task[module] or {}).items():
                assert task.get("no_log") is True, f"{task['name']}: its result has a secret in clear"


def without_descriptions(options: dict) -> dict:
    return {
        name: {
            **{key: value for key, value in option.items() if key not in ("description", "default")},
            "options": without_descriptions(option.get("options", {})),
        }
        for name, option in options.items()
    }


@pytest.mark.parametrize("name", ["ceph", "cloudstack", "cloudstack_management_group", "consumers", "ceph_common_groups", "ceph_rgw_tls"])
def test_a_shared_variable_is_the_same_everywhere(name: str) -> None:
    found = {}
    for role in ROLES:
        options = read(role / "meta" / "argument_specs.yml")["argument_specs"]["main"].get("options", {})
        if name in options:
            # A role may do without it altogether, where another can't.
            found[role.name] = without_descriptions({name: {key: value for key, value in options[name].items() if key != "required"}})
    assert len({str(options) for options in found.values()}) <= 1, found


def undescribed(options: dict, path: str = "") -> list[str]:
    found = []
    for name, option in options.items():
        if not option.get("description"):
            found.append(path + name)
        found += undescribed(option.get("options", {}), f"{path}{name}.")
    return found


@pytest.mark.parametrize("role", ROLES, ids=names(ROLES))
def test_a_role_s_options_are_described(role: pathlib.Path) -> None:
    for entry in read(role / "meta" / "argument_specs.yml")["argument_specs"].values():
        assert entry.get("short_description")
        assert undescribed(entry.get("options", {})) == []


def options_of(options: dict, path: str = "") -> list[tuple[str, dict]]:
    found = [(f"{path}{name}", option) for name, option in options.items()]
    return found + [nested for name, option in options.items() for nested in options_of(option.get("options", {}), f"{path}{name}.")]


def test_no_secret_has_a_default() -> None:
    """A password that stands in public is none. The lab's hosts, and those of the tests, are reached by this machine only."""
    secret = re.compile(r"(password|passphrase|secret|secret_key|(management|database|access)_key|token)$")
    given = [
        f"{role.name}: {path}"
        for role in ROLES
        for entry in read(role / "meta" / "argument_specs.yml")["argument_specs"].values()
        for path, option in options_of(entry.get("options", {}))
        if secret.search(path) and option.get("default")
    ]
    public = [path for path in public_files() if path.parts[len(ROOT.parts)] in ("inventories", "docs", "README.md", "roles", "playbooks")]
    given += [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in public
        if path.suffix in (".yml", ".md") and not path.is_relative_to(ROOT / "inventories" / "lab")
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"vault_\w+\s*\|\s*default\b|^\s*(- )?\w*(password|secret|secret_key|management_key|database_key):\s*(?!\"\{\{)[^\s#{&…]", line)
    ]
    assert given == []


# Tests of something else than one file of the plugins, and of what.
OF_MANY = {
    "test_examples.py": "the examples in docs and modules",
    "test_house.py": "the whole collection",
    "test_bench.py": "tests/bench",
    "test_writer.py": "tests/tools/writer",
    "test_pure.py": "what planners of every kind come to",
    "test_action_groups.py": "meta/runtime.yml",
    "test_secret_results.py": "modules that return secrets",
    "test_distributions.py": "what roles say for each distribution",
    "test_limit.py": "playbooks that are run on some hosts only",
    "test_addresses.py": "what roles' variables come to",
    "ceph/test_alone.py": "the lock by which only one run is at work on a host",
    "cloudstack/test_catalogue.py": "networks, templates and users, which are planned alike",
    "xen/test_site.py": "XenServer's pools in the playbook of a whole site",
    "xen/test_scripts.py": "the hotplug scripts of the role xen_host",
}


def test_a_test_lies_where_its_subject_does() -> None:
    """tests/unit/ceph/test_pools.py is of module_utils/_ceph/pools.py, tests/unit/filter/test_x.py of filter/x.py, and tests/unit/test_plan.py of _plan.py."""
    lost = []
    for path in sorted((ROOT / "tests" / "unit").rglob("test_*.py")):
        place = path.relative_to(ROOT / "tests" / "unit")
        folder, name = str(place.parent), place.name[len("test_") :]
        within = ROOT / "plugins" / "module_utils"
        subjects = [within / f"_{name}"] if folder == "." else [within / f"_{folder}" / name, *(ROOT / "plugins" / folder / one for one in (name, f"_{name}"))]
        if str(place) not in OF_MANY and not any(subject.exists() for subject in subjects):
            lost.append(str(place))
    assert lost == []


def test_no_two_scenarios_have_one_network() -> None:
    """Neither with each other, nor with the lab that anybody may have beside them, nor with the benchmarks'."""
    files = [(path.parts[-5], read(path)) for path in ROOT.glob("molecule/*/inventory/group_vars/all/*.yml")]
    scenarios = {name: str(variables["lab_network"]) for name, variables in files if "lab_network" in variables}
    assert set(scenarios) == {path.parents[1].name for path in ROOT.glob("molecule/*/inventory/hosts.yml")}
    (bench,) = re.findall(r'^NETWORK = "(.*)"$', (ROOT / "tests" / "bench" / "lab.py").read_text(encoding="utf-8"), re.MULTILINE)
    others = {"the lab": str(read(ROOT / "roles" / "lab" / "defaults" / "main.yml")["lab_network"]), "the benchmarks": f"{bench}.0/24"}
    networks = {name: ipaddress.ip_network(text) for name, text in {**others, **scenarios}.items()}
    assert not [pair for pair in itertools.combinations(networks, 2) if networks[pair[0]].overlaps(networks[pair[1]])]
    for name in scenarios:
        addresses = re.findall(r"ansible_host: ([0-9.]+)", (ROOT / "molecule" / name / "inventory" / "hosts.yml").read_text(encoding="utf-8"))
        assert all(ipaddress.ip_address(address) in networks[name] for address in addresses), name


# Roles that no scenario plays, since none has the group of their hosts, and where they are tested.
NOT_PLAYED = {"xen_pool": "tests/unit/xen/test_site.py"}


@pytest.mark.parametrize("role", ROLES, ids=names(ROLES))
def test_a_role_is_played_by_a_scenario(role: pathlib.Path) -> None:
    """By itself, or within the playbook of a whole site."""
    site = [ROOT / "playbooks" / "site.yml"] * (role.name not in NOT_PLAYED)
    files = [*site, *ROOT.glob("molecule/*/*.yml"), *ROOT.glob("molecule/*/tests/*.py")]
    played = any(re.search(rf"\bcephstack\.cloud\.{role.name}\b", path.read_text(encoding="utf-8")) for path in files)
    assert played != (role.name in NOT_PLAYED)
    assert (ROOT / NOT_PLAYED.get(role.name, "")).exists()


def test_no_more_than_forty_variables() -> None:
    """The operator's interface is a few structured variables; the lab's are not part of it."""
    every = {name for role in ROLES if role.name != "lab" for name in read(role / "meta" / "argument_specs.yml")["argument_specs"]["main"].get("options", {})}
    assert len(every) <= 40, sorted(every)


def test_files_say_their_licence() -> None:
    unmarked = []
    for path in public_files():
        if path.suffix in (".py", ".yml", ".yaml", ".sh", ".j2") and path.name != "changelog.yaml":
            text = path.read_text(encoding="utf-8")
            if text and "SPDX-License-Identifier: GPL-3.0-or-later" not in text[:600]:
                unmarked.append(str(path.relative_to(ROOT)))
    assert unmarked == []


def test_facts_are_read_by_their_own_name() -> None:
    """Facts as top-level variables end with ansible-core 2.24."""
    injected = re.compile(r"(?<![\w'\"\[.])ansible_(distribution|os_family|default_ipv4|memtotal_mb|processor|hostname|architecture|interfaces|all_ipv4)\w*")
    wrong = []
    for path in [*ROOT.glob("roles/**/*.yml"), *ROOT.glob("roles/**/*.j2"), *PLAYBOOKS]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if injected.search(line):
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert wrong == []


def test_the_engine_knows_neither_ansible_nor_a_provider() -> None:
    source = (ROOT / "plugins" / "module_utils" / "_plan.py").read_text(encoding="utf-8")
    imported = {alias.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)}
    assert imported <= {"__future__", "concurrent.futures", "dataclasses", "enum", "typing"}


@pytest.mark.parametrize(
    "word",
    [
        r"^ *(import|from) subprocess\b",  # it gives programs the environment, and secrets by memory
        r"\b(Lock|RLock|Semaphore|Condition)\(|\bflock\b",  # what bounds changes is a lane of the engine
        r"\b(mkstemp|fdopen|fchmod)\b",  # files are written whole, with their mode from the first byte
    ],
    ids=["programs", "locks", "files"],
)
def test_the_ground_floor_does_it_for_all(word: str) -> None:
    own = [path for path, folder in SHARED.items() if not path.is_relative_to(folder / "_host")]
    assert [str(path) for path in own if re.search(word, path.read_text(encoding="utf-8"), re.MULTILINE)] == []


# Fields with a secret's name that hold none, and what they hold.
NO_SECRETS = {
    "_apt.Repository.key": "the public key that signs its packages",
    "_ceph/pools.Field.key": "how Ceph names what can be set of a pool",
    "_ceph/s3.Credentials.access_key": "a user's name, which each request shows",
    "_ceph/s3_objects.Object.key": "an object's name",
    "_libvirt/xml.Guest.secret": "the UUID of libvirt's secret",
    "_libvirt/xml.RbdPool.secret": "the UUID of libvirt's secret",
}


def test_a_secret_in_a_record_cannot_be_printed() -> None:
    """A field named like a secret is a Secret, not text: whatever shows the record, a traceback too, does not show it."""
    secret = re.compile(r"(^|_)(key|secret|password|passphrase|token|psk)s?$")
    plain = set()
    for path, folder in SHARED.items():
        for record in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(record, ast.ClassDef) and re.search("dataclass|NamedTuple", " ".join(map(ast.unparse, [*record.decorator_list, *record.bases]))):
                plain |= {
                    f"{path.relative_to(folder).with_suffix('')}.{record.name}.{field.target.id}"
                    for field in record.body
                    if isinstance(field, ast.AnnAssign)
                    and isinstance(field.target, ast.Name)
                    and secret.search(field.target.id)
                    # of a mapping, what it leads to
                    and re.search(r"\b(str|bytes)\b", re.sub(r"(Mapping|dict|Dict)\[\w+, ", "", ast.unparse(field.annotation)))
                }
    assert plain == set(NO_SECRETS)


def test_a_private_variable_that_is_used_is_set_somewhere() -> None:
    """One that is not fails where it is evaluated, which may be in check mode only."""
    text = "\n".join(path.read_text(encoding="utf-8") for folder in ("roles", "playbooks") for path in sorted((ROOT / folder).rglob("*.yml")))
    is_set = set(re.findall(r"(?:^ *|register: |loop_var: |index_var: |\bset )(__[a-z]\w+)(?=:|$|[ ,])", text, re.M))
    assert set(re.findall(r"\b__[a-z]\w+", text)) - is_set == set()


def test_a_private_variable_stays_in_its_role() -> None:
    """It begins with __ and the name of its role. What others need of a role is public: a variable, or an entry point, that is specified."""
    used = set()
    for path in [path for folder in ("roles", "playbooks") for ending in ("yml", "j2") for path in (ROOT / folder).rglob(f"*.{ending}")]:
        place = path.relative_to(ROOT).parts
        user = place[1] if place[0] == "roles" else "playbooks"
        for name in re.findall(r"(?<!\w)__[a-z]\w*", path.read_text(encoding="utf-8")):
            owner = max((role.name for role in ROLES if name.startswith(f"__{role.name}_")), key=len, default="nobody")
            used |= {(name, user)} if owner != user else set()
    assert sorted(used) == []


def test_what_a_role_offers_to_others_is_specified() -> None:
    """Its entry points, and its public variables: those that are given to it are options, and those that it sets are named in a description."""
    specs = {role.name: yaml.safe_load((role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"] for role in ROLES}
    texts = [path.read_text(encoding="utf-8") for folder in ("roles", "playbooks") for path in (ROOT / folder).rglob("*.yml")]
    texts += [path.read_text(encoding="utf-8") for path in ROOT.glob("molecule/*/tests/*.py")]
    entered = {found for text in texts for found in re.findall(r"cephstack\.cloud\.(\w+)\"?,?\s+\"?tasks_from\"?: \"?(\w+)", text)}
    assert len(entered) > 8
    assert sorted(point for point in entered if point[1] not in specs[point[0]]) == []
    for role in ROLES:
        said = {name for point in specs[role.name].values() for text in point["description"] for name in re.findall(r"C\((\w+)\)", text)}
        given = {name for point in specs[role.name].values() for name in point.get("options") or {}}
        public = {file: set(yaml.safe_load(path.read_text()) or ()) if (path := role / file / "main.yml").exists() else set() for file in ("defaults", "vars")}
        assert sorted(public["defaults"] - given) == []
        assert sorted(name for name in public["vars"] - said if not name.startswith("__")) == []


def test_what_is_shared_imports_in_no_circle() -> None:
    """Neither at run time nor for types: a file knows only what is below it."""
    package = "ansible_collections.cephstack.cloud.plugins"
    files = {".".join([package, *path.relative_to(ROOT / "plugins").with_suffix("").parts]).replace(".__init__", ""): path for path in SHARED}
    below: dict[str, set[str]] = {}
    for name, path in files.items():
        froms = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom)]
        assert not any(node.level for node in froms), f"{path.name}: Ansible ships only what is imported by its whole name"
        modules = {f"{node.module}.{alias.name}" for node in froms for alias in node.names} | {str(node.module) for node in froms}
        below[name] = modules & set(files) - {name}
    # Whatever imports none of those that are left, or is imported by none, is in no circle.
    left: set[str] = set()
    smaller = set(below)
    while smaller != left:
        left = smaller
        imported = set().union(*(below[name] for name in left))
        smaller = {name for name in left & imported if below[name] & left}
    assert not left, "import circles: " + ", ".join(sorted(name.replace(f"{package}.", "") for name in left))


def test_the_walks_that_are_written_down_are_those_of_the_code() -> None:
    """At most ten stays each, and each is a function that there is."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Two walks")[2].partition("\n## ")[0]
    walks = [re.findall(r"^\d+\. .*", walk, re.MULTILINE) for walk in text.split("\n\n")]
    assert [len(walk) for walk in walks if walk] == [10, 10]
    for path, name in re.findall(r"`([\w/]+\.py):(\w+)`", text):
        file = next(ROOT / "plugins" / folder / path for folder in ("module_utils", "modules") if (ROOT / "plugins" / folder / path).exists())
        functions = {node.name for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)}
        assert name in functions, f"{path} has no function {name}"
