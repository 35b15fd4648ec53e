"""`ringfence switch`: the switches to which orders are delivered."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.clock import wall_clock_ms
from ringfence import messages, options
from ringfence.options import Home, Tenant, Who, Why

EPILOG = """
`ringfence up --kamailio` adds its own switch to the books. Add one on another machine with `add`: the dispatcher delivers to it from
then on, in shadow until `ringfence enforce`. It posts its records with a token of its own: `ringfence credential add`.

**Examples**

`ringfence switch add k2 --control-url http://192.0.2.1:5090/RPC --control-token-file k2.token --why "second switch, Vienna"`

`ringfence switch list`
"""

TOKEN_BYTES = 4096

app = typer.Typer(no_args_is_help=True, epilog=EPILOG)


@app.callback()
def switch() -> None:
    """Switches that take orders: their control ports, tenants and state."""


@app.command(epilog=EPILOG)
def add(
    name: Annotated[str, typer.Argument(help="The name that the switch uses in its records.", show_default=False)],
    control_url: Annotated[str, typer.Option(help="URL of its control port: http://ADDRESS:PORT/RPC.", show_default=False)],
    control_token_file: Annotated[
        Path,
        typer.Option(exists=True, dir_okay=False, help="A file with its control token.", show_default=False),
    ],
    why: Why,
    tenant: Tenant = "",
    who: Who = "",
    home: Home = None,
) -> None:
    """Add a switch, or change its address. It is in shadow for its tenant until a person makes it enforce."""
    from services import files, switches
    from services.installation import books, tenant_of

    try:
        token = files.read(control_token_file, TOKEN_BYTES).decode().strip()
    except OSError as error:
        options.give_up(f"{control_token_file} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        options.give_up(f"{control_token_file} is not a text file: it must contain the token and nothing else")
    with books(options.settings_of(home).installation) as conn:
        owner = tenant_of(conn, tenant)
        on = switches.add(conn, name, control_url, token, owner, options.login(who), why, wall_clock_ms())
    typer.echo(
        f"{name} takes orders of tenant {owner} at {control_url}, {'enforcing' if on else 'in shadow'}. `ringfence switch list` shows its state."
    )


@app.command("list", epilog=EPILOG)
def list_(home: Home = None) -> None:
    """List the switches: address, tenants, and the last contact with the dispatcher."""
    from books import switches
    from services.installation import books

    with books(options.settings_of(home).installation) as conn:
        every = switches.every(conn)
        if not every:
            typer.echo("There are no switches in the books.")
        held = switches.holds(conn)
        for one in every:
            state = switches.state(conn, one.name)
            contact = f"last contact {messages.date_time(state.seen_ms)}" if state.seen_ms else "no contact yet"
            typer.echo(f"{one.name:12} {one.kind:10} {one.control_url}   {contact}{'   ' + state.error if state.error else ''}")
            for tenant, on in sorted(switches.tenants_of(conn, one.name).items()):
                typer.echo(f"    {tenant:12} {'enforcing' if on else 'shadow'}")
            if one.name in held:
                typer.echo(f"    HELD by {held[one.name].who}: {held[one.name].why}")
