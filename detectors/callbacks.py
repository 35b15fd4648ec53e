"""Wangiri calls back: subscribers call foreign numbers that rang many of them briefly.

`wangiri` sees the ringing in one account. Here the foreign numbers that ring and give up are remembered for three days by their block, over all
accounts of all tenants: the ringing often comes in over another operator than the one whose subscribers call back, and a block of foreign numbers
says nothing about anybody's customers. A block is proven by its rings where the same numbers are shown again and again, so that people call
them; else (a number per call: flash calls) only by several accounts that call it back. From then on calls to it are refused, for every account of
the tenant: the block as a whole, or, where the tenant called it before it began to ring, the numbers alone that it shows.

Source: as for `wangiri`; the window of days: GSMA FS.21 (most calls back come within 48 h).
"""

from __future__ import annotations

import msgspec
import numpy as np
import polars as pl

from core.alert_text import finding_text, observed_text
from core.facts import Facts
from core.frames import texts
from core.money import in_range
from core.orders import EVERYONE, BlockOrder, Finding, Key
from core.safety import LEAST_OF_EVERYONE
from detectors import alerts
from detectors.alerts import Alert
from detectors.destination import code_of, destination
from detectors.features import BLOCK_DIGITS, LEAST_DIGITS, range_of, values_of
from detectors.latest import MOST_ITEMS
from detectors.profile import DAY_MS
from detectors.protocol import Limits, Settings, Spanning
from detectors.recent import Money, drop_old, most, spend, touched

REMEMBERED_MS, BACK_MS = 3 * DAY_MS, 10 * DAY_MS
LEAST_RINGS = 30
"""So many calls of a block were given up within the days that it is remembered."""
LEAST_SHARE = 0.8
"""And so many of all calls from it: people let it ring."""
LEAST_SHOWN = 2.5
"""Rings per number shown: who wants to be called back shows few numbers; a flash call's number is its one-time code."""
LEAST_CALLBACKS, LEAST_ACCOUNTS = 5, 3
"""So many calls of so many accounts prove a block whose numbers are shown once each."""
LEAST_RINGS_OF_NUMBER = 4
"""Only a number that rang so often is refused alone."""
MOST_NUMBERS = 256
MOST_RANGES = 50_000
"""The most blocks that are remembered of each tenant, as one that rings and as one that is called; that of longest ago is dropped first. One tenant's
records push out no other's."""


class Rung(msgspec.Struct):
    """A block of foreign numbers that rings and gives up."""

    rings: int = 0
    ends: int = 0
    first_ms: int = 0  # its first ring; 0 = none: its calls before that were ordinary ones
    last_ms: int = 0
    numbers: dict[str, int] = {}  # shown -> rings


class Back(msgspec.Struct):
    """The calls of a tenant to a block."""

    first_ms: int = 0
    last_ms: int = 0
    rung_ms: int = 0  # the first ring of the ringing that the rest is about: what followed an earlier one proves nothing of this one
    calls: int = 0
    money: Money = {}
    learned_ms: int = 0
    accounts: list[str] = []
    examples: list[str] = []


class State(msgspec.Struct):
    """`rung`: by the tenant in which it was first heard of, and block. `back`: by tenant and block, also of blocks that do not ring."""

    rung: dict[str, dict[str, Rung]] = {}
    back: dict[str, dict[str, Back]] = {}
    alerts: dict[str, Alert] = {}


def detect(state: State, cut: pl.DataFrame, settings: Settings) -> tuple[list[Finding], list[BlockOrder]]:
    """Add one cut (in place), and report the blocks that are called back in it."""
    findings: list[Finding] = []
    orders: list[BlockOrder] = []
    rows = cut.filter(pl.col("kind").is_in(list(DETECTOR.sums)))
    rows = rows.sort("second_ms", "kind", "tenant", "subject", "account", "currency", "call_id", descending=[False, True, *[False] * 5])
    by = ("tenant", "kind", "subject", "account", "second_ms", "currency", "nanos", "calls", "learned_ms", "call_id", "ends", "rings")
    for tenant, kind, number, account, t_ms, currency, nanos, calls, learned_ms, call_id, ends, rings in rows.select(by).iter_rows():
        block = range_of(number)
        if kind == "rung":
            home = next((of for of, blocks in state.rung.items() if block in blocks), tenant)
            _ring(touched(state.rung.setdefault(home, {}), block, Rung, MOST_RANGES), number, t_ms, rings, ends)
            continue
        back = touched(state.back.setdefault(tenant, {}), block, lambda: Back(first_ms=t_ms), MOST_RANGES)  # noqa: B023  called at once
        back.last_ms = max(back.last_ms, t_ms)
        rung = next((blocks[block] for blocks in state.rung.values() if block in blocks), None)
        if rung is None or rung.rings < max(LEAST_RINGS, LEAST_SHARE * rung.ends) or t_ms - rung.last_ms > REMEMBERED_MS:
            continue
        if back.rung_ms != rung.first_ms:
            back.rung_ms, back.calls, back.money, back.accounts, back.examples = rung.first_ms, 0, {}, [], []
        spend(back.money, currency, nanos)
        back.calls, back.learned_ms = back.calls + calls, max(back.learned_ms, learned_ms)
        if account not in back.accounts:
            back.accounts = [*back.accounts, account][-MOST_ITEMS:]
        back.examples = list(dict.fromkeys([*back.examples, call_id]))[-MOST_ITEMS:]
        if is_proven(rung, back) and (found := _report(state, tenant, block, rung, back, t_ms, settings)):
            findings.append(found[0])
            orders += found[1]
    return findings, orders


def _ring(rung: Rung, number: str, t_ms: int, rings: int, ends: int) -> None:
    rung.rings, rung.ends, rung.last_ms = rung.rings + rings, rung.ends + ends, max(rung.last_ms, t_ms)
    if rings and not rung.first_ms:
        rung.first_ms = t_ms
    if rings and (number in rung.numbers or len(rung.numbers) < MOST_NUMBERS):
        rung.numbers[number] = rung.numbers.get(number, 0) + rings


def is_proven(rung: Rung, back: Back) -> bool:
    """Whether calls to a block that rang are refused.

    >>> is_proven(Rung(rings=60, numbers={"22177042001": 40, "22177042002": 20}), Back(calls=1)), is_proven(Rung(rings=60), Back(calls=1))
    (True, False)
    >>> flash = Rung(rings=30, numbers={f"4860012{no:04d}": 1 for no in range(30)})
    >>> is_proven(flash, Back(calls=4, accounts=["a", "b", "c"])), is_proven(flash, Back(calls=5, accounts=["a", "b", "c"]))
    (False, True)
    """
    shown = bool(rung.numbers) and sum(rung.numbers.values()) >= LEAST_SHOWN * len(rung.numbers)
    return shown or (back.calls >= LEAST_CALLBACKS and len(back.accounts) >= LEAST_ACCOUNTS)


def refused_ranges(block: str, rung: Rung, back: Back) -> list[str]:
    """The ranges to which calls are refused: the block (where it is too short for a block of every account, its numbers' beginnings), or the
    numbers that rang again and again, where the tenant called the block before.

    >>> refused_ranges("22177042", Rung(first_ms=9), Back(first_ms=10)), refused_ranges("960765", Rung(numbers={"9607651234": 50}), Back())
    (['22177042'], ['9607651'])
    >>> refused_ranges("22177042", Rung(first_ms=9, numbers={"221770420001": 40, "221770420002": 1}), Back(first_ms=8))
    ['221770420001']
    """
    if back.first_ms < (rung.first_ms or back.first_ms):
        return sorted(number for number, rings in rung.numbers.items() if rings >= LEAST_RINGS_OF_NUMBER)
    return [block] if len(block) >= LEAST_OF_EVERYONE else sorted({number[:LEAST_OF_EVERYONE] for number in rung.numbers})


def _report(
    state: State, tenant: str, block: str, rung: Rung, back: Back, t_ms: int, settings: Settings
) -> tuple[Finding, list[BlockOrder]] | None:
    policy, protected = settings.policy_of(tenant), settings.protected_of(tenant)
    name, score = f"{tenant}\x1f{block}", rung.rings / LEAST_RINGS
    if alerts.is_recent(state.alerts, name, t_ms, score, policy, quiet_ms=DAY_MS):
        return None
    alert = alerts.episode(state.alerts, name, t_ms, score, policy, (tenant, "callbacks", "range", block), quiet_ms=DAY_MS)
    facts, orders, refusals = facts_of(block, rung, back), [], ""
    for b_range in refused_ranges(block, rung, back):
        key = Key(tenant=tenant, account=EVERYONE, b_range=b_range)
        order, refusals = alerts.order_for(key, alert, t_ms, back.learned_ms, observed_text(facts), policy, protected, by="watch")
        orders += [order] if order else []
    facts = msgspec.structs.replace(
        facts, action="block" if orders else "", ttl_ms=policy.order_ttl_ms if orders else 0, no_block="" if orders else refusals or "regular"
    )
    finding = Finding(
        finding_id=alert.finding_id, tenant=tenant, detector="callbacks", subject_kind="range", subject=block,
        detected_at_ms=alert.detected_at_ms, first_ms=alert.first_ms, last_ms=alert.last_ms, calls=back.calls, exposure_nanos=facts.nanos,
        currency=facts.currency, score=round(alert.score, 3), reason=finding_text(facts), example_call_ids=list(back.examples),
        key=orders[0].key if orders else None, learned_ms=back.learned_ms, facts=facts,
    )  # fmt: skip
    return finding, orders


def facts_of(block: str, rung: Rung, back: Back) -> Facts:
    """
    >>> print(observed_text(facts_of("22177123", Rung(rings=900), Back(calls=4, money={"EUR": [2 * 10**9, 4]}))))
    900 calls from +221 77123… (Senegal, mobile) were given up within seconds; 4 calls back so far, 2.00 EUR. It looks like Wangiri: numbers are \
rung briefly so that they call back.
    """
    to = destination(block + "0" * BLOCK_DIGITS)
    nanos, currency = most(back.money)
    return Facts(
        subject_kind="range", b_range=block, calls=back.calls, nanos=in_range(nanos), currency=currency, code=to.code,
        country=to.country, country_name=to.name, number_kind=to.kind, fraud="callbacks", value=rung.rings,
    )  # fmt: skip


def forget(state: State, at_ms: int) -> None:
    """Drop what is older than it is remembered."""
    before_ms = at_ms - REMEMBERED_MS
    alerts.forget(state.alerts, before_ms)
    for tenant, rung in list(state.rung.items()):
        drop_old(rung, lambda one: one.last_ms, before_ms)
        if not rung:
            del state.rung[tenant]
    for tenant, back in list(state.back.items()):
        drop_old(back, lambda one: one.last_ms, at_ms - BACK_MS)
        if not back:
            del state.back[tenant]


# --- the sums that judge gathers ---


def _rung(usage: pl.DataFrame, limits: Limits) -> pl.Series:
    """The caller of each call that ends, where caller and called number are of different countries."""
    rows = np.flatnonzero(usage["final"].to_numpy()).tolist()
    by = values_of(usage, ("a_number", "b_number"), rows)
    return texts(usage.height, rows, (a if min(len(a), len(b)) >= LEAST_DIGITS and code_of(a) != code_of(b) else "" for a, b in by))


def _abroad(usage: pl.DataFrame, limits: Limits) -> pl.Series:
    """The number of each call to another country, on its first row."""
    rows = np.flatnonzero(usage["calls"].to_numpy()).tolist()
    by = values_of(usage, ("a_number", "b_number"), rows)
    return texts(usage.height, rows, (b if len(b) >= LEAST_DIGITS and code_of(a) != code_of(b) else "" for a, b in by))


DETECTOR = Spanning(
    name="callbacks",
    about="Wangiri calls back: calls of all accounts to foreign numbers that rang many subscribers briefly",
    sums={"rung": _rung, "abroad": _abroad},
    by_account=("abroad",),
    fields=("a_raw", "setup_ms", "end_ms"),
    state=State,
    detect=detect,
    forget=forget,
)
