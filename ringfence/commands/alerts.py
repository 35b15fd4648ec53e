"""`ringfence alerts`: the queue of alerts, what one is about, and a person's verdict on it."""

from __future__ import annotations

from typing import Annotated

import typer

from core.clock import wall_clock_ms
from ringfence import options
from ringfence.options import Home, Tenant, Who, Why

EPILOG = """
A verdict is `fraud`, `not fraud` or `unsure`. Of a subject that is not fraud the same detector says nothing for a week, or as long as `--quiet` says,
and the orders of the alert are lifted; fraud spreads to the subject's open alerts.

**Examples**

`ringfence alerts list`

`ringfence alerts show finding-0123456789abcdef0123`

`ringfence alerts verdict finding-0123456789abcdef0123 fraud --why "the customer confirmed it"`

`ringfence alerts verdict finding-0123456789abcdef0123 "not fraud" --why "their yearly campaign" --quiet 14d`
"""

app = typer.Typer(no_args_is_help=True, epilog=EPILOG, rich_markup_mode="markdown", help="The queue of alerts, and verdicts on them.")

Finding = Annotated[str, typer.Argument(metavar="ALERT", help="Its id, as `alerts list` prints it.", show_default=False)]


@app.command("list", epilog=EPILOG)
def list_(
    last: Annotated[int, typer.Option(min=1, max=10_000, help="How many of the newest.")] = 20, tenant: Tenant = "", home: Home = None
) -> None:  # fmt: skip
    """The newest alerts, those of one attack together: what still passes first, then by money."""
    from ringfence import messages
    from services import alert_desk
    from services.attacks import attacks
    from services.installation import books_as_they_are

    with books_as_they_are(options.settings_of(home).installation) as conn:
        found = attacks(alert_desk.queue(conn, tenant, wall_clock_ms(), last))
    if not found:
        typer.echo("There are no alerts.")
    for one, others in found:
        said = f"  {one.verdict.verdict} ({one.verdict.who}: {one.verdict.why})" if one.verdict else ""
        typer.echo(f"{one.finding.finding_id}  {messages.date_time(one.finding.last_ms)}  {one.status or 'no block':10}{said}")
        typer.echo(f"    {one.finding.reason}")
        for other in others:
            typer.echo(f"    also {other.finding.finding_id}  {other.status or 'no block':10}  {other.finding.reason.partition('. ')[0]}")


@app.command(epilog=EPILOG)
def show(finding: Finding, home: Home = None) -> None:
    """Why an alert came, in sentences that can be pasted into an e-mail."""
    from services import alert_desk
    from services.installation import books_as_they_are

    with books_as_they_are(options.settings_of(home).installation) as conn:
        lines = alert_desk.explanation(conn, finding)
    typer.echo("\n\n".join(lines))


@app.command(epilog=EPILOG)
def verdict(
    finding: Finding,
    what: Annotated[str, typer.Argument(metavar="VERDICT", help="fraud, not fraud, or unsure.", show_default=False)],
    why: Why = "",
    quiet: Annotated[str, typer.Option(help="For how long a subject that is not fraud is quiet.")] = "7d",
    who: Who = "",
    home: Home = None,
) -> None:
    """Say what an alert was."""
    from services import verdicts
    from services.installation import books

    options.check_why(why)
    with books(options.settings_of(home).installation) as conn:
        given = verdicts.give(conn, finding, what, options.login(who), why, wall_clock_ms(), options.duration_ms(quiet))
    typer.echo(verdicts.text_of(given))
