"""Rows of a file as records: times, amounts and faults."""

from __future__ import annotations

import msgspec
import pytest

from switches.files.mapping import Mapping
from switches.files.records import read_rows, to_record

COLUMNS = {"account": "a", "b_number": "b", "answer": "t", "end": "e", "duration_s": "d", "sell_amount": "p"}
VIENNA = Mapping(columns=COLUMNS, timezone="Europe/Vienna", currency="EUR")


def record(how: Mapping = VIENNA, **cells: str):
    return to_record({"a": "x", "b": "+431234567", "t": "", "e": "", "d": "", "p": "", **cells}, how)[1]


@pytest.mark.parametrize("rule", ["earlier", "later"])
def test_a_call_over_the_change_of_clocks_does_not_end_before_it_begins(rule):
    how = msgspec.structs.replace(VIENNA, repeated_hour=rule)
    call = record(how, t="2025-10-26T02:59:00", e="2025-10-26T02:01:00")
    assert call.end_ms - call.answer_ms == 120_000


@pytest.mark.parametrize("rule", ["earlier", "later"])
def test_the_rule_reads_a_time_in_the_repeated_hour(rule):
    call = record(msgspec.structs.replace(VIENNA, repeated_hour=rule), t="2025-10-26T02:10:00", e="2025-10-26T02:20:00")
    assert (call.answer_ms - 1_761_437_400_000, call.end_ms - call.answer_ms) == ({"earlier": 0, "later": 3_600_000}[rule], 600_000)


@pytest.mark.parametrize("never", ["0001-01-01T00:00:00", "9999-12-31T23:59:59-10:00"])
def test_what_some_systems_write_for_never_is_a_reject(never, tmp_path):
    file = tmp_path / "calls.csv"
    file.write_text(f"a,b,t,e,d,p\nx,+431234567,{never},,60,1\nx,+431234567,2026-03-01T10:00:00,,60,1\n")
    bad, good = read_rows(file, VIENNA)
    assert bad.fault == f"column t: '{never}' is no time that a call can have"
    assert good.record is not None


@pytest.mark.parametrize("text", ["1e30", "-1e30", "NaN", "Infinity"])
@pytest.mark.parametrize("how", ["epoch_s", "epoch_ms"])
def test_an_absurd_epoch_is_a_reject(text, how):
    with pytest.raises(ValueError, match=f"is not a time in the format {how}"):
        record(msgspec.structs.replace(VIENNA, time_format=how), t=text)


def test_where_times_are_coarse_the_duration_is_the_money():
    call = record(msgspec.structs.replace(VIENNA, time_precision="min"), t="2026-03-01T10:01", e="2026-03-01T10:00", d="65")
    assert (call.end_ms, call.duration_ms, call.at_ms - call.answer_ms) == (None, 65_000, 65_000)


@pytest.mark.parametrize(
    ("written", "kept"), [("0.06", "0.06"), ("0.30000000000000004", "0.300000000"), ("1e-10", "0.000000000"), ("-0.0000000015", "-0.000000002")]
)
def test_an_amount_is_kept_to_the_nano(written, kept):
    assert record(t="2026-03-01T10:00:00", p=written).sell_amount == kept
