"""Their names of destinations as ours: a guess by prefix, name and the calls themselves, shown with its reason, that a person can correct."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import polars as pl

from rating.offers.headings import plain

SAME_WORDS = {
    "mob": "mobile", "mobiles": "mobile", "cell": "mobile", "cellular": "mobile", "gsm": "mobile", "fix": "fixed", "fixedline": "fixed",
    "landline": "fixed", "uk": "united kingdom", "gb": "united kingdom", "usa": "united states", "us": "united states", "proper": "", "other": "",
    "others": "", "the": "", "of": "", "and": "", "spec": "special", "svc": "service", "serv": "service", "services": "service",
}  # fmt: skip
LIKE = 0.5
"""How many of the words of two names must be the same."""
MOST = 0.5
"""Share of the calls to a name that must be to one destination of ours."""


class Guess(NamedTuple):
    """What one of their names is taken for, and why; `ours` "" = nothing of ours."""

    theirs: str
    ours: str
    why: str
    calls: int = 0


def words(name: str) -> frozenset[str]:
    """The words of a destination's name, in one spelling.

    >>> sorted(words("Austria - Mobile (A1)")), sorted(words("AUSTRIA MOB A1"))
    (['a1', 'austria', 'mobile'], ['a1', 'austria', 'mobile'])
    """
    found = (SAME_WORDS.get(word, word) for word in re.findall(r"[a-z0-9]+", plain(name)))
    return frozenset(word for words in found for word in words.split())


def likeness(one: str, other: str) -> float:
    """How many of the words of two names are in both.

    >>> likeness("Austria Mob", "Austria Mobile"), round(likeness("Austria", "Austria Mobile"), 2)
    (1.0, 0.5)
    """
    first, second = words(one), words(other)
    return len(first & second) / len(first | second) if first and second else 0.0


def names_of(
    pairs: pl.DataFrame, theirs: Iterable[str], ours: Iterable[str], corrected: Mapping[str, str] = {}, prefixes: Mapping[str, str] = {}
) -> dict[str, Guess]:
    """Each of their names -> what it is taken for. `pairs`: `theirs` and `ours`, the destination of each matched call by both; `corrected`: what
    a person said; `prefixes`: name of theirs -> our destination by the prefix that their file gives with it.

    The same name wins, then the prefix, then what most of its calls are, then a name like it.

    >>> pairs = pl.DataFrame({"theirs": ["AT-MOB"] * 9 + ["AT-MOB"], "ours": ["Austria Mobile"] * 9 + ["Austria"]})
    >>> names_of(pairs, ["AT-MOB", "Austria"], ["Austria", "Austria Mobile"])["AT-MOB"]
    Guess(theirs='AT-MOB', ours='Austria Mobile', why='90% of its calls', calls=10)
    """
    known = {name: words(name) for name in dict.fromkeys(ours) if name}
    exact: dict[frozenset[str], str] = {}
    for name, tokens in known.items():
        exact.setdefault(tokens, name)
    votes: dict[str, list[tuple[str, int]]] = {}
    counted = pairs.group_by("theirs", "ours").len().sort(["len", "ours"], descending=[True, False])
    for their, our, count in counted.iter_rows():
        votes.setdefault(their, []).append((our, count))
    found: dict[str, Guess] = {}
    for name in dict.fromkeys((*theirs, *votes)):
        calls = sum(count for _, count in votes.get(name, ()))
        if name in corrected:
            found[name] = Guess(name, corrected[name], "corrected by hand", calls)
        elif name:
            found[name] = _guess(name, known, exact, votes.get(name, []), prefixes.get(name, ""), calls)
    return found


def _guess(
    name: str, known: Mapping[str, frozenset[str]], exact: Mapping[frozenset[str], str], votes: list[tuple[str, int]], by_prefix: str, calls: int
) -> Guess:
    if name in known:
        return Guess(name, name, "the same name", calls)
    if words(name) in exact and words(name):
        return Guess(name, exact[words(name)], "the same words", calls)
    if by_prefix:
        return Guess(name, by_prefix, "its prefix", calls)
    if votes and votes[0][1] >= MOST * calls:
        return Guess(name, votes[0][0], f"{votes[0][1] / calls:.0%} of its calls", calls)
    best = max(known, key=lambda one: (likeness(name, one), one), default="")
    if best and likeness(name, best) >= LIKE:
        return Guess(name, best, f"a name like it ({likeness(name, best):.0%} of the words)", calls)
    return Guess(name, "", "no name, prefix or call of ours fits", calls)
