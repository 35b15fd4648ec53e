"""Counts for the status line of `up`, read only from the journal: they continue while the warehouse is slow or down.

`LiveCounts.read` is called a few times per second. Its clock is an argument. A journal that cannot be read is no exception: `fault` has the reason.
"""

from __future__ import annotations

import io
from collections import Counter, deque
from dataclasses import dataclass, field

import msgspec
import polars as pl

from core import schemas, topics
from core.message import Message
from core.orders import BlockOrder, Finding
from journal import Journal, JournalError, OffsetAhead, OffsetTrimmed, Reader
from journal.waiting import waiting

WINDOW_MS = 10_000
"""Rates are means over this time."""
MAX_MESSAGES = 256
"""Per partition and `read`: a backlog is counted over several calls, so the terminal stays responsive."""
MAX_ACTIVE_CALLS = 1_000_000

_RECORDS = ["event", "disposition", "call_key", "order_id", "offset"]
_CHARGES = ["role", "level", "nanos", "currency", "revision", "call_key"]


@dataclass
class LiveCounts:
    """`alerts` and `orders`: what the last `read` found new. Counts include each record once that came since this object was made: what judge
    repeats after a crash or a full disk is not counted again. `earlier`: records from before, by disposition, as the warehouse counts
    them; with them `received` equals that of `ringfence status` once the lag is 0.

    `fault`: why the last `read` could not read the journal; "" = it could.
    """

    journal: Journal
    dispositions: Counter[str] = field(default_factory=Counter)
    earlier: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    alerts: list[Finding] = field(default_factory=list)
    orders: list[BlockOrder] = field(default_factory=list)
    alert_ids: set[str] = field(default_factory=set)
    fault: str = ""
    _active_calls: set[str] = field(default_factory=set)
    _recent: deque[tuple[int, int, dict[str, int]]] = field(default_factory=deque)
    _keys: set[str] = field(default_factory=set)
    _readers: dict[tuple[str, int], Reader | None] = field(default_factory=dict)
    _judged_to: dict[int, int] = field(default_factory=dict)
    _counted_to: dict[int, int] = field(default_factory=dict)
    _lag: int = 0

    def __post_init__(self) -> None:
        for topic in (topics.JUDGED, topics.FINDINGS, topics.BLOCK_ORDERS):
            for partition in range(self.journal.partitions(topic)):
                self._read_from_the_end(topic, partition)
        for partition in range(self.journal.partitions(topics.CALLS)):
            self._judged_to[partition] = self.journal.end_offset(topics.CALLS, partition)
        self._counted_to = dict(self._judged_to)
        self.start_offsets = dict(self._judged_to)

    @property
    def received(self) -> int:
        return self.dispositions.total() + self.earlier.total()

    def total(self, disposition: str) -> int:
        """Records with a disposition."""
        return self.dispositions[disposition] + self.earlier[disposition]

    @property
    def active_calls(self) -> int:
        """Calls that were answered and have not ended, as far as the journal was read."""
        return len(self._active_calls)

    def read(self, now_ms: int) -> None:
        """Read and count what is new."""
        self.alerts, self.orders, self.fault = [], [], ""
        records, money = 0, Counter[str]()
        for topic, partition in list(self._readers):
            for message in self._next(topic, partition):
                if topic == topics.FINDINGS:
                    self._finding(msgspec.json.decode(message.value, type=Finding))
                elif topic == topics.BLOCK_ORDERS:
                    self._order(msgspec.json.decode(message.value, type=BlockOrder))
                elif message.key == b"records":
                    records += self._records(partition, pl.read_ipc_stream(io.BytesIO(message.value), columns=_RECORDS))
                elif message.key == b"charges":
                    money += self._sold(pl.read_ipc_stream(io.BytesIO(message.value), columns=_CHARGES))
        self._recent.append((now_ms, records, dict(money)))
        while self._recent and self._recent[0][0] < now_ms - WINDOW_MS:
            self._recent.popleft()

    def rates(self, now_ms: int) -> tuple[float, dict[str, float]]:
        """(records per second, sell nanos per second by currency), over the last `WINDOW_MS`."""
        span_s = max(1.0, (now_ms - self._recent[0][0]) / 1000) if self._recent else 1.0
        money = Counter[str]()
        for _, _, part in self._recent:
            money.update(part)
        return sum(n for _, n, _ in self._recent) / span_s, {currency: nanos / span_s for currency, nanos in money.items()}

    def lag(self) -> int:
        """Records in `calls` that are not judged yet, without ticks."""
        if not self.fault:
            try:
                self._lag = sum(self._behind(partition) for partition in self._judged_to)
            except JournalError as error:
                self.fault = str(error)
        return self._lag

    def close(self) -> None:
        for reader in self._readers.values():
            if reader is not None:
                reader.close()

    def _read_from_the_end(self, topic: str, partition: int) -> Reader:
        end = self.journal.end_offset(topic, partition)
        reader = self._readers[topic, partition] = self.journal.reader(topic, partition, end)
        return reader

    def _next(self, topic: str, partition: int) -> list[Message]:
        """New messages of a partition; none of any partition once one could not be read."""
        if self.fault:
            return []
        try:
            if (reader := self._readers[topic, partition]) is None:
                reader = self._read_from_the_end(topic, partition)
            return reader.read(MAX_MESSAGES)
        except JournalError as error:
            self.fault = str(error)
            if isinstance(error, (OffsetTrimmed, OffsetAhead)):  # the missed messages are in the warehouse
                self._readers[topic, partition] = None
        return []

    def _behind(self, partition: int) -> int:
        found = waiting(self.journal, topics.CALLS, partition, self._judged_to[partition])
        self._judged_to[partition] = found.offset  # skips ticks at the head, which are never judged
        return found.records

    def _records(self, partition: int, rows: pl.DataFrame) -> int:
        """Count the rows of offsets that were not counted yet; return how many."""
        frame = rows.filter(pl.col("offset") >= self._counted_to[partition]).unique("offset", keep="first", maintain_order=True)
        for disposition, count in frame.group_by("disposition").len().iter_rows():
            self.dispositions[disposition] += count
        self.refused += frame.filter((pl.col("event") == "refused") & (pl.col("disposition") == schemas.EVENT)).height
        began = (pl.col("event") == "answer") & (pl.col("disposition") == schemas.EVENT)
        if len(self._active_calls) < MAX_ACTIVE_CALLS:
            self._active_calls.update(frame.filter(began)["call_key"].to_list())
        self._active_calls.difference_update(frame.filter(pl.col("event") == "stop")["call_key"].to_list())
        if frame.height:
            last: int = frame["offset"].max()  # type: ignore[assignment]
            self._counted_to[partition] = last + 1
            self._judged_to[partition] = max(self._judged_to[partition], last + 1)
        return frame.height

    def _sold(self, frame: pl.DataFrame) -> Counter[str]:
        self._active_calls.difference_update(frame["call_key"].to_list())
        # Only first revisions: a correction is no new sale.
        sold = frame.filter(pl.col("revision") == 1, pl.col("level") == 0, pl.col("role") == "sell")
        return Counter(dict(sold.group_by("currency").agg(pl.col("nanos").sum()).iter_rows()))

    def _finding(self, finding: Finding) -> None:
        if finding.finding_id not in self.alert_ids:
            self.alert_ids.add(finding.finding_id)
            self.alerts.append(finding)

    def _order(self, order: BlockOrder) -> None:
        if order.key.text() not in self._keys:  # it is issued again each minute while its condition holds
            self._keys.add(order.key.text())
            self.orders.append(order)
