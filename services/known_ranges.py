"""Ranges known for fraud: imported from lists that carriers share, confirmed by our own people, and forgotten.

They are a part of the config version, so that a replay weighs them as the live stream did. An import is one version, or nothing.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from books import Connection
from core.delimited import Line, Style, read_lines
from core.known import LEAST_DIGITS, KnownRange, points, prefixes_between, wins
from core.numbers import DialPlan, range_of
from core.text import visible
from services import files, publishing
from services.errors import BadArgument, UnknownName
from services.in_force import View

MOST_BYTES = 16 << 20
MOST_RANGES = 100_000
BROKEN_SHARE = 0.2
"""A file with more lines that cannot be read than this share is another file, or has shifted columns: it is refused whole."""
MOST_FINDINGS = 100

COLUMNS = {
    "range": ("range", "number", "prefix", "b number", "test number", "range start", "from", "msisdn", "number range"),
    "to": ("to", "range end", "until"),
    "day": ("date", "day", "seen", "last seen", "reported", "date reported", "last used"),
    "source": ("source", "reported by", "carrier", "provider"),
    "why": ("why", "comment", "note", "remark", "fraud type", "destination", "country"),
}
"""What a column is called, in small letters. Only the first is needed."""

DATES = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%d.%m.%Y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")
"""Dates that mean one day everywhere; 03/04/2026 does not."""


class Finding(NamedTuple):
    """A line that was left out."""

    line: int
    why: str
    text: str


@dataclass(frozen=True)
class Read:
    """What a file says."""

    ranges: list[KnownRange]
    lines: int
    bad: int
    findings: list[Finding] = field(default_factory=list)  # the first of them


class Imported(NamedTuple):
    """What an import did. `put`: new or newer than before; `kept`: known already as it is, or better."""

    put: int
    kept: int
    known: int
    version: int
    read: Read


class WeightedRange(NamedTuple):
    """A known range and what it counts now."""

    range: KnownRange
    points: float


def read(content: bytes, tenant: str, source: str, day: str, now_ms: int, plan: DialPlan = DialPlan(), date_format: str = "") -> Read:
    """The ranges of a CSV with a header. `source` and `day` are for lines that have none of their own. Raises `BadArgument` for another file.

    >>> found = read(b"range,date,source\\n+8821312,2026-11-01,i3Forum\\n0664,2026-11-01,\\n", "t1", "upload", "2026-11-28", 1795910400000)
    >>> found.ranges[0].b_range, found.bad, found.findings[0].why
    ('8821312', 1, "'0664' means no range: write it with its country code, 1 to 15 digits, as +43 664")
    """
    text = content.decode("utf-8-sig", "surrogateescape")
    delimiter = max(",;\t|", key=text.partition("\n")[0].count)
    rows = read_lines(io.StringIO(text), Style(delimiter))
    header = next(rows, None)
    if header is None:
        raise BadArgument("the file is empty: it needs a header and a line per number or range")
    at = _columns(header)
    last_day = (datetime.fromtimestamp(now_ms / 1000, UTC) + timedelta(days=1)).date()
    found: list[KnownRange] = []
    findings: list[Finding] = []
    lines = bad = 0
    for row in rows:
        lines += 1
        try:
            found += _ranges(row, at, tenant, source, day, last_day, plan, date_format)
        except ValueError as wrong:
            bad += 1
            if len(findings) < MOST_FINDINGS:
                findings.append(Finding(row.line, str(wrong), visible(row.text)[:80]))
        if len(found) > MOST_RANGES:
            raise BadArgument(f"line {row.line}: the file has more than {MOST_RANGES:,} ranges")
    return Read(found, lines, bad, findings)


def _columns(header: Line) -> dict[str, int]:
    names = [cell.strip().lower().replace("_", " ") for cell in header.cells]
    at = {what: next((names.index(name) for name in known if name in names), -1) for what, known in COLUMNS.items()}
    if at["range"] < 0:
        raise BadArgument(
            f"line {header.line}: no column is named {', '.join(COLUMNS['range'][:3])}; the header has {visible(', '.join(names))[:200] or 'nothing'}"
        )
    return at


def _ranges(
    row: Line, at: dict[str, int], tenant: str, source: str, day: str, last_day: date, plan: DialPlan, date_format: str
) -> Iterator[KnownRange]:
    """The entries of one line. `ValueError` says what is wrong with it."""
    if row.fault:
        raise ValueError(row.fault)

    def cell(what: str) -> str:
        return row.cells[at[what]].strip() if 0 <= at[what] < len(row.cells) else ""

    written = cell("day")
    seen = _day(written, date_format) if written else date.fromisoformat(day)
    if seen > last_day:
        raise ValueError(f"the date {seen} is in the future")
    first, last = cell("range"), cell("to")
    if not last and "-" in first:  # 37190012000-37190012999
        ends = first.split("-")
        if len(ends) == 2 and min(map(len, ends)) >= LEAST_DIGITS:
            first, last = ends
    first = range_of(first.rstrip("*xX% "), plan)
    last = range_of(last, plan) if last else first
    prefixes = list(prefixes_between(first, last))
    if short := [prefix for prefix in prefixes if len(prefix) < LEAST_DIGITS]:
        raise ValueError(f"{short[0]} is most of a country: a known range has at least {LEAST_DIGITS} digits")
    for prefix in prefixes:
        yield KnownRange(tenant=tenant, b_range=prefix, day=str(seen), source=_short(cell("source") or source), why=_short(cell("why")))


def _day(text: str, date_format: str) -> date:
    for form in (date_format,) if date_format else DATES:
        try:
            return datetime.strptime(text, form).date()
        except ValueError:
            continue
    raise ValueError(f"{text[:40]!r} is no date such as 2026-01-31; for another way of writing dates give --date-format, as %d/%m/%Y")


def _short(text: str) -> str:
    return visible(text)[:80]


def import_file(
    conn: Connection, file: Path, tenant: str, source: str, who: str, why: str, now_ms: int, plan: DialPlan = DialPlan(), date_format: str = ""
) -> Imported:
    """Takes in a file, whole or not at all; the same file again changes nothing. Raises `BadArgument` where it is another file."""
    try:
        content = files.read(file, MOST_BYTES)
    except OSError as error:
        raise BadArgument(f"{file} cannot be read: {error.strerror}") from None
    found = read(content, tenant, source or file.name, _today(now_ms), now_ms, plan, date_format)
    if not found.lines or found.bad > BROKEN_SHARE * found.lines:
        worst = "; ".join(f"line {one.line}: {one.why}" for one in found.findings[:5])
        raise BadArgument(f"{file} is refused: {found.bad:,} of {found.lines:,} lines cannot be read. {worst}")
    put, version = _put(conn, found.ranges, who, why, now_ms)
    return Imported(put, len({one.b_range for one in found.ranges}) - put, len(every(conn, tenant, now_ms)), version, found)


def confirm(conn: Connection, tenant: str, b_range: str, who: str, why: str, now_ms: int) -> bool:
    """A person has judged that calls into a range are fraud: it is hot from now on, and cools down. False = the range is too wide to accuse,
    or is hot already."""
    if len(b_range) < LEAST_DIGITS:
        return False
    one = KnownRange(tenant=tenant, b_range=b_range, day=_today(now_ms), source=f"confirmed by {_short(who)}", kind="confirmed", why=_short(why))
    return _put(conn, [one], who, f"{b_range} is confirmed as a range of fraud: {why}", now_ms)[0] > 0


def forget(conn: Connection, tenant: str, b_range: str, who: str, why: str, now_ms: int, *, only_confirmed: bool = False) -> None:
    """Takes a range off. Raises `UnknownName` where it is not known; with `only_confirmed` that, or one that others reported, is no error."""
    found = View(conn).find("known_ranges", tenant, b_range)
    if found is None or (only_confirmed and found.kind != "confirmed"):
        if only_confirmed:
            return
        raise UnknownName(f"{b_range} is no known range of tenant {tenant}.")
    publishing.change(conn, [], [publishing.Name("known_ranges", tenant, b_range)], who, why, now_ms)


def every(conn: Connection, tenant: str, now_ms: int) -> list[WeightedRange]:
    """The known ranges, those that count most first."""
    found = [WeightedRange(one, points(one, now_ms)) for one in View(conn).every(("known_ranges",), [tenant])]
    return sorted(found, key=lambda one: (-one.points, one.range.b_range))


def _put(conn: Connection, ranges: Iterable[KnownRange], who: str, why: str, now_ms: int) -> tuple[int, int]:
    """How many entries are new or better than what is known, and the version that has them."""
    view, best = View(conn), dict[tuple[str, str], KnownRange]()
    for one in ranges:
        if wins(one, best.get((one.tenant, one.b_range)) or view.find("known_ranges", one.tenant, one.b_range)):
            best[one.tenant, one.b_range] = one
    if not best:
        return 0, view.version
    return len(best), publishing.change(conn, list(best.values()), [], who, why, now_ms).version


def _today(now_ms: int) -> str:
    return str(datetime.fromtimestamp(now_ms / 1000, UTC).date())
