"""The offsets of a part's readers in the journal, taken from the readers themselves: the part reports nothing."""

from __future__ import annotations

from typing import Any

from journal import Journal, Reader

Partition = tuple[str, int]
"""Topic and partition."""


class Positions:
    """`of(journal)` is that journal; its readers are recorded."""

    def __init__(self) -> None:
        self._readers: dict[Partition, tuple[int, Reader]] = {}

    def of(self, journal: Journal) -> Journal:
        return _Recording(journal, self._readers)

    def reached(self) -> dict[Partition, int]:
        """The next offset of each partition that is read."""
        return {place: reader.offset for place, (_, reader) in list(self._readers.items())}

    def began(self) -> dict[Partition, int]:
        """The first offset that was read, per partition."""
        return {place: offset for place, (offset, _) in list(self._readers.items())}


class _Recording:
    def __init__(self, journal: Journal, readers: dict[Partition, tuple[int, Reader]]) -> None:
        self._journal, self._readers = journal, readers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    def reader(self, topic: str, partition: int, offset: int) -> Reader:
        reader = self._journal.reader(topic, partition, offset)
        self._readers[topic, partition] = (offset, reader)
        return reader
