"""`ringfence credential`: who may post records."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from ringfence import options
from ringfence.options import Home, Json, Who, Why

EPILOG = """
A switch on another machine posts its records with a token of its own: `Authorization: Bearer TOKEN`, to the collector's
`/v1/records`. The token names the tenants whose calls the switch may post. A record says which of them it belongs to; one that
names none belongs to the only one. A record of another tenant is stored as a reject, with the reason.

**Examples**

`ringfence credential add --tenant t1 --switch k2 --source 192.0.2.10 --why "second switch, Vienna"`

`ringfence credential add --tenant t1 --tenant t2 --switch k3 --why "carries both"`

`ringfence credential list`

`ringfence credential revoke 3f9a01c2b7de --why "the machine was given away"`
"""

app = typer.Typer(no_args_is_help=True, epilog=EPILOG)


@app.callback()
def credential() -> None:
    """Tokens with which switches post their records."""


@app.command(epilog=EPILOG)
def add(
    switch: Annotated[str, typer.Option(help="The switch that will post with it.", show_default=False)],
    tenant: Annotated[
        list[str] | None,
        typer.Option(help="A tenant whose calls the switch posts; may be repeated. Without: the only one.", show_default=False),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="An address or a network that it may come from; may be repeated. Without: from anywhere.", show_default=False
        ),
    ] = None,
    why: Why = "",
    who: Who = "",
    home: Home = None,
) -> None:
    """A new token. It is shown once, and only its hash is kept."""
    from books import audit, credentials, switches
    from core.safety import named
    from ringfence import by_hand

    if not named(switch):
        raise typer.BadParameter(f"{switch!r} is no switch's name: letters, digits, . _ - @ +, at most 64")
    token, now_ms = secrets.token_urlsafe(32), time.time_ns() // 1_000_000
    with by_hand.books(options.settings_of(home)) as conn:
        names = [by_hand.tenant(conn, name) for name in tenant or [""]]
        try:
            credentials.add(conn, names, switch, token, source or [], now_ms)
        except ValueError as error:
            raise typer.BadParameter(f"--source: {error}") from None
        audit.note(conn, options.login(who), "credential added", f"{credentials.id_of(token)}: {switch} for {', '.join(names)}", why, now_ms)
        known = switch in [one.name for one in switches.every(conn)]
        for name in names if known else ():
            switches.serve(conn, switch, name, now_ms)
    typer.echo(token)
    typer.echo(
        f"{credentials.id_of(token)}: {switch} posts for tenant {', '.join(names)} from {', '.join(source or []) or 'anywhere'}. "
        "The token above is not shown again.",
        err=True,
    )
    if not known:
        typer.echo(
            f"The books have no address of a switch {switch}: its records are taken, and no order is delivered to it.", err=True
        )


@app.command("list", epilog=EPILOG)
def list_(as_json: Json = False, home: Home = None) -> None:
    """List who may post, from where, and since when. Tokens cannot be shown: only their hashes are stored."""
    import msgspec

    from books import credentials
    from ringfence import by_hand

    with by_hand.books(options.settings_of(home)) as conn:
        every = credentials.every(conn)
    if as_json:
        typer.echo(msgspec.json.encode([one._asdict() for one in every]).decode())
        return
    for one in every:
        ended = f"   revoked {_day(one.revoked_at_ms)}" if one.revoked_at_ms is not None else ""
        since = _day(one.at_ms)
        typer.echo(f"{one.id}  {one.switch:12} {', '.join(one.tenants):12} since {since}  from {', '.join(one.sources) or 'anywhere'}{ended}")


@app.command(epilog=EPILOG)
def revoke(
    credential: Annotated[str, typer.Argument(metavar="ID", help="As `ringfence credential list` shows it.", show_default=False)],
    why: Why,
    who: Who = "",
    home: Home = None,
) -> None:
    """End a token. What it posts is refused within a few seconds."""
    from books import audit, credentials
    from ringfence import by_hand

    now_ms = time.time_ns() // 1_000_000
    with by_hand.books(options.settings_of(home)) as conn:
        if not credentials.revoke(conn, credential, now_ms):
            options.give_up(f"There is no live credential {credential}: `ringfence credential list` shows them.")
        audit.note(conn, options.login(who), "credential revoked", credential, why, now_ms)
    typer.echo(f"{credential} is revoked: what it posts is refused within a few seconds.")


def _day(at_ms: int) -> str:
    """A day, UTC.

    >>> _day(1_700_000_000_000)
    '2023-11-14'
    """
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d}"
