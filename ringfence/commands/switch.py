"""`ringfence switch`: where orders go."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ringfence import options
from ringfence.options import Home, Tenant, Who, Why

EPILOG = """
`ringfence up --kamailio` adds its own switch to the books. Add one on another machine here: the dispatcher delivers to it from
then on, in shadow until `ringfence enforce`. Its records come in with a token of their own: `ringfence credential add`.

**Examples**

`ringfence switch add k2 --control-url http://192.0.2.1:5090/RPC --control-token-file k2.token --why "second switch, Vienna"`

`ringfence switch list`
"""

TOKEN_BYTES = 4096

app = typer.Typer(no_args_is_help=True, epilog=EPILOG)


@app.callback()
def switch() -> None:
    """Switches that take orders: where their control port is, whose calls they carry, and how they are."""


@app.command(epilog=EPILOG)
def add(
    name: Annotated[str, typer.Argument(help="As the switch calls itself in its records.", show_default=False)],
    control_url: Annotated[str, typer.Option(help="Its control port: http://ADDRESS:PORT/RPC.", show_default=False)],
    control_token_file: Annotated[
        Path,
        typer.Option(exists=True, dir_okay=False, help="A file with its control token.", show_default=False),
    ],
    why: Why,
    tenant: Tenant = "",
    who: Who = "",
    home: Home = None,
) -> None:
    """Name a switch, or its new address. It is in shadow for its tenant until a person makes it enforce."""
    from urllib.parse import urlsplit

    from books import audit, switches
    from core.safety import named
    from ringfence import by_hand, files

    if not named(name):
        raise typer.BadParameter(f"{name!r} is no switch's name: letters, digits, . _ - @ +, at most 64")
    parts = urlsplit(control_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise typer.BadParameter(f"--control-url {control_url!r} is not http://ADDRESS:PORT/RPC")
    try:
        token = files.read(control_token_file, TOKEN_BYTES).decode().strip()
    except OSError as error:
        options.give_up(f"{control_token_file} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        options.give_up(f"{control_token_file} is no text: it holds the token and nothing else")
    if len(token) < 16:
        raise typer.BadParameter("a control token of fewer than 16 characters can be guessed")
    now_ms = time.time_ns() // 1_000_000
    with by_hand.books(options.settings_of(home)) as conn:
        owner = by_hand.tenant(conn, tenant)
        switches.add(conn, name, "kamailio", control_url, token, now_ms)
        switches.serve(conn, name, owner, now_ms)
        audit.note(conn, options.login(who), "switch named", f"{name} at {control_url} for {owner}", why, now_ms)
        on = switches.enforcing(conn, name, owner)
    typer.echo(
        f"{name} takes orders of tenant {owner} at {control_url}, {'enforcing' if on else 'in shadow'}. `ringfence switch list` says how it is."
    )


@app.command("list", epilog=EPILOG)
def list_(home: Home = None) -> None:
    """Each switch: its address, its tenants, and what the dispatcher last saw of it."""
    from datetime import UTC, datetime

    from books import switches
    from ringfence import by_hand

    with by_hand.books(options.settings_of(home)) as conn:
        every = switches.every(conn)
        if not every:
            typer.echo("The books name no switch.")
        held = switches.holds(conn)
        for one in every:
            state = switches.state(conn, one.name)
            seen = (
                f"seen {datetime.fromtimestamp(state.seen_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}" if state.seen_ms else "never seen"
            )
            typer.echo(f"{one.name:12} {one.kind:10} {one.control_url}   {seen}{'   ' + state.error if state.error else ''}")
            for tenant, on in sorted(switches.tenants_of(conn, one.name).items()):
                typer.echo(f"    {tenant:12} {'enforcing' if on else 'shadow'}")
            if one.name in held:
                typer.echo(f"    HELD by {held[one.name].who}: {held[one.name].why}")
