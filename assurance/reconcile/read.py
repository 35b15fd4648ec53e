"""A party's file of calls into `THEIRS`: each row is a call, exactly as it is written, or unreadable with its line and the reason."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from assurance.reconcile.layout import TIMES, Layout
from assurance.reconcile.match import DIGITS
from assurance.reconcile.sides import THEIRS
from rating.offers.finding import Findings, refused
from rating.offers.places import places_of
from rating.offers.table import Table
from rating.offers.xlsx import Number

CHUNK = 50_000
MOST_BROKEN = 0.5
"""Share of rows that cannot be read, above which the layout is wrong and not the rows."""
SWAPPED = 0.5
EXACT = r"^([+-]?)(\d{1,10})(?:\.(\d{1,9})0*)?$"
TIME_FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M")
TIME_PARTS = ("", " %H:%M", " %H:%M:%S")


@dataclass(frozen=True)
class TheirCalls:
    """`calls` (`THEIRS`); `currency`: as the rows name it, "" = they do not; `unreadable`: `line`, `text`, `reason`, `digits` (the last digits
    of the longest number in the row, -1 = it has none)."""

    calls: pl.DataFrame
    unreadable: pl.DataFrame
    findings: Findings
    currency: str = ""
    rows: int = 0


def read_calls(table: Table, layout: Layout) -> TheirCalls:
    """The calls of a table. Raises `OfferError` where the columns are not there, where half of the
    rows cannot be read, or where start and end are swapped.

    >>> from rating.offers.table import open_table
    >>> layout = Layout(columns={"b_number": "To", "answer": "At", "talk": "Secs", "amount": "EUR"}, decimal=",")
    >>> text = b"At;To;Secs;EUR\\n2026-10-31 08:00:01;+43 1 1234567;61;0,0123\\n2026-10-31 08:00:02;431;x;1\\n2026-10-31 08:00:03;439;1;1\\n"
    >>> found = read_calls(open_table(text), layout)
    >>> found.calls.select("line", "b_number", "duration_ms", "nanos").row(0), found.unreadable.select("line", "reason").rows()
    ((2, '4311234567', 61000, 12300000), [(3, "Secs: 'x' is not a length of time")])
    """
    after, places, names = places_of(table, layout)
    raw = _cells(table, after, places, layout)
    if raw.is_empty():
        raise refused("empty file", "no row of the file is a call", "ask for the file again")
    raw = _numbers(raw)
    raw = _moments(raw, layout, layout.timezone, names)
    raw = _lengths(raw, layout, names)
    for field in ("amount", "price"):
        raw = _amounts(raw, field, layout, names.get(field, field))
    findings = Findings()
    _check_order(raw, names)
    broken = raw.filter(pl.col("fault") != "")
    if broken.height > MOST_BROKEN * raw.height:
        line, reason = broken.row(0, named=True)["line"], broken["fault"][0]
        raise refused(
            "layout", f"{broken.height:,} of {raw.height:,} rows cannot be read; the first: {reason}",
            "correct the layout of this party's files", line,
        )  # fmt: skip
    for line, reason in broken.select("line", "fault").head(50).iter_rows():
        findings.add("unreadable row", "warning", reason, "ask for the file again, or correct the row", line)
    findings.count("unreadable row", "warning", max(0, broken.height - 50))
    good = raw.filter(pl.col("fault") == "")
    _look(good, findings, layout, layout.timezone)
    calls = good.select(
        pl.col("line"), "a_number", "b_number", "at_ms", "duration_ms", "charged_s", pl.col("price_nanos").alias("per_min_nanos"),
        pl.col("amount_nanos").alias("nanos"), pl.col("destination"),
    ).cast(THEIRS)
    unreadable = broken.select("line", "text", pl.col("fault").alias("reason")).with_columns(
        pl.col("text").str.extract_all(r"\d{7,}").list.eval(pl.element().str.slice(-DIGITS)).list.last()
        .cast(pl.Int64, strict=False).fill_null(-1).alias("digits")
    )  # fmt: skip
    currencies = [text for text in good["currency"].unique().to_list() if text]
    return TheirCalls(calls, unreadable, findings, currencies[0].upper() if len(currencies) == 1 else "several" if currencies else "", raw.height)


TOTALS = ("total", "totals", "sum", "summe", "grand total")


def _cells(table: Table, after: int, places: dict[str, int], layout: Layout) -> pl.DataFrame:
    """The mapped cells of each row below the headings, as text, with the row's line, whole text and fault."""
    fields = {**dict.fromkeys(("a_number", "destination", "currency", "price", "amount"), -1), **places}
    width = max(places.values()) + 1
    rows = _fast_rows(table) if table.plain_text else _rows(table)
    rows = rows.filter((pl.col("line") > after) & ((pl.col("fault") != "") | (pl.col("cells").list.join("") != "")))
    first = pl.col("cells").list.get(0, null_on_oob=True).str.to_lowercase().str.strip_chars_end(":")
    filled = pl.col("cells").list.eval((pl.element() != "").cast(pl.UInt32)).list.sum()
    is_sum = first.is_in([*TOTALS, *(word.lower() for word in layout.ignore)]) & (filled < width)
    count = pl.col("cells").list.len()
    short = pl.when((pl.col("fault") == "") & (count < width)).then(count.cast(pl.String) + f" cells, and the columns reach to number {width}")
    cells = [pl.col("cells").list.get(place, null_on_oob=True).fill_null("").alias(field) if place >= 0 else pl.lit("").alias(field)
        for field, place in fields.items()]
    return rows.filter(~is_sum.fill_null(False)).select("line", "text", pl.coalesce(short, "fault").alias("fault"), *cells)


def _fast_rows(table: Table) -> pl.DataFrame:
    lines = pl.DataFrame({"text": pl.Series(table.plain_text.split("\n"), dtype=pl.String)})
    numbered = lines.select(pl.int_range(table.first_line, pl.len() + table.first_line, dtype=pl.Int64).alias("line"),
        pl.col("text").str.strip_chars_end("\r"), pl.lit("").alias("fault"))
    cells = pl.col("text").str.split(table.delimiter).list.eval(pl.element().str.strip_chars())
    return numbered.filter(pl.col("text").str.strip_chars() != "").with_columns(cells.alias("cells"))


def _rows(table: Table) -> pl.DataFrame:
    """As `_fast_rows`, of a workbook or of a text with quotes."""
    kinds: dict[str, Any] = {"line": pl.Int64, "text": pl.String, "fault": pl.String, "cells": pl.List(pl.String)}
    schema = pl.Schema(kinds)
    rows, found = table.rows(), [pl.DataFrame(schema=schema)]
    while chunk := list(islice(rows, CHUNK)):
        cells = [[str(value) if type(value) is Number else value for value in row.cells] for row in chunk]
        columns = {"line": [row.number for row in chunk], "text": [";".join(row) for row in cells], "fault": [row.fault for row in chunk],
            "cells": cells}
        found.append(pl.DataFrame(columns, schema=schema))
    return pl.concat(found)


def _fail(raw: pl.DataFrame, wrong: pl.Expr, text: pl.Expr) -> pl.DataFrame:
    """The rows with a fault where `wrong`, unless they have one."""
    return raw.with_columns(pl.when((pl.col("fault") == "") & wrong.fill_null(True)).then(text).otherwise("fault").alias("fault"))


def _quoted(column: str, label: str, what: str) -> pl.Expr:
    return pl.lit(f"{label}: '") + pl.col(column).str.slice(0, 40) + f"' {what}"


def _numbers(raw: pl.DataFrame) -> pl.DataFrame:
    def digits(name: str) -> pl.Expr:
        return pl.col(name).str.replace_all(r"\(0\)", "").str.replace_all(r"[^0-9]", "")

    raw = raw.with_columns(digits("a_number").alias("a_number"), pl.col("b_number").alias("b_text"), digits("b_number").alias("b_number"))
    return _fail(raw, pl.col("b_number").str.len_chars() < 3, pl.lit("the number called: '") + pl.col("b_text").str.slice(0, 40) + "' is no number")


def _moments(raw: pl.DataFrame, layout: Layout, zone: str, names: dict[str, str]) -> pl.DataFrame:
    """`at_ms` (the answer), and `setup_ms`, `end_ms` where the file has them."""
    if "time" in raw.columns and "answer" in raw.columns:
        raw = raw.with_columns((pl.col("answer") + " " + pl.col("time")).alias("answer"))
    for field in TIMES:
        if field not in raw.columns:
            continue
        values = pl.DataFrame({field: raw[field].unique()})
        values = values.with_columns(_moment(values[field], layout.date_format, zone, layout.repeated_hour).alias(f"{field}_ms"))
        raw = raw.join(values, on=field, how="left", maintain_order="left")
        empty = (pl.col(field) == "") if field != "answer" else pl.lit(False)
        raw = _fail(raw, pl.col(f"{field}_ms").is_null() & ~empty,
            _quoted(field, names.get(field, field), "is not a time, or does not exist in this zone"))
    return raw.rename({"answer_ms": "at_ms"})


def _moment(texts: pl.Series, form: str, zone: str, repeated: str) -> pl.Series:
    """Epoch ms of the texts of times, null = it is none."""
    texts = texts.str.strip_chars()
    frame = pl.DataFrame({"text": texts, "ms": pl.Series([None] * len(texts), dtype=pl.Int64)})
    epoch = pl.col("text").str.extract(r"^(1\d{9})(?:\.\d+)?$").cast(pl.Int64, strict=False) * 1000
    frame = frame.with_columns(pl.coalesce("ms", epoch, pl.col("text").str.extract(r"^(1\d{12})$").cast(pl.Int64, strict=False)).alias("ms"))
    offset = pl.when(pl.col("text").str.contains(r"[0-9](?:Z|[+-]\d{2}:?\d{2})$")).then(pl.col("text"))
    with_zone = offset.str.replace("Z$", "+0000").str.replace(" ", "T").str.replace(r"([+-]\d{2}):(\d{2})$", "$1$2")
    zoned = pl.coalesce(
        with_zone.str.to_datetime("%Y-%m-%dT%H:%M:%S%z", time_unit="ms", strict=False), with_zone.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%z",
            time_unit="ms", strict=False)
    )  # fmt: skip
    frame = frame.with_columns(pl.coalesce("ms", zoned.dt.epoch("ms")).alias("ms"))
    bases = [*TIME_FORMATS, *([] if form == "iso" else [form, form + "%.f", *(form + part for part in TIME_PARTS[1:] if "%H" not in form)])]
    named = not re.fullmatch(r"[+-]\d{2}:?\d{2}", zone)
    for base in bases:
        left = pl.when(pl.col("ms").is_null()).then(pl.col("text"))
        local = left.str.to_datetime(base, time_unit="ms", strict=False)
        if named:
            at = local.dt.replace_time_zone(zone, ambiguous="earliest" if repeated == "earlier" else "latest", non_existent="null").dt.epoch("ms")
        else:
            at = local.dt.epoch("ms") - _offset_ms(zone)
        frame = frame.with_columns(pl.coalesce("ms", at).alias("ms"))
    return frame["ms"]


def _offset_ms(zone: str) -> int:
    """
    >>> _offset_ms("+05:30"), _offset_ms("-0300")
    (19800000, -10800000)
    """
    digits = zone.replace(":", "")
    minutes = int(digits[1:3]) * 60 + int(digits[3:5])
    return (-minutes if zone[0] == "-" else minutes) * 60_000


def _lengths(raw: pl.DataFrame, layout: Layout, names: dict[str, str]) -> pl.DataFrame:
    """`duration_ms` and `charged_s`; talk time that the file does not write is what lies between its answer and its end."""
    for field, unit, column in (("talk", layout.talk_unit, "duration_ms"), ("charged", layout.charged_unit, "charged_ms")):
        if field not in raw.columns:
            raw = raw.with_columns(pl.lit(None, pl.Int64).alias(column))
            continue
        text = pl.col(field).str.replace(",", ".", literal=True)
        scale = {"s": 1000, "ms": 1, "min": 60_000, "clock": 1000}[unit]
        plain = pl.when(text.str.contains(r"^\d+(?:\.\d+)?$")).then(text).cast(pl.Float64, strict=False)
        parts = pl.col(field).str.extract_groups(r"^(?:(\d+):)?(\d{1,4}):(\d{2})(?:\.\d+)?$")
        clock = parts.struct[0].cast(pl.Int64).fill_null(0) * 3600 + parts.struct[1].cast(pl.Int64) * 60 + parts.struct[2].cast(pl.Int64)
        raw = raw.with_columns(pl.coalesce(clock * 1000, (plain * scale).round().cast(pl.Int64)).alias(column))
        raw = _fail(raw, pl.col(column).is_null(), _quoted(field, names.get(field, field), "is not a length of time"))
    if "end_ms" in raw.columns and "talk" not in raw.columns:
        raw = raw.with_columns((pl.col("end_ms") - pl.col("at_ms")).alias("duration_ms"))
    # Minutes with two decimals are not exact: the whole second that they stand for.
    return raw.with_columns(((pl.col("charged_ms") + 500) // 1000).alias("charged_s"))


def _amounts(raw: pl.DataFrame, field: str, layout: Layout, label: str) -> pl.DataFrame:
    """`FIELD_nanos`, null where the file has no such column."""
    if raw[field].eq("").all():
        return raw.with_columns(pl.lit(None, pl.Int64).alias(f"{field}_nanos"))
    text = pl.col(field).str.replace_all(r"[\s  €$£¥]|[A-Za-z]{3}", "")
    if layout.thousands:
        text = text.str.replace_all(layout.thousands, "", literal=True)
    if layout.decimal == ",":
        text = text.str.replace(",", ".", literal=True)
    parts = text.str.extract_groups(EXACT)
    whole, rest = parts.struct[1].cast(pl.Int64), parts.struct[2].fill_null("").str.pad_end(9, "0").cast(pl.Int64)
    sign = pl.when(parts.struct[0] == "-").then(-1).otherwise(1)
    raw = raw.with_columns((sign * (whole * 1_000_000_000 + rest)).alias(f"{field}_nanos"))
    if field == "price" and layout.price_per == "second":
        raw = raw.with_columns((pl.col("price_nanos") * 60).alias("price_nanos"))
    return _fail(raw, pl.col(f"{field}_nanos").is_null(), _quoted(field, label, "is not an amount"))


def _check_order(raw: pl.DataFrame, names: dict[str, str]) -> None:
    """Columns of times that are swapped: an answer before its set-up, an end before its answer."""
    for first, then, early, late in (("setup_ms", "at_ms", "setup", "answer"), ("at_ms", "end_ms", "answer", "end")):
        if first in raw.columns and then in raw.columns:
            wrong = raw.filter(pl.col(first).is_not_null() & pl.col(then).is_not_null()).select((pl.col(first) > pl.col(then)).mean()).item() or 0.0
            if wrong > SWAPPED:
                raise refused(
                    "columns swapped", f"in {wrong:.0%} of the rows the {late} ({names[late]!r}) is before the {early} ({names[early]!r})",
                    f"the two columns are swapped: correct the layout, columns: {{{early}: {names[late]!r}, {late}: {names[early]!r}}}",
                )  # fmt: skip


def _look(good: pl.DataFrame, findings: Findings, layout: Layout, zone: str) -> None:
    """What a person should know of rows that could be read."""
    negative = good.filter(pl.col("amount_nanos") < 0)
    if negative.height:
        findings.add("negative amount", "warning", f"{negative.height:,} calls have a negative amount, the first in this row",
                     "a credit is no call: ask what it is for", negative["line"][0])  # fmt: skip
    if good.height and zone not in ("", "UTC") and not re.fullmatch(r"[+-]\d{2}:?\d{2}", zone):
        hours = repeated_hours(good["at_ms"].min(), good["at_ms"].max(), zone)  # type: ignore[arg-type]
        for from_ms, until_ms in hours:
            count = good.filter((pl.col("at_ms") >= from_ms) & (pl.col("at_ms") < until_ms)).height
            if count:
                words = f"{count:,} calls lie in the hour that {zone} had twice; they are taken as the {layout.repeated_hour} one"
                findings.add("repeated hour", "warning", words, "ask for times with their zone")  # fmt: skip


def repeated_hours(first_ms: int, last_ms: int, zone: str) -> list[tuple[int, int]]:
    """The stretches of UTC in which a zone's local time comes twice, both times of it.

    >>> repeated_hours(1_790_812_800_000, 1_793_491_200_000, "Europe/Vienna")
    [(1792886400000, 1792893600000)]
    """
    found = []
    info = ZoneInfo(zone)
    hour = first_ms - first_ms % 3_600_000
    before = datetime.fromtimestamp(hour / 1000, UTC).astimezone(info).utcoffset() or timedelta()
    while hour <= last_ms:
        hour += 3_600_000
        offset = datetime.fromtimestamp(hour / 1000, UTC).astimezone(info).utcoffset() or timedelta()
        if offset < before:
            back_ms = round((before - offset).total_seconds() * 1000)
            found.append((hour - back_ms, hour + back_ms))
        before = offset
    return found




def digits_of(lines: Iterable[int]) -> frozenset[int]:
    """The last digits that unreadable rows show.

    >>> digits_of([5, -1])
    frozenset({5})
    """
    return frozenset(one for one in lines if one >= 0)
