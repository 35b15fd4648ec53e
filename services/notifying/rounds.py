"""A round of the notifier: plan what is new, send what is due.

In this order; beside each step stands what a crash after it leaves:

1. lease     another notifier waits a minute before it takes over
2. plan      the notices are rows, due: the next round sends them
3. sending   the row says that it is being sent: the next round sends it again, with the same id
4. send      the receiver has it and the row says `sending`: it is sent once more, with the same id (webhook-id, Message-ID), by which it is known
5. mark      done

One notifier at a time does this, by a lease.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from books import Connection, Engine, leases, notifications, reading, writing
from books.notifications import Sent
from core.notify import HOUR_MS, LATE_MS, MOST_PER_HOUR, Event, Notice, Target, notice_id, plan, retry_at
from services.notifying.sending import NotSent

LEASE_MS = 60_000
AT_ONCE = 8

Deliver = Callable[[Notice, Target, int], None]
"""(notice, target, now_ms): returns when it was accepted, or raises `NotSent`."""


class Round(NamedTuple):
    """What a round did."""

    planned: int = 0
    sent: int = 0
    failed: int = 0
    standby: bool = False  # another notifier has the lease


def round_of(engine: Engine, events: Sequence[Event], deliver: Deliver, holder: str, clock: Callable[[], int], fault: Callable[[str], None]) -> Round:
    """One round. `fault` is called between the steps: tests kill the process there."""
    now_ms = clock()
    with writing(engine) as conn:
        if leases.acquire(conn, "notifier", holder, LEASE_MS, now_ms) is None:
            return Round(standby=True)
    with reading(engine) as conn:
        targets = {target.name: target for target in notifications.targets(conn)}
        known = notifications.known(conn, now_ms - 2 * LATE_MS)
        sent = notifications.sent_since(conn, now_ms - HOUR_MS, now_ms)
    new, planned = plan(events, targets.values(), known, sent, now_ms), 0
    if new.send or new.beyond:
        with writing(engine) as conn:
            planned = notifications.put_notices(conn, new.send, now_ms)
            notifications.put_notices(conn, new.beyond, now_ms, "obsolete", f"beyond {MOST_PER_HOUR} messages per hour")
    fault("plan")
    handled = {event.about for event in events if event.handled}
    with reading(engine) as conn:
        due = notifications.due(conn, now_ms, most=3 * AT_ONCE)  # within the lease, also where each times out
    wanted: list[Sent] = []
    with writing(engine) as conn:
        for one in due:
            if one.notice.target not in targets or (one.notice.about in handled and one.state == "due" and not one.attempts):
                notifications.mark(conn, one.notice.id, "obsolete", now_ms)
                continue
            notifications.mark(conn, one.notice.id, "sending", now_ms, attempts=one.attempts + 1)
            wanted.append(one)
    if not wanted:
        return Round(planned)
    fault("sending")
    with ThreadPoolExecutor(AT_ONCE) as pool:  # one slow receiver does not keep the others
        errors = list(pool.map(lambda one: _try(deliver, one.notice, targets[one.notice.target], clock()), wanted))
    fault("send")
    failed = 0
    for one, error in zip(wanted, errors, strict=True):
        with writing(engine) as conn:
            failed += _mark(conn, one, error, clock())
        fault("mark")
    return Round(planned, len(wanted) - failed, failed)


def _try(deliver: Deliver, notice: Notice, target: Target, now_ms: int) -> NotSent | None:
    try:
        deliver(notice, target, now_ms)
    except NotSent as error:
        return error
    return None


def _mark(conn: Connection, one: Sent, error: NotSent | None, now_ms: int) -> bool:
    """Stores what became of a message. True = it was not accepted."""
    if error is None:
        notifications.mark(conn, one.notice.id, "sent", now_ms, error="")
        return False
    again_ms = None if error.final else retry_at(one.attempts + 1, now_ms)
    if again_ms is None:
        notifications.mark(conn, one.notice.id, "failed", now_ms, error=str(error))
    else:
        notifications.mark(conn, one.notice.id, "due", now_ms, error=str(error), next_ms=again_ms)
    return True


def test(engine: Engine, target: Target, deliver: Deliver, now_ms: int) -> Sent:
    """Sends a test message now, and returns what became of it."""
    about = f"test/{now_ms}"
    text = "This is a test. Alerts will look like this: who calls, where to, how much it costs against what is normal, and what to do."
    title = "Test of the notifications"
    notice = Notice(notice_id(target.name, about), target.name, about, target.tenant, "normal", title, text, False, now_ms, now_ms)
    with writing(engine) as conn:
        notifications.put_notices(conn, [notice], now_ms)
        notifications.mark(conn, notice.id, "sending", now_ms, attempts=1)
    error = _try(deliver, notice, target, now_ms)
    state = "failed" if error else "sent"
    with writing(engine) as conn:
        notifications.mark(conn, notice.id, state, now_ms, error=str(error or ""))
    return Sent(notice, state, 1, str(error or ""), now_ms)
