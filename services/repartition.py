"""More partitions of `calls`, or another number of judge processes: moves the state of judge with its accounts, while nothing runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from core.topics import CALLS
from flows import judge
from flows.repartition import Moved, partitions_of_judge
from flows.repartition import repartition as move
from journal import Journal, Locked, open_journal
from rating.contracts import Terms
from services import endpoints
from services.errors import InUse, ServiceError
from services.installation import Installation

STILL_S = 11.0
"""Slightly more than two ticks of a collector."""


def repartition(
    installation: Installation, partitions: int, judges: int, contracts_of: Callable[[int], Terms], secret: bytes
) -> Moved:
    """Judges the journal to its end, then moves the state. An interrupted run is completed by the next one; no part starts in between.

    `contracts_of`: config version -> contracts; `secret`: the hash secret of the state. Raises `InUse` if a part runs, `ServiceError`,
    `SnapshotError` and `JournalError`, with the text for a person.
    """
    if endpoints.running(installation.run_dir):
        raise InUse(f"Ringfence is running in {installation.root}: stop it first.")
    wanted = replace(installation, partitions=partitions, judges=judges)
    if judges > partitions:
        raise ServiceError(f"{judges} judge processes cannot share {partitions} partitions: name more --partitions.")
    journal = open_journal(installation.journal_dsn)
    old = installation.judge_states

    def drain(number: int, calls_partitions: int) -> None:
        mine = partitions_of_judge(number, installation.judges, calls_partitions)
        judge.run(
            journal,
            contracts_of,
            judge.Settings(mine, old[number - 1], secret, calls_partitions=calls_partitions, until_idle=True),
        )

    try:
        with ExitStack() as stopped:
            for partition in range(journal.partitions(CALLS)):
                stopped.callback(journal.writer(CALLS, partition).close)
            if installation.journal_dsn.startswith("kafka") and not stands_still(journal):
                raise InUse("Another process writes to `calls`, as a collector does: stop all parts first.")
            return move(journal, installation.state_dir, secret, partitions, old, wanted.judge_states, drain)
    except Locked as error:
        raise InUse(f"A collector is running ({error}): stop all parts first.") from error


def stands_still(journal: Journal, for_s: float = STILL_S) -> bool:
    """Whether nobody writes to `calls`. Kafka has no lock that would show it; a running collector writes a tick every 5 s."""

    def ends() -> list[int]:
        return [journal.end_offset(CALLS, partition) for partition in range(journal.partitions(CALLS))]

    was, until_s = ends(), time.monotonic() + for_s
    while time.monotonic() < until_s:
        time.sleep(0.5)
        if ends() != was:
            return False
    return True
