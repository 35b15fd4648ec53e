"""Tables for people's spreadsheets, which compute what looks like a formula."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

NUMBERS = ("a_number", "b_number")
DANGEROUS = "^[=+\\-@\t\r\n]"
"""What a cell begins with that a spreadsheet would compute."""


def neutralised(frame: pl.DataFrame, amounts: Collection[str] = ()) -> pl.DataFrame:
    """Texts that a spreadsheet would compute get an apostrophe before them, so that they are shown as they are. `amounts`: columns of texts that are
    numbers, and may begin with a minus.

    >>> neutralised(pl.DataFrame({"account": ["acme", "=1+1", "-x", "@a", "43664"]}))["account"].to_list()
    ['acme', "'=1+1", "'-x", "'@a", '43664']
    """
    plus = [
        pl.when(pl.col(one).str.contains("^[0-9]+$")).then("+" + pl.col(one)).otherwise(pl.col(one)).alias(one) for one in NUMBERS if one in frame
    ]
    frame = frame.with_columns(plus)  # E.164 with its plus stays a text in a spreadsheet, digits alone would become 4.3664E+12
    texts = [name for name, kind in frame.schema.items() if kind == pl.String and name not in amounts]
    return frame.with_columns(
        pl.when(pl.col(name).str.contains(DANGEROUS)).then("'" + pl.col(name)).otherwise(pl.col(name)).alias(name) for name in texts
    )
