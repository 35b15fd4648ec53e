"""Posting: each charge is in the ledger once, whatever is revised, repeated or killed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random

import polars as pl
import pytest

from books import ledger, open_books, reading, writing
from books.ledger import Account
from core import schemas
from core.posted import Posted
from ringfence.settings import Settings
from services import first_start, posting
from services.installation import Installation
from warehouse import Warehouse, ask, insert, open_warehouse, owed, runs
from warehouse.owed import State

NOON, HOUR_MS = 1_764_072_000_000, 3_600_000
ACME, ALPHA = Account("t1", "unbilled", "EUR", "acme", "retail"), Account("t1", "unpaid", "EUR", "alpha", "wholesale")


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    settings = Settings(home=tmp_path, tenant="t1", countries="AT")
    first_start.lay(settings.installation)
    first_start.open_and_publish(settings.installation, first_start.starter("t1"), 1)
    return settings.installation


@pytest.fixture
def warehouse(installation: Installation, new_warehouse) -> Iterator[Warehouse]:
    new_warehouse(installation.root / "warehouse")
    client = open_warehouse(installation.warehouse_dsn)
    yield client
    client.close()


def store(client: Warehouse, *charges: str, upto: int = 100) -> None:
    """Charges written as `offset record_offset revision run role party nanos`, and records up to an offset."""
    rows = []
    for text in charges:
        offset, record, revision, run, role, party, nanos = text.split()
        rows.append(
            {"partition": 0, "offset": int(offset), "record_partition": 0, "record_offset": int(record), "revision": int(revision), "run": int(run)}
            | {"role": role, "party": party, "nanos": int(nanos), "usage_nanos": int(nanos), "currency": "EUR", "tenant": "t1", "call_key": offset}
            | {"agreement": "retail" if role == "sell" else "wholesale", "start_ms": NOON, "learned_ms": NOON, "charged_s": 60}
        )
    insert(client, "charges", table(schemas.CHARGES, rows))
    insert(client, "records", table(schemas.JUDGED, [{"partition": 0, "offset": one, "learned_ms": NOON, "tenant": "t1"} for one in range(upto)]))


def table(schema: pl.Schema, rows: list[dict[str, object]]):
    blank = {name: "" if kind == pl.String else False if kind == pl.Boolean else 0 for name, kind in schema.items()}
    return pl.DataFrame([blank | row for row in rows], schema=schema).to_arrow()


def balances(installation: Installation) -> dict[str, int]:
    engine = open_books(installation.books_dsn)
    with reading(engine) as conn:
        found = {one.account.party: one.nanos for one in ledger.balances(conn, kinds=("unbilled", "unpaid"))}
    engine.dispose()
    return found


def test_charges_are_posted_once_and_a_revision_posts_the_difference(installation: Installation, warehouse: Warehouse):
    store(warehouse, "1 3 1 0 sell acme 500", "1 3 1 0 buy alpha 300", "5 7 1 0 sell acme 40", upto=10)
    assert [(one.charges, one.transfers) for one in posting.post(installation, 1)] == [(3, 2)]
    assert posting.post(installation, 2) == []
    assert balances(installation) == {"acme": 540, "alpha": -300}
    # a correction of the first call, a repeat of a row, and a call that came late
    store(warehouse, "1 13 2 0 sell acme 450", "1 13 2 0 buy alpha 310", "5 7 1 0 sell acme 40", "9 12 1 0 sell blue 7", upto=20)
    posting.post(installation, 3)
    assert balances(installation) == {"acme": 490, "alpha": -310, "blue": 7}
    proof = posting.prove(installation)
    assert (proof.faults, proof.charges, proof.unposted) == ([], 4, 0)


def test_a_rating_run_posts_what_it_changes_and_a_revision_after_it_counts(installation: Installation, warehouse: Warehouse):
    store(warehouse, "1 3 1 0 sell acme 500", "5 7 1 0 sell acme 40", upto=10)
    posting.post(installation, 1)
    store(warehouse, "1 3 1 8 sell acme 600", "5 7 1 8 sell blue 40", upto=10)
    assert posting.post(installation, 2) == []  # its charges are stored, and it does not count yet
    insert(warehouse, "rating_runs", runs.row(8, True, 1, "eve", "new prices"))
    posting.post(installation, 2)
    assert balances(installation) == {"acme": 600, "blue": 40}
    store(warehouse, "1 13 2 0 sell acme 450", upto=20)
    posting.post(installation, 3)
    assert balances(installation) == {"acme": 450, "blue": 40}
    assert posting.prove(installation).faults == []


def test_a_run_that_is_taken_back_is_posted_back(installation: Installation, warehouse: Warehouse):
    store(warehouse, "1 3 1 0 sell acme 500", "1 3 1 8 sell acme 600", upto=10)
    insert(warehouse, "rating_runs", runs.row(8, True, 1, "eve", "new prices"))
    posting.post(installation, 1)
    assert balances(installation) == {"acme": 600}
    insert(warehouse, "rating_runs", runs.row(8, False, 2, "eve", "the wrong list"))
    posting.post(installation, 2)
    assert balances(installation) == {"acme": 500} and posting.prove(installation).faults == []


def test_a_charge_without_the_record_of_its_call_waits(installation: Installation, warehouse: Warehouse):
    store(warehouse, "1 3 1 0 sell acme 500", "5 70 1 0 sell acme 40", upto=10)
    posting.post(installation, 1)
    assert balances(installation) == {"acme": 500}
    store(warehouse, upto=71)
    assert posting.prove(installation).unposted == 1
    posting.post(installation, 2, a_batch=7)
    assert balances(installation) == {"acme": 540}


def test_what_differs_is_named(installation: Installation, warehouse: Warehouse):
    store(warehouse, "1 3 1 0 sell acme 1500000000", "5 7 1 0 sell blue 40", upto=10)
    posting.post(installation, 1)
    store(warehouse, "2 4 1 0 sell acme 250000000", upto=10)  # slipped in below what is posted
    (fault,) = posting.prove(installation).faults
    assert fault == "t1, acme, retail: the charges come to 1.75 EUR, the ledger has 1.5, a difference of -0.25"


def test_a_job_that_is_stopped_before_its_commit_leaves_nothing(installation: Installation, warehouse: Warehouse):
    store(warehouse, "1 3 1 0 sell acme 500", upto=10)

    def killed() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        posting.post(installation, 1, before_commit=killed)
    assert balances(installation) == {}
    posting.post(installation, 2)
    assert balances(installation) == {"acme": 500} and posting.prove(installation).faults == []


def test_of_two_jobs_at_once_one_posts(installation: Installation, warehouse: Warehouse):
    store(warehouse, "1 3 1 0 sell acme 500", upto=10)
    engine = open_books(installation.books_dsn)
    from books import postings
    from core.posted import Posted

    with writing(engine, row_locks=True) as conn:
        assert postings.add(conn, 1, Posted({0: 5}), 0, 1) and not postings.add(conn, 1, Posted({0: 10}), 0, 1)
        assert postings.last(conn).posted == Posted({0: 5}) and postings.find(conn, 2) is None
    engine.dispose()


def story(seed: int) -> tuple[list[tuple[int, ...]], list[dict[str, object]]]:
    """Charges of two partitions, and records, hours or days apart: calls, corrections, calls that a tick ended (it has no record), rating runs."""
    random, charges, records = Random(seed), [], []
    for partition in (0, 1):
        at_ms, ended = NOON, []
        for offset in range(40):
            at_ms += random.choice((1_000, 60_000, 5 * HOUR_MS, 70 * HOUR_MS))
            what = random.choice(("answer", "answer", "end", "end", "tick", "correction"))
            if what != "tick" and random.random() < 0.1:
                at_ms -= 200 * HOUR_MS  # the journal's clock was set back
            if what in ("end", "tick"):
                ended.append([offset - min(offset, random.randrange(3)), 0])
            if what == "correction" and not ended:
                what = "answer"
            if what != "answer":
                call = ended[-1] if what != "correction" else random.choice(ended)
                call[1] += 1
                nanos = random.randrange(1, 1_000)
                charges.append((partition, call[0], offset, call[1], 0, nanos, at_ms))
                if random.random() < 0.3:  # a rating run, which knows it by another record, perhaps an earlier one
                    charges.append((partition, call[0], offset, call[1], 8, nanos + 5, at_ms - random.choice((0, 100 * HOUR_MS))))
            if what != "tick":
                records.append({"partition": partition, "offset": offset, "learned_ms": at_ms, "tenant": "t1"})
    return charges, records


@pytest.mark.parametrize("seed", range(4))
def test_a_step_that_reads_only_new_days_is_the_step_that_reads_all(installation: Installation, warehouse: Warehouse, seed):
    charges, records = story(seed)
    names = ("partition", "offset", "record_offset", "revision", "run", "nanos", "learned_ms")
    also = {"role": "sell", "party": "acme", "agreement": "retail", "currency": "EUR", "tenant": "t1"}
    rows = [dict(zip(names, one, strict=True)) | {"record_partition": one[0], "call_key": f"{one[0]}-{one[1]}"} | also for one in charges]
    insert(warehouse, "charges", table(schemas.CHARGES, rows))
    insert(warehouse, "records", table(schemas.JUDGED, records))
    asked, bounded, moved = partial(ask, warehouse), 0, 0
    for counting in ((), (8,)):
        for first, other, most in ((0, 0, 10), (1, 40, 10), (7, 21, 5), (13, 13, 100), (20, 4, 3), (30, 39, 2), (39, 39, 9)):
            before = Posted({0: first, 1: other}, counting)
            after, since_ms, _ = posting.stored(asked, before, most)
            step = State(before), State(after)
            wanted = asked(owed.by_party(*step))
            assert asked(owed.by_party(*step, since_ms=since_ms)) == wanted
            bounded, moved = bounded + (since_ms > 0), moved + sum(row["changes"] for row in wanted)
    assert bounded >= 8 and moved > 20
    with pytest.raises(ValueError, match="other runs"):
        owed.by_party(State(Posted({0: 1})), State(Posted({0: 2}, (8,))), since_ms=1)
