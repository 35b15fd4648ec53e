"""`ringfence config`: accounts, carriers, prices and fraud policy as a file: show, check, publish."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.clock import wall_clock_ms
from ringfence import messages, options
from ringfence.options import Home, Who, Why

if TYPE_CHECKING:
    from books import Connection
    from services.publishing import Checked

EPILOG = """
**Examples**

Write the version in force to a file with its decks, change it, check it, and put it in force:

`ringfence config show --out mine/`

`ringfence config check mine/config.yaml`

`ringfence config publish mine/config.yaml --why "new customer acme, contract 2217"`

A version is never changed: to go back, publish an old one again.

`ringfence config show --list`, then `ringfence config show --version 3 > three.yaml` and `ringfence config publish three.yaml --why "back to 3"`
"""

app = typer.Typer(no_args_is_help=True, epilog=EPILOG)

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The file (YAML).", show_default=False)]


@app.callback()
def config() -> None:
    """Accounts, carriers, trunks, dial plans, decks and policy as one file.

    Every record is judged by one immutable version. The running parts use a new version from the next tick on, within 5 s.
    """


@app.command(epilog=EPILOG)
def show(
    version: Annotated[int | None, typer.Option(min=1, help="Show another version than the one in force.", show_default=False)] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the versions with their authors and reasons.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            file_okay=False, help="Write config.yaml and the decks' CSV files to this new or empty directory.", show_default=False
        ),
    ] = None,
    home: Home = None,
) -> None:
    """Show the version in force as a file that `publish` accepts.

    Without --out the file refers to the decks by their versions in the books; with --out their price lists are written beside it.
    """
    from books import configs
    from services import publishing
    from services.installation import books as installed_books

    with installed_books(options.settings_of(home).installation) as conn:
        newest = configs.latest(conn)
        if list_:
            for one in configs.every(conn):
                current = "   (in force)" if one.version == newest else ""
                typer.echo(f"{one.version:6}  {messages.date_time(one.at_ms)}  {one.who:16} {one.why}{current}")
            return
        number = version or newest
        if not 0 < number <= newest:
            options.give_up(
                f"There is no version {number}; " + (f"the newest is {newest}." if newest else "none was published yet.")
            )
        if out is not None and out.exists() and any(out.iterdir()):
            options.give_up(f"{out} is not empty: name a new or empty directory.")
        text = publishing.as_file(conn, number, out)
    typer.echo(f"Version {number} is in {out / 'config.yaml'}." if out else text, nl=out is not None)


@app.command(epilog=EPILOG)
def check(file: File, home: Home = None) -> None:
    """Check a file, and show what it would change. Every fault is listed with its path; nothing is written."""
    from books import configs
    from services import publishing
    from services.installation import books as installed_books

    settings = options.settings_of(home)
    if not settings.installation.has_books:
        _checked(file)
        typer.echo(f"{file} is valid. There are no books in {settings.root} to compare it with.")
        return
    with installed_books(settings.installation) as conn:
        checked = _checked(file, conn)
        changes = publishing.would_change(conn, checked)
        number = configs.latest(conn)
    for change in changes:
        typer.echo(f"  {change}")
    typer.echo(
        f"{file} is valid. " + (f"It would be version {number + 1}." if changes else f"It is version {number}, in force now.")
    )


@app.command(epilog=EPILOG)
def publish(file: File, why: Why, who: Who = "", home: Home = None) -> None:
    """Put a file in force as the next version. It replaces the whole configuration of each tenant in it: what it leaves out is removed.

    The file is read and compiled before anything is written, and written in one transaction. Publishing the same file again changes nothing.
    """
    from books import configs, lists, migrate
    from services import first_start, publishing
    from services.installation import books as installed_books

    settings, now_ms = options.settings_of(home), wall_clock_ms()
    options.check_why(why)
    if not settings.installation.has_books:
        _checked(file)  # a home is made only for a valid file
        first_start.lay(settings.installation)
        migrate(settings.books_dsn)
    with installed_books(settings.installation) as conn:
        checked = _checked(file, conn)
        if configs.latest(conn) == 0:
            lists.seed_emergency(conn, settings.countries.split(","), now_ms)
        done = publishing.publish(conn, checked, options.login(who), why, now_ms)
    if not done.changes:
        typer.echo(f"Nothing changed: version {done.version} is in force and equal to the file.")
        return
    for change in done.changes:
        typer.echo(f"  {change}")
    typer.echo(f"Version {done.version} is in force: the running parts use it from the next tick on, within 5 s.")
    for note in done.notes:
        typer.echo(note)


MOST_FAULTS = 20


def _checked(file: Path, conn: Connection | None = None) -> Checked:
    from services import config_file, publishing

    try:
        return publishing.check(file, conn)
    except config_file.Wrong as wrong:
        more = len(wrong.faults) - MOST_FAULTS
        lines = [*wrong.faults[:MOST_FAULTS], *([f"... and {more} more"] if more > 0 else [])]
        options.give_up(
            f"{file} is not valid, and nothing was written (rows are counted from 0):\n" + "\n".join(f"  {fault}" for fault in lines)
        )
