"""Whether a block order may take effect: one decision per order. Pure: the facts are read once before a batch and written once after it.

The order of the rules: safety, age, people's lists and suppressions, limits. At a limit an order waits for a person; it is never dropped
silently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import msgspec

from core.numbering import prefixes_of
from core.orders import BlockOrder, Key, overlaps
from core.safety import Protected, refusal

STALE_MS = 5 * 60_000
"""An order whose record arrived longer ago than this is dropped: a replay must never block a phone."""

AHEAD_MS = 60_000
"""The most that another machine's clock may be ahead of ours."""

LIVE = ("standing", "shadow")
"""Statuses of an order that the switches hold: `standing` refuses calls, `shadow` only counts those that it would have refused."""

Answered = Callable[[str, Sequence[Key], int], "tuple[int, int] | None"]
"""(tenant, keys, now_ms) -> (answered calls of the last hour that the keys together would have refused, all answered calls of the last hour);
None = not known. Must answer at once, from memory, because orders wait for it; must not raise."""

Subject = tuple[str, str, str]


class Listed(NamedTuple):
    """An entry of the allow, deny or protected list."""

    list: str
    kind: str  # number | caller | destination | account | trunk | carrier
    tenant: str  # "" = every tenant
    value: str
    why: str
    who: str
    at_ms: int
    account: str = ""  # only this account's calls; "" = everybody's
    until_ms: int = 0  # 0 = until a person takes it off


class Suppression(NamedTuple):
    """A lifted block: until `until_ms` no automatic order that overlaps the key takes effect."""

    id: int
    key: Key
    until_ms: int
    who: str
    why: str


@dataclass(frozen=True)
class Limits:
    """How much of one tenant may be blocked without a person. A new issue of a standing order is not counted: it blocks no additional caller."""

    orders_per_minute: int = 30
    distinct_subjects: int = 100  # callers blocked at once: account or trunk, with a_number
    answered_share: float = 0.3  # of the last hour's answered calls
    answered_at_least: int = 500  # below so many answered calls in the hour a share means nothing


@dataclass(frozen=True)
class TenantFacts:
    """What the limits count for one tenant."""

    live_status: str = "shadow"  # the status of an order that takes effect: `standing` where a switch enforces for the tenant
    opened: int = 0  # automatic orders of the last minute on keys that were not blocked
    subjects: Set[Subject] = frozenset()  # that automatic orders block
    keys: Set[Key] = frozenset()  # that automatic orders block; filled only where `OrderFacts.answered` is set


@dataclass(frozen=True)
class OrderFacts:
    """The facts from the books at the time of a decision."""

    now_ms: int
    automatic: bool = True  # not ordered by a person
    protected: Protected = field(default_factory=Protected)
    tenants: Mapping[str, TenantFacts] = field(default_factory=dict)  # every tenant that exists
    suppressed: Sequence[Suppression] = ()
    quiet: Mapping[str, str] = field(default_factory=dict)  # finding -> why, of subjects of which a person said "not fraud"
    allowed: Sequence[Listed] = ()
    denied: Sequence[Listed] = ()
    limits: Limits = Limits()
    answered: Answered | None = None
    known: Mapping[str, BlockOrder] = field(default_factory=dict)  # orders that the books already have, by id, as they arrived
    hot: Set[Key] = frozenset()  # keys into a range that a person has confirmed: their calls in progress are ended
    blocked: Mapping[Key, bool] = field(default_factory=dict)  # keys that automatic orders block -> a person has approved one


class Decision(NamedTuple):
    """The decision on an order. `repeated` and `conflict` (another order with a known id) change nothing in the books."""

    status: str
    why: str = ""
    opened_key: bool = False  # it takes effect on a key that was not blocked before: the limits count it
    expires_at_ms: int = 0  # by our clock, not the judge's
    cut: bool = False  # calls in progress are ended as well


def decide(order: BlockOrder, facts: OrderFacts) -> Decision:
    """Decide on one order.

    >>> order = BlockOrder(order_id="o", key=Key(tenant="t1", account="acme", b_range="88213"), action="refuse", created_at_ms=0,
    ...                    learned_ms=0, expires_at_ms=60_000, finding_id="f", reason="a burst")
    >>> decide(order, OrderFacts(now_ms=5, tenants={"t1": TenantFacts("standing")}))
    Decision(status='standing', why='within the limits', opened_key=True, expires_at_ms=60000, cut=False)
    >>> decide(order, OrderFacts(now_ms=5)).why, decide(order, OrderFacts(now_ms=400_000, tenants={"t1": TenantFacts()})).status
    ("there is no tenant 't1'", 'stale')
    """
    if known := facts.known.get(order.order_id):
        # `ask` and `cut` are what was decided, not a part of its identity.
        same = msgspec.structs.replace(known, ask=order.ask, cut=order.cut) == order
        return Decision("repeated" if same else "conflict", order.key.text())
    ends_ms = max(0, min(order.expires_at_ms, order.learned_ms + (order.expires_at_ms - order.created_at_ms)))
    status, why, opened = _decided(order, facts, ends_ms)
    if status in LIVE and order.action == "shadow":
        status = "shadow"
    cut = order.action == "refuse" and (order.cut or (facts.automatic and order.key in facts.hot))
    return Decision(status, why, opened, ends_ms, cut and status in LIVE)


def decide_all(orders: Sequence[BlockOrder], facts: OrderFacts) -> list[Decision]:
    """Decide on the orders of a batch in their sequence: each decision includes what the orders before it have blocked."""
    known, blocked, tenants = dict(facts.known), dict(facts.blocked), dict(facts.tenants)
    subjects = {name: set(one.subjects) for name, one in tenants.items()}
    keys = {name: set(one.keys) for name, one in tenants.items()}
    opened = {name: one.opened for name, one in tenants.items()}
    decisions = []
    for order in orders:
        tenant = order.key.tenant
        if tenant in tenants:
            now = replace(tenants[tenant], opened=opened[tenant], subjects=subjects[tenant], keys=keys[tenant])
            tenants[tenant] = now
        decision = decide(order, replace(facts, known=known, blocked=blocked, tenants=tenants))
        decisions.append(decision)
        known.setdefault(order.order_id, order)
        if decision.status in LIVE:
            opened[tenant] += decision.opened_key
            subjects[tenant].add(subject(order.key))
            keys[tenant].add(order.key)
            blocked.setdefault(order.key, False)
    return decisions


def _decided(order: BlockOrder, facts: OrderFacts, ends_ms: int) -> tuple[str, str, bool]:
    key = order.key
    if bad := refusal(order, facts.protected, automatic=facts.automatic):
        return "refused", bad, False
    if (tenant := facts.tenants.get(key.tenant)) is None:
        return "refused", f"there is no tenant {key.tenant!r}", False
    if not facts.automatic:  # an order of a person is subject to the safety rules only
        return tenant.live_status, f"ordered by a person: {order.reason}", False
    age_ms = facts.now_ms - order.learned_ms
    if age_ms > STALE_MS:
        return "stale", f"its record arrived {age_ms // 1000} s ago; orders older than {STALE_MS // 1000} s are dropped", False
    if age_ms < -AHEAD_MS:
        return "refused", f"its record is dated {-age_ms // 1000} s in the future", False
    if ends_ms <= facts.now_ms:
        return "expired", "it had expired when it arrived", False
    for suppression in facts.suppressed:
        if overlaps(suppression.key, key):
            return "suppressed", f"{suppression.who} lifted {suppression.key.text()}: {suppression.why}", False
    if why := facts.quiet.get(order.finding_id):
        return "suppressed", why, False
    if facts.blocked.get(key):
        return tenant.live_status, "issued again; a person has approved it", False
    if row := listed_entry(facts.allowed, key):
        return "waiting", f"{row.kind} {row.value} is on the allow list: {row.why}", False
    if key in facts.blocked:
        return tenant.live_status, "issued again", False
    if row := listed_entry(facts.denied, key):
        return tenant.live_status, f"{row.kind} {row.value} is on the deny list: {row.why}", True
    if order.ask:
        return "waiting", "the policy leaves this block to a person", False
    if limit := limit_reached(facts.limits, key, tenant.opened, tenant.subjects, None):
        return "waiting", limit, False
    if facts.answered is not None:
        answered = facts.answered(key.tenant, [*tenant.keys, key], facts.now_ms)
        if limit := limit_reached(facts.limits, key, tenant.opened, tenant.subjects, answered):
            return "waiting", limit, False
    return tenant.live_status, "within the limits", True


def listed_entry(rows: Sequence[Listed], key: Key) -> Listed | None:
    """The list entry that applies to a key: its account or trunk by name, a number that its ranges contain or extend, or a country of its range.

    >>> row = Listed("allow", "number", "", "4318123", "our test line", "ops", 0)
    >>> listed_entry([row], Key(tenant="t", account="x", b_range="43")) is row, listed_entry([row], Key(tenant="t", account="x", b_range="44"))
    (True, None)
    >>> listed_entry([Listed("allow", "destination", "", "LV", "our branch", "ops", 0)], Key(tenant="t", account="x", b_range="37190")).why
    'our branch'
    """
    for row in rows:
        if row.tenant not in ("", key.tenant) or row.account not in ("", key.account):
            continue
        if row.kind == "caller" and key.a_number and key.a_number == row.value:
            return row
        if (row.kind, row.value) in (("account", key.account), ("trunk", key.ingress_trunk)):
            return row
        if row.kind == "number" and (_meet(key.a_number, row.value) or _meet(key.b_range, row.value)):
            return row
        if row.kind == "destination" and any(_meet(key.b_range, prefix) for prefix in prefixes_of(row.value)):
            return row
    return None


def _meet(digits: str, prefix: str) -> bool:
    return bool(digits) and (digits.startswith(prefix) or prefix.startswith(digits))


def subject(key: Key) -> Subject:
    """The refused caller, whatever the destination."""
    return key.account, key.ingress_trunk, key.a_number


def limit_reached(limits: Limits, key: Key, opened_in_minute: int, blocked: Set[Subject], answered: tuple[int, int] | None) -> str:
    """The limit that one more key would exceed, as a text, or "". `blocked`: the subjects that are blocked already; `answered`: the answered
    calls that their blocks and this one together would have refused.

    >>> few = Limits(orders_per_minute=2, distinct_subjects=1)
    >>> one, two = Key(tenant="t", account="x"), Key(tenant="t", account="y")
    >>> limit_reached(few, one, 0, set(), None), limit_reached(few, one, 2, set(), None)
    ('', '2 new blocks were ordered in the last minute; more than 2 in a minute need a person')
    >>> limit_reached(few, two, 0, {subject(one)}, None), limit_reached(few, one, 0, set(), (400, 1000))
    ('2 callers would be blocked at once; more than 1 need a person', \
'all blocks together would have refused 400 of the 1,000 answered calls of the last hour (40 %); more than 30 % need a person')
    """
    if opened_in_minute >= limits.orders_per_minute:
        return f"{opened_in_minute:,} new blocks were ordered in the last minute; more than {limits.orders_per_minute:,} in a minute need a person"
    subjects = len(blocked) + (subject(key) not in blocked)
    if subjects > limits.distinct_subjects:
        return f"{subjects:,} callers would be blocked at once; more than {limits.distinct_subjects:,} need a person"
    if answered and answered[1] >= limits.answered_at_least and answered[0] > limits.answered_share * answered[1]:
        share = 100 * answered[0] // answered[1]
        return (
            f"all blocks together would have refused {answered[0]:,} of the {answered[1]:,} answered calls of the last hour ({share} %); "
            f"more than {100 * limits.answered_share:.0f} % need a person"
        )
    return ""
