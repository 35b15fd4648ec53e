"""`ringfence rerate`: what calls of the past would have cost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.clock import wall_clock_ms
from core.money import to_text
from ringfence import options
from ringfence.commands import runs
from ringfence.options import Home, Json, Tenant, Who, Why

if TYPE_CHECKING:
    from books.runs import Spec
    from services.installation import Installation
    from services.reroute import Rerouted

EPILOG = """
Nothing counts before a person says so: `rerate` shows what would change, and `ringfence runs count` makes it count.

**Examples**

October under what is in force now: `ringfence rerate --from 2025-10-01 --to 2025-11-01`

October under another price list: `ringfence rerate --from 2025-10-01 --to 2025-11-01 --deck retail=new-retail.csv`

October over other routes: `ringfence rerate --from 2025-10-01 --to 2025-11-01 --policy best.yaml`

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
Policy = Annotated[
    Path | None,
    typer.Option(help="What it would have come to by the route_plans of this file, written as in the config.", show_default=False),
]
Plan = Annotated[str, typer.Option(help="With --policy: every account by this route plan.", show_default=False)]
Version = Annotated[int, typer.Option("--config-version", min=0, help="Price by this config version (else: that in force).", show_default=False)]
Commit = Annotated[bool, typer.Option("--commit", help="Ask whether it counts, and make it count.")]
Yes = Annotated[bool, typer.Option("--yes", help="Ask nothing.")]


def rerate(
    from_: From,
    to: To,
    deck: Deck = None,
    policy: Policy = None,
    plan: Plan = "",
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

    With --policy it is the routes that are other ones: money, margin and quality by destination and carrier. That never counts: publish the plan.
    """
    price_lists = {}
    for one in deck or []:
        name, sign, where = one.partition("=")
        if not (name and sign and where):
            raise typer.BadParameter(f"--deck {one}: write NAME=FILE, the name of a deck in force and a CSV file")
        price_lists[name] = where if len(where) == 64 and not Path(where).exists() else str(Path(where))
    if plan and policy is None:
        raise typer.BadParameter("--plan goes with --policy")
    if policy is not None and commit:
        raise typer.BadParameter("calls stay where they went: --commit does not go with --policy; publish the plan for the calls to come")
    wanted = {"account": account, "carrier": carrier, "price_lists": price_lists, "version": config_version, "tenant": tenant}
    if policy is not None:
        reroute(from_, to, zone, policy, plan, who=who, as_json=as_json, home=home, wanted=wanted)
        return
    run(
        "rerate", from_, to, zone, commit=commit, yes=yes, why=why, who=who, as_json=as_json, home=home,
        wanted=wanted,
    )  # fmt: skip


def run(
    kind: str, from_: datetime, to: datetime, zone: str, *, commit: bool, yes: bool, why: str, who: str, as_json: bool, home: Path | None,
    wanted: dict[str, object],
) -> None:  # fmt: skip
    """Computes a run, shows it, and makes it count where a person says so."""
    from services import rerate as service

    if commit:
        options.check_why(why)
    installation, now_ms, name = options.settings_of(home).installation, wall_clock_ms(), options.login(who)
    spec = spec_of(installation, from_, to, zone, name, now_ms, wanted)
    computed = service.compute(installation, kind, spec, name, why, now_ms, runs.progress)  # type: ignore[arg-type]
    runs.show_one(computed, as_json)
    if not commit or not (computed.found.calls or computed.found.notes):
        return
    if not yes:
        typer.confirm(f"Shall run {computed.run} count?", abort=True)
    service.count(installation, computed.run, name, why, wall_clock_ms(), runs.progress)
    typer.echo(f"Run {computed.run} counts.")


def spec_of(installation: Installation, from_: datetime, to: datetime, zone: str, who: str, now_ms: int, wanted: dict[str, object]) -> Spec:
    """The calls and the terms that a person asked for."""
    from services import rerate as service
    from services.installation import books

    with books(installation) as conn:
        zone = service.zone_of(conn, str(wanted.get("tenant", "")), zone)
        period = runs.to_ms(from_, zone), runs.to_ms(to, zone)
        return service.spec_of(conn, *period, who=who, now_ms=now_ms, zone=zone, **wanted)  # type: ignore[arg-type]


def reroute(
    from_: datetime, to: datetime, zone: str, policy: Path, plan: str, *, who: str, as_json: bool, home: Path | None, wanted: dict[str, object]
) -> None:
    """Shows what calls would have come to over other routes."""
    from services import reroute as service
    from services.installation import books, tenant_of

    installation = options.settings_of(home).installation
    with books(installation) as conn:  # routes are one tenant's
        wanted["tenant"] = tenant_of(conn, str(wanted["tenant"]))
    spec = spec_of(installation, from_, to, zone, options.login(who), wall_clock_ms(), wanted)
    found = service.compute(installation, spec, policy, plan, runs.progress)
    if as_json:
        typer.echo(json.dumps(rerouted_as_json(found)))
        return
    for line in rerouted_words(found, f"{policy}" + (f", plan {plan}" if plan else "")):
        typer.echo(line)


def rerouted_words(found: Rerouted, source: str) -> Iterator[str]:
    """The answer for a person."""
    from rating.routes.whatif import ASSUMPTION

    spec = found.spec
    zone = "" if spec.zone == "UTC" else f" {spec.zone}"
    yield (
        f"{found.calls:,} call{'s' * (found.calls != 1)} of {spec.tenant}, {runs.day(spec.from_ms, spec.zone)} to {runs.day(spec.to_ms, spec.zone)}"
        f"{zone}, by the route plans of {source}. Nothing was changed."
    )
    yield f"  Assumed: {ASSUMPTION}."
    yield f"  Prices are those of config version {spec.config_version}; carriers answer as they did in these days."
    for reason, calls in found.left_out.items():
        yield f"  Left out: {calls:,}, {reason}"
    for row in found.totals:
        lost = f"; {row['without_route']:,} have no route and are not sold" if row["without_route"] else ""
        yield f"All, in {row['currency']}: {row['calls']:,} compared, {row['moved']:,} over another carrier{lost}"
        for what in ("sell", "buy", "margin"):
            yield f"  {what:<7}{_change(row, what)}"
    for by in ("destination", "carrier"):
        rows = found.sums[by].head(runs.MOST_LINES).to_dicts()
        if rows:
            yield f"by {by}" + (" of the plan" if by == "carrier" else "")
        for row in rows:
            name = row[by] or ("no route" if by == "carrier" else "no name")
            yield f"  {name}: {row['calls']:,} call{'s' * (row['calls'] != 1)}, margin {_change(row, 'margin')}{_answers(row)}"
        if found.sums[by].height > runs.MOST_LINES:
            yield f"  ... and {found.sums[by].height - runs.MOST_LINES:,} more: --json has all"


def _change(row: dict[str, Any], what: str) -> str:
    was, now = int(row[f"was_{what}_nanos"]), int(row[f"{what}_nanos"])
    return f"{to_text(was)} -> {to_text(now)} {row['currency']} ({runs.signed(now - was)})"


def _answers(row: dict[str, Any]) -> str:
    return f"; answered {100 * row['was_asr']:.1f} % -> {100 * row['asr']:.1f} %" if row["measured"] else ""


def rerouted_as_json(found: Rerouted) -> dict[str, Any]:
    """The answer for a program: amounts are decimal texts, shares of answers 0 to 1."""
    from rating.routes.whatif import ASSUMPTION

    def line(row: dict[str, Any]) -> dict[str, Any]:
        return {key.removesuffix("_nanos"): to_text(int(value)) if key.endswith("_nanos") else value for key, value in row.items()}

    head = {"tenant": found.spec.tenant, "from_ms": found.spec.from_ms, "to_ms": found.spec.to_ms, "config_version": found.spec.config_version}
    lines = {f"by_{by}": [line(row) for row in frame.to_dicts()] for by, frame in found.sums.items()}
    return head | {"assumption": ASSUMPTION, "plans": list(found.plans), "calls": found.calls, "left_out": dict(found.left_out)} | lines
