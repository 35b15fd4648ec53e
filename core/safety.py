"""What no block order may touch, whoever wrote it: a wrong block can kill. Pure; checked twice, in `judge` and where orders are delivered."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

from core.numbers import is_range
from core.orders import ACTIONS, EVERYONE, BlockOrder, Key

SHORT = 6
"""Protected numbers of at most so many digits are short numbers, which are dialled without a prefix."""

LEAST_OF_EVERYONE = 7
"""The fewest digits of a range that is refused for every account: more than a country and an operator."""

MAX_TTL_MS = 7 * 24 * 3_600_000
"""The longest time to live of an order. It is extended only by a new issue."""

MOST_PER_MINUTE = 100_000


@dataclass(frozen=True)
class Protected:
    """Numbers and trunks that always pass.

    `numbers` are digits after the dial plan was applied: full E.164 numbers, or short ones (112, 116123).
    `trunks` and `accounts` are the operator's own: NAME for every tenant, TENANT/NAME for one.

    >>> p = Protected(numbers=("112", "4318123"))
    >>> p.meets("43181"), p.meets("4318123999"), p.meets("4320"), p.meets("1"), p.meets("1123456")
    ('4318123', '4318123', '', '112', '')
    """

    numbers: tuple[str, ...] = ()
    accounts: frozenset[str] = frozenset()
    trunks: frozenset[str] = frozenset()
    _sorted: tuple[str, ...] = field(init=False, repr=False, default=())
    _exact: frozenset[str] = field(init=False, repr=False, default=frozenset())

    def __post_init__(self) -> None:
        object.__setattr__(self, "_sorted", tuple(sorted(set(self.numbers))))
        object.__setattr__(self, "_exact", frozenset(self.numbers))

    def meets(self, digits: str) -> str:
        """The protected number that the range of this prefix overlaps, or "".

        A range overlaps a number that it contains, or a full number whose extension it is: a hospital's extensions are protected with it.
        A short number has no extensions: 911 protects no part of Delhi (+91 11).
        """
        for length in range(SHORT + 1, len(digits) + 1):
            if digits[:length] in self._exact:
                return digits[:length]
        at = bisect.bisect_left(self._sorted, digits)
        if at < len(self._sorted) and self._sorted[at].startswith(digits):
            return self._sorted[at]
        return ""


def is_table_name(text: str) -> bool:
    """Whether a text is valid as a name in a switch's tables: letters, digits and `. _ - @ +`, at most 64 characters.

    >>> is_table_name("acme-sbc.1"), is_table_name("acme|x"), is_table_name("")
    (True, False, False)
    """
    return 0 < len(text) <= 64 and all(c.isascii() and (c.isalnum() or c in "._-@+") for c in text)


def fault(key: Key) -> str:
    """The fault of a malformed key, or "".

    >>> fault(Key(tenant="t", account="x", b_range="88a"))
    "b_range '88a' is not 1 to 15 digits, or begins with 0, as no E.164 number does"
    """
    if not key.tenant:
        return "the key names no tenant"
    if bool(key.account) == bool(key.ingress_trunk):
        return "the key must name an ingress account or an ingress trunk, one of the two"
    for name, value in (("a_number", key.a_number), ("b_range", key.b_range)):
        if value and not is_range(value):
            return f"{name} {value!r} is not 1 to 15 digits, or begins with 0, as no E.164 number does"
    if key.account == EVERYONE and (key.a_number or len(key.b_range) < LEAST_OF_EVERYONE):
        return f"a block of every account must be to a range of at least {LEAST_OF_EVERYONE} digits, whoever calls"
    for name, value in (("account", key.account), ("ingress_trunk", key.ingress_trunk)):
        if value and not is_table_name(value) and (name, value) != ("account", EVERYONE):
            return f"{name} {value!r} is not a name (letters, digits, . _ - @ +, at most 64)"
    return ""


def refusal(order: BlockOrder, protected: Protected, *, automatic: bool) -> str:
    """Why this order must not be delivered, or "". `automatic` = not ordered by a person.

    >>> o = BlockOrder(order_id="o", key=Key(tenant="t", account="x", b_range="11"), action="refuse", created_at_ms=0,
    ...                learned_ms=0, expires_at_ms=60_000, finding_id="f", reason="r")
    >>> refusal(o, Protected(numbers=("112",)), automatic=True)
    'b_range 11 overlaps the protected number 112'
    """
    if bad := fault(order.key):
        return bad
    if order.action not in ACTIONS:
        return f"unknown action {order.action!r}"
    if order.action == "throttle" and not 1 <= order.calls_a_minute <= MOST_PER_MINUTE:
        return f"a throttle lets 1 to {MOST_PER_MINUTE:,} calls per minute pass, not {order.calls_a_minute:,}"
    if order.cut and order.action != "refuse":
        return "calls are ended only where new ones are refused"
    if not 0 < order.expires_at_ms - order.created_at_ms <= MAX_TTL_MS:
        return "the time to live must be more than 0 and at most 7 days"
    key = order.key
    if key.account and not protected.accounts.isdisjoint({key.account, f"{key.tenant}/{key.account}"}):
        return f"account {key.account} is protected"
    if key.ingress_trunk and not protected.trunks.isdisjoint({key.ingress_trunk, f"{key.tenant}/{key.ingress_trunk}"}):
        return f"trunk {key.ingress_trunk} is protected"
    if key.b_range and (hit := protected.meets(key.b_range)):
        return f"b_range {key.b_range} overlaps the protected number {hit}"
    if key.a_number and (hit := protected.meets(key.a_number)):
        return f"a_number {key.a_number} overlaps the protected number {hit}"
    if automatic and key.ingress_trunk:
        return "a trunk is never blocked without a person"
    return ""
