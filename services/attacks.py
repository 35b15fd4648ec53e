"""Alerts about one account at the same time are one attack for a person, whichever detectors and subjects they are of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from core.orders import EVERYONE, Finding, covers
from services.alert_desk import Queued, key_to_block

APART_MS = 3_600_000
"""Alerts about one account that come closer than this are of one attack: as long as an episode of a detector may be silent."""
COVERED = frozenset({"a_number", "b_range", "wide"})
"""Reasons for which a wide alert has no block while a narrower one of the attack has (`core.alert_text.NO_BLOCK`)."""

Of = TypeVar("Of")


class Attack(NamedTuple):
    """The alert that a person should look at first, and the others, the most money first."""

    lead: Queued
    others: tuple[Queued, ...] = ()

    @property
    def members(self) -> tuple[Queued, ...]:
        return self.lead, *self.others


def account_of(finding: Finding) -> str:
    """The account that an alert is about, "" = none alone: what is refused for every account is an attack of its own.

    >>> from core.orders import Key
    >>> facts = dict.fromkeys(Finding.__struct_fields__) | {"key": Key(tenant="t1", account=EVERYONE, b_range="2217704")}
    >>> account_of(Finding(**facts))
    ''
    """
    account = finding.key.account if finding.key else finding.facts.account if finding.facts else ""
    return "" if account == EVERYONE else account


def together(ones: Iterable[Of], whose: Callable[[Of], tuple[str, str]], span: Callable[[Of], tuple[int, int]]) -> list[list[Of]]:
    """The groups of what is about one account and overlaps, or comes within `APART_MS`. `whose`: tenant and account; without an account each stands
    alone. `span`: its first and last time.

    >>> alerts = [("acme", 0, 60_000), ("blue", 0, 0), ("acme", 30_000, 9_000_000), ("acme", 12_000_000, 12_000_000)]
    >>> alerts += [("acme", 15_600_000, 15_600_000)]
    >>> groups = together(alerts, lambda one: ("t1", one[0]), lambda one: one[1:])
    >>> [(group[0][0], [first_ms for _, first_ms, _ in group]) for group in groups]
    [('acme', [0, 30000, 12000000]), ('blue', [0]), ('acme', [15600000])]
    """
    groups: list[list[Of]] = []
    standing: dict[tuple[str, str], tuple[int, int]] = {}  # tenant and account -> place of its latest group, when that ended
    for one in sorted(ones, key=lambda each: span(each)[0]):
        (first_ms, last_ms), who = span(one), whose(one)
        place, until_ms = standing.get(who, (-1, 0))
        if who[1] and place >= 0 and first_ms - until_ms < APART_MS:
            groups[place].append(one)
        else:
            place, until_ms = len(groups), last_ms
            groups.append([one])
        standing[who] = place, max(until_ms, last_ms)
    return groups


def attacks(queue: Sequence[Queued]) -> list[Attack]:
    """The queue with one entry per attack, where its lead was in the queue. The alert that passes undecided leads, then the one with the most money;
    one whose calls a block of the attack refuses, or a wide one while a block on its account stands, does not lead."""
    place = {id(one): at for at, one in enumerate(queue)}
    whose = lambda one: (one.finding.tenant, account_of(one.finding))  # noqa: E731
    groups = together(queue, whose, lambda one: (one.finding.detected_at_ms, one.finding.last_ms))
    found = [_attack(sorted(group, key=lambda one: place[id(one)])) for group in groups]
    return sorted(found, key=lambda one: place[id(one.lead)])


def _attack(members: list[Queued]) -> Attack:
    blocks = [one.order.order for one in members if one.order is not None and one.status == "standing"]

    def is_behind(one: Queued) -> bool:
        if not blocks or not one.passes:
            return False
        key, facts = key_to_block(one.finding), one.finding.facts
        is_refused = key is not None and any(block.action == "refuse" and covers(block.key, key) for block in blocks)
        return is_refused or (facts is not None and facts.no_block in COVERED)

    lead, *others = sorted(members, key=is_behind)
    return Attack(lead, tuple(others))
