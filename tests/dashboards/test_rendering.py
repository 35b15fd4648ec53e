"""The texts of alerts, with the status of their orders."""

from __future__ import annotations

import pytest

from books.orders import StoredOrder
from core.facts import Facts
from core.orders import BlockOrder, Finding, Key
from core.text import masked
from dashboards.books_view import Alert
from dashboards.rendering import alert, alert_text

NOW_MS = 1_772_438_400_000
KEY = Key(tenant="t1", account="acme", a_number="436641234567", b_range="960900")
FACTS = Facts(
    subject_kind="b_range", account="acme", a_number="436641234567", calls=42, window_ms=360_000, nanos=24_450_000_000, currency="EUR",
    b_range="960900", code="960", country="MV", country_name="Maldives", number_kind="premium rate", action="block", ttl_ms=3_600_000,
)  # fmt: skip


def finding(facts: Facts | None = FACTS) -> Finding:
    return Finding(
        finding_id="f", tenant="t1", detector="burst", subject_kind="b_range", subject="acme/436641234567>960900", detected_at_ms=NOW_MS,
        first_ms=NOW_MS, last_ms=NOW_MS, calls=42, exposure_nanos=24_450_000_000, currency="EUR", score=2.0, reason="as it was written",
        example_call_ids=[], key=KEY, facts=facts,
    )  # fmt: skip


def order(status: str, why: str = "", by: str = "") -> StoredOrder:
    block_order = BlockOrder(
        order_id="o", key=KEY, action="refuse", created_at_ms=NOW_MS, learned_ms=NOW_MS, expires_at_ms=NOW_MS + 3_600_000, finding_id="f",
        reason="r",
    )  # fmt: skip
    return StoredOrder(block_order, True, status, why, NOW_MS, by, NOW_MS, NOW_MS + 3_600_000)


@pytest.mark.parametrize(
    ("stored", "end"),
    [
        (order("standing"), "New calls of caller +436641234567 of acme to +960 900… are refused until 09:00:00 UTC."),
        (order("shadow"), "Shadow mode, nothing is refused: new calls of caller +436641234567 of acme to +960 900… would be, until 09:00:00 UTC."),
        (order("waiting", "31 orders"), "Nothing is refused yet: the order waits for approval: 31 orders."),
        (order("lifted", by="anna"), "No longer refused: lifted by anna."),
        (order("expired"), "The block has expired."),
        (order("refused", "account acme is protected"), "Not refused: account acme is protected."),
        (order("stale", "too old"), "Not refused: too old."),
        (None, "Ordered for 1 hour: refuse new calls of caller +436641234567 of acme to +960 900…."),
    ],
)
def test_the_shown_status_is_that_of_the_books(stored, end):
    text = alert_text(finding(), stored, NOW_MS)
    assert text.startswith("Caller +436641234567 of acme is sending 42 calls to +960 900… (Maldives, premium rate): 24.45 EUR in 6 minutes")
    assert text.endswith(end)


def test_a_finding_without_facts_is_shown_with_its_stored_reason():
    assert alert_text(finding(None), order("standing"), NOW_MS) == "as it was written"


@pytest.mark.parametrize("dialled", ["1234#88213-12-345", "00 88 21 31 23", "+43(0)664*1234567", "12345678;x=9", "8.8.2.1.3.1.2"])
def test_viewers_see_masked_numbers(dialled):
    facts = Facts(subject_kind="unpriced", account="acme", calls=9, talk_ms=1, dialled=[dialled], action="ask")
    shown = alert(Alert(finding(facts), order("waiting", "asked")), NOW_MS, masked)
    assert "cannot be read or priced" in shown and dialled not in shown
    assert dialled in alert(Alert(finding(facts), None), NOW_MS, lambda text, plain: text)
