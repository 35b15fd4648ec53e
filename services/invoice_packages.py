"""The packages of cycles that are about to be invoiced: included minutes and prices by volume are known at the end of a cycle, so a rating run
applies them before its invoice is made.

For each cycle of each agreement with a package that has ended and has no invoice yet, or has one and calls that came in later: 1. a rating run of its
calls, computed; 2. it counts; 3. what it changes is posted. A crash after 1 leaves a what-if; within 2 a run that is `counting`, which the next start
finishes; before 3 a difference that the next posting has. A cycle whose run would change nothing has none, so whoever does it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

import msgspec

from assurance.cycles import Period, period_of
from books import Connection, invoices, postings, reading, runs
from books.runs import Spec
from services import posting, rerate
from services.installation import Installation, books, books_as_they_are, opened_books
from services.invoice_drafts import TermsInForce, next_invoices
from services.reading import warehouse
from warehouse import Warehouse, ask, owed
from warehouse.owed import State

QUARTER_MS = 900_000
"""Every time zone's midnight is at a quarter of an hour."""
WHY = "package of {agreement}, cycle {first} to {last}, before its invoice"


@dataclass(frozen=True)
class Applied:
    """What the package of an agreement does to a cycle. `run`: the rating run that counts it; 0 = nothing changes, or not counted yet."""

    agreement: str
    period: Period
    run: int
    change: tuple[tuple[str, int], ...]  # currency, nanos


def due(conn: Connection, client: Warehouse, tenant: str, until: date) -> Iterator[tuple[str, Period]]:
    """The cycles of agreements with a package that have ended by a day and have no invoice yet, and before them those into which calls came late."""
    terms = TermsInForce(conn, tenant)
    yield from sorted(_late(conn, client, terms, tenant))
    found: dict[str, int] = {}
    for chain, one in next_invoices(conn, client, terms, tenant, postings.last(conn).number).items():
        agreement = terms.agreement(chain)
        if one is not None and agreement.package is not None and agreement.role == "sell":
            found[agreement.name] = min(found.get(agreement.name, one.period.from_ms), one.period.from_ms)
    for name, from_ms in sorted(found.items()):
        period = period_of(terms.agreements[name], from_ms)
        while period.until <= until:
            yield name, period
            period = period_of(terms.agreements[name], period.until_ms)


def _late(conn: Connection, client: Warehouse, terms: TermsInForce, tenant: str) -> set[tuple[str, Period]]:
    """Cycles that are invoiced, and calls of which were posted after that: their minutes were counted without these calls."""
    packaged = {name for name, one in terms.agreements.items() if one.package is not None and one.role == "sell"}
    states: dict[tuple[int, int], set[str]] = {}
    for (_, agreement, _), one in invoices.last_of_chains(conn, tenant).items():
        if agreement in packaged:
            states.setdefault((one.batch, one.until_ms), set()).add(agreement)
    now, found = postings.last(conn), set()
    for (batch, until_ms), agreements in states.items():
        before = postings.find(conn, batch)
        if before is None or batch == now.number:
            continue
        invoiced, posted = State(before.posted, until_ms), State(now.posted, until_ms)
        condition = "tenant = {tenant:String} AND role = 'sell' AND has({agreements:Array(String)}, agreement)"
        columns = f"agreement, intDiv(instant_ms, {QUARTER_MS}) * {QUARTER_MS} AS at_ms, maxIf(run = 0, sign > 0) AS live"
        params = {"tenant": tenant, "agreements": sorted(agreements)}
        for row in ask(client, owed.step(invoiced, posted, columns, "agreement, at_ms", condition, params)):
            if row["live"]:  # what only a rating run changes was looked at by whoever counted it
                found.add((str(row["agreement"]), period_of(terms.agreements[row["agreement"]], int(row["at_ms"]))))
    return found


def preview(installation: Installation, tenant: str, until: date) -> list[Applied]:
    """What `apply` would change."""
    found = []
    with warehouse(installation) as client, books_as_they_are(installation) as conn:
        cycles = list(due(conn, client, tenant, until))
    for name, period in cycles:
        with books(installation) as conn:
            spec = _spec(conn, tenant, name, period)
        if change := _change(rerate.what_if(installation, "rerate", spec)):
            found.append(Applied(name, period, 0, change))
    return found


def apply(
    installation: Installation, tenant: str, until: date, who: str, now_ms: int, progress: rerate.Progress = rerate.nobody,
    done: Callable[[str], None] = lambda effect: None,
) -> list[Applied]:  # fmt: skip
    """Applies the packages of all cycles that are due, and posts what that changes. `done` hears of each effect."""
    with warehouse(installation) as client, books_as_they_are(installation) as conn:
        cycles = list(due(conn, client, tenant, until))
    found = []
    for name, period in cycles:
        why = WHY.format(agreement=name, first=period.first, last=period.last)
        with books(installation) as conn:
            spec = _spec(conn, tenant, name, period)
        cut_off = [one for one in rerate.every(installation) if one.state == "counting" and _same(one.spec, spec)]
        counted = 0
        for one in cut_off:
            try:
                counted = rerate.count(installation, one.run, who, why, now_ms, progress, done).run
            except (rerate.Changed, rerate.NotNow):
                pass  # a call came in since, or a later run counts: the run below has it
        what = rerate.what_if(installation, "rerate", spec, progress)
        change = _change(what)
        if change or counted:
            number = 0
            if change:
                number = rerate.noted(installation, "rerate", spec, what, who, why, now_ms).run
                done("computed")
                rerate.count(installation, number, who, why, now_ms, progress, done)
            found.append(Applied(name, period, number or counted, change))
    if found:
        _post(installation, [one.run for one in found], now_ms)
        done("posted")
    return found


def _spec(conn: Connection, tenant: str, agreement: str, period: Period) -> Spec:
    """A cycle's calls, by the config in force; of one that was run before, by the config of then: a late call changes what it belongs to, and prices
    that were published since change nothing in a closed cycle."""
    spec = rerate.spec_of(conn, period.from_ms, period.until_ms, tenant=tenant, agreements=(agreement,))
    before = [one for one in runs.every(conn) if one.state == "counts" and one.kind == "rerate" and _same(one.spec, spec)]
    return msgspec.structs.replace(spec, config_version=before[0].spec.config_version) if before else spec


def _same(one: Spec, other: Spec) -> bool:
    return (one.from_ms, one.to_ms, one.tenant, one.agreements) == (other.from_ms, other.to_ms, other.tenant, other.agreements)


def _change(what: rerate.WhatIf) -> tuple[tuple[str, int], ...]:
    """By currency, of what is sold; empty = no charge would change."""
    every = [line for line in what.found.lines if line.by == "all"]
    if not any(line.causes for line in every):
        return ()
    return tuple((line.currency, int(line.after_nanos) - int(line.before_nanos)) for line in every if line.role == "sell")


def _post(installation: Installation, runs: list[int], now_ms: int) -> None:
    """Posts until the ledger has these runs: the poster may have posted a batch of its own in between."""
    with opened_books(installation) as engine:
        while True:
            posting.post(installation, now_ms)
            with reading(engine) as conn:
                if set(runs) <= set(postings.last(conn).posted.runs):
                    return
