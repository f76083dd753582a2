# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What planning an OpenStack's catalogue writes on, and how a thing of an API is planned: a kind of things is data, a Sort with its fields.

PRIVATE to the collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils import _plan
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.lists import Cloud, Row, noun
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Place, Risk, differing, named

Item = t.Mapping[str, t.Any]

KINDS = (
    "cell_host", "endpoint", "flavor", "grant", "image", "keypair", "network", "project", "qos", "quota", "region", "role", "router", "security_group",
    "service", "subnet", "user", "volume_type",
)  # fmt: skip
_Read = t.Callable[[t.Any], t.Any]


def _same(value: t.Any) -> t.Any:
    return value


class Field(t.NamedTuple):
    """One option of a thing: what it is called in a list and in what is sent.

    fixed: it cannot be changed later. read: a list's value, as it is compared. want: the declared value, as it is compared. send: as the API takes it.
    ref: the list whose names the option has, and whose ids the API.
    """

    option: str
    member: str
    fixed: bool = False
    read: _Read = _same
    want: _Read = _same
    send: _Read = _same
    ref: str = ""


def fields(names: str, fixed: str = "", **called: t.Union[str, tuple[str, str], Field]) -> t.Tuple[Field, ...]:
    """The fields of some options, in their order. called: those of which the API has another key; a pair is the key and the list whose ids it has.
    fixed: those that cannot be changed."""
    found = []
    for option in names.split():
        known = called.get(option, option)
        if isinstance(known, str):
            known = Field(option, known)
        elif not isinstance(known, Field):
            known = Field(option, known[0], ref=known[1])
        found.append(known._replace(fixed=known.fixed or option in fixed.split()))
    return tuple(found)


def or_empty(option: str, key: str = "") -> Field:
    """A text, which is not there if it is empty."""
    return Field(option, key or option, read=lambda value: value or "")


class Sort(t.NamedTuple):
    """A kind of things of one API.

    word: its list, and the option. noun: what a thing is within a body. update: the method. loss: what is lost with one that is deleted, "" where nothing is.
    named: what its name is called.
    """

    kind: str
    word: str
    api: str
    path: str
    noun: str
    fields: t.Tuple[Field, ...]
    update: str = "PATCH"
    loss: str = ""
    named: str = "name"

    def observed(self, row: Row, cloud: Cloud) -> dict[str, t.Any]:
        """A row of the list as an operator would have declared it."""
        return {one.option: cloud.name(one.ref, row.get(one.member)) if one.ref else one.read(row.get(one.member)) for one in self.fields}

    def desired(self, item: Item) -> dict[str, t.Any]:
        """What is declared; what is left out is not compared."""
        return {one.option: one.want(item[one.option]) for one in self.fields if item.get(one.option) is not None}

    def body(self, values: Item, cloud: Cloud) -> dict[str, t.Any]:
        """Values of options as the API takes them."""
        given = [one for one in self.fields if one.option in values]
        return {one.member: cloud.id(one.ref, values[one.option]) if one.ref and values[one.option] else one.send(values[one.option]) for one in given}


class Draft(_plan.Draft):
    """What planning writes on. declaration: the module's parameters, whole, for kinds that must know of another."""

    def __init__(self, declaration: Item, prefix: str = "") -> None:
        super().__init__(prefix, KINDS)
        self.declaration = declaration

    def each(
        self, word: str, declared: t.Iterable[Item], find: t.Callable[[Item, Place], t.Optional[Row]], key: str = "name"
    ) -> t.Iterator[tuple[Place, Item, t.Optional[Row]]]:
        """Where each thing is declared, itself, and its row."""
        for number, item in enumerate(declared):
            here = Place(named(f"{self.prefix}{word}", number, item, key), self.problem)
            yield here, item, find(item, here)

    def known(self, word: str, cloud: Cloud) -> set[str]:
        """The names that there are, or that are declared to be."""
        declared = list(self.declaration.get(word) or ())
        gone = {item["name"] for item in declared if item.get("state") == "absent"}
        return ({str(row["name"]) for row in cloud.rows(word)} | {item["name"] for item in declared}) - gone

    def refer(self, here: Place, item: Item, word: str, names: t.Iterable[t.Optional[str]], cloud: Cloud) -> None:
        """Note names of another kind that are neither there nor declared, and that a thing needs which is to be there."""
        for name in dict.fromkeys(filter(None, names)) if item["state"] != "absent" and not cloud.empty else ():
            if name not in self.known(word, cloud):
                here.refuse(True, f"there is no {noun(word)} {name}, and none is declared: declare it, or correct the name")

    def thing(
        self,
        sort: Sort,
        name: str,
        item: Item,
        row: t.Optional[Row],
        cloud: Cloud,
        needs: t.Iterable[str] = (),
        more: t.Callable[[], Item] = dict,
        besides: t.Optional[tuple[Item, Item]] = None,
        settle: t.Callable[[str, Item, Item], None] = lambda id_, before, after: None,
        id_: str = "",
        hide: t.Optional[Item] = None,
        clear: t.Callable[[], None] = lambda: None,
    ) -> None:
        """Plan one thing of a sort, which is to be there or not.

        more: what its body has when it is made, besides its name and what is declared. besides: what else is compared, as it is and as it is desired, which
        settle sets: it is given the thing's id and both sides. id_: the change's, by default the name. hide: shown only when it is made.
        clear: what must be done before one is deleted.
        """
        extra, wanted = besides or ({}, {})
        before = None if row is None else {**sort.observed(row, cloud), **extra}
        after = None if item["state"] == "absent" else {**sort.desired(item), **wanted}
        change, needs, existing = id_ or name, frozenset(needs), row or {}

        def create() -> None:
            body = {sort.named: name, **sort.body(after or {}, cloud), **more()}
            made = cloud.made(sort.word, cloud.client.call(sort.api, "POST", sort.path, {sort.noun: body})[sort.noun])
            if wanted:
                settle(str(made["id"]), {}, wanted)

        def delete() -> None:
            clear()
            cloud.client.call(sort.api, "DELETE", f"{sort.path}/{existing['id']}")

        def update(differs: Item) -> None:
            body = sort.body({key: value for key, value in differs.items() if key not in wanted}, cloud)
            if body:
                cloud.client.call(sort.api, sort.update, f"{sort.path}/{existing['id']}", {sort.noun: body})
            if set(differs) & set(wanted):
                settle(str(existing["id"]), extra, {key: wanted[key] for key in differs if key in wanted})

        def replace() -> None:
            delete()
            create()

        if before is None and after is not None:
            self.ensure(sort.kind, change, None, {**after, **(hide or {})}, create, needs=needs)
        elif before is not None and after is None:
            shown = {key: value for key, value in before.items() if value not in (None, [], {}, False, "")}
            risk = Risk.LOSS if sort.loss else Risk.NONE
            self.ensure(sort.kind, change, shown, None, delete, needs=needs, risk=risk, reason=sort.loss)
        elif before is not None and after is not None:
            left, right = differing(before, after)
            fixed = [one.option for one in sort.fields if one.fixed and one.option in right]
            if fixed:
                told = "; ".join(f"{key} is {left[key]}, and {right[key]} is declared" for key in fixed)
                reason = f"{told}. That cannot be changed: it would be deleted and made anew{f', and with it {sort.loss}' if sort.loss else ''}"
                self.ensure(sort.kind, change, left, right, replace, needs=needs, risk=Risk.LOSS, reason=reason)
            else:
                self.ensure(sort.kind, change, before, after, update=update, needs=needs)


def names_wrong(declared: t.Sequence[Item], where: str, key: str = "name") -> t.Iterator[tuple[Place, Item, list[str]]]:
    """Where each declared thing is, itself, and the list that takes what is wrong with it: a name that is empty or declared twice is in it."""
    seen: set[str] = set()
    for number, item in enumerate(declared):
        found: list[str] = []
        here = Place(named(where, number, item, key), found.append)
        here.refuse(not str(item[key]).strip(), f"the {key} is empty")
        here.refuse(item[key] in seen, f"the {key} is declared twice: keep one of them")
        seen.add(item[key])
        yield here, item, found


def pairs_as_sent(values: t.Optional[Item]) -> dict[str, str]:
    """Names and values of further properties, as APIs keep them: text."""
    return {str(key): str(value).lower() if isinstance(value, bool) else str(value) for key, value in (values or {}).items()}


def set_pairs(cloud: Cloud, api: str, path: str, before: Item, after: Item) -> None:
    """Bring properties that an API keeps by name, with a call for all that differ and one for each that goes."""
    differ = {key: value for key, value in after.items() if before.get(key) != value}
    if differ:
        cloud.client.call(api, "POST", path, {"extra_specs": differ})
    for key in sorted(set(before) - set(after)):
        cloud.client.call(api, "DELETE", f"{path}/{key}")
