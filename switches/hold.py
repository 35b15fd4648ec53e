"""All our blocks off, at once and at the switches themselves.

Only the books' file must be readable: the switches' addresses are in it. Nothing else of ours needs to be alive. Where even
that is gone, one command beside the switch does the same; Kamailio looks at this file for every call and after every restart:

    touch RUN/hold                          (RUN is the run folder in its configuration; `rm` turns the blocks on again)
    kamcmd htable.seti ctl hold 1           (another Kamailio without that file: in its memory only, until its restart)

Then `clear` is still owed: the dispatcher writes down a hold that it sees at a switch, and delivers nothing until a person
clears it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from books import BooksError, Engine, reading, switches, writing
from books.switches import Switch
from switches.control import ControlError
from switches.kinds import Connect, connect


class Held(NamedTuple):
    """What happened at one switch; `error` "" = it is done there."""

    switch: str
    error: str


class HoldResult(NamedTuple):
    switches: list[Held]
    books_error: str  # "" = the books have it as well: switches that were away are held as soon as they answer

    @property
    def ok(self) -> bool:
        return not self.books_error and not any(held.error for held in self.switches)


def hold_all(engine: Engine, who: str, why: str, now_ms: int, connect: Connect = connect) -> HoldResult:
    """Sets the hold flag at every switch, all at once, and then writes it down. The switches come first: a person waits for
    them, and the books may be locked or full."""
    with reading(engine) as conn:
        known = switches.every(conn)
    done = _at_each(known, True, connect)
    try:
        with writing(engine) as conn:
            for switch in known:
                switches.hold(conn, switch.name, who, why, now_ms)
    except BooksError as error:  # of whatever kind: what was done at the switches must be told
        return HoldResult(done, f"the hold stands at the switches, but not in the books: {error}")
    return HoldResult(done, "")


def clear(engine: Engine, who: str, why: str, now_ms: int, only: str = "", connect: Connect = connect) -> HoldResult:
    """A person lets blocks act and orders through again, at every switch or at one. A switch that does not answer stays held."""
    with reading(engine) as conn:
        known = [switch for switch in switches.every(conn) if only in ("", switch.name)]
    # One transaction over both steps: a dispatcher that saw the one without the other would set the hold again.
    with writing(engine) as conn:
        done = _at_each(known, False, connect)
        for held in done:
            if not held.error:
                switches.clear_hold(conn, held.switch, who, why, now_ms)
    return HoldResult(done, "")


def _at_each(known: list[Switch], on: bool, connect: Connect) -> list[Held]:
    if not known:
        return []
    with ThreadPoolExecutor(max_workers=min(32, len(known))) as pool:
        return list(pool.map(lambda switch: _at(switch, on, connect), known))


def _at(switch: Switch, on: bool, connect: Connect) -> Held:
    try:
        control = connect(switch)
        try:
            control.set_hold(on)
        finally:
            control.close()
    except ControlError as error:
        return Held(switch.name, str(error))
    return Held(switch.name, "")
