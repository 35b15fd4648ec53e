"""What a carrier's file is, guessed from its headings and its values: a mapping with a reason per column, that a person can correct."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from core.currencies import CURRENCIES
from core.numbering import country_code
from rating.decks import check_cells
from rating.offers.codes import BadCode, codes_of
from rating.offers.finding import Findings, refused
from rating.offers.headings import OTHER_PRICE, meanings, plain
from rating.offers.mapping import BY_STATE, CLOSED_WORDS, MORE, PRICES, Mapping, clean_name
from rating.offers.places import HEAD, joined
from rating.offers.styles import (
    DATE_FORMATS,
    INCREMENTS,
    ISO,
    TIMES,
    amount_style,
    bare_amount,
    date_ms,
    date_style,
    increments,
)
from rating.offers.table import Row, Table
from rating.offers.xlsx import Number

DIFFERENT = 4_000
"""Different values of a column that are looked at."""
SURVEYED = 50_000
"""Rows that are looked at: what later ones write otherwise is found when they are read."""


@dataclass(frozen=True)
class Guess:
    """`reasons`: (field or style, why it is taken for that). `findings`: what a person has to decide, and what was left aside."""

    mapping: Mapping
    reasons: tuple[tuple[str, str], ...]
    findings: Findings


@dataclass
class Column:
    """What a column holds, over the whole file."""

    name: str
    number: int  # from 1
    filled: int = 0
    values: dict[str, None] = field(default_factory=dict)  # different ones, in their order

    def share(self, fits: Callable[[str], object]) -> float:
        """How many of the different values fit a test."""
        tested = list(islice(self.values, 500))
        return sum(bool(fits(value)) for value in tested) / len(tested) if tested else 0.0

    @property
    def label(self) -> str:
        """As a mapping names it."""
        return self.name or f"#{self.number}"


# --- what a value looks like ---


def is_code(value: str) -> bool:
    """Whether a cell holds dial codes."""
    try:
        codes_of(value, "", "group")
    except BadCode as wrong:
        return "went through a float" in wrong.what
    return True


def is_amount(value: str) -> bool:
    """Whether a cell is an amount of money."""
    return type(value) is Number or bool(re.fullmatch(r"[+-]?[\d.,'’\s]*\d", bare_amount(value)[0]))


def is_increments(value: str) -> bool:
    """Whether a cell is increments."""
    try:
        increments(value)
    except ValueError:
        return bool(INCREMENTS.fullmatch(value))
    return True


def is_date(value: str) -> bool:
    """Whether a cell is a date in some way of writing."""
    if ISO.fullmatch(value):
        return True
    for form in DATE_FORMATS:
        for time in TIMES:
            try:
                if date_ms(value, form + time, "UTC") is not None:
                    return True
            except ValueError:
                continue
    return bool(re.fullmatch(r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}", value))


def is_text(value: str) -> bool:
    """Whether a cell has letters in it."""
    return any(letter.isalpha() for letter in value)


def is_own(name: str, value: str) -> bool:
    """Whether a cell can stand in a column of our own decks."""
    if name in ("price_per_increment", "min_amount", "max_amount", "surcharge"):
        return is_amount(value)
    try:
        check_cells(((name, value.lower()), ("price_per_min", "0" if name != "steps" else "")))
    except ValueError:
        return False
    return True


FITS: dict[str, Callable[[str], object]] = {
    "prefix": is_code, "country_code": is_code, "city_code": lambda value: is_code("9" + value.lstrip("0")), "destination": is_text,
    "price_per_min": lambda value: is_amount(value) or value.casefold() in CLOSED_WORDS, "connect_fee": is_amount, "attempt_fee": is_amount,
    "first_s": is_increments, "next_s": is_increments, "increments": is_increments, "effective_from": is_date, "effective_to": is_date,
    "currency": lambda value: value.upper() in CURRENCIES, "change": is_text,
    **dict.fromkeys(BY_STATE, is_amount), **{name: partial(is_own, name) for name in MORE},
}  # fmt: skip
"""Field -> whether a value can be one of it."""


# --- the guess ---


def guess(table: Table) -> Guess:
    """What the columns of a table mean. Raises `OfferError` where there is no column of codes or none of prices.

    >>> from rating.offers.table import open_table
    >>> found = guess(open_table(b"Destination;Dial Code;Rate EUR/min;Incr\\nUK;44;0,02;1/1\\nUK mobile;447;0,035;60/1\\n"))
    >>> found.mapping.columns["prefix"], found.mapping.decimal, dict(found.reasons)["price_per_min"]
    ('Dial Code', ',', "column 3 'Rate EUR/min': its heading, and 100% of its values")
    """
    head = list(islice((row for row in table.rows() if row.cells), HEAD))
    if not head:
        raise refused("empty file", "no row of the file can be read", "ask the carrier to send it again")
    start, names, count = _headings(head)
    after = head[start - 1].number if start else 0
    columns = _survey(table, names, after)
    findings = Findings(sheet=table.sheet)
    meant, reasons = _by_heading(columns) if count else _by_values(columns)
    for absent, what in (("prefix", "codes"), ("price_per_min", "prices")):
        if absent not in meant and not (absent == "prefix" and ("country_code" in meant)) and not (what == "prices" and meant.keys() & set(PRICES)):
            shown = ", ".join(column.label for column in columns if column.filled) or "no columns"
            raise refused(
                "no such column", f"no column of {what} was found among {shown}",
                f"say which it is: --write-mapping FILE writes the guess to correct, columns: {{{absent}: ...}}",
            )  # fmt: skip
    _two_columns(meant, reasons)
    made, more, doubts = _styles(meant, count)
    for kind, what in doubts:
        findings.add(kind, "error", what)
    _left_aside(columns, meant, findings)
    fill = tuple(name for name in ("country_code", "destination") if name in meant and _has_gaps(table, meant, name, after))
    if fill:
        more.append(("fill_down", f"{', '.join(fill)}: an empty cell means what stands above it"))
    mapping = Mapping(
        columns={name: column.label for name, column in meant.items()},
        header_rows=count, fill_down=fill, **made,  # type: ignore[arg-type]
    )  # fmt: skip
    return Guess(mapping, (*reasons.items(), *more), findings)


def _headings(head: list[Row]) -> tuple[int, list[str], int]:
    """How many rows of `head` lie above the first row of the table, the columns' names, and how many rows name them."""
    best: tuple[int, int, list[str], int] = (0, 0, [], 0)
    for at, row in enumerate(head):
        if _has_values(row.cells):
            continue
        for count in (1, 2):
            rows = head[at : at + count]
            if len(rows) < count or (count == 2 and _has_values(rows[1].cells)):
                continue
            names = joined([one.cells for one in rows])
            known = len({found[0].field for name in names if (found := meanings(name))})
            worth = 10 * known - count
            if known >= 2 and worth > best[0]:
                best = (worth, at + count, names, count)
    if best[0]:
        return best[1], best[2], best[3]
    return 0, [""] * max(len(row.cells) for row in head), 0


def _has_values(cells: list[str]) -> bool:
    """Whether a row has what no heading has: a code and an amount."""
    return sum(1 for cell in cells if cell and (type(cell) is Number or is_amount(cell) or is_code(cell))) >= 2


def _survey(table: Table, names: list[str], after: int) -> list[Column]:
    columns = [Column(name, number) for number, name in enumerate(names, 1)]
    for row in islice(table.rows(), SURVEYED):
        if row.number <= after or row.fault:
            continue
        for column, cell in zip(columns, row.cells, strict=False):
            if cell:
                column.filled += 1
                if len(column.values) < DIFFERENT:
                    column.values[cell] = None
    known: dict[str, int] = {}
    for column in columns:
        known[clean_name(column.name)] = known.get(clean_name(column.name), 0) + 1
    for column in columns:
        if known[clean_name(column.name)] > 1:
            column.name = ""  # two of one name: by their number
    return columns


def _by_heading(columns: list[Column]) -> tuple[dict[str, Column], dict[str, str]]:
    """Fields to columns, the surest pairs first; a heading that its values contradict counts for nothing."""
    pairs = []
    for column in columns:
        for one in meanings(column.name):
            share = column.share(FITS[one.field])
            if column.filled and share < (0.2 if one.weight >= 8 else 0.5):  # where the heading is sure, single values are the fault
                continue
            pairs.append((one.weight + share, bool(column.filled), -column.number, one.field, column, share))
    pairs.sort(key=lambda pair: pair[:3], reverse=True)
    meant: dict[str, Column] = {}
    reasons: dict[str, str] = {}
    taken: set[int] = set()
    for _, _, _, name, column, share in pairs:
        if name in meant or column.number in taken:
            continue
        meant[name] = column
        taken.add(column.number)
        reasons[name] = f"column {column.number} {column.label!r}: its heading, and {share:.0%} of its values"
    priced = bool(meant.keys() & set(PRICES))
    if ("prefix" not in meant and "country_code" not in meant) or not priced:
        found, why = _by_values([column for column in columns if column.number not in taken])
        for name in ("prefix", "price_per_min"):
            if name not in meant and name in found and not (name == "prefix" and "country_code" in meant) and not (name != "prefix" and priced):
                meant[name], reasons[name] = found[name], why[name]
                taken.add(found[name].number)
    rest = [column for column in columns if column.number not in taken]
    if "increments" in meant and {"first_s", "next_s"} & meant.keys():  # "Min" and "Incr": the first and the following
        other = "next_s" if "first_s" in meant else "first_s"
        if other not in meant and not meant["increments"].share(_is_pair):
            meant[other], reasons[other] = meant.pop("increments"), reasons.pop("increments")
        else:
            for other in {"first_s", "next_s"} & meant.keys():
                del meant[other], reasons[other]
    if not {"increments", "first_s", "next_s"} & meant.keys():
        found, why = _by_values([column for column in rest if column.share(_is_pair) > 0.8])
        if "increments" in found:
            meant["increments"], reasons["increments"] = found["increments"], why["increments"]
    return meant, reasons


def _is_pair(value: str) -> bool:
    return bool(INCREMENTS.fullmatch(value)) and not is_date(value)


def _by_values(columns: list[Column]) -> tuple[dict[str, Column], dict[str, str]]:
    """Fields to columns where nothing names them: by their values alone."""
    filled = [column for column in columns if column.filled]
    meant: dict[str, Column] = {}
    reasons: dict[str, str] = {}

    def take(name: str, scores: list[tuple[float, Column]], what: str) -> None:
        good = [(score, -column.number, column) for score, column in scores if score > 0.6 and column not in meant.values()]
        if good:
            meant[name] = max(good, key=lambda one: one[:2])[2]
            reasons[name] = f"column {meant[name].number}: {what}"

    def shares(fits: Callable[[str], object]) -> list[tuple[float, Column]]:
        return [(column.share(fits), column) for column in filled]

    def differs(column: Column) -> float:
        return min(1.0, len(column.values) / max(1, min(column.filled, DIFFERENT)))

    take("increments", shares(_is_pair), "pairs such as 60/1")
    take("effective_from", shares(lambda value: is_date(value) and not value.isdigit()), "dates")
    take("price_per_min", shares(lambda value: is_amount(value) and not value.isdigit()), "amounts with decimals")
    take("prefix", [(share * differs(column), column) for share, column in shares(is_code)], "digits that differ from row to row")
    take("destination", shares(is_text), "names")
    return meant, reasons


def _two_columns(meant: dict[str, Column], reasons: dict[str, str]) -> None:
    """A country code beside a column of codes: is that one whole, or the rest of one?"""
    if "country_code" not in meant or "prefix" not in meant:
        if "city_code" in meant and "country_code" not in meant:
            if "prefix" not in meant:
                meant["prefix"], reasons["prefix"] = meant.pop("city_code"), reasons.pop("city_code")
            else:  # "Code" and "City Code": the first one is the country's
                meant["country_code"], reasons["country_code"] = meant.pop("prefix"), reasons.pop("prefix")
        return
    countries = {value.lstrip("+0") for value in meant["country_code"].values}
    whole = meant["prefix"].share(lambda value: any(value.lstrip("+0").startswith(code) for code in countries if code))
    if whole > 0.9 or "city_code" in meant:
        del meant["country_code"], reasons["country_code"]
        meant.pop("city_code", None), reasons.pop("city_code", None)
    else:
        meant["city_code"], reasons["city_code"] = meant.pop("prefix"), reasons.pop("prefix") + ", beside a country code"


def _styles(meant: dict[str, Column], count: int) -> tuple[dict[str, object], list[tuple[str, str]], list[tuple[str, str]]]:
    """How amounts, dates and ranges are written; what was seen of it; and what a person has to decide."""
    made: dict[str, object] = {}
    reasons, doubts = [], []
    amounts_in = ("price_per_min", "connect_fee", "attempt_fee", *BY_STATE, "price_per_increment", "min_amount", "max_amount", "surcharge")
    priced = [meant[name] for name in amounts_in if name in meant]
    money = [value for column in priced for value in column.values if type(value) is not Number]
    amounts = amount_style(value for value in money if is_amount(value))
    made["decimal"], made["thousands"] = amounts.decimal, amounts.thousands
    if amounts.doubt:
        doubts.append(("decimal style", amounts.doubt))
    elif money:
        reasons.append(("decimal", f"{amounts.decimal!r}: {amounts.reason}"))
    dates = [value for name in ("effective_from", "effective_to") if name in meant for value in meant[name].values]
    if dates:
        style = date_style(dates)
        made["date_format"] = style.date_format
        if style.doubt:
            doubts.append(("date style", style.doubt))
        else:
            reasons.append(("date_format", f"{style.date_format}: {style.reason}"))
    codes = meant.get("prefix") or meant.get("city_code")
    dashed = [value for value in codes.values if re.search(r"\d\s*-\s*\d", value)] if codes else []
    if dashed:
        every = len(codes.values) if codes else 0
        made["dash"] = "group" if all(map(_is_group, dashed)) and len(dashed) > 0.5 * every else "range"
        words = "only parts digits" if made["dash"] == "group" else "is a range"
        reasons.append(("dash", f"in {dashed[0]!r} it {words}"))
    if count and "price_per_min" in meant and re.search(r"(?:/|per |pro )\s*sec", plain(meant["price_per_min"].name)):
        made["price_per"] = "second"
        reasons.append(("price_per", f"second: the heading {meant['price_per_min'].name!r}"))
    return made, reasons, doubts


def _is_group(value: str) -> bool:
    """Whether a dash parts a country code from the rest, and no range can be meant.

    >>> _is_group("1-204"), _is_group("44-45"), _is_group("4479-4477")
    (True, False, False)
    """
    first, _, rest = value.partition("-")
    first = first.strip().lstrip("+")
    return first.isdigit() and country_code(first) == first and len(rest.strip()) > len(first) and "-" not in rest


def _left_aside(columns: list[Column], meant: dict[str, Column], findings: Findings) -> None:
    taken = {column.number for column in meant.values()}
    rest = [column for column in columns if column.number not in taken and column.filled]
    for column in rest:
        is_price = any(one.field == "price_per_min" for one in meanings(column.name)) or OTHER_PRICE.search(plain(column.name))
        if is_price and column.share(is_amount) > 0.9:
            price = next(meant[name] for name in PRICES if name in meant)
            findings.add(
                "column left aside", "warning", f"has amounts and is not read; the price is taken from {price.label!r}",
                "if it is another price, such as of the weekend, ask the carrier for a sheet with one price, or name it in the mapping",
                column=column.label,
            )  # fmt: skip
    for column in rest:
        if column.share(lambda value: is_date(value) and not value.isdigit()) > 0.8:
            findings.add(
                "column left aside", "warning", "has dates and is not read",
                "if they say from when a price is valid, name it in the mapping: columns: {effective_from: ...}", column=column.label,
            )  # fmt: skip
        if fields := [one.field for one in meanings(column.name) if one.weight >= 9 and one.field not in meant]:
            findings.add(
                "column left aside", "warning", f"is called like {fields[0]}, but its values are none, such as {next(iter(column.values))[:40]!r}",
                "look at the file; a field that has no column is at its default", column=column.label,
            )  # fmt: skip
    if names := [column.label for column in rest]:
        findings.add("column left aside", "note", f"not read: {', '.join(map(repr, names))}")


def _has_gaps(table: Table, meant: dict[str, Column], name: str, after: int) -> bool:
    """Whether a column is filled in the first row of a group alone."""
    column = meant[name]
    at, price = column.number - 1, next(meant[one] for one in PRICES if one in meant).number - 1
    empty = filled = 0
    for row in islice((row for row in table.rows() if row.number > after and row.cells), 2_000):
        if len(row.cells) > max(at, price) and row.cells[price]:
            filled += bool(row.cells[at])
            empty += not row.cells[at]
            if not filled:
                return False
    return filled > 0 and empty > 0.3 * (filled + empty)
