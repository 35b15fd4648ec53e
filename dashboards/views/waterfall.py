"""The waterfall: at the switch, received, rated, invoiced, paid; and what is lost between two steps, with the way to it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import streamlit as st

from books import reading
from dashboards.figures import money as money_text
from dashboards.layout import answered, heading, link, message, quiet, title
from dashboards.tags import Safe, joined, tag
from dashboards.tiles import table
from dashboards.visit import Visit
from services import periods, waterfall
from services.errors import ServiceError
from services.subjects import Ask
from services.waterfall import Billed, Step

CONTROL_OF = {"never received": "sequence_gaps", "unrated": "unrated_calls", "reject": "rejected_records", "conflict": "rejected_records"}
"""What is lost -> the control that says where and what to do."""
FRESH_MS = 300_000
"""To look through the sequences of a month of ten million calls takes a quarter of a minute: the rest is shown before."""


def waterfall_page(visit: Visit) -> None:
    if not visit.allowed("money"):
        return
    title("Waterfall", "from the switch to the bank; what is lost on the way leads to where it is mended")
    if not visit.tenant:
        quiet("Choose a tenant: the waterfall is of one tenant's money.")
        return
    this_month = f"{datetime.fromtimestamp(visit.now_ms / 1000, UTC):%Y-%m}"
    text = str(st.text_input("Period, UTC: a month, a day, or FIRST..LAST day", this_month, key="period", bind="query-params", max_chars=24))
    try:
        span = periods.period_ms(text.strip(), "UTC")
    except ServiceError as wrong:
        message(str(wrong))
        return

    def records(ask: Ask) -> tuple[Step, Step]:
        return visit.sources.recorded.steps(ask, visit.tenant, *span)

    def lacks(_: object) -> int:
        return waterfall.missing(visit.sources.client().connected(), visit.tenant, *span, visit.now_ms)

    def money(_: object) -> Billed:
        with reading(visit.sources.engine()) as conn:
            return waterfall.billed(conn, visit.tenant, *span)

    steps = visit.sources.asked(("waterfall", visit.tenant, span), records, wait_s=1.5, fresh_ms=10_000)
    lost = visit.sources.asked(("missing", visit.tenant, span), lacks, wait_s=0.0, fresh_ms=FRESH_MS)
    bills = visit.sources.asked(("billed", visit.tenant, span), money, fresh_ms=10_000)
    heading("Calls", "records that end a call, by when they were received")
    if answered(steps, visit.now_ms, "The steps of calls") and steps.value is not None:
        shown = steps.value if lost.value is None else (*waterfall.at_the_switch(steps.value[0], lost.value), steps.value[1])
        most = shown[0].count
        head = ("step", "", "records", "less than the step above, and why")
        st.html(table(head, [_step(visit, one, most) for one in shown], numbers_from=2))
        if lost.value is None:
            answered(lost, visit.now_ms, "What the switches have counted")
        if not most:
            quiet("No record came in this period.")
    heading("Money", "what calls of the period were sold for; invoices whose period ends in it")
    if answered(bills, visit.now_ms, "The steps of money") and bills.value is not None and steps.value is not None:
        rated, bill = steps.value[1].money, bills.value
        rows = [row for currency in sorted({*rated, *bill.total}) for row in _money(visit, currency, rated, bill)]
        if rows:
            head = ("step", "", "money", "less than the step above, and where it is")
            st.html(table(head, rows, numbers_from=2))
        else:
            quiet("Nothing was sold or invoiced in this period.")


def bar(part: int, whole: int) -> Safe:
    """How much of the first step is left, as a bar."""
    percent = max(0.0, min(100.0, 100 * part / whole)) if whole else 0.0
    return tag("div", tag("i", "", style=f"width: {percent:.1f}%"), cls="rf-bar", title=f"{percent:.1f} % of the first step")


def _step(visit: Visit, one: Step, most: int) -> tuple[str | Safe, ...]:
    parts: list[str | Safe] = []
    for name, count in one.lost.items():
        words = f"{count:,} {name}"
        control = CONTROL_OF.get(name)
        parts += [link(words, "controls", visit.tenant, control=control) if control else words, "  "]
    return one.name, bar(one.count, most), f"{one.count:,}", joined(*parts)


def _money(visit: Visit, currency: str, rated: dict[str, int], bill: Billed) -> list[tuple[str | Safe, ...]]:
    """Rated, invoiced, with tax, settled: in one currency."""
    sold, net, total = (of.get(currency, 0) for of in (rated, bill.net, bill.total))
    settled, still = bill.settled.get(currency, 0), bill.open.get(currency, 0)
    most = max(sold, total)
    text = partial(money_text, currency=currency)

    less: str | Safe = ""
    if sold > net:
        less = link(f"{text(sold - net)} not invoiced yet", "controls", visit.tenant, control="unbilled_calls")
    elif net > sold:
        less = f"{text(net - sold)} more: fees, commitments, or calls of before"
    waits: str | Safe = link(f"{text(still)} open", "invoices", visit.tenant, show="issued") if still else ""
    return [
        (f"Rated, {currency}", bar(sold, most), text(sold), ""),
        ("Invoiced, net", bar(net, most), text(net), less),
        ("Invoiced, with tax", bar(total, most), text(total), f"{text(total - net)} tax" if total != net else ""),
        ("Paid, credited or written off", bar(settled, most), text(settled), waits),
    ]
