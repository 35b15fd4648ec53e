"""`ringfence quote` by published contracts: what each level pays and keeps, for a person and for a program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ringfence.cli import app

CONFIG = """\
tenant: t1
decks:
  wholesale: {file: wholesale.csv, currency: EUR}
parties:
  - {name: root, kinds: [reseller], sell_deck: wholesale}
  - {name: north, kinds: [reseller], parent: root, agreement: north}
  - {name: shop, parent: north}
agreements:
  - {name: north, role: sell, currency: EUR, markup: {percent: 12.5, decimals: 4, rounding: down}}
  - {name: shop, role: sell, currency: EUR, tax: inclusive, markup: {per_minute: 0.01}}
accounts:
  - {name: acme, party: shop, agreement: shop}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("mine")
    (folder / "wholesale.csv").write_text("prefix,price_per_min,connect_fee,first_s,next_s\n43,0.04,0.01,60,60\n")
    (folder / "config.yaml").write_text(CONFIG)
    run(folder / "home", "config", "publish", str(folder / "config.yaml"), "--why", "new resellers")
    return folder / "home"


def run(home: Path, *arguments: str) -> str:
    done = CliRunner().invoke(app, [*arguments, "--home", str(home)], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.output


def test_a_quote_says_what_each_level_pays_and_keeps(home: Path):
    said = run(home, "quote", "--account", "acme", "--to", "+43664123456", "--duration", "61", "--at", "2026-11-27T18:00")
    assert [line for line in said.splitlines() if not line.startswith(" ")] == [
        "Account acme pays 0.1212 EUR for 61 s to +43664123456.",
        "Reseller north pays 0.1012 EUR for it and keeps 0.02 EUR of it.",
        "Reseller root pays 0.09 EUR for it and keeps 0.0112 EUR of it.",
    ]
    assert "0.1212 EUR, tax included" in said and "2 x 60 s = 120 s at 0.055 per minute" in said
    assert said.count("mark-up       +12.5 %, each price rounded down to 4 decimals") == 2


def test_a_program_gets_the_levels_as_json(home: Path):
    said = json.loads(run(home, "quote", "--account", "acme", "--to", "+43664123456", "--money", "0.1", "--at", "2026-11-27T18:00", "--json"))
    assert (said["amount"], said["seconds"], said["party"], said["explain"]["tax"]) == ("0.0662", 60, "shop", "inclusive")
    assert [(one["level"], one["party"], one["amount"], one["margin"]) for one in said["resellers"]] == [
        (1, "north", "0.0562", "0.01"), (2, "root", "0.05", "0.0062"),
    ]  # fmt: skip
