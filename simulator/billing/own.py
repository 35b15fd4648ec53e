"""Our own side of a carrier's bill: a price list with everything that such lists have, and priced calls over it."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

import numpy as np
import polars as pl

from rating.deck import Calls
from rating.decks import read_deck
from rating.price import Offer, price_all
from rating.rules import Rules

DAY_MS = 86_400_000
FROM_MS = 1_790_812_800_000
"""1 October 2026: the clocks of Europe change on the 25th."""
UNTIL_MS = FROM_MS + 31 * DAY_MS
NEW_PRICES_MS = FROM_MS + 14 * DAY_MS

DESTINATIONS: tuple[tuple[str, tuple[str, ...], str, int, int, str, str], ...] = (
    # name, codes, price, increments, price from 08:00 to 20:00 on weekdays ("" = the same), price from the 15th on
    ("Austria", ("431", "43316", "43512"), "0.0121", 1, 1, "", ""),
    ("Austria Mobile", ("43664", "43676", "43660"), "0.0283", 1, 1, "0.0347", ""),
    ("Germany", ("4930", "4989", "4940"), "0.0098", 1, 1, "", "0.0107"),
    ("Germany Mobile", ("49151", "49170", "49160"), "0.0211", 30, 6, "", ""),
    ("United Kingdom", ("4420", "44161", "44121"), "0.0055", 1, 1, "", ""),
    ("United Kingdom Mobile", ("447400", "447700", "447500"), "0.0169", 60, 1, "", "0.0203"),
    ("Egypt", ("202", "203"), "0.1245", 60, 60, "", ""),
    ("Egypt Mobile", ("2010", "2011", "2012"), "0.1490", 60, 60, "0.1612", ""),
    ("Cuba", ("537", "5352"), "0.7410", 60, 60, "", ""),
    ("Serbia", ("38111", "38121"), "0.1530", 1, 1, "", ""),
    ("Serbia Mobile", ("38164", "38163"), "0.3120", 1, 1, "", "0.3370"),
    ("Turkey Mobile", ("90532", "90542"), "0.1830", 6, 6, "", ""),
)  # fmt: skip
MARK_UP = "1.25"
"""Our own prices to the account are so many times what the carrier charges."""
WEIGHTS = (16, 18, 14, 10, 12, 8, 4, 5, 1, 5, 4, 3)


@lru_cache(maxsize=4)
def deck_csv(mark_up: str = "1") -> bytes:
    """The price list as CSV; `mark_up`: its prices so many times, as those that are sold at."""
    rows = ["prefix,destination,price_per_min,first_s,next_s,window,effective_from,effective_to"]
    for name, codes, price, first, following, peak, later in DESTINATIONS:
        price, peak, later = (str(Decimal(text) * Decimal(mark_up)) if text else "" for text in (price, peak, later))
        for code in codes:
            if later:
                rows.append(f"{code},{name},{price},{first},{following},,,2026-10-15")
                rows.append(f"{code},{name},{later},{first},{following},,2026-10-15,")
            else:
                rows.append(f"{code},{name},{price},{first},{following},,,")
            if peak:
                rows.append(f"{code},{name},{peak},{first},{following},mon-fri 08:00-20:00,,")
    return "\n".join(rows).encode()


@lru_cache(maxsize=4)
def offer(converted: bool = False, mark_up: str = "1") -> Offer:
    """The price list, by an agreement in Vienna's time; `converted`: the list is in USD and the agreement in EUR."""
    deck = read_deck(deck_csv(mark_up), "wholesale", "USD" if converted else "EUR")
    fx = {"fx": (92, 100), "fx_source": "USD 0.92", "currency": "EUR"} if converted else {}
    return Offer(deck, Rules(time_zone="Europe/Vienna", **fx))  # type: ignore[arg-type]


def priced(calls: pl.DataFrame, by: Offer) -> pl.DataFrame:
    """Calls (`a_number`, `b_number`, `at_ms`, `duration_ms`) with `charged_s`, `per_min_nanos`, `nanos`, `prefix`, `destination`."""
    numbers = Calls(calls["b_number"].to_list(), calls["a_number"].to_list())
    found, _ = price_all(by.deck, numbers, calls["at_ms"].to_numpy(), calls["duration_ms"].to_numpy(), np.ones(calls.height, np.bool_), by.rules)
    names = pl.DataFrame({"prefix": by.deck.prefixes, "destination": by.deck.destinations})[found.rate]
    columns = {"charged_s": found.charged_s, "per_min_nanos": found.per_min_nanos, "nanos": found.nanos}
    return calls.with_columns(**{name: pl.Series(name, values) for name, values in columns.items()}).hstack(names)


def own_calls(count: int, seed: int, by: Offer) -> pl.DataFrame:
    """Answered calls of October, and of a day before and after it: by the hour of the day, with real lengths, to new and to much-called numbers."""
    chance = np.random.default_rng(seed)
    day = chance.integers(-1, 32, count)
    hours = np.asarray([1, 1, 1, 1, 1, 2, 3, 5, 8, 9, 9, 9, 8, 8, 9, 9, 8, 8, 7, 6, 5, 4, 3, 2], float)
    hour = chance.choice(24, count, p=hours / hours.sum())
    at_ms = np.sort(FROM_MS + day * DAY_MS + hour * 3_600_000 + chance.integers(0, 3_600_000, count))
    weights = np.asarray(WEIGHTS, float)
    kind = chance.choice(len(DESTINATIONS), count, p=weights / weights.sum())
    codes = np.asarray([code for _, codes, *_ in DESTINATIONS for code in codes])
    sizes = np.asarray([len(codes) for _, codes, *_ in DESTINATIONS])
    starts = np.cumsum(sizes) - sizes
    code = codes[starts[kind] + chance.integers(0, 1 << 30, count) % sizes[kind]]
    busy = chance.random(count) < 0.03
    subscriber = np.where(busy, 1_000_000 + chance.integers(0, 60, count), chance.integers(1_000_000, 10_000_000, count))
    lengths = np.where(chance.random(count) < 0.3, chance.lognormal(2.3, 0.6, count), chance.lognormal(4.6, 1.0, count))
    calls = pl.DataFrame(
        {
            "call_key": [f"{seed:08x}{place:024x}" for place in range(count)],
            "attempt_no": pl.Series(np.ones(count, np.int32)),
            "a_number": "4315" + pl.Series(chance.integers(100_000, 1_000_000, count)).cast(pl.String),
            "b_number": pl.Series(code) + pl.Series(subscriber).cast(pl.String),
            "at_ms": at_ms,
            "duration_ms": np.clip(1000 * lengths, 1000, 7_000_000).astype(np.int64),
        }
    )
    return priced(calls, by).with_columns(pl.lit(False).alias("suspected_hung"))
