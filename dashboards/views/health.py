"""Whether everything runs: lag per partition, spools and snapshots, switches, rejects with their bytes, versions, the last backup."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import streamlit as st

from books import configs, reading
from core import record
from core.text import span, visible
from dashboards.layout import answered, facts, heading, quiet, title
from dashboards.polled import Latest
from dashboards.rendering import utc
from dashboards.state import health as chips
from dashboards.state import pill, problems, switch_table
from dashboards.tags import Safe, joined, tag
from dashboards.tiles import table
from dashboards.visit import Visit
from services import part_metrics
from services.backup import LastBackup, last_backup
from services.status import SETTLED_MS, line
from services.subjects import DAY_MS
from warehouse import queries

EVERY_S = 3.0
PAST_MS = 7 * DAY_MS
SHOWN = 30
WANTED = {
    "ringfence_spool_records": "collector", "ringfence_spool_bytes": "collector", "ringfence_backlog_seconds": "shipper",
    "ringfence_snapshot_age_seconds": "judge", "ringfence_tick_age_seconds": "judge", "ringfence_warehouse_answer_age_seconds": "store",
}  # fmt: skip


def health(visit: Visit) -> None:
    if not visit.allowed("look"):
        return
    title("Health", "the whole installation; rejects are those of the tenant that is chosen")
    since_ms = visit.now_ms - PAST_MS
    asked = visit.sources.asked
    reasons = partial(asked, ("reasons", visit.tenant), lambda ask: ask(queries.reasons(SHOWN, since_ms, visit.tenant)), fresh_ms=30_000)
    newest = partial(asked, ("rejects", visit.tenant), lambda ask: ask(queries.rejects(SHOWN, since_ms, visit.tenant)), fresh_ms=10_000)
    for begin in (reasons, newest):  # they look through a week, while what is live is drawn
        begin(wait_s=0.0)
    live(visit)
    not_rated(visit, reasons())
    if not visit.tenant:
        lost(visit)
    rejects(visit, newest())


@st.fragment(run_every=EVERY_S)
def live(visit: Visit) -> None:
    """What changes from second to second."""
    sources, now_ms = visit.sources, visit.now_ms
    sources.begin(visit.tenant)
    lag, parts, books = sources.lag(), sources.parts(), sources.books(visit.tenant)
    found = problems(sources.traffic(visit.tenant), books, parts, lag, now_ms)
    st.html(joined(tag("div", pill(lag, now_ms), chips(parts), cls="rf-live"), *found))
    left, right = st.columns(2, gap="medium")
    with left:
        heading("Lag", "records in the journal that are not in the warehouse yet")
        if lag.value is not None:
            rows: list[tuple[str | Safe, ...]] = [
                (f"partition {one.partition}", f"{one.records:,}", span(one.behind_ms) if one.records else "–") for one in lag.value.partitions
            ]
            st.html(table(("", "waiting", "the oldest since"), rows))
        figures(visit)
    with right:
        heading("Switches")
        if books.value and books.value.switches:
            st.html(table(("switch", "mode", "unconfirmed"), switch_table(books.value.switches), numbers_from=2))
        else:
            quiet("No switch is in the books for this tenant.")
        versions(visit)


def figures(visit: Visit) -> None:
    """What the parts report of themselves."""
    latest = visit.sources.asked(("metrics",), lambda _: part_metrics.read(visit.sources.settings.parts, WANTED), fresh_ms=5_000)
    heading("Spools and snapshots")
    if not answered(latest, visit.now_ms, "The figures of the parts") or latest.value is None:
        return
    known = latest.value

    def seconds(name: str) -> str:
        value = known.get(name)
        return "not known" if value is None or value < 0 else span(round(value * 1000))

    spool = known.get("ringfence_spool_records")
    spooled = f"{spool:,.0f} records, {known.get('ringfence_spool_bytes', 0) / 1e6:,.1f} MB" if spool is not None else "not known"
    st.html(
        facts(
            {
                "waiting in the collector": spooled, "not delivered by the switch since": seconds("ringfence_backlog_seconds"),
                "judge's last tick": f"{seconds('ringfence_tick_age_seconds')} ago",
                "judge's state was saved": f"{seconds('ringfence_snapshot_age_seconds')} ago",
                "the warehouse answered": f"{seconds('ringfence_warehouse_answer_age_seconds')} ago",
            }
        )
    )  # fmt: skip


def versions(visit: Visit) -> None:
    """What runs, and when it was backed up."""

    def read(ask: Any) -> tuple[int, str, int, LastBackup | None]:
        migrations = ask(("SELECT count() AS n FROM migrations", {}))[0]["n"]
        with reading(visit.sources.engine()) as conn:
            revision = str(conn.exec_driver_sql("select version_num from alembic_version").scalar())
            return configs.latest(conn), revision, migrations, last_backup(Path(visit.sources.settings.home) / "run")

    latest = visit.sources.asked(("versions",), read, fresh_ms=20_000)
    heading("Versions and backup")
    if not answered(latest, visit.now_ms, "Versions") or latest.value is None:
        return
    config, revision, migrations, backup = latest.value
    # The path may name a machine of the installation: it is for those who look after all of it.
    to = f", to {visible(backup.out)}" if backup and not visit.tenant else ""
    backed_up = f"{utc(backup.at_ms, visit.now_ms)}{to}" if backup else "none that is known here"
    st.html(
        facts(
            {
                "Ringfence": version("ringfence"), "config in force": f"version {config}", "record": f"version {record.VERSION}",
                "books": f"revision {revision}", "warehouse": f"{migrations} migrations", "last backup": backed_up,
            }
        )
    )  # fmt: skip


def not_rated(visit: Visit, latest: Latest[list[dict[str, Any]]]) -> None:
    """Why records were not rated."""
    heading("Not rated", "records of the last 7 days, the most frequent reason first")
    if answered(latest, visit.now_ms, "Reasons") and latest.value is not None:
        rows: list[tuple[str | Safe, ...]] = [
            (row["disposition"], visit.mask(row["reason"] or "–", ()), f"{row['last_learned']:%Y-%m-%d %H:%M:%S} UTC", f"{row['records']:,}")
            for row in latest.value
        ]
        if rows:
            st.html(table(("", "reason", "last received", "records"), rows, numbers_from=3))
        else:
            quiet("Every record was rated, or is an event of a call.")


def rejects(visit: Visit, newest: Latest[list[dict[str, Any]]]) -> None:
    """The newest rejects as they came."""
    heading("Rejects", "the newest of the last 7 days, with their bytes as they came" + ("" if visit.may("numbers") else "; numbers are masked"))
    if answered(newest, visit.now_ms, "Rejects") and newest.value is not None:
        if not newest.value:
            quiet("None.")
        for row in newest.value:
            where = f"{utc(row['learned_ms'], visit.now_ms)}  ·  tenant {row['tenant'] or '–'}  ·  {row['partition']}-{row['offset']}"
            what = tag("p", visit.mask(row["reason"], ()))
            st.html(tag("article", what, tag("pre", visit.mask(_bytes(row["raw"]), ())), tag("footer", where), cls="rf-card"))


def _bytes(raw: Any) -> str:
    text = raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else str(raw or "")
    return text[:600] + (f" … and {len(text) - 600:,} more" if len(text) > 600 else "")


def lost(visit: Visit) -> None:
    """Sequence numbers that never arrived. A sequence is a switch's, over all its tenants."""
    latest = visit.sources.asked(("lost",), lambda ask: ask(queries.lost(visit.now_ms - SETTLED_MS)), fresh_ms=60_000)
    heading("Lost on the way", "numbers of the switches' sequences that never arrived")
    if answered(latest, visit.now_ms, "Sequences") and latest.value is not None:
        if latest.value:
            st.html(tag("ul", joined(*(tag("li", line(row)) for row in latest.value)), cls="rf-list"))
        else:
            quiet("None.")
