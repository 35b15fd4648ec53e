"""Controls: what fell between two records is found again, and shown to a person."""

from __future__ import annotations

from warehouse import ask, insert, queries


def test_a_stop_without_an_account_is_shown_beside_the_call_that_it_may_end(client, rows):
    insert(
        client,
        "records",
        rows.records(
            rows.record(1, event="setup", account="acme", call_id="c1", call_key="k1", b_number="431234567"),
            rows.record(2, event="answer", account="acme", call_id="c1", call_key="k1"),
            rows.record(3, event="setup", account="other", call_id="c2", call_key="k2"),
            rows.record(4, "unrated", account="", call_id="c1", call_key="k9", boot_id="b2", reason="no ingress account"),
            rows.record(5, "unrated", account="", call_id="c3", call_key="k8", boot_id="b2"),
            rows.record(6, "unrated", account="acme", call_id="c1", call_key="k1"),
        ),
    )
    [found] = ask(client, queries.orphans())
    assert (found["offset"], found["call_id"], found["account"], found["b_number"], found["candidates"]) == (4, "c1", "acme", "431234567", 1)
    assert found["answered"] is not None and found["reason"] == "no ingress account"


def test_a_call_id_of_two_calls_has_two_candidates(client, rows):
    two = [rows.record(n, event="setup", account=name, call_id="c1", call_key=f"k{n}") for n, name in ((1, "acme"), (2, "other"))]
    insert(client, "records", rows.records(*two, rows.record(3, "unrated", account="", call_id="c1", call_key="k3")))
    found = ask(client, queries.orphans())
    assert [(row["account"], row["candidates"]) for row in found] == [("acme", 2), ("other", 2)]


def test_an_answered_call_without_price_or_end_is_listed(client, rows):
    def answer(n: int, key: str) -> dict:
        return rows.record(n, event="answer", account="acme", call_id=f"c{n}", call_key=key)

    insert(
        client,
        "records",
        rows.records(
            answer(1, "priced"), answer(2, "broken"), rows.record(3, "unrated", call_key="broken"), answer(4, "lost"), answer(90_000, "talking")
        ),
    )  # fmt: skip
    rows.sell(client, rows.call(1, 10**9, call_key="priced"))
    found = ask(client, queries.unfinished(answered_before_ms=rows.NOON + 60_000))
    assert [(row["call_id"], row["account"]) for row in found] == [("c4", "acme")]
