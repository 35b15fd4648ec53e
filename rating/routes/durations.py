"""How long calls to a destination last, and how many attempts fail: what the money of a call is expected over.

A profile is a sample of observed durations, each standing for so many answered calls. What is observed is added to a stated prior of
20 calls, so that a destination of which little is known has the durations of calls at large, and one with thousands has its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from core.numbering import country_code

MOST_BINS = 40
MILLION = 1_000_000


class Profile(NamedTuple):
    """`talk_ms`: (duration, answered calls that it stands for), the shortest first. `failed`: attempts without an answer beside them."""

    talk_ms: tuple[tuple[int, int], ...]
    failed: int

    @property
    def answered(self) -> int:
        """Answered calls."""
        return sum(calls for _, calls in self.talk_ms)

    @property
    def acd_s(self) -> float:
        """The mean duration of an answered call."""
        return sum(ms * calls for ms, calls in self.talk_ms) / self.answered / 1000

    def failed_at(self, asr: float | None) -> int:
        """Attempts without an answer per its answered calls, at a carrier's own share of answers; None = not known: the destination's.

        >>> PRIOR.failed_at(0.25), PRIOR.failed_at(None)
        (60, 20)
        """
        if asr is None:
            return self.failed
        ppm = max(round(asr * MILLION), MILLION // 100)  # below one answer in a hundred attempts the estimate says nothing
        return (2 * self.answered * (MILLION - ppm) + ppm) // (2 * ppm)


PRIOR = Profile(tuple((1000 * s, 1) for s in (3, 6, 10, 15, 20, 30, 40, 50, 60, 75, 90, 110, 130, 160, 200, 250, 320, 420, 600, 900)), 20)
"""Half of the calls last up to 75 s, the mean is 174 s, and every second attempt is answered."""


def profile(talk_ms: Iterable[tuple[int, int]], failed: int) -> Profile:
    """The profile of a destination, from what was observed: durations (ms, calls) and failed attempts, with the prior added.

    >>> profile([(30_000, 1_000)], 500).talk_ms[5], profile([(30_000, 1_000)], 500).failed
    ((30000, 1001), 520)
    >>> len(profile([(1000 * s, 1) for s in range(1, 300)], 0).talk_ms)
    40
    """
    return Profile(_reduced([*talk_ms, *PRIOR.talk_ms]), failed + PRIOR.failed)


def _reduced(bins: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """At most `MOST_BINS` bins: neighbours are joined under the duration in their middle."""
    summed: dict[int, int] = {}
    for ms, calls in bins:
        if ms > 0 and calls > 0:
            summed[ms] = summed.get(ms, 0) + calls
    ordered = sorted(summed.items())
    if len(ordered) <= MOST_BINS:
        return tuple(ordered)
    total = sum(summed.values())
    found: list[tuple[int, int]] = []
    group: list[tuple[int, int]] = []
    seen = 0
    for ms, calls in ordered:
        group.append((ms, calls))
        seen += calls
        if seen * MOST_BINS >= total * (len(found) + 1):
            found.append(_middle(group))
            group = []
    return tuple([*found, _middle(group)] if group else found)


def _middle(group: list[tuple[int, int]]) -> tuple[int, int]:
    half, calls = sum(n for _, n in group), 0
    for ms, n in group:
        calls += n
        if 2 * calls >= half:
            return ms, half
    raise AssertionError("a group has calls")


class Durations(NamedTuple):
    """Profiles by prefix of the called number: of the longest that it begins with, else the prior."""

    profiles: Mapping[str, Profile] = {}

    def of(self, digits: str) -> Profile:
        """The profile of a number.

        >>> Durations({"43": profile([(1000, 80)], 0)}).of("436641").answered, Durations().of("1").answered
        (100, 20)
        """
        for length in range(len(digits), 0, -1):
            if (found := self.profiles.get(digits[:length])) is not None:
                return found
        return PRIOR


LEAST_CALLS = 200
"""Answered calls from which a prefix longer than the calling code has a profile of its own."""


def observed(attempts: Iterable[tuple[str, int, int]]) -> Durations:
    """The profiles of what was observed: (first digits of the number called, talk time in ms or 0, attempts). Each calling code has one, and
    each longer beginning with enough answered calls.

    >>> found = observed([("43664", 60_000, 900), ("43664", 0, 100), ("431", 30_000, 10)])
    >>> sorted(found.profiles), found.of("43664123").failed, found.of("431555").answered
    (['43', '43664'], 120, 930)
    """
    by: dict[str, tuple[dict[int, int], list[int]]] = {}
    for digits, talk_ms, count in attempts:
        for prefix in {country_code(digits), digits}:
            talks, failed = by.setdefault(prefix, ({}, [0]))
            if talk_ms > 0:
                talks[talk_ms] = talks.get(talk_ms, 0) + count
            else:
                failed[0] += count
    found = {}
    for prefix, (talks, failed) in by.items():
        if prefix and (prefix == country_code(prefix) or sum(talks.values()) >= LEAST_CALLS):
            found[prefix] = profile(talks.items(), failed[0])
    return Durations(found)
