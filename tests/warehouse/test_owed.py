"""What is stored and not posted, against a look at every record."""

from __future__ import annotations

import pytest

from core.posted import Posted
from warehouse import Warehouse, ask, insert, owed

NOON = 1_764_072_000_000  # the time of offset 0

STORED = {("t1", 0): (5, 9), ("t2", 0): (10, 30), ("t1", 1): (0, 3), ("t2", 7): (100, 101)}
"""(tenant, partition): its first and last offset."""


@pytest.fixture
def stored(client: Warehouse, rows) -> Warehouse:
    found = [
        rows.record(offset, tenant=tenant, partition=partition)
        for (tenant, partition), (first, last) in STORED.items()
        for offset in range(first, last + 1)
        if (offset, partition) != (12, 0)  # a tick: it has no row
    ]
    insert(client, "records", rows.records(*found))
    return client


ENDS = [{}, {0: 0}, {0: 7}, {0: 12}, {0: 31, 1: 4}, {0: 31, 1: 4, 7: 102}, {0: 99, 1: 2, 7: 101}, {3: 5}, dict.fromkeys(range(64), 20)]


@pytest.mark.parametrize("ends", ENDS, ids=lambda ends: ",".join(f"{one}-{end}" for one, end in list(ends.items())[:4]) or "none")
def test_what_is_not_posted_begins_at_the_first_record_behind_the_posted_ones(stored: Warehouse, ends: dict[int, int]):
    wanted = {}
    for (_, partition), (first, last) in STORED.items():
        left = [offset for offset in range(first, last + 1) if offset >= ends.get(partition, 0) and (offset, partition) != (12, 0)]
        if left:
            low, high = wanted.get(partition, (left[0], 0))
            wanted[partition] = min(low, left[0]), max(high, left[-1] + 1)
    rows = ask(stored, owed.unposted(Posted(ends)))
    assert {row["partition"]: (row["first_offset"], row["next_offset"]) for row in rows} == wanted
    for row in rows:
        of = [range(first, last + 1) for (_, partition), (first, last) in STORED.items() if partition == row["partition"]]
        before = [offset for one in of for offset in one if offset < ends.get(row["partition"], 0) and (offset, row["partition"]) != (12, 0)]
        behind = [offset for one in of for offset in one if offset >= ends.get(row["partition"], 0) and (offset, row["partition"]) != (12, 0)]
        assert (row["posted_ms"], row["first_ms"]) == (NOON + max(before) if before else None, NOON + min(behind))
