"""`ringfence status`: is anything missing?"""

from __future__ import annotations

from ringfence import options
from ringfence.options import Home, Json

EPILOG = """
**What it tells**

`received` is always the sum of `rated`, `unrated`, `events`, `rejected`, `duplicates` and `conflicts`. `lag` is how many records
the journal holds that are not in the warehouse yet. `blocks` are orders that stand now. `versions` names what is in force: the
release, the newest config version, the record schema, and the revisions of the books and of the warehouse.

**Examples**

`ringfence status`

`ringfence status --json | jq .lag`
"""


def status(as_json: Json = False, home: Home = None) -> None:
    """What was received and what became of it, alerts, blocks, and how far behind the warehouse is."""
    import msgspec
    import typer
    from rich.console import Console
    from rich.table import Table

    from ringfence.report import report

    found = report(options.settings_of(home))
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
        return
    table = Table.grid(padding=(0, 2))
    for name, value in found.items():
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else f"{value:,}"
        table.add_row(name, shown)
    Console().print(table)
