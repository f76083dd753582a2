# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine, to its last branch."""

from __future__ import annotations

import dataclasses
import json
import threading
import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils import _plan
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import (
    HIDDEN,
    Change,
    Draft,
    Failure,
    Invalid,
    Lane,
    Plan,
    Risk,
    Secret,
    Together,
    Unreachable,
    differing,
    reconcile,
    redact,
    require_no_log,
    run_action,
    run_module,
)


def change(name: str, apply: t.Callable[[], t.Any] = lambda: None, **more: t.Any) -> Change:
    return Change("pool", name, more.pop("action", "create"), more.pop("before", None), more.pop("after", {"size": 3}), apply, **more)


# -- secrets


def test_a_secret_is_compared_but_never_shown() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert "topsecret" not in f"{Secret('topsecret')} {Secret('topsecret')!r} {[Secret('topsecret')]}"
    assert Secret("topsecret").reveal() == "topsecret"


S, T = Secret("s"), Secret("t")


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (1, 2, (1, 2)),
        (S, S, (HIDDEN, HIDDEN)),
        (S, T, (HIDDEN, HIDDEN + " (another)")),
        (None, S, (None, HIDDEN)),
        (S, None, (HIDDEN, None)),
        ("s", S, (HIDDEN, HIDDEN)),
        ({"k": S}, {"k": T, "n": 1}, ({"k": HIDDEN}, {"k": HIDDEN + " (another)", "n": 1})),
        ({"k": S}, {}, ({"k": HIDDEN}, {})),
        ({}, {"k": S}, ({}, {"k": HIDDEN})),
        ({"k": {"deep": [S]}}, {"k": {"deep": [T]}}, ({"k": {"deep": [HIDDEN]}}, {"k": {"deep": [HIDDEN + " (another)"]}})),
        ([S, 1], [S], ([HIDDEN, 1], [HIDDEN])),
        ([{"a": [S, T]}], [{"a": [S]}], ([{"a": [HIDDEN, HIDDEN]}], [{"a": [HIDDEN]}])),
        ((S,), (T,), ([HIDDEN], [HIDDEN + " (another)"])),
        ([S], {"k": T}, ([HIDDEN], {"k": HIDDEN})),
        ({"k": ({"x": S},)}, None, ({"k": [{"x": HIDDEN}]}, None)),
        # A plain value on the side of a declared secret is the old secret, read from where it must not be shown either.
        ({"k": "old"}, {"k": S}, ({"k": HIDDEN}, {"k": HIDDEN})),
        ({"k": S}, {"k": "new"}, ({"k": HIDDEN}, {"k": HIDDEN})),
        ({"k": ["old"]}, {"k": S}, ({"k": HIDDEN}, {"k": HIDDEN})),
        ({S}, frozenset({T}), ([HIDDEN], [HIDDEN])),
    ],
)
def test_secrets_are_hidden_on_both_sides(before: t.Any, after: t.Any, shown: tuple[t.Any, t.Any]) -> None:
    assert redact(before, after) == shown


def test_a_dict_keeps_its_order_and_missing_keys_stay_missing() -> None:
    before, after = redact({"b": 1, "a": S}, {"c": S, "b": 2})
    assert list(before) == ["b", "a"]
    assert list(after) == ["c", "b"]


def test_differing_keeps_only_what_was_declared_and_differs() -> None:
    assert differing({"size": 3, "min_size": 1, "other": 0}, {"size": 3, "min_size": 2, "bulk": None}) == (
        {"min_size": 1, "bulk": None},
        {"min_size": 2, "bulk": None},
    )


# -- the draft


def drafted(current: t.Any, desired: t.Any, **more: t.Any) -> list[Change]:
    draft = Draft()
    draft.ensure("pool", "a", current, desired, lambda: "applied", **more)
    return draft.plan().changes


def test_a_draft_picks_what_is_to_be_done_and_cuts_an_update_to_what_differs() -> None:
    (created,) = drafted(None, {"size": 3})
    assert (created.id, created.action, created.before, created.after) == ("pool/a", "create", None, {"size": 3})
    (updated,) = drafted({"size": 3, "bulk": False, "other": 0}, {"size": 2, "bulk": False})
    assert (updated.action, updated.before, updated.after, updated.apply()) == ("update", {"size": 3}, {"size": 2}, "applied")
    (deleted,) = drafted({"size": 3}, None, risk=Risk.LOSS, reason="gone", needs=frozenset({"pool/b"}))
    assert (deleted.action, deleted.before, deleted.after) == ("delete", {"size": 3}, None)
    assert (deleted.risk, deleted.reason, deleted.needs) == (Risk.LOSS, "gone", {"pool/b"})


def test_what_is_as_it_should_be_is_no_change() -> None:
    assert drafted({"size": 3, "other": 0}, {"size": 3}) == []
    assert drafted(None, None) == []


def test_what_has_nothing_to_say_of_itself_is_made_and_taken_away_all_the_same() -> None:
    assert [change.action for change in drafted(None, {}) + drafted({}, None)] == ["create", "delete"]


def test_an_update_is_given_what_differs() -> None:
    (updated,) = drafted({"size": 3, "bulk": False}, {"size": 2, "bulk": False}, update=lambda differs: differs)
    assert updated.apply() == {"size": 2}
    (created,) = drafted(None, {"size": 2}, update=lambda differs: differs)
    assert created.apply() == "applied"


def test_a_change_that_nobody_could_apply_is_a_defect() -> None:
    with pytest.raises(TypeError, match="how to delete pool/a"):
        Draft().ensure("pool", "a", {"size": 3}, None)


def test_problems_and_warnings_are_said_once_and_problems_end_it() -> None:
    draft = Draft("ceph_cluster_")
    for text in ("3 hosts only", "3 hosts only", "no manager"):
        draft.warn(text)
    draft.add(change("a"))
    assert (draft.plan().changes, draft.plan().warnings, draft.prefix) == ([change("a")], ["3 hosts only", "no manager"], "ceph_cluster_")
    for text in ("size 9", "size 9", "size 8"):
        draft.problem(text)
    with pytest.raises(Invalid) as caught:
        draft.plan()
    assert caught.value.problems == ["size 9", "size 8"]


def test_a_draft_knows_the_ids_that_are_planned_so_far() -> None:
    draft = Draft()
    for one in (change("z1/a"), change("z2/a", action="delete"), Change("flag", "z1", "update", {}, {}, lambda: None)):
        draft.add(one)
    assert draft.ids("pool") == {"pool/z1/a", "pool/z2/a"}
    assert draft.ids("pool", "flag", begin="z1") == {"pool/z1/a", "flag/z1"}
    assert draft.ids("pool", action="delete") == {"pool/z2/a"}
    assert draft.ids() == frozenset()


def test_a_kind_that_there_is_not_is_a_defect() -> None:
    draft = Draft(kinds=["pool", "crush_rule"])
    draft.add(change("a", needs=frozenset({"crush_rule/there-already"})))
    assert len(draft.plan()) == 1
    with pytest.raises(ValueError, match="no kind delete"):
        draft.ids("pool", "delete")
    draft.add(change("b", needs=frozenset({"crush-rule/a"})))
    with pytest.raises(ValueError, match="no kind crush-rule"):
        draft.plan()


# -- stages


def test_changes_come_in_stages_by_what_they_need() -> None:
    plan = Plan([change("c", needs=frozenset({"pool/b"})), change("a"), change("b", needs=frozenset({"pool/a", "crush_rule/there-already"}))])
    assert [[one.name for one in stage] for stage in plan.stages()] == [["a"], ["b"], ["c"]]
    assert [(row["stage"], row["name"]) for row in plan.rows()] == [(1, "a"), (2, "b"), (3, "c")]


def test_independent_changes_are_one_stage_in_their_order() -> None:
    assert [[one.name for one in stage] for stage in Plan([change("b"), change("a")]).stages()] == [["b", "a"]]


def test_changes_that_wait_for_each_other_are_a_defect() -> None:
    plan = Plan([change("a", needs=frozenset({"pool/b"})), change("b", needs=frozenset({"pool/a"})), change("c")])
    with pytest.raises(ValueError, match="pool/a, pool/b"):
        plan.stages()


def test_a_change_never_waits_for_itself() -> None:
    assert len(Plan([change("a", needs=frozenset({"pool/a"}))]).stages()) == 1


def test_one_object_is_changed_at_most_once() -> None:
    with pytest.raises(ValueError, match="two changes of pool/a"):
        Plan([change("a"), change("a", action="update")])


def test_an_empty_plan_is_false() -> None:
    assert not Plan()
    assert len(Plan()) == 0
    assert Plan().stages() == []
    assert Plan().apply() == []
    assert Plan([change("a")])


# -- what a person reads


def test_rows_say_what_is_known() -> None:
    rows = Plan([change("a", risk=Risk.MOVEMENT, reason="size grows", moved_bytes=0), change("b")]).rows()
    assert rows == [
        {"stage": 1, "kind": "pool", "name": "a", "action": "create", "risk": "movement", "reason": "size grows", "moved_bytes": 0},
        {"stage": 1, "kind": "pool", "name": "b", "action": "create", "risk": "none"},
    ]


def test_the_diff_names_objects_and_hides_secrets() -> None:
    plan = Plan(
        [
            change("new", after={"key": Secret("topsecret")}),
            change("old", action="delete", before={"key": Secret("topsecret")}, after=None),
            change("other", action="update", before={"key": Secret("topsecret")}, after={"key": Secret("newsecret")}),
        ]
    )
    diff = plan.diff()
    assert [entry["after_header"] for entry in diff] == ["pool/new (create)", "pool/old (delete)", "pool/other"]
    assert [entry["before_header"] for entry in diff] == ["pool/new", "pool/old", "pool/other"]
    assert diff[0]["before"] == {}
    assert diff[1]["after"] == {}
    assert "secret" not in str(diff)
    assert diff[2]["before"] != diff[2]["after"]


# -- allowing a loss


def test_a_loss_is_refused_until_it_is_allowed_by_name() -> None:
    plan = Plan(
        [
            change("a", action="delete", risk=Risk.LOSS, reason="3 objects would be lost"),
            change("b", action="delete", risk=Risk.LOSS),
            change("c", risk=Risk.MOVEMENT),
        ]
    )
    first, second = plan.refusals()
    assert "delete pool/a: 3 objects would be lost" in first
    assert "name it in allow_loss: pool/a" in first
    assert "data would be lost" in second
    assert len(plan.refusals(["pool/a"])) == 1
    assert plan.refusals(["pool/a", "pool/b"]) == []
    assert len(plan.refusals(["a", "pool", "pool/*"])) == 2


# -- apply


def test_the_changes_of_a_stage_run_side_by_side() -> None:
    barrier = threading.Barrier(8)
    assert Plan([change(str(number), lambda: barrier.wait(timeout=20)) for number in range(8)]).apply() == []


def test_what_has_no_lane_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_plan, "AT_ONCE", 2)
    running, most, lock = 0, 0, threading.Lock()
    gate = threading.Event()

    def apply() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == 2:
                gate.set()
        gate.wait(timeout=20)
        with lock:
            running -= 1

    assert Plan([change(str(number), apply) for number in range(6)]).apply() == []
    assert most == 2


class Counted:
    """Counts how many run at once, for each of some words; each waits until as many run as may."""

    def __init__(self, **expected: int) -> None:
        self.expected = expected
        self.running = dict.fromkeys(expected, 0)
        self.most = dict.fromkeys(expected, 0)
        self.changed = threading.Condition()

    def run(self, word: str) -> None:
        with self.changed:
            self.running[word] += 1
            self.most[word] = max(self.most[word], self.running[word])
            self.changed.notify_all()
            assert self.changed.wait_for(lambda: self.most == self.expected, timeout=20)
        with self.changed:
            self.running[word] -= 1


def test_a_lane_bounds_what_runs_at_once_and_others_go_on_beside_it() -> None:
    counted = Counted(hosts=2, ranges=1, free=4)
    lanes = {"hosts": Lane("hosts", 2), "ranges": Lane("ranges"), "free": None}
    changes = [change(f"{word}{number}", lambda word=word: counted.run(word), lane=lanes[word]) for number in range(4) for word in lanes]
    assert Plan(changes).apply() == []
    assert counted.most == {"hosts": 2, "ranges": 1, "free": 4}


def test_a_lane_keeps_the_order_and_the_failures_of_its_changes() -> None:
    done: list[str] = []

    def apply(name: str) -> None:
        done.append(name)
        if name in "bd":
            raise IndexError(name)

    plan = Plan([change(name, lambda name=name: apply(name)) for name in "abcde"], lane=Lane("one"))
    assert [failure.id for failure in plan.apply()] == ["pool/b", "pool/d"]
    assert done == list("abcde")


def test_a_batch_is_applied_by_one_call_stage_by_stage() -> None:
    calls: list[str] = []
    needs = {"a": frozenset(), "b": frozenset(), "c": frozenset({"pool/a"})}
    batched = [change(name, lambda name=name: calls.append(name), batch="apt", needs=needs[name]) for name in needs]
    assert Plan([*batched, change("d", lambda: calls.append("d"))], lane=Lane("one")).apply() == []
    assert calls == ["a", "d", "c"]


def test_a_batch_fails_as_one_and_names_all_of_it() -> None:
    def fail() -> None:
        raise OSError("no space")

    failures = Plan([change("a", fail, batch="apt"), change("b", fail, batch="apt")]).apply()
    assert [(failure.id, failure.message) for failure in failures] == [("pool/a", "create pool/a, pool/b: no space")]


def test_a_plan_s_lane_is_for_the_changes_that_name_none() -> None:
    plan = Plan([change("a", lane=Lane("own", 8)), change("b")], lane=Lane("plan"))
    assert [one.lane for one in plan.changes] == [("own", 8), ("plan", 1)]
    assert Plan([change("a")]).changes[0].lane is None


def test_a_lane_may_be_wider_than_what_bounds_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_plan, "AT_ONCE", 1)
    counted = Counted(osds=3, free=1)
    changes = [change(f"osd{number}", lambda: counted.run("osds"), lane=Lane("osds", 3)) for number in range(3)]
    assert Plan([change("free", lambda: counted.run("free")), *changes]).apply() == []


def test_a_stage_begins_when_the_one_before_has_ended() -> None:
    done: list[str] = []
    plan = Plan([change("b", lambda: done.append("b"), needs=frozenset({"pool/a"})), change("a", lambda: done.append("a"))])
    assert plan.apply() == []
    assert done == ["a", "b"]


def test_every_failure_of_a_stage_is_kept_and_later_stages_are_not_begun() -> None:
    done: list[str] = []

    def fail(message: str) -> t.Callable[[], None]:
        def apply() -> None:
            raise RuntimeError(message)

        return apply

    plan = Plan(
        [
            change("a", fail("no space")),
            change("b", lambda: done.append("b")),
            change("c", fail("")),
            change("d", lambda: done.append("d"), needs=frozenset({"pool/b"})),
        ]
    )
    assert plan.apply() == [Failure("pool/a", "create pool/a: no space"), Failure("pool/c", "create pool/c: RuntimeError")]
    assert done == ["b"]


# -- reconcile


class Ended(Exception):
    pass


class FakeModule:
    def __init__(self, check_mode: bool = False) -> None:
        self.check_mode = check_mode
        self.no_log = False
        self.failed: t.Optional[bool] = None
        self.result: dict[str, t.Any] = {}
        self.warnings: list[str] = []

    def exit_json(self, **result: t.Any) -> t.NoReturn:
        self.failed, self.result = False, result
        raise Ended

    def fail_json(self, msg: str, **result: t.Any) -> t.NoReturn:
        self.failed, self.result = True, {"msg": msg, **result}
        raise Ended

    def warn(self, warning: str) -> None:
        self.warnings.append(warning)


class Pools:
    """A provider whose cluster is a dict of name to size."""

    def __init__(self, there: dict[str, int], wanted: dict[str, int]) -> None:
        self.there = there
        self.wanted = wanted
        self.observed = 0
        self.applied: list[str] = []
        self.unreachable_at = 0
        self.invalid_at = 0
        self.deaf: set[str] = set()
        self.broken: set[str] = set()

    def observe(self) -> dict[str, int]:
        self.observed += 1
        if self.observed == self.unreachable_at:
            raise Unreachable("no monitor answered at 10.0.0.1")
        return dict(self.there)

    def plan(self, observed: dict[str, int]) -> Plan:
        if self.invalid_at == self.observed:
            raise Invalid(["size 9 of pool a", "size 8 of pool b"])
        changes = []
        for name in {**observed, **self.wanted}:
            before, after = observed.get(name), self.wanted.get(name)
            if before != after:
                risk = Risk.LOSS if after is None else Risk.NONE
                action = "delete" if after is None else "create" if before is None else "update"
                changes.append(Change("pool", name, action, before and {"size": before}, after and {"size": after}, lambda name=name: self.apply(name), risk))
        return Plan(changes, ["3 hosts only"])

    def apply(self, name: str) -> None:
        self.applied.append(name)
        if name in self.broken:
            raise RuntimeError("EPERM")
        if name in self.deaf:
            return
        if name in self.wanted:
            self.there[name] = self.wanted[name]
        else:
            del self.there[name]

    def returned(self, observed: dict[str, int]) -> dict[str, t.Any]:
        return {"pools": observed}


def ended(provider: t.Any, check_mode: bool = False, allow_loss: t.Collection[str] = ()) -> FakeModule:
    module = FakeModule(check_mode)
    with pytest.raises(Ended):
        run_module(module, provider, allow_loss)
    return module


def test_what_differs_is_changed_and_proven() -> None:
    provider = Pools({"a": 2}, {"a": 3, "b": 3})
    module = ended(provider)
    assert module.failed is False
    assert module.result["changed"] is True
    assert module.result["pools"] == {"a": 3, "b": 3}
    assert [(row["name"], row["action"]) for row in module.result["changes"]] == [("a", "update"), ("b", "create")]
    assert module.result["diff"][0]["before"] == {"size": 2}
    assert module.warnings == ["3 hosts only"]
    assert provider.observed == 2


def test_the_second_run_changes_nothing_and_looks_once() -> None:
    provider = Pools({"a": 3}, {"a": 3})
    module = ended(provider)
    assert module.result == {"changed": False, "changes": [], "diff": [], "pools": {"a": 3}}
    assert provider.observed == 1


def test_check_mode_says_the_same_and_never_applies() -> None:
    provider = Pools({"a": 2}, {"a": 3, "b": 3})
    checked = ended(provider, check_mode=True)
    assert provider.applied == []
    assert provider.there == {"a": 2}
    assert checked.result["pools"] == {"a": 2}
    real = ended(Pools({"a": 2}, {"a": 3, "b": 3}))
    assert {key: checked.result[key] for key in ("changed", "changes", "diff")} == {key: real.result[key] for key in ("changed", "changes", "diff")}


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_loss_that_is_not_allowed_stops_everything(check_mode: bool) -> None:
    provider = Pools({"old": 3}, {"new": 3})
    module = ended(provider, check_mode)
    assert module.failed
    assert "pool/old" in module.result["msg"]
    assert len(module.result["refused"]) == 1
    assert len(module.result["changes"]) == 2
    assert provider.applied == []


def test_an_allowed_loss_is_done() -> None:
    provider = Pools({"old": 3}, {"new": 3})
    module = ended(provider, allow_loss=["pool/old"])
    assert module.failed is False
    assert provider.there == {"new": 3}


def test_all_that_is_invalid_is_said_together() -> None:
    provider = Pools({}, {"a": 9})
    provider.invalid_at = 1
    module = ended(provider)
    assert module.result == {"msg": "size 9 of pool a; size 8 of pool b", "problems": ["size 9 of pool a", "size 8 of pool b"]}
    assert str(Invalid(["one", "two"])) == "one\ntwo"


def test_unreachable_is_a_failure_and_no_absence() -> None:
    provider = Pools({}, {"a": 3})
    provider.unreachable_at = 1
    module = ended(provider)
    assert module.failed
    assert "10.0.0.1" in module.result["msg"]
    assert provider.applied == []


def test_failures_are_all_told_and_nothing_is_called_proven() -> None:
    provider = Pools({}, {"a": 3, "b": 3, "c": 3})
    provider.broken = {"a", "c"}
    module = ended(provider)
    assert module.failed
    assert module.result["failures"] == ["create pool/a: EPERM", "create pool/c: EPERM"]
    assert module.result["changed"] is True
    assert provider.there == {"b": 3}
    assert provider.observed == 1


def test_what_did_not_converge_is_named() -> None:
    provider = Pools({}, {"a": 3, "b": 3})
    provider.deaf = {"b"}
    module = ended(provider)
    assert module.failed
    assert "pool/b" in module.result["msg"]
    assert "pool/a" not in module.result["msg"]
    assert [entry["before_header"] for entry in module.result["diff"]] == ["pool/b"]
    assert len(module.result["changes"]) == 2


@pytest.mark.parametrize("what", ["unreachable_at", "invalid_at"])
def test_a_change_that_cannot_be_proven_is_a_failure(what: str) -> None:
    provider = Pools({}, {"a": 3})
    setattr(provider, what, 2)
    module = ended(provider)
    assert module.failed
    assert "could not be proven" in module.result["msg"]
    assert module.result["changed"] is True


def test_what_a_provider_does_not_expect_is_not_swallowed() -> None:
    class Broken(Pools):
        def observe(self) -> dict[str, int]:
            raise KeyError("a defect")

    with pytest.raises(KeyError):
        run_module(FakeModule(), Broken({}, {}))


# -- what came of it, for whoever wants to know


def test_an_outcome_tells_without_ending_anything() -> None:
    provider = Pools({"a": 2}, {"a": 3})
    checked = reconcile(provider, check_mode=True)
    assert (checked.changed, checked.error, checked.warnings, checked.returned) == (True, "", ["3 hosts only"], {"pools": {"a": 2}})
    done = reconcile(provider)
    assert (done.changed, done.diff, done.returned) == (True, checked.diff, {"pools": {"a": 3}})
    again = reconcile(provider)
    assert (again.changed, again.diff, again.result()) == (False, [], {"changed": False, "changes": [], "diff": [], "pools": {"a": 3}})
    refused = reconcile(Pools({"old": 3}, {}))
    assert (refused.changed, len(refused.refused or []), refused.failures) == (False, 1, None)


class Images(Pools):
    """Another kind of the same."""

    def plan(self, observed: dict[str, int]) -> Plan:
        return Plan([dataclasses.replace(change, kind="image") for change in super().plan(observed).changes], ["slow"])

    def returned(self, observed: dict[str, int]) -> dict[str, t.Any]:
        return {"images": observed}


def test_one_after_another_is_one_outcome() -> None:
    pools, images = Pools({}, {"a": 3}), Images({"b": 1}, {"b": 2})
    one = reconcile(pools).then(lambda: reconcile(images))
    assert (one.changed, one.warnings, one.returned) == (True, ["3 hosts only", "slow"], {"pools": {"a": 3}, "images": {"b": 2}})
    assert [(row["stage"], row["kind"]) for row in one.result()["changes"]] == [(1, "pool"), (2, "image")]
    assert [entry["after_header"] for entry in one.diff] == ["pool/a (create)", "image/b"]
    assert not reconcile(pools).then(lambda: reconcile(images)).changed
    checked = reconcile(Pools({}, {"a": 3}), check_mode=True).then(lambda: reconcile(Images({"b": 1}, {"b": 2}), check_mode=True))
    assert (checked.result()["changes"], checked.diff) == (one.result()["changes"], one.diff)


class Twins:
    """One change of the same id in each, of which the first's names the second's other one as what it needs."""

    def __init__(self, *names: str, needs: str = "") -> None:
        self.names, self.needs = names, needs

    def observe(self) -> None:
        return None

    def plan(self, observed: None) -> Plan:
        draft = Draft()
        for name in self.names:
            draft.ensure("thing", name, None, {}, lambda: None, needs=[self.needs] * bool(self.needs))
        return draft.plan()

    def returned(self, observed: None) -> dict:
        return {}


def test_what_both_would_do_is_done_by_the_first_which_waits_for_none_of_the_other() -> None:
    made = reconcile(Twins("same", "mine", needs="thing/other"), check_mode=True).then(lambda: reconcile(Twins("same", "other"), check_mode=True))
    assert [[change.name for change in stage] for stage in made.plan.stages()] == [["same", "mine"], ["other"]]


def test_after_one_that_failed_no_other_is_begun() -> None:
    images, broken = Images({}, {"b": 2}), Pools({}, {"a": 3})
    broken.broken = {"a"}
    assert reconcile(broken).then(lambda: reconcile(images)).failures == ["create pool/a: EPERM"]
    assert images.observed == 0


@pytest.mark.parametrize("inside", [True, False])
def test_what_was_changed_before_another_failed_is_told(inside: bool) -> None:
    images = Images({}, {"b": 2})
    images.unreachable_at = 1

    def attempt() -> _plan.Outcome:
        if inside:
            return reconcile(images)
        raise Unreachable("no monitor answered at 10.0.0.1")

    found = reconcile(Pools({}, {"a": 3})).then(attempt)
    assert (found.error, found.changed, found.returned) == ("no monitor answered at 10.0.0.1", True, {"pools": {"a": 3}})
    assert [row["kind"] for row in found.result()["changes"]] == ["pool"]


def test_a_secret_is_returned_only_where_nobody_is_shown_it() -> None:
    module = FakeModule()
    with pytest.raises(Ended):
        require_no_log(module, "the key of client.admin")
    assert module.failed and module.result["msg"].startswith("the key of client.admin would be shown") and "no_log: true" in module.result["msg"]
    module = FakeModule()
    module.no_log = True
    require_no_log(module, "the key of client.admin")
    assert module.failed is None


class Action:
    """What the engine uses of an action plugin."""

    class _task:
        check_mode = False


def test_an_action_returns_what_a_module_ends_with() -> None:
    def invalid() -> Pools:
        raise Invalid(["no key", "no host"])

    done = run_action(Action(), lambda: Pools({}, {"a": 3}))
    assert {**done, "warnings": []} == {**ended(Pools({}, {"a": 3})).result, "warnings": []}
    assert done["warnings"] == ["3 hosts only"]
    assert run_action(Action(), invalid) == {"failed": True, "msg": "no key; no host", "problems": ["no key", "no host"]}
    refused = run_action(Action(), lambda: Pools({"old": 3}, {}))
    assert (refused["failed"], refused["refused"], "changed" in refused) == (True, ended(Pools({"old": 3}, {})).result["refused"], False)
    assert "failed" not in run_action(Action(), lambda: Pools({"old": 3}, {}), allow_loss=["pool/old"])


def test_a_plan_as_json_is_stable_and_hides_secrets() -> None:
    new = change("new", after={"key": Secret("topsecret"), "tags": frozenset("ba")}, lane=Lane("one"), needs=frozenset({"pool/z", "pool/old"}))
    old = change("old", action="delete", before={"size": 3}, after=None, risk=Risk.LOSS, reason="gone", moved_bytes=7)
    assert Plan([new, old]).to_json() == Plan([old, new]).to_json()
    first, second = json.loads(json.dumps(Plan([old, new]).to_json()))
    assert first == {
        "kind": "pool",
        "name": "new",
        "action": "create",
        "risk": "none",
        "reason": "",
        "moved_bytes": None,
        "needs": ["pool/old", "pool/z"],
        "lane": "one",
        "before": None,
        "after": {"key": HIDDEN, "tags": ["a", "b"]},
    }
    assert (second["risk"], second["moved_bytes"], second["before"], second["after"], second["lane"]) == ("loss", 7, {"size": 3}, None, None)


# -- several providers as one


def test_several_providers_are_one_plan() -> None:
    first, second = Pools({"a": 2}, {"a": 3}), Pools({}, {"b": 3})
    second.returned = lambda observed: {"others": observed}  # type: ignore[method-assign]
    module = ended(Together([first, second]))
    assert [row["name"] for row in module.result["changes"]] == ["a", "b"]
    assert (module.result["pools"], module.result["others"]) == ({"a": 3}, {"b": 3})
    assert module.warnings == ["3 hosts only", "3 hosts only"]


def test_the_problems_of_several_providers_are_said_together() -> None:
    first, second, third = Pools({}, {}), Pools({}, {}), Pools({}, {"c": 3})
    first.invalid_at = second.invalid_at = 1
    assert len(ended(Together([first, second, third])).result["problems"]) == 4


def test_a_place_says_what_is_wrong_there() -> None:
    found: list[str] = []
    place = _plan.Place(_plan.named("pools", 3, {"name": "vms"}), found.append)
    assert not place.refuse(0, "size is negative") and found == []
    assert place.refuse(1, "size is negative") and found == ["pools[3] (vms): size is negative"]
