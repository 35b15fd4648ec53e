"""The rule lab: a change of the policy is tried on the past, runs in shadow beside the policy in force, and is promoted by another person.

In shadow means: the change is judged on what has come in since, by a back-test over the stored records from the moment it was put there. It never
reaches `judge`, so it can neither slow a block nor order one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from books import Connection, rule_changes
from books.rule_changes import RuleChange, State
from flows.backtest import Result
from services import backtest, publishing
from services.backtest import BacktestRequest, Progress
from services.errors import ServiceError, UnknownName
from services.installation import Installation, books, books_as_they_are

NEXT: Mapping[State, tuple[State, ...]] = {
    "tried": ("shadow", "thrown away"), "shadow": ("asked", "thrown away"), "asked": ("promoted", "shadow", "thrown away"),
    "promoted": (), "thrown away": (),
}  # fmt: skip


def try_out(
    installation: Installation, what: BacktestRequest, who: str, why: str, now_ms: int, progress: Progress = lambda done, total: None
) -> RuleChange:
    """Back-tests a change and stores it with what it comes to. Raises `ServiceError`."""
    if not what.changes:
        raise ServiceError("Nothing is changed: set a threshold, or turn a detector off.")
    if not why.strip():
        raise ServiceError("Enter a reason: it is recorded in the audit log.")
    result = backtest.run(installation, what, progress)
    with books(installation) as conn:
        return of(conn, rule_changes.add(conn, what.tenant, dict(what.changes), backtest.as_json(result).decode(), who, why, now_ms))


def measure(installation: Installation, number: int, now_ms: int, progress: Progress = lambda done, total: None) -> RuleChange:
    """Judges a change in shadow on what has come in since it was put there. Raises `ServiceError`."""
    with books_as_they_are(installation) as conn:
        change = of(conn, number)
    if change.state not in ("shadow", "asked"):
        raise ServiceError(f"Change {number} is not in shadow.")
    what = BacktestRequest(change.shadow_from_ms, max(now_ms, change.shadow_from_ms + 1), change.tenant, change.changes)
    result = backtest.run(installation, what, progress)
    with books(installation) as conn:
        rule_changes.measured(conn, number, backtest.as_json(result).decode())
        return of(conn, number)


def move(conn: Connection, number: int, state: State, who: str, why: str, now_ms: int) -> RuleChange:
    """The next step of a change, one of `NEXT`. `promoted` publishes a config version with the changed policy, in the same transaction; it takes
    another person than the one who made the change, and than the one who asked. Raises `ServiceError`; nothing was changed then."""
    change = of(conn, number)
    if not who.strip() or not why.strip():
        raise ServiceError("Enter a reason: it is recorded in the audit log.")
    if state not in NEXT[change.state]:
        raise ServiceError(f"Change {number} is {change.state}: it cannot become {state}.")
    if state == "promoted":
        if who in (change.who, change.state_who):
            raise ServiceError(f"{who} made this change or asked for it: another person must look at it and promote it.")
        policy = backtest.changed(backtest.policy_in_force(conn, change.tenant), change.changes)
        publishing.publish_policy(conn, change.tenant, policy, who, f"rule change {number}: {why}", now_ms)
    if not rule_changes.become(conn, change, state, who, why, now_ms):
        raise ServiceError(f"Somebody else has changed {number} meanwhile: look again.")
    return of(conn, number)


def of(conn: Connection, number: int) -> RuleChange:
    """A change. Raises `UnknownName`."""
    found = rule_changes.find(conn, number)
    if found is None:
        raise UnknownName(f"There is no rule change {number}.")
    return found


def every(conn: Connection, tenant: str) -> list[RuleChange]:
    """The changes of a tenant, the newest first."""
    return rule_changes.every(conn, tenant)


def result_of(text: str) -> Result | None:
    """What a stored back-test came to; None = there is none."""
    return msgspec.json.decode(text, type=Result) if text else None


def words_of(changes: Mapping[str, Any]) -> str:
    """Changes as one line.

    >>> words_of({"detectors": {"irsf_range": {"least_probability": "0.7"}}, "off": ["fas"]})
    'detectors.irsf_range.least_probability = 0.7; off = fas'
    """
    found = []

    def walk(at: Any, path: str) -> None:
        if isinstance(at, dict):
            for name, value in at.items():
                walk(value, f"{path}.{name}" if path else name)
        else:
            found.append(f"{path} = {', '.join(map(str, at)) if isinstance(at, list) else at}")

    walk(dict(changes), "")
    return "; ".join(found)
