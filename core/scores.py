"""How carriers do, by destination: the messages of the topic `scores`."""

from __future__ import annotations

import msgspec

SCORES_KEY = b"scores"
"""The key of a message of `scores`. Each message has all scores; the last one counts."""


class Score(msgspec.Struct, frozen=True):
    """A carrier at a destination (a calling code; "" = all of them), of attempts that have decayed with time. Shares are 0 to 1."""

    tenant: str
    carrier: str
    destination: str
    attempts: float
    asr: float  # answered
    ner: float  # answered, busy, not answered by the called person, or rejected by it
    acd_s: float  # mean duration of the answered ones
    pdd_ms: float  # mean time to ringing or answer
    short_share: float  # of the answered ones: shorter than 6 s
    score: float  # the higher the better


class Scores(msgspec.Struct, frozen=True):
    """All scores as of a moment of event time."""

    at_ms: int
    scores: tuple[Score, ...]
