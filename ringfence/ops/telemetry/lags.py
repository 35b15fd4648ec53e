"""How far behind a part is: the ends of the journal's partitions against where it stands in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from journal import Journal, open_journal
from ringfence.ops.telemetry import catalog
from ringfence.ops.telemetry.figures import Sample
from ringfence.ops.telemetry.polled import Polled
from ringfence.ops.telemetry.positions import Partition

OLD_S = 30.0
"""An older look at the journal's ends says nothing of how far behind a part is."""


class Lags:
    """`reached`: what the part has read (or stored), by topic and partition. `writes`: topics whose ends are told besides."""

    def __init__(self, dsn: str, reached: Callable[[], Mapping[Partition, int]], writes: tuple[str, ...] = ()) -> None:
        self._dsn, self._reached, self._writes = dsn, reached, writes
        self._journal: Journal | None = None
        self.look = Polled("journal", self._ends)

    def _ends(self) -> dict[Partition, int]:
        """By a journal of our own: the part's is in use, in another thread."""
        journal = self._journal = self._journal or open_journal(self._dsn)
        partitions = [
            *self._reached(),
            *((topic, partition) for topic in self._writes for partition in range(journal.partitions(topic))),
        ]
        return {place: journal.end_offset(*place) for place in partitions}

    def behind(self) -> dict[Partition, int]:
        """Messages that are not read yet, by partition."""
        ends = self.look.value() or {}
        return {place: max(0, ends[place] - offset) for place, offset in self._reached().items() if place in ends}

    def why_not(self, most: int) -> str:
        """Why the part is not where it should be, or ""."""
        seen, age_s = self.look.value(), self.look.age_s()
        if seen is None or age_s > OLD_S:
            return f"the journal cannot be looked at (RINGFENCE_JOURNAL): {self.look.fault or 'no word why'}"
        if not self._reached():
            return "it has not begun to read"
        behind = sum(self.behind().values())
        return f"{behind:,} messages behind, more than {most:,}" if behind > most else ""

    def samples(self) -> Iterator[Sample]:
        for (topic, partition), count in self.behind().items():
            yield Sample(catalog.LAG, count, (topic, str(partition)))
        for (topic, partition), end in (self.look.value() or {}).items():
            yield Sample(catalog.END, end, (topic, str(partition)))
        yield Sample(catalog.LOOK_AGE, self.look.age_s(), (self.look.name,))
