"""`ringfence lists`: what people allow, deny and protect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from core.clock import wall_clock_ms
from core.text import moment
from ringfence import options
from ringfence.options import Home, Json, Tenant, Who, Why

if TYPE_CHECKING:
    from ringfence.settings import Settings

EPILOG = """
An entry of `deny` refuses its calls at every switch that enforces; one of `allow` lets them pass, whatever blocks say. The most specific entry
decides. Emergency calls and protected numbers always pass. A carrier that is denied gets no calls.

**Examples**

`ringfence lists add deny --range 88213 --ttl 30d --why "pumped, case 17"`

`ringfence lists add deny --destination LV --account acme --why "the customer asked for it"`

`ringfence lists add allow --range 4318123 --why "our test numbers"`

`ringfence lists add deny --carrier blue --why "false answers, dispute 12"`

`ringfence lists` shows all entries, the switches that have them, and what each has caught this week.

`ringfence lists remove deny --range 88213 --why "the owner has changed"`
"""

app = typer.Typer(invoke_without_command=True, epilog=EPILOG)
ALL = ("allow", "deny", "protected")
DAYS_MS = 7 * 86_400_000
ListName = Annotated[str, typer.Argument(help="allow, deny or protected.", show_default=False)]
Number = Annotated[str, typer.Option("--range", "--number", help="Called numbers that begin so, with the country code.", show_default=False)]
Caller = Annotated[str, typer.Option(help="A calling number.", show_default=False)]
Destination = Annotated[str, typer.Option(help="A country, as LV.", show_default=False)]
Carrier = Annotated[str, typer.Option(help="A carrier.", show_default=False)]
Account = Annotated[str, typer.Option(help="An account; with a range, caller or destination only its calls there.", show_default=False)]
Trunk = Annotated[str, typer.Option(help="An ingress trunk.", show_default=False)]


@app.callback()
def lists(context: typer.Context, tenant: Tenant = "", as_json: Json = False, home: Home = None) -> None:
    """What people allow, deny and protect: show, add, remove."""
    if context.invoked_subcommand:
        return
    import msgspec

    from core.config import path
    from services import lists
    from services.errors import ServiceError
    from services.installation import books_as_they_are
    from services.reading import warehouse
    from warehouse import WarehouseError, ask

    installation, now_ms = options.settings_of(home).installation, wall_clock_ms()
    with books_as_they_are(installation) as conn:
        every = [one for one in lists.every(conn, tenant) if one.who != "seed"]
        states = lists.at_switches(conn)
    try:
        with warehouse(installation) as client:
            caught = lists.caught(lambda query: ask(client, query), tenant, now_ms - DAYS_MS)
    except (WarehouseError, ServiceError):
        caught = None
    rows = [(one, lists.listed_id(one)) for one in every]
    if as_json:
        found = [{**one._asdict(), "id": name, "switches": states.get(name, {}), "caught": caught and caught.get(name)} for one, name in rows]
        typer.echo(msgspec.json.encode(found).decode())
        return
    for one, name in rows:
        whose = f" of {path(one.tenant, one.account)}" if one.tenant or one.account else ""
        until = f"  until {moment(one.until_ms, now_ms)}" if one.until_ms else ""
        there = "  ".join(f"{switch}: {'there' if done else 'on its way'}" for switch, done in sorted(states.get(name, {}).items()))
        found_calls = (caught or {}).get(name)
        calls = f"  refused {found_calls.refused:,}, marked {found_calls.marked:,}" if found_calls else ""
        typer.echo(f"{one.list:9} {one.kind:11} {one.value}{whose}{until}  {one.why} ({one.who})  {there}{calls}".rstrip())
    if not rows:
        typer.echo("The lists are empty, besides the emergency and crisis lines (`ringfence protect`).")


@app.command(epilog=EPILOG)
def add(
    list_: ListName, number: Number = "", caller: Caller = "", destination: Destination = "", carrier: Carrier = "", account: Account = "",
    trunk: Trunk = "", ttl: Annotated[str, typer.Option(help="How long, as 30d.", show_default="until it is removed")] = "",
    tenant: Annotated[str, typer.Option(help="Only this tenant's calls.", show_default="every tenant's")] = "", why: Why = "", who: Who = "",
    home: Home = None,
) -> None:  # fmt: skip
    """Put an entry on a list, or change it."""
    _change(list_, number, caller, destination, carrier, account, trunk, ttl, tenant, why, who, False, options.settings_of(home))


@app.command(epilog=EPILOG)
def remove(
    list_: ListName, number: Number = "", caller: Caller = "", destination: Destination = "", carrier: Carrier = "", account: Account = "",
    trunk: Trunk = "", tenant: Annotated[str, typer.Option(help="As it was added.", show_default="every tenant's")] = "", why: Why = "",
    who: Who = "", home: Home = None,
) -> None:  # fmt: skip
    """Take an entry off a list."""
    _change(list_, number, caller, destination, carrier, account, trunk, "", tenant, why, who, True, options.settings_of(home))


def _change(
    list_: str, number: str, caller: str, destination: str, carrier: str, account: str, trunk: str, ttl: str, tenant: str, why: str, who: str,
    removes: bool, settings: Settings,
) -> None:  # fmt: skip
    from ringfence import messages
    from services import blocks, lists
    from services.installation import books, tenant_of

    named = {"number": number, "caller": caller, "destination": destination, "carrier": carrier, "trunk": trunk}
    kinds = {kind: value for kind, value in named.items() if value} or ({"account": account} if account else {})
    if list_ not in ALL or len(kinds) != 1:
        raise typer.BadParameter("name a list (allow, deny or protected) and one of --range, --caller, --destination, --carrier, --account, --trunk")
    ((kind, typed),) = kinds.items()
    whose = account if kind != "account" else ""
    with books(settings.installation) as conn:
        now_ms = wall_clock_ms()
        until_ms = now_ms + options.duration_ms(ttl) if ttl else 0
        of = tenant_of(conn, tenant) if tenant else ""
        stored = lists.change(
            conn, cast("lists.List", list_), cast("lists.Kind", kind), typed, removes, options.login(who), why, now_ms, of, whose, until_ms
        )
        later = messages.undelivered(blocks.undelivered(conn, now_ms, of), "this")
    typer.echo(f"{kind} {stored} is {'off' if removes else 'on'} the list {list_}{f' for {ttl}' if ttl else ''}.")
    if later:
        typer.echo(later)
