"""Posting: what the warehouse's charges come to is moved into the ledger, batch after batch, each charge once.

A batch is a step from one posted set to the next (`warehouse.owed`): new charges, and the difference where a revision or a rating run changed
what counts. Order: the ledger's transfers and the batch that names the new set, in one transaction. A crash before its end leaves nothing, and the
next job computes the same step again; after it, the next job goes on from there. Two jobs at once: one of them finds the other's batch and stops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from books import Connection, Engine, ledger, postings, reading, writing
from books.ledger import Account, Transfer
from core.money import to_text
from core.posted import Posted
from services import reading as warehouse_reading
from services.installation import Installation, opened_books
from services.subjects import HOUR_MS, Ask
from warehouse import Warehouse, ask, owed
from warehouse import runs as stored_runs
from warehouse.owed import State

A_BATCH = 2_000_000
"""Offsets of a partition in one batch."""


@dataclass(frozen=True)
class PostedBatch:
    """A batch that was posted: its number, the charges that count anew or no longer, and its transfers."""

    number: int
    charges: int
    transfers: int


@dataclass(frozen=True)
class Reached:
    """The newest batch (0 = none), when it was posted, and how many stored records are not in it."""

    batch: int
    at_ms: int
    behind: int


def post(installation: Installation, now_ms: int, a_batch: int = A_BATCH, before_commit: Callable[[], None] = lambda: None) -> list[PostedBatch]:
    """Posts all charges that are stored and not posted yet. `before_commit` is called in each transaction, before its end."""
    with warehouse_reading.warehouse(installation) as client, opened_books(installation) as engine:
        return list(batches(client, engine, now_ms, a_batch, before_commit))


def batches(
    client: Warehouse, engine: Engine, now_ms: int, a_batch: int = A_BATCH, before_commit: Callable[[], None] = lambda: None
) -> Iterator[PostedBatch]:
    """As `post`, batch by batch: each is posted when it is yielded."""
    while True:
        with reading(engine) as conn:
            before = postings.last(conn)
        after, since_ms, more = stored(partial(ask, client), before.posted, a_batch)
        runs = before.posted.runs if more else tuple(int(row["run"]) for row in ask(client, stored_runs.counting()))
        if runs != before.posted.runs:  # with the last of the live charges; it changes what counts of any time
            after, since_ms = Posted(after.ends, runs), 0
        if after == before.posted:
            return
        rows = ask(client, owed.by_party(State(before.posted), State(after), since_ms=since_ms))
        transfers = list(_transfers(before.number + 1, rows))
        changes = sum(int(row["changes"]) for row in rows)
        with writing(engine, row_locks=True) as conn:
            if not postings.add(conn, before.number + 1, after, changes, now_ms):
                return
            new = ledger.post(conn, transfers, now_ms)
            before_commit()
        yield PostedBatch(before.number + 1, changes, new)


def reached(asked: Ask, conn: Connection) -> Reached:
    """How far posting is. `asked` answers a query of the warehouse."""
    last = postings.last(conn)
    behind = sum(int(row["next_offset"]) - int(row["first_offset"]) for row in asked(owed.unposted(last.posted)))
    return Reached(last.number, last.at_ms, behind)


class Stored(NamedTuple):
    """A posted set with further live charges, and a time before which none of these was learned of (0 = not known). `more`: not all are in it."""

    posted: Posted
    since_ms: int
    more: bool


def stored(asked: Ask, posted: Posted, most: int = 2**62) -> Stored:
    """A posted set with the live charges that are stored, of each partition at most those of so many offsets."""
    rows = asked(owed.unposted(posted))
    ends = {int(row["partition"]): min(int(row["first_offset"]) + most, int(row["next_offset"])) for row in rows}
    # Whatever a charge was made for, a record or a tick that ended a call, stands behind the last posted record, and the journal's times grow with
    # its offsets; where its clock was set back, the records tell. The hour is for a tick between the two.
    times = [one for row in rows for one in (row["posted_ms"], row["first_ms"])]
    since_ms = min(times) - HOUR_MS if times and None not in times else 0
    more = any(ends[int(row["partition"])] < int(row["next_offset"]) for row in rows)
    return Stored(Posted({**posted.ends, **ends}, posted.runs), max(since_ms, 0), more)


def _transfers(batch: int, rows: list[dict[str, Any]]) -> Iterator[Transfer]:
    """A batch's transfers: one per party, agreement and currency of each role and level."""
    for row in rows:
        party, own = accounts_of(row["tenant"], row["role"], row["level"], row["party"], row["agreement"], row["currency"])
        nanos = int(row["nanos"]) * (1 if row["role"] == "sell" else -1)
        yield from ledger.transfer("usage", str(batch), own, party, nanos, f"{row['role']}{row['level']}")


def accounts_of(tenant: str, role: str, level: int, party: str, agreement: str, currency: str) -> tuple[Account, Account]:
    """The party's account that a charge is posted to, and ours on the other side.

    >>> [one.id for one in accounts_of("t1", "buy", 0, "alpha", "wholesale", "EUR")]
    ['t1/unpaid/alpha/wholesale/EUR', 't1/cost///EUR']
    """
    if role == "sell":
        return Account(tenant, "unbilled", currency, party, agreement), Account(tenant, "revenue", currency, f"level{level}" if level else "")
    return Account(tenant, "unpaid", currency, party, agreement), Account(tenant, "cost", currency)


@dataclass(frozen=True)
class Compared:
    """One party's money in one currency: what its charges that count come to, and what its entries do. Nanos, as we see them."""

    tenant: str
    party: str
    agreement: str
    currency: str
    charges: int
    entries: int


@dataclass(frozen=True)
class Proof:
    """`faults`: what differs, in words; none = the ledger is proven up to the batch. `unposted`: stored charges that are not posted yet."""

    batch: int
    charges: int
    compared: list[Compared]
    faults: list[str]
    unposted: int


def prove(installation: Installation) -> Proof:
    """Compares the charges of the warehouse, as posted, with the ledger: per tenant, party, agreement and currency."""
    with warehouse_reading.warehouse(installation) as client, opened_books(installation) as engine:
        with reading(engine) as conn:
            batch = postings.last(conn)
            faults = ledger.faults(conn)
            entries = ledger.sums(conn, "usage", ("unbilled", "unpaid"))
            faults += _unbalanced(conn)
        wanted: dict[Account, int] = {}
        charges = 0
        for row in ask(client, owed.by_party(owed.EMPTY, State(batch.posted))):
            account, _ = accounts_of(row["tenant"], row["role"], row["level"], row["party"], row["agreement"], row["currency"])
            wanted[account] = wanted.get(account, 0) + int(row["nanos"]) * (1 if row["role"] == "sell" else -1)
            charges += int(row["charges"])
        ahead, since_ms, _ = stored(partial(ask, client), batch.posted)
        unposted = sum(int(row["changes"]) for row in ask(client, owed.by_party(State(batch.posted), State(ahead), since_ms=since_ms)))
    compared = [
        Compared(one.tenant, one.party, one.agreement, one.currency, wanted.get(one, 0), entries.get(one, 0))
        for one in sorted(wanted.keys() | entries.keys(), key=lambda one: one.id)
    ]
    faults += [
        f"{one.tenant}, {one.party}{', ' + one.agreement if one.agreement else ''}: the charges come to {to_text(one.charges)} {one.currency}, "
        f"the ledger has {to_text(one.entries)}, a difference of {to_text(one.entries - one.charges)}"
        for one in compared
        if one.charges != one.entries
    ]
    return Proof(batch.number, charges, compared, faults, unposted)


def _unbalanced(conn: Connection) -> list[str]:
    """Tenants and currencies whose balances do not come to zero."""
    totals: dict[tuple[str, str], int] = {}
    for account, nanos in ledger.balances(conn):
        key = account.tenant, account.currency
        totals[key] = totals.get(key, 0) + nanos
    return [f"{tenant}, {currency}: the balances come to {nanos} nanos, not to 0" for (tenant, currency), nanos in totals.items() if nanos]
