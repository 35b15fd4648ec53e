"""Posting, a run, issuing and mailing in a process that is killed (SIGKILL, as the kernel would) at its n-th step.

A step is the begin of a transaction of the books, its commit, and a mail before and after it is handed over.
"""

from __future__ import annotations

import os
import signal
from email.message import EmailMessage
from pathlib import Path

import sqlalchemy as sa

from services import invoicing, mailing, posting
from services.installation import Installation, books
from services.invoice_drafts import Refused


def bill(home: str, until_day: str, now_ms: int, kill_at: int) -> None:
    """All that a month takes, from charges to mails, a transaction per invoice. `kill_at` 0 = to its end."""
    left = kill_at

    def step(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sa.event.listen(sa.Engine, "begin", step)
    sa.event.listen(sa.Engine, "commit", step)
    invoicing.A_TRANSACTION = 2

    def send(made: EmailMessage) -> None:
        step()
        with (Path(home) / "mails").open("a") as out:
            out.write(f"{made['Subject']}\n")
        step()

    installation = Installation.embedded(Path(home))
    posting.post(installation, now_ms, a_batch=5)
    try:
        invoicing.run(installation, "t1", until_day, "ops", now_ms)
    except Refused:
        return  # the lease of a run that was killed
    with books(installation) as conn:
        invoicing.approve(conn, "t1", [], "ops", "", now_ms)
    while True:
        with books(installation) as conn:
            if not invoicing.issue(conn, "t1", [], "ops", now_ms, most=1):
                break
    mailing.mail(installation, "t1", [], send, "billing@ring.example", now_ms)
