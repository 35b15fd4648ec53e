"""The `ringfence` command. Each subcommand imports what it needs when it runs, so that `--help` is fast."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from ringfence.commands import (
    alerts,
    assure,
    backtest,
    backup,
    block,
    books,
    calls,
    completeness,
    config,
    controls,
    credential,
    decks,
    disputes,
    enforce,
    flow,
    health,
    invoices,
    journal,
    lists,
    margins,
    migrate,
    models,
    notify,
    orders,
    payments,
    pickup,
    portability,
    protect,
    quote,
    ranges,
    reconcile,
    recycle,
    repartition,
    replay,
    rerate,
    restore,
    retention,
    route,
    runs,
    simulate,
    status,
    switch,
    testcalls,
    unblock,
    up,
    user,
)

EPILOG = """
**The first minutes**

`ringfence up --simulate` prices simulated calls, detects an attack and blocks it, all in this terminal. In a second terminal,
`ringfence calls --last 20` shows the newest calls and `ringfence status` whether anything is missing.

Settings come from the environment or from `.env` (all are in `.env.example`); `--home` takes precedence over both.
"""


class Commands(TyperGroup):
    """Reports an outside part that cannot be used in one line that names its setting."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, TyperException):
            raise
        except Exception as error:
            from ringfence import options
            from ringfence.ops import faults
            from services.errors import BadArgument

            if isinstance(error, BadArgument):
                raise typer.BadParameter(str(error)) from None

            with faults.explained(options.settings_of(None)):
                raise


app = typer.Typer(
    name="ringfence",
    cls=Commands,
    rich_markup_mode="markdown",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a plain traceback, in logs as well
    context_settings={"help_option_names": ["-h", "--help"]},
)


def version(show: bool) -> None:
    if show:
        from importlib.metadata import version as installed

        typer.echo(installed("ringfence"))
        raise typer.Exit


@app.callback(epilog=EPILOG)
def main(
    _: Annotated[bool, typer.Option("--version", help="Print the version.", callback=version, is_eager=True)] = False,
) -> None:
    """Prices a carrier's calls as they happen, detects fraud, and blocks it at the switch."""
    from services import homes

    homes.restrict_umask()  # the files of a command show who calls whom: only their owner may read them


PANELS = {
    "Run": (up, flow, simulate, replay),
    "Configure": (config, decks, portability, switch, credential, user, protect, enforce),
    "Price again": (rerate, recycle, runs),
    "Try rules": (backtest, models),
    "Alerts and blocks": (alerts, block, unblock, orders, lists, ranges, testcalls, notify),
    "Money": (books, invoices, payments, margins, pickup, reconcile, disputes, controls, assure),
    "Inspect and maintain": (calls, quote, route, status, completeness, health, migrate, repartition, backup, restore, retention, journal),
}

for panel, commands in PANELS.items():
    for command in commands:
        name = command.__name__.rpartition(".")[2]
        if hasattr(command, "app"):  # it has subcommands
            app.add_typer(command.app, name=name, rich_help_panel=panel)
        else:
            app.command(name, epilog=command.EPILOG, rich_help_panel=panel)(getattr(command, name))
