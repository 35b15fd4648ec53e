"""`ringfence decks`: what carriers ask for: read their files, see what changes, put it in force and take it back."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from core.clock import wall_clock_ms
from core.money import to_decimal, to_text
from core.text import amount, visible
from ringfence import options
from ringfence.options import Home, Json, Tenant, Who, Why

if TYPE_CHECKING:
    from books import Connection
    from rating.offers.compare import Change
    from rating.offers.finding import Findings
    from rating.offers.mapping import Profile
    from services.deck_desk.activating import Activated
    from services.deck_desk.importing import Imported
    from services.deck_desk.looking import Effect

EPILOG = """
**Examples**

A carrier's file as it came by mail; the guess of what its columns mean is shown, and kept for his next file:

`ringfence decks import alpha-december.xlsx --carrier alpha`

A column that was guessed wrong: write the guess to a file, correct it, and import by it:

`ringfence decks import alpha-december.xlsx --carrier alpha --write-mapping alpha.yaml`

`ringfence decks import alpha-december.xlsx --carrier alpha --mapping alpha.yaml`

What changes, and what it costs on the traffic of the last 30 days:

`ringfence decks diff alpha@1` and `ringfence decks simulate alpha@1`

In force from a date, and back:

`ringfence decks activate alpha@1 --at 2026-12-01 --why "offer of 24 November"`

`ringfence decks rollback --carrier alpha --why "the increments are wrong"`
"""

app = typer.Typer(no_args_is_help=True, epilog=EPILOG)

Carrier = Annotated[str, typer.Option("--carrier", help="The carrier, as the config names him.", show_default=False)]
SoldTo = Annotated[
    str, typer.Option("--sold-to", help="Instead of a carrier: an account, a reseller or a sell agreement, whose deck it is.", show_default=False)
]
Version = Annotated[str, typer.Argument(help="A version, such as alpha@3 (`ringfence decks list`).", show_default=False)]
From = Annotated[str, typer.Option("--from", help="First day of the traffic, as 2026-11-01 (UTC). Default: 30 days ago.", show_default=False)]
To = Annotated[str, typer.Option("--to", help="Until before this day. Default: now.", show_default=False)]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="Lines that are shown.")]
FILE_BYTES = 256 << 20
DAY_MS = 86_400_000


@app.callback()
def decks() -> None:
    """What carriers ask for: read the files that they send, see what changes and what it costs, put it in force, take it back.

    A version is CARRIER@NUMBER and is never changed. It is in force when it is activated, from a date; the deck before it stays in the plan
    of the carrier's agreement for the calls of before.
    """


@app.command("import", epilog=EPILOG)
def import_(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="The carrier's file: CSV, TSV or .xlsx, as it came.", show_default=False)
    ],
    carrier: Carrier = "",
    sold_to: SoldTo = "",
    currency: Annotated[str, typer.Option(help="Of the prices, where neither the agreement nor the file says it.", show_default=False)] = "",
    full: Annotated[bool | None, typer.Option("--full/--partial", help="The whole A-Z, or changes alone.", show_default=False)] = None,
    missing: Annotated[str, typer.Option(help="What a code means that a full file leaves out: closed or unchanged.", show_default=False)] = "",
    valid_from: Annotated[str, typer.Option("--from", help="From when rows without a date are valid, such as 2026-12-01.", show_default=False)] = "",
    sheet: Annotated[str, typer.Option(help="The sheet of a workbook that has several.", show_default=False)] = "",
    mapping: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="How the file is written, corrected by hand.", show_default=False)
    ] = None,
    write_mapping: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write how the file was read to this file, and import nothing.", show_default=False)
    ] = None,
    guess: Annotated[bool, typer.Option("--guess", help="Guess the columns again, whatever was kept of earlier files.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be; store nothing.")] = False,
    as_json: Json = False,
    who: Who = "",
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """Read a carrier's file as the next version of his deck. With any error nothing is stored, and every fault is named with its row.

    Nothing is in force by it: `ringfence decks activate` does that.
    """
    from services import files
    from services.deck_desk import importing
    from services.installation import books, books_as_they_are, tenant_of

    _one_of(carrier, sold_to)
    if missing not in ("", "closed", "unchanged"):
        raise typer.BadParameter("--missing is closed or unchanged")
    try:
        content = files.read(file, FILE_BYTES)
    except OSError as error:
        options.give_up(f"{file} cannot be read: {error.strerror}")
    scope: Literal["", "full", "partial"] = "" if full is None else "full" if full else "partial"
    profile = _profile(mapping) if mapping else None
    store = not dry_run and write_mapping is None
    installation = options.settings_of(home).installation
    with books_as_they_are(installation) as conn:
        owner = _owner(conn, tenant_of(conn, tenant), carrier, sold_to)
        asked = importing.ImportOptions(owner, currency, scope, cast(Literal["", "closed", "unchanged"], missing), profile, sheet, valid_from, guess)
        done = importing.read_file(conn, tenant_of(conn, tenant), asked, content, file.name, options.login(who), wall_clock_ms())
    if store and done.version is not None:
        with books(installation) as conn:
            done = importing.keep(conn, done)
    if write_mapping is not None:
        _write_mapping(write_mapping, done)
    elif as_json:
        typer.echo(_imported_json(done, store))
    else:
        _show_import(file, done, store)
    if done.version is None and write_mapping is None:
        raise typer.Exit(1)


@app.command("list", epilog=EPILOG)
def list_(
    carrier: Annotated[str, typer.Option("--carrier", help="Only this carrier.", show_default=False)] = "", sold_to: SoldTo = "",
    as_json: Json = False, tenant: Tenant = "", home: Home = None,
) -> None:  # fmt: skip
    """The decks of each carrier, and sell decks that were imported: which is in force, which is planned, which was only imported."""
    import msgspec

    from services.deck_desk import looking
    from services.deck_desk.activating import when
    from services.installation import books_as_they_are, tenant_of

    with books_as_they_are(options.settings_of(home).installation) as conn:
        owner = _owner(conn, tenant_of(conn, tenant), carrier, sold_to) if carrier or sold_to else ""
        found = looking.every(conn, tenant_of(conn, tenant), owner, wall_clock_ms())
    if as_json:
        rows = [
            {
                "deck": one.name, "carrier": one.carrier, "state": one.state, "from": _iso(one.from_at_ms), "until": _iso(one.until_at_ms),
                "file": one.version.file_name if one.version else None, "file_sha256": one.version.file_sha256 if one.version else None,
                "codes": one.version.facts.codes if one.version else None, "changes": one.version.facts.changes if one.version else None,
            }
            for one in found
        ]  # fmt: skip
        typer.echo(msgspec.json.encode(rows).decode())
        return
    if not found:
        typer.echo("No carrier has a deck.")
        return
    typer.secho(_row("deck", "state", "from", "until", "codes", "file"), dim=True)
    for one in found:
        start, end = (when(at) if at is not None else "" for at in (one.from_at_ms, one.until_at_ms))
        codes, name = (f"{one.version.facts.codes:,}", one.version.file_name) if one.version else ("", "(config file)")
        typer.echo(_row(one.name, one.state, start, end, codes, visible(name)))


def _row(*cells: str) -> str:
    name, state, start, end, codes, file = cells
    return f"{name:18} {state:13} {start:16} {end:16} {codes:>9}  {file}"


@app.command(epilog=EPILOG)
def diff(
    deck: Annotated[str, typer.Argument(help="A version, or the deck to start from.", show_default=False)],
    other: Annotated[str, typer.Argument(help="The deck to end with. Without it: what DECK changes of the deck that it follows.")] = "",
    kind: Annotated[str, typer.Option("--kind", help="Only new, increase, decrease, closed or unchanged.", show_default=False)] = "",
    limit: Limit = 40,
    as_json: Json = False,
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """What changes, code by code: new, increase, decrease, closed, with the notice that the carrier gave. * marks too little notice."""
    import msgspec

    from rating.offers.compare import KINDS
    from services.deck_desk import looking
    from services.installation import books_as_they_are, tenant_of

    if kind and kind not in KINDS:
        raise typer.BadParameter(f"--kind is one of {', '.join(KINDS)}")
    with books_as_they_are(options.settings_of(home).installation) as conn:
        found = looking.diff(conn, tenant_of(conn, tenant), deck, other, wall_clock_ms(), kind == "unchanged")
    rows = [row for row in found.changes.rows if (row.kind == kind if kind else row.kind != "unchanged")]
    if as_json:
        shown = [_change_json(row) for row in rows]
        result = {"old": found.old, "new": found.new, "currency": found.currency, "counts": found.changes.counts, "late": found.changes.late}
        result |= {"rate": found.rate} if found.rate else {}
        typer.echo(msgspec.json.encode({**result, "rows": shown}).decode())
        return
    typer.echo(f"From {found.old or 'no deck'} to {found.new}: {_counts(found.changes.counts, found.changes.late)}")
    if found.rate:
        typer.echo(f"The prices of {found.old} are converted at {found.rate}.")
    if rows:
        prices = (f"old {found.currency}", f"new {found.currency}")
        typer.secho(_change("code", "destination", "what", *prices, "increments", "from", "notice"), dim=True)
    rows.sort(key=lambda row: (KINDS.index(row.kind), not row.late, row.prefix))
    for row in rows[:limit]:
        steps = "{}/{}".format(*row.new_steps) if row.old_steps == row.new_steps else "{}/{} > {}/{}".format(*row.old_steps, *row.new_steps)
        old = _price(row.old_nanos) + (f" ({row.old_by})" if row.kind == "new" and row.old_by else "")
        new = _price(row.new_nanos) + (f" ({row.new_by})" if row.kind == "closed" and row.new_by else "")
        days = f"{max(row.notice_days, 0)} d" + ("*" if row.late else "")
        typer.echo(_change(row.prefix, visible(row.destination), row.kind, old, new, steps, _date(row.from_ms), days))
    if len(rows) > limit:
        typer.echo(f"... and {len(rows) - limit:,} more; --limit shows them, --kind some of them.")
    if found.old and any(row.kind in ("new", "closed") and (row.old_by or row.new_by) for row in rows[:limit]):
        typer.echo("(CODE): the shorter code that gave the price before, or gives it from then on.")


def _change(*cells: str) -> str:
    code, name, what, old, new, steps, start, days = cells
    return f"{code:12} {name:28.28} {what:9} {old:>16} {new:>16} {steps:>14}  {start:10} {days:>6}"


def _change_json(row: Change) -> dict[str, Any]:
    prices = {"old": to_text(row.old_nanos) if row.old_nanos is not None else None, "old_by": row.old_by, "old_increments": row.old_steps}
    prices |= {"new": to_text(row.new_nanos) if row.new_nanos is not None else None, "new_by": row.new_by, "new_increments": row.new_steps}
    dates = {"from": _iso(row.from_ms), "notice_days": row.notice_days, "needed_days": row.needed_days, "late": row.late}
    return {"kind": row.kind, "prefix": row.prefix, "destination": row.destination, **prices, **dates}


def _date(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d}"


def _price(nanos: int | None) -> str:
    return "-" if nanos is None else to_text(nanos)


@app.command(epilog=EPILOG)
def compare(
    names: Annotated[list[str] | None, typer.Argument(help="Carriers, or versions of their decks. None: every carrier.", show_default=False)] = None,
    start: From = "",
    end: To = "",
    at: Annotated[str, typer.Option("--at", help="Prices of this day. Default: now.", show_default=False)] = "",
    currency: Annotated[str, typer.Option("--in", help="The currency of the amounts. Default: that of the first.", show_default=False)] = "",
    limit: Limit = 25,
    as_json: Json = False,
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """Carriers side by side: what all own traffic of a period would cost over each of them, by destination."""
    from services import reading
    from services.deck_desk import looking
    from services.installation import books_as_they_are, tenant_of

    installation = options.settings_of(home).installation
    now_ms = wall_clock_ms()
    from_ms, to_ms = _period(start, end, now_ms)
    with books_as_they_are(installation) as conn, reading.warehouse(installation) as client:
        as_of_ms = _day(at) if at else None
        found = looking.compare_carriers(conn, client, tenant_of(conn, tenant), list(names or []), from_ms, to_ms, now_ms, as_of_ms, currency.upper())
    if as_json:
        typer.echo(_effect_json(found))
        return
    _show_effect(found, limit, f"{found.calls:,} answered calls, {found.seconds / 60:,.0f} minutes", cheapest=True)
    for currency, nanos in found.routed_nanos.items():
        typer.echo(f"As it was routed, by the decks in force: {_money(nanos)} {currency}")


@app.command(epilog=EPILOG)
def simulate(
    version: Version, start: From = "", end: To = "",
    at: Annotated[
        str, typer.Option("--at", help="The version as it is on this day. Default: when all that it announces is in force.", show_default=False)
    ] = "",
    limit: Limit = 25, as_json: Json = False, tenant: Tenant = "", home: Home = None,
) -> None:  # fmt: skip
    """What a version would have cost on the traffic that went over its carrier, or that was sold by it, beside the deck in force, by destination."""
    from services import reading
    from services.deck_desk import looking
    from services.installation import books_as_they_are, tenant_of

    installation = options.settings_of(home).installation
    now_ms = wall_clock_ms()
    from_ms, to_ms = _period(start, end, now_ms)
    with books_as_they_are(installation) as conn, reading.warehouse(installation) as client:
        found = looking.simulate(conn, client, tenant_of(conn, tenant), version, from_ms, to_ms, now_ms, _day(at) if at else None)
    if as_json:
        typer.echo(_effect_json(found))
        return
    _show_effect(found, limit, f"{found.calls:,} answered calls, {found.seconds / 60:,.0f} minutes {'sold' if found.sells else 'over the carrier'}")
    if len(found.decks) == 2:
        before, after = (found.totals[name] for name in found.decks)
        share = f" ({(after - before) / before:+.1%})" if before else ""
        less = "less" if after < before else "more"
        verb = "brings" if found.sells else "costs"
        typer.echo(f"{version} {verb} {_money(abs(after - before))} {found.currencies[version]} {less}{share} than {found.decks[0]} on this traffic.")
    lost = sum(line.unpriced[version] for line in found.lines)
    if lost:
        typer.secho(f"{lost:,} of the calls have no price under {version}: " + _unpriced(found, version), fg=typer.colors.YELLOW)


def _unpriced(found: Effect, version: str) -> str:
    lines = sorted((line for line in found.lines if line.unpriced[version]), key=lambda line: -line.unpriced[version])
    return ", ".join(f"{visible(line.destination)} ({line.unpriced[version]:,})" for line in lines[:8])


@app.command(epilog=EPILOG)
def activate(
    version: Version, why: Why,
    at: Annotated[
        str,
        typer.Option(
            "--at", help="From when: 2026-12-01 or 2026-12-01T06:00, in the agreement's time zone. Default: the version's date, or now.",
            show_default=False,
        ),
    ] = "",
    who: Who = "", tenant: Tenant = "", home: Home = None,
) -> None:  # fmt: skip
    """Put a version in force from a date, as the next version of the config. Calls that were answered before keep the deck of before."""
    from services.deck_desk import activating
    from services.installation import books, tenant_of

    options.check_why(why)
    with books(options.settings_of(home).installation) as conn:
        done = activating.activate(conn, tenant_of(conn, tenant), version, at, options.login(who), why, wall_clock_ms())
    verb = "is in force" if done.from_at_ms <= wall_clock_ms() else "will be in force"
    typer.echo(f"{done.deck} {verb} from {activating.when(done.from_at_ms)} UTC (config version {done.config_version}).")
    _show_plan(done)


@app.command(epilog=EPILOG)
def rollback(why: Why, carrier: Carrier = "", sold_to: SoldTo = "", who: Who = "", tenant: Tenant = "", home: Home = None) -> None:
    """Take the last activation of a carrier's deck, or of a sell deck, back: the deck of before is in force again, as if nothing had been."""
    from services.deck_desk import activating
    from services.installation import books, tenant_of

    options.check_why(why)
    _one_of(carrier, sold_to)
    with books(options.settings_of(home).installation) as conn:
        owner = _owner(conn, tenant_of(conn, tenant), carrier, sold_to)
        done = activating.rollback(conn, tenant_of(conn, tenant), owner, options.login(who), why, wall_clock_ms())
    typer.echo(f"{done.before} is taken back, and {done.deck} is in force again (config version {done.config_version}).")
    _show_plan(done)


def _one_of(carrier: str, sold_to: str) -> None:
    if bool(carrier) == bool(sold_to):
        raise typer.BadParameter("name the --carrier, or with --sold-to the account, reseller or agreement whose deck it is")


def _owner(conn: Connection, tenant: str, carrier: str, sold_to: str) -> str:
    """Under which name the versions of a deck are kept."""
    from services.deck_desk import plans
    from services.in_force import View

    return carrier or plans.sold_to(View(conn), tenant, sold_to)


# --- words ---


def _show_plan(done: Activated) -> None:
    for line in done.plan:
        typer.echo(f"  {line}")
    for note in done.notes:
        typer.echo(note)
    typer.echo("What runs takes it at its next tick, within 5 s.")


def _profile(path: Path) -> Profile:
    """A mapping as a person wrote it."""
    import msgspec

    from rating.offers.mapping import Profile, faults
    from services import files

    try:
        profile = msgspec.yaml.decode(files.read(path, files.CONFIG_BYTES), type=Profile, strict=False)
    except OSError as error:
        options.give_up(f"{path} cannot be read: {error.strerror}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        options.give_up(f"{path} is not right: {wrong}")
    wrong_in = ["mapping: is missing"] if profile.mapping is None else [f"mapping.{fault}" for fault in faults(profile.mapping)]
    if wrong_in:
        options.give_up(f"{path} is not right:\n" + "\n".join(f"  {fault}" for fault in wrong_in))
    return profile


def _write_mapping(path: Path, done: Imported) -> None:
    import msgspec

    if done.profile.mapping is None:
        _show_findings(done.findings)
        options.give_up("No mapping was written: the file cannot be read so far.")
    head = "".join(f"# {field}: {visible(reason)}\n" for field, reason in done.reasons)
    body = msgspec.yaml.encode(msgspec.to_builtins(done.profile)).decode()
    what = f"# How the carrier's file is read. Correct it, and import by it: ringfence decks import FILE --carrier C --mapping {path.name}\n"
    path.write_text(what + head + body)
    typer.echo(f"How the file is read is in {path}; nothing was imported.")


def _show_import(file: Path, done: Imported, store: bool) -> None:
    typer.echo(f"{file.name}:")
    for field, reason in done.reasons:
        typer.echo(f"  {field:15} {visible(reason)}")
    _show_findings(done.findings)
    if done.version is None:
        typer.secho(f"{file.name} is not imported: nothing was stored.", err=True, fg=typer.colors.RED)
        return
    facts, version = done.version.facts, done.version
    kept = f", with {facts.carried:,} rows of {version.base}" if facts.carried else ""
    scope = {"full": "full A-Z", "partial": "changes alone"}[facts.scope]
    typer.echo(f"{done.rows:,} rows ({scope}) make a deck of {facts.codes:,} codes in {facts.currency}{kept}.")
    if done.changes is not None:
        typer.echo(f"Against {done.base or 'no deck'}: {_counts(done.changes.counts, done.changes.late)}")
    if done.known:
        typer.echo(f"The same file is {version.name} already: nothing was stored.")
    elif not store:
        typer.echo(f"It would be {version.name}; nothing was stored.")
    else:
        typer.echo(f"It is {version.name}, and not in force: `ringfence decks diff {version.name}` shows what changes,")
        typer.echo(f"`ringfence decks simulate {version.name}` what it costs, `ringfence decks activate {version.name}` puts it in force.")


SHOWN_PER_KIND = 5


def _show_findings(findings: Findings) -> None:
    colors = {"error": typer.colors.RED, "warning": typer.colors.YELLOW, "note": None}
    shown: dict[tuple[str, str], int] = {}
    for one in findings:
        key = (one.level, one.kind)
        shown[key] = shown.get(key, 0) + 1
        if shown[key] <= SHOWN_PER_KIND:
            typer.secho(f"  {one.level:8} {visible(one.text())}", fg=colors[one.level])
    for kind, count in findings.counts.items():
        more = count - sum(min(number, SHOWN_PER_KIND) for (_, of), number in shown.items() if of == kind)
        if more > 0:
            typer.echo(f"           and {more:,} more of this kind: {kind}")


def _counts(counts: dict[str, int], late: dict[str, int]) -> str:
    words = {"new": "new", "increase": "dearer", "decrease": "cheaper", "closed": "closed", "unchanged": "unchanged"}
    known = {kind: f" ({late[kind]:,} with too little notice)" if late.get(kind) else "" for kind in words}
    return ", ".join(f"{counts[kind]:,} {word}{known[kind]}" for kind, word in words.items())


def _show_effect(found: Effect, limit: int, head: str, cheapest: bool = False) -> None:
    typer.echo(f"{head} ({_date(found.from_ms)} to {_date(found.to_ms)}), at prices of {_date(found.as_of_ms)}")
    if not found.lines:
        typer.echo("There is no traffic in the period.")
        return
    two = len(found.decks) == 2 and not cheapest
    heads = [f"{name} {found.currencies[name]}" for name in found.decks] + (["difference"] if two else []) + (["cheapest"] if cheapest else [])
    wide = max(14, *map(len, heads))
    typer.secho(f"{'destination':28} {'calls':>8} {'minutes':>9} " + " ".join(f"{head:>{wide}}" for head in heads), dim=True)
    for line in found.lines[:limit]:
        cells = [_money(line.cost_nanos[name]) + ("!" if line.unpriced[name] else "") for name in found.decks]
        if two:
            cells.append(_signed(line.cost_nanos[found.decks[1]] - line.cost_nanos[found.decks[0]]))
        if cheapest:
            cells.append(_cheapest(found, line.cost_nanos, line.unpriced))
        typer.echo(f"{visible(line.destination):28.28} {line.calls:>8,} {line.seconds / 60:>9,.1f} " + " ".join(f"{cell:>{wide}}" for cell in cells))
    if len(found.lines) > limit:
        typer.echo(f"... and {len(found.lines) - limit:,} more destinations; --limit shows them.")
    cells = [_money(found.totals[name]) for name in found.decks]
    if two:
        cells.append(_signed(found.totals[found.decks[1]] - found.totals[found.decks[0]]))
    typer.echo(f"{'together':28} {found.calls:>8,} {found.seconds / 60:>9,.1f} " + " ".join(f"{cell:>{wide}}" for cell in cells))
    for name, rate in found.rates.items():
        typer.echo(f"{name} is converted at {rate}.")
    if any(count for line in found.lines for count in line.unpriced.values()):
        typer.echo("!: some of these calls have no price by that deck.")


def _cheapest(found: Effect, costs: dict[str, int], unpriced: dict[str, int]) -> str:
    able = [name for name in found.decks if not unpriced[name]]
    if not able or len({found.currencies[name] for name in able}) > 1:
        return "-"
    return min(able, key=lambda name: costs[name])


def _money(nanos: int) -> str:
    return amount(to_decimal(nanos), 2)


def _signed(nanos: int) -> str:
    return ("+" if nanos >= 0 else "-") + amount(abs(Decimal(to_decimal(nanos))), 2)


def _iso(at_ms: int | None) -> str | None:
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).isoformat().replace("+00:00", "Z")


def _imported_json(done: Imported, store: bool) -> str:
    import msgspec

    result: dict[str, Any] = {
        "version": done.version.name if done.version else None, "stored": store and done.version is not None and not done.known,
        "base": done.base, "rows": done.rows, "profile": done.profile,
        "reasons": [{"field": field, "reason": reason} for field, reason in done.reasons],
        "finding_counts": done.findings.counts, "findings": list(done.findings),
        "changes": done.changes.counts if done.changes else None, "late": done.changes.late if done.changes else None,
    }  # fmt: skip
    return msgspec.json.encode(result).decode()


def _effect_json(found: Effect) -> str:
    import msgspec

    lines = [
        {
            "destination": line.destination, "calls": line.calls, "seconds": line.seconds,
            "cost": {name: to_text(nanos) for name, nanos in line.cost_nanos.items()}, "unpriced": line.unpriced,
        }
        for line in found.lines
    ]  # fmt: skip
    result = {
        "rates": found.rates,
        "from": _iso(found.from_ms), "to": _iso(found.to_ms), "as_of": _iso(found.as_of_ms), "currencies": found.currencies, "calls": found.calls,
        "seconds": found.seconds, "totals": {name: to_text(nanos) for name, nanos in found.totals.items()},
        "as_routed": {currency: to_text(nanos) for currency, nanos in found.routed_nanos.items()}, "destinations": lines,
    }  # fmt: skip
    return msgspec.json.encode(result).decode()


def _period(start: str, end: str, now_ms: int) -> tuple[int, int]:
    to_ms = _day(end) if end else now_ms
    from_ms = _day(start) if start else to_ms - 30 * DAY_MS
    if from_ms >= to_ms:
        raise typer.BadParameter("--from must be before --to")
    return from_ms, to_ms


def _day(text: str) -> int:
    from services.deck_desk.importing import local_ms

    try:
        return local_ms(text, "UTC")
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong)) from None
