"""The picture of the house, drawn from the flows themselves: `python docs/picture.py README.md docs/flow.md`.

Each flow is run once on an empty journal, which notes what was opened: topics that are read and written are not written down here a
second time. The steps are those of the `Dataflow` that was run. Only what is no dataflow has its lines in `AROUND`.
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

from core.topics import BLOCK_ORDERS, CALLS, FINDINGS, TOPICS
from flows import judge, store, watch
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
    ("dispatcher", "", "books"),
    ("books", "", "pages"),
    ("dispatcher", "blocks", "switch"),
)
"""What is no dataflow: from, a word, to."""

SAYS = {
    "shipper": "posts what the switch wrote",
    "collector": "acknowledges after the fsync",
    "judge": "prices each call, sees fraud",
    "watch": "sees what spans accounts",
    "store": "keeps every row once",
    "dispatcher": "delivers, limits, expires, repairs",
    "pages": "for people",
}
"""A few words for each."""

SHAPES = {"switch": "([switch])", store.SINK_STEP: "[(warehouse)]", "books": "[(books)]"}
LOOKS = (
    "classDef topic fill:#fff3bf,stroke:#b08900,color:#333",
    "classDef flow fill:#d0ebff,stroke:#1971c2,color:#123,stroke-width:2px",
    "classDef kept fill:#e9ecef,stroke:#495057,color:#222",
    "classDef part fill:#ffffff,stroke:#868e96,color:#222",
    "classDef outside fill:#ffe3e3,stroke:#c92a2a,color:#222",
)


@dataclass
class Noting:
    """A journal that notes which topics are read and which are written."""

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
class Ran:
    """A flow that was run: what it is made of, and the topics that it opened."""

    dataflow: Dataflow
    reads: tuple[str, ...]
    writes: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.dataflow.flow_id

    @property
    def steps(self) -> list[str]:
        """Its own steps; where a key is put on is plumbing."""
        return [step.step_name for step in to_rendered(self.dataflow).substeps if step.op_type != "key_on"]


def run_all(home: Path) -> list[Ran]:
    """Every flow, once, on an empty journal in `home`: each ends at its end."""
    dsn = f"files://{home / 'journal'}"
    journal = open_journal(dsn)
    create_topics(journal, PARTITIONS)
    return [
        _ran(
            judge,
            journal,
            lambda noting: judge.run(noting, _no_contracts, judge.Settings((0,), home / "j", b"", until_idle=True)),
        ),
        _ran(
            watch,
            journal,
            lambda noting: watch.run(noting, _no_contracts, watch.Settings(PARTITIONS, home / "w", until_idle=True)),
        ),
        _ran(
            store,
            journal,
            lambda noting: store.run(
                journal_dsn=dsn,
                warehouse_dsn=f"chdb://{home / 'warehouse'}",
                state_dir=home / "store",
                until_end=True,
                watched=lambda _: noting,
            ),
        ),
    ]


def _no_contracts(version: int) -> Any:
    raise AssertionError("an empty journal has nothing to price")


def _ran(module: Any, journal: Journal, run: Callable[[Any], None]) -> Ran:
    noting = Noting(journal)
    with _seen(module) as flows:
        run(noting)
    (dataflow,) = flows
    return Ran(dataflow, *(tuple(t for t in TOPICS if t in seen) for seen in (noting.read, noting.written)))


@contextmanager
def _seen(module: Any) -> Iterator[list[Dataflow]]:
    """The dataflows that a module gives to the engine."""
    flows: list[Dataflow] = []

    def run(flow: Dataflow, **rest: Any) -> None:
        flows.append(flow)
        cli_main(flow, **rest)  # type: ignore[no-untyped-call]

    with patch.object(module, "cli_main", run):
        yield flows


def house(ran: list[Ran]) -> str:
    """Mermaid of the whole: who hands what to whom."""
    edges = list(AROUND[:3])
    for flow in ran:
        edges += [(topic, "", flow.name) for topic in flow.reads] + [(flow.name, "", topic) for topic in flow.writes]
        if not flow.writes:
            edges.append((flow.name, "", flow.steps[-1]))
    edges += AROUND[3:]
    kinds = dict.fromkeys(TOPICS, "topic") | {flow.name: "flow" for flow in ran}
    kinds |= {store.SINK_STEP: "kept", "books": "kept", "switch": "outside"}
    lines = ["flowchart TB"]
    for name in dict.fromkeys(end for a, _, b in edges for end in (a, b)):
        shape = SHAPES.get(name) or (f"[/{name}/]" if name in TOPICS else f'["{_label(name, ran)}"]')
        lines.append(f"  {name}{shape}:::{kinds.get(name, 'part')}")
    lines += [f"  {a} -->{f'|{word}|' if word else ''} {b}" for a, word, b in edges]
    return "\n".join([*lines, *(f"  {look}" for look in LOOKS)])


def _label(name: str, ran: list[Ran]) -> str:
    steps = [" → ".join(flow.steps) for flow in ran if flow.name == name]
    return "<br/>".join([f"<b>{name}</b>", SAYS[name], *(f"<i>{line}</i>" for line in steps)])


def put(text: str, *pictures: str) -> str:
    """A page with these pictures in the place of those that it has.

    >>> put(f"before\\n{BEGIN}\\nold\\n{END}\\nafter", "flowchart TB") == f"before\\n{BEGIN}\\n```mermaid\\nflowchart TB\\n```\\n{END}\\nafter"
    True
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no place for the picture: {BEGIN} and {END}")
    return "\n".join([before + BEGIN, *(f"```mermaid\n{picture.strip()}\n```" for picture in pictures), END + after])


def drawn(readme: str, docs: str, ran: list[Ran]) -> tuple[str, str]:
    """Both pages as they should be: the first has the house, the second the flows as their engine draws them, too."""
    return put(readme, house(ran)), put(docs, house(ran), *(to_mermaid(flow.dataflow) for flow in ran))


def main(readme: Path, docs: Path) -> None:
    with tempfile.TemporaryDirectory() as home:
        pages = drawn(readme.read_text(), docs.read_text(), run_all(Path(home)))
    for path, text in zip((readme, docs), pages, strict=True):
        path.write_text(text)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
