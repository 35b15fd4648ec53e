"""Every metric of our parts: `docs/metrics.md` is generated from this table, and a test compares the running parts with it.

Units are seconds and bytes. A label has few values (a switch, a status, a partition), never an account, a number or a key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

QUICK_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
PAUSE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0)


@dataclass(frozen=True)
class Metric:
    """One metric. `parts`: the parts that have it; () = every part.

    >>> Metric("ringfence_received_total", "counter", "Records.").family
    'ringfence_received'
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def family(self) -> str:
        """The name without `_total`."""
        return self.name.removesuffix("_total")


# fmt: off
# --- every part ---

BUILD = Metric("ringfence_build_info", "gauge", "1, with the release as a label.", ("version",))
READY = Metric("ringfence_ready", "gauge", "1 while the part does its work, 0 while /ready answers 503; /ready has the reason.")
SILENT = Metric(
    "ringfence_loop_age_seconds", "gauge",
    "Seconds since the part's main loop made progress. Over 60 the part hangs, and /health answers 503.",
)
LOOK_AGE = Metric(
    "ringfence_look_age_seconds", "gauge",
    "Age of the metrics that are read from elsewhere (journal, books, ...) at a scrape; -1 = not read yet.",
    ("look",), ("collector", "judge", "watch", "store", "dispatcher"),
)
LAG = Metric(
    "ringfence_lag_messages", "gauge",
    "Messages of the journal that the part has not read (store: not stored) yet: in calls a record or tick, in judged a batch of rows.",
    ("topic", "partition"), ("judge", "watch", "store", "dispatcher"),
)
END = Metric(
    "ringfence_journal_end_offset", "gauge", "Next offset of a partition, as its writer or reader sees it.",
    ("topic", "partition"), ("collector", "judge", "watch", "store", "dispatcher"),
)
CONFIG = Metric(
    "ringfence_config_version", "gauge", "Config version in use; in judge the oldest of its partitions.", (), ("collector", "judge"),
)
END_TO_END = Metric(
    "ringfence_end_to_end_seconds", "histogram",
    "From the time when the collector received a record until its row was in the journal (stage judged) or in the warehouse (stage stored).",
    ("stage",), ("judge", "store"), QUICK_S,
)

# --- collector ---

RECEIVED = Metric(
    "ringfence_received_total", "counter",
    "Records acknowledged, each after its fsync. The six dispositions of ringfence_records_total add up to it.", (), ("collector",),
)
POSTS = Metric("ringfence_posts_total", "counter", "Posts of records, by HTTP status of the answer.", ("status",), ("collector",))
TICKS = Metric("ringfence_ticks_total", "counter", "Ticks written: one per partition every five seconds.", (), ("collector",))
SPOOL_BYTES = Metric(
    "ringfence_spool_bytes", "gauge", "Disk usage of the collector's spool, which fills while the journal is down.", (), ("collector",),
)
SPOOL_RECORDS = Metric(
    "ringfence_spool_records", "gauge", "Records and ticks in the collector's spool that wait for the journal.", (), ("collector",),
)

# --- judge ---

RECORDS = Metric(
    "ringfence_records_total", "counter",
    "Records judged, each with one of six dispositions. After a crash the last seconds are judged and counted again; the warehouse is exact.",
    ("disposition",), ("judge",),
)
MONEY = Metric(
    "ringfence_money_total", "counter",
    "Money of calls that ended, in units of the currency, at their first price. A float, for graphs: for accounting query the warehouse.",
    ("side", "currency"), ("judge",),
)
FINDINGS = Metric(
    "ringfence_findings_total", "counter", "Findings written, by detector; repeated while the condition holds.",
    ("detector",), ("judge", "watch"),
)
DROPPED = Metric(
    "ringfence_subjects_dropped_total", "counter", "Subjects that the detectors had no room for: an account floods them with keys.",
    ("detector",), ("judge",),
)
ISSUED = Metric("ringfence_orders_issued_total", "counter", "Block orders written, repeats included.", (), ("judge", "watch"))
ACTIVE_CALLS = Metric("ringfence_calls_in_flight", "gauge", "Calls that have started and not ended, as judge knows them.", (), ("judge",))
TICK_AGE = Metric(
    "ringfence_tick_age_seconds", "gauge", "Seconds since the time of the last tick that was judged: the lag behind live.",
    ("partition",), ("judge",),
)
SNAPSHOT_BYTES = Metric("ringfence_snapshot_bytes", "gauge", "Size of the state file.", (), ("judge", "watch"))
SNAPSHOT_AGE = Metric(
    "ringfence_snapshot_age_seconds", "gauge", "Seconds since the state was last durable: what came since is judged again after a crash.",
    (), ("judge", "watch"),
)
SNAPSHOT_PAUSE = Metric(
    "ringfence_snapshot_pause_seconds", "histogram", "How long records waited while the state was copied.", (), ("judge",), PAUSE_S,
)

# --- store ---

STORED = Metric("ringfence_stored_rows_total", "counter", "Rows inserted, repeats after a crash included.", ("table",), ("store",))
INSERT = Metric("ringfence_insert_seconds", "histogram", "Duration of one insert into all tables of the warehouse.", (), ("store",), QUICK_S)
ANSWERED_AGE = Metric(
    "ringfence_warehouse_answer_age_seconds", "gauge", "Seconds since the warehouse last answered an insert or a query.", (), ("store",),
)

# --- dispatcher ---

ORDERS = Metric("ringfence_orders", "gauge", "Orders in the books, by status.", ("status",), ("dispatcher",))
ORDERS_READ = Metric(
    "ringfence_orders_read_total", "counter", "Orders read from the journal, by result: a status, or malformed, repeated, conflict.",
    ("result",), ("dispatcher",),
)
ALERTS_READ = Metric("ringfence_alerts_read_total", "counter", "Findings written to the books, repeats included.", (), ("dispatcher",))
BLOCK_LATENCY = Metric(
    "ringfence_block_latency_seconds", "histogram",
    "From the time when we received the record that caused an automatic order until the switch acknowledged its block.",
    ("table",), ("dispatcher",), QUICK_S,
)
HELD = Metric(
    "ringfence_blocks_held", "gauge",
    "Entries that a switch has acknowledged and that have not expired. Table blocks refuses calls; table shadow only marks records.",
    ("switch", "table"), ("dispatcher",),
)
DUE = Metric("ringfence_blocks_due", "gauge", "Changes that a switch has not acknowledged yet.", ("switch",), ("dispatcher",))
DRIFT = Metric(
    "ringfence_drift_entries_total", "counter",
    "Entries in which a switch differed from the books: missing there, or unknown to us (stranger). Each was repaired.",
    ("switch", "kind"), ("dispatcher",),
)
COMPARE_AGE = Metric(
    "ringfence_compare_age_seconds", "gauge", "Seconds since a switch's table was last compared with the books; -1 = never.",
    ("switch",), ("dispatcher",),
)
SWITCH_AGE = Metric(
    "ringfence_switch_answer_age_seconds", "gauge",
    "Seconds since a switch last answered the dispatcher; -1 = not since this process started.", ("switch",), ("dispatcher",),
)
HOLD = Metric(
    "ringfence_switch_on_hold", "gauge", "1 while a person holds the switch: all our blocks are off there.", ("switch",), ("dispatcher",),
)

# --- shipper, kamailio, simulator ---

SHIPPED = Metric("ringfence_shipped_total", "counter", "Records that the collector has acknowledged.", (), ("shipper",))
SHIP_FAILURES = Metric(
    "ringfence_ship_failures_total", "counter", "Posts that were not acknowledged; they are repeated.", (), ("shipper",),
)
SWITCH_LOG = Metric(
    "ringfence_switch_log_records_total", "counter", "Records read from the switch's log, because its spool could not be written.",
    (), ("shipper",),
)
FORGED = Metric(
    "ringfence_forged_lines_total", "counter", "Lines of the switch's log that look like records but lack its signature.", (), ("shipper",),
)
BACKLOG_BYTES = Metric("ringfence_backlog_bytes", "gauge", "Undelivered bytes in the switch's spool and log.", (), ("shipper",))
SIMULATED = Metric("ringfence_simulated_total", "counter", "Records that the simulator wrote to its spool.", (), ("simulator",))
BACKLOG_AGE = Metric(
    "ringfence_backlog_seconds", "gauge", "Seconds since the time up to which all records are delivered; -1 = not known yet.",
    (), ("shipper",),
)
ROUTES_CHANGED = Metric(
    "ringfence_routes_changed_total", "counter", "Rows of routes and route plans that became due.", ("switch",), ("router",),
)
POSTED = Metric(
    "ringfence_posted_charges_total", "counter", "Charges that were posted to the ledger, or taken back there.", (), ("poster",),
)
POSTING_AGE = Metric(
    "ringfence_posting_age_seconds", "gauge", "Seconds since all charges that were stored were posted; -1 = not since this process started.",
    (), ("poster",),
)
OVER_CREDIT = Metric(
    "ringfence_parties_over_credit", "gauge", "Parties that owe more than their agreements allow, at the last check.", (), ("poster",),
)
NOTICES = Metric("ringfence_notices_total", "counter", "Notifications, by what became of the attempt.", ("result",), ("notify",))
SIP_AGE = Metric("ringfence_sip_answer_age_seconds", "gauge", "Seconds since Kamailio last answered OPTIONS; -1 = never.", (), ("kamailio",))
# fmt: on

CATALOG: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
LABELS = {
    "version", "look", "topic", "partition", "stage", "status", "disposition", "side", "currency", "detector", "table", "result",
    "switch", "kind",
}  # fmt: skip
"""Every label that is allowed: each has few values."""


def of(part: str) -> list[Metric]:
    """The metrics of a part. `judge-2` is a judge.

    >>> "ringfence_received_total" in [metric.name for metric in of("collector")]
    True
    """
    kind = part.partition("-")[0]
    return [metric for metric in CATALOG if not metric.parts or kind in metric.parts]


PREFACE = """\
# Metrics

Each part answers `GET /metrics` on a port of its own, in Prometheus' text format or as OpenMetrics, as requested. Besides the metrics below, each
part has those of its process (`process_*`) and of Python's garbage collector (`python_gc_*`). Counters start at 0 with each process.
[Connect a Kamailio](operators.md#10-monitoring) says what to watch, and `deploy/prometheus/` has the alerts. This page is generated from
`ringfence/ops/telemetry/catalog.py`; a test compares the running parts with it.
"""


def page() -> str:
    """`docs/metrics.md`: `python -m ringfence.ops.telemetry.catalog > docs/metrics.md`."""
    lines = [PREFACE.rstrip()]
    for parts in dict.fromkeys(metric.parts for metric in CATALOG):
        lines += ["", f"## {_title(parts)}", "", "| metric | kind | labels | meaning |", "| --- | --- | --- | --- |"]
        for metric in (one for one in CATALOG if one.parts == parts):
            lines.append(f"| `{metric.name}` | {metric.kind} | {', '.join(metric.labels) or '-'} | {metric.help} |")
    return "\n".join(lines) + "\n"


def _title(parts: tuple[str, ...]) -> str:
    """A heading.

    >>> _title(("judge", "watch", "store")), _title(())
    ('judge, watch and store', 'Every part')
    """
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1]))) if parts else "Every part"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - it is what the command is for
