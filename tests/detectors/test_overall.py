"""Caps over all accounts: money by currency, calls whatever they cost."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import polars as pl
import pytest

from core.config import Caps
from core.orders import Key
from core.policy import Policy
from core.safety import Protected
from detectors.overall import DETECTOR, Total, Totals, detect, forget
from detectors.protocol import Limits, Settings

START_MS = 1_790_000_000_000 // 3_600_000 * 3_600_000


class Found(NamedTuple):
    findings: list
    orders: list


class Capped:
    """A carrier, trunk or range with a cap, second by second: `second account currency nanos calls active`."""

    def __init__(self, kind: str = "carrier", *, policy: Policy = Policy(), protected: Protected = Protected(), **caps: int) -> None:
        self.kind, self.name, self.policy, self.protected = kind, "882" if kind == "range" else "alpha", policy, protected
        self.caps, self.state = {kind: {("t1", self.name): Caps(**caps)}}, Totals()

    def cut(self, *rows: tuple[int, str, str, int, int, int]):
        frame = pl.DataFrame(
            [
                {
                    "tenant": "t1", "kind": self.kind, "subject": self.name, "account": account, "second_ms": START_MS + 1000 * second,
                    "currency": currency, "nanos": nanos, "calls": calls, "active": active, "learned_ms": START_MS, "call_id": f"c{second}",
                }
                for second, account, currency, nanos, calls, active in rows
            ]
        )  # fmt: skip
        rules = Settings(lambda tenant: self.policy, lambda tenant: self.protected, lambda tenant, account: "EUR", Limits(self.caps))
        return Found(*detect(self.state, frame, rules))


def test_concurrent_calls_count_over_all_currencies():
    carrier = Capped(concurrent_calls=3)
    assert not carrier.cut((0, "acme", "EUR", 0, 2, 2), (0, "blue", "USD", 0, 1, 1)).findings
    (finding,) = carrier.cut((1, "blue", "USD", 0, 1, 1)).findings
    assert finding.detector == "cap_concurrent_calls"
    assert "All accounts together have 4 calls at once over carrier alpha; its cap is 3." in finding.reason


def test_a_call_that_ends_without_a_price_still_ends():
    """Its answer was priced in EUR; its stop could not be priced, so it has no currency."""
    carrier = Capped(concurrent_calls=1)
    for call in range(20):
        assert not carrier.cut((10 * call, "acme", "EUR", 5, 1, 1), (10 * call + 5, "acme", "", 0, 0, -1)).findings


def test_calls_per_second_count_over_all_currencies_and_cuts():
    trunk = Capped("trunk", calls_per_second=3)
    assert not trunk.cut((7, "acme", "EUR", 0, 2, 0), (7, "blue", "", 0, 1, 0)).findings
    (finding,) = trunk.cut((7, "blue", "USD", 0, 1, 0)).findings
    assert finding.detector == "cap_calls_per_second" and finding.calls == 4


def test_money_counts_per_currency_and_clock_hour():
    carrier = Capped(money_hour_nanos=10 * 10**9)
    assert not carrier.cut((0, "acme", "EUR", 8 * 10**9, 1, 0), (0, "acme", "USD", 8 * 10**9, 1, 0)).findings
    assert not carrier.cut((3600, "acme", "EUR", 8 * 10**9, 1, 0)).findings, "another hour"
    late = carrier.cut((3599, "acme", "EUR", 8 * 10**9, 1, 0))
    assert not late.findings, "a second of an hour that has passed is added to no later one"
    (finding,) = carrier.cut((3700, "acme", "EUR", 3 * 10**9, 1, 0)).findings
    assert (finding.currency, finding.exposure_nanos) == ("EUR", 11 * 10**9)


@pytest.mark.parametrize("kind", ["carrier", "trunk_group", "trunk"])
def test_only_a_cap_of_a_range_issues_orders(kind):
    assert not Capped(kind, money_hour_nanos=1).cut((0, "acme", "EUR", 10, 1, 0)).orders
    over = Capped("range", money_hour_nanos=1).cut((0, "acme", "EUR", 1000, 1, 0), (0, "blue", "EUR", 10, 1, 0))
    assert [order.key.account for order in over.orders] == ["acme"], "blue did a hundredth of it"


def test_an_alert_is_written_again_each_minute_and_forgotten_after_two_days():
    carrier = Capped(money_hour_nanos=1)
    written = [len(carrier.cut((second, "acme", "EUR", 5, 1, 0)).findings) for second in (0, 30, 60, 90, 120)]
    assert written == [1, 0, 1, 0, 1]
    forget(carrier.state, START_MS + 3 * 86_400_000)
    assert not carrier.state.totals and not carrier.state.alerts


def test_a_carrier_with_active_calls_is_not_forgotten():
    carrier = Capped(concurrent_calls=100)
    carrier.cut((0, "acme", "EUR", 5, 1, 1))
    forget(carrier.state, START_MS + 9 * 86_400_000)
    assert sum(total.active for total in carrier.state.totals.values()) == 1
    carrier.cut((1, "acme", "EUR", 5, 0, -1))
    forget(carrier.state, START_MS + 9 * 86_400_000)
    assert not carrier.state.totals


# --- who is blocked when a range exceeds its cap ---


@pytest.mark.parametrize(
    ("shares", "blocked", "named", "more"),
    [
        ({"acme": (95, 0), "blue": (5, 9)}, ["acme", "blue"], {"acme": 95, "blue": 5}, 0),  # a twentieth is enough
        ({"acme": (96, 0), "blue": (4, 9)}, ["acme"], {"acme": 96}, 0),
        ({"blue": (30, 0), "acme": (40, 0), "": (930, 0)}, [], {}, 0),  # calls of a trunk without an account are most of it
        ({"acme": (0, 19), "blue": (0, 1)}, ["acme", "blue"], {"acme": 19, "blue": 1}, 0),  # no money: by calls
        ({"acme": (0, 20), "blue": (0, 1), "c": (0, 0)}, ["acme"], {"acme": 20}, 0),
        ({"acme": (0, 0)}, [], {}, 0),
        ({"acme": (1, 1), "blue": (0, 30)}, ["acme"], {"acme": 1}, 0),  # any money counts before calls
        ({name: (20 + no, 0) for no, name in enumerate("abcde")}, ["e", "d", "c", "b", "a"], {"e": 24, "d": 23, "c": 22}, 2),
        ({"b": (50, 0), "a": (50, 0)}, ["a", "b"], {"a": 50, "b": 50}, 0),  # equal shares: by name
    ],
)
def test_accounts_with_a_twentieth_of_a_range_are_blocked_the_largest_first(shares, blocked, named, more):
    by_money = any(nanos for nanos, _ in shares.values())
    over = Capped("range", **({"money_hour_nanos": 0} if by_money else {"concurrent_calls": 0}))
    currency, active = ("EUR", 0) if by_money else ("", 1)
    found = over.cut(*((0, account, currency, nanos, calls, active) for account, (nanos, calls) in shares.items()))
    (finding,) = found.findings
    assert [order.key for order in found.orders] == [Key(tenant="t1", account=account, b_range="882") for account in blocked]
    assert ({share.account: share.value for share in finding.facts.shares}, finding.facts.more_accounts) == (named, more)
    assert finding.facts.shares_are_money is by_money
    assert finding.key == (found.orders[0].key if blocked else None)


@pytest.mark.parametrize(
    ("kind", "policy", "protected", "account", "blocked", "no_block"),
    [
        ("range", Policy(order_score=2.0), Protected(), "acme", True, ""),  # twice the cap
        ("range", Policy(order_score=2.01), Protected(), "acme", False, "score"),
        ("range", Policy(), Protected(), "", False, "no account"),
        ("range", Policy(order_score=2.0), Protected(), "", False, "no account"),
        ("range", Policy(), Protected(accounts=frozenset({"acme"})), "acme", False, "account acme is protected"),
        ("carrier", Policy(), Protected(), "acme", False, "warns"),
    ],
)
def test_a_finding_has_the_reason_why_nobody_is_blocked(kind, policy, protected, account, blocked, no_block):
    over = Capped(kind, policy=policy, protected=protected, money_hour_nanos=10)
    (finding,), orders = over.cut((0, account, "EUR", 20, 1, 0))
    assert finding.score == 2.0 and bool(orders) == blocked
    assert (finding.facts.no_block, finding.facts.action, finding.facts.ttl_ms) == (no_block, "block" if blocked else "", 3_600_000 * blocked)
    assert all(order.by == "watch" and order.reason in finding.reason for order in orders)


def test_a_finding_has_the_sums_of_its_hour_or_day_and_its_latest_calls():
    over = Capped(money_day_nanos=12)
    assert not over.cut((0, "acme", "EUR", 6, 3, 0), (3600, "acme", "EUR", 4, 2, 0)).findings
    rows = [(3600 + second, "acme", "EUR", 0, 0, 0) for second in range(1, 7)]
    (finding,) = over.cut(*rows, (3607, "acme", "EUR", 3, 1, 0)).findings
    assert (finding.detector, finding.exposure_nanos, finding.calls, finding.facts.nanos, finding.facts.value) == ("cap_money_day", 13, 3, 7, 13)
    assert finding.example_call_ids == ["c3603", "c3604", "c3605", "c3606", "c3607"]
    assert (finding.subject, finding.facts.name, finding.facts.b_range, finding.facts.limit) == ("alpha", "alpha", "", 12)
    hour = Capped(money_hour_nanos=6)
    (finding,) = hour.cut((0, "acme", "EUR", 7, 3, 0)).findings
    assert (finding.exposure_nanos, finding.learned_ms, finding.score) == (7, START_MS, 1.167)
    day = Capped(money_day_nanos=9)
    late = day.cut((86_400, "acme", "EUR", 5, 1, 0)), day.cut((1, "acme", "EUR", 5, 1, 0)), day.cut((2 * 86_400, "acme", "EUR", 5, 1, 0))
    assert not any(found.findings for found in late), "a second of a day that has passed is added to no later one"


@pytest.mark.parametrize(("seconds", "calls"), [([0, 60, 0], 2), ([0, 61, 0], 0), ([60, 0, 0], 2)])
def test_the_calls_of_a_second_are_remembered_for_a_minute(seconds, calls):
    trunk = Capped("trunk", calls_per_second=0)
    for second in seconds:
        trunk.cut((second, "acme", "EUR", 0, 1, 0))
    (total,) = (total for total in trunk.state.totals.values() if total.seconds)
    assert total.seconds.get(START_MS // 1000 + seconds[-1], 0) == calls, "a second that is too old counts no more"


@pytest.mark.parametrize(("after_ms", "known"), [(2 * 86_400_000, True), (2 * 86_400_000 + 1, False)])
def test_a_subject_is_forgotten_two_days_after_its_latest_hour(after_ms, known):
    carrier = Capped(money_hour_nanos=100)
    carrier.cut((0, "acme", "EUR", 5, 1, 0))
    forget(carrier.state, START_MS + after_ms)
    assert bool(carrier.state.totals) == known


@pytest.mark.parametrize(
    ("kind", "capped", "row", "name"),
    [
        ("carrier", "alpha", {"carrier": "alpha"}, "alpha"),
        ("carrier", "alpha", {"carrier": "beta"}, ""),
        ("carrier", "alpha", {"tenant": "t2", "carrier": "alpha"}, ""),
        ("trunk_group", "alpha", {"trunk_group": "alpha", "carrier": "x"}, "alpha"),
        ("trunk", "alpha", {"ingress_trunk": "alpha"}, "alpha"),
        ("range", "882", {"b_number": "8821312"}, "882"),
        ("range", "8821312", {"b_number": "88213"}, ""),
        ("range", "882", {"tenant": "t2", "b_number": "8821312"}, ""),
    ],
)
def test_a_row_counts_for_the_subject_with_a_cap(usage_of, kind, capped, row, name):
    limits = Limits(caps={kind: {("t1", capped): Caps()}})
    assert DETECTOR.sums[kind](usage_of({"tenant": "t1"} | row), limits).to_list() == [name]
    assert DETECTOR.sums[kind](usage_of({"tenant": "t1"} | row), Limits()) is None


def test_a_row_counts_for_the_longest_range_with_a_cap(usage_of):
    limits = Limits(caps={"range": {("t1", "882"): Caps(), ("t1", "88213"): Caps()}})
    rows = [{"tenant": "t1", "b_number": b_number} for b_number in ("8821312", "8829", "371")]
    assert DETECTOR.sums["range"](usage_of(*rows), limits).to_list() == ["88213", "882", ""]


def test_a_second_that_is_too_old_is_not_checked_any_more():
    trunk = Capped("trunk", calls_per_second=0)
    assert not trunk.cut((61, "acme", "EUR", 0, 0, 0)).findings
    assert not trunk.cut((0, "acme", "EUR", 0, 5, 0)).findings


def test_a_new_subject_has_no_sums():
    numbers = dict.fromkeys(("hour", "hour_nanos", "hour_calls", "day", "day_nanos", "active", "learned_ms"), 0)
    assert msgspec.to_builtins(Total()) == numbers | {"shares": {}, "seconds": {}, "examples": []}
