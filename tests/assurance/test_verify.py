"""Which charges are computed again, and how they are added up; what each should be is the price's own test."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from assurance import verify

KINDS = ["e164", "e164", "emergency"]
CALLS = pl.DataFrame({"offset": [0, 1, 2], "b_kind": KINDS, "a_number": "4315", "b_number": "4366", "lrn": "", "setup_ms": 0, "duration_ms": 60_000})
SHOULD = 10


def charge(nanos: int, offset: int = 0, **more: Any) -> dict[str, Any]:
    return {"offset": offset, "role": "sell", "level": 0, "attempt_no": 0, "start_ms": 1_000, "deck": "retail", "package": "", "nanos": nanos,
        "currency": "EUR", "call_key": f"k{offset}", "account": "acme", "carrier": "", "config_version": 1, **more}  # fmt: skip


CASES: dict[str, tuple[list[dict[str, Any]], list[tuple[str, int, int]]]] = {
    # charges -> (state, charges, nanos too much)
    "right": ([charge(10), charge(10, 1)], [("right", 2, 0)]),
    "wrong, and right": ([charge(9), charge(10, 1)], [("right", 1, 0), ("wrong", 1, -1)]),
    "two rates within a call": ([charge(4), charge(6, start_ms=2_000)], [("right", 1, 0)]),
    "the reseller above": ([charge(10), charge(7, level=1)], [("right", 1, 0)]),
    "covered by a package": ([charge(0, package="500 minutes: 60 s"), charge(10, 1)], [("right", 1, 0)]),
    "an emergency call": ([charge(0, 2)], [("right", 1, 0)]),
    "an emergency call that is charged": ([charge(3, 2)], [("wrong", 1, 3)]),
    "an amount of the feed": ([charge(99, deck="")], []),
    "not answered": ([charge(1, start_ms=None)], []),
    "no price in its config version": ([charge(10, config_version=2)], [("unknown", 1, 0)]),
}


@pytest.mark.parametrize("case", CASES)
def test_charges_are_computed_again_and_added_up(case: str, monkeypatch: pytest.MonkeyPatch):
    def recomputed(charges: pl.DataFrame, *_: object) -> pl.DataFrame:
        known = pl.when(pl.col("config_version") == 1).then(SHOULD).cast(pl.Int64)
        return charges.with_columns(known.alias("should_nanos"), pl.col("account").alias("party"))

    monkeypatch.setattr(verify, "recomputed", recomputed)
    given, expected = CASES[case]
    found = verify.merged([verify.verified(pl.DataFrame(given), CALLS, "t1", lambda version: pytest.fail("not asked"))])
    assert sorted(found.select("state", "charges", "nanos").rows()) == expected
