"""`ringfence decks` as a person or a program types it: what it says where a file is wrong, and that nothing is left of it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from books import offers, open_books, reading
from ringfence.cli import app
from ringfence.settings import Settings
from services import first_start

BAD = """\
Code,Destination,Rate,Incr,From
44,UK,0.02,1/1,01/12/2030
447,UK Mobile,0,035,60/1,31/12/2030
4.47E+11,X,0.1,0/1,31/02/2030
49,DE,-0.01,60/60,31/12/2030
"""
GOOD = "Code;Destination;Rate\n44;UK;0,02\n447;UK Mobile;0,035\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    settings = Settings(home=tmp_path / "home", tenant="t1", countries="AT")
    first_start.lay(settings.installation)
    first_start.open_and_publish(settings.installation, first_start.simulated(1, "t1"), round(time.time() * 1000))
    (tmp_path / "bad.csv").write_text(BAD)
    (tmp_path / "good.csv").write_text(GOOD)
    return tmp_path


def run(home: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["decks", *words, "--home", str(home / "home")])


def test_every_fault_of_a_file_has_its_row_and_column_and_nothing_is_stored(home: Path):
    done = run(home, "import", str(home / "bad.csv"), "--carrier", "alpha")
    assert done.exit_code == 1
    for fault in (
        "row 3: 6 cells where there are 5 columns: 0 and 035 may be 0,035, cut in two",
        "row 4, column Code: '4.47E+11' went through a float",
        "row 4, column Incr: '0/1' has an increment of 0 s",
        "row 4, column From: '31/02/2030' is no date of the calendar",
        "row 5, column Rate: '-0.01' is negative",
        "bad.csv is not imported: nothing was stored.",
    ):
        assert fault in done.output, done.output
    engine = open_books(Settings(home=home / "home").books_dsn)
    with reading(engine) as conn:
        assert not offers.every(conn, "t1") and offers.profile(conn, "t1", "alpha") is None
    engine.dispose()


def test_a_program_gets_the_same_as_json(home: Path):
    done = run(home, "import", str(home / "bad.csv"), "--carrier", "alpha", "--json")
    answer = json.loads(done.output)
    assert done.exit_code == 1 and answer["version"] is None and not answer["stored"]
    assert {(one["row"], one.get("column", "")) for one in answer["findings"] if one["level"] == "error"} == {
        (3, ""), (4, "Code"), (4, "Incr"), (4, "From"), (5, "Rate"),
    }  # fmt: skip
    good = json.loads(run(home, "import", str(home / "good.csv"), "--carrier", "alpha", "--partial", "--json").output)
    assert (good["version"], good["stored"], good["rows"]) == ("alpha@1", True, 2)
    listed = {one["deck"]: one["state"] for one in json.loads(run(home, "list", "--carrier", "alpha", "--json").output)}
    assert listed == {"alpha@1": "imported", "buy-alpha": "in force"}
    changes = json.loads(run(home, "diff", "alpha@1", "--json").output)
    assert {(row["prefix"], row["new"]) for row in changes["rows"]} >= {("44", "0.02")}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("mapping: {columns: {prefix: Code}}", "mapping.columns: no column for price_per_min, the price"),
        ("mapping: {columns: {prefix: Code, price: Rate}}", "mapping.columns: 'price' is no field; there are prefix"),
        ("mapping: {columns: {prefix: Code, price_per_min: Rate}, decimal: ';'}", "Invalid enum value ';'"),
        ("mapping: {collums: {}}", "collums"),
        ("notice_days: {increase: 7}", "mapping: is missing"),
        ("mapping: [", "is not right"),
    ],
)
def test_a_mapping_that_is_wrong_says_where(home: Path, text: str, fault: str):
    (home / "mapping.yaml").write_text(text)
    done = run(home, "import", str(home / "good.csv"), "--carrier", "alpha", "--mapping", str(home / "mapping.yaml"))
    assert done.exit_code == 1 and fault in done.output, done.output


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("import", "good.csv", "--carrier", "alfa"), "no carrier 'alfa'; there are: alpha, bravo, charlie"),
        (("import", "good.csv", "--carrier", "alpha", "--from", "soon"), "'soon' is not a date such as 2026-12-01"),
        (("activate", "alpha@9", "--why", "w"), "There is no deck version 'alpha@9'"),
        (("activate", "alpha", "--why", "w"), "There is no deck version 'alpha'"),
        (("rollback", "--carrier", "alpha", "--why", "w"), "there is nothing to roll back"),
        (("diff", "nothing", "buy-alpha"), "There is no deck version 'nothing'"),
        (("activate", "alpha@1", "--why", " "), "say --why"),
    ],
)
def test_what_does_not_exist_is_said(home: Path, words: tuple[str, ...], fault: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(home)
    done = run(home, *words)
    said = done.output + str(done.exception or "")
    assert done.exit_code != 0 and fault in said, said
