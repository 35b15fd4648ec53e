"""`ringfence backtest`: what a changed rule would have found and refused in the past."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from ringfence import options
from ringfence.commands import runs
from ringfence.commands.rerate import FORMATS
from ringfence.options import Home, Json, Tenant

EPILOG = """
Nothing is changed and nothing is ordered. Both policies judge the same stored records, priced by the config in force. The money of a policy counts
the calls that its orders would have refused, without those that a verdict calls honest; what blocks refused at the time has left no calls.

**The file** of `--policy` has the keys that change, as under `policy` in the config file; what it leaves out stays as it is in force:

```yaml
off: [flash_calls]
detectors:
  irsf_range: {least_probability: 0.7}
block_probability: 0.95
```

**Examples**

`ringfence backtest --from 2026-11-01 --to 2026-11-08 --policy stricter.yaml`

`ringfence backtest --from 2026-11-01 --to 2026-11-08 --set detectors.irsf_range.least_probability=0.7 --off flash_calls`

Calls in a file, which needs no installation: `ringfence backtest --file june.csv --mapping mapping.yaml --off burst`
"""


def backtest(
    from_: Annotated[datetime | None, typer.Option("--from", formats=FORMATS, help="Records received from then on, UTC.", show_default=False)] = None,
    to: Annotated[datetime | None, typer.Option("--to", formats=FORMATS, help="To before then.", show_default=False)] = None,
    policy: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="The keys of the policy that change.", show_default=False)] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="One key that changes; repeatable.", show_default=False)
    ] = None,
    off: Annotated[list[str] | None, typer.Option(metavar="RULE", help="A detector that reports nothing; repeatable.", show_default=False)] = None,
    warm_up: Annotated[str, typer.Option(help="How long before --from the detectors begin to learn what is normal.")] = "1d",
    file: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="A file of calls instead.", show_default=False)] = None,
    mapping: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="The mapping of its columns.", show_default=False)] = None,
    as_json: Json = False,
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """What the policy in force, and a changed one, would have found and refused in a period: by detector, money, alerts and honest calls."""
    import msgspec

    from services import backtest as service
    from services.installation import books_as_they_are
    from services.replay import WRONG

    period = [runs.to_ms(one, "UTC") if one else None for one in (from_, to)]
    changes = service.changes_of(policy, off or [], set_ or [])
    if file is not None:
        if mapping is None:
            raise typer.BadParameter("--file needs --mapping, as `ringfence replay` does")
        try:
            result = service.run_file(file, mapping, changes, period[0], period[1], runs.progress)
        except WRONG as wrong:
            options.give_up(str(wrong))
    else:
        if period[0] is None or period[1] is None:
            raise typer.BadParameter("say --from and --to, or --file")
        installation = options.settings_of(home).installation
        with books_as_they_are(installation) as conn:
            what = service.wanted(conn, period[0], period[1], tenant, changes, options.duration_ms(warm_up))
        result = service.run(installation, what, runs.progress)
    if as_json:
        typer.echo(msgspec.json.format(service.as_json(result), indent=2).decode())
        return
    for line in service.lines_of(result):
        typer.echo(line)
