"""Every deck and every price on docs/rating.md."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from textwrap import indent

import polars as pl
import pytest

from core.config import Markup
from core.money import to_nanos, to_text
from rating.contracts import offer_of
from rating.deck import Call
from rating.decks import read_deck
from rating.packages import USAGE, Deal, covered
from rating.price import NO_RATE, REJECTED, price_one
from rating.rules import Rules
from services.config_file import read

PAGE = Path(__file__).parents[2] / "docs" / "rating.md"
EXAMPLES = re.findall(r"```deck ?(.*?)\n(.*?)```\n```calls\n(.*?)```", PAGE.read_text(), re.DOTALL)
SPELLED = {"price_change": "change", "rounding": "rounding_mode"}
PACKAGES = re.findall(r"```package\n(.*?)```\n```cycle\n(.*?)```", PAGE.read_text(), re.DOTALL)
IN_CYCLE = re.compile(r"(\d+) at (\S+) (\d+) s by the deck ([\d.]+) -> ([\d.]+) *(.*)")
LINE = re.compile(r"(\d+)(?:\s+from (\d+))?(?:\s+lrn (\d+))?(?:\s+at (\S+))?\s+([\d.]+) s -> (.+)")


def rules_of(options: str) -> Rules:
    said = dict(option.split("=") for option in options.split())
    fx = Decimal(said.pop("fx", "1")).as_integer_ratio()
    decimals = int(said.pop("decimals", "9"))
    percent, per_minute = to_nanos(said.pop("markup_percent", "0")), to_nanos(said.pop("markup_per_minute", "0"))
    markup = Markup(percent_nanos=percent, per_minute_nanos=per_minute, decimals=int(said.pop("markup_decimals", "9")))
    by_lrn = said.pop("rated_number", "") == "lrn"
    unit_ms = int(said.pop("duration_unit_ms", "1000"))
    others = {SPELLED.get(name, name): value for name, value in said.items()}
    markups = (markup,) if percent or per_minute else ()
    return Rules(decimals=decimals, fx=fx, markups=markups, by_lrn=by_lrn, unit_ms=unit_ms, **others)


@pytest.mark.parametrize(("options", "csv", "calls"), EXAMPLES, ids=lambda text: text.splitlines()[0] if text else "plain")
def test_the_page_says_what_calls_cost(options, csv, calls):
    rules = rules_of(options)
    deck = offer_of(read_deck(csv.encode(), "page", "EUR"), rules).deck
    for line in calls.splitlines():
        found = LINE.fullmatch(line.strip())
        assert found, line
        number, caller, lrn, at, seconds, expected = found.groups()
        at_ms = round(datetime.fromisoformat(at).timestamp() * 1000) if at else 1_795_000_000_000
        talk_ms = int(Decimal(seconds) * 1000)
        one = price_one(deck, Call(number, caller or "", lrn or ""), at_ms, talk_ms, talk_ms > 0, rules)
        shown = {NO_RATE: "no row", REJECTED: "rejected"}.get(one.rate, to_text(one.nanos + one.attempt_nanos))
        assert shown == expected, line


def test_the_page_has_an_example_of_every_column():
    from rating.decks import ALL_COLUMNS

    used = {column for _, csv, _ in EXAMPLES for column in csv.splitlines()[0].split(",")}
    assert len(EXAMPLES) >= 15 and set(ALL_COLUMNS) - used == {"destination"}


@pytest.mark.parametrize(("package", "calls"), PACKAGES)
def test_the_page_says_what_a_package_charges(package, calls):
    agreement = "tenant: t1\nagreements:\n- name: bundle\n  role: sell\n  currency: EUR\n  package:\n" + indent(package, "    ")
    contents, faults = read(agreement)
    assert not faults
    rows, expected = [], {}
    for n, line in enumerate(calls.splitlines()):
        number, at, seconds, by_deck, amount, words = IN_CYCLE.fullmatch(line.strip()).groups()  # type: ignore[union-attr]
        at_ms = round(datetime.fromisoformat(at + "+00:00").timestamp() * 1000)
        rows.append(("t1", 0, n, "sell", 0, 0, 0, f"k{n}", "acme", "bundle", 0, at_ms, number, int(seconds), to_nanos(by_deck), 0))
        expected[n] = (amount, words)
    deal = Deal(contents.config.agreements[0].package)
    found = {n: (to_text(row[-2]), "") for n, row in enumerate(rows)}
    changes = covered(pl.DataFrame(rows, schema=USAGE, orient="row"), lambda *_: deal)
    assert found | {n: (to_text(nanos), words) for n, nanos, words in changes.select("offset", "usage_nanos", "package").rows()} == expected


def test_the_page_has_a_package():
    assert PACKAGES
