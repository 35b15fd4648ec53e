"""Turns all blocks off, at once and at the switches themselves.

Only the books must be readable, for the addresses of the switches; no other part of Ringfence needs to run. Without the books, one command
on the machine of the switch does the same; Kamailio looks at this file for each call and after each restart:

    touch RUN/hold                          (RUN is the run folder in its configuration; `rm` turns the blocks on again)
    kamcmd htable.seti ctl hold 1           (another Kamailio without that file: in its memory only, until its restart)

Afterwards `clear` is needed: the dispatcher stores a hold that it finds at a switch, and delivers nothing until a person clears it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from books import BooksError, Engine, reading, switches, writing
from books.switches import Switch
from switches.control import ControlError
from switches.kinds import connect


class Held(NamedTuple):
    """The result at one switch; `error` "" = done."""

    switch: str
    error: str


class HoldResult(NamedTuple):
    switches: list[Held]
    books_error: str  # "" = stored in the books too: switches that were away are held as soon as they answer

    @property
    def ok(self) -> bool:
        return not self.books_error and not any(held.error for held in self.switches)


def hold_all(engine: Engine, who: str, why: str, now_ms: int) -> HoldResult:
    """Sets the hold flag at all switches in parallel, and then stores it. The switches come first: a person waits for them, and the books may
    be locked or full."""
    with reading(engine) as conn:
        known = switches.every(conn)
    done = _at_each(known, True)
    try:
        with writing(engine) as conn:
            for switch in known:
                switches.hold(conn, switch.name, who, why, now_ms)
    except BooksError as error:  # of any kind: the results at the switches must be returned
        return HoldResult(done, f"the hold is set at the switches, but could not be stored in the books: {error}")
    return HoldResult(done, "")


def clear(engine: Engine, who: str, why: str, now_ms: int) -> HoldResult:
    """Clears the hold at all switches. A switch that does not answer stays held."""
    with reading(engine) as conn:
        known = switches.every(conn)
    # One transaction over both steps: a dispatcher that saw one without the other would set the hold again.
    with writing(engine) as conn:
        done = _at_each(known, False)
        for held in done:
            if not held.error:
                switches.clear_hold(conn, held.switch, who, why, now_ms)
    return HoldResult(done, "")


def _at_each(known: list[Switch], on: bool) -> list[Held]:
    if not known:
        return []
    with ThreadPoolExecutor(max_workers=min(32, len(known))) as pool:
        return list(pool.map(lambda switch: _at(switch, on), known))


def _at(switch: Switch, on: bool) -> Held:
    try:
        control = connect(switch)
        try:
            control.set_hold(on)
        finally:
            control.close()
    except ControlError as error:
        return Held(switch.name, str(error))
    return Held(switch.name, "")
