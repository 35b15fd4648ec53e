"""`ringfence enforce`: whether a switch refuses blocked calls, or only marks them (shadow mode)."""

from __future__ import annotations

from typing import Annotated

import typer

from core.clock import wall_clock_ms
from ringfence import options
from ringfence.options import Home, Tenant, Who, Why

EPILOG = """
Every switch starts in shadow mode: all calls pass, and the records of calls that would have been refused are marked. The setting also applies to
orders that are live now: orders in shadow are enforced from then on, and the other way round.

**Examples**

Show the mode of each switch:

`ringfence enforce`

After a week of checking which calls would have been refused:

`ringfence enforce --switch k1 --why "a week in shadow, no honest call marked"`

Back to shadow: `ringfence enforce --switch k1 --off --why "a new trunk is being tried"`
"""


def enforce(
    switch: Annotated[str, typer.Option(help="The switch; without it, the mode of each switch is shown.", show_default=False)] = "",
    off: Annotated[bool, typer.Option("--off", help="Back to shadow.")] = False,
    why: Why = "",
    tenant: Tenant = "",
    who: Who = "",
    home: Home = None,
) -> None:
    """Make a switch refuse the calls of a tenant's blocks, or put it back in shadow."""
    from books import switches
    from ringfence import messages
    from services import blocks
    from services import switches as service
    from services.installation import books, tenant_of

    with books(options.settings_of(home).installation) as conn:
        known = [one.name for one in switches.every(conn)]
        if switch:
            options.check_why(why)
            owner = tenant_of(conn, tenant)
            service.enforce(conn, switch, owner, not off, options.login(who), why, wall_clock_ms())
        held = switches.holds(conn)
        for one in known:
            for name, on in sorted(switches.tenants_of(conn, one).items()):
                hold = f"   HELD by {held[one].who}: {held[one].why}" if one in held else ""
                typer.echo(f"{one:12} {name:12} {'enforcing' if on else 'shadow'}{hold}")
        if switch and (later := messages.undelivered(blocks.undelivered(conn, wall_clock_ms(), owner), "this")):
            typer.echo(later)
