"""The ledger: every transfer balances, a repeat changes nothing, and nothing is updated or deleted."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from books import ledger, open_books, reading, writing
from books.ledger import Account, Conflict

ACME, BLUE = Account("t1", "unbilled", "EUR", "acme", "retail"), Account("t1", "unbilled", "EUR", "blue")
REVENUE = Account("t1", "revenue", "EUR")


@pytest.fixture
def engine(books_dsn):
    engine = open_books(books_dsn)
    yield engine
    engine.dispose()


def usage(batch: str, account: Account, nanos: int):
    return ledger.transfer("usage", batch, REVENUE, account, nanos)


def test_a_transfer_moves_an_amount_and_a_repeat_moves_nothing(engine):
    with writing(engine, row_locks=True) as conn:
        assert ledger.post(conn, usage("1", ACME, 10**27) + usage("1", BLUE, -7), 1) == 2
    with writing(engine, row_locks=True) as conn:
        assert ledger.post(conn, usage("1", ACME, 10**27) + usage("2", BLUE, 9), 2) == 1
        assert [one.nanos for one in ledger.balances(conn)] == [-(10**27) - 2, 10**27, 2]
        assert ledger.balances(conn, party="acme")[0].account == ACME
        assert ledger.sums(conn, "usage", ("unbilled",)) == {ACME: 10**27, BLUE: 2}
        assert ledger.faults(conn) == []


def test_the_same_id_with_another_amount_is_refused_and_nothing_is_posted(engine):
    with writing(engine, row_locks=True) as conn:
        ledger.post(conn, usage("1", ACME, 5), 1)
    with pytest.raises(Conflict, match=r"usage 1: 5 nanos .* would now be 6"), writing(engine, row_locks=True) as conn:
        ledger.post(conn, usage("2", BLUE, 1) + usage("1", ACME, 6), 2)
    with reading(engine) as conn:
        assert ledger.balance(conn, BLUE) == 0 and ledger.balance(conn, ACME) == 5


def test_nothing_is_updated_or_deleted(engine):
    with writing(engine, row_locks=True) as conn:
        ledger.post(conn, usage("1", ACME, 5), 1)
    for statement in ("update ledger_entries set units = 1", "delete from ledger_transfers", "update ledger_transfers set nanos = 6"):
        with pytest.raises(sa.exc.DBAPIError, match="append only"), writing(engine) as conn:
            conn.exec_driver_sql(statement)


def test_a_balance_that_was_changed_behind_the_ledger_is_named(engine):
    with writing(engine) as conn:
        ledger.post(conn, usage("1", ACME, 5), 1)
        conn.exec_driver_sql("update ledger_balances set nanos = 6 where nanos = 5")
        assert ledger.faults(conn) == ["account t1/unbilled/acme/retail/EUR: its balance is 6 nanos after 1 entries, and its 1 entries come to 5"]


def test_an_amount_is_positive_and_stays_in_one_currency_and_tenant():
    with pytest.raises(ValueError, match="two accounts of one tenant and currency"):
        ledger.Transfer("x", "usage", "1", REVENUE, Account("t1", "unbilled", "USD", "acme"), 1)
    with pytest.raises(ValueError, match="an amount is > 0"):
        ledger.Transfer("x", "usage", "1", REVENUE, ACME, 0)


def test_many_writers_wait_for_the_accounts_that_they_share_and_for_no_others(engine):
    """Each posts to the same accounts, in another order, and some post the same."""
    start = threading.Barrier(4)

    def work(number: int) -> int:
        start.wait(10)
        new = 0
        for turn in range(10):
            pair = [usage(f"{turn}-{number % 2}", ACME, 3), usage(f"{turn}-{number % 2}", BLUE, 4)]
            with writing(engine, row_locks=True) as conn:
                new += ledger.post(conn, [one for some in (pair if number < 2 else pair[::-1]) for one in some], 1)
        return new

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) == 40, "each of 10 x 2 pairs is new for one writer"
    with reading(engine) as conn:
        assert (ledger.balance(conn, ACME), ledger.balance(conn, BLUE)) == (60, 80)
        assert ledger.faults(conn) == []


@settings(max_examples=30)
@given(st.lists(st.integers(-(2**100), 2**100), max_size=6))
def test_two_columns_add_up_to_any_128_bit_amount(amounts):
    columns = [ledger.split(one) for one in amounts]
    assert ledger.joined(sum(units for units, _ in columns), sum(nanos for _, nanos in columns)) == sum(amounts)
