"""Why two accounts of the same calls differ: the causes, what each means, and what to do about it.

A difference whose cause cannot be told from the files carries every cause that fits, joined by `|` in this order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Cause(NamedTuple):
    """`about` completes "they ..."; `is_rate`: a dispute of any amount, however small, is worth sending (it comes back every month)."""

    about: str
    remedy: str
    is_rate: bool = False


CAUSES: dict[str, Cause] = {
    "rate": Cause("charge another price per minute", "dispute it with the price list that was agreed on", True),
    "fx": Cause("convert by another rate of exchange", "dispute it with the rate that the agreement names", True),
    "tariff_boundary": Cause("apply a price of before its date, or after it", "dispute it with the date of the price list", True),
    "peak": Cause("charge the price of another time of day, or of another tier", "dispute it with the windows of the price list", True),
    "wrong_destination": Cause("charge the call as one to another destination", "dispute it with the code of the number called", True),
    "increment": Cause("charge in other increments", "dispute it with the increments that were agreed on", True),
    "rounding": Cause("round the amount of each call", "agree on how amounts are rounded, or accept it"),
    "line_arithmetic": Cause("write an amount that is not what its own seconds and price give", "ask for a corrected invoice", True),
    "minutes": Cause("charge for another length of the call", "dispute it with our records of answer and end"),
    "suspected_hung": Cause("charge up to a timer, as if no end of the call had come", "dispute it with our record of the end"),
    "missing_theirs": Cause("do not charge a call that we have", "nothing to dispute: expect it on a later invoice"),
    "unreadable": Cause("list a call in a row that cannot be read", "ask for the file again"),
    "missing_ours": Cause("charge a call that we do not have", "dispute it, and look for lost records of the switch"),
    "duplicate": Cause("charge a call twice", "dispute it with both rows of their file"),
    "time_zone": Cause("count the time of the call in another zone", "agree on the zone; dispute what another price or period costs"),
    "clock_change": Cause("did not follow the change of the clocks, or followed it alone", "agree on the zone; dispute what it costs"),
    "period_boundary": Cause("count the call in this period, and we in another", "nothing to dispute, unless it is on two invoices"),
    "fee": Cause("charge another fee than was agreed on", "dispute it with the agreement", True),
    "discount": Cause("give another discount for the volume than was agreed on, or none", "dispute it with the agreement", True),
    "commitment": Cause("charge another minimum commitment than the calls leave", "dispute it with the agreement, once the calls are settled", True),
    "other_charge": Cause("charge what is no call: a fee, a commitment, a credit", "check it against the agreement"),
    "within_tolerance": Cause("differ by no more than the tolerance", "nothing: it is what was agreed on as noise"),
    "unexplained": Cause("charge more or less, and without their calls it cannot be told why", "ask for the calls (--cdrs)"),
}  # fmt: skip

ORDER = {name: place for place, name in enumerate(CAUSES)}


def joined(causes: Iterable[str]) -> str:
    """Causes that cannot be told apart, as one text.

    >>> joined(["minutes", "increment", "minutes"])
    'increment|minutes'
    """
    return "|".join(sorted(set(causes), key=ORDER.__getitem__))
