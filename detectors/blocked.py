"""What was ordered against an account: a fraud that comes back, or moves on, is refused for longer and more widely.

An attacker whose range is refused dials the next one; after the block has expired he returns. An order that is neither the same as nor overlaps a
standing order of the account is a repeat, and raises its level by one, for `REMEMBERED_MS` after the last order:

    level 0   the narrowest key, for `policy.order_ttl_ms`
    level 1   every caller of the account, `policy.repeat_factor` times as long
    level 2   the zone instead of the range, if the fraud opened it; `repeat_factor` times as long again, at most `longest_ttl_ms`. While money burns
              (`policy.firm_loss`), the country

A level rises once in `RETURNS_MS`: the ranges that a machine dials within seconds are one attack, and one mistake. A doubtful block
(`alerts.is_doubtful`) is not remembered at all. So a single wrong block stays short and narrow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from core.orders import Key, overlaps
from core.policy import Policy

REMEMBERED_MS = 3 * 86_400_000
RETURNS_MS = 60_000
"""What is found so soon after the first block of an account, or after its level rose, is what was blocked."""
MOST_KEYS = 64
"""Orders of an account that are remembered; the oldest is dropped first."""


class Standing(NamedTuple):
    """An order in force, or one that was."""

    key: Key
    until_ms: int
    level: int


class Blocked(msgspec.Struct):
    """The orders against one account."""

    home: int  # core.partition.home_of
    first_ms: int
    last_ms: int
    level: int
    orders: int
    standing: list[Standing]
    raised_ms: int = 0  # when `level` rose; at first, when the first order was made
    odds: float = 0.0  # the highest log-odds of fraud of its orders, without what earlier ones added


def of(blocked: Mapping[int, Blocked], account: int, t_ms: int) -> Blocked | None:
    """The orders against an account, if the last is not too long ago."""
    before = blocked.get(account)
    return before if before is not None and t_ms - before.last_ms <= REMEMBERED_MS else None


def is_remembered(blocked: Mapping[int, Blocked], account: int, t_ms: int) -> bool:
    """Whether an account was blocked not long ago, and not by the same calls a moment ago."""
    before = of(blocked, account, t_ms)
    return before is not None and t_ms - before.first_ms >= RETURNS_MS


def is_same(before: Blocked, b_range: str) -> bool:
    """Whether a destination meets one that was blocked."""
    return any(one.key.b_range.startswith(b_range) or b_range.startswith(one.key.b_range) for one in before.standing)


def level_of(before: Blocked | None, key: Key, t_ms: int) -> int:
    """The level of an order with this key; `before`: as `of` has it.

    >>> key, other = Key(tenant="t", account="a", b_range="88213"), Key(tenant="t", account="a", b_range="371")
    >>> before = Blocked(0, 0, 0, 1, 2, [Standing(key, 3_600_000, 1)])
    >>> level_of(None, key, 0), level_of(before, key, 60_000), level_of(before, other, 60_000), level_of(before, key, 7_200_000)
    (0, 1, 2, 2)
    >>> level_of(before, other, 59_999)
    1
    """
    if before is None:
        return 0
    met = [one.level for one in before.standing if one.until_ms > t_ms and overlaps(one.key, key)]
    return max(met) if met else before.level + (t_ms - before.raised_ms >= RETURNS_MS)


def ttl_ms(policy: Policy, level: int) -> int:
    """How long an order of a level lives.

    >>> [ttl_ms(Policy(), level) // 3_600_000 for level in range(4)]
    [1, 6, 24, 24]
    """
    return max(policy.order_ttl_ms, min(int(policy.order_ttl_ms * policy.repeat_factor ** min(level, 20)), policy.longest_ttl_ms))


def note(blocked: dict[int, Blocked], account: int, home: int, key: Key, t_ms: int, until_ms: int, level: int, odds: float) -> None:
    """Remember an order. `account`: the key of the account among subjects. `odds`: as in `Blocked`."""
    before = of(blocked, account, t_ms)
    if before is None:
        before = blocked[account] = Blocked(home, t_ms, t_ms, level, 0, [], t_ms)
    if level > before.level:
        before.level, before.raised_ms = level, t_ms
    before.last_ms, before.orders, before.odds = max(before.last_ms, t_ms), before.orders + 1, max(before.odds, odds)
    stays = [one for one in before.standing if t_ms - one.until_ms <= REMEMBERED_MS and one.key != key]
    before.standing = [*stays[-MOST_KEYS + 1 :], Standing(key, until_ms, level)]


def forget(blocked: dict[int, Blocked], at_ms: int) -> None:
    """Drop the accounts of which the last order is long ago."""
    for account in [account for account, one in blocked.items() if at_ms - one.last_ms > REMEMBERED_MS]:
        del blocked[account]
