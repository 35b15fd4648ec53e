"""The cases beside the house (`shared/cases`): files as other people's switches and spreadsheets write them, each with its right answer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from flows import replay
from rating.decks import DeckError, DeckFormat, read_deck
from switches.files.mapping import MappingError, read_mapping

CASES = Path(__file__).parents[3].parent / "shared" / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not here")


class Result:
    """The files that a replay of a case wrote."""

    def __init__(self, out: Path) -> None:
        self.summary = json.loads((out / "summary.json").read_text())
        self.rated = pl.read_parquet(out / "calls.parquet")
        self.lines = {name: [json.loads(line) for line in (out / name).read_text().splitlines()] for name in replay.OUTPUTS if "jsonl" in name}
        fates = ("rated", "unrated", "events", "rejected", "duplicates", "conflicts")
        assert self.summary["received"] == sum(self.summary[fate] for fate in fates)
        assert len(self.lines["rejects.jsonl"]) == self.summary["rejected"] and len(self.lines["unrated.jsonl"]) == self.summary["unrated"]
        assert len(self.lines["suspected_duplicates.jsonl"]) == self.summary["suspected_duplicates"]

    def sold(self) -> dict[str, str]:
        """Call -> its sell amount."""
        return {row["call_id"]: f"{row['sell_nanos'] / 1e9:.6g}" for row in self.rated.iter_rows(named=True)}

    def reasons(self, name: str) -> dict[int, str]:
        """Line -> reason."""
        return {line["line"]: line["reason"] for line in self.lines[name]}


def run(name: str, tmp_path: Path, **changes: Any) -> Result:
    """Replays a case; `changes`: further fields of the mapping."""
    case = tmp_path / name
    if not case.exists():
        shutil.copytree(next(CASES.glob(f"{name}-*")), case)
    mapping = msgspec.structs.replace(read_mapping((case / "map.yaml").read_text(), "map.yaml"), **changes)
    file = case / "deck.csv"
    deck = read_deck(file.read_bytes(), "deck", mapping.currency or "EUR", mapping.deck or DeckFormat()) if file.exists() else None
    replay.run(next(case.glob("calls.*")), mapping, tmp_path / "out", replay.self_registering(deck))
    return Result(tmp_path / "out")


def test_03_a_decimal_comma_that_is_not_quoted(tmp_path):
    with pytest.raises(DeckError, match=r"line 2: 4 cells where the first line has 3.*write 0\.025"):
        run("03", tmp_path)


def test_06_one_uniqueid_over_several_legs(tmp_path):
    result = run("06", tmp_path)
    assert (result.summary["sell"], result.summary["rated"], result.rated["duration_ms"].sum()) == ({"EUR": "24.6"}, 4, 2_460_000)
    assert set(result.reasons("suspected_duplicates.jsonl")) == {3, 5}


def test_06_where_the_feed_vouches_for_its_ids_the_others_are_conflicts_with_their_money(tmp_path):
    result = run("06", tmp_path, call_ids="unique")
    assert [(line["line"], line["first_line"], line["duration_s"]) for line in result.lines["conflicts.jsonl"]] == [(3, 2, 600), (5, 4, 1800)]


def test_08_a_cause_that_is_none(tmp_path):
    result = run("08", tmp_path)
    assert result.summary["sell"] == {"EUR": "18.6"}
    assert list(result.reasons("rejects.jsonl")) == [2]
    assert [line["line"] for line in result.lines["notes.jsonl"]] == [4, 5]
    assert result.sold()["7004"] == "0"


@pytest.mark.parametrize(("case", "calls", "sold"), [("09", 3, "0.6"), ("10", 5, "0.6")])
def test_a_time_that_is_none_is_a_call_that_nobody_answered(case, calls, sold, tmp_path):
    result = run(case, tmp_path)
    assert (result.summary["rated"], result.summary["sell"]) == (calls, {"EUR": sold})
    assert result.rated["answer_ms"].null_count() == calls - 1


def test_11_a_number_that_went_through_a_float(tmp_path):
    result = run("11", tmp_path)
    assert sorted(result.rated["b_number"]) == ["4312345678", "436641234567", "88213555001"]
    assert set(result.rated["a_number"]) == {"43664111222", ""}
    assert "went through a float" in result.reasons("rejects.jsonl")[5]


def test_14_amounts_over_a_thousand(tmp_path):
    result = run("14", tmp_path)
    assert all(reason.endswith('thousands: ","') and "decimal" not in reason for reason in result.reasons("rejects.jsonl").values())
    assert run("14", tmp_path, thousands=",").sold() == {"t-1": "902.5", "t-2": "1021.04", "t-3": "1500"}


def test_17_the_zone_in_the_text(tmp_path):
    result = run("17", tmp_path)
    assert result.rated.sort("call_id")["answer_ms"].to_list() == [1772404200000, 1772407800000, 1772407800000]
    assert result.sold() == {"z-1": "0.6", "z-2": "0.9", "z-3": "0.9"}


def test_19_answered_and_hung_up_at_once(tmp_path):
    assert run("19", tmp_path).sold() == {"a-1": "0.7", "a-2": "0.7", "a-3": "0"}


def test_21_a_trunk_zero_in_brackets_is_no_part_of_the_number(tmp_path):
    result = run("21", tmp_path)
    assert result.sold() == {"b-1": "0.18", "b-2": "0.18", "b-3": "0.01", "b-4": "0.02"}


def test_22_uris_are_read(tmp_path):
    result = run("22", tmp_path)
    assert result.sold() == {"u-1": "0.18"} | {f"u-{n}": "0.02" for n in range(2, 7)}


def test_23_values_that_are_percent_encoded(tmp_path):
    reasons = run("23", tmp_path).reasons("rejects.jsonl")
    assert len(reasons) == 2 and all("percent_encoded: yes" in reason for reason in reasons.values())
    result = run("23", tmp_path, percent_encoded=True)
    assert (result.summary["sell"], set(result.rated["account"])) == ({"EUR": "1.2"}, {"acme ltd"})


def test_24_a_file_without_a_header(tmp_path):
    with pytest.raises(MappingError, match="header: none") as wrong:
        run("24", tmp_path)
    assert "4315550100" not in str(wrong.value) and "ACME" not in str(wrong.value)
    places = {"call_id": 17, "account": 1, "a_number": 2, "b_number": 3, "setup": 10, "answer": 11, "end": 12, "duration_s": 14}
    result = run("24", tmp_path, header="none", columns=places)
    assert (result.summary["rated"], result.summary["sell"]) == (2, {"EUR": "0.6"})


def test_26_a_european_deck(tmp_path):
    with pytest.raises(DeckError, match=r'line 2: .*decimal: ","'):
        run("26", tmp_path)
    assert run("26", tmp_path, deck=DeckFormat(decimal=",", date_format="%d.%m.%Y")).sold() == {"x-1": "0.02", "x-2": "0.18"}


def test_27_blank_rows_of_a_deck(tmp_path):
    assert run("27", tmp_path).sold() == {"x-1": "0.02", "x-2": "0.18"}


def test_32_two_columns_of_one_name(tmp_path):
    with pytest.raises(MappingError, match="column Duration stands in 5 and 7"):
        run("32", tmp_path)
    columns = {"call_id": "id", "account": "acct", "b_number": "dst", "answer": "answer", "duration_s": 5}
    assert run("32", tmp_path, columns=columns).sold() == {"y-1": "6"}


def test_33_several_currencies_are_never_summed(tmp_path):
    result = run("33", tmp_path)
    assert result.summary["buy"] == {} and list(result.reasons("rejects.jsonl")) == [2, 3]
    reasons = run("33", tmp_path, amounts="negated").reasons("rejects.jsonl")
    assert list(reasons) == [3] and "column price_unit says JPY" in reasons[3]
    mapped = {"call_id": "sid", "b_number": "to", "answer": "start", "duration_s": "secs", "buy_amount": "price", "currency": "price_unit"}
    result = run("33", tmp_path, amounts="negated", columns=mapped | {"account": "account", "carrier": "from"})
    assert result.summary["buy"] == {"JPY": "9.5", "USD": "0.085"} and result.summary["rated"] == 3


def test_34_date_and_time_in_two_columns_and_durations_as_a_clock(tmp_path):
    result = run("34", tmp_path)
    assert "minutes and seconds or hours and minutes" in result.reasons("rejects.jsonl")[3]
    assert [line["line"] for line in result.lines["notes.jsonl"]] == [2, 4], "a day without a time is said"
    columns = {"call_id": "id", "account": "acct", "b_number": "dst", "answer": ["date", "time"], "duration_s": "secs"}
    result = run("34", tmp_path, columns=columns, time_format="%d/%m/%Y %H:%M:%S", duration_format="mm:ss")
    assert result.rated["duration_ms"].to_list() == [75_000] * 3
    assert result.rated["answer_ms"].to_list() == [1772442000000 + n * 600_000 for n in range(3)]


def test_42_one_json_array_over_several_lines(tmp_path):
    assert run("42", tmp_path).sold() == {"j-1": "0.6", "j-2": "0.6"}


def test_43_every_row_that_was_not_priced_stands_with_its_line_and_its_money(tmp_path):
    result = run("43", tmp_path)
    unrated = {line["line"]: (line["reason"], line["duration_s"]) for line in result.lines["unrated.jsonl"]}
    assert unrated == {3: ("sell: no rate for 99912345678 in deck deck", 600), 6: ("duration_ms -5000 is negative", -5)}
    assert [(line["line"], line["first_line"]) for line in result.lines["suspected_duplicates.jsonl"]] == [(5, 4)]
    assert result.summary["sell"] == {"EUR": "7.2"}
