"""CSV for spreadsheets, which compute what they take for a formula: whoever chose the text of a cell must not choose what it does. Pure."""

from __future__ import annotations

import polars as pl

NUMBERS = ("a_number", "b_number")
DANGEROUS = "^[=+\\-@\t\r]"
"""What a cell begins with that a spreadsheet would compute."""


def neutralised(frame: pl.DataFrame) -> pl.DataFrame:
    """Texts that a spreadsheet would compute get an apostrophe before them, so that they are shown as they are.

    >>> neutralised(pl.DataFrame({"account": ["acme", "=1+1", "-x", "@a", "43664"]}))["account"].to_list()
    ['acme', "'=1+1", "'-x", "'@a", '43664']
    """
    plus = [
        pl.when(pl.col(one).str.contains("^[0-9]+$")).then("+" + pl.col(one)).otherwise(pl.col(one)).alias(one) for one in NUMBERS if one in frame
    ]
    frame = frame.with_columns(plus)  # E.164 with its plus stays a text in a spreadsheet, digits alone would become 4.3664E+12
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    return frame.with_columns(
        pl.when(pl.col(name).str.contains(DANGEROUS)).then("'" + pl.col(name)).otherwise(pl.col(name)).alias(name) for name in texts
    )


def csv_of(frame: pl.DataFrame) -> bytes:
    """A frame as CSV that a spreadsheet opens and does not compute.

    >>> csv_of(pl.DataFrame({"a_number": ["43664"], "measured": ["=1+1"], "calls": [-2]}))
    b"a_number,measured,calls\\n'+43664,'=1+1,-2\\n"
    """
    return neutralised(frame).write_csv().encode()
