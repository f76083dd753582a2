# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine: observe, plan, apply, observe again.

Everything in this collection that changes something goes through here, so that check mode, the diff, the drift
report and the real run are one code path. Nothing in this file knows Ansible or any provider.

PRIVATE to the collection.
"""

from __future__ import annotations

import dataclasses
import enum
import typing as t
from concurrent.futures import ThreadPoolExecutor

HIDDEN = "********"
AT_ONCE = 32  # changes of no lane that are applied side by side


class Invalid(Exception):
    """What was declared cannot be done. Carries every problem found, never only the first."""

    def __init__(self, problems: t.Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


class Unreachable(Exception):
    """The thing could not be asked. Never to be read as "it is not there"."""


class Secret:
    """A value that is compared but never shown."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself, for the one call that needs it."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__


class Risk(str, enum.Enum):
    """What a change can cost, from nothing to data."""

    NONE = "none"
    RESTART = "restart"
    MOVEMENT = "movement"
    LOSS = "loss"


class Lane(t.NamedTuple):
    """Changes of which not more than some are applied at once, whatever else is."""

    name: str
    at_once: int = 1


@dataclasses.dataclass(frozen=True)
class Change:
    """One difference between what is and what should be, and how to mend it.

    kind and name: together the id, "pool/images".
    action: create, update or delete.
    before, after: what a person compares; dicts hold only the keys that differ. None where the object is not there.
    apply: does it; called at most once, possibly in a thread beside others of the same stage.
    risk, reason: what it costs and why; a change of risk LOSS is refused unless allow_loss names its id.
    moved_bytes: data that will move, where it is known.
    needs: ids of changes that must have been applied before this one. Ids that are not in the plan are already so.
    lane: where it waits for its turn; none where nothing bounds how many are applied at once.
    batch: the name of what is applied by one call: of the changes of a stage that have the same, apply of the first does it for all.
    """

    kind: str
    name: str
    action: str
    before: t.Any
    after: t.Any
    apply: t.Callable[[], t.Any] = dataclasses.field(repr=False, compare=False)
    risk: Risk = Risk.NONE
    reason: str = ""
    moved_bytes: t.Optional[int] = None
    needs: t.FrozenSet[str] = frozenset()
    lane: t.Optional[Lane] = None
    batch: str = ""

    @property
    def id(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclasses.dataclass(frozen=True)
class Failure:
    """A change that did not succeed: its id and what was said."""

    id: str
    message: str


class Plan:
    """The changes that lead from what is to what should be. lane: that of the changes that name none."""

    def __init__(self, changes: t.Iterable[Change] = (), warnings: t.Iterable[str] = (), lane: t.Optional[Lane] = None) -> None:
        self.changes = [change if change.lane or lane is None else dataclasses.replace(change, lane=lane) for change in changes]
        self.warnings = list(warnings)
        seen: set[str] = set()
        for change in self.changes:
            if change.id in seen:
                raise ValueError(f"two changes of {change.id} in one plan")
            seen.add(change.id)

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __len__(self) -> int:
        return len(self.changes)

    def stages(self) -> list[list[Change]]:
        """Return the changes in stages: those of one stage are independent of each other.

        Raises ValueError where changes wait for each other.
        """
        waiting = {change.id: change for change in self.changes}
        stages: list[list[Change]] = []
        while waiting:
            ready = [change for change in waiting.values() if not any(need in waiting for need in change.needs if need != change.id)]
            if not ready:
                raise ValueError("changes wait for each other: " + ", ".join(sorted(waiting)))
            stages.append(ready)
            for change in ready:
                del waiting[change.id]
        return stages

    def refusals(self, allow_loss: t.Collection[str] = ()) -> list[str]:
        """Return one sentence for each change of risk LOSS whose id is not in allow_loss."""
        return [
            f"{change.action} {change.id}: {change.reason or 'data would be lost'}. To allow it, name it in allow_loss: {change.id}"
            for change in self.changes
            if change.risk is Risk.LOSS and change.id not in allow_loss
        ]

    def diff(self) -> list[dict[str, t.Any]]:
        """Return an Ansible diff: one entry a change, secrets hidden on both sides."""
        entries = []
        for change in self.changes:
            before, after = redact(change.before, change.after)
            entries.append(
                {
                    "before_header": change.id,
                    "after_header": change.id if change.action == "update" else f"{change.id} ({change.action})",
                    "before": {} if before is None else before,
                    "after": {} if after is None else after,
                }
            )
        return entries

    def rows(self) -> list[dict[str, t.Any]]:
        """Return what a person reads of the plan: one flat dict a change, in the order of their stages."""
        rows = []
        for number, stage in enumerate(self.stages(), 1):
            for change in stage:
                row: dict[str, t.Any] = {"stage": number, "kind": change.kind, "name": change.name, "action": change.action, "risk": change.risk.value}
                if change.reason:
                    row["reason"] = change.reason
                if change.moved_bytes is not None:
                    row["moved_bytes"] = change.moved_bytes
                rows.append(row)
        return rows

    def to_json(self) -> list[dict[str, t.Any]]:
        """Return the whole plan as what JSON knows, secrets hidden; the same for the same changes, in whatever order they were planned."""
        entries = []
        for change in sorted(self.changes, key=lambda change: change.id):
            before, after = redact(change.before, change.after)
            entries.append(
                {
                    "kind": change.kind,
                    "name": change.name,
                    "action": change.action,
                    "risk": change.risk.value,
                    "reason": change.reason,
                    "moved_bytes": change.moved_bytes,
                    "needs": sorted(change.needs),
                    "lane": change.lane and change.lane.name,
                    "before": before,
                    "after": after,
                }
            )
        return entries

    def apply(self) -> list[Failure]:
        """Apply stage by stage, the changes of a stage side by side: those of a lane as many at once as it takes, of all others AT_ONCE.

        A stage with failures is finished, then nothing further is begun. Every failure is returned.
        """
        for stage in self.stages():
            lanes: dict[t.Optional[Lane], list[list[Change]]] = {}
            for batch in _batches(stage):
                lanes.setdefault(batch[0].lane, []).append(batch)
            # Lanes first: what must wait for its turn takes longest.
            order = sorted(lanes, key=lambda lane: lane is None)
            runs = [lanes[lane] for lane in order for _turn in range(max(1, min(lane.at_once if lane else AT_ONCE, len(lanes[lane]))))]
            with ThreadPoolExecutor(max_workers=len(runs)) as pool:
                found = {failure.id: failure for failures in pool.map(_attempt_each, runs) for failure in failures}
            if found:
                return [found[change.id] for change in stage if change.id in found]
        return []


def _batches(stage: t.Sequence[Change]) -> list[list[Change]]:
    """The changes of a stage, those together that one call applies."""
    batches: dict[str, list[Change]] = {}
    for change in stage:
        batches.setdefault(f"batch {change.batch}" if change.batch else change.id, []).append(change)
    return list(batches.values())


def _attempt_each(waiting: list[list[Change]]) -> list[Failure]:
    """Apply one batch after the other until none is left; several may do so with the same ones at once."""
    failures: list[Failure] = []
    while True:
        try:
            batch = waiting.pop(0)
        except IndexError:  # looking first whether there is one would not be safe
            return failures
        try:
            batch[0].apply()
        except Exception as error:  # every failure is kept and told with its objects' names
            ids = ", ".join(change.id for change in batch)
            failures.append(Failure(batch[0].id, f"{batch[0].action} {ids}: {str(error) or type(error).__name__}"))


def redact(before: t.Any, after: t.Any) -> tuple[t.Any, t.Any]:
    """Return both sides fit to be shown. A secret that differs is still seen to differ.

    What stands opposite a secret is hidden too, whatever its type: most likely it is the old one, or the new one.
    """
    if isinstance(before, Secret) or isinstance(after, Secret):
        differs = isinstance(before, Secret) and isinstance(after, Secret) and before != after
        return None if before is None else HIDDEN, None if after is None else HIDDEN + " (another)" if differs else HIDDEN
    if isinstance(before, dict) and isinstance(after, dict):
        pairs = {key: redact(before.get(key), after.get(key)) for key in {**before, **after}}
        return {key: pairs[key][0] for key in before}, {key: pairs[key][1] for key in after}
    if isinstance(before, (list, tuple)) and isinstance(after, (list, tuple)) and len(before) == len(after):
        both = [redact(left, right) for left, right in zip(before, after)]
        return [pair[0] for pair in both], [pair[1] for pair in both]
    return _hide(before), _hide(after)


def _hide(value: t.Any) -> t.Any:
    if isinstance(value, Secret):
        return HIDDEN
    if isinstance(value, dict):
        return {key: _hide(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_hide(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((_hide(item) for item in value), key=str)
    return value


def differing(before: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any]) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """Return both sides cut down to the keys of after whose values differ."""
    keys = [key for key in after if key not in before or before[key] != after[key]]
    return {key: before.get(key) for key in keys}, {key: after[key] for key in keys}


def named(where: str, number: int, item: t.Mapping[str, t.Any], key: str = "name") -> str:
    """Where a thing of a list was declared: zones[0] (zone1)."""
    return f"{where}[{number}] ({item.get(key)})"


class Place(str):
    """Where something is declared, as a person reads it. note: what takes a problem that is found with it."""

    note: t.Callable[[str], None]

    def __new__(cls, where: str, note: t.Callable[[str], None]) -> Place:
        place = super().__new__(cls, where)
        place.note = note
        return place

    def refuse(self, wrong: t.Any, text: str) -> bool:
        """Note a problem where something is wrong. Returns whether it is."""
        if wrong:
            self.note(f"{self}: {text}")
        return bool(wrong)


class Draft:
    """What planning writes on: changes, problems and warnings.

    prefix: what stands before an option's name in messages.
    kinds: those that there are, so that a misspelt one is a defect and not a need that nothing meets; any where none are given.
    """

    def __init__(self, prefix: str = "", kinds: t.Collection[str] = ()) -> None:
        self.prefix = prefix
        self.kinds = frozenset(kinds)
        self.changes: list[Change] = []
        self.problems: list[str] = []
        self.warnings: list[str] = []

    def problem(self, text: str) -> None:
        """Note what makes the plan invalid."""
        if text not in self.problems:
            self.problems.append(text)

    def warn(self, text: str) -> None:
        """Note what the operator should know."""
        if text not in self.warnings:
            self.warnings.append(text)

    def add(self, change: Change) -> None:
        """Plan a change that is complete."""
        self.changes.append(change)

    def ensure(
        self,
        kind: str,
        name: str,
        current: t.Optional[t.Mapping[str, t.Any]],
        desired: t.Optional[t.Mapping[str, t.Any]],
        apply: t.Optional[t.Callable[[], t.Any]] = None,
        update: t.Optional[t.Callable[[dict[str, t.Any]], t.Any]] = None,
        needs: t.Iterable[str] = (),
        **more: t.Any,
    ) -> None:
        """Plan what makes the current state the desired one: create, update, delete, or nothing. None: the object is not there, or is not to be.

        An update has only the keys of desired that differ. apply: does it; update: the same for an update, given what differs.
        more: what else a Change has.
        """
        before = None if current is None else dict(current)
        after = None if desired is None else dict(desired)
        action = "create" if before is None else "delete" if after is None else "update"
        if before is not None and after is not None:
            before, after = differs = differing(before, after)
            apply = (lambda: update(differs[1])) if update else apply
            if not after:
                return
        elif before is after:
            return
        if apply is None:
            raise TypeError(f"nothing says how to {action} {kind}/{name}")
        self.add(Change(kind, name, action, before, after, apply, needs=frozenset(needs), **more))

    def ids(self, *kinds: str, begin: str = "", action: t.Optional[str] = None) -> t.FrozenSet[str]:
        """The ids of the changes of some kinds that are planned so far: those whose name begins so, those of one action."""
        self._check(kinds)
        return frozenset(change.id for change in self.changes if change.kind in kinds and change.name.startswith(begin) and action in (None, change.action))

    def plan(self, lane: t.Optional[Lane] = None) -> Plan:
        """The plan. lane: that of the changes that name none. Raises Invalid with all problems."""
        if self.problems:
            raise Invalid(self.problems)
        self._check(id_.partition("/")[0] for change in self.changes for id_ in (change.id, *change.needs))
        return Plan(self.changes, self.warnings, lane)

    def _check(self, kinds: t.Iterable[str]) -> None:
        unknown = set(kinds) - self.kinds if self.kinds else ()
        if unknown:
            raise ValueError(f"there is no kind {', '.join(sorted(unknown))}")


class Provider(t.Protocol):
    """What a noun must offer to be reconciled."""

    def observe(self) -> t.Any:
        """Read what is, whole and once. Raises Unreachable; never reads an error as an absence."""

    def plan(self, observed: t.Any) -> Plan:
        """Compare, without touching anything. Raises Invalid with every problem found."""

    def returned(self, observed: t.Any) -> dict[str, t.Any]:
        """Return what the module gives back besides changed, changes and diff. No secrets."""


class Module(t.Protocol):
    """What the engine uses of AnsibleModule."""

    check_mode: bool
    no_log: bool

    def exit_json(self, **result: t.Any) -> t.NoReturn: ...

    def fail_json(self, msg: str, **result: t.Any) -> t.NoReturn: ...

    def warn(self, warning: str) -> None: ...


def require_no_log(module: Module, what: str) -> None:
    """End a module whose result would show a secret, before it has read one. what: what is returned in clear."""
    if not module.no_log:
        module.fail_json(msg=f"{what} would be shown in clear to all who see this run or its logs: set no_log: true on this task. Nothing was read.")


class Together:
    """Several providers as one: observed in their order, planned and applied as one plan, in which the changes of one may wait for another's."""

    def __init__(self, providers: t.Sequence[Provider]) -> None:
        self.providers = list(providers)

    def observe(self) -> list[t.Any]:
        """Read each of them."""
        return [provider.observe() for provider in self.providers]

    def plan(self, observed: t.Any) -> Plan:
        """Compare each of them. Raises Invalid with the problems of all."""
        plans: list[Plan] = []
        problems: list[str] = []
        for provider, seen in zip(self.providers, observed):
            try:
                plans.append(provider.plan(seen))
            except Invalid as error:
                problems += error.problems
        if problems:
            raise Invalid(problems)
        return Plan([change for plan in plans for change in plan.changes], [warning for plan in plans for warning in plan.warnings])

    def returned(self, observed: t.Any) -> dict[str, t.Any]:
        """Return what all of them give back."""
        return {key: value for provider, seen in zip(self.providers, observed) for key, value in provider.returned(seen).items()}


@dataclasses.dataclass
class Outcome:
    """What came of a reconciliation.

    error: why it failed, all of it in one text; "" where it did not.
    plan: what was changed, or would be; None where none could be made. diff: that of the plan, or of what was left to do afterwards.
    problems, refused, failures: what error says, one text for each; None where it is of another kind.
    returned: what the provider gives back.
    """

    error: str = ""
    plan: t.Optional[Plan] = None
    diff: t.Sequence[t.Mapping[str, t.Any]] = ()
    problems: t.Optional[list[str]] = None
    refused: t.Optional[list[str]] = None
    failures: t.Optional[list[str]] = None
    returned: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def stopped(cls, error: t.Union[Invalid, Unreachable]) -> Outcome:
        """That of one that ended before there was a plan."""
        return cls("; ".join(error.problems), problems=error.problems) if isinstance(error, Invalid) else cls(str(error))

    def then(self, attempt: t.Callable[[], Outcome]) -> Outcome:
        """This one, and after it another, as one; the other is not begun if this one failed. For what can only be observed once the first is applied, of
        which nothing can be lost. attempt: may raise Invalid and Unreachable as a reconciliation does."""
        if self.error:
            return self
        try:
            other = attempt()
        except (Invalid, Unreachable) as error:
            other = Outcome.stopped(error)
        first = self.plan or Plan()
        ids = {change.id for change in first.changes}
        # Of the first none waits for the other's. What both plan, as in check mode the reload of a service that both find to be due, is done by the first.
        before = [dataclasses.replace(change, needs=change.needs & ids) for change in first.changes]
        then = [dataclasses.replace(change, needs=change.needs | ids) for change in (other.plan or Plan()).changes if change.id not in ids]
        plan = Plan([*before, *then], [*first.warnings, *other.warnings])
        return dataclasses.replace(other, plan=plan, diff=[*self.diff, *other.diff], returned={**self.returned, **other.returned})

    @property
    def changed(self) -> bool:
        """Whether something was changed, or would be."""
        return bool(self.plan) and not self.refused

    @property
    def warnings(self) -> list[str]:
        """What the operator should know."""
        return self.plan.warnings if self.plan is not None else []

    def result(self) -> dict[str, t.Any]:
        """What Ansible is given besides the error: changed, changes (Plan.rows), diff (Plan.diff) and what the provider gives back."""
        result: dict[str, t.Any] = {key: getattr(self, key) for key in ("problems", "refused", "failures") if getattr(self, key) is not None}
        if self.plan is not None:
            result["changes"] = self.plan.rows()
        if self.plan is not None and not self.refused:
            result.update(changed=self.changed, diff=self.diff)
        return {**result, **self.returned}


def reconcile(provider: Provider, check_mode: bool = False, allow_loss: t.Collection[str] = ()) -> Outcome:
    """Bring what is to what should be, and prove it: a second plan must be empty."""
    try:
        observed = provider.observe()
        plan = provider.plan(observed)
    except (Invalid, Unreachable) as error:
        return Outcome.stopped(error)
    diff = plan.diff()
    refused = plan.refusals(allow_loss)
    if refused:
        return Outcome("refused, nothing was changed: " + "; ".join(refused), plan, diff, refused=refused)
    if check_mode or not plan:
        return Outcome("", plan, diff, returned=provider.returned(observed))
    failures = [failure.message for failure in plan.apply()]
    if failures:
        return Outcome("; ".join(failures), plan, diff, failures=failures)
    try:
        observed = provider.observe()
        left = provider.plan(observed)
    except (Invalid, Unreachable) as error:
        return Outcome(f"changed, but could not be proven: {error}", plan, diff)
    if left:
        return Outcome("applied, but these did not converge: " + ", ".join(change.id for change in left.changes), plan, left.diff())
    return Outcome("", plan, diff, returned=provider.returned(observed))


def run_module(module: Module, provider: Provider, allow_loss: t.Collection[str] = ()) -> t.NoReturn:
    """Reconcile, and end the module with what came of it."""
    end_module(module, reconcile(provider, module.check_mode, allow_loss))


def end_module(module: Module, outcome: Outcome) -> t.NoReturn:
    """End the module with what came of it."""
    for warning in outcome.warnings:
        module.warn(warning)
    if outcome.error:
        module.fail_json(msg=outcome.error, **outcome.result())
    module.exit_json(**outcome.result())


def run_action(action: t.Any, make: t.Callable[[], Provider], allow_loss: t.Collection[str] = ()) -> dict[str, t.Any]:
    """Reconcile in an action plugin, and return its result. make: gives the provider; may raise Invalid and Unreachable as that does."""
    try:
        outcome = reconcile(make(), bool(action._task.check_mode), allow_loss)
    except (Invalid, Unreachable) as error:
        outcome = Outcome.stopped(error)
    failed = {"failed": True, "msg": outcome.error} if outcome.error else {}
    return {**failed, **outcome.result(), **({"warnings": outcome.warnings} if outcome.warnings else {})}
