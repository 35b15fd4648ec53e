"""Rating runs: who priced which calls again, by which terms, and whether it counts. The books alone give out their numbers; 0 is live.

    computed -> counting -> counts -> withdrawn
           \\________\\-> void

`computed` is a what-if: nothing of it is stored but what it came to. A person says that it counts: `counting` while its charges are written, which
count nowhere yet; `counts` when they do. `void`: what it would change is not what it was, so it will never count; the next what-if has a new number.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import msgspec
import sqlalchemy as sa

from books import audit, tables

Kind: TypeAlias = Literal["rerate", "recycle", "rejects"]
State: TypeAlias = Literal["computed", "counting", "counts", "void", "withdrawn"]


class Spec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which calls a run prices, and by which terms: all that it takes to price them again.

    Calls that were answered (else: ended), of `rejects` records that arrived, from `from_ms` to before `to_ms`; "" = of every tenant, account,
    carrier, reason. `decks`: of tenant/name, the deck version that takes the place of the one that `config_version` has. `zone`: in which the period
    was given. `agreements`: only calls that one of these prices, at any level.
    """

    from_ms: int
    to_ms: int
    tenant: str = ""
    account: str = ""
    carrier: str = ""
    reason: str = ""
    config_version: int
    decks: dict[str, str] = {}
    zone: str = "UTC"
    agreements: tuple[str, ...] = ()


class Line(msgspec.Struct, frozen=True, array_like=True):
    """A sum of a difference. Nanos are texts: they may be wider than JSON's numbers are read. `causes`: cause, charges, nanos."""

    by: str
    name: str
    role: str
    level: int
    currency: str
    charges: int
    before_nanos: str
    after_nanos: str
    causes: tuple[tuple[str, int, str], ...] = ()


class Unpriced(msgspec.Struct, frozen=True, array_like=True):
    """Calls that the terms of a run cannot price: they stay as they are."""

    reason: str
    calls: int
    example: str


class RunTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What a run comes to. `before` and `after`: hashes over the charges that counted and over those of the run."""

    calls: int
    charges: int
    before: str
    after: str
    lines: tuple[Line, ...]
    unpriced: tuple[Unpriced, ...]
    notes: tuple[str, ...] = ()


class Run(NamedTuple):
    """A rating run, as the books have it."""

    run: int
    kind: Kind
    spec: Spec
    who: str
    why: str
    at_ms: int
    state: State
    state_who: str
    state_why: str
    state_at_ms: int
    found: RunTotals


def add(conn: sa.Connection, kind: Kind, spec: Spec, found: RunTotals, above: int, who: str, why: str, now_ms: int) -> int:
    """Notes a what-if and returns its number, which is above every one that the books or, by `above`, the warehouse know."""
    number = max(int(conn.execute(sa.select(sa.func.max(tables.rating_runs.c.run))).scalar() or 0), above) + 1
    row = {
        "run": number, "kind": kind, "spec": msgspec.json.encode(spec).decode(), "who": audit.clean(who), "why": audit.clean(why), "at_ms": now_ms,
        "state": "computed", "state_who": audit.clean(who), "state_why": "", "state_at_ms": now_ms, "found": msgspec.json.encode(found).decode(),
    }  # fmt: skip
    conn.execute(sa.insert(tables.rating_runs).values(**row))
    audit.note(conn, who, "computed a rating run", str(number), why, now_ms)
    return number


def become(conn: sa.Connection, run: int, state: State, who: str, why: str, now_ms: int) -> None:
    """Changes the state of a run, and says so in the audit."""
    values = {"state": state, "state_who": audit.clean(who), "state_why": audit.clean(why), "state_at_ms": now_ms}
    conn.execute(sa.update(tables.rating_runs).where(tables.rating_runs.c.run == run).values(**values))
    audit.note(conn, who, f"rating run: {state}", str(run), why, now_ms)


def find(conn: sa.Connection, run: int) -> Run | None:
    """A run, if there is one of this number."""
    row = conn.execute(sa.select(tables.rating_runs).where(tables.rating_runs.c.run == run)).first()
    return None if row is None else _run(row)


def every(conn: sa.Connection) -> list[Run]:
    """All runs, the newest first."""
    return [_run(row) for row in conn.execute(sa.select(tables.rating_runs).order_by(tables.rating_runs.c.run.desc()))]


def _run(row: sa.Row[tuple[object, ...]]) -> Run:
    values = dict(row._mapping)
    values["spec"] = msgspec.json.decode(values["spec"], type=Spec)
    values["found"] = msgspec.json.decode(values["found"], type=RunTotals)
    return Run(**values)
