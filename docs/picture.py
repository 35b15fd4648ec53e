"""Generates the flow picture from the running flows: `python docs/picture.py README.md docs/flow.md`.

Each flow runs once on an empty journal that records which topics it opens, so the topics are not listed here again. The steps are those
of the `Dataflow` that ran. Only what is not a dataflow is listed in `AROUND`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bytewax.dataflow import Dataflow
from bytewax.run import cli_main
from bytewax.visualize import to_mermaid, to_rendered

from core.topics import BLOCK_ORDERS, CALLS, FINDINGS, SCORES, TOPICS
from flows import judge, scores, store, watch
from journal import Journal, Reader, Writer, create_topics, open_journal

BEGIN, END = "<!-- the flow: made by `make picture` -->", "<!-- the flow ends -->"
PARTITIONS = 1

AROUND = (
    ("switch", "records", "shipper"),
    ("shipper", "", "collector"),
    ("collector", "", CALLS),
    (store.SINK_STEP, "SELECT", "pages"),
    (FINDINGS, "", "dispatcher"),
    (BLOCK_ORDERS, "", "dispatcher"),
    (SCORES, "", "router"),
    ("router", "routes", "books"),
    (store.SINK_STEP, "SELECT", "poster"),
    ("poster", "ledger", "books"),
    ("dispatcher", "", "books"),
    ("books", "", "pages"),
    ("books", "alerts", "notify"),
    ("dispatcher", "blocks, routes", "switch"),
)
"""Edges outside of the dataflows: source, label, target."""

LABELS = {
    "shipper": "posts the switch's records",
    "collector": "acknowledges after fsync",
    "judge": "prices calls, detects fraud",
    "watch": "detects fraud across partitions",
    "scores": "scores carriers",
    "store": "inserts rows",
    "poster": "posts charges to the ledger",
    "router": "keeps the switches' routes",
    "dispatcher": "limits, delivers, repairs blocks",
    "pages": "dashboard, unblock",
    "notify": "tells people of alerts and silence",
}

SHAPES = {"switch": "([switch])", store.SINK_STEP: "[(warehouse)]", "books": "[(books)]"}
LOOKS = (
    "classDef topic fill:#fff3bf,stroke:#b08900,color:#333",
    "classDef flow fill:#d0ebff,stroke:#1971c2,color:#123,stroke-width:2px",
    "classDef database fill:#e9ecef,stroke:#495057,color:#222",
    "classDef part fill:#ffffff,stroke:#868e96,color:#222",
    "classDef outside fill:#ffe3e3,stroke:#c92a2a,color:#222",
)


@dataclass
class RecordingJournal:
    """A journal that records which topics are read and which are written."""

    journal: Journal
    read: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)

    def reader(self, topic: str, partition: int, offset: int) -> Reader:
        self.read.add(topic)
        return self.journal.reader(topic, partition, offset)

    def writer(self, topic: str, partition: int) -> Writer:
        self.written.add(topic)
        return self.journal.writer(topic, partition)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.journal, name)


@dataclass(frozen=True)
class Flow:
    """A flow that ran: its dataflow and the topics that it opened."""

    dataflow: Dataflow
    reads: tuple[str, ...]
    writes: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.dataflow.flow_id

    @property
    def node(self) -> str:
        """Its name in the picture, where a topic may have the same."""
        return f"{self.name}_flow" if self.name in TOPICS else self.name

    @property
    def steps(self) -> list[str]:
        """Its own steps, without those that only set a key."""
        return [step.step_name for step in to_rendered(self.dataflow).substeps if step.op_type != "key_on"]


def run_all(home: Path) -> list[Flow]:
    """Run every flow once on an empty journal in `home`, to its end."""
    dsn = f"files://{home / 'journal'}"
    journal = open_journal(dsn)
    create_topics(journal, PARTITIONS)
    warehouse_dsn, state_dir = f"chdb://{home / 'warehouse'}", home / "store"
    judge_settings = judge.Settings((0,), home / "j", b"", until_idle=True)
    watch_settings = watch.Settings(PARTITIONS, home / "w", until_idle=True)
    return [
        _run(judge, journal, lambda recording: judge.run(recording, _no_contracts, judge_settings)),
        _run(watch, journal, lambda recording: watch.run(recording, _no_contracts, watch_settings)),
        _run(scores, journal, lambda recording: scores.run(recording, scores.Settings(PARTITIONS, home / "s", until_idle=True))),
        _run(store, journal, lambda recording: store.run(
            journal_dsn=dsn, warehouse_dsn=warehouse_dsn, state_dir=state_dir, until_end=True, watched=lambda _: recording,
        )),
    ]  # fmt: skip


def _no_contracts(version: int) -> Any:
    raise AssertionError("an empty journal has nothing to price")


def _run(module: Any, journal: Journal, run: Callable[[Any], None]) -> Flow:
    recording = RecordingJournal(journal)
    with _captured(module) as flows:
        run(recording)
    (dataflow,) = flows
    return Flow(dataflow, *(tuple(t for t in TOPICS if t in opened) for opened in (recording.read, recording.written)))


@contextmanager
def _captured(module: Any) -> Iterator[list[Dataflow]]:
    """The dataflows that a module passes to Bytewax."""
    flows: list[Dataflow] = []

    def run(flow: Dataflow, **rest: Any) -> None:
        flows.append(flow)
        cli_main(flow, **rest)  # type: ignore[no-untyped-call]

    with patch.object(module, "cli_main", run):
        yield flows


def overview(flows: list[Flow]) -> str:
    """Mermaid of all processes and the data between them."""
    edges = list(AROUND[:3])
    for flow in flows:
        edges += [(topic, "", flow.node) for topic in flow.reads] + [(flow.node, "", topic) for topic in flow.writes]
        if not flow.writes:
            edges.append((flow.node, "", flow.steps[-1]))
    edges += AROUND[3:]
    kinds = dict.fromkeys(TOPICS, "topic") | {flow.node: "flow" for flow in flows}
    kinds |= {store.SINK_STEP: "database", "books": "database", "switch": "outside"}
    lines = ["flowchart TB"]
    for name in dict.fromkeys(end for a, _, b in edges for end in (a, b)):
        shape = SHAPES.get(name) or (f"[/{name}/]" if name in TOPICS else f'["{_label(name, flows)}"]')
        lines.append(f"  {name}{shape}:::{kinds.get(name, 'part')}")
    lines += [f"  {a} -->{f'|{label}|' if label else ''} {b}" for a, label, b in edges]
    return "\n".join([*lines, *(f"  {look}" for look in LOOKS)])


def _label(node: str, flows: list[Flow]) -> str:
    steps = [" → ".join(flow.steps) for flow in flows if flow.node == node]
    name = next((flow.name for flow in flows if flow.node == node), node)
    return "<br/>".join([f"<b>{name}</b>", LABELS[name], *(f"<i>{line}</i>" for line in steps)])


def replaced(text: str, *pictures: str) -> str:
    """A page with its pictures replaced by these.

    >>> replaced(f"before\\n{BEGIN}\\nold\\n{END}\\nafter", "flowchart TB") == f"before\\n{BEGIN}\\n```mermaid\\nflowchart TB\\n```\\n{END}\\nafter"
    True
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no markers for the picture: {BEGIN} and {END}")
    return "\n".join([before + BEGIN, *(f"```mermaid\n{picture.strip()}\n```" for picture in pictures), END + after])


def generated(readme: str, docs: str, flows: list[Flow]) -> tuple[str, str]:
    """Both pages with current pictures: the README has the overview, `docs` also Bytewax's picture of each flow."""
    return replaced(readme, overview(flows)), replaced(docs, overview(flows), *(to_mermaid(flow.dataflow) for flow in flows))


def main(readme: Path, docs: Path) -> None:
    with tempfile.TemporaryDirectory() as home:
        pages = generated(readme.read_text(), docs.read_text(), run_all(Path(home)))
    for path, text in zip((readme, docs), pages, strict=True):
        path.write_text(text)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
