"""The facts of a finding as numbers: who calls where, how many calls, how much money against the normal, and which action follows.

Only `core.alert_text` turns them into sentences.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import msgspec

UNPRICED = "unpriced"
"""The subject kind for all numbers of an account that cannot be read or that no rate deck prices."""


class Share(NamedTuple):
    """One account's part of a sum over all accounts: nanos where the sum is money, else calls."""

    account: str
    value: int


class Contribution(NamedTuple):
    """What one number adds to the log-odds of fraud, beside its normal. `code`: of `core.alert_text.EVIDENCE`."""

    code: str
    points: float
    value: float
    normal: float


class Instead(NamedTuple):
    """A change under which an alert had not come: of `core.explain.INSTEAD`, its number as it was, and the largest at which there is no alert."""

    code: str
    value: float
    needed: float


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The facts of one finding. None, "" and 0 = not known.

    Calls, talk and money are those of the episode: `window_ms` ends with the row that caused the finding. `usual_nanos` is the subject's
    average spending in the same length of time before the episode; None = its past is too short.
    """

    subject_kind: str  # account | a_number | a_range | b_range | account_range | account_zone | unpriced | destination | carrier | ...
    name: str = ""  # of a carrier, a trunk group, a trunk or a range
    account: str = ""
    trunk: str = ""  # where the switch authenticated no account
    a_number: str = ""  # "" = withheld, or no number that a block could name

    calls: int = 0
    talk_ms: int = 0
    window_ms: int = 0
    nanos: int = 0
    currency: str = ""
    usual_nanos: int | None = None
    account_usual_nanos: int | None = None  # of the whole account, where the subject is narrower
    quiet_ms: int = 0  # how long before the episode the subject made no call; 0 = it made one, or this was not observed

    b_range: str = ""  # where most of the risky money goes: leading digits
    share_percent: int = 0  # of the subject's risk-weighted money: at least this share went there
    code: str = ""  # its country calling code
    country: str = ""  # ISO 3166, "" = none: a global code, or no number
    country_name: str = ""
    number_kind: str = ""  # as `detectors.destination` names it: "mobile", "premium rate", "satellite"
    dialled: list[str] = []  # numbers that cannot be read or priced, as they were dialled, the latest last

    cap: str = ""  # the exceeded cap: money_hour, calls_per_second, ...
    value: int = 0  # nanos, calls, or milliseconds of talk
    limit: int = 0
    shares: list[Share] = []  # of a range: the accounts with the largest shares
    shares_are_money: bool = True
    more_accounts: int = 0  # with a share, and not listed

    fraud: str = ""  # a code of `core.alert_text.FRAUDS`: what it looks like
    evidence: list[Contribution] = []  # contributions to the log-odds of fraud, the largest first
    prior: float = 0.0  # the log-odds without them
    odds: float = 0.0  # the log-odds with all of them, also those that are too small to be listed
    instead: list[Instead] = []  # what would have had to be different, the smallest change first
    # Of a route: ASR, that of its peers, seconds to the answer, theirs, share of very short calls, theirs; or of one kind of false answer a share,
    # its bound, the peers' share, a length in seconds, theirs. Of its test calls: how many went wrong, the least share of its calls, its peers' that
    # went wrong, theirs in all, seconds (late disconnection).
    measured: list[float] = []
    loss: float = 0.0  # expected in the next 15 minutes, in the policy's units

    # An order to refuse, one that was made before and is still valid (both for `ttl_ms`), one that waits for a person, or none.
    action: Literal["", "block", "before", "ask"] = ""
    ttl_ms: int = 0
    wide: str = ""  # the order is wider than the subject: of all callers, to this prefix
    narrow: str = ""  # it is narrower: to this prefix alone
    no_block: str = ""  # why there is no order: a code of `core.alert_text.NO_BLOCK`, or the safety rule that forbids it


def odds_of(facts: Facts) -> float:
    """The log-odds of fraud, as the detector gave them or as its contributions add up; 0 where it gives none."""
    return facts.odds or facts.prior + sum(one.points for one in facts.evidence)


def probability(odds: float) -> float:
    """
    >>> round(probability(3.0), 2), probability(-1_000.0) > 0
    (0.95, True)
    """
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, odds))))
