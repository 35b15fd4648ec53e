"""The lag of a part: the ends of the journal's partitions minus its positions in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from journal import Journal, open_journal
from ringfence.ops.telemetry import catalog
from ringfence.ops.telemetry.metrics import Sample
from ringfence.ops.telemetry.polled import Polled
from ringfence.ops.telemetry.positions import Partition

OLD_S = 30.0
"""End offsets that are older say nothing about the lag."""


class Lags:
    """`reached`: the offsets that the part has read (or stored) up to. `writes`: further topics whose end offsets are shown."""

    def __init__(self, dsn: str, reached: Callable[[], Mapping[Partition, int]], writes: tuple[str, ...] = ()) -> None:
        self._dsn, self._reached, self._writes = dsn, reached, writes
        self._journal: Journal | None = None
        self.ends = Polled("journal", self._ends)

    def _ends(self) -> dict[Partition, int]:
        """The end offsets, read with a second journal object: the part's own is in use in another thread."""
        journal = self._journal = self._journal or open_journal(self._dsn)
        partitions = [
            *self._reached(),
            *((topic, partition) for topic in self._writes for partition in range(journal.partitions(topic))),
        ]
        return {place: journal.end_offset(*place) for place in partitions}

    def behind(self) -> dict[Partition, int]:
        """Unread messages per partition."""
        ends = self.ends.value() or {}
        return {place: max(0, ends[place] - offset) for place, offset in self._reached().items() if place in ends}

    def not_ready_reason(self, most: int) -> str:
        """Why the part is not ready; "" = its lag is at most `most`."""
        ends, age_s = self.ends.value(), self.ends.age_s()
        if ends is None or age_s > OLD_S:
            return f"the journal cannot be read (RINGFENCE_JOURNAL): {self.ends.fault or 'no reason known'}"
        if not self._reached():
            return "it has not started to read"
        behind = sum(self.behind().values())
        return f"{behind:,} messages behind, more than {most:,}" if behind > most else ""

    def samples(self) -> Iterator[Sample]:
        for (topic, partition), count in self.behind().items():
            yield Sample(catalog.LAG, count, (topic, str(partition)))
        for (topic, partition), end in (self.ends.value() or {}).items():
            yield Sample(catalog.END, end, (topic, str(partition)))
        yield Sample(catalog.LOOK_AGE, self.ends.age_s(), (self.ends.name,))
