"""Rating runs: what calls of the past would have cost, or do cost now; by account, destination and cause."""

from __future__ import annotations

import streamlit as st

from books import reading
from books import runs as books_runs
from books.runs import Line, Run
from dashboards.figures import change, day, money
from dashboards.layout import answered, back, facts, heading, link, message, quiet, title
from dashboards.tags import Safe, tag
from dashboards.tiles import table
from dashboards.visit import Visit

STATES = {"computed": "would have cost", "counting": "is being made to count", "counts": "counts", "void": "void", "withdrawn": "withdrawn"}
SHOWN = 60


def runs(visit: Visit) -> None:
    if not visit.allowed("money"):
        return
    title("Rating runs", "calls that were priced again; `ringfence rerate` and `ringfence recycle` compute a run and make it count")

    def read(_: object) -> list[Run]:
        with reading(visit.sources.engine()) as conn:
            return [one for one in books_runs.every(conn) if visit.tenant in ("", one.spec.tenant)]

    latest = visit.sources.asked(("runs", visit.tenant), read, fresh_ms=5_000)
    if not answered(latest, visit.now_ms, "Rating runs") or latest.value is None:
        return
    wanted = st.query_params.get("run", "")
    if wanted:
        back("All runs", "run")
        found = next((one for one in latest.value if f"{one.run}" == wanted), None)
        if found is None:
            message(f"There is no rating run {wanted[:20]} here.")
        else:
            one_run(found)
        return
    if not latest.value:
        quiet("None. A run over every tenant is shown to who has a role for every tenant.")
        return
    rows: list[tuple[str | Safe, ...]] = [
        (
            link(f"{one.run}", "runs", visit.tenant, run=f"{one.run}"), one.kind, tag("span", STATES[one.state], cls="rf-badge"),
            f"{day(one.spec.from_ms)} to before {day(one.spec.to_ms)}", _whose(one), one.why, one.who, f"{one.found.calls:,}",
        )
        for one in sorted(latest.value, key=lambda one: -one.run)
    ]  # fmt: skip
    head = ("run", "kind", "state", "calls that were answered", "of", "why", "by", "calls that change")
    st.html(table(head, rows, numbers_from=7))


def _whose(one: Run) -> str:
    names = [f"{kind} {name}" for kind, name in (("account", one.spec.account), ("carrier", one.spec.carrier)) if name]
    return ", ".join([one.spec.tenant or "every tenant", *names])


def one_run(one: Run) -> None:
    """What a run comes to: before and after, by each dimension."""
    heading(f"Run {one.run}", f"{one.kind}, {STATES[one.state]}")
    st.html(
        facts(
            {
                "calls": f"{one.found.calls:,} change, with {one.found.charges:,} charges", "by config version": f"{one.spec.config_version}",
                "price lists instead": ", ".join(one.spec.decks), "computed": f"by {one.who}, {day(one.at_ms)}: {one.why}",
                "state": f"{STATES[one.state]}, by {one.state_who}, {day(one.state_at_ms)}" + (f": {one.state_why}" if one.state_why else ""),
                "notes": "; ".join(one.found.notes),
            }
        )
    )  # fmt: skip
    for by in dict.fromkeys(line.by for line in one.found.lines):
        lines = [line for line in one.found.lines if line.by == by][:SHOWN]
        heading(f"By {by.replace('_', ' ')}", "the largest change first")
        head = (by.replace("_", " "), "side", "causes", "charges", "before", "after", "change")
        st.html(table(head, [_line(line) for line in lines], numbers_from=3))
    if one.found.unpriced:
        heading("Not priced", "these stay as they are")
        rows: list[tuple[str | Safe, ...]] = [(found.reason, f"{found.calls:,}") for found in one.found.unpriced]
        st.html(table(("why", "calls"), rows))


def _line(line: Line) -> tuple[str | Safe, ...]:
    before, after = int(line.before_nanos), int(line.after_nanos)
    side = line.role if not line.level else f"{line.role}, level {line.level}"
    causes = ", ".join(f"{cause} ({count:,})" for cause, count, _ in line.causes)
    amounts = [money(nanos, line.currency) for nanos in (before, after)]
    return line.name or "–", side, causes, f"{line.charges:,}", *amounts, change(after - before, line.currency)
