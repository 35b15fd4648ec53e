"""From the books to one switch: rows that are due are sent, drift is repaired, and a held switch is left alone.

One round, in this order. Beside each step stands what a crash after it leaves; the next round goes on from there:

1. lease        another deliverer waits until the lease runs out; the switch refuses a fence below the highest that it was sent
2. hold         nothing: a held switch gets no command at all
3. resync       (after a restart of the switch) the rows that it lost are due; the books have its new boot
4. send         the switch has the row and the books have it as due: it is sent again, to the same effect
5. acknowledge  the books and the switch agree
6. compare      missing rows are due again, surplus rows are removed

Rows are sent in the order of `books.deliveries.urgency`: protected numbers before any block, a dial plan before the sources that name it,
and removals last, so that an address which has a trunk before and after a change is never without one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from books import BooksError, Engine, Unavailable, audit, deliveries, leases, reading, switches, writing
from books.deliveries import PROTECTED, ROUTES, TABLES, Delivery
from core.backoff import backoff
from core.reporting import Report, ignore
from switches.control import Change, Control, ControlError, Denied, DesiredRow, Drift, Fenced, Unreachable, seconds_left
from switches.once import Once

log = structlog.get_logger(__name__)

@dataclass(frozen=True)
class Pace:
    """Intervals and sizes."""

    look_ms: int = 1_000  # an idle switch is asked for its hold flag and boot so often
    compare_ms: int = 5_000
    compare_routes_ms: int = 600_000  # a digest of 300,000 rows holds up the switch's control worker, and with it blocks, for seconds
    chunk: int = 500  # rows between two reads of the hold flag
    lease_ms: int = 4_000  # after a crash of its holder, the next deliverer waits so long
    swept_ms: int = 60_000  # the switch may list an expired entry for so long
    retry_ms: int = 250  # after a failed round, doubled with each failure in a row ...
    retry_most_ms: int = 5_000  # ... up to here


class Round(NamedTuple):
    """The result of one round."""

    sent: int = 0
    missing: int = 0
    surplus: int = 0
    result: str = ""  # "" | held | another holds the lease | away: why


class Reached(NamedTuple):
    """Reported when the switch has answered."""

    switch: str


class Standby(NamedTuple):
    """Reported while another deliverer serves the switch."""

    switch: str


class Acknowledged(NamedTuple):
    """Reported for automatic orders that a switch has for the first time: seconds since we learned of the records that led to them."""

    table: str
    seconds: list[float]


class Drifted(NamedTuple):
    """Reported for each comparison."""

    switch: str
    missing: int
    surplus: int


def no_fault(step: str) -> None:
    """No fault: tests pass a function that kills the process."""


@dataclass(eq=False)
class Deliverer:
    """Sends commands to one switch while it has the lease. For one thread."""

    engine: Engine
    switch: str
    control: Control
    clock: Callable[[], int]
    holder: str
    pace: Pace = Pace()
    fault: Callable[[str], None] = no_fault
    report: Report = ignore

    def __post_init__(self) -> None:
        self._lease: leases.Lease | None = None
        self._looked_ms = self._compared_ms = self._routes_compared_ms = -(10**15)
        self._failures = 0
        self._retry_at_ms = 0
        self._books_away = Once(log.warning)

    def close(self) -> None:
        """Releases the lease, so that the next deliverer need not wait for its end."""
        try:
            if self._lease:
                with writing(self.engine) as conn:
                    leases.release(conn, self._lease)
        except BooksError as error:
            log.warning("the lease of the switch could not be released: it runs out by itself", switch=self.switch, error=str(error))
        finally:
            self._lease = None
            self.control.close()

    def round(self) -> Round:
        """One round. A switch that is away, slow or answers nonsense is tried again, later each time; its rows stay due in the books."""
        if self.clock() < self._retry_at_ms:
            return Round(result="away")
        try:
            done = self._round()
        except ControlError as error:
            self._failed(error)
            return Round(result=f"away: {error}")
        except Unavailable as error:
            self._books_away.begins(f"orders are not delivered to {self.switch} while the books are away: {error}")
            self._retry_at_ms = self.clock() + self.pace.retry_ms
            return Round(result="the books are not available")
        self._books_away.ends(f"the books answer again: orders are delivered to {self.switch}")
        if self._failures:
            self._failures = 0
            self._record_error("")
        return done

    def _round(self) -> Round:
        now_ms = self.clock()
        with reading(self.engine) as conn:
            waiting = deliveries.due_count(conn, self.switch)
        if not waiting and now_ms - self._looked_ms < self.pace.look_ms:
            return Round()
        if not self._have_lease():
            self.report(Standby(self.switch))
            return Round(result="another holds the lease")
        self._looked_ms = now_ms
        held = self._held()
        self.report(Reached(self.switch))
        if held:
            return Round(result="held")
        boot = self.control.identity()
        with reading(self.engine) as conn:
            state = switches.state(conn, self.switch)
        restarted = boot != state.boot
        if restarted:
            self._resync(boot)
        sent, finished = self._send_due()
        if not finished:
            return Round(sent, result="held")
        missing = surplus = 0
        if restarted or now_ms - self._compared_ms >= self.pace.compare_ms:
            missing, surplus = self._compare()
            self._compared_ms = now_ms
        return Round(sent, missing, surplus)

    # --- lease and hold ---

    def _have_lease(self) -> bool:
        now_ms = self.clock()
        if self._lease and self._lease.until_ms - now_ms > self.pace.lease_ms // 2:
            return True
        with writing(self.engine) as conn:
            self._lease = leases.acquire(conn, f"switch {self.switch}", self.holder, self.pace.lease_ms, now_ms)
        self.fault("lease")
        if self._lease is None:
            return False
        self.control.fence = self._lease.fence
        return True

    def _held(self) -> bool:
        """Whether the switch is held, by the books or by its own flag. A hold in one place is copied to the other: only a person clears it."""
        held_there = self.control.hold()
        with reading(self.engine) as conn:
            hold = switches.holds(conn).get(self.switch)
        self.fault("hold")
        if hold and not held_there:
            with writing(self.engine) as conn:
                # The switch lost the flag in a restart, or was away when it was set; unless a person has just cleared the hold.
                # `hold.clear` locks the books over both of its steps, so that this reads the state before them or after them.
                hold = switches.holds(conn).get(self.switch)
                if hold:
                    self.control.set_hold(True)
        if held_there and not hold:
            with writing(self.engine) as conn:
                # Read again inside the transaction: a person may just have cleared both.
                if self.control.hold():
                    switches.hold(conn, self.switch, "switch", "the hold flag was set at the switch itself", self.clock())
                    return True
            return False
        return bool(hold)

    # --- sending ---

    def _resync(self, boot: str) -> None:
        """The switch has restarted, or is new: the rows that it does not hold are due, in their own order."""
        lost = {table: self._drift(table).missing for table in TABLES}
        self._routes_compared_ms = self.clock()
        self.fault("resync")
        self._make_due(lost)
        with writing(self.engine) as conn:
            what = f"{sum(map(len, lost.values()))} rows that it does not hold; boot {boot}"
            audit.note(conn, "dispatcher", "looks at a switch anew", self.switch, what, self.clock())
            switches.set_state(conn, self.switch, boot=boot, seen_ms=self.clock())

    def _send_due(self) -> tuple[int, bool]:
        """Sends until no row is due. (sent, False) = a person held the switch meanwhile, or the lease is lost."""
        sent = 0
        while True:
            with reading(self.engine) as conn:
                rows = deliveries.due(conn, self.switch, self.pace.chunk)
            if not rows:
                return sent, True
            if sent and (not self._have_lease() or self._held()):
                return sent, False
            done: list[Delivery] = []
            failed: list[tuple[Delivery, ControlError]] = []
            try:
                failed = self._send(rows)
                refused = {id(row) for row, _ in failed}
                done = [row for row in rows if id(row) not in refused]
            finally:
                self.fault("acknowledge")
                now_ms = self.clock()
                with writing(self.engine) as conn:
                    learned = deliveries.learned(conn, done)
                    deliveries.acknowledge(conn, done, now_ms)
                    deliveries.refused(conn, [row for row, _ in failed])
                self.fault("acknowledged")
                for table, moments in learned.items():
                    self.report(Acknowledged(table, [(now_ms - learned_ms) / 1000 for learned_ms in moments]))
            sent += len(done)
            if failed:
                raise failed[0][1]

    def _send(self, rows: list[Delivery]) -> list[tuple[Delivery, ControlError]]:
        """All in one command; where the switch refuses it, one by one, so that the others do not wait behind a bad row."""
        changes = [self._change(row) for row in rows]
        failed: list[tuple[Delivery, ControlError]] = []
        try:
            self.control.apply([change for change in changes if change])
        except (Unreachable, Fenced, Denied):
            raise
        except ControlError:
            for row, change in zip(rows, changes, strict=True):
                try:
                    self.control.apply([change] if change else [])
                except (Unreachable, Fenced, Denied):
                    raise
                except ControlError as error:
                    failed.append((row, error))
        for _ in rows:
            self.fault("sent")
        return failed

    def _change(self, row: Delivery) -> Change | None:
        """The command for a row. None: the row expired while it waited to be sent."""
        self.fault("send")
        now_ms = self.clock()
        if not row.value or not row.until_ms:
            return Change(row.table, row.name, row.value, 0)
        if row.until_ms <= now_ms:
            return None
        return Change(row.table, row.name, row.value, seconds_left(row.until_ms, now_ms))

    # --- comparing ---

    def _compare(self) -> tuple[int, int]:
        """Compares what the switch holds with the books: missing rows are due again, surplus rows are removed, both are counted."""
        self.fault("compare")
        now_ms = self.clock()
        with_routes = now_ms - self._routes_compared_ms >= self.pace.compare_routes_ms
        if with_routes:
            self._routes_compared_ms = now_ms
        found = {table: self._drift(table) for table in TABLES if with_routes or table != ROUTES}
        surplus = [Change(table, name, "", 0) for table, one in found.items() for name in one.surplus]
        self.control.apply(surplus)
        missing = sum(len(one.missing) for one in found.values())
        now_ms = self.clock()
        self._make_due({table: one.missing for table, one in found.items()})
        with writing(self.engine) as conn:
            deliveries.sweep(conn, self.switch, now_ms - self.pace.swept_ms)
            state = switches.state(conn, self.switch)
            drift = {"missing": state.missing + missing, "strangers": state.strangers + len(surplus)}
            switches.set_state(conn, self.switch, seen_ms=now_ms, compared_ms=now_ms, **drift)
            self.report(Drifted(self.switch, missing, len(surplus)))
            if missing or surplus:
                what = ", ".join(f"{table}: {len(one.missing)} missing, {len(one.surplus)} surplus" for table, one in found.items() if any(one))
                audit.note(conn, "dispatcher", "drift", self.switch, what, now_ms)
                log.warning("the switch differed from the books, and was repaired", switch=self.switch, missing=missing, surplus=len(surplus))
        return missing, len(surplus)

    def _make_due(self, missing: dict[str, list[str]]) -> None:
        """Table -> names that are sent again, in short transactions: others write to the books too."""
        for table, names in missing.items():
            for start in range(0, len(names), self.pace.chunk):
                with writing(self.engine) as conn:
                    deliveries.make_due(conn, self.switch, table, names[start : start + self.pace.chunk])

    def _drift(self, table: str) -> Drift:
        """How one table differs. A protected number that is at the switch alone stays there: it blocks nobody."""
        with reading(self.engine) as conn:
            rows = deliveries.rows(conn, self.switch, table)
        soon_ms = self.clock() + 2_000  # an entry in its last seconds may be gone already
        wanted = {
            name: DesiredRow(value, bool(value) and not due and (not until_ms or until_ms > soon_ms)) for name, value, until_ms, due in rows
        }
        found = self.control.compare(table, wanted)
        return found._replace(surplus=[]) if table == PROTECTED else found

    # --- failing ---

    def _failed(self, error: ControlError) -> None:
        self._failures += 1
        self._retry_at_ms = self.clock() + round(backoff(self._failures, self.pace.retry_ms, self.pace.retry_most_ms))
        if isinstance(error, Fenced):
            self._lease = None  # another deliverer serves the switch: this one waits for the lease
        if self._failures == 1:
            log.warning("orders cannot be delivered to the switch: they wait in the books", switch=self.switch, error=str(error))
            self._record_error(str(error))

    def _record_error(self, error: str) -> None:
        try:
            with writing(self.engine) as conn:
                switches.set_state(conn, self.switch, error=audit.clean(error, 300))
                audit.note(conn, "dispatcher", "switch away" if error else "switch back", self.switch, error, self.clock())
        except Unavailable:
            log.exception("the state of the switch could not be written to the books", switch=self.switch)
