"""`ringfence block`: a person blocks calls."""

from __future__ import annotations

from typing import Annotated, cast

import typer

from core.clock import wall_clock_ms
from core.orders import ACTIONS, Action
from ringfence import options
from ringfence.options import Account, ANumber, BRange, Home, Tenant, Trunk, Who, Why

EPILOG = """
**Examples**

A range under one account, for an hour:

`ringfence block --account acme --b-range 88213 --ttl 1h --why "pumped range, ticket 4711"`

One caller of that account, everywhere:

`ringfence block --account acme --a-number 4366412345 --ttl 30m --why "stolen handset"`

An account in all its calls (it is suspended; emergency calls pass), or in those abroad; and a range with its calls in progress:

`ringfence block --account acme --ttl 7d --why "unpaid"`

`ringfence block --account acme --action refuse_abroad --ttl 1d --why "PBX hacked"`

`ringfence block --account acme --b-range 88213 --cut --why "pumped range, confirmed"`

At most six calls per minute into a range:

`ringfence block --account acme --b-range 88213 --action throttle --calls-per-minute 6 --why "watched"`
"""


def as_action(text: str) -> Action:
    """An option's action; another word is an error of usage."""
    if text not in ACTIONS:
        raise typer.BadParameter(f"--action is one of {', '.join(ACTIONS)}")
    return cast(Action, text)


def block(
    why: Why,
    account: Account = "",
    trunk: Trunk = "",
    a_number: ANumber = "",
    b_range: BRange = "",
    action: Annotated[str, typer.Option(help="refuse, refuse_abroad (calls that leave the country), throttle, or shadow (mark).")] = "refuse",
    calls_per_minute: Annotated[int, typer.Option(help="Of a throttle: so many calls per minute pass.", show_default=False)] = 0,
    cut: Annotated[bool, typer.Option("--cut", help="End its calls in progress as well, but never an emergency call.")] = False,
    ttl: Annotated[str, typer.Option(help="How long it lasts: 90s, 30m, 1h, 7d.")] = "1h",
    tenant: Tenant = "",
    who: Who = "",
    home: Home = None,
) -> None:
    """Refuse the calls of an account (or trunk), optionally of one caller, optionally to one range.

    The block ends by itself. Protected numbers (emergency and crisis lines, the operator's own list) are never blocked.
    A switch in shadow lets the calls pass, and marks their records as calls that would have been refused.
    """
    from ringfence import messages
    from services import blocks
    from services.installation import books, tenant_of

    with books(options.settings_of(home).installation) as conn:
        key = options.key_of(tenant_of(conn, tenant), account, trunk, a_number, b_range, blocks.plan(conn, account, trunk))
        now_ms = wall_clock_ms()
        try:
            blocked = blocks.block(conn, key, options.duration_ms(ttl), options.login(who), why, now_ms, as_action(action), calls_per_minute, cut)
        except ValueError as refused:
            options.give_up(f"Not blocked: {refused}")
        later = messages.undelivered(blocks.undelivered(conn, now_ms, key.tenant), "the block")
    throttled = f"throttled to {calls_per_minute} calls per minute"
    done = {"refuse": "blocked", "refuse_abroad": "blocked abroad", "shadow": "marked"}.get(action, throttled)
    typer.echo(f"{key.text()} is {done} for {ttl} ({blocked.status}, {blocked.order_id}).")
    if not blocked.known:
        name = f"account {key.account!r}" if key.account else f"trunk {key.ingress_trunk!r}"
        typer.echo(f"Warning: no {name} of tenant {key.tenant} is configured; only calls with exactly that name are refused.")
    if later:
        typer.echo(later)
    if blocked.status == "shadow":
        typer.echo("No switch enforces for this tenant: calls go on, and those that would have been refused are marked.")
