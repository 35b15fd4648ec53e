"""What becomes of an order that arrives: from bytes that anybody may have written to a row in the books.

Whatever comes out of the journal is automatic, even when it says that a person wrote it: people's orders go into the books
directly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import msgspec
import structlog

from books import Connection, audit, deliveries, lists, orders, suppressions, tenants
from core.orders import BlockOrder, Finding, Key, overlaps
from core.safety import Protected, refusal
from switches.limits import Answered, Limits, Subject, reached, subject

STALE_MS = 5 * 60_000
"""An order older than this, since we learned of its record, is dropped: a replay must never block a phone."""

AHEAD_MS = 60_000
"""How far another machine's clock may be ahead of ours."""

MAX_MESSAGE_BYTES = 64 * 1024
MAX_MS = 2**53

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._-]{0,79}")

T = TypeVar("T", bound=msgspec.Struct)

log = structlog.get_logger(__name__)


class Malformed(ValueError):
    """The message is no order (or no finding): counted and audited, and the next one is read."""


class Decision(NamedTuple):
    status: str
    why: str
    opened_key: bool = False  # it takes effect on a key that was not blocked before: the limits count it


def decode_order(value: bytes) -> BlockOrder:
    """The order in a message. What comes out can be stored: its texts are clean, its numbers in range.

    >>> decode_order(b'{"order_id":"x"')
    Traceback (most recent call last):
    ...
    switches.decide.Malformed: Input data was truncated
    """
    order = _decode(value, BlockOrder)
    if not _ID.fullmatch(order.order_id):
        raise Malformed(f"{order.order_id[:100]!r} is not an order's id")
    for name in ("created_at_ms", "learned_ms", "expires_at_ms"):
        if not 0 <= getattr(order, name) <= MAX_MS:
            raise Malformed(f"{name} is out of range")
    key = order.key
    parts = {name: audit.clean(getattr(key, name), 128) for name in ("tenant", "account", "ingress_trunk", "a_number", "b_range")}
    texts = {name: audit.clean(getattr(order, name)) for name in ("finding_id", "reason", "by")}
    return msgspec.structs.replace(order, key=Key(**parts), **texts)


def decode_finding(value: bytes) -> Finding:
    """The finding in a message."""
    finding = _decode(value, Finding)
    if not _ID.fullmatch(finding.finding_id):
        raise Malformed(f"{finding.finding_id[:100]!r} is not a finding's id")
    return finding


def _decode(value: bytes, of: type[T]) -> T:
    if len(value) > MAX_MESSAGE_BYTES:
        raise Malformed(f"{len(value)} bytes are too long")
    try:
        return msgspec.json.decode(value, type=of)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Malformed(str(error)[:300]) from None


@dataclass
class Counted:
    """What the limits count of one tenant, kept up to date within the batch."""

    stands: str  # what an order becomes that may take effect: standing or shadow
    opened: int  # automatic orders of the last minute on keys that were not blocked
    subjects: set[Subject]
    keys: set[Key] | None = None  # read where the share of answered calls is asked for: they may be many


@dataclass
class Rules:
    """What holds while one batch of orders is judged, read from the books once."""

    now_ms: int
    limits: Limits
    answered: Answered | None
    protected: Protected
    suppressed: list[suppressions.Suppression]
    allowed: list[lists.Listed]
    denied: list[lists.Listed]
    tenants: frozenset[str]
    counted: dict[str, Counted] = field(default_factory=dict)  # by tenant, as this batch needs them


def rules(conn: Connection, limits: Limits, answered: Answered | None, now_ms: int) -> Rules:
    return Rules(
        now_ms=now_ms,
        limits=limits,
        answered=answered,
        protected=lists.protected(conn),
        suppressed=suppressions.live(conn, now_ms),
        allowed=lists.every(conn, "allow"),
        denied=lists.every(conn, "deny"),
        tenants=frozenset(tenants.every(conn)),
    )


def take(conn: Connection, order: BlockOrder, at: Rules) -> str:
    """Decides on one order and writes it into the books. Returns its status, or `repeated` or `conflict` for an id that is
    there already."""
    if kept := orders.find(conn, order.order_id):
        # Whether it waits for a person is its status in the books, not a part of the order.
        if msgspec.structs.replace(kept.order, expires_at_ms=kept.facts_expire_at_ms, ask=order.ask) == order:
            return "repeated"
        audit.note(conn, "dispatcher", "another order with a known id", order.order_id, order.key.text(), at.now_ms)
        return "conflict"
    decision = decide(conn, order, at)
    ends_ms = min(order.expires_at_ms, order.learned_ms + (order.expires_at_ms - order.created_at_ms))
    orders.keep(
        conn,
        order,
        automatic=True,
        status=decision.status,
        why=decision.why,
        now_ms=at.now_ms,
        opened_key=decision.opened_key,
        expires_at_ms=max(0, ends_ms),
    )
    if decision.status in deliveries.LIVE:
        counted = _counted(conn, order.key.tenant, at)
        counted.opened += decision.opened_key
        counted.subjects.add(subject(order.key))
        if counted.keys is not None:
            counted.keys.add(order.key)
    elif decision.status in ("waiting", "refused"):
        audit.note(conn, "dispatcher", decision.status, f"{order.order_id} {order.key.text()}", decision.why, at.now_ms)
    return decision.status


def decide(conn: Connection, order: BlockOrder, at: Rules) -> Decision:
    """Safety first, then age, then what people have said, then the limits."""
    key, tenant = order.key, order.key.tenant
    if bad := refusal(order, at.protected, automatic=True):
        return Decision("refused", bad)
    if tenant not in at.tenants:
        return Decision("refused", f"there is no tenant {tenant!r}")
    age_ms = at.now_ms - order.learned_ms
    if age_ms > STALE_MS:
        return Decision("stale", f"we learned of its record {age_ms // 1000} s ago")
    if age_ms < -AHEAD_MS:
        return Decision("refused", f"it claims to be from {-age_ms // 1000} s in the future")
    if order.expires_at_ms <= at.now_ms:
        return Decision("expired", "its time was over when it came")
    for suppression in at.suppressed:
        if overlaps(suppression.key, key):
            return Decision("suppressed", f"{suppression.who} lifted {suppression.key.text()}: {suppression.why}")
    counted = _counted(conn, tenant, at)
    approved = orders.standing_of(conn, key, at.now_ms)
    if approved:
        return Decision(counted.stands, "issued again; a person has approved it")
    if row := lists.met(at.allowed, key):
        return Decision("waiting", f"{row.kind} {row.value} is on the allow list: {row.why}")
    if approved is not None:
        return Decision(counted.stands, "issued again")
    if row := lists.met(at.denied, key):
        return Decision(counted.stands, f"{row.kind} {row.value} is on the deny list: {row.why}", opened_key=True)
    if order.ask:
        return Decision("waiting", "the policy leaves this block to a person (unpriced_blocks: ask)")
    if limit := reached(at.limits, key, counted.opened, counted.subjects, None):
        return Decision("waiting", limit)
    if at.answered is not None:
        if counted.keys is None:
            counted.keys = orders.live_automatic_keys(conn, tenant, at.now_ms)
        if limit := reached(at.limits, key, counted.opened, counted.subjects, _answered(at, key, counted.keys)):
            return Decision("waiting", limit)
    return Decision(counted.stands, "within the limits", opened_key=True)


def _counted(conn: Connection, tenant: str, at: Rules) -> Counted:
    if tenant not in at.counted:
        at.counted[tenant] = Counted(
            stands=orders.live_status(conn, tenant),
            opened=orders.opened_since(conn, tenant, at.now_ms - 60_000),
            subjects=orders.live_automatic_subjects(conn, tenant, at.now_ms),
        )
    return at.counted[tenant]


def _answered(at: Rules, key: Key, others: set[Key]) -> tuple[int, int] | None:
    if at.answered is None:
        return None
    try:
        return at.answered(key.tenant, [*others, key], at.now_ms)
    except Exception:  # whoever counts calls must not be able to stop orders: the other limits hold
        log.exception("the share of answered calls is not known")
        return None
