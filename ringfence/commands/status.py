"""`ringfence status`: whether records are missing, alerts, blocks, and the health of the parts."""

from __future__ import annotations

from core.clock import wall_clock_ms
from ringfence import options
from ringfence.options import Home, Json

EPILOG = """
**Fields**

`received` is always the sum of `rated`, `unrated`, `events`, `rejected`, `duplicates` and `conflicts`. `lag` is how many records
the journal holds that are not in the warehouse yet. `blocks` are keys (an account, a caller, a range) that are blocked now: standing,
in shadow (marked, not refused), or waiting for a person; `--json` has those that stand. `versions` names what is in force: the
release, the newest config version, the record schema, and the revisions of the books and of the warehouse.

`lost` are sequence numbers of a switch that never arrived, by boot, with the first of them. A switch counts its records from 1 at
each start, so each gap is a record that was lost between the switch and the collector. In normal operation there is none.

`orphans` and `unfinished` appear where there are any: stops that name no account, beside calls of the same Call-ID that do, and calls
that were answered hours ago and have neither a price nor an end (`warehouse.queries` has the questions). So does `corrected`: calls that were
corrected after a rating run had priced them again.

`gaps` appears where records left the journal before judge, watch or store had read them, or where a person gave up damaged records
(`ringfence journal repair`): each gap is listed below the table, with its offsets, and in `gaps` of `--json`.

While `ringfence up` runs in this home, an address is printed that opens the page once. `ready` lists the parts that do their work; for the
others the reason is printed below the table. In `--json` that is `parts`, each with `alive`, `ready` and `why`.

**Examples**

`ringfence status`

`ringfence status --json | jq .lag`
"""


GAPS_SHOWN = 8


def status(as_json: Json = False, home: Home = None) -> None:
    """What was received and what became of it, alerts, blocks, and how far behind the warehouse is."""
    import msgspec
    import typer
    from rich.console import Console
    from rich.table import Table

    from books import switches
    from dashboards import codes
    from ringfence.terminal import block_counts_text
    from services import endpoints, part_health, retention
    from services.installation import books
    from services.status import block_counts, loose_ends, lost, report

    settings, now_ms = options.settings_of(home), wall_clock_ms()
    installation = settings.installation
    found = report(installation, now_ms)
    running = endpoints.running(settings.run_dir)
    parts = part_health.ask_all(running.parts) if running else {}
    if as_json:
        gone = retention.gaps(installation)
        found |= {"gaps": gone} if gone else {}
        if running:
            found |= {"parts": {name: {"alive": part.alive, "ready": part.ready, "why": part.why} for name, part in parts.items()}}
        typer.echo(msgspec.json.encode(found).decode())
        return
    table = Table.grid(padding=(0, 2))
    with books(installation) as conn:
        blocked = block_counts_text(block_counts(conn, now_ms))
        held = switches.holds(conn)
        modes = [
            f"{one.name} {'HELD' if one.name in held else 'enforcing' if all(on) else 'in shadow' if not any(on) else 'enforcing for some'}"
            for one in switches.every(conn)
            if (on := list(switches.tenants_of(conn, one.name).values()))
        ]
    for name, value in found.items():
        if name == "blocks":
            table.add_row(name, blocked)
            table.add_row("switches", ", ".join(modes) or "none in the books")
            continue
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else f"{value:,}"
        table.add_row(name, shown)
    gaps = lost(installation, now_ms)
    table.add_row("lost", f"{gaps.records:,} of {gaps.boots:,} boots" if gaps.records else "none")
    ends = loose_ends(installation, now_ms)
    if ends.orphans:
        table.add_row("orphans", f"{ends.orphans:,} stops name no account and share a Call-ID with a call that does")
    if ends.unfinished:
        table.add_row("unfinished", f"{ends.unfinished:,} calls were answered hours ago and have no price and no end")
    if ends.corrected:
        table.add_row("corrected", f"{ends.corrected:,} calls were corrected after a rating run: what the run charged for them does not count")
    gone = retention.gaps(installation)
    if gone:
        table.add_row("gaps", f"{len(gone):,}: the records listed below were lost, or never read")
    if running:
        table.add_row("ready", ", ".join(name for name, part in parts.items() if part.ready) or "none")
    Console().print(table)
    for hold in held.values():
        text = f"  {hold.switch} is held by {hold.who} ({hold.why}): all its blocks are off until `ringfence unblock --clear-hold`"
        typer.secho(text, fg=typer.colors.RED)
    if running and "pages" in parts and parts["pages"].alive:
        code = codes.make(settings.pages_codes, now_ms / 1000)
        typer.echo(f"  page: {running.pages_url}/enter?code={code} (opens it once, within an hour)")
    for name, part in parts.items():
        if not part.ready:
            typer.secho(f"  {name} is {'alive and not ready' if part.alive else 'down or hangs'}: {part.why}", fg=typer.colors.RED)
    for line in gone[-GAPS_SHOWN:]:
        typer.secho(f"  {line}", fg=typer.colors.RED)
    for line in gaps.lines:
        typer.secho(f"  {line}", fg=typer.colors.RED)
    if gaps.boots > len(gaps.lines):
        typer.echo(f"  ... and {gaps.boots - len(gaps.lines):,} earlier boots; SELECT * FROM sequence_gaps lists all of them")
    if gaps.records and found["lag"]:
        typer.echo(f"  {found['lag']:,} records are not in the warehouse yet: the lost ones may be among them")
