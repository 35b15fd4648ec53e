"""Options and checks that several commands share."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from core import durations

if TYPE_CHECKING:
    from core.numbers import DialPlan
    from core.orders import Key
    from ringfence.settings import Settings

Home = Annotated[
    Path | None,
    typer.Option("--home", help="Where the embedded parts live (else RINGFENCE_HOME, else ./var).", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs, instead of a table.")]
Tenant = Annotated[str, typer.Option(help="The tenant; may be left out where there is only one.", show_default=False)]
Account = Annotated[str, typer.Option(help="The ingress account, as the switch authenticated it.", show_default=False)]
Trunk = Annotated[str, typer.Option(help="An ingress trunk instead of an account.", show_default=False)]
ANumber = Annotated[str, typer.Option("--a-number", help="Only this caller, with its country code.", show_default=False)]
BRange = Annotated[
    str, typer.Option("--b-range", help="Only called numbers with this prefix, which begins with the country code.", show_default=False)
]
Why = Annotated[str, typer.Option(help="The reason, for the audit log.", show_default=False)]
Who = Annotated[str, typer.Option(help="The person who decides (default: the login name).", show_default=False)]


def settings_of(home: Path | None, **options: object) -> Settings:
    """As `any_settings`; refuses a home with an unfinished restore."""
    from services.homes import RESTORING

    settings = any_settings(home, **options)
    if (settings.root / RESTORING).exists():
        give_up(f"A restore into {settings.root} is running or was interrupted: the home is incomplete. Run `ringfence restore` (again).")
    return settings


def any_settings(home: Path | None, **options: object) -> Settings:
    """The settings, with the options of the command line before the environment; None = the option was not used."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from ringfence.settings import PREFIX, Settings

    try:
        return Settings(**{name: value for name, value in {"home": home, **options}.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        give_up("\n".join(f"{PREFIX}{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()))
    except SettingsError as error:
        give_up(str(error))


def duration_ms(text: str) -> int:
    """An option's length of time (`core.durations`); a wrong one is an error of usage."""
    try:
        return int(durations.to_ms(text))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def login(who: str = "") -> str:
    """`who`, or the login name of the person at the keyboard."""
    return who or pwd.getpwuid(os.getuid()).pw_name


def check_why(why: str) -> None:
    """An action without a reason is an error of usage."""
    if not why.strip():
        raise typer.BadParameter("say --why: the reason is written to the audit log")


def key_of(tenant: str, account: str, trunk: str, a_number: str, b_range: str, plan: DialPlan | None = None) -> Key:
    """The key that the options name, its numbers normalised by the dial plan. Other faults of a key are found where the order is checked."""
    from core.numbers import DialPlan, number_of, range_of
    from core.orders import Key

    plan = plan or DialPlan()
    if bool(account) == bool(trunk):
        raise typer.BadParameter("use either --account or --trunk, one of the two")
    try:
        caller = number_of(a_number, plan) if a_number else ""
        called = range_of(b_range, plan) if b_range else ""
    except ValueError as error:
        give_up(str(error))
    return Key(tenant=tenant, account=account, ingress_trunk=trunk, a_number=caller, b_range=called)


def give_up(message: str) -> NoReturn:
    """Print an error on stderr and end with exit code 1."""
    typer.secho(message, err=True, fg=typer.colors.RED)
    raise typer.Exit(1)
