"""Decks, agreements and calls of every kind, made by hypothesis, and the text of such decks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from core.config import Markup
from core.money import to_text
from rating.rules import Rules
from rating.window import day_of

CLOCKS_GO_BACK_MS = 1_792_886_400_000  # 2026-10-25T00:00Z, in Vienna 02:00, an hour before 03:00 becomes 02:00
NIGHT, DAY, WEEKEND, ALWAYS, HOLIDAY = "21:00-05:00", "mon-fri 08:00-18:00", "sat,sun", "", "holiday:at"
HOLIDAYS = (("at", (day_of("2026-10-26"),)),)

nanos = st.sampled_from([0, 1, 7, 35_000_000, 10**9, 15_000 * 10**9])
step = st.tuples(nanos, st.sampled_from([1, 6, 60, 7]), st.sampled_from([1, 6, 30, 60, 61]))


@st.composite
def steps(draw: st.DrawFn) -> list[tuple[int, int, int, int]]:
    starts = draw(st.sampled_from([(0,), (0, 60), (0, 30, 45), (0, 1, 3600)]))
    return [(start, *draw(step)) for start in starts]


rows = st.lists(
    st.fixed_dictionaries(
        {
            "prefix": st.sampled_from(["43", "431", "4316", "1"]), "origin": st.sampled_from(["", "", "49", "491"]),
            "jurisdiction": st.sampled_from(["", "", "interstate", "intrastate", "indeterminate"]),
            "window": st.sampled_from([ALWAYS, ALWAYS, NIGHT, DAY, WEEKEND, HOLIDAY]), "weight": st.sampled_from([0, 0, 10]),
            "min_digits": st.sampled_from([0, 0, 6]), "from_ms": st.sampled_from([0, 0, CLOCKS_GO_BACK_MS, CLOCKS_GO_BACK_MS + 60_000]),
            "steps": steps(), "connect": nanos, "attempt": nanos, "surcharge": nanos, "surcharge_after_s": st.sampled_from([0, 60]),
            "free_s": st.sampled_from([0, 0, 10]), "grace_s": st.sampled_from([0, 0, 3]), "min_s": st.sampled_from([0, 0, 20]),
            "min_nanos": st.sampled_from([0, 0, 10**8]), "max_nanos": st.sampled_from([None, None, 10**8, 10**12]),
            "reject": st.sampled_from([False] * 9 + [True]),
        }
    ),
    min_size=1, max_size=6,
    unique_by=lambda row: (row["prefix"], row["origin"], row["jurisdiction"], row["window"], row["weight"], row["min_digits"]),
)  # fmt: skip

markup = st.builds(
    Markup, percent_nanos=st.sampled_from([0, 10**10, 12_345_678_901]), per_minute_nanos=st.sampled_from([0, 1, 10_000_000]),
    rounding=st.sampled_from(["half_up", "half_even", "up", "down"]), decimals=st.sampled_from([9, 9, 4]),
)  # fmt: skip

rules = st.builds(
    Rules, time_zone=st.sampled_from(["UTC", "Europe/Vienna", "Asia/Kathmandu"]), holidays=st.just(HOLIDAYS),
    change=st.sampled_from(["call_start", "increment_start", "split"]), rounding_mode=st.sampled_from(["half_up", "half_even", "up", "down"]),
    unit_ms=st.sampled_from([1000, 1000, 250, 100]), markups=st.lists(markup, max_size=2).map(tuple), decimals=st.sampled_from([9, 9, 6, 4, 2, 0]),
    tax_ppm=st.sampled_from([0, 0, 230_000]), fx=st.sampled_from([(1, 1), (1, 1), (1, 3), (16_250, 1)]),
)  # fmt: skip

calls = st.lists(
    st.tuples(
        st.sampled_from(["431", "4316", "43161", "431612345", "1202", "12125550123", "49"]),
        st.sampled_from(["", "49", "49123", "43", "1315", "1201"]),
        st.one_of(st.integers(-3_700, 3_700), st.integers(-200_000, 200_000)), st.one_of(st.integers(0, 200), st.integers(0, 2000)), st.booleans(),
    ),
    min_size=1, max_size=6,
)  # fmt: skip


def quoted(cell: str) -> str:
    return f"\"{cell}\""


def deck_of(rows: list[dict[str, Any]]) -> bytes:
    head = (
        "prefix,origin,jurisdiction,window,weight,min_digits,effective_from,steps,connect_fee,attempt_fee,surcharge,surcharge_after_s,free_s,grace_s,min_s,"
        "min_amount,max_amount,reject\n"
    )
    lines = []
    for row in rows:
        steps = " ".join(f"{start}:{to_text(price)}/{per}:{increment}" for start, price, per, increment in row["steps"])
        date = datetime.fromtimestamp(row["from_ms"] / 1000, UTC).isoformat() if row["from_ms"] else ""
        most = "" if row["max_nanos"] is None else to_text(max(row["max_nanos"], row["min_nanos"]))
        lines.append(
            f"{row['prefix']},{row['origin']},{row['jurisdiction']},{quoted(row['window'])},{row['weight']},{row['min_digits']},{date},{steps},{to_text(row['connect'])},"
            f"{to_text(row['attempt'])},{to_text(row['surcharge'])},{row['surcharge_after_s']},{row['free_s']},{row['grace_s']},{row['min_s']},"
            f"{to_text(row['min_nanos'])},{most},{'yes' if row['reject'] else ''}\n"
        )
    return (head + "".join(lines)).encode()
