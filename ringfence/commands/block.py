"""`ringfence block`: a person asks for a block."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from ringfence import options
from ringfence.options import Account, ANumber, BRange, Home, Tenant, Trunk, Who, Why

EPILOG = """
**Examples**

A range under one account, for an hour:

`ringfence block --account acme --b-range 88213 --ttl 1h --why "pumped range, ticket 4711"`

One caller of that account, everywhere:

`ringfence block --account acme --a-number 4366412345 --ttl 30m --why "stolen handset"`
"""


def block(
    why: Why,
    account: Account = "",
    trunk: Trunk = "",
    a_number: ANumber = "",
    b_range: BRange = "",
    ttl: Annotated[str, typer.Option(help="How long it lasts: 90s, 30m, 1h, 7d.")] = "1h",
    tenant: Tenant = "",
    who: Who = "",
    home: Home = None,
) -> None:
    """Refuse the calls of an account (or trunk), optionally of one caller, optionally to one range.

    The block ends by itself. What is protected (emergency and crisis lines, the operator's own list) is never blocked.
    At a switch in shadow the calls go on, and are marked as what would have been refused.
    """
    from ringfence import by_hand

    settings = options.settings_of(home)
    with by_hand.books(settings) as conn:
        key = options.key_of(by_hand.tenant(conn, tenant), account, trunk, a_number, b_range, by_hand.plan(conn, account, trunk))
        now_ms = time.time_ns() // 1_000_000
        try:
            order_id, status = by_hand.block(conn, key, options.duration_ms(ttl), options.login(who), why, now_ms)
        except ValueError as refused:
            options.give_up(f"Not blocked: {refused}")
        warning = by_hand.unknown(conn, key)
        later = by_hand.not_at_the_switches(conn, "the block", now_ms, key.tenant)
    typer.echo(f"{key.text()} is blocked for {ttl} ({status}, {order_id}).")
    if warning:
        typer.echo(warning)
    if later:
        typer.echo(later)
    if status == "shadow":
        typer.echo("No switch enforces for this tenant: calls go on, and what would have been refused is marked.")
