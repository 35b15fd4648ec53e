"""A range that is known for fraud: what it adds to a call's odds, and to whom it says nothing."""

from __future__ import annotations

import polars as pl
import pytest

from core.known import DAY_MS, Known, KnownRange
from detectors import irsf_range, wangiri
from detectors.evidence import Rows, log_odds, probability
from detectors.known import nobody, with_known

SEEN = KnownRange(tenant="t1", b_range="252612", day="2026-01-01", source="i3Forum")
CONFIRMED = KnownRange(tenant="t1", b_range="25261234", day="2026-01-01", source="us", kind="confirmed")


def calls(*rows: tuple[str, str, int]) -> pl.DataFrame:
    made = [{"tenant": t, "b_number": b, "b_code": int(f"1{b}") if b.isdigit() else 0, "t_ms": SEEN.at_ms + d * DAY_MS} for t, b, d in rows]
    return pl.DataFrame(made)


def test_the_longest_range_of_the_tenant_counts_and_less_each_day():
    known = Known([SEEN, CONFIRMED])
    frame = calls(("t1", "252612999999", 0), ("t1", "252612345678", 30), ("t1", "252612999999", 90), ("t2", "252612999999", 0),
                  ("t1", "4366012345", 0), ("t1", "25261", 0), ("t1", "anonymous", 0))  # fmt: skip
    found = with_known(frame, lambda tenant: known if tenant == "t1" else Known())
    assert found["known_points"].to_list() == [2.5, 2.0, 1.25, 0.0, 0.0, 0.0, 0.0]
    assert found["known_days"].to_list() == [0.0, 30.0, 90.0, 0.0, 0.0, 0.0, 0.0]
    assert with_known(frame, nobody)["known_points"].sum() == 0


@pytest.mark.parametrize(("detector", "b_number", "counts"), [(irsf_range, "252612{:06d}", True), (wangiri, "252612{:06d}", False)])
def test_a_known_range_is_evidence_of_frauds_that_pay_by_where_they_call(found_by, office, call, detector, b_number, counts):
    pumped = [call(4 * 86_400 + no * 30, b_number.format(no), 300, 0.3) for no in range(4)]
    _, frame = found_by(detector.DETECTOR, [*office(4), *pumped])
    case = frame.row(frame.height - 1, named=True)
    hot = case | {"known_points": 4.0, "known_days": 1.0}

    def evidence(row: dict) -> list[str]:
        from detectors.protocol import Case, Hit

        kind = "a_range" if detector is wangiri else "account_range"
        found = detector.DETECTOR.facts(Case(Hit(0, detector.DETECTOR.name, kind, 1.0), row, {}, "EUR", []), detector.DETECTOR.parameters())
        return [one.code for one in found.evidence]

    assert ("known" in evidence(hot)) == counts and "known" not in evidence(case)


def test_alone_it_makes_no_alert():
    hot = Rows.of_case({"known_points": 4.0, "known_days": 0.0})
    from detectors.evidence import known

    assert probability(log_odds([known(hot)]))[0] < 0.01
