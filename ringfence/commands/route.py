"""`ringfence route`: over which gateways a call is tried, and why."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ringfence import options
from ringfence.commands.quote import moment
from ringfence.options import Home, Json, Tenant

EPILOG = """
The candidates are those of the account's route plan: every gateway that has a price for the number, in the order of the plan. Each says why it
stands where it stands, or why it was dropped. Expected money is that of the durations observed at the destination in the last 28 days, net of tax,
with fees, increments and failed attempts; docs/routing.md explains each order and list.

The exit code is 1 where the call has no route.

**Examples**

`ringfence route --account acme --to +43664123456 --explain`

`ringfence route --account acme --to +43664123456 --plan nights --at 2026-11-27T23:30+01:00`

`ringfence route --account acme --to +43664123456 --json`
"""


def route(
    account: Annotated[str, typer.Option(help="Who calls.")],
    to: Annotated[str, typer.Option("--to", help="The number called, with its country code.")],
    from_: Annotated[str, typer.Option("--from", help="The caller's number, where a deck asks for the origin.", show_default=False)] = "",
    lrn: Annotated[str, typer.Option(help="Where the number called was ported to.", show_default=False)] = "",
    plan: Annotated[str, typer.Option(help="By another route plan than the account's.", show_default=False)] = "",
    at: Annotated[str, typer.Option(help="When: 2026-11-27T18:30+01:00 (else UTC); now, if left out.", show_default=False)] = "",
    explain: Annotated[bool, typer.Option("--explain", help="Also the candidates that were dropped, and why.")] = False,
    tenant: Tenant = "",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Over which gateways a call is tried, in their order, and why."""
    import json

    from services import quotes, routes

    try:
        at_ms = moment(at)
    except ValueError as wrong:
        options.give_up(str(wrong))
    installation = options.settings_of(home).installation
    terms, whose = quotes.in_force(installation, tenant)
    asked = routes.RouteRequest(account, to, from_, lrn, plan, at_ms)
    found = routes.explained(terms, whose, asked, routes.live_of(installation, whose, at_ms), routes.durations_of(installation, whose, at_ms))
    if as_json:
        typer.echo(json.dumps(_as_json(found)))
    else:
        _show(found, asked, explain)
    if found.choice.cause:
        raise typer.Exit(1)


def _candidate(one: Any, found: Any) -> dict[str, Any]:
    from core.money import to_text

    answered = found.choice.profile.answered
    money = {
        name: to_text(round(nanos / answered))
        for name, nanos in (("cost_per_call", one.cost_nanos), ("sale_per_call", one.sell_nanos))
        if nanos is not None
    }
    place = {"rank": one.rank} if one.rank else {}
    return place | {"gateway": one.entry.gateway, "carrier": one.entry.carrier, "why": one.why} | money


def _as_json(found: Any) -> dict[str, Any]:
    choice = found.choice
    answer = {"plan": found.view.plan.name, "currency": found.view.currency, "cause": choice.cause, "why": choice.why}
    answer |= {"routes": [_candidate(one, found) for one in choice.routes], "dropped": [_candidate(one, found) for one in choice.dropped]}
    return answer


def _show(found: Any, asked: Any, explain: bool) -> None:
    choice, view = found.choice, found.view
    if choice.cause:
        typer.echo(f"No route for {asked.b_number} and account {asked.account} ({choice.cause}): {choice.why}.", err=True)
    else:
        n = len(choice.routes)
        typer.echo(f"A call of account {asked.account} to {asked.b_number} is tried over {n} gateway{'s' * (n > 1)}, by route plan {view.plan.name}:")
    for one in choice.routes:
        typer.echo(f"  {one.rank}  {one.entry.gateway:<16}{one.entry.carrier:<16}{one.why}")
    if explain:
        for one in choice.dropped:
            typer.echo(f"  -  {one.entry.gateway:<16}{one.entry.carrier:<16}{one.why}")
        kind = "observed at the destination" if found.is_observed else "of calls at large: none were observed yet"
        profile = choice.profile
        asr = 100 * profile.answered / (profile.answered + profile.failed)
        typer.echo(f"  expected over durations {kind}: {profile.acd_s:.0f} s on average, {asr:.0f} % of attempts answered")
