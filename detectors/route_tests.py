"""What test calls say of a carrier to a destination: callers' numbers that are changed or removed, and false answers, ring tones and call ends.

A claim is about a carrier and a destination over a week, never about one call: at least `LEAST_TESTS` tests of which `LEAST_BAD` went wrong, and the
lower bound of their share (Wilson, 95 %) is over what honest networks do to a call (`HONEST`), and over the upper bound of the other carriers to the
same destination. Where no other carrier was tested there, the lower bound must be over `ALONE`: a line or a country that garbles every call looks
the same over one carrier.

cli_local     the line was shown a mobile number of its own country instead of the caller: a SIM box
cli_changed   it was shown another number: refiling, which is billed by the origin that it pretends
cli_missing   it was shown none
test_answer   the carrier signalled an answer, and the line did not ring or did not answer
test_ringback a ring tone was heard, and the line did not ring
test_late     the call went on for more than `LATE_MS` after the line had hung up

Source: i3forum, "False Answer Supervision" and "Origin based rating: fraud and misuse" (both name test calls as the proof). It only warns: the
remedies are a dispute and another route. Pure.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import phonenumbers
import polars as pl

from core.facts import Facts
from detectors.destination import REGIONS, code_of, destination, prefix_destination
from detectors.fas import interval
from detectors.features import zone_of

WINDOW_MS = 7 * 86_400_000
LEAST_TESTS = 10
LEAST_BAD = 3
HONEST = 0.05
"""Of honest carriers' test calls, some lose the caller's number on the way or end in an announcement."""
ALONE = 0.3
LATE_MS = 3_000
"""The clocks of both ends differ by less."""
SAME_DIGITS = 7
"""A number that is delivered in national form ends as the number sent does: with at least so many digits."""

DETECTORS = {
    "cli_local": "test_cli", "cli_changed": "test_cli", "cli_missing": "test_cli", "test_answer": "test_answer", "test_ringback": "test_ringback",
    "test_late": "test_late",
}  # fmt: skip
"""What went wrong -> the name under which it is reported."""


class Claim(NamedTuple):
    """`bad` of `tests` over the carrier to the zone went wrong; `low`: at least this share of its calls does. `late_ms`: the median, of
    `test_late`."""

    what: str  # a key of DETECTORS
    carrier: str
    zone: str
    tests: int
    bad: int
    low: float
    peers_tests: int
    peers_bad: int
    first_ms: int
    last_ms: int
    late_ms: int = 0


@lru_cache(maxsize=65_536)
def delivered(sent: str, shown: str, b_number: str) -> str:
    """What became of a caller's number: "" = it arrived, else a key of `DETECTORS`. A line may be shown it in the form of its own country.

    >>> [delivered("43664123456", shown, "447700900123") for shown in ("+43 664 123456", "0043664123456", "664123456", "")]
    ['', '', '', 'cli_missing']
    >>> [delivered("43664123456", shown, "447700900123") for shown in ("07911123456", "447911123456", "+49 30 1234567", "442079460000")]
    ['cli_local', 'cli_local', 'cli_changed', 'cli_changed']
    """
    digits = "".join(char for char in shown if char.isdigit()).lstrip("0")
    if not digits:
        return "cli_missing"
    if digits == sent or (len(digits) >= SAME_DIGITS and sent.endswith(digits)):
        return ""
    code = code_of(b_number)
    try:
        read = phonenumbers.parse(shown, next(iter(REGIONS.get(code, ())), None))
    except phonenumbers.NumberParseException:
        return "cli_changed"
    number = f"{read.country_code}{read.national_number}"
    if number == sent:
        return ""
    is_local = str(read.country_code) == code and "mobile" in destination(number).kind
    return "cli_local" if is_local else "cli_changed"


def claims(tests: pl.DataFrame) -> list[Claim]:
    """What a frame of ROUTE_TESTS of one tenant says, of the week before its newest test.

    >>> from core.route_tests import ROUTE_TESTS
    >>> row = dict(tenant="t1", at_ms=1, a_number="43664123456", b_number="447700900123", cli="+43664123456")
    >>> bad = dict(row, carrier="alpha", cli="+447911123456")
    >>> rows = [bad] * 9 + [dict(row, carrier="alpha")] * 3 + [dict(row, carrier="beta")] * 20
    >>> [(one.what, one.carrier, one.zone, one.bad, one.tests, round(one.low, 2)) for one in claims(pl.DataFrame(rows, schema=ROUTE_TESTS))]
    [('cli_local', 'alpha', '447', 9, 12, 0.47)]
    """
    if tests.is_empty():
        return []
    newest_ms = int(tests["at_ms"].max())  # type: ignore[arg-type]
    seen = _seen(tests.filter(pl.col("at_ms") > newest_ms - WINDOW_MS))
    counted = (
        seen.group_by("what", "zone", "carrier")
        .agg(
            tests=pl.len(), bad=pl.col("bad").sum(), first_ms=pl.col("at_ms").min(), last_ms=pl.col("at_ms").max(),
            late_ms=pl.col("late_ms").filter("bad").median().fill_null(0).cast(pl.Int64),
        )
        .with_columns(
            peers_tests=pl.col("tests").sum().over("what", "zone") - pl.col("tests"),
            peers_bad=pl.col("bad").sum().over("what", "zone") - pl.col("bad"),
        )
        .filter(pl.col("tests") >= LEAST_TESTS, pl.col("bad") >= LEAST_BAD)
        .sort("what", "carrier", "zone")
    )  # fmt: skip
    found = []
    for row in counted.iter_rows(named=True):
        low = interval(row["bad"], row["tests"])[0]
        has_peers = row["peers_tests"] >= LEAST_TESTS
        least = max(HONEST, interval(row["peers_bad"], row["peers_tests"])[1]) if has_peers else ALONE
        if low > least:
            found.append(Claim(low=low, **row))
    return found


def _seen(tests: pl.DataFrame) -> pl.DataFrame:
    """A row for each test and each thing that could be observed in it: `what`, zone, carrier, at_ms, `bad`, `late_ms`."""
    by = zip(tests["a_number"].to_list(), tests["cli"].to_list(), tests["b_number"].to_list(), strict=True)
    became = [delivered(sent, shown, b_number) if sent and shown is not None else None for sent, shown, b_number in by]
    tests = tests.with_columns(
        zone=pl.Series([zone_of(b_number) for b_number in tests["b_number"].to_list()], dtype=pl.String), became=pl.Series(became, dtype=pl.String),
        late=pl.col("ended_ms") - pl.col("hung_up_ms"), silent=pl.any_horizontal(~pl.col("line_rang"), ~pl.col("line_answered")),
    )  # fmt: skip
    bad = {
        **{what: pl.col("became") == what for what in ("cli_local", "cli_changed", "cli_missing")},
        "test_answer": pl.col("answered") & pl.col("silent"), "test_ringback": pl.col("ringback") & ~pl.col("line_rang"),
        "test_late": pl.col("late") > LATE_MS,
    }  # fmt: skip
    parts = [
        tests.select("zone", "carrier", "at_ms", what=pl.lit(what), bad=one, late_ms=pl.col("late")).drop_nulls("bad").filter(pl.col("zone") != "")
        for what, one in bad.items()
    ]
    return pl.concat(parts)


def facts_of(claim: Claim) -> Facts:
    """
    >>> from core.alert_text import finding_text
    >>> print(finding_text(facts_of(Claim("cli_local", "alpha", "447", 12, 9, 0.468, 20, 0, 0, 0))))
    Carrier alpha: 9 of 12 test calls to +44 7… (United Kingdom and others) showed a mobile number of the called country as the caller's, so at \
least 47 % of its calls do; over the other carriers 0 of 20. It looks like a SIM box: international calls are sent on as local ones. Not blocked: \
this kind of finding only warns.
    >>> print(finding_text(facts_of(Claim("test_answer", "beta", "2348", 15, 9, 0.357, 0, 0, 0, 0))).partition(" It looks")[0])
    Carrier beta: 9 of 15 test calls to +234 8… (Nigeria) were answered although our line did not ring or did not answer, so at least 36 % of its \
calls are; no other carrier was tested there.
    """
    to = prefix_destination(claim.zone)
    measured = [float(claim.bad), round(claim.low, 4), float(claim.peers_bad), float(claim.peers_tests), round(claim.late_ms / 1000, 1)]
    return Facts(
        subject_kind="route", name=claim.carrier, b_range=claim.zone, calls=claim.tests, code=to.code, country=to.country, country_name=to.name,
        fraud=claim.what, measured=measured, no_block="warns",
    )  # fmt: skip
