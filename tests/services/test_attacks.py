"""The alerts of one attack are one for a person."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from books.orders import StoredOrder
from core.facts import Facts
from core.orders import BlockOrder, Finding, Key
from services.alert_desk import Queued, key_to_block
from services.attacks import attacks

MINUTE = 60_000


def alert(name: str, minutes: float, account: str = "acme", status: str = "", no_block: str = "", tenant: str = "t1", euros: int = 1,
          a_number: str = "", b_range: str = "") -> Queued:
    at_ms = round(minutes * MINUTE)
    kind = "b_range" if b_range else "a_number" if a_number else "account"
    facts = Facts(subject_kind=kind, account=account, a_number=a_number, b_range=b_range, no_block=no_block)
    finding = Finding(
        finding_id=name, tenant=tenant, detector="takeover", subject_kind="account", subject=account, detected_at_ms=at_ms, first_ms=at_ms,
        last_ms=at_ms + MINUTE, calls=1, exposure_nanos=euros * 10**9, currency="EUR", score=1.0, reason="", example_call_ids=[], facts=facts,
    )  # fmt: skip
    return Queued(finding, stored(finding, status) if status else None, None)


def stored(finding: Finding, status: str) -> StoredOrder:
    order = BlockOrder(
        order_id="o", key=key_to_block(finding) or Key(tenant="t1", account="acme"), action="refuse", created_at_ms=0, learned_ms=0, expires_at_ms=9,
        finding_id=finding.finding_id, reason="", by="judge",
    )  # fmt: skip
    return StoredOrder(order, True, status, "", 0, "", 0, 9)


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        ([alert("takeover", 0), alert("irsf", 3), alert("spread", 40)], [["takeover", "irsf", "spread"]]),
        ([alert("one", 0), alert("other", 3, "blue")], [["one"], ["other"]]),
        ([alert("one", 0), alert("other", 3, tenant="t2")], [["one"], ["other"]]),
        ([alert("carrier", 0, ""), alert("range", 3, "")], [["carrier"], ["range"]]),  # about no account
        ([alert("evening", 0), alert("morning", 600)], [["evening"], ["morning"]]),
        ([alert("wide", 5, no_block="wide"), alert("blocked", 3, status="standing")], [["blocked", "wide"]]),
        ([alert("passes", 5, no_block="uncertain"), alert("blocked", 3, status="standing", b_range="882")], [["passes", "blocked"]]),
        # A detector that only warns of a caller whose calls are refused already is a line below the block.
        ([alert("looping", 5, no_block="warns", a_number="43664"), alert("stop", 3, status="standing", a_number="43664")], [["stop", "looping"]]),
        ([alert("looping", 5, no_block="warns", a_number="43664"), alert("all", 3, status="standing")], [["all", "looping"]]),
        ([alert("looping", 5, no_block="warns", a_number="43664"), alert("other", 3, status="standing", a_number="43650")], [["looping", "other"]]),
        ([alert("looping", 5, no_block="warns", a_number="43664"), alert("waits", 3, status="waiting", a_number="43664")], [["looping", "waits"]]),
    ],
)
def test_what_one_account_does_at_one_time_is_one_attack(queue, expected):
    assert [[one.finding.finding_id for one in attack.members] for attack in attacks(queue)] == expected


def test_an_order_that_refuses_not_every_call_covers_no_other_alert():
    looping, throttled = alert("looping", 5, no_block="warns", a_number="43664"), alert("throttled", 3, status="standing", a_number="43664")
    assert throttled.order is not None
    order = replace(throttled.order.order, action="throttle")
    (attack,) = attacks([looping, throttled._replace(order=throttled.order._replace(order=order))])
    assert attack.lead is looping
