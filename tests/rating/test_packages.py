"""Packages: what a cycle comes to, whatever order its calls came in."""

from __future__ import annotations

from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import Agreement, Allowance, Package, Volume, VolumeTier, faults_of
from core.money import to_nanos, to_text
from core.schemas import CHARGES
from rating.packages import COVERED, USAGE, Deal, applied, covered
from rating.rules import rounded


def usage(*rows: tuple) -> pl.DataFrame:
    """at_ms, b_number, charged_s, usage: a call each; the call that stands first has offset 0, and the key a."""
    found = [
        ("t1", 0, n, "sell", 0, 0, 0, chr(97 + n), "acme", "bundle", 0, at_ms, b_number, charged_s, to_nanos(amount), 0)
        for n, (at_ms, b_number, charged_s, amount) in enumerate(rows)
    ]
    return pl.DataFrame(found, schema=USAGE, orient="row")


def priced(found: pl.DataFrame) -> dict[int, tuple[str, str]]:
    return {offset: (to_text(nanos), words) for offset, nanos, words in found.select("offset", "usage_nanos", "package").iter_rows()}


LOCAL = Allowance(name="local", prefixes=("43",), included_s=120)
CHEAP = Allowance(name="cheap", included_s=60, per_minute_nanos=to_nanos("0.01"))
BULK = Volume(name="bulk", prefixes=("44",), tiers=(VolumeTier(above_s=60, per_minute_nanos=to_nanos("0.02")), VolumeTier(above_s=120)))

# at_ms  b_number  charged_s  by its deck -> in the package
CASES = [
    ("included, and the second on the border is the next one's", Package(allowances=(LOCAL,)),
     [(1, "431", 90, "0.09"), (2, "431", 90, "0.09"), (3, "49", 60, "0.06"), (4, "431", 60, "0.06")],
     {0: ("0", "local 90 s"), 1: ("0.06", "local 30 s")}),
    ("by the answer, not by the offset", Package(allowances=(LOCAL,)),
     [(9, "431", 60, "0.06"), (2, "431", 60, "0.06"), (1, "431", 60, "0.06")],
     {1: ("0", "local 60 s"), 2: ("0", "local 60 s")}),
    ("at one moment by the key of the call", Package(allowances=(LOCAL,)),
     [(1, "431", 120, "0.12"), (1, "431", 120, "0.12")], {0: ("0", "local 120 s")}),
    ("one allowance after the other", Package(allowances=(LOCAL, CHEAP)),
     [(1, "431", 150, "0.3"), (2, "49", 60, "0.12")],
     {0: ("0.005", "local 120 s; cheap 30 s"), 1: ("0.065", "cheap 30 s")}),
    ("all of a volume at the price of its tier", Package(volumes=(BULK,)),
     [(1, "441", 60, "0.06"), (2, "441", 60, "0.06"), (3, "431", 60, "0.06")],
     {0: ("0.02", "bulk 60 s"), 1: ("0.02", "bulk 60 s")}),
    ("exactly up to a tier is not above it", Package(volumes=(BULK,)), [(1, "441", 60, "0.06")], {}),
    ("the highest tier that the sum exceeds", Package(volumes=(BULK,)),
     [(1, "441", 60, "0.06"), (2, "441", 61, "0.06")], {0: ("0", "bulk 60 s"), 1: ("0", "bulk 61 s")}),
    ("a volume is what the allowances leave", Package(allowances=(Allowance(name="uk", prefixes=("44",), included_s=60),), volumes=(BULK,)),
     [(1, "441", 60, "0.06"), (2, "441", 60, "0.06")], {0: ("0", "uk 60 s")}),
    ("without end", Package(allowances=(Allowance(name="flat"),)), [(1, "431", 10**6, "9")], {0: ("0", "flat 1000000 s")}),
    ("nothing is covered", Package(allowances=(LOCAL,)), [(1, "49", 60, "0.06")], {}),
]  # fmt: skip


@pytest.mark.parametrize(("package", "rows", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_a_package_charges(package, rows, expected):
    assert priced(covered(usage(*rows), lambda *_: Deal(package))) == expected


def test_parties_agreements_and_cycles_have_packages_of_their_own():
    one = usage((1, "431", 120, "0.12"))
    every = pl.concat([one, *(one.with_columns(offset=pl.lit(n, pl.Int64), **other) for n, other in enumerate([
        {"party": pl.lit("blue")}, {"agreement": pl.lit("other")}, {"cycle_ms": pl.lit(1, pl.Int64)}, {"tenant": pl.lit("t2")},
        {"role": pl.lit("buy")},
    ], 1))])  # fmt: skip
    assert len(priced(covered(every, lambda *_: Deal(Package(allowances=(LOCAL,)))))) == 6


def test_fees_stay_and_the_sum_is_rounded_once():
    row = usage((1, "431", 61, "0.0613")).with_columns(fees_nanos=pl.lit(to_nanos("0.00005"), pl.Int64))
    deal = Deal(Package(allowances=(Allowance(name="cheap", per_minute_nanos=to_nanos("0.01")),)), "up", 4)
    assert priced(covered(row, lambda *_: deal)) == {0: ("0.01025", "cheap 61 s")}  # 0.010166... and the fee, up to 0.0103


def test_charges_with_their_package():
    charges = pl.DataFrame(
        [{"tenant": "t1", "partition": 0, "offset": n, "role": "sell", "level": 0, "attempt_no": 0, "segment": 0, "usage_nanos": 10, "nanos": 15,
          "package": ""} for n in (0, 1)], schema=CHARGES,
    )  # fmt: skip
    changes = pl.DataFrame([("t1", 0, 1, "sell", 0, 0, 0, 4, "local 6 s")], schema=COVERED, orient="row")
    found = applied(charges, changes)
    assert found.schema == CHARGES
    assert found.select("offset", "usage_nanos", "nanos", "package").rows() == [(0, 10, 15, ""), (1, 4, 9, "local 6 s")]


# --- any order, and a model that walks second by second -----------------------------------------------------------------------------


def model(rows: list[tuple], deal: Deal) -> dict[int, int]:
    """Each second of each call in turn: which allowance has one left for it. Money in exact fractions."""
    package = deal.package
    used, free, due = {one.name: 0 for one in package.allowances}, {}, {}
    for n, (_, number, charged_s, _, _) in sorted(enumerate(rows), key=lambda one: (one[1][0], one[0])):
        due[n], free[n] = Fraction(0), 0
        for _ in range(charged_s):
            for one in package.allowances:
                if _fits(number, one.prefixes) and (one.included_s is None or used[one.name] < one.included_s):
                    used[one.name] += 1
                    due[n] += Fraction(one.per_minute_nanos, 60)
                    break
            else:
                free[n] += 1
    for volume in package.volumes:
        fits = [n for n, row in enumerate(rows) if _fits(row[1], volume.prefixes)]
        total = sum(free[n] for n in fits)
        tiers = sorted((tier.above_s, tier.per_minute_nanos) for tier in volume.tiers if total > tier.above_s)
        for n in fits if tiers else ():
            due[n] += Fraction(free[n] * tiers[-1][1], 60)
            free[n] = 0
    found = {}
    for n, (_, _, charged_s, amount, fee) in enumerate(rows):
        exact = due[n] + Fraction(amount * free[n], charged_s) + fee
        found[n] = amount if free[n] == charged_s else rounded(exact.numerator, exact.denominator, 10 ** (9 - deal.decimals), deal.mode) - fee
    return found


def _fits(number: str, prefixes: tuple[str, ...]) -> bool:
    return not prefixes or number.startswith(prefixes)


PREFIXES = st.sampled_from([(), ("43",), ("431", "44"), ("9",)])
PRICES = st.sampled_from([0, 1, 7_000_003, 10**9])
PACKAGES = st.builds(
    lambda allowances, volumes: Package(
        allowances=tuple(Allowance(name=f"a{n}", prefixes=p, included_s=s, per_minute_nanos=price) for n, (p, s, price) in enumerate(allowances)),
        volumes=tuple(
            Volume(name=f"v{n}", prefixes=p, tiers=tuple(VolumeTier(above_s=s, per_minute_nanos=price) for s, price in tiers.items()))
            for n, (p, tiers) in enumerate(volumes)
        ),
    ),
    st.lists(st.tuples(PREFIXES, st.sampled_from([None, 1, 60, 100]), PRICES), max_size=3),
    st.lists(st.tuples(PREFIXES, st.dictionaries(st.sampled_from([0, 30, 100]), PRICES, min_size=1)), max_size=2),
)
CALLS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["431", "432", "44", "9"]), st.integers(1, 90), st.integers(1, 10**10), st.integers(0, 10**7)),
    min_size=1, max_size=8,
)  # fmt: skip


@given(PACKAGES, CALLS, st.sampled_from(["half_up", "half_even", "up", "down"]), st.sampled_from([2, 4, 9]), st.randoms())
@settings(max_examples=150, deadline=None)
def test_any_order_of_the_calls_gives_the_charges_of_the_model(package, calls, mode, decimals, chance):
    deal = Deal(package, mode, decimals)
    frame = usage(*((at_ms, number, charged_s, to_text(amount)) for at_ms, number, charged_s, amount, _ in calls))
    frame = frame.with_columns(fees_nanos=pl.Series([call[-1] for call in calls], dtype=pl.Int64))
    orders = [list(range(len(calls))), chance.sample(range(len(calls)), len(calls))]
    found = [covered(frame[order], lambda *_: deal).sort("offset") for order in orders]
    assert found[0].equals(found[1])
    expected = model(calls, deal)
    changed = dict(found[0].select("offset", "usage_nanos").rows())
    assert {n: changed.get(n, calls[n][3]) for n in expected} == expected


@pytest.mark.parametrize(
    ("package", "fault"),
    [
        (Package(allowances=(LOCAL, LOCAL)), ("package.allowances[1].name", "'local' is in the package already: charges name what covered them")),
        (Package(allowances=(Allowance(name="x", prefixes=("+43",)),)),
         ("package.allowances[0].prefixes", "'+43' is no prefix: write digits from the country code on, as 4366")),
        (Package(volumes=(Volume(name="x"),)),
         ("package.volumes[0].tiers", "is missing: a volume has at least one tier, as {above: 1000m, per_minute: 0.018}")),
        (Package(volumes=(Volume(name="x", tiers=(VolumeTier(), VolumeTier())),)),
         ("package.volumes[0].tiers", "two tiers begin above the same sum: leave one")),
        (Package(allowances=(Allowance(name="x", per_minute_nanos=10**16),)), ("package.allowances[0].per_minute", "must be at most 1000000")),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_package(package, fault):
    row = Agreement(tenant="t1", name="bundle", role="sell", currency="EUR", package=package)
    assert list(faults_of("agreements", row, lambda *_: None)) == [fault]
