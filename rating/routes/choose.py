"""The choice for one call: every candidate with its place and the reason for it. `rating.routes.table` is the same choice as columns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from core.config import RoutePlan, RouteRule
from core.money import to_text
from rating.deck import Call
from rating.price import Offer
from rating.routes.durations import Durations, Profile
from rating.routes.expected import expected_one
from rating.routes.live import NOTHING_KNOWN, Live, Standing
from rating.routes.view import Entry, Stage, View

MILLION = 1_000_000
PROBE_SHARE = 0.01
"""Of the calls, where quality decides: one of the candidates behind the first goes first, so that a carrier can come back."""
ORDER_WORDS = {
    "lcr": "by least cost", "quality": "by quality", "priority": "by priority", "weight": "by weight", "load": "by load",
    "blend": "by cost, quality and load together",
}  # fmt: skip


@dataclass(frozen=True)
class Candidate:
    """A gateway and why it stands where it stands. `rank` 0 = dropped, and `why` says why. Sums are those of `rating.routes.expected`."""

    entry: Entry
    rank: int
    why: str
    denied: bool = False  # by a line of the lists
    cost_nanos: int | None = None
    sell_nanos: int | None = None
    standing: Standing = NOTHING_KNOWN
    notes: tuple[str, ...] = ()
    key: tuple[float, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Choice:
    """`routes`: in the order in which they are tried; `dropped`: the others. `cause`: why there is no route, "" = there is one:
    `denied` (by the plan's lists) or `no_route`."""

    routes: tuple[Candidate, ...]
    dropped: tuple[Candidate, ...]
    cause: str
    why: str
    profile: Profile


def choose(view: View, call: Call, live: Live, durations: Durations, chance: float = 1.0) -> Choice:
    """The gateways over which a call is tried. `chance`: 0 to 1, of which order by weight and the traffic of probes are drawn.

    Where the plan knows of ported numbers, the routes of a call with an LRN are those of the LRN; what the lists deny as dialled stays denied.
    """
    if call.lrn and view.plan.portability:
        dialled = choose(view, call._replace(lrn=""), live, durations, chance)
        if dialled.cause == "denied":
            return dialled
        call = Call(call.lrn, call.a_number)
    profile = durations.of(call.b_number)
    candidates = [_candidate(view, entry, call, live, profile) for entry in view.entries]
    found: list[Candidate] = []
    for at, stage in enumerate(view.stages):
        mine = [one for one in candidates if one.entry.stage == at and not one.why]
        found += _ordered(stage.plan, mine, live, chance, view.currency, profile)
    tries = view.plan.tries
    routes = tuple(replace(one, rank=rank) for rank, one in enumerate(found[:tries], 1))
    dropped = [one for one in candidates if one.why]
    for place, one in enumerate(found[tries:], tries + 1):
        dropped.append(replace(one, why=f"not tried: the plan tries {tries} gateways, and this is number {place}"))
    cause = "" if routes else _cause(dropped)
    return Choice(routes, tuple(dropped), cause, _cause_text(cause, view, dropped), profile)


def _cause(dropped: list[Candidate]) -> str:
    could = [one for one in dropped if one.entry.offer is not None]
    return "denied" if could and all(one.denied for one in could) else "no_route"


def _cause_text(cause: str, view: View, dropped: list[Candidate]) -> str:
    if not cause:
        return ""
    if cause == "denied":
        return "; ".join(dict.fromkeys(one.why for one in dropped if one.denied))
    if not dropped:
        return f"route plan {view.plan.name} has no candidates: its tenant has no gateway"
    return f"all {len(dropped)} candidates of route plan {view.plan.name} were dropped: " + "; ".join(
        f"{one.entry.gateway or one.entry.carrier}: {one.why}" for one in dropped[:4]
    )


def _candidate(view: View, entry: Entry, call: Call, live: Live, profile: Profile) -> Candidate:
    stage = view.stages[entry.stage]
    standing = live.standing(entry.carrier, call.b_number)
    one = Candidate(entry, 0, entry.why_not, standing=standing)
    if entry.offer is None:
        return one
    if rule := _rule_for(stage, call.b_number, destination_of(view.sell, call, view.at_ms), entry.carrier):
        return replace(one, why=rule, denied=True)
    if why := live.denied.get(entry.carrier):
        return replace(one, why=why, denied=True)
    if why := live.down.get(entry.gateway):
        return replace(one, why=why)
    if entry.capacity_calls is not None and live.busy.get(entry.gateway, 0) >= entry.capacity_calls:
        return replace(one, why=f"is busy: {live.busy[entry.gateway]} calls, and its capacity is {entry.capacity_calls}")
    failed = profile.failed_at(standing.asr)
    cost = expected_one(entry.offer, call, view.at_ms, profile, failed)
    if cost is None:
        return replace(one, why="its price list has no price for the number, or allows no call there")
    sell = expected_one(view.sell, call, view.at_ms, profile, failed) if view.sell else None
    one = replace(one, cost_nanos=cost, sell_nanos=sell)
    if words := below_floor(stage.plan, sell, cost):
        if stage.plan.below_floor == "drop":
            return replace(one, why=words)
        return replace(one, notes=(f"{words}: allowed by the plan",))
    return one


def destination_of(sell: Offer | None, call: Call, at_ms: int) -> str:
    """The destination of a number as the account's price list names it."""
    row = sell.deck.find(call, at_ms, sell.rules) if sell else -1
    return sell.deck.destinations[row] if sell and row >= 0 else ""


def _rule_for(stage: Stage, digits: str, destination: str, carrier: str) -> str:
    """Why the lists deny a candidate; "" = they do not."""
    for rule in stage.rules:
        if applies(rule, destination, carrier) and digits.startswith(rule.b_range):
            return denial(stage.plan, rule) if rule.action == "deny" else ""
    return ""


def applies(rule: RouteRule, destination: str, carrier: str) -> bool:
    """Whether a line applies to a destination and carrier, its range of numbers aside."""
    return (not rule.destination or rule.destination.lower() == destination.lower()) and (not rule.carrier or rule.carrier == carrier)


def denial(plan: RoutePlan, rule: RouteRule) -> str:
    """A denying line in words."""
    of = [f"numbers with {rule.b_range}"] * bool(rule.b_range) + [rule.destination] * bool(rule.destination)
    of += [f"carrier {rule.carrier}"] * bool(rule.carrier)
    return f"route plan {plan.name} denies {', '.join(of) or 'all calls'}" + (f" ({rule.why})" if rule.why else "")


def below_floor(plan: RoutePlan, sell: int | None, cost: int) -> str:
    """In words, that the expected margin is below the plan's floor; "" = it is not."""
    if plan.margin_floor_percent is None:
        return ""
    if sell is None:
        return "the account has no price for the number, so that no margin is known"
    if MILLION * cost <= sell * (MILLION - floor_ppm(plan)):
        return ""
    margin = f"{100 * (sell - cost) / sell:.1f} %" if sell > 0 else "a loss"
    return f"its expected margin of {margin} is below the floor of {plan.margin_floor_percent:g} %"


def floor_ppm(plan: RoutePlan) -> int:
    """The floor of a plan that has one, in millionths of the sale."""
    return round((plan.margin_floor_percent or 0.0) * 10_000)


def sort_key(plan: RoutePlan, one: Candidate, cheapest: int, load: float) -> float:
    """What a plan's order compares first; equal ones are ordered by cost, then by their place in the plan."""
    if plan.order == "quality":
        return 1.0 - one.standing.score
    if plan.order == "priority":
        return float(one.entry.priority)
    if plan.order == "weight":
        return -float(one.entry.weight)
    if plan.order == "load":
        return load
    if plan.order == "blend":
        weights = plan.weights
        dearer = float(one.cost_nanos or 0) / float(max(cheapest, 1))
        return weights.cost * dearer + weights.quality * (1.0 - one.standing.score) + weights.load * load
    return 0.0


def _ordered(plan: RoutePlan, mine: list[Candidate], live: Live, chance: float, currency: str, profile: Profile) -> list[Candidate]:
    if not mine:
        return []
    cheapest = min(one.cost_nanos or 0 for one in mine)
    loads = [live.load(one.entry.gateway, one.entry.capacity_calls) for one in mine]
    keyed = [
        replace(one, key=(float(bool(one.standing.suspected)), sort_key(plan, one, cheapest, load), one.cost_nanos or 0))
        for one, load in zip(mine, loads, strict=True)
    ]
    ordered = sorted(keyed, key=lambda one: one.key)  # stable: equal ones stay in the plan's order
    lead = drawn(plan, [one.entry.weight if not one.standing.suspected else 0 for one in ordered], chance)
    probed = lead > 0 and plan.order != "weight"
    ordered.insert(0, ordered.pop(lead))
    return [
        replace(one, why=_why(plan, one, currency, profile, cheapest, load, probed and not at))
        for at, (one, load) in enumerate((o, live.load(o.entry.gateway, o.entry.capacity_calls)) for o in ordered)
    ]


def drawn(plan: RoutePlan, weights: list[int], chance: float) -> int:
    """Which of the candidates in order goes first: by weight, or, for one call in a hundred where quality decides, one behind the first.

    >>> plan = RoutePlan(tenant="t", name="p", order="weight")
    >>> [drawn(plan, [3, 1], chance) for chance in (0.0, 0.74, 0.76, 1.0)]
    [0, 0, 1, 1]
    """
    if plan.order == "weight":
        left = chance * sum(weights)
        for at, weight in enumerate(weights):
            left -= weight
            if left < 0:
                return at
        return max((at for at, weight in enumerate(weights) if weight), default=0)
    if plan.order in ("quality", "blend") and chance < PROBE_SHARE and len(weights) > 1:
        return 1 + min(int(chance / PROBE_SHARE * (len(weights) - 1)), len(weights) - 2)
    return 0


def _why(plan: RoutePlan, one: Candidate, currency: str, profile: Profile, cheapest: int, load: float, probed: bool) -> str:
    """The place of a candidate in words."""
    cost = one.cost_nanos or 0
    per_call = to_text(round(cost / profile.answered))
    parts = [f"{ORDER_WORDS[plan.order]}: {per_call} {currency} expected per answered call"]
    if cost > cheapest > 0:
        parts.append(f"{100 * (cost - cheapest) / cheapest:.1f} % above the cheapest")
    if plan.order in ("quality", "blend"):
        parts.append(f"quality {one.standing.score:.2f} from {one.standing.attempts:.0f} attempts")
    if plan.order == "priority":
        parts.append(f"priority {one.entry.priority}")
    if plan.order == "weight":
        parts.append(f"weight {one.entry.weight}")
    if plan.order in ("load", "blend"):
        parts.append(f"{100 * load:.0f} % in use")
    if one.sell_nanos is not None:
        parts.append(f"margin {to_text(round((one.sell_nanos - cost) / profile.answered))} {currency}")
    if one.standing.suspected:
        parts.append(f"behind the others: {one.standing.suspected}")
    if probed:
        parts.append("first for this call, to see how it does now")
    return ", ".join([*parts, *one.notes])
