"""`ringfence runs`: rating runs: what each would change, which count, and taking one back."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from core.clock import wall_clock_ms
from core.money import to_text
from ringfence import options
from ringfence.options import Home, Json, Who, Why

if TYPE_CHECKING:
    from books.runs import Line, Run

EPILOG = """
**Examples**

`ringfence runs list`

`ringfence runs show 7`

`ringfence runs count 7 --why "new price list from 1 October, agreed with all"`

`ringfence runs withdraw 7 --why "it was the wrong list"`
"""

app = typer.Typer(no_args_is_help=True, epilog=EPILOG, rich_markup_mode="markdown", help="Rating runs: what each would change, and which count.")

Number = Annotated[int, typer.Argument(min=1, metavar="RUN", help="The number that the books gave it.", show_default=False)]

STATES = {
    "computed": "does not count",
    "counting": "was cut off: count it again",
    "counts": "counts",
    "void": "never counts",
    "withdrawn": "was taken back",
}


@app.command("list", epilog=EPILOG)
def list_(as_json: Json = False, home: Home = None) -> None:
    """All runs, the newest first: who made it, why, over which days, and whether it counts."""
    from services import rerate

    found = rerate.every(options.settings_of(home).installation)
    if as_json:
        typer.echo("[" + ",\n ".join(as_text(run) for run in found) + "]")
        return
    if not found:
        typer.echo("There is no rating run yet: `ringfence rerate` makes one.")
    for run in found:
        state = STATES[run.state] + (f" ({run.state_why})" if run.state == "void" else "")
        days = f"{day(run.spec.from_ms, run.spec.zone)} to {day(run.spec.to_ms, run.spec.zone)}"
        typer.echo(f"{run.run:5}  {run.kind:8} {days}  {run.found.calls:12,} calls  {run.who:12} {run.why}   {state}")


@app.command(epilog=EPILOG)
def show(run: Number, as_json: Json = False, home: Home = None) -> None:
    """What a run changes, by account, carrier, destination and cause."""
    from services import rerate

    show_one(rerate.run_of(options.settings_of(home).installation, run), as_json)


@app.command(epilog=EPILOG)
def count(run: Number, why: Why, who: Who = "", home: Home = None) -> None:
    """Make a run count. It is priced once more; where it would change something else than was shown, nothing counts.

    All of its charges begin to count at one moment. If it is cut off, do it again: it goes on.
    """
    from services import rerate

    done = rerate.count(options.settings_of(home).installation, run, options.login(who), why, wall_clock_ms(), progress)
    typer.echo(f"Run {done.run} counts: {done.found.calls:,} calls.")


@app.command(epilog=EPILOG)
def withdraw(run: Number, why: Why, who: Who = "", home: Home = None) -> None:
    """Take back a run that counts: what counted before it counts again, and records become what they were."""
    from services import rerate

    rerate.withdraw(options.settings_of(home).installation, run, options.login(who), why, wall_clock_ms())
    typer.echo(f"Run {run} does not count any more.")


# --- words -------------------------------------------------------------------------------------------------------------------------


def to_ms(when: datetime, zone: str = "UTC") -> int:
    """A time that a person typed, in a time zone.

    >>> to_ms(datetime(1970, 1, 2)), to_ms(datetime(1970, 1, 2), "Europe/Vienna")
    (86400000, 82800000)
    """
    return round(when.replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def day(at_ms: int, zone: str = "UTC") -> str:
    """A time as people read it; its midnight is the day alone.

    >>> day(82_800_000, "Europe/Vienna"), day(82_800_000)
    ('1970-01-02', '1970-01-01 23:00:00')
    """
    when = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone))
    return f"{when:%Y-%m-%d}" if (when.hour, when.minute, when.second) == (0, 0, 0) else f"{when:%Y-%m-%d %H:%M:%S}"


def progress(done: int, all_of: int) -> None:
    """A line that is written over, where somebody looks."""
    if sys.stderr.isatty() and all_of:
        sys.stderr.write(f"\r{100 * done // all_of:3} %" + ("\r     \r" if done == all_of else ""))
        sys.stderr.flush()


MOST_LINES = 20


def show_one(run: Run, as_json: bool) -> None:
    """A run for a person, or as JSON with all of its lines."""
    if as_json:
        typer.echo(as_text(run))
        return
    spec = run.spec
    only = "".join(f", {what} {name}" for what, name in (("account", spec.account), ("carrier", spec.carrier), ("reason", spec.reason)) if name)
    zone = "" if spec.zone == "UTC" else f" {spec.zone}"
    head = f"Run {run.run}: {day(spec.from_ms, spec.zone)} to {day(spec.to_ms, spec.zone)}{zone}{only}, config version {spec.config_version}"
    typer.echo(f"{head}: {run.found.calls:,} calls, {STATES[run.state]}")
    for name, deck_id in spec.decks.items():
        typer.echo(f"  deck {name} replaced by version {deck_id[:12]}")
    for by in ("all", "account", "carrier", "destination"):
        lines = [line for line in run.found.lines if line.by == by]
        if by != "all" and lines:
            typer.secho(f"by {by}", dim=True)
        for line in lines[:MOST_LINES]:
            typer.echo(f"  {words(line)}")
        if len(lines) > MOST_LINES:
            typer.echo(f"  ... and {len(lines) - MOST_LINES:,} more: `ringfence runs show {run.run} --json`")
    if run.found.unpriced:
        typer.secho("cannot be priced, and stay as they are", dim=True)
        for one in run.found.unpriced[:MOST_LINES]:
            typer.echo(f"  {one.calls:,} call{'s' * (one.calls != 1)}: {one.reason} (such as {one.example})")
    for note in run.found.notes:
        typer.echo(f"  {note}")
    if run.state == "computed" and (run.found.calls or run.kind == "rejects"):
        typer.echo(f'`ringfence runs count {run.run} --why "..."` makes it count.')


def words(line: Line) -> str:
    """A sum of a difference in one line.

    >>> from books.runs import Line
    >>> words(Line("account", "acme", "sell", 0, "EUR", 2, "130000000", "190000000", (("rate", 1, "60000000"),)))
    'acme sell: 0.13 -> 0.19 EUR (+0.06; rate +0.06 in 1 charge)'
    """
    before, after = int(line.before_nanos), int(line.after_nanos)
    causes = "".join(f"; {cause} {signed(int(nanos))} in {count:,} charge{'s' * (count != 1)}" for cause, count, nanos in line.causes)
    level = f" level {line.level}" if line.level else ""
    head = f"{line.name} {line.role}" if line.by != "all" else line.role
    return f"{head}{level}: {to_text(before)} -> {to_text(after)} {line.currency}".rstrip() + f" ({signed(after - before)}{causes})"


def signed(nanos: int) -> str:
    """An amount with its sign."""
    return f"{'+' if nanos > 0 else ''}{to_text(nanos)}"


def as_text(run: Run) -> str:
    """A run as JSON; amounts are decimal texts."""
    import msgspec

    def line(one: Line) -> dict[str, object]:
        amounts = {"before": to_text(int(one.before_nanos)), "after": to_text(int(one.after_nanos))}
        head = {"by": one.by, "name": one.name, "role": one.role, "level": one.level, "currency": one.currency, "charges": one.charges}
        causes = [{"cause": cause, "charges": count, "amount": to_text(int(nanos))} for cause, count, nanos in one.causes]
        return head | amounts | {"causes": causes}

    found = run._asdict() | {"spec": run.spec, "calls": run.found.calls, "lines": [line(one) for one in run.found.lines]}
    found |= {"unpriced": [{"reason": one.reason, "calls": one.calls, "example": one.example} for one in run.found.unpriced]}
    del found["found"]
    return msgspec.json.encode(found).decode()
