"""Posting by itself: what is stored and not posted yet is posted every few seconds, by one process at a time.

A round: 1. the lease, so that a second poster does not read what the first one reads; 2. the batches of `services.posting`. A crash after 1 delays
the next poster by the lease; `services.posting` says what one within 2 leaves. Without the lease nothing would be lost or posted twice either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from books import BooksError, Engine, leases, writing
from services import posting
from services.errors import ServiceError
from services.installation import Installation
from services.reading import reader_dsn
from services.subjects import Ask
from warehouse import WarehouseError, ask, open_warehouse

LEASE = "posting"
LEASE_MS = 120_000
"""Longer than a batch takes."""
A_BATCH = 200_000
"""Offsets of a partition in one batch: it takes seconds, so that the part is seen to go on, and other questions are answered in between."""


@dataclass(frozen=True)
class Round:
    """What a round has posted. `fault`: why that is not all; `elsewhere`: another process posts."""

    posted: tuple[posting.PostedBatch, ...] = ()
    fault: str = ""
    elsewhere: bool = False
    over: int = 0  # parties that have used more than their credit


def post_round(
    installation: Installation, engine: Engine, holder: str, clock_ms: Callable[[], int], progress: Callable[[], None] = lambda: None,
    then: Callable[[Ask, int], int] = lambda ask, now_ms: 0, a_batch: int = A_BATCH,
) -> Round:  # fmt: skip
    """Posts what is stored, if nobody else does, and calls `progress` after each batch, and `then` after all (`services.credit.checker`).
    The warehouse is asked, never opened: the store holds it. A store that does not answer is a fault of this round, and the next one tries again."""
    done: list[posting.PostedBatch] = []

    def mine() -> bool:
        with writing(engine) as conn:
            return leases.acquire(conn, LEASE, holder, LEASE_MS, clock_ms()) is not None

    try:
        if not mine():
            return Round(elsewhere=True)
        client = open_warehouse(reader_dsn(installation))
        try:
            for one in posting.batches(client, engine, clock_ms(), a_batch):
                done.append(one)
                progress()
                if not mine():
                    return Round(tuple(done), elsewhere=True)
            over = then(partial(ask, client), clock_ms())
        finally:
            client.close()
    except (BooksError, WarehouseError, ServiceError) as wrong:
        return Round(tuple(done), str(wrong))
    return Round(tuple(done), over=over)
