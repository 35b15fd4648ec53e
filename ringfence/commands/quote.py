"""`ringfence quote`: what a call costs, and why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from core.clock import wall_clock_ms
from ringfence import options
from ringfence.options import Home, Json, Tenant

EPILOG = """
The price of a call is that of the contracts in force, with its derivation: the agreement and deck, the row that fits, each step with its
increments, the fees, and the one rounding. Where the account belongs to a reseller, it says what each level pays and keeps. With `--deck` a price
list is enough, and no installation is needed.

With `--money` it says how long a call that money buys: every fee, step and change of the price within the call counts, and it is never a
second too many.

A FILE has cases, one JSON object per line (docs/rating.md says what each can hold); each is answered by one line of JSON: `id`, `kind`,
`result` and `explain`, or `id` and `error`.

**Examples**

`ringfence quote --account acme --to +43664123456 --duration 61`

`ringfence quote --carrier alpha --to +43664123456 --duration 2m --at 2026-11-27T18:30+01:00`

`ringfence quote --account acme --to +43664123456 --money 5`

`ringfence quote --deck prices.csv --to +43664123456 --duration 61 --json`

`ringfence quote cases.jsonl`
"""


def quote(
    cases: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Cases to price, one per line; - reads standard input.", show_default=False)
    ] = None,
    account: Annotated[str, typer.Option(help="Who calls and is sold to.", show_default=False)] = "",
    carrier: Annotated[str, typer.Option(help="Who is bought from, instead of an account.", show_default=False)] = "",
    to: Annotated[str, typer.Option("--to", help="The number called, with its country code.", show_default=False)] = "",
    from_: Annotated[str, typer.Option("--from", help="The caller's number, where a deck asks for the origin.", show_default=False)] = "",
    lrn: Annotated[str, typer.Option(help="Where the number called was ported to.", show_default=False)] = "",
    duration: Annotated[str, typer.Option(help="Talk time: 61 (seconds), 90s, 2m.")] = "60",
    at: Annotated[str, typer.Option(help="When it is answered: 2026-11-27T18:30+01:00 (else UTC); now, if left out.", show_default=False)] = "",
    setup: Annotated[
        str, typer.Option(help="When it was set up, where the agreement goes by that; else as --at.", show_default=False)
    ] = "",
    money: Annotated[str, typer.Option(help="Instead of a duration: how long a call this much money buys.", show_default=False)] = "",
    deck: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A price list (CSV) instead of the contracts in force.", show_default=False)
    ] = None,
    currency: Annotated[str, typer.Option(help="Of the --deck.")] = "EUR",
    tenant: Tenant = "",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """What a call costs and why, or what the cases in a file cost."""
    import json

    if cases is not None:
        from services.quote_cases import answers

        for answer in answers(_lines(cases)):
            typer.echo(json.dumps(answer))
        return
    if not to or not (account or carrier or deck):
        raise typer.BadParameter("name who calls with --account (or --carrier, or a price list with --deck) and the number called with --to")
    from core.money import to_nanos
    from rating.decks import DeckError
    from services import quotes

    try:
        at_ms = moment(at, "--at")
        asked = quotes.QuoteRequest(account or "any", to, from_, lrn, carrier, at_ms, _talk_ms(duration), moment(setup, "--setup") if setup else None)
        if deck is not None:
            terms, whose = quotes.by_deck(deck, currency, asked.account), ""
        else:
            terms, whose = quotes.in_force(options.settings_of(home).installation, tenant)
        seconds, found = quotes.buys(terms, whose, asked, to_nanos(money)) if money else (None, quotes.ask(terms, whose, asked))
        levels = [found, *quotes.resellers(terms, whose, asked._replace(talk_ms=found.talk_ms))]
    except (DeckError, ValueError) as wrong:
        options.give_up(str(wrong))
    margins = quotes.margins(levels)
    if as_json:
        typer.echo(json.dumps(_as_json(levels, margins, seconds)))
    else:
        _show(levels, margins, asked, seconds, money)
    if any(one.why_not for one in levels):
        raise typer.Exit(1)


def _lines(file: Path) -> Iterator[bytes]:
    import sys

    if str(file) == "-":
        yield from sys.stdin.buffer
        return
    try:
        with file.open("rb") as lines:
            yield from lines
    except OSError as wrong:
        options.give_up(f"{file}: {wrong.strerror}")


def moment(text: str, option: str = "--at") -> int:
    """The time that an option means, in ms; now where it is left out. A `ValueError` says what to write."""
    if not text:
        return wall_clock_ms()
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{option} {text!r} is no time: write 2026-11-27T18:30+01:00") from None
    return round((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)


def _talk_ms(text: str) -> int:
    return int(text) * 1000 if text.isascii() and text.isdigit() and len(text) < 8 else options.duration_ms(text)


def _as_json(levels: list[Any], margins: list[int | None], seconds: int | None) -> dict[str, Any]:
    import msgspec

    from core.money import to_text

    def one(found: Any) -> dict[str, Any]:
        if found.why_not:
            return {"error": found.why_not}
        return {"amount": to_text(found.nanos), "currency": found.offer.currency, "charged_s": found.priced.charged_s, "party": found.party}

    answer = one(levels[0])
    if levels[0].why_not:
        return answer
    if seconds is not None:
        answer["seconds"] = seconds
    if len(levels) > 1:
        answer["resellers"] = [
            one(found) | {"level": found.level, "party": found.party, "margin": None if margin is None else to_text(margin)}
            | ({} if found.why_not else {"explain": msgspec.to_builtins(found.explanation)})
            for found, margin in zip(levels[1:], margins, strict=True)
        ]  # fmt: skip
    return answer | {"explain": msgspec.to_builtins(levels[0].explanation)}


def _show(levels: list[Any], margins: list[int | None], asked: Any, seconds: int | None, money: str) -> None:
    """What each level pays and keeps, and the derivations, for a person."""
    from core.money import to_text

    found = levels[0]
    who = f"carrier {asked.carrier}" if asked.carrier else f"account {asked.account}"
    if found.why_not:
        typer.echo(f"No price for {asked.b_number} and {who}: {found.why_not}.", err=True)
        return
    why = found.explanation
    if seconds is not None:
        typer.echo(f"{money} {why.amount_currency} buys {seconds} s of a call to {asked.b_number}.")
        if not seconds:
            return
    verb = "takes" if asked.carrier else "pays"
    typer.echo(f"{who[0].upper()}{who[1:]} {verb} {why.amount} {why.amount_currency} for {found.talk_ms / 1000:g} s to {asked.b_number}.")
    _show_derivation(found)
    for above, margin in zip(levels[1:], margins, strict=True):
        if above.why_not:
            typer.echo(f"No price for {asked.b_number} and reseller {above.party}: {above.why_not}.", err=True)
            continue
        paid = f"{above.explanation.amount} {above.offer.currency}"
        keeps = f" and keeps {to_text(margin)} {above.offer.currency} of it" if margin is not None else ""
        typer.echo(f"Reseller {above.party} pays {paid} for it{keeps}.")
        _show_derivation(above)


def _show_derivation(found: Any) -> None:
    from services import quotes

    for name, text in quotes.derivation(found):
        typer.echo(f"  {name:<14}{text}")
