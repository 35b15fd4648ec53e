"""Where a part's readers stand in the journal: taken from the readers themselves, the part reports nothing."""

from __future__ import annotations

from typing import Any

from journal import Journal, Reader

Partition = tuple[str, int]
"""Topic and partition."""


class Positions:
    """`of(journal)` is that journal, whose readers are remembered."""

    def __init__(self) -> None:
        self._readers: dict[Partition, tuple[int, Reader]] = {}

    def of(self, journal: Journal) -> Journal:
        return _Remembering(journal, self._readers)

    def reached(self) -> dict[Partition, int]:
        """The offset that comes next, of each partition that is read."""
        return {place: reader.offset for place, (_, reader) in list(self._readers.items())}

    def began(self) -> dict[Partition, int]:
        """The offset at which the reading began."""
        return {place: offset for place, (offset, _) in list(self._readers.items())}


class _Remembering:
    def __init__(self, journal: Journal, readers: dict[Partition, tuple[int, Reader]]) -> None:
        self._journal, self._readers = journal, readers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    def reader(self, topic: str, partition: int, offset: int) -> Reader:
        reader = self._journal.reader(topic, partition, offset)
        self._readers[topic, partition] = (offset, reader)
        return reader
