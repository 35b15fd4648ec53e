"""`ringfence user`: who may sign in to the pages, and with which roles."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from core.clock import wall_clock_ms
from core.roles import ROLES
from ringfence import options
from ringfence.messages import date_time
from ringfence.options import Home, Json, Who, Why

EPILOG = f"""
Roles: {", ".join(f"`{role}`" for role in ROLES)}. A role holds for one tenant, or with `--every-tenant` for all. The password is asked for, or
with `--password-stdin` read from the first line of the input.

**Examples**

`ringfence user add anna --role analyst --tenant t1 --why "new in the team"`

`ringfence user role anna --add fraud-lead --tenant t1 --why "stands in for Ben"`

`ringfence user passwd anna --why "forgotten"` ends her sessions as well

`ringfence user disable anna --why "left"`

`ringfence user add zoe --why "buys from us"` and `ringfence user party zoe --add acme --why "buys from us"` open the customers' portal
"""

app = typer.Typer(no_args_is_help=True, epilog=EPILOG)

Name = Annotated[str, typer.Argument(help="The user's name: letters, digits and . _ - + @.", show_default=False)]
Stdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from the first line of the input.")]
TenantName = Annotated[str, typer.Option("--tenant", help="The tenant; may be left out where there is only one.", show_default=False)]
EveryTenant = Annotated[bool, typer.Option("--every-tenant", help="For every tenant, also those to come.")]


@app.callback()
def user() -> None:
    """People who sign in to the pages, and their roles."""


@app.command(epilog=EPILOG)
def add(
    name: Name,
    role: Annotated[list[str] | None, typer.Option(help="A role; may be repeated.", show_default=False)] = None,
    tenant: TenantName = "",
    every_tenant: EveryTenant = False,
    password_stdin: Stdin = False,
    no_password: Annotated[bool, typer.Option("--no-password", help="For one who signs in through OIDC.")] = False,
    why: Why = "",
    who: Who = "",
    home: Home = None,
) -> None:
    """Add a user with a password and roles."""
    from services import people
    from services.installation import books

    password = "" if no_password else _password(password_stdin)
    with books(options.settings_of(home).installation) as conn:
        scope = _scope(conn, tenant, every_tenant) if role else ""
        people.add(conn, name, password, role or [], scope, options.login(who), why, wall_clock_ms())
    roles = f"{', '.join(role)} for {scope or 'every tenant'}" if role else "no role yet: `ringfence user role`"
    typer.echo(f"{name} may sign in: {roles}.")


@app.command("list", epilog=EPILOG)
def list_(as_json: Json = False, home: Home = None) -> None:
    """List the users with their roles."""
    import msgspec

    from services import people
    from services.installation import books_as_they_are

    with books_as_they_are(options.settings_of(home).installation) as conn:
        found = people.every(conn)
    if as_json:
        typer.echo(msgspec.json.encode([one._asdict() for one in found]).decode())
        return
    if not found:
        typer.echo("There are no users: the pages open by the tokens of the first start alone.")
    for one in found:
        roles = "; ".join(f"{role} for {tenant or 'every tenant'}" for tenant, role in one.roles) or "no role"
        ended = f"   disabled {date_time(one.disabled_at_ms)} UTC" if one.disabled_at_ms is not None else ""
        typer.echo(f"{one.name:20} {roles}{ended}")


@app.command(epilog=EPILOG)
def role(
    name: Name,
    why: Why,
    add: Annotated[str, typer.Option("--add", help="The role to give.", show_default=False)] = "",
    remove: Annotated[str, typer.Option("--remove", help="The role to take.", show_default=False)] = "",
    tenant: TenantName = "",
    every_tenant: EveryTenant = False,
    who: Who = "",
    home: Home = None,
) -> None:
    """Give or take a role. It holds within seconds, for open pages as well."""
    from services import people
    from services.installation import books

    _either(add, remove)
    with books(options.settings_of(home).installation) as conn:
        scope = _scope(conn, tenant, every_tenant)
        changed = people.set_role(conn, name, scope, add or remove, bool(add), options.login(who), why, wall_clock_ms())
    verb = ("has" if add else "no longer has") if changed else ("had" if add else "did not have")
    typer.echo(f"{name} {verb} the role {add or remove} for {scope or 'every tenant'}.")


@app.command(epilog=EPILOG)
def passwd(name: Name, why: Why, password_stdin: Stdin = False, who: Who = "", home: Home = None) -> None:
    """Set a new password, and end the user's sessions."""
    from services import people
    from services.installation import books

    password = _password(password_stdin)
    with books(options.settings_of(home).installation) as conn:
        people.set_password(conn, name, password, options.login(who), why, wall_clock_ms())
    typer.echo(f"{name} has a new password; older sessions are over.")


@app.command(epilog=EPILOG)
def disable(
    name: Name,
    why: Why,
    enable: Annotated[bool, typer.Option("--enable", help="Let the user sign in again.")] = False,
    who: Who = "",
    home: Home = None,
) -> None:
    """Let nobody sign in under this name; open pages of the user close within seconds."""
    from services import people
    from services.installation import books

    with books(options.settings_of(home).installation) as conn:
        people.set_disabled(conn, name, not enable, options.login(who), why, wall_clock_ms())
    typer.echo(f"{name} may sign in again." if enable else f"{name} is disabled: open pages close within seconds.")


@app.command("party", epilog=EPILOG)
def party(
    name: Name,
    why: Why,
    add: Annotated[str, typer.Option("--add", help="The customer (a party, or an account without one) whose portal opens.",
        show_default=False)] = "",
    remove: Annotated[str, typer.Option("--remove", help="The customer whose portal closes.", show_default=False)] = "",
    tenant: TenantName = "",
    who: Who = "",
    home: Home = None,
) -> None:
    """Open the portal of a customer to a user: usage, calls, invoices and payments due of that customer alone."""
    from services import people
    from services.installation import books

    _either(add, remove)
    with books(options.settings_of(home).installation) as conn:
        scope = _scope(conn, tenant, False)
        changed = people.set_party(conn, name, scope, add or remove, bool(add), options.login(who), why, wall_clock_ms())
    verb = ("opens" if add else "no longer opens") if changed else ("opened" if add else "did not open")
    typer.echo(f"{name} {verb} the portal of {add or remove}, tenant {scope}.")


def _either(add: str, remove: str) -> None:
    if bool(add) == bool(remove):
        raise typer.BadParameter("use either --add or --remove, one of the two")


def _scope(conn: object, tenant: str, every_tenant: bool) -> str:
    from books import Connection
    from services.installation import tenant_of

    if every_tenant and tenant:
        raise typer.BadParameter("use either --tenant or --every-tenant, one of the two")
    assert isinstance(conn, Connection)
    return "" if every_tenant else tenant_of(conn, tenant)


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
