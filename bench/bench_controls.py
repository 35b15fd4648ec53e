"""The controls of the money: clean months raise none, leaks of 0.01 % of the money are found, and how long they take over many calls.

    python bench/bench_controls.py [--seeds 20] [--calls 10000000]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from assurance.controls.protocol import Result
from services import controlling, first_start, periods, rehearsal
from services.installation import Installation
from simulator.billing.own import deck_csv, offer, own_calls
from warehouse import migrate, open_warehouse

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "servers"))
sys.path.insert(0, str(Path(__file__).parent))

from leaks import LEAKS, leaking
from stored_calls import fill

NOW_MS = 1_794_000_000_000
MONTH = periods.period_ms("2026-10", "UTC")
QUIET = {"carriers_reconciled"}  # no bill was compared
A_MONTH = 20_000
SHARE = 0.0001


def asked(installation: Installation) -> dict[str, Result]:
    return {one.control: one for one in controlling.run(installation, "", MONTH, NOW_MS)}


def clean(seed: int, folder: Path) -> set[str]:
    """The controls that find something in a clean month."""
    installation = Installation.embedded(folder / str(seed))
    rehearsal.lay(installation, own_calls(A_MONTH, seed, offer()), NOW_MS)
    return {name for name, one in asked(installation).items() if one.status == "found"} - QUIET


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--calls", type=int, default=10_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raised = {seed: found for seed in range(1, arguments.seeds + 1) if (found := clean(seed, folder))}
        print(f"{arguments.seeds} clean months of {A_MONTH:,} calls: {len(raised)} raised something {raised or ''}")
        months = own_calls(A_MONTH, 1, offer())
        for leak, (control, _) in LEAKS.items() if arguments.seeds else ():
            installation = Installation.embedded(folder / control / leak.replace(" ", "-"))
            rehearsal.lay(installation, months, NOW_MS, lambda tables, leak=leak: leaking(tables, leak, SHARE))  # type: ignore[misc]
            found = {name for name, one in asked(installation).items() if one.status == "found"} - QUIET
            words = f"found by {control}" if control in found else "NOT FOUND"
            print(f"  {leak:32s} of {SHARE:.2%} of the money: {words}, {len(found)} controls in all")
    if arguments.calls:
        with tempfile.TemporaryDirectory() as name:
            installation = Installation.embedded(Path(name))
            first_start.lay(installation)
            decks = {"wholesale": deck_csv(), "retail": deck_csv(rehearsal.MARK_UP)}
            first_start.open_and_publish(installation, first_start.Start(rehearsal.config("t1"), decks, "EUR", ("t1",)), NOW_MS)
            client = open_warehouse(installation.warehouse_dsn)
            migrate(client)
            fill(client, arguments.calls, 31, MONTH[1])
            client.close()
            start_s = time.perf_counter()
            results = asked(installation)
            print(f"all {len(results)} controls over {arguments.calls:,} calls: {time.perf_counter() - start_s:.0f} s")
            for one in results.values():
                print(f"  {one.control:28s} {one.status:10s} {one.checked:12,} looked at {one.why_not[:80]}")


if __name__ == "__main__":
    main()
