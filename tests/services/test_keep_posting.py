"""The poster: each round posts what is stored, one process does it, and a store that is away is the next round's work."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from books import Engine, ledger, open_books, reading
from ringfence.ops.telemetry.poster import Poster
from services import keep_posting, posting
from services.installation import Installation
from warehouse import Warehouse, WarehouseError, ask

NOON = 1_764_072_000_000


@pytest.fixture
def engine(installed: Installation) -> Iterator[Engine]:
    engine = open_books(installed.books_dsn)
    yield engine
    engine.dispose()


@pytest.fixture
def served(charges, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """The warehouse as the store serves it, opened before."""
    monkeypatch.setattr(keep_posting, "open_warehouse", lambda dsn: closing_nothing(charges.client))
    return charges.client


def closing_nothing(client: Warehouse):
    class Served:
        def __getattr__(self, name: str):
            return (lambda: None) if name == "close" else getattr(client, name)

    return Served()


def sold(*offsets: int):
    return [{"offset": one, "start_ms": NOON, "party": "acme", "account": "acme", "agreement": "retail", "nanos": 7} for one in offsets]


def test_each_round_posts_what_came_since_and_the_desk_knows_how_far_it_is(installed: Installation, engine: Engine, charges, served: Warehouse):
    now, part = [NOON], Poster()

    def round_of(holder: str) -> keep_posting.Round:
        found = keep_posting.post_round(installed, engine, holder, lambda: now[0], a_batch=10)
        part.report(found)
        return found

    def behind() -> tuple[int, int]:
        with reading(engine) as conn:
            found = posting.reached(partial(ask, served), conn)
        return found.batch, found.behind

    charges.store(*sold(1, 12), upto=20)
    assert behind() == (0, 20)
    assert [(one.number, one.charges) for one in round_of("a").posted] == [(1, 1), (2, 1)]
    assert behind() == (2, 0)
    charges.store(*sold(25), upto=30)
    assert round_of("b") == keep_posting.Round(elsewhere=True), "a has the lease"
    assert behind() == (2, 10)
    now[0] += keep_posting.LEASE_MS + 1  # a was killed
    assert [one.charges for one in round_of("b").posted] == [1]
    assert round_of("a").elsewhere and round_of("b").posted == ()
    with reading(engine) as conn:
        assert [one.nanos for one in ledger.balances(conn, party="acme")] == [21]
    assert part.not_ready_reason() == ""


def test_a_warehouse_that_is_away_is_named_and_the_next_round_posts(
    installed: Installation, engine: Engine, charges, served: Warehouse, monkeypatch: pytest.MonkeyPatch
):
    def away(dsn: str) -> Warehouse:
        raise WarehouseError("the warehouse does not answer")

    charges.store(*sold(1), upto=5)
    part = Poster()
    with monkeypatch.context() as outage:
        outage.setattr(keep_posting, "open_warehouse", away)
        part.report(keep_posting.post_round(installed, engine, "a", lambda: NOON))
    assert part.not_ready_reason() == "charges are not posted: the warehouse does not answer"
    part.report(keep_posting.post_round(installed, engine, "a", lambda: NOON))
    assert part.not_ready_reason() == ""
