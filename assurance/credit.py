"""How much a party may still use: what it owes against what is agreed.

    postpaid   it may owe `credit_limit`; without one, anything
    prepaid    it may owe nothing: what it paid beforehand is what it may use
    hybrid     what it paid beforehand, and `credit_limit` beyond it

All three are one sum, because a prepayment is money that we owe the party: what it owes may not exceed the limit, which for `prepaid` is 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from core.config import Agreement
from core.money import to_text


@dataclass(frozen=True)
class Exposure:
    """What a party may cost us in one currency, in nanos: issued and open less what it paid beforehand, posted and not invoiced, stored and not
    posted, and what its calls in progress have come to. `limit` None = it has none."""

    receivable: int
    unbilled: int
    unposted: int
    in_flight: int
    limit: int | None

    @property
    def total(self) -> int:
        return self.receivable + self.unbilled + self.unposted + self.in_flight

    @property
    def left(self) -> int | None:
        """What it may still use; < 0 = it has used more; None = it has no limit.

        >>> Exposure(-20, 12, 3, 1, 0).left, Exposure(80, 30, 0, 0, 100).left, Exposure(80, 30, 0, 0, None).left
        (4, -10, None)
        """
        return None if self.limit is None else self.limit - self.total

    @property
    def exceeded(self) -> bool:
        return self.left is not None and self.left < 0


def limit_of(agreements: Iterable[Agreement]) -> int | None:
    """What a party may owe under all its agreements of one currency, in nanos: their sum, because it has one account with us; None = no limit.

    >>> from core.billing import Invoicing
    >>> prepaid = Agreement(tenant="t1", name="pre", role="sell", invoicing=Invoicing(paid="prepaid"))
    >>> postpaid = Agreement(tenant="t1", name="post", role="sell", credit_limit_nanos=100)
    >>> limit_of([prepaid]), limit_of([prepaid, postpaid]), limit_of([Agreement(tenant="t1", name="any", role="sell"), prepaid])
    (0, 100, None)
    """
    total = 0
    for one in agreements:
        if one.invoicing.paid != "prepaid":
            if one.credit_limit_nanos is None:
                return None
            total += one.credit_limit_nanos
    return total


def words(party: str, currency: str, found: Exposure) -> str:
    """What a person reads of a party that has used more than it may.

    >>> words("acme", "EUR", Exposure(80_000_000_000, 30_000_000_000, 0, 1_500_000_000, 100_000_000_000))
    'acme has used up its credit: it owes 111.5 EUR and may owe 100, 11.5 too much (80 invoiced and open, 30 not invoiced, 1.5 in progress).'
    >>> words("acme", "EUR", Exposure(-20_000_000_000, 20_000_000_000, 0, 500_000_000, 0))
    'acme has used up its credit: 0.5 EUR more than the 20 that it paid beforehand (20 not invoiced, 0.5 in progress).'
    """
    owed = (found.receivable, found.unbilled, found.unposted, found.in_flight)
    parts = zip(owed, ("invoiced and open", "not invoiced", "not posted", "in progress"), strict=True)
    of = ", ".join(f"{to_text(nanos)} {what}" for nanos, what in parts if nanos > 0)
    over, limit = -(found.left or 0), found.limit or 0
    if found.receivable < 0 and not limit:
        beyond = f"{to_text(over)} {currency} more than the {to_text(-found.receivable)} that it paid beforehand"
        return f"{party} has used up its credit: {beyond} ({of})."
    owes = f"it owes {to_text(found.total)} {currency} and may owe {to_text(limit)}, {to_text(over)} too much"
    return f"{party} has used up its credit: {owes} ({of})."
