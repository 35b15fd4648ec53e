"""What a person at the keyboard does to the books."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import typer

from books import BooksError, Connection, Engine, configs, leases, open_books, orders, switches, tenants, writing
from core.numbers import DialPlan
from core.orders import Key
from core.safety import SHORT
from ringfence import options
from ringfence.settings import Settings
from switches import hold as at_switches


@contextmanager
def books(settings: Settings) -> Iterator[Connection]:
    """The books of an installation, in one transaction."""
    engine = _engine(settings)
    try:
        with writing(engine) as conn:
            yield conn
    finally:
        engine.dispose()


def has_books(settings: Settings) -> bool:
    """Whether an installation was ever started here. Books elsewhere are taken to be there."""
    return bool(settings.books) or (settings.root / "books.db").exists()


def _engine(settings: Settings) -> Engine:
    if not has_books(settings):
        options.give_up(f"There are no books under {settings.root}: start `ringfence up` once, or name the --home.")
    return open_books(settings.books_dsn)


def tenant(conn: Connection, name: str) -> str:
    """The tenant that was named, or the only one."""
    every = tenants.every(conn)
    if name and name not in every:
        options.give_up(f"There is no tenant {name!r}; there are: {', '.join(every) or 'none'}.")
    if not name and len(every) != 1:
        options.give_up(f"Which --tenant? There are: {', '.join(every) or 'none'}.")
    return name or every[0]


def block(conn: Connection, key: Key, ttl_ms: int, who: str, why: str, now_ms: int) -> tuple[str, str]:
    """(order id, status) of a person's own order."""
    order_id = orders.block(conn, key, ttl_ms, who, why, now_ms)
    kept = orders.find(conn, order_id)
    assert kept is not None
    return order_id, kept.status


LEASE_MS = 6_000
"""A dispatcher whose switch does not answer asks for its lease again after at most so long."""


def not_at_the_switches(conn: Connection, what: str, now_ms: int, tenant: str = "") -> str:
    """A word where nobody tells a switch of it now, or "". `what`: of what, as the line begins. `tenant` "" = of all.

    A dispatcher that works holds the lease of its switch; one that was stopped has given it back, one that was killed loses it.
    """
    every = [one.name for one in switches.every(conn) if not tenant or tenant in switches.tenants_of(conn, one.name)]
    if not every:
        return f"The books name no switch for it: {what} will be at one once it is named (`ringfence switch add`)."
    alone = [name for name in every if not leases.held_lately(conn, f"switch {name}", now_ms - LEASE_MS)]
    held = [name for name in every if name in switches.holds(conn)]
    words = []
    if alone:
        words.append(
            f"No dispatcher is running for {', '.join(alone)}: {what} will be at the switch once one does (`ringfence up`, or "
            "`ringfence flow dispatcher`)."
        )
    if held:
        words.append(f"{', '.join(held)} is held: no block acts there until `ringfence unblock --clear-hold`.")
    return "\n".join(words)


def plan(conn: Connection, account: str = "", trunk: str = "") -> DialPlan:
    """The dial plan by which a person's numbers are read: that of the trunk or of the account's trunks, else of every trunk, where it is
    one and the same; else the plan that takes a number with its country code only."""
    config = configs.load(conn, configs.latest(conn))
    ways_in = [one for one in config.trunks if one.account]
    mine = [one for one in ways_in if (trunk and one.name == trunk) or (account and one.account == account)]
    named = {(one.tenant, one.dial_plan) for one in mine or ways_in}
    plans = {(one.tenant, one.name): msgspec.structs.replace(one, tenant="", name="") for one in config.dial_plans}
    found = {plans.get(key, DialPlan(name="")) for key in named}
    return found.pop() if len(found) == 1 else DialPlan()


def as_read(typed: str, digits: str) -> str:
    """What a number that a person typed was understood as, or "" where that is what was typed.

    >>> as_read("0043 1 50500-99", "4315050099"), as_read("4315050099", "4315050099")
    (' (read as +4315050099)', '')
    """
    return "" if typed.strip().lstrip("+") == digits else f" (read as {'+' if len(digits) > SHORT else ''}{digits})"


def unknown(conn: Connection, key: Key) -> str:
    """A word of warning where the key names nobody that the version in force knows: a typing error blocks nobody."""
    number = configs.latest(conn)
    if not number:
        return ""
    config = configs.load(conn, number)
    word, name, known = ("account", key.account, config.accounts) if key.account else ("trunk", key.ingress_trunk, config.trunks)
    if any((row.tenant, row.name) == (key.tenant, name) for row in known):
        return ""
    return f"Mind: there is no {word} {name!r} of tenant {key.tenant} in force; calls of that name only are refused."


def hold(settings: Settings, on: bool, who: str, why: str, now_ms: int) -> at_switches.HoldResult:
    """All our blocks off at every switch, or on again."""
    engine = _engine(settings)
    try:
        return (at_switches.hold_all if on else at_switches.clear)(engine, who, why, now_ms)
    except BooksError:
        if on:  # the addresses of the switches are in the books, and nowhere else
            typer.echo("No switch is held. At a switch, without us: `touch RUN/hold` (docs/operators.md).", err=True)
        raise
    finally:
        engine.dispose()
