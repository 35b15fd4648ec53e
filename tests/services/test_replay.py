"""`ringfence replay` as a person runs it, on a file that the simulator wrote."""

from __future__ import annotations

import json
import re
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from ringfence.cli import app

FATES = ("rated", "unrated", "events", "rejected", "duplicates", "conflicts")


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An hour of traffic with an attack in it."""
    out = tmp_path_factory.mktemp("day")
    result = CliRunner().invoke(app, ["simulate", "--seed", "7", "--hours", "1", "--calls-per-s", "0.5", "--out", str(out)])
    assert result.exit_code == 0, result.output
    return out


def replay(day: Path, out: Path, *options: str, exit_code: int = 0) -> str:
    arguments = ["replay", "--calls", str(day / "calls.csv"), "--mapping", str(day / "mapping.yaml"), "--out", str(out), *options]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == exit_code, result.output
    return result.output


def test_a_file_is_priced_and_judged(day: Path, tmp_path: Path):
    printed = replay(day, tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["received"] == sum(summary[fate] for fate in FATES) == len((day / "calls.csv").read_text().splitlines()) - 1
    assert f"{summary['received']:,} records" in printed and f"{summary['sell']['EUR']} EUR" in printed
    assert pl.read_parquet(tmp_path / "calls.parquet").height == summary["rated"]
    truth = json.loads((day / "truth.json").read_text())
    alerts = [json.loads(line) for line in (tmp_path / "alerts.jsonl").read_text().splitlines()]
    assert {re.split("[/>]", alert["subject"])[0] for alert in alerts} == {truth["attack"]["account"]}


def test_the_same_file_gives_the_same_result(day: Path, tmp_path: Path):
    for name in ("one", "two"):
        replay(day, tmp_path / name)
    for file in ("alerts.jsonl", "block_orders.jsonl", "rejects.jsonl"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_deck_prices_instead_of_the_file(day: Path, tmp_path: Path):
    replay(day, tmp_path / "file")
    replay(day, tmp_path / "deck", "--deck", str(day / "decks" / "sell-retail.csv"))
    sold = [json.loads((tmp_path / name / "summary.json").read_text())["sell"]["EUR"] for name in ("file", "deck")]
    assert sold[0] != sold[1]


def test_a_malformed_mapping_is_an_error_of_one_line(day: Path, tmp_path: Path):
    arguments = ["replay", "--calls", str(day / "calls.csv"), "--mapping", str(day / "truth.json"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1 and "truth.json: Object contains unknown field" in result.output
    assert not (tmp_path / "out").exists()


COMMAS = """Mandant;Kunde;Nach;Beginn;Sekunden;Preis
nord;bakery;+4312345678;25.10.2025 08:00:00;61,5;0,0306
sued;library;+4312345679;25.10.2025 08:00:01;10,0;0,1
sued;library;+4312345679;25.10.2025 08:00:02;zehn;0,1
sued;library;+4312345679;25.10.2025 08:00:03;elf;0,1
"""
MAPPING = """
delimiter: ";"
timezone: Europe/Vienna
time_format: "%d.%m.%Y %H:%M:%S"
time_precision: s
currency: EUR
{decimal}
columns: {{tenant: Mandant, account: Kunde, b_number: Nach, answer: Beginn, duration_s: Sekunden, sell_amount: Preis}}
"""


def commas(tmp_path: Path, decimal: str) -> tuple[str, pl.DataFrame]:
    (tmp_path / "calls.csv").write_text(COMMAS)
    (tmp_path / "mapping.yaml").write_text(MAPPING.format(decimal=decimal))
    printed = replay(tmp_path, tmp_path / "out")
    return printed, pl.read_parquet(tmp_path / "out" / "calls.parquet")


def test_a_file_with_semicolons_local_times_and_decimal_commas_of_two_tenants(tmp_path: Path):
    printed, rated = commas(tmp_path, 'decimal: ","')
    rows = rated.select("tenant", "answer_ms", "duration_ms", "sell_nanos").sort("tenant").rows()
    assert rows == [("nord", 1761372000000, 61_500, 30_600_000), ("sued", 1761372001000, 10_000, 100_000_000)]
    assert "2 x column Sekunden: 'zehn' is not a number" in printed, "reasons that differ in what they quote are counted as one"


def test_a_comma_that_the_mapping_does_not_know_of_is_explained(tmp_path: Path):
    printed, rated = commas(tmp_path, "")
    assert rated.height == 0 and 'the mapping says decimal: ","' in printed
