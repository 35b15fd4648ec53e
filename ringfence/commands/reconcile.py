"""`ringfence reconcile`: a carrier's bill against our calls, a customer's claim against our invoice."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from core.clock import wall_clock_ms
from core.money import to_decimal, to_nanos, to_text
from core.text import amount, visible
from ringfence import options
from ringfence.options import Home, Json, Tenant, Who

if TYPE_CHECKING:
    from assurance.reconcile.result import Reconciled
    from ringfence.settings import Settings
    from services.reconciling import Outcome

EPILOG = """
The two totals, every cause of their difference with its money (the causes add up to the difference), the destinations, and with `--out` the calls
and the days as CSV. Where the files do not tell two causes apart, both are named, joined by `|`.

How the files were read is shown, and kept for the next ones of the same party. What was guessed wrong: `--write-layout FILE` writes the guess, to be
corrected and given with `--layout FILE`; names of destinations are corrected in the same file, under `names`.

Nothing is disputed by it: `ringfence disputes propose ID` does that.

**Examples**

`ringfence reconcile --carrier alpha --period 2026-10 --invoice alpha-october.csv --cdrs alpha-calls.csv`

`ringfence reconcile --carrier alpha --period 2026-10-01..2026-10-15 --cdrs calls.xlsx --zone Europe/Berlin --out result/`

A customer who disputes our invoice, by the customer's own calls:

`ringfence reconcile --account acme --period 2026-10 --cdrs acme-calls.csv`

Two switches that carried the same calls, by time and length:

`ringfence reconcile --switch core1 --switch edge2 --period 2026-10-31`
"""

FILE_BYTES = 1 << 30
Struct = TypeVar("Struct")
SHOWN = 12
EXAMPLES = 3


def reconcile(
    period: Annotated[str, typer.Option(help="A month (2026-10), a day, or FIRST..LAST day, in the agreement's time zone.", show_default=False)],
    carrier: Annotated[str, typer.Option(help="The carrier whose bill it is.", show_default=False)] = "",
    account: Annotated[str, typer.Option(help="Or the account that disputes our invoice.", show_default=False)] = "",
    switch: Annotated[list[str] | None, typer.Option(help="Or two switches that carried the same calls: used twice.", show_default=False)] = None,
    invoice: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Their invoice: CSV, .xlsx or PDF.", show_default=False)] = None,
    cdrs: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Their calls: CSV or .xlsx.", show_default=False)] = None,
    zone: Annotated[str, typer.Option(help="Time zone of times without one in their calls, such as Europe/Berlin.", show_default=False)] = "",
    tolerance: Annotated[str, typer.Option(help="By how much one call may differ in start and length.")] = "2s",
    money_tolerance: Annotated[str, typer.Option(help="By how much the money of one call may differ, such as 0.0001.")] = "0",
    layout: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="How their files are written (YAML).", show_default=False)] = None,
    write_layout: Annotated[Path | None, typer.Option(dir_okay=False, help="Write how the files were read, and keep nothing.",
        show_default=False)] = None,
    guess: Annotated[bool, typer.Option("--guess", help="Guess again, whatever was kept of earlier files.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Although other files for this period were reconciled.")] = False,
    out: Annotated[Path | None, typer.Option(file_okay=False, help="Write calls.csv, days.csv, destinations.csv, unreadable rows.",
        show_default=False)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Compare and show; keep nothing.")] = False,
    as_json: Json = False,
    who: Who = "",
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """Compare a carrier's bill with our calls, down to each call, and name the cause of each difference."""
    from books.reconciliations import FileProfile
    from services import files
    from services.reconciling import ReconcileRequest, run

    if (bool(carrier), bool(account), bool(switch)).count(True) != 1 or len(switch or ("", "")) != 2:
        raise typer.BadParameter("use either --carrier, or --account, or --switch twice")
    if switch:
        _show_switches(options.settings_of(home), tenant, (switch[0], switch[1]), period, options.duration_ms(tolerance), out)
        return
    known = _read_profile(layout, FileProfile) if layout else FileProfile()
    role: Literal["buy", "sell"] = "buy" if carrier else "sell"
    try:
        contents = [files.read(path, FILE_BYTES) if path else None for path in (invoice, cdrs)]
    except OSError as error:
        options.give_up(f"{error.filename} cannot be read: {error.strerror}")
    asked = ReconcileRequest(
        carrier or account, period, role, contents[0], contents[1], zone, options.duration_ms(
            tolerance), known.calls, known.invoice, known.names, guess,
        replace, _nanos(money_tolerance),
    )  # fmt: skip
    done = run(options.settings_of(home).installation, tenant, asked, options.login(who), wall_clock_ms(), not dry_run and write_layout is None)
    if write_layout is not None:
        _write_profile(write_layout, done.profile)
        typer.echo(f"Wrote {write_layout}: correct it, and use it with --layout.")
        return
    if out is not None:
        _write(out, done.reconciled)
    if as_json:
        typer.echo(_json(done).decode())
    else:
        _show(done, dry_run)


def _nanos(text: str) -> int:
    try:
        return to_nanos(text)
    except ValueError as wrong:
        raise typer.BadParameter(f"--money-tolerance: {wrong}") from None


def _show_switches(settings: Settings, tenant: str, switches: tuple[str, str], period: str, tolerance_ms: int, out: Path | None) -> None:
    from services.reconciling import between_switches

    found = between_switches(settings.installation, tenant, switches, period, tolerance_ms)
    for words in found.clock.words():
        typer.secho(words[:1].upper() + words[1:] + ".", fg=typer.colors.YELLOW)
    typer.echo(f"{switches[1]} has {_money(found.theirs_nanos)} s of talk, and {switches[0]} has {_money(found.ours_nanos)} s.")
    rows = [(row["cause"], f"{row['parts']:,}", _money(row["nanos"])) for row in found.causes().iter_rows(named=True)]
    _table(("cause", "calls", "s"), [*rows, ("together", "", _money(found.difference_nanos))], 2)
    if out is not None:
        _write(out, found)


def _show(done: Outcome, dry_run: bool) -> None:
    found = done.reconciled
    unit = found.currency
    for what, reason in done.reasons:
        typer.secho(f"{what}: {visible(reason)}", dim=True)
    for words in found.clock.words():
        typer.secho(words[:1].upper() + words[1:] + ".", fg=typer.colors.YELLOW)
    shown: dict[str, int] = {}
    for finding in found.findings:
        shown[finding.kind] = shown.get(finding.kind, 0) + 1
        if finding.level != "note" and shown[finding.kind] <= EXAMPLES:
            typer.secho(visible(finding.text()), fg=typer.colors.YELLOW)
    for kind, count in found.findings.counts.items():
        if count > EXAMPLES and kind in shown:
            typer.secho(f"{count - EXAMPLES:,} more of this kind ({kind}).", fg=typer.colors.YELLOW)
    more = found.difference_nanos
    typer.echo(f"They charge {_money(found.theirs_nanos)} {unit}, and our calls cost {_money(found.ours_nanos)} {unit}: "
               f"{_money(abs(more))} {unit} {'more' if more >= 0 else 'less'}.")  # fmt: skip
    typer.echo()
    rows = [(row["cause"], f"{row['parts']:,}", _money(row["nanos"])) for row in found.causes().iter_rows(named=True)]
    _table(("cause", "parts", unit), [*rows, ("together", "", _money(more))], 2)
    typer.echo()
    by_destination = found.by_destination().head(SHOWN)
    _table(
        ("destination", "our calls", "theirs", "our min", "theirs", f"our {unit}", f"their {unit}", "difference"),
        [
            (
                visible(row["destination"] or "(none)"), f"{row['our_calls']:,}", f"{row['their_calls']:,}", f"{row['our_s'] / 60:,.1f}",
                f"{row['their_s'] / 60:,.1f}",
                _money(row["our_nanos"]), _money(row["their_nanos"]), _money(row["nanos"]),
            )
            for row in by_destination.iter_rows(named=True)
        ], 7,
    )  # fmt: skip
    doubtful = [guess for guess in found.names.values() if guess.why not in ("the same name", "the same words", "corrected by hand")]
    if doubtful:
        typer.echo()
        for guess in doubtful[:SHOWN]:
            typer.echo(f"Their {visible(guess.theirs)!r} is taken for {guess.ours or 'nothing of ours'}: {guess.why}.")
    typer.echo()
    if dry_run:
        typer.echo("Nothing was kept.")
    elif done.known:
        typer.echo(f"These files were reconciled before, as {done.stored.id}.")
    else:
        typer.echo(f"Kept as {done.stored.id}: `ringfence disputes propose {done.stored.id}` makes disputes of it.")


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]], numbers: int) -> None:
    """A table whose last columns are numbers."""
    first = len(head) - numbers
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    for place, row in enumerate((head, *rows)):
        cells = [cell.ljust(width) if at < first else cell.rjust(width) for at, (cell, width) in enumerate(zip(row, widths, strict=True))]
        typer.secho("  ".join(cells).rstrip(), dim=place == 0)


def _money(nanos: int) -> str:
    return amount(to_decimal(nanos), 4)


def _write(out: Path, found: Reconciled) -> None:
    from core.spreadsheet import csv_of

    out.mkdir(parents=True, exist_ok=True)
    for name, frame in (("calls", found.calls()), ("days", found.by_day()), ("destinations", found.by_destination())):
        (out / f"{name}.csv").write_bytes(csv_of(frame))


def _json(done: Outcome) -> bytes:
    import msgspec

    found = done.reconciled
    result = {
        "id": done.stored.id, "known": done.known, "currency": found.currency, "theirs": to_text(found.theirs_nanos), "ours": to_text(
            found.ours_nanos),
        "difference": to_text(found.difference_nanos), "causes": msgspec.to_builtins(done.stored.summary.causes), "clock": found.clock.words(),
        "findings": [one.text() for one in found.findings], "destinations": found.by_destination().to_dicts(), "days": found.by_day().to_dicts(),
        "names": {name: guess._asdict() for name, guess in found.names.items()},
    }  # fmt: skip
    return msgspec.json.encode(result)


def _read_profile(path: Path, kind: type[Struct]) -> Struct:
    import msgspec
    import yaml

    from services import files

    try:
        return msgspec.convert(yaml.safe_load(files.read(path, files.CONFIG_BYTES).decode("utf-8-sig")) or {}, kind)
    except (msgspec.ValidationError, yaml.YAMLError, UnicodeDecodeError, OSError) as wrong:
        options.give_up(f"{path}: {wrong}")


def _write_profile(path: Path, profile: Any) -> None:
    import msgspec
    import yaml

    path.write_text(yaml.safe_dump(msgspec.to_builtins(profile), allow_unicode=True, sort_keys=False))
