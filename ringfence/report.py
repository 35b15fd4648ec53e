"""The figures of `ringfence status`."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from books import alerts, configs, orders
from core import record
from journal import open_journal
from ringfence import by_hand
from ringfence import reading as read
from ringfence.settings import Settings
from warehouse import ask, queries

COUNTS = ("received", "rated", "unrated", "events", "rejected", "duplicates", "conflicts")


def report(settings: Settings) -> dict[str, Any]:
    """The keys of `status --json`, in their order."""
    with by_hand.books(settings) as conn:
        found_alerts, statuses, config = alerts.count(conn), orders.counts(conn), configs.latest(conn)
        revision = conn.exec_driver_sql("select version_num from alembic_version").scalar()
    with read.warehouse(settings) as client:
        totals = ask(client, queries.totals())[0]
        stored_to = {row["partition"]: row["last_offset"] for row in ask(client, queries.completeness())}
        migrations = ask(client, ("SELECT count() AS n FROM migrations", {}))[0]["n"]
    return {
        **{name: int(totals[name]) for name in COUNTS},
        "alerts": found_alerts,
        "blocks": statuses.get("standing", 0),
        "lag": read.behind(open_journal(settings.journal_dsn), stored_to),
        "versions": {
            "ringfence": version("ringfence"),
            "config": config,
            "record": record.VERSION,
            "books": revision,
            "warehouse": migrations,
        },
    }
