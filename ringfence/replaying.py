"""A replay, from its options: which contracts price it, and a bar that shows how far it is."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from books import BooksError, configs, open_books, reading
from core.config import Config
from flows import replay
from rating.contracts import ConfigError, Contracts, compile_contracts
from rating.decks import Deck, DeckError, DeckFormat, read_deck
from ringfence import files
from ringfence.contracts import from_books
from switches.files.mapping import MappingError, read_mapping

WRONG = (BooksError, MappingError, ConfigError, DeckError, KeyError, OSError, UnicodeDecodeError)
"""What is wrong with what was asked for: told in one line."""


NO_CURRENCY = "XXX"
"""Of a deck where the mapping says none (ISO 4217: no currency is known): money without a name would be left out of the sums."""


def run(calls: Path, mapping_file: Path, out: Path, deck_file: Path | None, books_dsn: str) -> replay.Summary:
    """Judges the file and writes the results."""
    files.checked(calls)
    try:
        mapping = read_mapping(files.read(mapping_file, files.CONFIG_BYTES).decode("utf-8-sig"), mapping_file.name)
    except UnicodeDecodeError as wrong:
        raise MappingError(f"{mapping_file.name}: byte {wrong.start} is not UTF-8: save the mapping as UTF-8") from None
    except RecursionError:
        raise MappingError(f"{mapping_file.name}: lists and mappings lie in each other too deeply to be read") from None
    deck = None
    if deck_file:
        content = files.read(deck_file, files.DECK_BYTES)
        deck = read_deck(content, deck_file.stem, mapping.currency or NO_CURRENCY, mapping.deck or DeckFormat())
    contracts = in_force(books_dsn, deck) if books_dsn else replay.self_registering(deck)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rows]}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"reading {calls.name}", total=None, rows="")

        def show(done: int, total: int) -> None:
            if total:
                bar.update(task, description=f"judging {calls.name}", completed=done, total=total, rows=f"{done:,} of {total:,} rows")
            else:
                bar.update(task, rows=f"{done:,} rows")

        return replay.run(calls, mapping, out, contracts, show)


def closing(out: Path, summary: replay.Summary) -> list[str]:
    """What a person wants to know when it is done."""
    lines = [f"{summary.received:,} records, {summary.records_per_s:,.0f} a second"]
    fates = ("rated", "unrated", "events", "rejected", "duplicates", "conflicts")
    lines += [f"  {name:12} {getattr(summary, name):>12,}" for name in fates if getattr(summary, name) or name == "rated"]
    lines += [f"    {count:,} x {reason[:REASON]}" for reason, count in list(summary.reasons.items())[:FEW]]
    if summary.suspected_duplicates:
        lines.append(
            f"  {summary.suspected_duplicates:>12,} rows have the id of an earlier one, or equal one: suspected duplicates, counted and priced "
            f"({replay.SUSPECTED})"
        )
    lines += [f"  {count:>12,} rows were read without a part: {note[:REASON]}" for note, count in list(summary.notes.items())[:FEW]]
    for word, amounts in (("sold", summary.sell), ("bought", summary.buy)):
        lines.append(f"{word:14} " + (", ".join(f"{amount} {currency}" for currency, amount in amounts.items()) or "nothing"))
    lines.append(f"alerts         {summary.alerts:,}")
    with (out / "alerts.jsonl").open("rb") as alerts:
        for line in islice(alerts, FEW):
            alert = msgspec.json.decode(line)
            at = datetime.fromtimestamp(alert["detected_at_ms"] / 1000, UTC)
            lines.append(f"  {at:%Y-%m-%d %H:%M:%S}  {alert['tenant']}: {alert['reason']}")
    if summary.alerts > FEW:
        lines.append(f"  ... and {summary.alerts - FEW:,} more in alerts.jsonl")
    lines.append(f"block orders   {summary.block_orders:,} that would have been; none has reached a switch")
    lines.append(f"results        {out}: {', '.join(replay.OUTPUTS)}")
    return lines


FEW = 5
"""Alerts and reasons that are told at the end; the files have all."""
REASON = 160
"""Characters of a reason."""


def in_force(books_dsn: str, deck: Deck | None) -> Contracts:
    """The books' newest config version; with a deck, every account is sold to by that one."""
    engine = open_books(books_dsn)
    try:
        with reading(engine) as conn:
            version = configs.latest(conn)
            config = configs.load(conn, version) if version else Config(version=0)
        contracts = from_books(engine)(version)
    finally:
        engine.dispose()
    if deck is None:
        return contracts
    config = msgspec.structs.replace(
        config,
        accounts=tuple(msgspec.structs.replace(account, sell_deck=deck.name) for account in config.accounts),
        decks={**config.decks, deck.name: deck.deck_id},
        default_sell_deck=deck.name,
    )
    return compile_contracts(config, {**{one.name: one for one in contracts.decks}, deck.name: deck})
