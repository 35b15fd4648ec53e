"""`ringfence completeness`: is every record of the journal in the warehouse, and did every record of the switches arrive?"""

from __future__ import annotations

from core.clock import wall_clock_ms
from ringfence import options
from ringfence.options import Home, Json

EPILOG = """
Every offset of the topic `calls` is a row of the warehouse, or a tick (which the collector writes every 5 s), or it is reported here. `lost` are
records that the journal holds and the warehouse does not. `unreadable` are offsets that left the journal before a part had read them, or that a
repair of the journal gave up. The check goes up to the last stored offset of each partition; `ringfence status` shows how many records are behind it
(`lag`).

A switch numbers its records from 1 at each start. A missing number is a record that was lost between the switch and the collector; a number in
two partitions was priced twice.

The exit code is 1 if anything is missing. The whole journal is read, about 300,000 records per second.

**Examples**

`ringfence completeness`

`ringfence completeness --json | jq '.partitions[].lost'`
"""

OFFSETS_SHOWN = 10


def completeness(as_json: Json = False, home: Home = None) -> None:
    """Check that every record that arrived is stored once, and that no record of a switch is missing."""
    import msgspec
    import typer
    from rich.console import Console
    from rich.table import Table

    from services.completeness import SHOWN, report

    found = report(options.settings_of(home).installation, wall_clock_ms())
    if as_json:
        parts = [part._asdict() for part in found.partitions]
        typer.echo(msgspec.json.encode(found._asdict() | {"partitions": parts, "complete": found.complete}).decode())
        raise typer.Exit(0 if found.complete else 1)
    counts = dict(found.counts)
    total = counts.pop("received")
    typer.echo(f"received {total:,} = " + " + ".join(f"{name} {count:,}" for name, count in counts.items()))
    table = Table("partition", "offsets", "received", "ticks", "lost", "unexplained", "unreadable", box=None, pad_edge=False)
    for part in found.partitions:
        unreadable = sum(last - first + 1 for first, last in part.gaps)
        numbers = (part.received, part.ticks, len(part.lost), part.unexplained, unreadable)
        span = f"{part.first_offset:,} to {part.upto - 1:,}" if part.upto > part.first_offset else "none"
        table.add_row(str(part.partition), span, *(f"{number:,}" for number in numbers))
    Console(soft_wrap=True).print(table)
    faults = []
    for part in found.partitions:
        if part.lost:
            offsets = ", ".join(map(str, part.lost[:OFFSETS_SHOWN])) + (", ..." if len(part.lost) > OFFSETS_SHOWN else "")
            faults.append(f"calls/{part.partition}: {len(part.lost):,} records are in the journal and not in the warehouse, at offsets {offsets}")
        faults += [f"calls/{part.partition}: offsets {first} to {last} could not be read by a part" for first, last in part.gaps]
    for gap in found.sequence_gaps:
        numbers_of = f"{gap['first_missing']} to {gap['last_missing']} ({gap['missing']:,})"
        when = f"{gap['learned_before']:%Y-%m-%d %H:%M:%S} and {gap['learned_after']:%Y-%m-%d %H:%M:%S} UTC"
        faults.append(f"switch {gap['switch']}, boot {gap['boot_id']}: records {numbers_of} never arrived, between {when}")
    for twin in found.twins:
        where = ", ".join(map(str, twin["partitions"]))
        faults.append(f"switch {twin['switch']}, boot {twin['boot_id']}: record {twin['seq']} is in the partitions {where}")
    for fault in faults:
        typer.secho(fault, fg=typer.colors.RED)
    if max(len(found.sequence_gaps), len(found.twins)) == SHOWN:
        typer.echo(f"... there may be more than the newest {SHOWN}: SELECT * FROM sequence_gaps and sequence_twins list all")
    for row in found.reasons:
        typer.echo(f"{row['records']:,} {row['disposition']}: {row['reason']}")
    typer.echo("Complete." if found.complete else "Not complete: what is missing is listed above.")
    raise typer.Exit(0 if found.complete else 1)
