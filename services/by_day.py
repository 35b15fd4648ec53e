"""Answers of one question about each day of a table, asked again only for days into which rows were inserted.

Sums over months cost as much as those of today: of the other days the answer is remembered, with a number that every insert into the day makes
larger (`warehouse.queries.days`). Nothing is stored, so nothing can differ from the rows.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from services.subjects import Ask
from warehouse import Query, queries

Rows = list[dict[str, Any]]


class ByDay:
    """`question` makes the query of a day, which is named as its partition (20261128). Threads may share one."""

    def __init__(self, table: str, question: Callable[[str], Query]) -> None:
        self._table, self._question = table, question
        self._known: dict[str, tuple[int, Rows]] = {}  # day -> its mark, and the answer
        self._lock = threading.Lock()

    def of(self, ask: Ask, from_day: str = "", budget_s: float = math.inf) -> tuple[Mapping[str, Rows], int]:
        """The answers of the days from `from_day` on, the newest first, and how many days there are. After `budget_s` no further day is asked for."""
        with self._lock:
            marks = {row["day"]: row["mark"] for row in ask(queries.days(self._table))}
            self._known = {day: one for day, one in self._known.items() if day in marks}
            until_s = time.monotonic() + budget_s
            wanted = {day: mark for day, mark in marks.items() if day >= from_day}
            for day, mark in wanted.items():
                if self._known.get(day, (None,))[0] == mark:
                    continue
                # The mark is older than the answer: after an insert in between the day is asked for again.
                self._known[day] = mark, ask(self._question(day))
                if time.monotonic() > until_s:
                    break
            return {day: self._known[day][1] for day in wanted if day in self._known}, len(wanted)
