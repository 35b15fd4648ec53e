"""From the books to one switch: what is due is sent, what drifted is repaired, what a person holds is left alone.

One round, in this order. A crash after any line leaves what stands beside it, and the next round goes on from there:

1. lease        another deliverer waits until it runs out; the switch refuses our number once it was sent a higher one
2. hold         nothing: a held switch gets no command at all
3. look anew    (after a restart of the switch) what it lost is due; the books have its new boot
4. send         the switch has the row, the books say `due`: it is sent again, to the same effect
5. acknowledge  the books and the switch agree
6. compare      missing rows are due again, strangers are gone

Rows are sent in the order of `books.deliveries.urgency`: protected numbers before any block, a dial plan before the sources that name it,
and what is removed last, so that no address is without its trunk that has one before and after.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from books import BooksError, Engine, Unavailable, audit, deliveries, leases, reading, switches, writing
from books.deliveries import PROTECTED, TABLES, Delivery
from core.reporting import Report, ignore
from switches.control import Change, Control, ControlError, Denied, Drift, Fenced, Unreachable, Wanted, seconds_left
from switches.once import Once

log = structlog.get_logger(__name__)

STEPS = ("lease", "hold", "anew", "send", "sent", "acknowledge", "acknowledged", "compare")
"""Where `fault` is called: tests kill the process there."""


@dataclass(frozen=True)
class Pace:
    """How often and how much."""

    look_ms: int = 1_000  # an idle switch is asked for its hold flag, boot and version
    compare_ms: int = 5_000
    chunk: int = 500  # entries between two looks at the hold flag
    lease_ms: int = 4_000  # after a crash of its holder, the next one waits so long
    swept_ms: int = 60_000  # an expired entry may still be counted at the switch for so long
    retry_ms: int = 250
    retry_most_ms: int = 5_000


class Round(NamedTuple):
    """What one round did."""

    sent: int = 0
    missing: int = 0
    strangers: int = 0
    word: str = ""  # held | another holds the lease | away: why


class Reached(NamedTuple):
    """What is told when the switch has answered."""

    switch: str


class Standby(NamedTuple):
    """What is told while another one delivers to the switch."""

    switch: str


class Acknowledged(NamedTuple):
    """What is told of automatic orders that a switch has for the first time: since we learned of the records that decided on them."""

    table: str
    seconds: list[float]


class Drifted(NamedTuple):
    """What is told of a comparison."""

    switch: str
    missing: int
    strangers: int


def no_fault(step: str) -> None:
    """Nothing goes wrong here."""


class Deliverer:
    """The one who talks to a switch, while it has the lease. For one thread."""

    def __init__(
        self,
        engine: Engine,
        switch: str,
        control: Control,
        clock: Callable[[], int],
        holder: str,
        pace: Pace = Pace(),
        fault: Callable[[str], None] = no_fault,
        tell: Report = ignore,
    ) -> None:
        self._engine = engine
        self.switch = switch
        self._control = control
        self._clock = clock
        self._holder = holder
        self._pace = pace
        self._fault = fault
        self._say = tell
        self._lease: leases.Lease | None = None
        self._looked_ms = self._compared_ms = -(10**15)
        self._failures = 0
        self._retry_at_ms = 0
        self._books_away = Once(log.warning)

    def close(self) -> None:
        """Gives the lease back, so that the next deliverer need not wait for its end."""
        try:
            if self._lease:
                with writing(self._engine) as conn:
                    leases.release(conn, self._lease)
        except BooksError as error:
            log.warning("the lease is not given back: it runs out by itself", switch=self.switch, error=str(error))
        finally:
            self._lease = None
            self._control.close()

    def round(self) -> Round:
        """One round. A switch that is away, slow or talks nonsense is tried again, later each time; the books keep what is
        due."""
        if self._clock() < self._retry_at_ms:
            return Round(word="away")
        try:
            done = self._round()
        except ControlError as error:
            self._failed(error)
            return Round(word=f"away: {error}")
        except Unavailable as error:
            self._books_away.begins(f"nothing is delivered to {self.switch} while the books are away: {error}")
            self._retry_at_ms = self._clock() + self._pace.retry_ms
            return Round(word="the books are not available")
        self._books_away.ends(f"the books answer again: {self.switch} is served")
        if self._failures:
            self._failures = 0
            self._tell("")
        return done

    def _round(self) -> Round:
        now_ms = self._clock()
        with reading(self._engine) as conn:
            waiting = deliveries.due_count(conn, self.switch)
        looking = now_ms - self._looked_ms >= self._pace.look_ms
        if not waiting and not looking:
            return Round()
        if not self._have_lease():
            self._say(Standby(self.switch))
            return Round(word="another holds the lease")
        self._looked_ms = now_ms
        held = self._held()
        self._say(Reached(self.switch))
        if held:
            return Round(word="held")
        boot = self._control.identity()
        with reading(self._engine) as conn:
            state = switches.state(conn, self.switch)
        anew = boot != state.boot
        if anew:
            self._look_anew(boot)
        sent, finished = self._send_due()
        if not finished:
            return Round(sent, word="held")
        missing = strangers = 0
        if anew or now_ms - self._compared_ms >= self._pace.compare_ms:
            missing, strangers = self._compare()
            self._compared_ms = now_ms
        return Round(sent, missing, strangers)

    # --- lease and hold ---

    def _have_lease(self) -> bool:
        now_ms = self._clock()
        if self._lease and self._lease.until_ms - now_ms > self._pace.lease_ms // 2:
            return True
        with writing(self._engine) as conn:
            self._lease = leases.acquire(conn, f"switch {self.switch}", self._holder, self._pace.lease_ms, now_ms)
        self._fault("lease")
        if self._lease is None:
            return False
        self._control.fence = self._lease.fence
        return True

    def _held(self) -> bool:
        """What the books or the switch say. Seen at one, it is made so at the other: only a person clears it."""
        held_there = self._control.hold()
        with reading(self._engine) as conn:
            hold = switches.holds(conn).get(self.switch)
        self._fault("hold")
        if hold and not held_there:
            with writing(self._engine) as conn:
                # The switch lost it in a restart, or was away when it was asked for; unless a person has just cleared it.
                # `hold.clear` keeps the books locked over both of its steps, so what is read here is before them or after.
                hold = switches.holds(conn).get(self.switch)
                if hold:
                    self._control.set_hold(True)
        if held_there and not hold:
            with writing(self._engine) as conn:
                # Read once more inside the transaction: a person may just have cleared both.
                if self._control.hold():
                    switches.hold(conn, self.switch, "switch", "the hold flag was seen at the switch", self._clock())
                    return True
            return False
        return bool(hold)

    # --- sending ---

    def _look_anew(self, boot: str) -> None:
        """The switch has restarted, or we have never been there: what it does not hold is due, in its own order."""
        gone = {table: self._drift(table).missing for table in TABLES}
        self._fault("anew")
        for table, names in gone.items():
            for start in range(0, len(names), self._pace.chunk):  # the books are others' too
                with writing(self._engine) as conn:
                    deliveries.make_due(conn, self.switch, table, names[start : start + self._pace.chunk])
        with writing(self._engine) as conn:
            what = f"{sum(map(len, gone.values()))} rows that it does not hold; boot {boot}"
            audit.note(conn, "dispatcher", "looks at a switch anew", self.switch, what, self._clock())
            switches.set_state(conn, self.switch, boot=boot, seen_ms=self._clock())

    def _send_due(self) -> tuple[int, bool]:
        """Sends until nothing is due. (sent, False) = a person held the switch meanwhile."""
        sent = 0
        while True:
            with reading(self._engine) as conn:
                rows = deliveries.due(conn, self.switch, self._pace.chunk)
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
                self._fault("acknowledge")
                now_ms = self._clock()
                with writing(self._engine) as conn:
                    learned = deliveries.learned(conn, done)
                    deliveries.acknowledge(conn, done, now_ms)
                    deliveries.refused(conn, [row for row, _ in failed])
                self._fault("acknowledged")
                for table, moments in learned.items():
                    self._say(Acknowledged(table, [(now_ms - learned_ms) / 1000 for learned_ms in moments]))
            sent += len(done)
            if failed:
                raise failed[0][1]

    def _send(self, rows: list[Delivery]) -> list[tuple[Delivery, ControlError]]:
        """All in one go; where the switch does not take them so, one by one: the others need not wait behind a bad one."""
        changes = [self._change(row) for row in rows]
        failed: list[tuple[Delivery, ControlError]] = []
        try:
            self._control.apply([change for change in changes if change])
        except (Unreachable, Fenced, Denied):
            raise
        except ControlError:
            for row, change in zip(rows, changes, strict=True):
                try:
                    self._control.apply([change] if change else [])
                except (Unreachable, Fenced, Denied):
                    raise
                except ControlError as error:
                    failed.append((row, error))
        for _ in rows:
            self._fault("sent")
        return failed

    def _change(self, row: Delivery) -> Change | None:
        """What is asked of the switch. None: the row ended while it waited to be sent."""
        self._fault("send")
        now_ms = self._clock()
        if not row.value or not row.until_ms:
            return Change(row.table, row.name, row.value, 0)
        if row.until_ms <= now_ms:
            return None
        return Change(row.table, row.name, row.value, seconds_left(row.until_ms, now_ms))

    # --- comparing ---

    def _compare(self) -> tuple[int, int]:
        """What the switch holds against what it should: missing rows are due again, strangers are removed, both are counted."""
        self._fault("compare")
        found = {table: self._drift(table) for table in TABLES}
        strangers = [Change(table, name, "", 0) for table, one in found.items() for name in one.strangers]
        self._control.apply(strangers)
        missing = sum(len(one.missing) for one in found.values())
        now_ms = self._clock()
        for table, one in found.items():
            for start in range(0, len(one.missing), self._pace.chunk):
                with writing(self._engine) as conn:
                    deliveries.make_due(conn, self.switch, table, one.missing[start : start + self._pace.chunk])
        with writing(self._engine) as conn:
            deliveries.sweep(conn, self.switch, now_ms - self._pace.swept_ms)
            state = switches.state(conn, self.switch)
            drift = {"missing": state.missing + missing, "strangers": state.strangers + len(strangers)}
            switches.set_state(conn, self.switch, seen_ms=now_ms, compared_ms=now_ms, **drift)
            self._say(Drifted(self.switch, missing, len(strangers)))
            if missing or strangers:
                what = ", ".join(f"{table}: {len(one.missing)} missing, {len(one.strangers)} strangers" for table, one in found.items() if any(one))
                audit.note(conn, "dispatcher", "drift", self.switch, what, now_ms)
                log.warning("the switch drifted from the books", switch=self.switch, missing=missing, strangers=len(strangers))
        return missing, len(strangers)

    def _drift(self, table: str) -> Drift:
        """How one table differs. What is protected at the switch and not in the books stays: it blocks nobody."""
        with reading(self._engine) as conn:
            rows = deliveries.rows(conn, self.switch, table)
        soon_ms = self._clock() + 2_000  # an entry in its last seconds may be gone already
        wanted = {
            name: Wanted(value, bool(value) and not due and (not until_ms or until_ms > soon_ms)) for name, value, until_ms, due in rows
        }
        found = self._control.compare(table, wanted)
        return found._replace(strangers=[]) if table == PROTECTED else found

    # --- failing ---

    def _failed(self, error: ControlError) -> None:
        pace = self._pace
        self._retry_at_ms = self._clock() + min(pace.retry_most_ms, pace.retry_ms * 2 ** min(self._failures, 10))
        if isinstance(error, Fenced):
            self._lease = None  # another deliverer is at work: back to the queue for the lease
        if not self._failures:
            log.warning("the switch does not take orders", switch=self.switch, error=str(error))
            self._tell(str(error))
        self._failures += 1

    def _tell(self, error: str) -> None:
        try:
            with writing(self._engine) as conn:
                switches.set_state(conn, self.switch, error=audit.clean(error, 300))
                audit.note(conn, "dispatcher", "switch away" if error else "switch back", self.switch, error, self._clock())
        except Unavailable:
            log.exception("what became of the switch could not be written down", switch=self.switch)
