"""`ringfence models`: trained scorers: train one, list them, put one in force and take it back; and what verdicts say of the detectors."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from core.clock import wall_clock_ms
from ringfence import options
from ringfence.options import Home, Tenant, Who, Why

EPILOG = """
A scorer is used by the detector `learned`, which is off until a model is in force. A model is a file of numbers, known by its hash; one whose hash
differs is refused. The one that ships, `simulated-1`, has learned from simulated traffic alone.

**Examples**

`ringfence models list`

`ringfence models use simulated-1 --why "a week of warnings"`

`ringfence models rollback --why "too many alerts"`

`ringfence models train mine --seeds 11-14 --calls 30000 --why "our numbers of calls"`

`ringfence models verdicts`

`ringfence models correct on --why "40 verdicts, and it is the better judge"`
"""

app = typer.Typer(no_args_is_help=True, epilog=EPILOG, rich_markup_mode="markdown", help="Trained scorers, and what verdicts say of the detectors.")


@app.command("list", epilog=EPILOG)
def list_(home: Home = None) -> None:
    """All models: those in the books, and those that came with the release."""
    from services import models
    from services.installation import books_as_they_are

    with books_as_they_are(options.settings_of(home).installation) as conn:
        found = models.every(conn)
    for one in found:
        used = f"in force for {', '.join(one.used_by)}" if one.used_by else "in the books" if one.stored else "came with the release"
        typer.echo(f"{one.sha256[:12]}  {one.name}  {datetime.fromtimestamp(one.at_ms / 1000, UTC):%Y-%m-%d}  {used}")
        if one.fault:
            typer.echo(f"    refused: {one.fault}")
            continue
        measured = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in one.metrics.items())
        typer.echo(f"    learned from {one.trained_on}\n    {measured}")


@app.command(epilog=EPILOG)
def train(
    name: Annotated[str, typer.Argument(help="What to call it.", show_default=False)],
    seeds: Annotated[str, typer.Option(help="Of the simulated traffic, as FIRST-LAST; the last one measures.")] = "2001-2003",
    calls: Annotated[int, typer.Option(min=1_000, max=10_000_000, help="Honest calls per seed.")] = 30_000,
    days: Annotated[float, typer.Option(min=0.5, max=60, help="How many days they fill.")] = 2.0,
    out: Annotated[Path | None, typer.Option(dir_okay=False, help="Also write the file.", show_default=False)] = None,
    why: Why = "",
    who: Who = "",
    home: Home = None,
) -> None:
    """Train a scorer on simulated traffic and store it. It is not in force before `use`."""
    from detectors.model import sha256_of
    from services import models
    from services.installation import books

    first, _, last = seeds.partition("-")
    if not (first.isdigit() and last.isdigit()) or not 0 < int(last) - int(first) < 100:
        raise typer.BadParameter("--seeds: write FIRST-LAST, such as 2001-2003: at least two, at most a hundred")
    options.check_why(why)
    installation = options.settings_of(home).installation
    data = models.train(range(int(first), int(last) + 1), calls, days, name, wall_clock_ms(), lambda text: typer.echo(text, err=True))
    with books(installation) as conn:
        models.add(conn, data, options.login(who), why, wall_clock_ms())
    if out is not None:
        out.write_bytes(data)
    typer.echo(f"{name} ({sha256_of(data)[:12]}) is stored. `ringfence models list` has what was measured.")


@app.command(epilog=EPILOG)
def add(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The file of a model.", show_default=False)],
    sha256: Annotated[str, typer.Option(help="What its SHA-256 must be.", show_default=False)] = "",
    why: Why = "",
    who: Who = "",
    home: Home = None,
) -> None:
    """Store the file of a model. One that is no model, or whose hash differs, is refused."""
    from services import models
    from services.installation import books

    options.check_why(why)
    with books(options.settings_of(home).installation) as conn:
        found = models.add_file(conn, file, options.login(who), why, wall_clock_ms(), sha256)
    typer.echo(f"{found.name} is stored.")


@app.command(epilog=EPILOG)
def use(
    model: Annotated[str, typer.Argument(help="Its name, or the beginning of its hash; `none` turns the detector off.", show_default=False)],
    why: Why = "",
    who: Who = "",
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """Put a model in force, by a new config version."""
    from services import models
    from services.installation import books

    options.check_why(why)
    with books(options.settings_of(home).installation) as conn:
        sha256 = models.use(conn, tenant, model, options.login(who), why, wall_clock_ms())
    typer.echo(f"Model {sha256[:12]} is in force from the next tick on." if sha256 else "No model is in force.")


@app.command(epilog=EPILOG)
def rollback(why: Why = "", who: Who = "", tenant: Tenant = "", home: Home = None) -> None:
    """Put the model in force that was in force before this one."""
    from services import models
    from services.installation import books

    options.check_why(why)
    with books(options.settings_of(home).installation) as conn:
        sha256 = models.rollback(conn, tenant, options.login(who), why, wall_clock_ms())
    typer.echo(f"Model {sha256[:12]} is in force from the next tick on." if sha256 else "No model is in force.")


@app.command(epilog=EPILOG)
def correct(
    state: Annotated[Literal["on", "off"], typer.Argument(help="on or off.", show_default=False)],
    why: Why = "",
    who: Who = "",
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """Let what verdicts say of the evidence keep alerts from becoming blocks, or no longer."""
    from detectors.corrector import LEAST
    from services import verdicts as service
    from services.installation import books, tenant_of

    if not why.strip():
        raise typer.BadParameter("say --why: it goes into the audit")
    with books(options.settings_of(home).installation) as conn:
        policy = service.correct(conn, tenant_of(conn, tenant), state == "on", options.login(who), why, wall_clock_ms())
    if state == "off":
        typer.echo("The corrector is off.")
    elif policy.corrected_by:
        typer.echo(f"The corrector is on, learned from {policy.corrected_by:,} verdicts.")
    else:
        typer.echo(f"The corrector is on. It corrects nothing before {LEAST} verdicts show that it is better than the detectors' own weights.")


@app.command(epilog=EPILOG)
def verdicts(tenant: Tenant = "", home: Home = None) -> None:
    """What people's verdicts say: the precision of each detector and its drift, and whether the weights of the evidence should be others."""
    from books import configs
    from ringfence.messages import date_time
    from services import verdicts as service
    from services.backtest import policy_in_force
    from services.installation import books_as_they_are, tenant_of

    with books_as_they_are(options.settings_of(home).installation) as conn:
        name = tenant_of(conn, tenant)
        watched, corrected, policy = service.drifting(conn, name), service.correction(conn, name), policy_in_force(conn, name)
        version = configs.latest(conn)
    if not watched:
        typer.echo("Nobody has given a verdict yet: `ringfence alerts verdict`.")
    for one in watched:
        typer.echo(f"{one.detector:16} {one.verdicts:5,} verdicts, {one.precision:.0%} fraud; of the last {one.window:,}: {one.now:.0%}")
        for at_ms, before, after in one.drifts:
            typer.echo(f"    {date_time(at_ms)}: its precision changed from {before:.0%} to {after:.0%}")
    if corrected.learned:
        typer.echo(
            f"Log loss of {corrected.learned:,} verdicts: {corrected.loss_before:.3f} by the detectors' weights, {corrected.loss_after:.3f} corrected"
            + ("." if corrected.helps else "; the correction is not used.")
        )
    if policy.corrector == "on":
        weights = f"with {len(policy.corrections)} weights learned from {policy.corrected_by:,} verdicts"
        learned = weights if policy.corrected_by else "and corrects nothing yet"
        typer.echo(f"The corrector is on in config version {version}, {learned}.")
    else:
        typer.echo("The corrector is off: `ringfence models correct on`.")
