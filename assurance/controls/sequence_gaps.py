"""Did every record of each switch arrive?"""

from __future__ import annotations

from collections.abc import Iterator

from assurance.controls.protocol import Control, Facts, Item, rows, total


def find(facts: Facts) -> tuple[int, Iterator[Item]]:
    """`gaps`: a row per gap; `switches`: records and sales per switch."""
    worth = {row["switch"]: (row["nanos"] // max(row["records"], 1), row["currency"]) for row in rows(facts, "switches")}

    def found() -> Iterator[Item]:
        for row in rows(facts, "gaps"):
            nanos, currency = worth.get(row["switch"], (0, ""))
            numbers = f"{row['first_missing']} to {row['last_missing']}"
            yield Item(f"switch {row['switch']}, boot {row['boot_id']}: records {numbers} never arrived", row["missing"],
                nanos * row["missing"], currency)

    return total(facts, "switches", "records"), found()


CONTROL = Control(
    name="sequence_gaps",
    asks="every record that a switch numbered has arrived",
    formula="numbers missing between two numbers of one boot, of gaps that were seen in the period",
    tolerance="none",
    schedule="hourly",
    money="records missing x the average sale per record of the switch, an estimate",
    remedy="post the switch's spool again, or read the calls from its own files",
    needs=("gaps", "switches"),
    find=find,
)
