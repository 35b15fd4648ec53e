"""From the books to one switch: what is due is sent, what drifted is repaired, what a person holds is left alone.

One round, in this order. A crash after any line leaves what stands beside it, and the next round goes on from there:

1. lease        another deliverer waits until it runs out; the switch refuses our number once it has heard a higher one
2. hold         nothing: a held switch gets no command at all
3. protected    the switch protects more than before: harmless; what is to be taken off is taken off in the next round
4. send         the switch has the entry, the books say `due`: it is sent again, to the same effect
5. acknowledge  the books and the switch agree
6. version      (after a restart of the switch) everything was sent but not signed: everything is sent once more
7. compare      missing entries are due again, strangers are gone

A compare is exact at any size, and takes no entry away that should be there: the switch sums up its own table (`switches.digest`),
and only the buckets whose sums differ from the books' are listed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from books import BooksError, Engine, Unavailable, audit, deliveries, leases, lists, reading, switches, writing
from books.deliveries import BLOCKS, SHADOW, Delivery
from core.config import path
from core.decide import Listed
from core.orders import Key
from core.telling import Tell, nobody
from switches.control import (
    PROTECTED,
    Change,
    Control,
    ControlError,
    Denied,
    Digest,
    Fenced,
    Unreachable,
    entry,
    entry_of,
    seconds_left,
)
from switches.digest import explains, mark
from switches.once import Once

log = structlog.get_logger(__name__)

STEPS = ("lease", "hold", "protected", "send", "sent", "acknowledge", "acknowledged", "version", "compare")
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
        tell: Tell = nobody,
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
        self._protected: dict[str, str] | None = None  # as we last made them at the switch
        self._protected_seen: Digest | None = None  # the table's sums when all of them stood there
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
        boot = self._control.boot()
        with reading(self._engine) as conn:
            state = switches.state(conn, self.switch)
        anew = not boot or boot != state.boot or not state.version or self._control.version() != state.version
        if anew:
            self._start_anew(boot)
        if not self._protect():
            return Round(word="held")
        sent, finished = self._send_due()
        if not finished:
            return Round(sent, word="held")
        if anew:
            self._sign(boot)
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
        if self._control.fence != self._lease.fence:
            self._control.fence = self._lease.fence
            self._protected = None  # another one may have been here
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

    def _start_anew(self, boot: str) -> None:
        """The switch has restarted, or was never signed by us: everything is due."""
        with writing(self._engine) as conn:
            count = deliveries.make_all_due(conn, self.switch)
            audit.note(conn, "dispatcher", "sends everything", self.switch, f"{count} entries; boot {boot}", self._clock())
        self._protected = None

    def _protect(self) -> bool:
        """Protected numbers, accounts and trunks stand at the switch before any block does. False = a person holds the switch."""
        with reading(self._engine) as conn:
            wanted = protected_entries(lists.every(conn, "protected"))
            ours = switches.protected_there(conn, self.switch)
        if wanted == self._protected:
            return True
        # What only a list of ours has put there is ours to take off: the switch's own configuration protects numbers too.
        known = ours if self._protected is not None else {}
        with writing(self._engine) as conn:
            switches.set_state(conn, self.switch, protected=switches.protected_text({**ours, **wanted}))
        self._fault("protected")
        changes = [Change(PROTECTED, name, why, 0) for name, why in wanted.items() if known.get(name) != why]
        changes += [Change(PROTECTED, name, "", 0) for name in ours.keys() - wanted.keys()]
        for start in range(0, len(changes), self._pace.chunk):
            if start and self._held():
                return False
            self._control.set_many(changes[start : start + self._pace.chunk])
        with writing(self._engine) as conn:
            switches.set_state(conn, self.switch, protected=switches.protected_text(wanted))
        self._protected, self._protected_seen = wanted, None
        return True

    def _compare_protected(self) -> int:
        """Sets again what is protected and does not stand at the switch; how many those were. What only the switch's own configuration
        protects is left there."""
        seen = self._control.digest(PROTECTED)
        if not self._protected or seen == self._protected_seen:
            return 0
        buckets = {mark(name, why)[0] for name, why in self._protected.items()}
        held = self._control.listed(PROTECTED, sorted(buckets), seen.entries)
        lost = [Change(PROTECTED, name, why, 0) for name, why in self._protected.items() if held.get(name) != why]
        self._control.set_many(lost)
        self._protected_seen = self._control.digest(PROTECTED) if lost else seen
        return len(lost)

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
                    deliveries.make_due(conn, [row for row, _ in failed], 0)
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
            self._control.set_many([change for change in changes if change])
        except (Unreachable, Fenced, Denied):
            raise
        except ControlError:
            for row, change in zip(rows, changes, strict=True):
                try:
                    self._control.set_many([change] if change else [])
                except (Unreachable, Fenced, Denied):
                    raise
                except ControlError as error:
                    failed.append((row, error))
        for _ in rows:
            self._fault("sent")
        return failed

    def _change(self, row: Delivery) -> Change | None:
        """What the switch is told. None: it ended while it waited to be sent."""
        self._fault("send")
        now_ms = self._clock()
        if not row.order_id:
            return Change(row.table, entry(row.key), "", 0)
        if row.expires_at_ms <= now_ms:
            return None
        return Change(row.table, entry(row.key), row.order_id, seconds_left(row.expires_at_ms, now_ms))

    def _sign(self, boot: str) -> None:
        """Everything has been sent: the version key says so, at the switch first."""
        version = f"{self._control.fence}.{self._clock()}"
        self._control.set_version(version)
        self._fault("version")
        with writing(self._engine) as conn:
            switches.set_state(conn, self.switch, boot=boot, version=version, seen_ms=self._clock())

    # --- comparing ---

    def _compare(self) -> tuple[int, int]:
        """What the switch holds against what it should: missing entries are due again, strangers are removed, both are
        counted."""
        self._fault("compare")
        missing: list[Delivery] = []
        strangers = 0
        unprotected = self._compare_protected()
        for table in (BLOCKS, SHADOW):
            gone, strange = self._compare_table(table)
            missing += gone
            strangers += strange
        now_ms = self._clock()
        for start in range(0, len(missing), self._pace.chunk):  # the books are others' too
            with writing(self._engine) as conn:
                deliveries.make_due(conn, missing[start : start + self._pace.chunk], now_ms)
        with writing(self._engine) as conn:
            deliveries.sweep(conn, self.switch, now_ms - self._pace.swept_ms)
            state = switches.state(conn, self.switch)
            lost = len(missing) + unprotected
            drift = {"missing": state.missing + lost, "strangers": state.strangers + strangers}
            switches.set_state(conn, self.switch, seen_ms=now_ms, compared_ms=now_ms, **drift)
            self._say(Drifted(self.switch, lost, strangers))
            if lost or strangers:
                what = f"{len(missing)} missing, {strangers} strangers, {unprotected} not protected any more"
                audit.note(conn, "dispatcher", "drift", self.switch, what, now_ms)
                log.warning("the switch drifted from the books", switch=self.switch, missing=lost, strangers=strangers)
        return lost, strangers

    def _compare_table(self, table: str) -> tuple[list[Delivery], int]:
        # The switch first: an entry that we delete or add comes later, and is in the books as due or as known.
        seen = self._control.digest(table)
        with reading(self._engine) as conn:
            rows = {entry_of(*row[:5]): row for row in deliveries.wanted(conn, self.switch, table)}
        soon_ms = self._clock() + 2_000  # an entry in its last seconds may be gone already
        sure: dict[int, int] = {}
        unsure: dict[int, list[int]] = {}
        for name, (_, _, _, _, _, order_id, expires_at_ms, due) in rows.items():
            bucket, one = mark(name, order_id)
            if order_id and not due and expires_at_ms > soon_ms:
                sure[bucket] = sure.get(bucket, 0) + one
            elif order_id:
                unsure.setdefault(bucket, []).append(one)
        odd = {
            bucket
            for bucket in sure.keys() | seen.sums.keys()
            if not explains(seen.sums.get(bucket, 0), sure.get(bucket, 0), unsure.get(bucket, []))
        }
        if not odd:
            return [], 0
        held = self._control.listed(table, sorted(odd & seen.sums.keys()), seen.entries)
        missing = []
        for name, (tenant, account, trunk, a_number, b_range, order_id, expires_at_ms, due) in rows.items():
            lasting = order_id and not due and expires_at_ms > soon_ms
            if lasting and mark(name, order_id)[0] in odd and held.get(name) != order_id:
                key = Key(tenant=tenant, account=account, ingress_trunk=trunk, a_number=a_number, b_range=b_range)
                missing.append(Delivery(self.switch, table, key, order_id, expires_at_ms, False, None))
        # An expired entry is listed until it is swept; asked for by name it is gone.
        strangers = [name for name in held.keys() - rows.keys() if self._control.get_block(name, table)]
        self._control.set_many([Change(table, name, "", 0) for name in strangers])
        return missing, len(strangers)

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


def protected_entries(rows: list[Listed]) -> dict[str, str]:
    """The protected list as the switch's table spells it. The reason is cut to plain letters: the switch reads no quotes.

    >>> protected_entries([Listed("protected", "trunk", "", "tg1", 'our "own" line', "ops", 0)])
    {'T|tg1': 'our own line'}
    """
    letter = {"number": "", "account": "A|", "trunk": "T|"}
    return {letter[row.kind] + path(row.tenant, row.value): plain(row.why) or "protected" for row in rows}


def plain(text: str) -> str:
    return "".join(c for c in text if c.isascii() and (c.isalnum() or c in " .,:+-"))[:60]
