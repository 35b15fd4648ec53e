"""The assurance report as a person reads and signs it: one page first, then every cause, dispute, bill and control; as HTML and as PDF."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from assurance.controls.registry import controls
from assurance.reconcile.causes import CAUSES
from assurance.report import Report, money_of
from core.money import to_decimal
from core.text import amount
from services.printing import pdf

ORDER = {"found": 0, "not_checked": 1, "passed": 2}
STATEMENT = (
    "We have seen this report: what was found and what became of it, what is only suspected, and what could not be checked. It was made by the "
    "controls named in it, of the calls, charges, bills and books as they stood at the time above; it says nothing about what they do not look at."
)


def page(made: Report, now_ms: int) -> dict[str, Any]:
    """What the report says, as texts: the same for HTML and PDF."""
    unit = made.currency
    known = {one.name: one for one in controls()}
    most = max((sums.get(unit, 0) for _, sums in made.trend), default=0)
    sales, found = made.sales.get(unit, 0), made.total("found")
    return {
        "tenant": made.tenant, "period": made.period, "currency": unit or "-", "statement": STATEMENT,
        "made": f"{datetime.fromtimestamp(now_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC",
        "headline": [
            ("found", _money(found), f"leaks, {found / sales:.2%} of the sales" if sales else "money that leaks, by the last look"),
            ("prevented", _money(made.total("prevented")), "found earlier in this period and mended since"),
            ("recovered", _money(made.total("recovered")), "agreed on by the other side"),
        ],
        "suspected": _money(made.total("suspected")),
        "standing": _standing(made, found),
        "summary": _summary(made),
        "lines": [
            (_cause(one.cause), _about(one.cause), *map(_or_dash, (one.found, one.prevented, one.recovered, one.suspected)), one.currency)
            for one in made.lines
        ],
        "controls": [
            (
                one.control.replace("_", " "), one.status.replace("_", " "), f"{one.checked:,}",
                f"{one.count:,}: {one.items[0].what}" if one.items else one.why_not[:120],
                ", ".join(f"{_money(nanos)} {currency}" for currency, nanos in one.money.items()),
                known[one.control].remedy if one.status == "found" else "",
            )
            for one in sorted(made.results, key=lambda one: (ORDER[one.status], one.control))
        ],
        "bills": [
            (one.party, one.invoice or "-", _money(one.theirs), _money(one.ours), _money(one.theirs - one.ours), one.currency) for one in made.bills
        ],
        "claims": [
            (
                one.party if one.is_ours else f"{one.party} (of us)", _cause(one.cause), one.state, _money(one.nanos),
                "-" if one.agreed is None else _money(one.agreed), one.currency,
            )
            for one in made.claims
        ],
        "trend": [(period, _money(sums.get(unit, 0)), round(100 * sums.get(unit, 0) / most) if most else 0) for period, sums in made.trend],
    }  # fmt: skip


def _standing(made: Report, found: int) -> list[tuple[str, str, str]]:
    """What became of the money that was found: words, money, share."""
    words = ("recovered: the other side agreed", "in dispute: an answer is waited for, or it is not sent yet",
        "lost: refused, withdrawn, or not asked in time", "not acted on: below the thresholds of disputes, or ours to mend")  # fmt: skip
    return [(text, _money(nanos), f"{nanos / found:.0%}" if found else "-") for text, nanos in zip(words, made.standing(), strict=True)]


def _summary(made: Report) -> list[str]:
    looked = [one for one in made.results if one.status != "not_checked"]
    sold = ", ".join(f"{_money(nanos)} {unit}" for unit, nanos in sorted(made.sales.items()))
    found = [
        f"{len(looked)} of {len(made.results)} controls could look{f', at calls sold for {sold}' if sold else ''}; "
        f"{sum(one.status == 'found' for one in made.results)} found something."
    ]
    unseen = [one for one in made.results if one.control == "carriers_reconciled" and one.status == "found"]
    absent = ", ".join(f"{_money(nanos)} {unit}" for one in unseen for unit, nanos in one.money.items())
    compared = ", ".join(f"{_money(nanos)} {unit}" for unit, nanos in money_of(made.bills).items())
    several = f"{len(made.bills)} carrier bills over {compared} were" if len(made.bills) > 1 else f"1 carrier bill over {compared} was"
    bills = f"{several if made.bills else 'No carrier bill was'} compared with our calls"
    found.append(bills + (f"; purchases of {absent} were not." if absent else "."))
    for is_ours, what in ((True, "disputes with carriers"), (False, "disputes of customers with us")):
        some = [one for one in made.claims if one.is_ours == is_ours]
        still = sum(one.nanos for one in some if one.state not in ("credited", "withdrawn", "expired") and one.currency == made.currency)
        if some:
            found.append(f"{len(some)} {what}, of which {_money(still)} {made.currency} are open.")
    if made.not_checked:
        found.append("Not checked: " + ", ".join(one.control.replace("_", " ") for one in made.not_checked) + ".")
    others = sorted({one.currency for one in made.lines} - {made.currency, ""})
    if others:
        found.append("In other currencies, and not in the figures above: " + ", ".join(
            f"{_money(made.total('found', unit))} {unit} found, {_money(made.total('recovered', unit))} recovered" for unit in others) + ".")
    return found


def _cause(text: str) -> str:
    return text.replace("_", " ").replace("|", " or ")


def _about(cause: str) -> str:
    """What a cause means, in words.

    >>> _about("bills: increment"), _about("unbilled_calls")
    ('they charge in other increments', 'expected: every answered call has a sale')
    """
    name = cause.removeprefix("bills: ")
    if name != cause:
        return "; or ".join(f"they {CAUSES[one].about}" if one in CAUSES else "a statistical claim about their routes" for one in name.split("|"))
    return next((f"expected: {one.asks}" for one in controls() if one.name == name), "")


def _or_dash(nanos: int) -> str:
    return _money(nanos) if nanos else "-"


def _money(nanos: int) -> str:
    return amount(to_decimal(nanos))


def as_pdf(made: Report, now_ms: int) -> bytes:
    """The report as PDF, one page first."""
    return pdf("assurance", page(made, now_ms))


def as_html(made: Report, now_ms: int) -> str:
    """The report as one HTML file that needs nothing else."""
    found = page(made, now_ms)
    cards = "".join(f'<div class="card {name}"><b>{money}</b><span>{found["currency"]} {name}</span><i>{escape(words)}</i></div>'
                    for name, money, words in found["headline"])  # fmt: skip
    bars = "".join(
        f'<div class="bar"><span>{escape(period)}</span><em><u style="width:{width}%"></u></em><span>{money}</span></div>'
        for period, money, width in found["trend"]
    )
    causes = ("cause", "what it is", "found", "prevented", "recovered", "suspected", "")
    tables = [
        ("Leakage by cause", causes, found["lines"], 2, 5),
        ("Disputes", ("party", "cause", "state", "disputed", "agreed", ""), found["claims"], 3, 4),
        ("Bills that were compared", ("carrier", "invoice", "they charge", "our calls", "difference", ""), found["bills"], 2, 4),
        ("Coverage: every control", ("control", "status", "checked", "found, or why not checked", "money", "what to do"), found["controls"], 2, 2),
    ]
    body = "".join(_table(*one) for one in tables)
    standing = _table(f"Where the money stands that was found, {found['currency']}", ("", found["currency"], "share"), found["standing"], 1, 2)
    largest = _table("The largest causes", causes, found["lines"][:5], 2, 5)
    summary = "".join(f"<li>{escape(one)}</li>" for one in found["summary"])
    period, tenant, unit = escape(found["period"]), escape(found["tenant"]), found["currency"]
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Assurance {period}</title><style>{STYLE}</style><main><h1>Revenue assurance, {period}</h1>
<p class="quiet">Tenant {tenant}, made {found["made"]}</p><section class="cards">{cards}</section>
<p>Besides, {found["suspected"]} {unit} are suspected and not counted above: look-alikes, estimates, and
differences whose cause the files do not tell.</p>
<ul>{summary}</ul>{standing}{largest}<h2>Trend of what was found, {unit}</h2>{bars or "<p>One period only.</p>"}
<p class="quiet statement">{escape(found["statement"])}</p>
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
.statement{margin-top:2rem}
.sign{display:flex;gap:3rem;margin-top:3rem}.sign span{flex:1;border-top:1px solid #889;color:#667;font-size:.85rem;padding-top:.3rem}
tr.found td:nth-child(2){color:#b3261e;font-weight:600}tr.passed td:nth-child(2){color:#1b7f4b}tr.not td:nth-child(2){color:#b26a00;font-weight:600}
@media print{body{background:#fff}main{margin:0;max-width:none;padding:0}.sign{page-break-after:always}}
"""


def _table(title: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]], first: int, last: int) -> str:
    """A table whose columns from `first` to `last` are numbers."""
    def cells(row: tuple[str, ...], tag: str) -> str:
        return "".join(f'<{tag}{" class=n" if first <= at <= last else ""}>{escape(cell)}</{tag}>' for at, cell in enumerate(row))

    if not rows:
        return f"<h2>{title}</h2><p>None.</p>"
    kinds = {"found", "passed", "not checked"}
    lines = "".join(f'<tr class="{row[1] if row[1] in kinds else ""}">{cells(row, "td")}</tr>' for row in rows)
    return f"<h2>{title}</h2><table><tr>{cells(head, 'th')}</tr>{lines}</table>"
