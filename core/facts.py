"""What a finding knows, as numbers: who, to where, how many calls, how much money, against what usual, and what is to be done.

No sentence is made here: `core.alert_text` makes them, in one place.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

UNPRICED = "unpriced"
"""The subject that is all numbers of an account that cannot be read, or that no rate deck prices."""


class Share(NamedTuple):
    """What one account did of a sum over all accounts: nanos where the sum is money, else calls."""

    account: str
    value: int


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The facts of one finding. None, "" and 0 = not known; what is not known is not made up.

    Calls, talk and money are those of the episode: `window_ms` ends with the row that the finding is about. `usual_nanos` is what the
    subject spent in as long a time, on the average of its past before the episode; None = it has too short a past to tell.
    """

    subject_kind: str  # account | a_number | b_range | unpriced | destination | carrier | trunk_group | trunk | range
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
    quiet_ms: int = 0  # so long before the episode there was no call of the subject; 0 = there was one, or nobody watched

    b_range: str = ""  # where most of the risky money goes: leading digits
    share_percent: int = 0  # of the subject's risk-weighted money: at least so much went there
    code: str = ""  # its country calling code
    country: str = ""  # ISO 3166, "" = none: a code of the whole world, or no number
    country_name: str = ""
    number_kind: str = ""  # as `detectors.destination` names it: "mobile", "premium rate", "satellite"
    dialled: list[str] = []  # numbers that cannot be read or priced, as they were dialled, the latest last

    cap: str = ""  # which line of a cap: money_hour, calls_per_second, ...
    value: int = 0  # nanos, calls, or milliseconds of talk
    limit: int = 0
    shares: list[Share] = []  # of a range: who has the most of it
    shares_are_money: bool = True
    more_accounts: int = 0  # that have their share too and are not named

    # An order to refuse, one that was made before and lasts (both for `ttl_ms`), one that waits for a person, or none.
    action: Literal["", "block", "before", "ask"] = ""
    ttl_ms: int = 0
    no_block: str = ""  # why there is no order: a code (see `core.alert_text.NO_BLOCK`), or the safety rule that forbids it
