"""`ringfence simulate`: simulated traffic with labelled attacks, in real time or as files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from ringfence import options
from ringfence.options import Home

EPILOG = """
The seed decides who calls, when, and whether there is an attack: odd seeds have one. The true labels are written to
`home/run/truth.json`, which the flows never read.

**Examples**

Write to the spool of the home, from where `ringfence flow shipper` posts to a running collector (`ringfence up --simulate` starts all of them):

`ringfence simulate --seed 7 --calls-per-s 20`

The same traffic as files, with the true labels beside them, and the next rate sheet of a carrier (`rate-sheets/`):

`ringfence simulate --seed 7 --hours 24 --out day7/`

A hundred thousand calls of three kinds of operators (retail, wholesale, mobile) with an attack of every family and honest look-alikes, labelled in
`truth.json` and `labels.csv`; about 50,000 calls per second:

`ringfence simulate --seed 7 --calls 100000 --days 2 --out town7/`

A month of the past for a new home, to invoice it (`ringfence up` then prices it):

`ringfence simulate --past-days 31 --home var/month`

Two attacks of two families, and the records for a collector as well:

`ringfence simulate --seed 7 --calls 100000 --family irsf_burst --family wangiri --rounds 2 --records --out town7/`

A new home to practise on, and the bill that its carrier sends, with every fault and the key:

`ringfence simulate --bill bill/ --home practice/`
"""


def simulate(
    seed: Annotated[int, typer.Option(help="Decides who calls, when, and whether there is an attack.")] = 1,
    calls_per_s: Annotated[float, typer.Option(min=0.001, max=2_000, help="Legitimate calls per second.")] = 5.0,
    attack_after_s: Annotated[
        float | None, typer.Option(help="An attack so many seconds after the start, whatever the seed says.", show_default=False)
    ] = None,
    for_s: Annotated[float | None, typer.Option("--for-s", min=1, help="Stop after so many seconds.", show_default=False)] = None,
    hours: Annotated[float, typer.Option(min=0.01, max=24 * 31, help="With --out: hours of traffic.")] = 3.0,
    out: Annotated[
        Path | None, typer.Option(help="Write files to this directory instead of the spool.", show_default=False)
    ] = None,
    calls: Annotated[
        int | None,
        typer.Option(min=1000, max=20_000_000, help="With --out: so many honest calls, and all families of fraud.", show_default=False),
    ] = None,
    days: Annotated[float, typer.Option(min=1, max=62, help="With --calls: in so many days.")] = 2.0,
    family: Annotated[
        list[str] | None, typer.Option(help="With --calls: only attacks of this family; may be repeated.", show_default=False)
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, max=50, help="With --calls: attacks of each family.")] = 1,
    records: Annotated[bool, typer.Option("--records", help="With --calls: write records.jsonl as well.")] = False,
    past_days: Annotated[
        int | None,
        typer.Option(min=1, max=62, help="Write past traffic to a new home, from the first of the month so many days ago.", show_default=False),
    ] = None,
    bill: Annotated[
        Path | None, typer.Option(help="Lay a new home to practise on, and write a carrier's bill with faults here.", show_default=False)
    ] = None,
    home: Home = None,
) -> None:
    """Make legitimate calls, the faults of real records, and one labelled attack.

    The simulator's own switch refuses blocked calls: it implements the same control commands as Kamailio.
    """
    settings = options.settings_of(home)
    if past_days is not None:
        from core.clock import wall_clock_ms
        from services import first_start, history

        now_ms, installation = wall_clock_ms(), settings.installation
        first_start.lay(installation)
        version = first_start.open_and_publish(installation, first_start.simulated(seed, installation.tenant), now_ms)
        count = history.write(installation, installation.tenant, seed, past_days, min(calls_per_s, 0.05), now_ms - 3_600_000, version)
        typer.echo(f"{count:,} records and ticks of the last {past_days} days: `ringfence up --home {installation.root}` prices and stores them.")
    elif bill is not None:
        from core.clock import wall_clock_ms
        from services.rehearsal import rehearse

        faults = rehearse(settings.installation, bill, calls or 5_000, seed, wall_clock_ms())
        typer.echo(f"A home to practise on: October 2026, bought from carrier alpha. Its invoice and calls are in {bill}.")
        typer.echo(f"They have {faults:,} faults: key.csv lists them.")
    elif calls is not None:
        if out is None:
            options.give_up("--calls writes files: name the directory with --out")
        from simulator.episodes import traffic
        from simulator.write_traffic import write_traffic

        try:
            found = traffic(seed, calls, days, families=tuple(family or ()), rounds=rounds)
        except ValueError as wrong:
            options.give_up(str(wrong))
        written = write_traffic(out, found, records=records)
        typer.echo(
            f"{written.calls:,} calls in {out}, {len(written.episodes)} attacks and {len(written.look_alikes)} look-alikes (truth.json, labels.csv)"
        )
    elif out is not None:
        from simulator.write import write

        in_ten_days = datetime.now(UTC).date() + timedelta(days=10)
        next_month = (in_ten_days.replace(day=1) + timedelta(days=32)).replace(day=1)
        truth = write(out, seed, hours, calls_per_s, sheet_from=next_month)
        attack = truth.attack
        what = f"an attack on {attack.account} with {len(attack.call_ids)} calls" if attack else "no attack"
        typer.echo(f"{truth.records} records in {out}, {what} (truth.json)")
    else:
        from ringfence import simulation

        simulation.live(settings, seed, calls_per_s, attack_after_s, for_s)
