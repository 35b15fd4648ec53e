"""The assurance report of a period: leakage found, prevented and recovered, by cause and money; what was looked at and what could not be.

*Found* is what the last run of a control says, and what carriers' bills have too much. *Prevented* is what an earlier run of the same period found
and the last one does not: it was mended before it became a loss. *Recovered* is what the other side agreed to pay back. *Suspected* money
(look-alikes, and differences whose calls were not compared) is not added to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from assurance.controls.protocol import Result

COVERAGE = frozenset({"carriers_reconciled", "disputes_in_time"})
"""Controls whose money is what was not checked, or what is asked for already: no leakage."""
SUSPECTED = frozenset({"suspected_duplicates", "sequence_gaps", "traffic_by_hour", "hung_calls", "late_records", "credit_exposure"})
"""Controls whose money is an estimate, a suspicion or a risk."""


AGREED = ("agreed", "credited")


LEAST_NANOS = 5_000_000
"""Half a cent: a cause of less is not in the report."""


class ComparedBill(msgspec.Struct, frozen=True):
    """A carrier's bill that was compared. Nanos; `too_much` is what is against us, `worth` what of it is worth a dispute."""

    party: str
    invoice: str
    currency: str
    theirs: int
    ours: int
    too_much: int
    by_cause: dict[str, int]


class Claim(msgspec.Struct, frozen=True):
    """A dispute. `agreed` None = nothing was agreed on yet. `is_ours`: we ask it back of a carrier; else a customer asks it of us."""

    party: str
    cause: str
    state: str
    currency: str
    nanos: int
    agreed: int | None
    is_ours: bool = True


class RecoveryStatus(NamedTuple):
    """Where the money stands that was found: the other side agreed, is asked, has refused (or was not asked in time), or nobody has acted. Nanos."""

    recovered: int
    in_dispute: int
    lost: int
    not_acted_on: int


@dataclass
class Line:
    """One cause of leakage in one currency, in nanos."""

    cause: str
    currency: str
    found: int = 0
    prevented: int = 0
    recovered: int = 0
    suspected: int = 0


@dataclass(frozen=True)
class Report:
    """`results`: the last of each control. `trend`: period in words -> currency -> found, oldest first."""

    tenant: str
    period: str
    currency: str  # of most of the money
    lines: list[Line]
    results: Sequence[Result]
    bills: Sequence[ComparedBill]
    claims: Sequence[Claim]
    trend: Sequence[tuple[str, dict[str, int]]] = field(default_factory=tuple)

    def total(self, what: str, currency: str = "") -> int:
        """The sum of a column of the lines in a currency.

        >>> Report("t1", "2026-10", "EUR", [Line("rate", "EUR", 5, 0, 3)], (), (), ()).total("recovered")
        3
        """
        return sum(int(getattr(line, what)) for line in self.lines if line.currency == (currency or self.currency))

    @property
    def sales(self) -> dict[str, int]:
        """Currency -> what the calls were sold for that the controls looked at."""
        return max((one.sales for one in self.results), key=lambda one: sum(one.values()), default={})

    def standing(self) -> RecoveryStatus:
        """What became of `found`, in the main currency.

        >>> claims = [Claim("a", "rate", "credited", "EUR", 10, 8), Claim("a", "minutes", "sent", "EUR", 5, None)]
        >>> Report("t1", "2026-10", "EUR", [Line("rate", "EUR", 30, 0, 8)], (), (), claims).standing()
        RecoveryStatus(recovered=8, in_dispute=5, lost=2, not_acted_on=15)
        """
        mine = [one for one in self.claims if one.is_ours and one.currency == self.currency and "|" not in one.cause and one.cause != "fas"]
        settled = [one for one in mine if one.agreed is not None and one.state in AGREED]
        recovered = sum(one.agreed or 0 for one in settled)
        gone = [one for one in mine if one.state in ("withdrawn", "expired")]
        lost = sum(one.nanos - (one.agreed or 0) for one in settled) + sum(one.nanos for one in gone)
        asked = sum(one.nanos for one in mine if one not in settled and one not in gone)
        return RecoveryStatus(recovered, asked, lost, max(0, self.total("found") - recovered - lost - asked))

    @property
    def not_checked(self) -> list[Result]:
        """Controls that could not look."""
        return [one for one in self.results if one.status == "not_checked"]


def report(
    tenant: str, period: str, latest: Sequence[Result], earlier: Iterable[Result], bills: Sequence[ComparedBill], claims: Sequence[Claim],
    trend: Sequence[tuple[str, dict[str, int]]] = (),
) -> Report:  # fmt: skip
    """The report of a period. `latest`: the last result of each control; `earlier`: all results of the same period before them.

    >>> first = Result(control="unbilled_calls", status="found", checked=9, count=2, money={"EUR": 7 * 10**9})
    >>> last = Result(control="unbilled_calls", status="passed", checked=9)
    >>> bill = ComparedBill("alpha", "A-7", "EUR", 11 * 10**9, 10**10, 10**9, {"rate": 10**9})
    >>> made = report("t1", "2026-10", [last], [first], [bill], [Claim("alpha", "rate", "credited", "EUR", 10**9, 8 * 10**8)])
    >>> [(line.cause, line.found, line.prevented, line.recovered) for line in made.lines]
    [('unbilled_calls', 0, 7000000000, 0), ('bills: rate', 1000000000, 0, 800000000)]
    """
    lines: dict[tuple[str, str], Line] = {}

    def line(cause: str, currency: str) -> Line:
        return lines.setdefault((cause, currency), Line(cause, currency))

    before: dict[tuple[str, str], int] = {}
    for one in earlier:
        for currency, nanos in one.money.items():
            key = one.control, currency
            before[key] = max(before.get(key, 0), nanos)
    for one in latest:
        if one.control in COVERAGE or one.status == "not_checked":
            continue
        for currency in one.money.keys() | {unit for control, unit in before if control == one.control}:
            now = abs(one.money.get(currency, 0))
            entry = line(one.control, currency)
            if one.control in SUSPECTED:
                entry.suspected += now
            else:
                entry.found += now
                entry.prevented += max(0, before.get((one.control, currency), 0) - now)
    for bill in bills:
        for cause, nanos in bill.by_cause.items():
            entry = line(f"bills: {cause}", bill.currency)
            if is_sure(cause):
                entry.found += nanos
            else:
                entry.suspected += nanos
    for claim in claims:
        if claim.is_ours and claim.agreed is not None and claim.state in AGREED:
            line(f"bills: {claim.cause}", claim.currency).recovered += claim.agreed
    wanted = [one for one in lines.values() if max(one.found, one.prevented, one.recovered, one.suspected) >= LEAST_NANOS]
    wanted.sort(key=lambda one: (-(one.found + one.prevented), -one.suspected, one.cause))
    return Report(tenant, period, _main(wanted), wanted, latest, bills, claims, trend)


def is_sure(cause: str) -> bool:
    """Whether the files tell the cause of a difference.

    >>> is_sure("rate"), is_sure("rate|fx"), is_sure("unexplained")
    (True, False, False)
    """
    return "|" not in cause and cause != "unexplained"


def _main(lines: Sequence[Line]) -> str:
    sums: dict[str, int] = {}
    for one in lines:
        sums[one.currency] = sums.get(one.currency, 0) + one.found + one.prevented + one.recovered + one.suspected
    return max(sums, key=lambda unit: (sums[unit], unit), default="")


def trend_of(runs: Iterable[tuple[str, Result]]) -> list[tuple[str, dict[str, int]]]:
    """Period -> currency -> what the last run of each control found in it, oldest period first. `runs`: period and result, the newest first.

    >>> one = Result(control="unbilled_calls", status="found", money={"EUR": 5})
    >>> trend_of([("0..9", one), ("0..9", one)])
    [('0..9', {'EUR': 5})]
    """
    last: dict[tuple[str, str], Result] = {}
    for period, result in runs:
        last.setdefault((period, result.control), result)
    found: dict[str, dict[str, int]] = {}
    for (period, control), result in last.items():
        sums = found.setdefault(period, {})
        if control not in COVERAGE and control not in SUSPECTED:
            for currency, nanos in result.money.items():
                sums[currency] = sums.get(currency, 0) + abs(nanos)
    return sorted(found.items(), key=lambda one: int(one[0].split("..")[0]))


def money_of(bills: Iterable[ComparedBill]) -> Mapping[str, int]:
    """Currency -> what bills that were compared come to."""
    found: dict[str, int] = {}
    for one in bills:
        found[one.currency] = found.get(one.currency, 0) + one.theirs
    return found
