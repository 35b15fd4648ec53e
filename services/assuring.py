"""The assurance report of a period, from what controls found and what carriers were asked for; as HTML and as PDF."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from html import escape
from typing import Any

from assurance.controls.registry import controls
from assurance.disputes.thresholds import NEVER
from assurance.report import Bill, Claim, Report, money_of, report, trend_of
from books import control_results, disputes, reading, reconciliations
from core.money import to_decimal, to_nanos
from core.text import amount
from services import controlling, periods
from services.installation import Installation, opened_books, tenant_of
from services.printing import pdf

MOST_PERIODS = 12


def assure(installation: Installation, tenant: str, period: str, now_ms: int, ask: bool = True) -> Report:
    """The report of a period. `ask`: run the controls first; else what they last said."""
    from_ms, to_ms = periods.period_ms(period, "UTC")
    if ask:
        controlling.run(installation, tenant, (from_ms, to_ms), now_ms)
    with opened_books(installation) as engine, reading(engine) as conn:
        name = tenant_of(conn, tenant)
        latest = control_results.latest(conn, name, from_ms, to_ms)
        history = control_results.history(conn, name, limit=100_000)
        key = control_results.period_key(from_ms, to_ms)
        found = [one for one in reconciliations.every(conn, name, "buy") if one.from_ms < to_ms and from_ms < one.to_ms]
        claimed = [one for one in disputes.every(conn, name) if one.reconciliation in {bill.id for bill in found}]
    bills = []
    for one in found:
        # Of each cause what they charge too much: what they charge too little by the same cause is nobody's recovery.
        sums = {cause.cause: to_nanos(cause.amount) for cause in one.summary.causes if not NEVER.issuperset(cause.cause.split("|"))}
        too_much = {cause: nanos for cause, nanos in sums.items() if nanos > 0}
        bills.append(Bill(one.party, one.invoice_no, one.currency, to_nanos(one.theirs), to_nanos(one.ours), sum(too_much.values()), too_much))
    claims = [Claim(one.party, one.cause, one.state, one.currency, one.nanos, to_nanos(one.agreed) if one.agreed else None) for one in claimed]
    earlier = [one.result for one in history if one.period == key]
    length = to_ms - from_ms
    same = [(one.period, one.result) for one in history if abs(_length(one.period) - length) <= 4 * 86_400_000]
    trend = [(_words(text), sums) for text, sums in trend_of(same)][-MOST_PERIODS:]
    return report(name, period, [one.result for one in latest], earlier, bills, claims, trend)


def _length(key: str) -> int:
    first, _, last = key.partition("..")
    return int(last) - int(first)


def _words(key: str) -> str:
    first, _, last = key.partition("..")
    begin, end = (datetime.fromtimestamp(int(ms) / 1000, UTC) for ms in (first, last))
    return f"{begin:%Y-%m}" if begin.day == end.day == 1 else f"{begin:%Y-%m-%d}"


def page(made: Report, now_ms: int) -> dict[str, Any]:
    """What the report says, as texts: the same for HTML and PDF."""
    unit = made.currency
    known = {one.name: one for one in controls()}
    looked = [one for one in made.results if one.status != "not_looked"]
    most = max((sums.get(unit, 0) for _, sums in made.trend), default=0)
    return {
        "tenant": made.tenant, "period": made.period, "currency": unit or "-",
        "made": f"{datetime.fromtimestamp(now_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC",
        "headline": [
            ("found", _money(made.total("found")), "money that leaks, by the last look"),
            ("prevented", _money(made.total("prevented")), "found earlier in this period and mended since"),
            ("recovered", _money(made.total("recovered")), "agreed on by the other side"),
        ],
        "suspected": _money(made.total("suspected")),
        "summary": _summary(made, len(looked)),
        "lines": [
            (_cause(one.cause), _money(one.found), _money(one.prevented), _money(one.recovered), _money(one.suspected), one.currency)
            for one in made.lines
        ],
        "controls": [
            (
                one.control.replace("_", " "), one.status.replace("_", " "), f"{one.checked:,}",
                f"{one.count:,}" if one.status == "found" else one.why_not[:120],
                ", ".join(f"{_money(nanos)} {currency}" for currency, nanos in one.money.items()), known[
                    one.control].remedy if one.status == "found" else "",
            )
            for one in made.results
        ],
        "bills": [
            (one.party, one.invoice or "-", _money(one.theirs), _money(one.ours), _money(one.theirs - one.ours), one.currency) for one in made.bills
        ],
        "claims": [
            (one.party, one.cause.replace("_", " "), one.state, _money(one.nanos), "-" if one.agreed is None else _money(one.agreed), one.currency)
            for one in made.claims
        ],
        "trend": [(period, _money(sums.get(unit, 0)), round(100 * sums.get(unit, 0) / most) if most else 0) for period, sums in made.trend],
    }  # fmt: skip


def _summary(made: Report, looked: int) -> list[str]:
    compared = ", ".join(f"{_money(nanos)} {unit}" for unit, nanos in money_of(made.bills).items())
    found = [f"{looked} of {len(made.results)} controls could look; {sum(one.status == 'found' for one in made.results)} found something."]
    unseen = [one for one in made.results if one.control == "carriers_reconciled" and one.status == "found"]
    absent = ", ".join(f"{_money(nanos)} {unit}" for one in unseen for unit, nanos in one.money.items())
    several = f"{len(made.bills)} carrier bills over {compared} were" if len(made.bills) > 1 else f"1 carrier bill over {compared} was"
    count = several if made.bills else "No carrier bill was"
    bills = f"{count} compared with our calls"
    found.append(bills + (f"; purchases of {absent} were not." if absent else "."))
    if made.claims:
        still = sum(one.nanos for one in made.claims if one.state not in ("credited", "withdrawn", "expired") and one.currency == made.currency)
        found.append(f"{len(made.claims)} disputes, of which {_money(still)} {made.currency} are open.")
    if made.not_looked:
        found.append("Not looked at: " + ", ".join(one.control.replace("_", " ") for one in made.not_looked) + ".")
    return found


def _cause(text: str) -> str:
    return text.replace("_", " ").replace("|", " or ")


def _money(nanos: int) -> str:
    return amount(to_decimal(nanos))


def as_pdf(made: Report, now_ms: int) -> bytes:
    """The report as PDF, one page first."""
    return pdf("assurance", page(made, now_ms))


def as_html(made: Report, now_ms: int) -> str:
    """The report as one HTML file that needs nothing else."""
    found = page(made, now_ms)
    cards = "".join(f'<div class="card {name}"><b>{amount_}</b><span>{found["currency"]} {name}</span><i>{escape(words)}</i></div>'
                    for name, amount_, words in found["headline"])  # fmt: skip
    bars = "".join(
        f'<div class="bar"><span>{escape(period)}</span><em><u style="width:{width}%"></u></em><span>{money}</span></div>'
        for period, money, width in found["trend"]
    )
    tables = [
        ("Leakage by cause", ("cause", "found", "prevented", "recovered", "suspected", ""), found["lines"], 1, 4),
        ("Disputes", ("party", "cause", "state", "disputed", "agreed", ""), found["claims"], 3, 4),
        ("Bills that were compared", ("carrier", "invoice", "they charge", "our calls", "difference", ""), found["bills"], 2, 4),
        ("Coverage: every control", ("control", "status", "looked at", "found, or why not looked", "money", "what to do"), found["controls"], 2, 2),
    ]
    body = "".join(_table(*one) for one in tables)
    summary = "".join(f"<li>{escape(one)}</li>" for one in found["summary"])
    period, tenant, unit = escape(found["period"]), escape(found["tenant"]), found["currency"]
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Assurance {period}</title><style>{STYLE}</style><main><h1>Revenue assurance, {period}</h1>
<p class="quiet">Tenant {tenant}, made {found["made"]}</p><section class="cards">{cards}</section>
<p>Besides, {found["suspected"]} {unit} are suspected and not counted above: look-alikes, estimates, and
differences whose cause the files do not tell.</p>
<ul>{summary}</ul><h2>Trend of what controls found, {unit}</h2>{bars or "<p>One period only.</p>"}
<div class="sign"><span>Finance, date and signature</span><span>Revenue assurance, date and signature</span></div>{body}</main></html>
"""


STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1d2733;background:#f4f6f8;margin:0}
main{max-width:60rem;margin:2rem auto;background:#fff;padding:2.5rem 3rem}
h1{margin:0;font-size:1.7rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}.quiet{color:#667;margin:.2rem 0 1.5rem}
.cards{display:grid;grid-template-columns:repeat(3,1fr);gap:1rem}.card{border-left:5px solid #b3261e;background:#f7f8fa;padding:1rem}
.card.prevented{border-color:#b26a00}.card.recovered{border-color:#1b7f4b}.card b{font-size:1.7rem;display:block;font-variant-numeric:tabular-nums}
.card i{display:block;color:#667;font-style:normal;font-size:.85rem}
table{border-collapse:collapse;width:100%;font-size:.88rem}th{text-align:left;color:#667;font-weight:500;border-bottom:1px solid #ccd}
td,th{padding:.3rem .6rem .3rem 0;vertical-align:top}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}tr+tr td{border-top:1px solid #eef}
.bar{display:grid;grid-template-columns:6rem 1fr 9rem;gap:.8rem;align-items:center}.bar em{background:#eef1f4;height:.9rem}
.bar u{display:block;height:100%;background:#b3261e}.bar span:last-child{text-align:right}
.sign{display:flex;gap:3rem;margin-top:3rem}.sign span{flex:1;border-top:1px solid #889;color:#667;font-size:.85rem;padding-top:.3rem}
tr.found td:nth-child(2){color:#b3261e;font-weight:600}tr.passed td:nth-child(2){color:#1b7f4b}tr.not td:nth-child(2){color:#b26a00;font-weight:600}
@media print{body{background:#fff}main{margin:0;max-width:none;padding:0}.sign{page-break-after:always}}
"""


def _table(title: str, head: tuple[str, ...], rows: list[tuple[str, ...]], first: int, last: int) -> str:
    """A table whose columns from `first` to `last` are numbers."""
    def cells(row: tuple[str, ...], tag: str) -> str:
        return "".join(f'<{tag}{" class=n" if first <= at <= last else ""}>{escape(cell)}</{tag}>' for at, cell in enumerate(row))

    if not rows:
        return f"<h2>{title}</h2><p>None.</p>"
    kinds = {"found", "passed", "not looked"}
    lines = "".join(f'<tr class="{row[1] if row[1] in kinds else ""}">{cells(row, "td")}</tr>' for row in rows)
    return f"<h2>{title}</h2><table><tr>{cells(head, 'th')}</tr>{lines}</table>"


def as_facts(made: Report) -> dict[str, Any]:
    """The report for programs: nanos as they are."""
    return {
        "tenant": made.tenant, "period": made.period, "lines": [asdict(one) for one in made.lines], "controls": list(made.results),
        "bills": list(made.bills), "disputes": list(made.claims), "trend": [{"period": period, "found": sums} for period, sums in made.trend],
    }  # fmt: skip
