"""Why an alert came, in sentences that can be pasted into an e-mail: what happened, the money, what speaks for and against fraud, its own normal,
what would have had to be different, and examples.

>>> from core.facts import Contribution, Instead
>>> facts = Facts(subject_kind="account_range", account="acme", b_range="88213", code="882", calls=14, window_ms=540_000, nanos=37_500_000_000,
...     currency="EUR", fraud="irsf", prior=-10.0, odds=4.0,
...     evidence=[Contribution("rate", 8.0, 13.6, 0.2), Contribution("answered", 5.9, 0.98, 0.6)], instead=[Instead("calls", 13.6, 6.8)])
>>> for line in sentences(facts, ["c1", "c2"]): print(line)
acme is sending 14 calls to +882 13…: 37.50 EUR in 9 minutes; what is normal is not known yet. It looks like revenue share fraud: calls pumped into \
a range that pays the caller's side.
Money so far: 37.50 EUR in 9 minutes, 4.17 EUR per minute.
Log-odds of fraud: -10.0 before anything is known; calls now 13.6, normal for this hour 0.2: +8.0; share of answered calls 0.98, normal 0.6: +5.9; \
all others together: +0.1. The sum is +4.0, a probability of 98.2 %.
No alert would have come with calls now of 6.8 or less instead of 13.6, all else being the same in proportion.
Example calls: c1, c2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from core.alert_text import evidence_text, money_text, observed_text, span_text, with_normal
from core.facts import Contribution, Facts, Instead, odds_of, probability
from core.orders import Finding

INSTEAD = {
    "calls": "calls now",
    "money": "money",
    "at_once": "answered calls at once",
    "shorts": "very short calls",
    "rings": "calls given up at once",
    "new": "calls to new destinations",
    "distinct": "different numbers",
    "sequential": "calls to the next number",
    "repeats": "repeated calls",
}
"""Code of a change -> what its number is."""

EXAMPLES = 5
AT_THIS_HOUR = frozenset({"rate"})
"""Contributions whose normal is that of the hour of the day."""


def of_finding(finding: Finding) -> list[str]:
    """The sentences of an alert; of one whose facts are not stored, its reason."""
    if finding.facts is None:
        return [finding.reason]
    return sentences(finding.facts, finding.example_call_ids)


def sentences(facts: Facts, example_call_ids: Sequence[str] = ()) -> list[str]:
    """One paragraph each; those of which nothing is known are left out."""
    found = [observed_text(msgspec.structs.replace(facts, evidence=[], loss=0.0))]
    if facts.nanos and facts.window_ms:
        minutes = max(facts.window_ms / 60_000, 1.0)
        spent = money_text(facts.nanos, facts.currency)
        found.append(f"Money so far: {spent} in {span_text(facts.window_ms)}, {money_text(round(facts.nanos / minutes), facts.currency)} per minute.")
    if facts.evidence:
        found.append(sum_text(facts))
    found += [instead_text(one) for one in facts.instead[:1]]
    if facts.cap and facts.limit:
        found.append("No alert would have come at or under the cap.")
    if facts.loss >= 0.01:
        found.append(f"If nothing is done, the next 15 minutes would cost about {f'{facts.loss:,.2f} {facts.currency}'.strip()}.")
    if example_call_ids:
        found.append(f"Example calls: {', '.join(example_call_ids[-EXAMPLES:])}.")
    return found


def rows(facts: Facts) -> list[tuple[Any, ...]]:
    """What the log-odds are made of: (what, value, normal, points), the prior first and the sum last; the points add up.

    >>> rows(Facts(subject_kind="account", prior=-10.0, odds=2.0, evidence=[Contribution("rate", 12.0, 9.0, 1.0)]))
    [('before anything is known', '', '', -10.0), ('calls now', 9.0, 1.0, 12.0), ('sum', '', '', 2.0)]
    """
    found: list[tuple[Any, ...]] = [("before anything is known", "", "", facts.prior)]
    found += [(evidence_text(one.code), one.value, "" if one.code.startswith("model:") else one.normal, one.points) for one in facts.evidence]
    if abs(rest := _rest(facts)) >= 0.005:
        found.append(("all others together", "", "", round(rest, 2)))
    return [*found, ("sum", "", "", round(odds_of(facts), 2))]


def sum_text(facts: Facts) -> str:
    """The contributions, each beside its normal, and what they come to."""
    parts = [f"{facts.prior:+.1f} before anything is known", *(_part(one) for one in facts.evidence)]
    if abs(rest := _rest(facts)) >= 0.05:
        parts.append(f"all others together: {rest:+.1f}")
    odds = odds_of(facts)
    likely = min(100 * probability(odds), 99.9)
    return f"Log-odds of fraud: {'; '.join(parts)}. The sum is {odds:+.1f}, a probability of {likely:.3g} %."


def instead_text(one: Instead) -> str:
    """
    >>> instead_text(Instead("at_once", 12.1, 1.21))
    'No alert would have come with answered calls at once of 1.21 or less instead of 12.1.'
    """
    proportion = ", all else being the same in proportion" if one.code == "calls" else ""
    return f"No alert would have come with {INSTEAD[one.code]} of {one.needed:,.4g} or less instead of {one.value:,.4g}{proportion}."


def _part(one: Contribution) -> str:
    text = with_normal(one)
    if one.code in AT_THIS_HOUR:
        text = text.replace(", normal ", ", normal for this hour ")
    return f"{text}: {one.points:+.1f}"


def _rest(facts: Facts) -> float:
    return odds_of(facts) - facts.prior - sum(one.points for one in facts.evidence)
