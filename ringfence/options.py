"""Options that several commands share, and how people write lengths of time."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from core import durations
from core.numbers import DialPlan, number_of, range_of
from core.orders import Key
from ringfence.settings import PREFIX, Settings
from services.homes import RESTORING

Home = Annotated[
    Path | None,
    typer.Option("--home", help="Where the embedded parts live (else RINGFENCE_HOME, else ./var).", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="For programs: JSON instead of a table.")]
Tenant = Annotated[str, typer.Option(help="The tenant; may be left out where there is only one.", show_default=False)]
Account = Annotated[str, typer.Option(help="The ingress account, as the switch authenticated it.", show_default=False)]
Trunk = Annotated[str, typer.Option(help="An ingress trunk instead of an account.", show_default=False)]
ANumber = Annotated[str, typer.Option("--a-number", help="Only this caller, with its country code.", show_default=False)]
BRange = Annotated[
    str, typer.Option("--b-range", help="Only called numbers that begin so, from the country code on.", show_default=False)
]
Why = Annotated[str, typer.Option(help="The reason, for whoever reads the audit.", show_default=False)]
Who = Annotated[str, typer.Option(help="Whose decision it is (else the login name).", show_default=False)]


def settings_of(home: Path | None, **given: object) -> Settings:
    """As `any_settings`, for a home that is whole."""
    settings = any_settings(home, **given)
    if (settings.root / RESTORING).exists():
        give_up(f"A restore into {settings.root} was cut off or runs: what is there is not whole. Run `ringfence restore` (again).")
    return settings


def any_settings(home: Path | None, **given: object) -> Settings:
    """The settings, with what the command line gave above the environment; None = not given."""
    try:
        return Settings(**{name: value for name, value in {"home": home, **given}.items() if value is not None})  # type: ignore[arg-type]
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
    """Who is at the keyboard."""
    return who or pwd.getpwuid(os.getuid()).pw_name


def key_of(tenant: str, account: str, trunk: str, a_number: str, b_range: str, plan: DialPlan = DialPlan()) -> Key:
    """The key that the options name, with its numbers as they are meant. What else is malformed is said where the order is checked."""
    if bool(account) == bool(trunk):
        raise typer.BadParameter("name an --account or a --trunk, one of the two")
    try:
        caller = number_of(a_number, plan) if a_number else ""
        called = range_of(b_range, plan) if b_range else ""
    except ValueError as error:
        give_up(str(error))
    return Key(tenant=tenant, account=account, ingress_trunk=trunk, a_number=caller, b_range=called)


def give_up(message: str) -> NoReturn:
    """One line on stderr, exit code 1."""
    typer.secho(message, err=True, fg=typer.colors.RED)
    raise typer.Exit(1)
