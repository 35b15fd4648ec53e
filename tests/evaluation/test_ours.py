"""Our detectors in the evaluation: a block refuses the calls that a switch would refuse, and nothing is seen too early."""

from __future__ import annotations

import pytest

from core.orders import Action, BlockOrder, Finding, Key
from evaluation.ours import DELIVERY_MS, Table, alert_of, ours
from simulator.columns import calls
from simulator.episodes import traffic
from simulator.record_lines import events


def order(key: Key, at_ms: int, ask: bool = False, action: Action = "refuse", calls_a_minute: int = 0) -> BlockOrder:
    return BlockOrder(
        order_id="o", key=key, action=action, created_at_ms=at_ms, learned_ms=at_ms, expires_at_ms=at_ms + 60_000, finding_id="f",
        reason="r", ask=ask, calls_a_minute=calls_a_minute,
    )  # fmt: skip


def test_a_block_refuses_by_the_switchs_own_rule() -> None:
    """Caller and range of one account, from a second after the order for a minute."""
    frame = calls(
        6, tenant="t", account=["a", "a", "a", "b", "a", "a"], a_number=["431", "432", "431", "431", "431", "431"],
        b_number=["88213", "88213", "44", "88213", "882", "88213"], setup_ms=[2000, 2001, 2002, 2003, 2004, 100_000], pdd_ms=0, ring_ms=0, talk_ms=5,
    )  # fmt: skip
    table = Table(frame)
    table.apply([order(Key(tenant="t", account="a", a_number="431", b_range="88213"), 2000 - DELIVERY_MS)])
    passed = table.admitted(events(frame))
    assert table.refused.tolist() == [True, False, False, False, False, False]
    assert 0 not in passed.call


def test_an_order_that_waits_for_a_person_blocks_nothing() -> None:
    frame = calls(1, tenant="t", account="a", b_number="88213", setup_ms=5000, pdd_ms=0, ring_ms=0)
    table = Table(frame)
    table.apply([order(Key(tenant="t", account="a"), 0, ask=True), order(Key(tenant="t", ingress_trunk="a"), 0)])
    table.admitted(events(frame))
    assert not table.refused.any()


def test_an_order_does_to_a_call_what_its_action_says() -> None:
    """A throttle of two a minute, and an order that only marks."""
    frame = calls(4, tenant="t", account=["a", "a", "a", "b"], b_number="88213", setup_ms=[5000, 5001, 5002, 5003], pdd_ms=0, ring_ms=0)
    table = Table(frame)
    throttle = order(Key(tenant="t", account="a"), 0, action="throttle", calls_a_minute=2)
    table.apply([throttle, order(Key(tenant="t", account="b"), 0, action="shadow")])
    table.admitted(events(frame))
    assert table.refused.tolist() == [False, False, True, False]


def test_calls_of_the_span_that_led_to_an_order_are_refused_after_it() -> None:
    frame = calls(2, tenant="t", account="a", b_number="88213", setup_ms=[1000, 9000], pdd_ms=0, ring_ms=0, talk_ms=1)
    table = Table(frame)
    table.admitted(events(frame))
    table.apply([order(Key(tenant="t", account="a", b_range="88"), 3000)])
    assert table.refused.tolist() == [False, True]


@pytest.mark.parametrize(
    ("kind", "subject", "key", "account", "carrier"),
    [
        ("account", "a1", Key(tenant="t", account="a1"), "a1", ""),
        ("b_range", "a1/431>88213", None, "a1", ""),
        ("a_number", "a1/431", None, "a1", ""),
        ("carrier", "echo", None, "", "echo"),
        ("route", "echo/234", None, "", "echo"),
        ("range", "88213", None, "", ""),
    ],
)
def test_a_finding_names_its_account_or_carrier(kind: str, subject: str, key: Key | None, account: str, carrier: str) -> None:
    finding = Finding(
        finding_id="f", tenant="t", detector="d", subject_kind=kind, subject=subject, detected_at_ms=5, first_ms=1, last_ms=5, calls=1,
        exposure_nanos=1, currency="EUR", score=1.0, reason="r", example_call_ids=["c"], key=key,
    )  # fmt: skip
    found = alert_of(finding, {"a1", "a2"}, {"echo", "alpha"})
    assert (found.account, found.carrier, found.calls) == (account, carrier, ("c",))


def test_a_loud_burst_is_found_and_honest_calls_pass() -> None:
    """The chain holds: simulated calls, records, the step, orders, refused calls."""
    town = traffic(9, 1500, days=1.0, families=("irsf_burst",))  # seed 9: loud
    assert town.episodes[0].stealth == 0
    verdict = ours(town)
    assert verdict.alerts
    fraud = (town.frame["episode"] != "").to_numpy()
    assert (verdict.refused & fraud).sum() > fraud.sum() / 4
    assert (verdict.refused & ~fraud).sum() < 15
    assert min(one.at_ms for one in verdict.alerts if one.account == town.episodes[0].account) >= town.episodes[0].start_ms
