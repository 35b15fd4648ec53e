"""Calls in a Parquet file: the records are those of the same calls as JSON lines, and what cannot be read says why."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from switches.files.mapping import MappingError, read_mapping
from switches.files.records import read_rows

COLUMNS = (
    "{call_id: id, account: acct, b_number: party.dst, answer: start, duration_s: secs, sell_amount: price, currency: ccy, release_side: side}"
)
ROWS = [
    {"id": "c1", "acct": "acme", "party": {"dst": "431234567"}, "start": datetime(2026, 3, 2, 9, tzinfo=UTC), "secs": 61, "price": Decimal("0.061")},
    {"id": "c2", "acct": "Müller", "party": {"dst": "491234567"}, "start": datetime(2026, 3, 2, 9, 0, 0, 5000, UTC), "secs": 0, "price": None},
    {"id": "c3", "acct": None, "party": {"dst": None}, "start": None, "secs": -1, "price": Decimal("1000000.000000001")},
]


def mapping(form: str, columns: str = COLUMNS):
    return read_mapping(f"{{format: {form}, columns: {columns}}}", "map.yaml")


def parquet(tmp_path: Path) -> Path:
    frame = pl.DataFrame(ROWS, schema_overrides={"price": pl.Decimal(20, 9)}).with_columns(
        ccy=pl.lit("EUR").cast(pl.Categorical), side=pl.Series(["caller", "callee", None]), more=pl.lit(b"\xff")
    )
    frame.write_parquet(tmp_path / "calls.parquet")
    return tmp_path / "calls.parquet"


def test_rows_are_those_of_the_same_calls_as_json_lines(tmp_path):
    lines = tmp_path / "calls.jsonl"
    sides = ("caller", "callee", None)
    of = [row | {"price": row["price"] and str(row["price"]), "ccy": "EUR", "side": side} for row, side in zip(ROWS, sides, strict=True)]
    lines.write_text("".join(json.dumps(row, default=datetime.isoformat) + "\n" for row in of))
    found, same = list(read_rows(parquet(tmp_path), mapping("parquet"))), list(read_rows(lines, mapping("jsonl")))
    assert [(row.line, row.tenant, row.notes, row.fault) for row in found] == [(row.line, row.tenant, row.notes, row.fault) for row in same]
    assert [row.record.answer_ms if row.record else None for row in found] == [1772442000000, 1772442000005, None]
    for one, other in zip(found, same, strict=True):
        if one.record and other.record and one.record.sell_amount:
            assert Decimal(one.record.sell_amount) == Decimal(other.record.sell_amount)
        else:
            assert one.record == other.record
    assert json.loads(found[2].text)["secs"] == -1, "a row that is rejected can be found again"


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ("{b_number: called, answer: start, duration_s: secs}", "no column called in the file; it has id, acct, party, start"),
        ("{b_number: more, answer: start, duration_s: secs}", r"column more \(Binary\) is neither a text, a number, a time nor a struct"),
    ],
)
def test_a_column_that_is_not_there_or_not_text_is_named(tmp_path, columns, words):
    with pytest.raises(MappingError, match=words):
        list(read_rows(parquet(tmp_path), mapping("parquet", columns)))


def test_a_file_that_is_something_else_is_refused(tmp_path):
    (tmp_path / "calls.parquet").write_text("id,acct\n1,acme\n")
    with pytest.raises(MappingError, match="cannot be read as Parquet"):
        list(read_rows(tmp_path / "calls.parquet", mapping("parquet")))
    with pytest.raises(MappingError, match="set format: parquet"):
        list(read_rows(parquet(tmp_path), mapping("csv")))
