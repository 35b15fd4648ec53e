"""`ringfence notify`: who gets messages about alerts and silence."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from core import durations
from core.clock import wall_clock_ms
from core.text import moment
from ringfence import options
from ringfence.options import Home, Json, Who, Why

if TYPE_CHECKING:
    from core.notify import Target

EPILOG = """
A receiver gets one message per alert, and per part, switch or feed that has gone silent. Mail needs RINGFENCE_SMTP_URL and RINGFENCE_MAIL_FROM. A
webhook is signed as standardwebhooks.com says; its secret is shown once. A chat is the URL of an incoming webhook (Slack, Mattermost, Teams).

**Examples**

`ringfence notify add noc --email noc@example.net --least urgent --why "the night shift"`

`ringfence notify add boss --email boss@example.net --least urgent --after 15m --why "if nobody takes it"`

`ringfence notify add office --chat https://hooks.slack.com/services/T0/B0/x --hours 08:00-18:00 --days mon-fri --zone Europe/Vienna --why "day"`

`ringfence notify add tickets --webhook https://tickets.example.net/hook --least low --why "a ticket each"`

`ringfence notify test noc`
"""

app = typer.Typer(no_args_is_help=True, epilog=EPILOG)
Name = Annotated[str, typer.Argument(help="The name of who is notified.", show_default=False)]


@app.callback()
def notify() -> None:
    """Who gets messages about alerts and silence: add, list, test, remove, log."""


@app.command(epilog=EPILOG)
def add(
    name: Name,
    email: Annotated[str, typer.Option(help="An address.", show_default=False)] = "",
    webhook: Annotated[str, typer.Option(help="A URL that takes signed JSON.", show_default=False)] = "",
    chat: Annotated[str, typer.Option(help="The URL of a chat's incoming webhook.", show_default=False)] = "",
    least: Annotated[str, typer.Option(help="low: also what only warns. normal: also what is blocked. urgent: what passes, and silence.")] = "normal",
    after: Annotated[str, typer.Option(help="Only where nobody has taken the alert for so long.", show_default="at once")] = "",
    hours: Annotated[str, typer.Option(help="When, as 08:00-18:00. Outside, messages wait.", show_default="at all times")] = "",
    days: Annotated[str, typer.Option(help="On which days, as mon-fri.", show_default="all")] = "",
    zone: Annotated[str, typer.Option(help="The time zone of hours and days.")] = "UTC",
    always: Annotated[str, typer.Option(help="What is sent outside the hours as well: urgent, normal, low or never.")] = "urgent",
    whole_numbers: Annotated[bool, typer.Option("--whole-numbers", help="Do not mask subscribers' numbers.")] = False,
    tenant: Annotated[str, typer.Option(help="Only this tenant's alerts.", show_default="every tenant's, and silence")] = "",
    secret: Annotated[str, typer.Option(help="The secret of a webhook.", show_default="a new one", envvar="RINGFENCE_WEBHOOK_SECRET")] = "",
    why: Why = "",
    who: Who = "",
    home: Home = None,
) -> None:
    """Add somebody to notify, or change the rules."""
    from core.notify import Target
    from services.installation import books
    from services.notifying import targets

    kinds = {kind: address for kind, address in (("email", email), ("webhook", webhook), ("chat", chat)) if address}
    if len(kinds) != 1:
        raise typer.BadParameter("use one of --email, --webhook and --chat")
    ((kind, address),) = kinds.items()
    after_ms = options.duration_ms(after) if after else 0
    target = Target(
        name, kind, address, secret, tenant, least, after_ms, hours, days, zone, always, whole_numbers, options.login(who), wall_clock_ms()  # type: ignore[arg-type]
    )  # fmt: skip
    with books(options.settings_of(home).installation) as conn:
        added = targets.add(conn, target, why)
    if added.kind == "webhook":
        typer.echo(added.secret)
        typer.echo("The secret above checks the signatures; keep it where the receiver reads it.", err=True)
    later = f", after {after}" if after else ""
    typer.echo(f"{name} is notified by {kind} of what is {least} or more{later}. `ringfence notify test {name}` tries it.")


@app.command("list", epilog=EPILOG)
def list_(as_json: Json = False, home: Home = None) -> None:
    """List who is notified; secrets and the ends of URLs are not shown."""
    import msgspec

    from books import notifications
    from services.installation import books_as_they_are

    with books_as_they_are(options.settings_of(home).installation) as conn:
        every = notifications.targets(conn)
    if as_json:
        typer.echo(msgspec.json.encode([one._replace(secret="", address=_shown(one))._asdict() for one in every]).decode())
        return
    for one in every:
        when = " ".join(filter(None, (one.days, one.hours, one.time_zone if one.hours or one.days else "")))
        after = f"  after {durations.text(Decimal(one.after_ms))}" if one.after_ms else ""
        typer.echo(f"{one.name:12} {one.kind:8} {_shown(one)}  from {one.least}{after}  {when}  {one.tenant}".rstrip())
    if not every:
        typer.echo("Nobody is notified: `ringfence notify add`.")


def _shown(one: Target) -> str:
    """The address for a person. That of a chat or a webhook is a secret beyond its host: whoever has it may post there.

    >>> from core.notify import Target
    >>> _shown(Target("office", "chat", "https://u:pw@hooks.example:8443/services/T0/x"))
    'https://hooks.example:8443/…'
    """
    if one.kind == "email":
        return one.address
    parts = urlsplit(one.address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…"


@app.command(epilog=EPILOG)
def test(name: Name, home: Home = None) -> None:  # noqa: PT028 - a command, not a test
    """Send a test message now."""
    from ringfence.parts import sending
    from services.installation import opened_books
    from services.notifying import rounds, targets

    settings = options.settings_of(home)
    with opened_books(settings.installation) as engine:
        from books import reading

        with reading(engine) as conn:
            target = targets.find(conn, name)
        done = rounds.test(engine, target, sending(settings), wall_clock_ms())
    if done.error:
        options.give_up(f"{name}: not accepted: {done.error}")
    typer.echo(f"{name}: accepted ({done.notice.id}).")


@app.command(epilog=EPILOG)
def remove(name: Name, why: Why = "", who: Who = "", home: Home = None) -> None:
    """Notify somebody no more."""
    from services.installation import books
    from services.notifying import targets

    with books(options.settings_of(home).installation) as conn:
        targets.remove(conn, name, options.login(who), why, wall_clock_ms())
    typer.echo(f"{name} is notified no more.")


@app.command(epilog=EPILOG)
def log(last: Annotated[int, typer.Option(help="How many.")] = 20, as_json: Json = False, home: Home = None) -> None:
    """What was sent, the newest first, and what became of it."""
    import msgspec

    from books import notifications
    from services.installation import books_as_they_are

    now_ms = wall_clock_ms()
    with books_as_they_are(options.settings_of(home).installation) as conn:
        found = notifications.last(conn, last)
    if as_json:
        rows = [{**one.notice._asdict(), "state": one.state, "attempts": one.attempts, "error": one.error} for one in found]
        typer.echo(msgspec.json.encode(rows).decode())
        return
    for one in found:
        tries = f", {one.attempts} attempts" if one.attempts > 1 else ""
        error = f": {one.error}" if one.error else ""
        typer.echo(f"{moment(one.changed_ms, now_ms)}  {one.notice.target:12} {one.state}{tries}{error}  {one.notice.severity}  {one.notice.title}")
