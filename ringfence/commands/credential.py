"""`ringfence credential`: the API keys of switches and programs."""

from __future__ import annotations

from typing import Annotated

import typer

from core.clock import wall_clock_ms
from ringfence import options
from ringfence.messages import day
from ringfence.options import Home, Json, Who, Why

EPILOG = """
A switch on another machine posts its records to the collector's `/v1/records` with a token of its own: `Authorization: Bearer TOKEN`.
The token is valid for one or more tenants. A record names its tenant; one that names none belongs to the token's only tenant. A record
of another tenant is stored as a reject, with the reason.

**Examples**

`ringfence credential add --tenant t1 --switch k2 --source 192.0.2.10 --why "second switch, Vienna"`

`ringfence credential add --tenant t1 --tenant t2 --switch k3 --why "carries both"`

`ringfence credential add --tenant t1 --switch crm --scope lists --ttl 90d --why "the CRM changes the lists over the API"`

`ringfence credential list`

`ringfence credential revoke 3f9a01c2b7de --why "the machine was given away"`
"""

app = typer.Typer(no_args_is_help=True, epilog=EPILOG)


@app.callback()
def credential() -> None:
    """API keys: tokens with which switches post records, and programs use the API."""


@app.command(epilog=EPILOG)
def add(
    switch: Annotated[str, typer.Option(help="The switch that uses the token.", show_default=False)],
    tenant: Annotated[
        list[str] | None,
        typer.Option(help="A tenant whose calls the switch posts; may be repeated. Default: the only tenant.", show_default=False),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="An address or network from which the token is accepted; may be repeated. Default: any.", show_default=False
        ),
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="What it may do: records, route, lists, alerts, verdicts; may be repeated. Default: records, route.", show_default=False),
    ] = None,
    ttl: Annotated[str, typer.Option(help="How long it is valid, as 90d.", show_default="until it is revoked")] = "",
    why: Why = "",
    who: Who = "",
    home: Home = None,
) -> None:
    """Make a new token. It is shown once; only its hash is stored."""
    from books.credentials import OF_A_SWITCH
    from services import switches
    from services.installation import books, tenant_of

    with books(options.settings_of(home).installation) as conn:
        names = [tenant_of(conn, name) for name in tenant or [""]]
        now_ms = wall_clock_ms()
        expires_at_ms = now_ms + options.duration_ms(ttl) if ttl else None
        scopes = scope or list(OF_A_SWITCH)
        issued = switches.issue(conn, switch, names, source or [], options.login(who), why, now_ms, scopes, expires_at_ms)
    typer.echo(issued.token)
    valid = f" for {ttl}" if ttl else ""
    origin = ", ".join(source or []) or "anywhere"
    typer.echo(
        f"{issued.credential}: {switch} may use {', '.join(scopes)} for tenant {', '.join(names)}{valid} from {origin}. "
        "The token above is not shown again.",
        err=True,
    )
    if not issued.known and "records" in scopes:
        typer.echo(
            f"No switch {switch} is in the books: its records are accepted, but no order is delivered to it (`ringfence switch add`).", err=True
        )


@app.command("list", epilog=EPILOG)
def list_(as_json: Json = False, home: Home = None) -> None:
    """List the credentials: switch, tenants, since when, from where. Tokens cannot be shown: only their hashes are stored."""
    import msgspec

    from books import credentials
    from services.installation import books

    with books(options.settings_of(home).installation) as conn:
        every = credentials.every(conn)
    if as_json:
        typer.echo(msgspec.json.encode([one._asdict() for one in every]).decode())
        return
    for one in every:
        ended = f"   revoked {day(one.revoked_at_ms)}" if one.revoked_at_ms is not None else ""
        since = day(one.at_ms)
        until = f" until {day(one.expires_at_ms)}" if one.expires_at_ms is not None else ""
        may = "" if set(one.scopes) == set(credentials.OF_A_SWITCH) else f"  may {', '.join(one.scopes)}"
        origin = ", ".join(one.sources) or "anywhere"
        typer.echo(f"{one.id}  {one.switch:12} {', '.join(one.tenants):12} since {since}{until}  from {origin}{may}{ended}")


@app.command(epilog=EPILOG)
def revoke(
    credential: Annotated[str, typer.Argument(metavar="ID", help="As `ringfence credential list` shows it.", show_default=False)],
    why: Why,
    who: Who = "",
    home: Home = None,
) -> None:
    """Revoke a token. The collector refuses it within a few seconds."""
    from services import switches
    from services.installation import books

    with books(options.settings_of(home).installation) as conn:
        switches.revoke(conn, credential, options.login(who), why, wall_clock_ms())
    typer.echo(f"{credential} is revoked: the collector refuses it within a few seconds.")
