"""What proves a dispute: its calls as both sides have them, in files that the other side can check alone by their hashes."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping

import polars as pl

from assurance.reconcile.causes import CAUSES
from core.money import to_text
from core.spreadsheet import neutralised
from core.text import hidden_digits

NUMBERS = ("our_a_number", "our_b_number", "their_b_number")
TIMES = ("our_at_ms", "their_at_ms")
MONEY = ("difference_nanos", "our_per_min_nanos", "our_nanos", "their_per_min_nanos", "their_nanos")
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file in the archive: the same dispute is the same archive, byte by byte."""


def calls_csv(calls: pl.DataFrame, masked_digits: int) -> bytes:
    """The calls of a dispute, in time and money as people read them. `masked_digits`: of the end of each number, 0 = none.

    >>> calls = pl.DataFrame({"cause": ["rate"], "their_at_ms": [0], "their_b_number": ["436641234567"], "difference_nanos": [5]})
    >>> calls_csv(calls, 3).decode().splitlines()
    ['cause,their_at,their_b_number,difference', 'rate,1970-01-01 00:00:00.000 UTC,436641234xxx,0.000000005']
    """
    calls = neutralised(calls)  # before amounts are texts, of which some begin with a minus
    columns: list[pl.Expr | pl.Series] = []
    for name in calls.columns:
        if name in TIMES:
            when = pl.from_epoch(name, time_unit="ms").dt.strftime("%Y-%m-%d %H:%M:%S%.3f UTC")
            columns.append(when.alias(name.removesuffix("_ms")))
        elif name in MONEY:
            columns.append(pl.Series(name.removesuffix("_nanos"), [None if one is None else to_text(one) for one in calls[name].to_list()],
                dtype=pl.String))
        elif name in NUMBERS:
            columns.append(pl.Series(name, [None if one is None else mask(one, masked_digits) for one in calls[name].to_list()], dtype=pl.String))
        else:
            columns.append(pl.col(name))
    return calls.select(columns).write_csv().encode()


def mask(number: str, digits: int) -> str:
    """
    >>> mask("436641234567", 3), mask("436641234567", 0)
    ('436641234xxx', '436641234567')
    """
    if not digits:
        return number
    count = sum(one.isdigit() for one in number)
    return hidden_digits(number, max(count - digits, 0), 0, "x", 1)


FALSE_ANSWERS = "fas"
"""No cause of a difference, as both sides saw the same answer: a claim about many calls of a route, never about one of them."""


def explained(cause: str) -> str:
    """A cause in words.

    >>> explained("increment|minutes")
    'You charge in other increments; or you charge for another length of the call: the files do not tell which.'
    """
    if cause == FALSE_ANSWERS:
        return (
            "Calls over your route are answered more often, sooner, or more shortly than over all others to the same destination (95 % intervals "
            "that do not overlap): a statistical claim about the route, not about any one call."
        )
    parts = [CAUSES[name].about for name in cause.split("|")]
    words = "; or ".join(f"you {part}" for part in parts)
    return words[:1].upper() + words[1:] + (": the files do not tell which." if len(parts) > 1 else ".")


def packed(files: Mapping[str, bytes]) -> bytes:
    """The files as an archive, with their hashes as `sha256sum -c` checks them.

    >>> archive = zipfile.ZipFile(io.BytesIO(packed({"calls.csv": b"a"})))
    >>> archive.namelist(), archive.read("SHA256SUMS").decode().split()[1]
    (['calls.csv', 'SHA256SUMS'], 'calls.csv')
    """
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items())
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**files, "SHA256SUMS": sums.encode()}.items():
            info = zipfile.ZipInfo(name, EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)
    return out.getvalue()
