"""From rows over a limit to findings and block orders.

The hits of one detector on one subject fold into one alert per episode. While its condition holds, the alert and its order are written again
each minute, so that a dropped order is not a lost block. An order that a safety rule forbids is refused here, and again at delivery. How long and
wide an order is depends on what was ordered against the account before (`detectors.blocked`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from core.alert_text import finding_text, observed_text
from core.facts import UNPRICED, Facts
from core.ids import derived_id
from core.orders import BlockOrder, Finding, Key, order_id
from core.policy import Policy, is_worth_it
from core.safety import Protected, refusal
from detectors import blocked
from detectors.blocked import Blocked
from detectors.destination import code_of
from detectors.evidence import REGULAR_DAYS, Rows
from detectors.features import AREA_DIGITS, BLOCK_DIGITS
from detectors.protocol import Hit
from detectors.scored import odds_of

OPENED_MS = 3_600_000
"""What an account called for the first time so long before its first block, or later, was opened by the fraud."""


LEVELS = {"a_range": 1}
"""The level (`detectors.blocked`) of orders that are not about a range: a block of numbers that is new and false is not a firm's an hour later."""
BUSY = 5.0
"""An account with more calls per hour than this, such as a carrier, has callers who open countries by themselves."""


class Alert(msgspec.Struct):
    """A running episode of a subject."""

    finding_id: str
    detected_at_ms: int
    first_ms: int
    last_ms: int
    score: float
    home: int = -1  # core.partition.home_of its subject; -1 = it spans accounts
    written_ms: int = 0
    issues: int = 0
    ordered_to_ms: int = 0  # when its last order expires
    start: dict[str, int | float] = {}  # what its detector recorded at the beginning
    blocks: bool = False  # the last issue proposed a block
    narrow: str = ""  # the prefix of its last order, if that was narrower than its subject


def is_recent(
    alerts: dict[str, Alert], name: str, t_ms: int, score: float, policy: Policy, blocks: bool = False, quiet_ms: int = 0
) -> bool:
    """Whether a hit belongs to an episode that was written less than `reissue_ms` ago. Extends a running episode to the hit. `blocks`: the hit
    proposes a block, for which an alert that proposed none does not wait. `quiet_ms`: how long an episode may be silent, if longer than the
    policy's: what is claimed of a day is one episode for as long as it is claimed each day."""
    alert = alerts.get(name)
    if alert is None or t_ms - alert.last_ms > max(policy.episode_ms, quiet_ms):
        return False
    alert.last_ms, alert.score = max(alert.last_ms, t_ms), max(alert.score, score)
    return t_ms - alert.written_ms < policy.reissue_ms and (alert.blocks or not blocks)


def episode(
    alerts: dict[str, Alert], name: str, t_ms: int, score: float, policy: Policy, id_facts: tuple[str, ...], home: int = -1, quiet_ms: int = 0
) -> Alert:
    """The running or new episode of a hit whose finding is due; call `is_recent` first.

    `name`: the alert's key in the state. `id_facts`: tenant, detector, subject kind and subject; the finding's id is derived from them and
    the time.
    """
    alert = alerts.get(name)
    if alert is None or t_ms - alert.last_ms > max(policy.episode_ms, quiet_ms):
        alert = alerts[name] = Alert(derived_id("finding", *id_facts, t_ms // policy.episode_ms), t_ms, t_ms, t_ms, score, home, start={})
    alert.written_ms, alert.issues = t_ms, alert.issues + 1
    return alert


def forget(alerts: dict[str, Alert], before_ms: int) -> None:
    """Drop the episodes that ended before `before_ms`."""
    for name in [name for name, alert in alerts.items() if alert.last_ms < before_ms]:
        del alerts[name]


def subject_of(kind: str, row: Mapping[str, Any]) -> str:
    """The text that identifies a subject in findings and on pages.

    >>> subject_of("b_range", {"account": "acme", "a_number": "", "b_range": "8821312"})
    'acme/withheld>8821312'
    """
    who = row["account"] or f"trunk:{row['ingress_trunk']}"
    if kind == "account":
        return str(who)
    if kind == "a_number":
        return f"{who}/{row['a_number']}"
    if kind == "b_range":
        return f"{who}/{row['a_number'] or 'withheld'}>{row['b_range']}"
    if kind == UNPRICED:
        return f"{who}>numbers that cannot be read or priced"
    if kind == "account_range":
        return f"{who}>{row['b_range']}"
    if kind == "account_zone":
        return f"{who}>{row['zone']}"
    if kind == "a_range":
        return f"{who}/{row['a_number'][:-BLOCK_DIGITS]}…"
    if kind == "destination":
        return f"{who}>{row['country'] or 'no country'}"
    raise ValueError(f"subjects of kind {kind!r} have no text: add one to `detectors.alerts.subject_of`")


def no_block_of(hit: Hit, policy: Policy) -> str:
    """Why nothing is blocked for a hit, by what it weighs alone: a code of `core.alert_text.NO_BLOCK`; "" = a block is proposed."""
    if hit.no_block:
        return hit.no_block
    return "score" if hit.score < policy.order_score else is_worth_it(policy, hit.probability, hit.loss, hit.good_calls)


def is_doubtful(hit: Hit, policy: Policy) -> bool:
    """Whether what a hit weighs is no sure sign: a probability alone, an ordinary destination, and little money. Who opens several far countries in a
    day, a holiday's callers or an aid organisation, looks alike at first. The block of such a hit is as narrow and short as can be, and no reason for
    others.

    >>> hit = Hit(0, "takeover", "account_zone", 1.2, probability=0.95, loss=3.0, can_repeat=True, risky=False)
    >>> [is_doubtful(one, Policy()) for one in (hit, hit._replace(risky=True), hit._replace(loss=30.0), hit._replace(can_repeat=False))]
    [True, False, False, False]
    """
    return hit.can_repeat and not hit.risky and hit.loss < policy.firm_loss


def narrowed(key: Key, row: Mapping[str, Any]) -> Key:
    """The key with the range of the row instead of its zone."""
    return msgspec.structs.replace(key, b_range=row["b_range"]) if row["b_range"].startswith(key.b_range) else key


def widened(key: Key, row: Mapping[str, Any], level: int, first_ms: int, burns: bool) -> Key:
    """The key of an order of a level (`detectors.blocked`): of all callers; then of the zone, or, if money `burns`, of the country, unless that was
    called before or shares its code with others. Only where the account has nothing of its own: what was called long before its first block, at
    `first_ms`, is."""
    if not key.b_range or level < 1:
        return key
    of, since_ms = Rows.of_case(row), row["t_ms"] - first_ms + OPENED_MS
    if key.a_number and of.settled("account_range", "calls")[0] < 1:
        key = msgspec.structs.replace(key, a_number="")
    if level < 2 or key.a_number or not row["zone"] or not key.b_range.startswith(row["zone"]):
        return key
    if of.settled("account", "calls")[0] > BUSY:
        return key
    code = code_of(row["zone"])
    if burns and code and code not in AREA_DIGITS and of.of("account_zone", "country_age_ms")[0] <= since_ms:
        return msgspec.structs.replace(key, b_range=code)
    is_own = of.of("account_zone", "age_ms")[0] > since_ms or of.of("account_zone", "days")[0] >= REGULAR_DAYS
    return key if is_own else msgspec.structs.replace(key, b_range=row["zone"])


def key_of(hit: Hit, row: Mapping[str, Any], policy: Policy) -> tuple[Key | None, str]:
    """The key of a block against this hit; or None and the reason (`core.alert_text.NO_BLOCK`)."""
    kind = hit.subject_kind
    if not row["account"]:
        return None, "no account"
    if hit.no_block:
        return None, hit.no_block
    if kind == UNPRICED and policy.unpriced_blocks == "never":
        return None, "policy"
    if why := no_block_of(hit, policy):
        return None, why
    if kind == "a_range" and not row["a_number"]:
        return None, "callers"
    if kind in ("account", UNPRICED):
        return Key(tenant=row["tenant"], account=row["account"]), ""
    b_range = row["zone"] if kind == "account_zone" else row["b_range"] if kind in ("b_range", "account_range") else ""
    a_number = row["a_number"] if hit.one_caller or kind in ("b_range", "a_number", "a_range") else ""
    return Key(tenant=row["tenant"], account=row["account"], a_number=a_number, b_range=b_range), ""


def order_for(
    key: Key, alert: Alert, t_ms: int, learned_ms: int, reason: str, policy: Policy, protected: Protected, by: str = "judge", *,
    ask: bool = False, level: int = 0,
) -> tuple[BlockOrder | None, str]:  # fmt: skip
    """The block order of this issue of an alert; or None and the safety rule that forbids it."""
    order = BlockOrder(
        order_id=order_id(key, alert.finding_id, alert.issues), key=key, action=policy.order_action,
        calls_a_minute=policy.throttle_per_min if policy.order_action == "throttle" else 0, created_at_ms=t_ms, learned_ms=learned_ms,
        expires_at_ms=learned_ms + blocked.ttl_ms(policy, level), finding_id=alert.finding_id, reason=reason, by=by, ask=ask,
    )  # fmt: skip
    forbidden = refusal(order, protected, automatic=True)
    return (None, forbidden) if forbidden else (order, "")


def report(
    hit: Hit, row: Mapping[str, Any], subject: str, facts: Facts, alert: Alert, examples: list[tuple[str, int]], policy: Policy,
    protected: Protected, before: dict[int, Blocked] | None = None,
) -> tuple[Finding, BlockOrder | None]:  # fmt: skip
    """The finding of a hit, and its block order if one is issued. `examples`: call ids and start times. `before`: the orders against accounts,
    to which this one is added."""
    alert.first_ms = min(alert.first_ms, *(started for _, started in examples))
    key, no_block = key_of(hit, row, policy)
    order = None
    alert.blocks = not no_block_of(hit, policy)
    if key is not None:
        level, doubts = LEVELS.get(hit.subject_kind, 0), False
        if before is not None and key.b_range:
            earlier = blocked.of(before, row["k_account"], row["t_ms"])
            doubts = earlier is None and is_doubtful(hit, policy)
            level = blocked.level_of(earlier, key, row["t_ms"])
            wide = widened(key, row, level, earlier.first_ms, hit.loss >= policy.firm_loss) if earlier and level else key
            narrow = narrowed(key, row) if doubts else key
            facts = msgspec.structs.replace(facts, wide=wide.b_range if wide != key else "", narrow=narrow.b_range if narrow != key else "")
            key = narrow if doubts else wide
        ask = hit.subject_kind == UNPRICED and policy.unpriced_blocks == "ask"
        order, no_block = order_for(key, alert, row["t_ms"], row["learned_ms"], observed_text(facts), policy, protected, ask=ask, level=level)
        if order is not None and before is not None and key.b_range and not doubts:
            blocked.note(before, row["k_account"], row["home"], key, row["t_ms"], order.expires_at_ms, level, odds_of(hit))
    facts = _with_order(facts, order, alert, row["learned_ms"], no_block)
    return Finding(
        finding_id=alert.finding_id, tenant=row["tenant"], detector=hit.detector, subject_kind=hit.subject_kind,
        subject=subject, detected_at_ms=alert.detected_at_ms, first_ms=alert.first_ms, last_ms=alert.last_ms,
        calls=len(examples) if hit.cap else facts.calls, exposure_nanos=facts.nanos, currency=facts.currency, score=round(alert.score, 3),
        reason=finding_text(facts), example_call_ids=[call for call, _ in examples], key=order.key if order else None,
        learned_ms=row["learned_ms"], facts=facts,
    ), order  # fmt: skip


def _with_order(facts: Facts, order: BlockOrder | None, alert: Alert, learned_ms: int, no_block: str) -> Facts:
    """The facts of a finding with what is done about it; where no order is issued, an earlier one of the episode may still be in force."""
    if order is not None and not order.ask:
        alert.ordered_to_ms, alert.narrow = order.expires_at_ms, facts.narrow
    ttl_ms = alert.ordered_to_ms - learned_ms
    action: Literal["", "block", "before", "ask"] = "before" if order is None and ttl_ms > 0 else ""
    if order is not None:
        action, ttl_ms = "ask" if order.ask else "block", order.expires_at_ms - learned_ms
    return msgspec.structs.replace(facts, action=action, ttl_ms=max(0, ttl_ms), no_block="" if action else no_block, narrow=alert.narrow)
