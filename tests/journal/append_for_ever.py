"""A writer process for the kill tests: appends numbered entries in groups, and prints each group's end when it is acknowledged."""

from __future__ import annotations

import random
import sys

from journal import Entry, Limits, open_journal


def main(dsn: str, seed: int) -> None:
    journal = open_journal(dsn, Limits(segment_bytes=64 << 10, retention_ms=None))
    journal.create("calls", 1)
    number = journal.end_offset("calls", 0)
    writer = journal.writer("calls", 0)
    chance = random.Random(seed)
    while True:
        group = [
            Entry(b"key", b"%d %s" % (n, b"x" * chance.randrange(2_000)), 1 + n)
            for n in range(number, number + chance.randrange(1, 20))
        ]
        assert writer.append(group) == number
        number += len(group)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
