"""Files that were picked up: each case is the names, times and sizes of a source's files, and what the four controls say of them."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from assurance.controls import file_arrival, file_duplicates, file_sequence, file_size
from assurance.controls.protocol import Facts

HOUR = 3_600_000
CONTROLS = {"sequence": file_sequence, "size": file_size, "arrival": file_arrival, "duplicates": file_duplicates}
GOOD = [{"number": place, "at_h": place} for place in range(1, 10)]

CASES: dict[str, tuple[list[dict[str, Any]], dict[str, str]]] = {
    "nine files, one per hour": (GOOD, {}),
    "one is missing": ([one for one in GOOD if one["number"] != 5], {"sequence": "files 5 to 5 never came", "arrival": "(2.0 h), one per 1 h"}),
    "one is empty": ([*GOOD[:8], {"number": 9, "at_h": 9, "size_bytes": 0}], {"size": "has 0 bytes, normally 1,000"}),
    "one is cut off": ([*GOOD[:8], {"number": 9, "at_h": 9, "size_bytes": 99}], {"size": "has 99 bytes, normally 1,000"}),
    "none came any more": (GOOD[:5], {"arrival": "no file from 1970-01-01 05:00:00 to 1970-01-01 10:00:00 UTC (5.0 h)"}),
    "the same again under another name": (
        [*GOOD[:8], {"number": 9, "at_h": 9, "sha256": "1"}], {"duplicates": "f1.csv and f9.csv have the same content"},
    ),
    "a name with another content": ([*GOOD, {"number": 9, "at_h": 9, "sha256": "x"}], {"duplicates": "f9.csv came with 2 different contents"}),
    "nothing was promised": ([{"number": -1, "at_h": 1, "every_ms": 0}], {}),
}


@pytest.mark.parametrize("case", CASES)
def test_what_the_controls_say_of_files(case: str):
    given, expected = CASES[case]
    rows = [
        {"source": "alpha", "name": f"f{one['number']}.csv", "sha256": str(one["number"]), "size_bytes": 1000, "every_ms": HOUR, "least_bytes": 1,
            "modified_ms": one["at_h"] * HOUR, **{name: value for name, value in one.items() if name != "at_h"}} for one in given
    ]  # fmt: skip
    facts = Facts(0, 24 * HOUR, 10 * HOUR, {"files": pl.DataFrame(rows)})
    said = {name: [item.what for item in module.CONTROL.run(facts).items] for name, module in CONTROLS.items()}
    for name, items in said.items():
        assert bool(items) == (name in expected), (name, items)
        assert not items or any(expected[name] in item for item in items), items
