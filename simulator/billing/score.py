"""How well causes were found, against the key of a bill."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl


class Score(NamedTuple):
    """Of one cause of the key: calls that have it, and that were found with it (a set that contains it counts where the key has the set);
    what was named so, and wrongly; what it costs by the key and as found."""

    cause: str
    calls: int
    found: int
    named: int
    wrong: int
    nanos: int
    found_nanos: int

    @property
    def recall(self) -> float:
        return self.found / self.calls if self.calls else 1.0

    @property
    def precision(self) -> float:
        return 1 - self.wrong / self.named if self.named else 1.0


def score(found: pl.DataFrame, key: pl.DataFrame) -> list[Score]:
    """`found` and `key`: `call_key`, `cause`, `nanos`. A name of several causes is right where all of them are in the key's name for the call or
    the other way round.

    >>> key = pl.DataFrame({"call_key": ["a", "b"], "cause": ["rate", "minutes|increment"], "nanos": [5, 7]})
    >>> found = pl.DataFrame({"call_key": ["a", "b", "c"], "cause": ["rate", "minutes", "rate"], "nanos": [5, 7, 1]})
    >>> [(one.cause, one.recall, one.precision) for one in score(found, key)]
    [('minutes|increment', 1.0, 1.0), ('rate', 1.0, 0.5)]
    """
    pairs = key.rename({"cause": "told", "nanos": "cost"}).join(found, on="call_key", how="left")
    sets = pl.col("cause").str.split("|"), pl.col("told").str.split("|")
    fits = (sets[0].list.set_difference(sets[1]).list.len() == 0) & pl.col("cause").is_not_null()
    hits = pairs.filter(fits).group_by("call_key", "told").agg(pl.col("nanos").sum(), pl.col("cost").first())
    result = []
    for cause in sorted(key["cause"].unique().to_list()):
        calls = key.filter(pl.col("cause") == cause)
        hit = hits.filter(pl.col("told") == cause)
        parts = cause.split("|")
        named = found.filter(pl.col("cause").is_in([cause, *parts] if len(parts) == 1 else [cause]))
        right = named.join(pairs.filter(fits).select("call_key", "cause").unique(), on=["call_key", "cause"], how="semi")
        result.append(
            Score(cause, calls.height, hit.height, named.height, named.height - right.height, int(calls["nanos"].sum()), int(hit["nanos"].sum()))
        )
    return result
