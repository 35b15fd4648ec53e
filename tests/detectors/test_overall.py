"""Caps over all accounts: money by currency, calls whatever they cost."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl
import pytest

from core.config import Caps
from core.policy import Policy
from core.safety import Protected
from detectors.overall import Totals, detect, forget
from detectors.protocol import Limits, Settings

START_MS = 1_790_000_000_000 // 3_600_000 * 3_600_000


class Found(NamedTuple):
    findings: list
    orders: list


class Capped:
    """A carrier, trunk or range with a cap, second by second: `second account currency nanos calls flying`."""

    def __init__(self, kind: str = "carrier", **caps: int) -> None:
        self.kind, self.name = kind, "882" if kind == "range" else "alpha"
        self.caps, self.state = {kind: {("t1", self.name): Caps(**caps)}}, Totals()

    def cut(self, *rows: tuple[int, str, str, int, int, int]):
        frame = pl.DataFrame(
            [
                {
                    "tenant": "t1", "kind": self.kind, "subject": self.name, "account": account, "second_ms": START_MS + 1000 * second,
                    "currency": currency, "nanos": nanos, "calls": calls, "flying": flying, "learned_ms": START_MS, "call_id": f"c{second}",
                }
                for second, account, currency, nanos, calls, flying in rows
            ]
        )  # fmt: skip
        rules = Settings(lambda tenant: Policy(), lambda tenant: Protected(), lambda tenant, account: "EUR", Limits(self.caps))
        return Found(*detect(self.state, frame, rules))


def test_calls_at_once_are_those_of_every_currency():
    carrier = Capped(concurrent_calls=3)
    assert not carrier.cut((0, "acme", "EUR", 0, 2, 2), (0, "blue", "USD", 0, 1, 1)).findings
    (finding,) = carrier.cut((1, "blue", "USD", 0, 1, 1)).findings
    assert finding.detector == "cap_concurrent_calls"
    assert "All accounts together have 4 calls at once over carrier alpha; its cap is 3." in finding.reason


def test_a_call_that_ends_without_a_price_is_over_all_the_same():
    """Its answer was priced in EUR; its stop could not be priced, so it has no currency."""
    carrier = Capped(concurrent_calls=1)
    for call in range(20):
        assert not carrier.cut((10 * call, "acme", "EUR", 5, 1, 1), (10 * call + 5, "acme", "", 0, 0, -1)).findings


def test_calls_in_a_second_are_those_of_every_currency_and_of_a_later_cut_too():
    trunk = Capped("trunk", calls_per_second=3)
    assert not trunk.cut((7, "acme", "EUR", 0, 2, 0), (7, "blue", "", 0, 1, 0)).findings
    (finding,) = trunk.cut((7, "blue", "USD", 0, 1, 0)).findings
    assert finding.detector == "cap_calls_per_second" and finding.calls == 4


def test_money_counts_by_currency_and_by_the_clock_hour():
    carrier = Capped(money_hour_nanos=10 * 10**9)
    assert not carrier.cut((0, "acme", "EUR", 8 * 10**9, 1, 0), (0, "acme", "USD", 8 * 10**9, 1, 0)).findings
    assert not carrier.cut((3600, "acme", "EUR", 8 * 10**9, 1, 0)).findings, "another hour"
    late = carrier.cut((3599, "acme", "EUR", 8 * 10**9, 1, 0))
    assert not late.findings, "a second of an hour that has passed is added to no later one"
    (finding,) = carrier.cut((3700, "acme", "EUR", 3 * 10**9, 1, 0)).findings
    assert (finding.currency, finding.exposure_nanos) == ("EUR", 11 * 10**9)


@pytest.mark.parametrize("kind", ["carrier", "trunk_group", "trunk"])
def test_only_a_range_orders(kind):
    assert not Capped(kind, money_hour_nanos=1).cut((0, "acme", "EUR", 10, 1, 0)).orders
    over = Capped("range", money_hour_nanos=1).cut((0, "acme", "EUR", 1000, 1, 0), (0, "blue", "EUR", 10, 1, 0))
    assert [order.key.account for order in over.orders] == ["acme"], "blue did a hundredth of it"


def test_an_alert_is_written_again_each_minute_and_forgotten_after_two_days():
    carrier = Capped(money_hour_nanos=1)
    written = [len(carrier.cut((second, "acme", "EUR", 5, 1, 0)).findings) for second in (0, 30, 60, 90, 120)]
    assert written == [1, 0, 1, 0, 1]
    forget(carrier.state, START_MS + 3 * 86_400_000)
    assert not carrier.state.totals and not carrier.state.alerts


def test_a_carrier_with_calls_in_flight_is_not_forgotten():
    carrier = Capped(concurrent_calls=100)
    carrier.cut((0, "acme", "EUR", 5, 1, 1))
    forget(carrier.state, START_MS + 9 * 86_400_000)
    assert sum(total.flying for total in carrier.state.totals.values()) == 1
    carrier.cut((1, "acme", "EUR", 5, 0, -1))
    forget(carrier.state, START_MS + 9 * 86_400_000)
    assert not carrier.state.totals
