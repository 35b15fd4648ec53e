"""How a party writes its calls and its invoices: guessed from headings and values, with a reason per column, to be corrected and kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from rating.offers import mapping as sheets
from rating.offers.finding import Findings, refused
from rating.offers.headings import plain
from rating.offers.places import joined
from rating.offers.styles import amount_style, bare_amount, date_style
from rating.offers.table import Row, Table

Kind = Literal["calls", "invoice"]
HEAD = 60
SURVEYED = 20_000
DIFFERENT = 4_000
LOOKED_AT = 100

WORDS: tuple[tuple[str, int, str], ...] = (
    ("b_number", 9,
     r"\b(?:called|dialed|dialled|destination|dst|dest|b|callee|to|term\w*|cld|dnis|b-?party"
     r"|ziel)[ -]?(?:no|nr|number|num|party|phone|msisdn|rufnummer)?\b"),
    ("b_number", 10, r"\b(?:called|dialed|dialled|destination|b)[ -]?(?:no|nr|number|num|party)\b|\b(?:cld|dnis|zielrufnummer|callee)\b"),
    ("a_number", 10,
     r"\b(?:calling|caller|source|src|a|originating|orig|from)[ -]?(?:no|nr|number|num|party|id)\b"
     r"|\b(?:cli|ani|clid|src|caller|anrufer)\b"),
    ("setup", 9, r"\b(?:set ?up|invite|attempt|begin|seizure)\b.*(?:time|date|at)?|^initiated$"),
    ("answer", 11, r"\b(?:answer|answered|connect|connected|conn)\b.*(?:time|date|at|start)?"),
    ("answer", 8, r"\b(?:call|session)? ?(?:start|date ?/? ?time|datetime|timestamp|begin|beginn|zeit|event time)\b"),
    ("answer", 6, r"^(?:date|call date|time|start|datum|fecha)$"),
    ("end", 10, r"\b(?:end|release|disconnect|stop|hang ?up|termination|ende)\b ?(?:time|date|at)?"),
    ("time", 9, r"^(?:call |start )?(?:time|uhrzeit|hora)$"),
    ("charged", 10,
     r"\b(?:billed|billable|charged|chargeable|rounded|bill|billing|rated|fakturiert\w*)\b(?!.*(?:amount"
     r"|price|cost|rate|currency|party))"),
    ("charged", 8, r"^(?:total )?(?:minutes|mins|volume|usage|minuten|seconds|secs)\b"),
    ("talk", 9, r"\b(?:duration|talk|call length|length|conversation|elapsed|dauer|duracion|duree|raw (?:duration|seconds))\b"),
    ("talk", 6, r"^(?:sec|secs|seconds|minutes|min|mins)$"),
    ("price", 9, r"\b(?:rate|price|tariff|preis|tarif|unit price|precio|prix)\b|(?:/|per )\s*min"),
    ("amount", 10, r"\b(?:amount|cost|charge|charges|total cost|value|betrag|importe|montant|total price|sum|net|netto)\b"),
    ("calls", 10, r"^(?:no of |number of |total |#)?\s*(?:calls|anrufe|attempts|llamadas|appels|answered calls|messages)$|^(?:anzahl|count)$"),
    ("currency", 12, r"^(?:currency|curr?|ccy|wahrung|waehrung|devise|moneda)$"),
    ("destination", 10,
     r"\b(?:destination|country|zone|breakout|network|ziel|land|area|product|description|beschreibung"
     r"|service)\b(?: name)?(?!.*\b(?:code|no|nr|number|prefix))"),
    ("prefix", 9, r"\b(?:prefix|dial ?code|code|vorwahl|area code|breakout code)\b"),
    ("day", 9, r"^(?:day|tag|usage date|traffic date)$"),
)  # fmt: skip
"""Field, weight, and what its heading matches (without accents and capitals)."""

OF_CALLS = ("a_number", "b_number", "setup", "answer", "end", "time", "talk", "charged", "price", "amount", "currency", "destination", "prefix")
OF_INVOICES = ("destination", "prefix", "calls", "talk", "charged", "price", "amount", "currency", "day")
TIMES = ("setup", "answer", "end")


class Layout(sheets.Mapping, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a file of calls or an invoice is written. `columns`: field -> the column's name in the file, or #3 for the third one."""

    timezone: str = "UTC"  # of times without a zone
    repeated_hour: Literal["earlier", "later"] = "earlier"  # when the clocks go back
    talk_unit: Literal["s", "ms", "min", "clock"] = "s"  # clock: h:mm:ss or m:ss
    charged_unit: Literal["s", "ms", "min", "clock"] = "s"
    ignore: tuple[str, ...] = ()  # words in the first cell of rows that are no calls, or at the beginning of lines of a PDF
    pdf_edges: tuple[float, ...] = ()  # of a PDF: where on the page one column ends and the next begins, in points from the left


@dataclass(frozen=True)
class Guessed:
    """`after`: the number of the row of headings; `places`: field -> place of its cell."""

    layout: Layout
    reasons: tuple[tuple[str, str], ...]
    findings: Findings


def fields_of(heading: str, kind: Kind) -> list[tuple[int, str]]:
    """What a heading may mean, the surest first.

    >>> fields_of("Called Number", "calls")[0], fields_of("Billed (s)", "calls")[0], fields_of("Amount EUR", "invoice")[0]
    ((10, 'b_number'), (10, 'charged'), (10, 'amount'))
    >>> fields_of("Destination", "calls")[0][1], fields_of("Rate/min", "calls")[0][1], fields_of("Minutes", "invoice")[0][1]
    ('destination', 'price', 'charged')
    """
    text = plain(heading)
    known = OF_CALLS if kind == "calls" else OF_INVOICES
    found: dict[str, int] = {}
    for field, weight, pattern in WORDS:
        if field in known and re.search(pattern, text):
            found[field] = max(found.get(field, 0), weight)
    return sorted(((weight, field) for field, weight in found.items()), reverse=True)


def guess(table: Table, kind: Kind) -> Guessed:
    """The layout of a table. Raises `OfferError` where it has no column of numbers and times (calls), or none of amounts (an invoice).

    >>> from rating.offers.table import open_table
    >>> found = guess(open_table(b"Call Start;Called No;Talk (s);Amount\\n31.10.2026 08:00:01;4311234567;61;0,0123\\n"), "calls")
    >>> found.layout.columns, found.layout.decimal, found.layout.date_format
    ({'b_number': 'Called No', 'amount': 'Amount', 'talk': 'Talk (s)', 'answer': 'Call Start'}, ',', '%d.%m.%Y %H:%M:%S')
    """
    head = list(islice((row for row in table.rows() if row.cells), HEAD))
    names, after = _headings(head, kind)
    values = _survey(table, after, len(names))
    columns: dict[str, int] = {}
    pairs = sorted(
        ((weight, -place, field, place) for place, name in enumerate(names) for weight,
            field in fields_of(name, kind) if _fits(field, values[place])),
        reverse=True,
    )
    reasons: dict[str, str] = {}
    for _, _, field, place in pairs:
        if field not in columns and place not in columns.values():
            columns[field] = place
            reasons[field] = f"column {place + 1} {names[place]!r}: its heading, and its values fit"
    needed = (("b_number", "numbers called"), ("answer", "times")) if kind == "calls" else (("amount", "amounts"),)
    if kind == "calls" and "answer" not in columns and "setup" in columns:
        columns["answer"], reasons["answer"] = columns.pop("setup"), reasons.pop("setup")
    for field, what in needed:
        if field not in columns:
            shown = ", ".join(repr(name) for name in names if name) or "no headings"
            raise refused("no such column", f"no column of {what} was found among {shown}", f"name it in a layout: columns: {{{field}: ...}}")
    if kind == "calls" and "talk" not in columns and "charged" not in columns and "end" not in columns:
        raise refused("no such column", "no column of durations was found", "name it in a layout: columns: {talk: ...} or {charged: ...}")
    made, more, findings = _styles(columns, names, values)
    layout = Layout(columns={field: names[place] or f"#{place + 1}" for field, place in columns.items()}, **made)  # type: ignore[arg-type]
    return Guessed(layout, (*reasons.items(), *more), findings)


def _headings(head: list[Row], kind: Kind) -> tuple[list[str], int]:
    best: tuple[int, list[str], int] = (0, [], 0)
    for row in head:
        names = joined([row.cells])
        worth = len({found[0][1] for name in names if name and (found := fields_of(name, kind))})
        if worth > best[0] and worth >= 2:
            best = (worth, names, row.number)
    if not best[0]:
        raise refused("no headings", f"none of the first {HEAD} rows names columns of {'calls' if kind == 'calls' else 'an invoice'}",
                      "write a layout: header_rows: 0 and columns by number, such as {b_number: '#3'}")  # fmt: skip
    return best[1], best[2]


def _survey(table: Table, after: int, width: int) -> list[list[str]]:
    different: list[dict[str, None]] = [{} for _ in range(width)]
    for row in islice(table.rows(), SURVEYED):
        if row.number > after and not row.fault:
            for values, cell in zip(different, row.cells, strict=False):
                if cell and len(values) < DIFFERENT:
                    values[cell] = None
    return [list(values) for values in different]


def _fits(field: str, values: list[str]) -> bool:
    """Whether most values of a column may be of a field."""
    some = values[:300]
    if not some:
        return False
    tests = {
        "b_number": lambda text: sum(c.isdigit() for c in text) >= 3, "amount": is_amount, "price": is_amount,
        "talk": is_duration, "charged": is_duration, "calls": lambda text: text.replace(",", "").replace(".", "").isdigit(),
        "answer": has_time, "setup": has_time, "end": has_time, "time": lambda text: bool(re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?(\.\d+)?", text)),
        "destination": lambda text: any(c.isalpha() for c in text), "prefix": lambda text: text.lstrip("+").isdigit(),
    }  # fmt: skip
    test = tests.get(field)
    return test is None or sum(map(test, some)) >= 0.5 * len(some)


def is_amount(text: str) -> bool:
    """
    >>> is_amount("-1.234,50 EUR"), is_amount("Austria")
    (True, False)
    """
    return bool(re.fullmatch(r"[+-]?[\d.,'’\s]*\d", bare_amount(text)[0]))


def is_duration(text: str) -> bool:
    """
    >>> is_duration("61"), is_duration("0:01:01"), is_duration("1.5"), is_duration("x")
    (True, True, True, False)
    """
    return bool(re.fullmatch(r"[\d.,]+|\d+:\d{2}(:\d{2})?(\.\d+)?", text))


def has_time(text: str) -> bool:
    """
    >>> has_time("31.10.2026 08:00:01"), has_time("1790812800"), has_time("43664")
    (True, True, False)
    """
    return bool(re.search(r"\d[./-]\d|[A-Za-z]{3}", text) and any(c.isdigit() for c in text)) or bool(re.fullmatch(r"1\d{9}(\d{3})?(\.\d+)?", text))


def _styles(columns: Mapping[str, int], names: list[str], values: list[list[str]]) -> tuple[dict[str, object], list[tuple[str, str]], Findings]:
    made: dict[str, object] = {}
    reasons, findings = [], Findings()
    money = [value for field in ("amount", "price") if field in columns for value in values[columns[field]] if is_amount(value)]
    # Only lengths that have a separator tell: 4,250 s beside 12.10 EUR.
    lengths = [value for field in ("talk", "charged") if field in columns for value in values[columns[field]] if re.search(r"\d[.,'’]\d", value)]
    amounts = amount_style([*money, *(value for value in lengths if is_amount(value))])
    made["decimal"], made["thousands"] = amounts.decimal, amounts.thousands
    if amounts.doubt:
        findings.add("decimal style", "error", amounts.doubt)
    elif money:
        reasons.append(("decimal", f"{amounts.decimal!r}: {amounts.reason}"))
    dates = _dates(columns, values)
    if dates:
        style = date_style(dates)
        made["date_format"] = style.date_format
        if style.doubt:
            findings.add("date style", "error", style.doubt)
        else:
            reasons.append(("date_format", f"{style.date_format}: {style.reason}"))
    for field in ("talk", "charged"):
        if field in columns:
            unit = _unit(names[columns[field]], values[columns[field]])
            made[f"{field}_unit"] = unit
            if unit != "s":
                reasons.append((f"{field}_unit", f"{unit}: the heading {names[columns[field]]!r} and its values"))
    return made, reasons, findings


def _dates(columns: Mapping[str, int], values: list[list[str]]) -> list[str]:
    def some(different: list[str]) -> list[str]:
        return different[:: max(1, len(different) // LOOKED_AT)]  # each is tried by fifty formats

    found = [value for field in TIMES if field in columns for value in some(values[columns[field]])]
    return [re.sub(r"\.\d{1,6}$", "", value) for value in found if not re.fullmatch(r"\d+(\.\d+)?", value)]


def _unit(name: str, values: Iterable[str]) -> str:
    text = plain(name)
    some = list(islice(values, 300))
    if any(":" in value for value in some):
        return "clock"
    if re.search(r"\b(?:ms|msec|milliseconds?)\b", text):
        return "ms"
    return "min" if re.search(r"\bmin(?:ute)?s?\b|\bminuten\b", text) else "s"
