"""Every figure that a part of ours shows to machines, in one table: `docs/metrics.md` is made from it, and a test holds the parts to it.

Units are seconds and bytes. A label has few values: a switch, a status, a partition; never an account, a number or a key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

QUICK_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
PAUSE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0)


@dataclass(frozen=True)
class Metric:
    """One figure. `parts`: who shows it; () = every part.

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
        """The name without what the kind adds."""
        return self.name.removesuffix("_total")


# --- every part ---

BUILD = Metric("ringfence_build_info", "gauge", "1, with the release as a label.", ("version",))
READY = Metric("ringfence_ready", "gauge", "1 while the part does its work, 0 while /ready answers 503; /ready says why.")
SILENT = Metric(
    "ringfence_loop_age_seconds", "gauge", "Since the part's main loop went round. Over 60: it hangs, and /health answers 503."
)
LOOK_AGE = Metric(
    "ringfence_look_age_seconds",
    "gauge",
    "How old the figures are that are looked up elsewhere (journal, books, ...) when they are asked for; -1 = none yet.",
    ("look",),
    ("collector", "judge", "watch", "store", "dispatcher"),
)
LAG = Metric(
    "ringfence_lag_messages",
    "gauge",
    "Messages of the journal that the part has not read yet (store: not stored): in calls a record or a tick, in judged a batch of rows.",
    ("topic", "partition"),
    ("judge", "watch", "store", "dispatcher"),
)
END = Metric(
    "ringfence_journal_end_offset",
    "gauge",
    "The offset that the next message of a partition gets, as its writer or reader sees it.",
    ("topic", "partition"),
    ("collector", "judge", "watch", "store", "dispatcher"),
)
CONFIG = Metric(
    "ringfence_config_version",
    "gauge",
    "The config version that the part works with; in judge the oldest of its partitions.",
    (),
    ("collector", "judge"),
)
END_TO_END = Metric(
    "ringfence_end_to_end_seconds",
    "histogram",
    "From when the collector learned of a record until its row was in the journal (stage judged) or in the warehouse (stage stored).",
    ("stage",),
    ("judge", "store"),
    QUICK_S,
)

# --- collector ---

RECEIVED = Metric(
    "ringfence_received_total",
    "counter",
    "Records that were acknowledged, each after its fsync. The six of ringfence_records_total add up to it.",
    (),
    ("collector",),
)
POSTS = Metric("ringfence_posts_total", "counter", "Answers to posts of records, by HTTP status.", ("status",), ("collector",))
TICKS = Metric(
    "ringfence_ticks_total", "counter", "Ticks written: one into every partition each five seconds.", (), ("collector",)
)
SPOOL_BYTES = Metric(
    "ringfence_spool_bytes",
    "gauge",
    "What the collector's spool takes on the disk while the journal is away.",
    (),
    ("collector",),
)
SPOOL_RECORDS = Metric(
    "ringfence_spool_records",
    "gauge",
    "Records and ticks that wait in the collector's spool for the journal.",
    (),
    ("collector",),
)

# --- judge ---

RECORDS = Metric(
    "ringfence_records_total",
    "counter",
    "Records judged, each as exactly one of six. After a crash the last seconds are judged again and counted again; the warehouse is exact.",
    ("disposition",),
    ("judge",),
)
MONEY = Metric(
    "ringfence_money_total",
    "counter",
    "Money of calls that ended, in units of the currency, at their first price. A float, for graphs: finance reads the warehouse.",
    ("side", "currency"),
    ("judge",),
)
FINDINGS = Metric(
    "ringfence_findings_total",
    "counter",
    "Findings written, by detector; while its condition holds an episode is told again.",
    ("detector",),
    ("judge", "watch"),
)
ISSUED = Metric("ringfence_orders_issued_total", "counter", "Block orders written, repeats included.", (), ("judge", "watch"))
FLYING = Metric(
    "ringfence_calls_in_flight", "gauge", "Calls that have begun and have not ended, as judge knows them.", (), ("judge",)
)
TICK_AGE = Metric(
    "ringfence_tick_age_seconds",
    "gauge",
    "Since the time of the last tick that was judged: how far behind live.",
    ("partition",),
    ("judge",),
)
SNAPSHOT_BYTES = Metric("ringfence_snapshot_bytes", "gauge", "The state on the disk.", (), ("judge", "watch"))
SNAPSHOT_AGE = Metric(
    "ringfence_snapshot_age_seconds",
    "gauge",
    "Since the state was last durable: a crash judges anew what came since.",
    (),
    ("judge", "watch"),
)
SNAPSHOT_PAUSE = Metric(
    "ringfence_snapshot_pause_seconds",
    "histogram",
    "How long records waited while the state was copied.",
    (),
    ("judge",),
    PAUSE_S,
)

# --- store ---

STORED = Metric(
    "ringfence_stored_rows_total", "counter", "Rows inserted, repeats after a crash included.", ("table",), ("store",)
)
INSERT = Metric(
    "ringfence_insert_seconds", "histogram", "One insertion into the warehouse, all its tables.", (), ("store",), QUICK_S
)
ANSWERED_AGE = Metric(
    "ringfence_warehouse_answer_age_seconds",
    "gauge",
    "Since the warehouse last answered, to an insertion or to a look.",
    (),
    ("store",),
)

# --- dispatcher ---

ORDERS = Metric("ringfence_orders", "gauge", "Orders in the books, by status.", ("status",), ("dispatcher",))
ORDERS_READ = Metric(
    "ringfence_orders_read_total",
    "counter",
    "Orders read from the journal, by what became of them: a status, or malformed, repeated, conflict.",
    ("result",),
    ("dispatcher",),
)
ALERTS_READ = Metric(
    "ringfence_alerts_read_total", "counter", "Findings taken into the books, repeats included.", (), ("dispatcher",)
)
BLOCK_LATENCY = Metric(
    "ringfence_block_latency_seconds",
    "histogram",
    "From when we learned of the record that decided on an automatic order until the switch had acknowledged its block.",
    ("table",),
    ("dispatcher",),
    QUICK_S,
)
HELD = Metric(
    "ringfence_blocks_held",
    "gauge",
    "Entries that a switch has acknowledged and that have not expired; table blocks refuses, table shadow only says so.",
    ("switch", "table"),
    ("dispatcher",),
)
DUE = Metric("ringfence_blocks_due", "gauge", "Changes that a switch has not acknowledged yet.", ("switch",), ("dispatcher",))
DRIFT = Metric(
    "ringfence_drift_entries_total",
    "counter",
    "Entries in which a switch differed from the books: missing there, or strangers to us. Each was repaired.",
    ("switch", "kind"),
    ("dispatcher",),
)
COMPARE_AGE = Metric(
    "ringfence_compare_age_seconds",
    "gauge",
    "Since a switch's table was last compared with the books; -1 = never.",
    ("switch",),
    ("dispatcher",),
)
SWITCH_AGE = Metric(
    "ringfence_switch_answer_age_seconds",
    "gauge",
    "Since a switch last answered the dispatcher; -1 = not since this process started.",
    ("switch",),
    ("dispatcher",),
)
HOLD = Metric(
    "ringfence_switch_on_hold",
    "gauge",
    "1 while a person holds the switch: all our blocks are off there.",
    ("switch",),
    ("dispatcher",),
)

# --- shipper, kamailio, simulator ---

SHIPPED = Metric("ringfence_shipped_total", "counter", "Records that the collector has acknowledged.", (), ("shipper",))
SHIP_FAILURES = Metric(
    "ringfence_ship_failures_total",
    "counter",
    "Posts that were not acknowledged; they are posted again.",
    (),
    ("shipper",),
)
SWITCH_LOG = Metric(
    "ringfence_switch_log_records_total",
    "counter",
    "Records that the switch's spool did not take and that were found in its log.",
    (),
    ("shipper",),
)
FORGED = Metric(
    "ringfence_forged_lines_total",
    "counter",
    "Lines of the switch's log that claim to be records and are not signed by it.",
    (),
    ("shipper",),
)
BACKLOG_BYTES = Metric(
    "ringfence_backlog_bytes", "gauge", "What stands in the switch's spool and log and is not delivered.", (), ("shipper",)
)
SIMULATED = Metric("ringfence_simulated_total", "counter", "Records that the simulator wrote to its spool.", (), ("simulator",))
BACKLOG_AGE = Metric(
    "ringfence_backlog_seconds",
    "gauge",
    "Since the moment up to which everything is delivered; -1 = not known yet.",
    (),
    ("shipper",),
)
SIP_AGE = Metric(
    "ringfence_sip_answer_age_seconds", "gauge", "Since Kamailio last answered OPTIONS; -1 = never.", (), ("kamailio",)
)

CATALOG: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
LABELS = {
    "version", "look", "topic", "partition", "stage", "status", "disposition", "side", "currency", "detector", "table", "result",
    "switch", "kind",
}  # fmt: skip
"""Every label that may be: each has few values."""


def of(part: str) -> list[Metric]:
    """What a part shows. `judge-2` is a judge.

    >>> "ringfence_received_total" in [metric.name for metric in of("collector")]
    True
    """
    kind = part.partition("-")[0]
    return [metric for metric in CATALOG if not metric.parts or kind in metric.parts]


PREFACE = """\
# Metrics

Each part answers `GET /metrics` on a port of its own, in Prometheus' text format or as OpenMetrics, whichever is asked for. This page is
made from `ringfence/ops/telemetry/catalog.py`, and a test holds the running parts to it. Besides these, each part shows the figures of its process
(`process_*`) and of Python's garbage collector (`python_gc_*`). Counters begin at 0 with each process. `ringfence/ops/telemetry/__init__.py` says
how a figure gets here, [operators.md](operators.md) what to watch, and `deploy/prometheus/` has the alerts.
"""


def page() -> str:
    """`docs/metrics.md`: `python -m ringfence.ops.telemetry.catalog > docs/metrics.md`."""
    lines = [PREFACE.rstrip()]
    for parts in dict.fromkeys(metric.parts for metric in CATALOG):
        lines += ["", f"## {_title(parts)}", "", "| metric | kind | labels | what it is |", "| --- | --- | --- | --- |"]
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
