"""`ringfence ranges`: ranges of numbers that are known for fraud."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.clock import wall_clock_ms
from ringfence import options
from ringfence.options import Home, Json, Tenant, Who, Why

if TYPE_CHECKING:
    from books import Connection

EPILOG = """
A list is a CSV with a header: a column `range` (or `number`, `prefix`), and, if it has them, `to`, `date`, `source` and `comment`. Lines that cannot
be read are listed and left out; a file with more than 20 % of them is refused whole. The same file again changes nothing.

A call into a known range raises the odds of fraud; an old entry counts less (docs/known-ranges.md). It blocks nothing by itself.

**Examples**

`ringfence ranges import hot-ranges-november.csv --source i3Forum --why "monthly list"`

`ringfence ranges`

`ringfence ranges confirm +8821312 --why "case 17, revenue share"`

`ringfence ranges forget +8821312 --why "went back to its owner"`
"""

app = typer.Typer(invoke_without_command=True, epilog=EPILOG)
Range = Annotated[str, typer.Argument(help="The first digits of the numbers, with the country code.", show_default=False)]


@app.callback()
def ranges(context: typer.Context, tenant: Tenant = "", last: Annotated[int, typer.Option(help="How many to show.")] = 50,
           as_json: Json = False, home: Home = None) -> None:  # fmt: skip
    """Ranges known for fraud: list, import, confirm, forget."""
    if context.invoked_subcommand:
        return
    import msgspec

    from services import known_ranges
    from services.installation import books_as_they_are, tenant_of

    with books_as_they_are(options.settings_of(home).installation) as conn:
        found = known_ranges.every(conn, tenant_of(conn, tenant), wall_clock_ms())
    if as_json:
        rows = [{**msgspec.structs.asdict(one.range), "points": round(one.points, 2)} for one in found]
        typer.echo(msgspec.json.encode(rows).decode())
        return
    for one in found[:last]:
        typer.echo(f"+{one.range.b_range:<15} {one.range.kind:9} {one.range.day}  {one.points:+.1f}  {one.range.source}  {one.range.why}".rstrip())
    typer.echo(f"{len(found):,} ranges are known" + (f"; the {last} that count most are shown." if len(found) > last else "."))


@app.command("import", epilog=EPILOG)
def import_(
    file: Annotated[Path, typer.Argument(help="The list.", show_default=False)],
    source: Annotated[str, typer.Option(help="Who reports, where a line does not say.", show_default="the file's name")] = "",
    date_format: Annotated[str, typer.Option(help="How dates are written, where not as 2026-01-31 or 31.01.2026.", show_default=False)] = "",
    tenant: Tenant = "",
    why: Why = "",
    who: Who = "",
    home: Home = None,
) -> None:
    """Take in a list of test numbers and ranges."""
    from services import blocks, known_ranges
    from services.installation import books, tenant_of

    why = why or f"list {file.name}"
    with books(options.settings_of(home).installation) as conn:
        whose, plan = tenant_of(conn, tenant), blocks.plan(conn)
        done = known_ranges.import_file(conn, file, whose, source, options.login(who), why, wall_clock_ms(), plan, date_format)
    for one in done.read.findings:
        typer.echo(f"  line {one.line}: {one.why}: {one.text}", err=True)
    left_out = f", {done.read.bad:,} of them left out" if done.read.bad else ""
    counts = f"{done.put:,} ranges are new or newer, {done.kept:,} were known; {done.known:,} in all, in version {done.version}"
    typer.echo(f"{file.name}: {done.read.lines:,} lines{left_out}. {counts}.")


@app.command(epilog=EPILOG)
def confirm(b_range: Range, tenant: Tenant = "", why: Why = "", who: Who = "", home: Home = None) -> None:
    """Mark a range as hot: a person has judged that calls into it are fraud."""
    from core.known import LEAST_DIGITS
    from services import known_ranges
    from services.errors import BadArgument
    from services.installation import books, tenant_of

    if not why:
        raise typer.BadParameter("give --why: it is recorded in the audit log")
    with books(options.settings_of(home).installation) as conn:
        digits = _digits(conn, b_range)
        if len(digits) < LEAST_DIGITS:
            raise BadArgument(f"{digits} is most of a country: a known range has at least {LEAST_DIGITS} digits")
        new = known_ranges.confirm(conn, tenant_of(conn, tenant), digits, options.login(who), why, wall_clock_ms())
    typer.echo(f"+{digits} is hot from today on." if new else f"+{digits} is hot already.")


@app.command(epilog=EPILOG)
def forget(b_range: Range, tenant: Tenant = "", why: Why = "", who: Who = "", home: Home = None) -> None:
    """Take a range off the list."""
    from services import known_ranges
    from services.installation import books, tenant_of

    if not why:
        raise typer.BadParameter("give --why: it is recorded in the audit log")
    with books(options.settings_of(home).installation) as conn:
        known_ranges.forget(conn, tenant_of(conn, tenant), _digits(conn, b_range), options.login(who), why, wall_clock_ms())
    typer.echo(f"{b_range} is no longer a known range.")


def _digits(conn: Connection, b_range: str) -> str:
    """The digits of a range as a person wrote it."""
    from core.numbers import range_of
    from services import blocks
    from services.errors import BadArgument

    try:
        return range_of(b_range, blocks.plan(conn))
    except ValueError as wrong:
        raise BadArgument(str(wrong)) from None
