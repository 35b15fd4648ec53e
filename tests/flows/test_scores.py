"""The flow of the scores: from what judge wrote to the topic, across a restart, and what a program reads of it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from core import topics
from core.schemas import ATTEMPTS
from flows import scores
from flows.batches import to_values
from flows.scores import Settings, last_scores
from journal import Entry, Journal, create_topics, open_journal

T_MS = 1_790_000_000_000


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    found = open_journal(f"files://{tmp_path}/journal")
    create_topics(found, 2)
    return found


def write(journal: Journal, partition: int, first: int, n: int, carrier: str, answered: bool) -> None:
    blank = {name: "" if dtype == pl.String else None for name, dtype in ATTEMPTS.items()}
    rows = [
        blank
        | {
            "partition": partition, "offset": at, "revision": 1, "learned_ms": T_MS + at, "tenant": "t1", "call_key": f"{at:013x}{partition:019x}",
            "attempt_no": 1, "carrier": carrier, "b_number": "43664123", "at_ms": T_MS + at, "answered": answered, "duration_ms": 60_000 * answered,
        }
        for at in range(first, first + n)
    ]  # fmt: skip
    writer = journal.writer(topics.JUDGED, partition)
    writer.append([Entry(b"attempts", value, T_MS) for value in to_values(pl.DataFrame(rows, schema=ATTEMPTS))] + [Entry(b"calls", b"", T_MS)])
    writer.close()


def test_scores_of_two_partitions_survive_a_restart_and_repeats_are_known(tmp_path: Path, journal: Journal) -> None:
    settings = Settings(2, tmp_path / "scores.state", until_idle=True)
    write(journal, 0, 0, 300, "good", True)
    write(journal, 1, 0, 300, "bad", False)
    scores.run(journal, settings)
    first = last_scores(journal)
    assert first is not None
    by = {(one.carrier, one.destination): one for one in first.scores}
    assert by["good", "43"].score > 0.7 > 0.3 > by["bad", "43"].score and by["good", "43"].attempts == 300
    write(journal, 0, 200, 200, "good", True)  # judge died: it writes a hundred again
    scores.run(journal, settings)
    second = last_scores(journal)
    assert second is not None and {one.carrier: one.attempts for one in second.scores} == {"good": 400, "bad": 300}
    end = journal.end_offset(topics.SCORES, 0)
    scores.run(journal, settings)
    assert journal.end_offset(topics.SCORES, 0) == end + 1 and last_scores(journal) == second, "what a restart says is what was said"


def test_nothing_is_known_before_the_first_scores(journal: Journal) -> None:
    assert last_scores(journal) is None
