"""The choice as columns: a view flattened once into disjoint intervals of numbers, each with its candidates in order.

A million numbers are one `searchsorted`. An interval lies within one prefix of every deck, list, profile and calling code, so that all of its
numbers have the same candidates. Left out is what only a single call knows: origin and jurisdiction of a price, bounds of the number's
length (a number of 12 digits is assumed), and calls in progress; `rating.routes.choose` knows them.

A table is compiled when a deck, a list or a window changes, and arranged anew when the scores of carriers do.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from core.numbering import country_code
from core.numbering_data import SHORT_CODES
from rating.deck import Moments
from rating.prefixes import PLACES, Ints, build, encode, encode_all, ends_of
from rating.price import Offer
from rating.routes.choose import MILLION, applies, floor_ppm
from rating.routes.durations import PRIOR, Durations, Profile
from rating.routes.expected import NO_SUM, Coded, Sums, sums_of
from rating.routes.live import Live, Standing
from rating.routes.view import Entry, View

ASSUMED_DIGITS = 12
CODES = tuple(str(n) for n in range(1, 1000) if country_code(str(n)) == str(n) and (n > 99 or str(n) in SHORT_CODES))

Bools = npt.NDArray[np.bool_]
OPEN, DENIED, NO_ROUTE = 0, 1, 2
"""Outcome of an interval: it has candidates; the lists deny all that could carry it; none is left."""


class Routed(NamedTuple):
    """The routes of many numbers, one row per number. `entries`: places in `View.entries`, the first to be tried first, -1 = no more."""

    entries: Ints  # numbers x tries
    cost_nanos: Ints  # likewise, over the answered calls of the profile (`rating.routes.expected`)
    outcome: Ints
    interval: Ints


@dataclass(frozen=True, eq=False)
class Table:
    """`starts[i]` to `starts[i + 1]` (numbers as `rating.prefixes` writes them) have `entries[i]` in their order, -1 = no more."""

    view: View
    starts: Ints
    entries: Ints  # intervals x tries
    cost_nanos: Ints
    sell_nanos: Ints  # intervals
    outcome: Ints

    def find(self, codes: Ints) -> Routed:
        """The routes of many numbers, encoded."""
        at = np.searchsorted(self.starts, codes, side="right") - 1
        return Routed(self.entries[at], self.cost_nanos[at], self.outcome[at], at)

    def find_one(self, digits: str) -> tuple[list[Entry], int]:
        """The gateways of one number in order, and its outcome."""
        at = bisect_right(self._starts, encode(digits)) - 1
        return [self.view.entries[place] for place in self.entries[at].tolist() if place >= 0], int(self.outcome[at])

    @cached_property
    def _starts(self) -> array[int]:
        return array("q", self.starts.tobytes())


def compile_table(view: View, live: Live, durations: Durations) -> Table:
    """The table of a view. Of `live`, standings and gateways that are down count."""
    return arrange(prepare(view, durations), live)


@dataclass(frozen=True, eq=False)
class Prepared:
    """What of a table depends on decks, lists and durations alone: when the scores of carriers change, only the rest is done again."""

    view: View
    starts: Ints
    profiles: list[Profile]
    which: Ints  # place in `profiles` of each interval
    codes: Ints  # place in `CODES_AND_NONE`
    sold: Sums | None
    bought: dict[str, Sums]  # by carrier
    denied: Bools  # entries x intervals


def prepare(view: View, durations: Durations) -> Prepared:
    """The expected money and the lists of a view."""
    starts = _starts(view, durations)
    profiles, which = _profiles(durations, starts)
    sell_rows = _rows(view.sell, starts, view.at_ms) if view.sell else np.full(len(starts), -1, np.int64)
    destinations = _destinations(view.sell, sell_rows)
    bought: dict[str, Sums] = {}
    for entry in view.entries:
        if entry.offer is not None and entry.carrier not in bought:  # the gateways of a carrier have one price list
            bought[entry.carrier] = sums_of(entry.offer, _rows(entry.offer, starts, view.at_ms), profiles, which)
    denied = np.asarray([_denied(view, entry, starts, destinations) for entry in view.entries], np.bool_).reshape(-1, len(starts))
    sold = sums_of(view.sell, sell_rows, profiles, which) if view.sell else None
    return Prepared(view, starts, profiles, which, _codes(starts), sold, bought, denied)


def arrange(prepared: Prepared, live: Live) -> Table:
    """The table of a view as carriers do now."""
    view, codes = prepared.view, prepared.codes
    n, m = len(view.entries), len(prepared.starts)
    cost, sell = np.full((n, m), NO_SUM, np.int64), np.full((n, m), NO_SUM, np.int64)
    score, suspected = np.full((n, m), 0.5), np.zeros((n, m), np.bool_)
    sums: dict[str, tuple[Ints, Ints, npt.NDArray[np.float64], Bools]] = {}
    for place, entry in enumerate(view.entries):
        if entry.offer is None or entry.gateway in live.down or entry.carrier in live.denied:
            continue
        if entry.carrier not in sums:
            standing = [live.standing(entry.carrier, code) for code in CODES_AND_NONE]
            failed = _failed(standing, prepared.profiles, codes, prepared.which)
            sold = prepared.sold.with_failed(failed) if prepared.sold else np.full(m, NO_SUM, np.int64)
            scores = np.asarray([one.score for one in standing])[codes]
            suspects = np.asarray([bool(one.suspected) for one in standing])[codes]
            sums[entry.carrier] = prepared.bought[entry.carrier].with_failed(failed), sold, scores, suspects
        cost[place], sell[place], score[place], suspected[place] = sums[entry.carrier]
    denied = prepared.denied | np.asarray([entry.carrier in live.denied for entry in view.entries], np.bool_).reshape(-1, 1)
    ok = (cost != NO_SUM) & ~denied & _above_floor(view, cost, sell)
    entries, costs = _ordered(view, live, ok, cost, score, suspected)
    could = np.asarray([entry.offer is not None for entry in view.entries], np.bool_)
    all_denied = denied[could].all(axis=0) if could.any() else np.zeros(m, np.bool_)
    outcome = np.where(ok.any(axis=0), OPEN, np.where(all_denied, DENIED, NO_ROUTE)).astype(np.int64)
    first = np.where(entries[:, 0] >= 0, entries[:, 0], 0)
    sold_first = sell[first, np.arange(m)] if n else np.full(m, NO_SUM, np.int64)
    return Table(view, prepared.starts, entries, costs, sold_first, outcome)


CODES_AND_NONE = (*CODES, "")


def _starts(view: View, durations: Durations) -> Ints:
    """Where anything changes: of decks, lists, profiles and calling codes."""
    decks = {id(offer.deck): offer.deck for offer in (view.sell, *(entry.offer for entry in view.entries)) if offer}
    parts = [np.zeros(1, np.int64), *(deck.index.starts for deck in decks.values())]
    prefixes = [*CODES, *durations.profiles, *(rule.b_range for stage in view.stages for rule in stage.rules if rule.b_range)]
    begins = encode_all(prefixes)
    return np.unique(np.concatenate([*parts, begins, ends_of(prefixes, begins)]))


def _profiles(durations: Durations, starts: Ints) -> tuple[list[Profile], Ints]:
    prefixes = list(durations.profiles)
    found = build(prefixes).find(starts) if prefixes else np.full(len(starts), -1, np.int64)
    return [*(durations.profiles[prefix] for prefix in prefixes), PRIOR], np.where(found < 0, len(prefixes), found)


def _codes(starts: Ints) -> Ints:
    """The place of the calling code of each interval in `CODES_AND_NONE`."""
    found = _CODES.find(starts)
    return np.where(found < 0, len(CODES), found)


_CODES = build(CODES)


def _rows(offer: Offer, starts: Ints, at_ms: int) -> Ints:
    """The row of a deck that prices each interval at a moment, or -1."""
    at = np.arange(len(starts))
    return offer.deck.find_all(Coded(starts, ASSUMED_DIGITS), at, Moments(np.full(len(starts), at_ms, np.int64), offer.rules))


def _destinations(sell: Offer | None, rows: Ints) -> npt.NDArray[np.object_]:
    names = np.asarray([*(sell.deck.destinations if sell else ()), ""], dtype=object)
    return names[rows]


def _failed(standing: Sequence[Standing], profiles: Sequence[Profile], codes: Ints, which: Ints) -> Ints:
    """The failed attempts of each interval, at the carrier's share of answers there."""
    asrs = sorted({one.asr for one in standing}, key=lambda asr: (asr is not None, asr or 0.0))
    place = {asr: at for at, asr in enumerate(asrs)}
    table = np.asarray([[profile.failed_at(asr) for profile in profiles] for asr in asrs], np.int64)
    return table[np.asarray([place[one.asr] for one in standing], np.int64)[codes], which]


def _denied(view: View, entry: Entry, starts: Ints, destinations: npt.NDArray[np.object_]) -> Bools:
    denied, undecided = np.zeros(len(starts), np.bool_), np.ones(len(starts), np.bool_)
    for rule in view.stages[entry.stage].rules:
        if rule.carrier and rule.carrier != entry.carrier:
            continue
        fits = undecided.copy()
        if rule.b_range:
            begin = encode_all([rule.b_range])
            fits &= (starts >= begin) & (starts < ends_of([rule.b_range], begin))
        if rule.destination:
            distinct = {name for name in set(destinations.tolist()) if applies(rule, name, entry.carrier)}
            fits &= np.isin(destinations, list(distinct))
        denied |= fits & (rule.action == "deny")
        undecided &= ~fits
    return denied


def _above_floor(view: View, cost: Ints, sell: Ints) -> Bools:
    found = np.ones(cost.shape, np.bool_)
    for place, entry in enumerate(view.entries):
        plan = view.stages[entry.stage].plan
        if plan.margin_floor_percent is None or plan.below_floor == "allow":
            continue
        floor = floor_ppm(plan)
        known = (sell[place] != NO_SUM) & (cost[place] != NO_SUM)
        # Beyond 64 bits: products in floats decide where they are far apart, Python's integers where they are near.
        left, right = float(MILLION) * cost[place], sell[place] * float(MILLION - floor)
        fits = left <= right
        near = known & (np.abs(left - right) <= 1e-9 * np.abs(left) + 1.0)
        for i in np.flatnonzero(near).tolist():
            fits[i] = MILLION * int(cost[place, i]) <= int(sell[place, i]) * (MILLION - floor)
        found[place] = known & fits
    return found


def _ordered(
    view: View, live: Live, ok: Bools, cost: Ints, score: npt.NDArray[np.float64], suspected: Bools
) -> tuple[Ints, Ints]:
    """As `rating.routes.choose` orders, without chance: where a plan draws by weight, the heaviest first."""
    n, m = ok.shape
    tries = view.plan.tries
    if not n:
        return np.full((m, tries), -1, np.int64), np.full((m, tries), NO_SUM, np.int64)
    key, stages = np.zeros((n, m)), np.asarray([entry.stage for entry in view.entries], np.int64)
    costs = cost.astype(np.float64)
    for at, stage in enumerate(view.stages):
        plan, mine = stage.plan, stages == at
        cheapest = np.where(ok & mine[:, None], cost, np.int64(2**63 - 1)).min(axis=0)
        for place in np.flatnonzero(mine).tolist():
            entry = view.entries[place]
            load = live.load(entry.gateway, entry.capacity_calls)
            if plan.order == "quality":
                key[place] = 1.0 - score[place]
            elif plan.order == "priority":
                key[place] = float(entry.priority)
            elif plan.order == "weight":
                key[place] = -float(entry.weight)
            elif plan.order == "load":
                key[place] = load
            elif plan.order == "blend":
                of = costs[place] / np.maximum(cheapest, 1).astype(np.float64)
                key[place] = plan.weights.cost * of + plan.weights.quality * (1.0 - score[place]) + plan.weights.load * load
    # The last key decides first; lexsort is stable: equal ones stay in the plan's order.
    order = np.lexsort((cost.T, key.T, suspected.T, np.broadcast_to(stages, (m, n)), ~ok.T), axis=-1)[:, :tries]
    left = np.take_along_axis(ok.T, order, axis=1)
    entries, sums = np.where(left, order, -1), np.where(left, np.take_along_axis(cost.T, order, axis=1), NO_SUM)
    if n < tries:
        entries = np.pad(entries, ((0, 0), (0, tries - n)), constant_values=-1)
        sums = np.pad(sums, ((0, 0), (0, tries - n)), constant_values=NO_SUM)
    return entries.astype(np.int64), sums


class Row(NamedTuple):
    """The routes of a prefix: `entries` are places in `View.entries`."""

    prefix: str
    entries: tuple[int, ...]
    outcome: int


def rows(table: Table) -> Iterable[Row]:
    """The table as prefixes for a longest-prefix look-up, as few as say the same: a prefix whose routes are those of the next shorter one is
    left out. A number under no prefix has no route.
    """
    values: dict[tuple[int, ...], int] = {(-1,) * table.entries.shape[1] + (NO_ROUTE,): 0}
    each = zip(table.entries.tolist(), table.outcome.tolist(), strict=True)
    which = np.asarray([values.setdefault((*row, outcome), len(values)) for row, outcome in each], np.int64)
    at = np.flatnonzero(np.append(True, which[1:] != which[:-1]))
    known = list(values)
    for prefix, value in _node("", 0, len(at), (table.starts[at].tolist(), which[at].tolist()), 0):
        *entries, outcome = known[value]
        yield Row(prefix, tuple(place for place in entries if place >= 0), outcome)


def _node(prefix: str, low: int, high: int, intervals: tuple[list[int], list[int]], above: int) -> Iterable[tuple[str, int]]:
    """A node of the tree of digits: the intervals from `low` to `high` overlap it. It is written with the value that the most of its ten
    branches have throughout, where that is not the value `above`."""
    starts, values = intervals
    if high - low == 1 or len(prefix) >= 15:
        if values[low] != above:
            yield prefix, values[low]
        return
    begin, width = encode(prefix), 11 ** (PLACES - 1 - len(prefix))
    branches = []
    for digit in range(10):
        first = begin + (digit + 1) * width
        branches.append((bisect_right(starts, first, low, high) - 1, bisect_right(starts, first + width - 1, low, high)))
    whole = [values[from_] for from_, until in branches if until - from_ == 1]
    mine = max(whole, key=lambda value: (whole.count(value), value == above, -value)) if whole else above
    if mine != above:
        yield prefix, mine
    for digit, (from_, until) in enumerate(branches):
        yield from _node(f"{prefix}{digit}", from_, until, intervals, mine)
