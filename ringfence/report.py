"""The figures of `ringfence status`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, NamedTuple

from books import Connection, alerts, configs, orders
from core import record
from journal import open_journal
from ringfence import by_hand
from ringfence import reading as read
from ringfence.settings import Settings
from warehouse import ask, queries

COUNTS = ("received", "rated", "unrated", "events", "rejected", "duplicates", "conflicts")


SETTLED_MS = 30_000
"""A number may be on its way while later ones are there already; a gap that old is a loss."""


class Lost(NamedTuple):
    """Numbers of switches' boots that never came: how many, of how many boots, and a line for the latest boots."""

    records: int
    boots: int
    lines: list[str]


def lost(settings: Settings, now_ms: int) -> Lost:
    """What is missing from the sequences of the switches."""
    with read.warehouse(settings) as client:
        rows = ask(client, queries.lost(now_ms - SETTLED_MS))
    if not rows:
        return Lost(0, 0, [])
    return Lost(int(rows[0]["lost_in_all"]), int(rows[0]["boots"]), [line(row) for row in rows])


UNTOLD_MS = 6 * 3_600_000
"""A call that was answered that long ago has ended, whatever its trunk's profile says of silence (four hours unless it says otherwise)."""


class Loose(NamedTuple):
    """Ends that a person should tie: stops that name no account beside calls of their Call-ID, and answered calls that nobody priced."""

    orphans: int
    untold: int


def loose(settings: Settings, now_ms: int) -> Loose:
    """How many, at most a thousand of each."""
    with read.warehouse(settings) as client:
        stops = {(row["partition"], row["offset"]) for row in ask(client, queries.orphans())}
        return Loose(len(stops), len(ask(client, queries.untold(now_ms - UNTOLD_MS))))


def line(row: dict[str, Any]) -> str:
    """A boot with its missing numbers.

    >>> line({"tenant": "t1", "switch": "k1", "boot_id": "17", "lost": 4, "numbers": [(3, 5), (9, 9)]})
    't1/k1 boot 17: 4 lost: 3-5, 9'
    >>> line({"tenant": "t1", "switch": "k1", "boot_id": "17", "lost": 5, "numbers": [(3, 5), (9, 9)]})
    't1/k1 boot 17: 5 lost: 3-5, 9, ...'
    """
    numbers = [f"{first}" if first == last else f"{first}-{last}" for first, last in row["numbers"]]
    named = sum(last - first + 1 for first, last in row["numbers"])
    rest = ["..."] if row["lost"] > named else []
    return f"{row['tenant']}/{row['switch']} boot {row['boot_id']}: {row['lost']:,} lost: {', '.join([*numbers, *rest])}"


BLOCKS = {"standing": "standing", "shadow": "in shadow", "waiting": "waiting for a person"}
"""What an order may be that counts: the switch refuses; it marks what it would refuse; nothing happens before a person says so."""


def blocks(conn: Connection, now_ms: int) -> dict[str, int]:
    """Status -> keys (an account, perhaps with a caller and a range) that are blocked now, or that an order waits for.

    `status`, the line of `up` and the page all count by this. A key counts once, though an order of it is issued again each minute; one
    whose order has ended does not count; what a switch has confirmed, `ringfence orders` says.
    """
    counts = orders.blocked_counts(conn, now_ms)
    return {status: counts.get(status, 0) for status in BLOCKS}


def blocks_in_words(counts: Mapping[str, int]) -> str:
    """For a line of `status` or of `up`.

    >>> blocks_in_words({"standing": 6, "shadow": 0, "waiting": 2}), blocks_in_words({"shadow": 1}), blocks_in_words({})
    ('6 standing, 2 waiting for a person', '0 standing, 1 in shadow', '0 standing')
    """
    return ", ".join(f"{counts.get(name, 0):,} {words}" for name, words in BLOCKS.items() if counts.get(name) or name == "standing")


def report(settings: Settings, now_ms: int) -> dict[str, Any]:
    """The keys of `status --json`, in their order."""
    with by_hand.books(settings) as conn:
        found_alerts, now_blocked, config = alerts.count(conn), blocks(conn, now_ms), configs.latest(conn)
        revision = conn.exec_driver_sql("select version_num from alembic_version").scalar()
    with read.warehouse(settings) as client:
        totals = ask(client, queries.totals())[0]
        stored_to = {row["partition"]: row["last_offset"] for row in ask(client, queries.completeness())}
        migrations = ask(client, ("SELECT count() AS n FROM migrations", {}))[0]["n"]
    return {
        **{name: int(totals[name]) for name in COUNTS},
        "alerts": found_alerts,
        "blocks": now_blocked["standing"],
        "lag": read.behind(open_journal(settings.journal_dsn), stored_to),
        "versions": {
            "ringfence": version("ringfence"),
            "config": config,
            "record": record.VERSION,
            "books": revision,
            "warehouse": migrations,
        },
    }
