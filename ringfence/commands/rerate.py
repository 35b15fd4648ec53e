"""`ringfence rerate`: what calls of the past would have cost."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from core.clock import wall_clock_ms
from ringfence import options
from ringfence.commands import runs
from ringfence.options import Home, Json, Tenant, Who, Why

EPILOG = """
Nothing counts before a person says so: `rerate` shows what would change, and `ringfence runs count` makes it count.

**Examples**

October under what is in force now: `ringfence rerate --from 2025-10-01 --to 2025-11-01`

October under another price list: `ringfence rerate --from 2025-10-01 --to 2025-11-01 --deck retail=new-retail.csv`

One account, and what it changes counts if you agree: `ringfence rerate --from 2025-10-01 --to 2025-11-01 --account acme --commit --why "credit 4711"`
"""

FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]

From = Annotated[
    datetime, typer.Option("--from", formats=FORMATS, help="Calls that were answered (else: ended) from then on.", show_default=False)
]
To = Annotated[datetime, typer.Option("--to", formats=FORMATS, help="To before then.", show_default=False)]
Zone = Annotated[str, typer.Option("--zone", help="Of --from and --to: a time zone such as Europe/Vienna, or an agreement, whose own it is.")]
Deck = Annotated[
    list[str] | None,
    typer.Option("--deck", metavar="NAME=FILE", help="Price by this file, or version, in the place of that deck; repeatable.", show_default=False),
]
Version = Annotated[int, typer.Option("--config-version", min=0, help="Price by this config version (else: that in force).", show_default=False)]
Commit = Annotated[bool, typer.Option("--commit", help="Ask whether it counts, and make it count.")]
Yes = Annotated[bool, typer.Option("--yes", help="Ask nothing.")]


def rerate(
    from_: From,
    to: To,
    deck: Deck = None,
    zone: Zone = "UTC",
    config_version: Version = 0,
    account: Annotated[str, typer.Option(help="Only calls of this account.", show_default=False)] = "",
    carrier: Annotated[str, typer.Option(help="Only calls that went over this carrier, or tried to.", show_default=False)] = "",
    commit: Commit = False,
    yes: Yes = False,
    why: Why = "",
    who: Who = "",
    as_json: Json = False,
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """What calls of the past would have cost: the difference by account, carrier, destination and cause.

    Every stored call of the period is priced again, under the config in force or another version, with other price lists where --deck names them.
    What a feed says that a call cost stands where we have no deck. Calls that cannot be priced are named, and stay as they are.
    """
    price_lists = {}
    for one in deck or []:
        name, sign, where = one.partition("=")
        if not (name and sign and where):
            raise typer.BadParameter(f"--deck {one}: write NAME=FILE, the name of a deck in force and a CSV file")
        price_lists[name] = where if len(where) == 64 and not Path(where).exists() else str(Path(where))
    run(
        "rerate", from_, to, zone, commit=commit, yes=yes, why=why, who=who, as_json=as_json, home=home,
        wanted={"account": account, "carrier": carrier, "price_lists": price_lists, "version": config_version, "tenant": tenant},
    )  # fmt: skip


def run(
    kind: str, from_: datetime, to: datetime, zone: str, *, commit: bool, yes: bool, why: str, who: str, as_json: bool, home: Path | None,
    wanted: dict[str, object],
) -> None:  # fmt: skip
    """Computes a run, shows it, and makes it count where a person says so."""
    from services import rerate as service
    from services.installation import books

    if commit and not why.strip():
        raise typer.BadParameter("say --why: it goes into the audit")
    installation, now_ms, name = options.settings_of(home).installation, wall_clock_ms(), options.login(who)
    with books(installation) as conn:
        zone = service.zone_of(conn, str(wanted.get("tenant", "")), zone)
        period = runs.to_ms(from_, zone), runs.to_ms(to, zone)
        spec = service.spec_of(conn, *period, who=name, now_ms=now_ms, zone=zone, **wanted)  # type: ignore[arg-type]
    computed = service.compute(installation, kind, spec, name, why, now_ms, runs.progress)  # type: ignore[arg-type]
    runs.show_one(computed, as_json)
    if not commit or not (computed.found.calls or computed.found.notes):
        return
    if not yes:
        typer.confirm(f"Shall run {computed.run} count?", abort=True)
    service.count(installation, computed.run, name, why, wall_clock_ms(), runs.progress)
    typer.echo(f"Run {computed.run} counts.")
