"""Every deck and every price on docs/rating.md."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from core.config import Markup
from core.money import to_nanos, to_text
from rating.deck import Call
from rating.decks import read_deck
from rating.markup import marked_up
from rating.price import NO_RATE, REJECTED, price_one
from rating.rules import Rules

PAGE = Path(__file__).parents[2] / "docs" / "rating.md"
EXAMPLES = re.findall(r"```deck ?(.*?)\n(.*?)```\n```calls\n(.*?)```", PAGE.read_text(), re.DOTALL)
SPELLED = {"price_change": "change", "rounding": "rounding_mode"}
LINE = re.compile(r"(\d+)(?:\s+from (\d+))?(?:\s+lrn (\d+))?(?:\s+at (\S+))?\s+([\d.]+) s -> (.+)")


def rules_of(options: str) -> Rules:
    said = dict(option.split("=") for option in options.split())
    fx = Decimal(said.pop("fx", "1")).as_integer_ratio()
    decimals = int(said.pop("decimals", "9"))
    percent, per_minute = to_nanos(said.pop("markup_percent", "0")), to_nanos(said.pop("markup_per_minute", "0"))
    markup = Markup(percent_nanos=percent, per_minute_nanos=per_minute, decimals=int(said.pop("markup_decimals", "9")))
    by_lrn = said.pop("rated_number", "") == "lrn"
    others = {SPELLED.get(name, name): value for name, value in said.items()}
    return Rules(decimals=decimals, fx=fx, markups=(markup,) if percent or per_minute else (), by_lrn=by_lrn, **others)


@pytest.mark.parametrize(("options", "csv", "calls"), EXAMPLES, ids=lambda text: text.splitlines()[0] if text else "plain")
def test_the_page_says_what_calls_cost(options, csv, calls):
    rules = rules_of(options)
    deck = marked_up(read_deck(csv.encode(), "page", "EUR"), rules.markups)
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
