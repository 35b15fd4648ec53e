"""The figures of `ringfence status`."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from typing import Any, NamedTuple

from books import Connection, alerts, configs, orders
from core import record
from core.topics import CALLS
from journal import open_journal
from journal.waiting import records_behind
from services import posting
from services import reading as read
from services.installation import Installation, books, books_as_they_are
from warehouse import ask, queries

COUNTS = ("received", "rated", "unrated", "events", "rejected", "duplicates", "conflicts")


SETTLED_MS = 30_000
"""A record may arrive after later ones; a gap that is so old is a loss."""


class Lost(NamedTuple):
    """Sequence numbers that never arrived: how many, of how many boots, and one line per boot for the latest."""

    records: int
    boots: int
    lines: list[str]


def lost(installation: Installation, now_ms: int) -> Lost:
    """The numbers that are missing from the sequences of the switches."""
    with read.warehouse(installation) as client:
        rows = ask(client, queries.lost(now_ms - SETTLED_MS))
    if not rows:
        return Lost(0, 0, [])
    return Lost(int(rows[0]["lost_in_all"]), int(rows[0]["boots"]), [line(row) for row in rows])


UNFINISHED_MS = 6 * 3_600_000
"""A call that was answered so long ago has ended, whatever its trunk's profile allows without an event (by default four hours)."""


class LooseEnds(NamedTuple):
    """What a person should look at: stops without an account whose Call-ID has calls, answered calls without a price, and calls that were
    corrected after a rating run priced them again."""

    orphans: int
    unfinished: int
    corrected: int


def loose_ends(installation: Installation, now_ms: int) -> LooseEnds:
    """How many of each, at most a thousand."""
    with read.warehouse(installation) as client:
        stops = {(row["partition"], row["offset"]) for row in ask(client, queries.orphans())}
        unfinished, corrected = ask(client, queries.unfinished(now_ms - UNFINISHED_MS)), ask(client, queries.corrected_after_run())
        return LooseEnds(len(stops), len(unfinished), len(corrected))


def line(row: dict[str, Any]) -> str:
    """A boot with its missing numbers.

    >>> line({"tenant": "t1", "switch": "k1", "boot_id": "17", "lost": 4, "numbers": [(3, 5), (9, 9)]})
    't1/k1 boot 17: 4 lost: 3-5, 9'
    >>> line({"tenant": "t1", "switch": "k1", "boot_id": "17", "lost": 5, "numbers": [(3, 5), (9, 9)]})
    't1/k1 boot 17: 5 lost: 3-5, 9, ...'
    """
    numbers = [f"{first}" if first == last else f"{first}-{last}" for first, last in row["numbers"]]
    listed = sum(last - first + 1 for first, last in row["numbers"])
    rest = ["..."] if row["lost"] > listed else []
    return f"{row['tenant']}/{row['switch']} boot {row['boot_id']}: {row['lost']:,} lost: {', '.join([*numbers, *rest])}"


BLOCKS = ("standing", "shadow", "waiting")
"""The statuses that count: the switch refuses; it marks what it would refuse; nothing happens until a person approves."""


def block_counts(conn: Connection, now_ms: int) -> dict[str, int]:
    """Status -> number of keys (an account, perhaps with a caller and a range) that are blocked now, or wait for approval.

    `status`, the line of `up` and the page use this count. A key counts once, though its order is issued again each minute; a key whose
    order has ended does not count. `ringfence orders` shows what a switch has confirmed.
    """
    counts = orders.blocked_counts(conn, now_ms)
    return {status: counts.get(status, 0) for status in BLOCKS}


def report(installation: Installation, now_ms: int) -> dict[str, Any]:
    """The keys of `status --json`, in their order."""
    with books(installation) as conn:
        found_alerts, now_blocked, config = alerts.count(conn), block_counts(conn, now_ms), configs.latest(conn)
        revision = conn.exec_driver_sql("select version_num from alembic_version").scalar()
    with read.warehouse(installation) as client:
        totals = ask(client, queries.totals())[0]
        stored_to = {row["partition"]: row["last_offset"] for row in ask(client, queries.completeness())}
        migrations = ask(client, ("SELECT count() AS n FROM migrations", {}))[0]["n"]
        with books_as_they_are(installation) as conn:
            unposted = posting.reached(partial(ask, client), conn).behind
    return {
        **{name: int(totals[name]) for name in COUNTS},
        "alerts": found_alerts,
        "blocks": now_blocked["standing"],
        "lag": records_behind(open_journal(installation.journal_dsn), CALLS, stored_to),
        "unposted": unposted,
        "versions": {
            "ringfence": version("ringfence"),
            "config": config,
            "record": record.VERSION,
            "books": revision,
            "warehouse": migrations,
        },
    }
