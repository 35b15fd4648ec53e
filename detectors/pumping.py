"""Traffic pumping and access stimulation: calls are attracted to few numbers (free conferences, chat lines, radio) for the fee of termination.

Long calls of many accounts, or to several numbers, end hour after hour in one block of a hundred numbers that hardly had any. So long calls
are counted by block, over all accounts of all partitions. A firm's conference bridge has as many callers for an hour: of one account, to one
number. A service that many people call has been called for days.

Source: FCC 11-161 and 19-94 (access stimulation: growth, long calls to few numbers of high-volume services); TransNexus, "Traffic pumping" (a
conference server answers and holds the calls). In the USA access stimulation is disputed and re-rated, never blocked; elsewhere an order waits
for a person.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
import polars as pl

from core.alert_text import finding_text, observed_text
from core.facts import Contribution, Facts
from core.frames import texts
from core.money import in_range
from core.orders import EVERYONE, BlockOrder, Finding, Key
from detectors import alerts
from detectors.alerts import Alert
from detectors.destination import prefix_destination
from detectors.evidence import PRIOR
from detectors.features import LEAST_DIGITS, values_of
from detectors.latest import MOST_ITEMS
from detectors.profile import DAY_MS, HOUR_MS
from detectors.protocol import Limits, Settings, Spanning
from detectors.recent import Money, drop_old, most, spend, touched

LONG_MS = 300_000
"""A call of so much talk is a long one."""
BLOCK = 2
"""Open digits of a block."""
HALF_LIFE_MS = 6 * HOUR_MS
LEAST_CALLS = 4.0
LEAST_PROBABILITY = 0.6
REGULAR_DAYS = 3
DISPUTED = "1"
"""Country code of the USA, and of countries that a block of numbers does not tell from it."""
REMEMBERED_MS = 10 * DAY_MS
MOST_BLOCKS, MOST_NAMES = 50_000, 100
"""Blocks of a tenant that are remembered (that of longest ago is dropped first), and accounts and numbers of each."""


class Block(msgspec.Struct):
    """A block of numbers with long calls. `calls` and `talk_ms` decay by six hours."""

    first_ms: int
    t_ms: int = 0
    calls: float = 0.0
    talk_ms: float = 0.0
    money: Money = {}  # since it was first called; so are the others
    all_calls: int = 0
    all_talk_ms: int = 0
    learned_ms: int = 0
    accounts: list[str] = []
    numbers: list[str] = []
    hours: list[int] = []  # clock hours with a long call, the last twelve
    days: int = 1
    examples: list[str] = []


class State(msgspec.Struct):
    """`began_ms`: since when a tenant is watched. `blocks`: by tenant and block."""

    began_ms: dict[str, int] = {}
    blocks: dict[str, dict[str, Block]] = {}
    alerts: dict[str, Alert] = {}


def detect(state: State, cut: pl.DataFrame, settings: Settings) -> tuple[list[Finding], list[BlockOrder]]:
    """Add one cut (in place), and report the blocks that long calls of it ended in."""
    findings: list[Finding] = []
    orders: list[BlockOrder] = []
    rows = cut.filter(kind="long").sort("second_ms", "tenant", "subject", "account", "currency", "call_id")
    by = ("tenant", "subject", "account", "second_ms", "ends", "talk_ms", "nanos", "currency", "learned_ms", "call_id")
    for tenant, number, account, t_ms, ends, talk_ms, nanos, currency, learned_ms, call_id in rows.select(by).iter_rows():
        began_ms = state.began_ms.setdefault(tenant, t_ms)
        blocks = state.blocks.setdefault(tenant, {})
        block = touched(blocks, number[:-BLOCK], lambda: Block(first_ms=t_ms, t_ms=t_ms), MOST_BLOCKS)  # noqa: B023  called at once
        _add(block, number, account, t_ms, ends, talk_ms)
        spend(block.money, currency, nanos)
        block.learned_ms, block.examples = max(block.learned_ms, learned_ms), list(dict.fromkeys([*block.examples, call_id]))[-MOST_ITEMS:]
        if block.calls < LEAST_CALLS:
            continue
        parts = evidence(block, began_ms)
        likely = 1 / (1 + math.exp(-PRIOR - sum(one.points for one in parts)))
        if likely >= LEAST_PROBABILITY and (found := _report(state, tenant, number[:-BLOCK], block, parts, likely, t_ms, settings)):
            findings.append(found[0])
            orders += found[1]
    return findings, orders


def _add(block: Block, number: str, account: str, t_ms: int, ends: int, talk_ms: int) -> None:
    fade = 2.0 ** (-max(0, t_ms - block.t_ms) / HALF_LIFE_MS)
    block.calls, block.talk_ms = block.calls * fade + ends, block.talk_ms * fade + talk_ms
    block.days += t_ms // DAY_MS > block.t_ms // DAY_MS
    block.t_ms, block.all_calls, block.all_talk_ms = max(block.t_ms, t_ms), block.all_calls + ends, block.all_talk_ms + talk_ms
    if account not in block.accounts:
        block.accounts = [*block.accounts, account][-MOST_NAMES:]
    if number not in block.numbers:
        block.numbers = [*block.numbers, number][-MOST_NAMES:]
    if (hour := t_ms // HOUR_MS) not in block.hours:
        block.hours = [*block.hours, hour][-12:]


def evidence(block: Block, began_ms: int) -> list[Contribution]:
    """What counts for and against pumping, in log-odds; the largest first. `began_ms`: since when the tenant is watched.

    >>> lured = Block(DAY_MS, calls=20.0, talk_ms=20 * 1.5e6, accounts=[*"abcdefgh"], numbers=[*"12345"], hours=[24, 25, 26])
    >>> [(one.code, one.points) for one in evidence(lured, 0)]
    [('volume', 2.85), ('age', 2.5), ('numbers', 2.41), ('accounts', 2.08), ('talk', 1.5), ('hours', 1.0)]
    """
    minutes = block.talk_ms / max(block.calls, 1e-9) / 60_000
    new = 2.5 * min((block.first_ms - began_ms) / (12 * HOUR_MS), 1.0) if block.days < REGULAR_DAYS else -6.0
    accounts, numbers, hours = len(block.accounts), len(block.numbers), len(block.hours)
    parts = [
        ("volume", min(1.5 * math.log(max(block.calls, 0.1) / 3.0), 5.0), block.calls, 3.0),
        ("age", new, (block.t_ms - block.first_ms) / DAY_MS, 2.0),
        ("numbers", min(1.5 * math.log(numbers), 3.0), numbers, 1.0),
        ("accounts", min(1.5 * math.log(max(accounts / 2, 1.0)), 3.0), accounts, 2.0),
        ("talk", float(np.clip(1.5 * math.log(max(minutes, 1.0) / 7.0), 0.0, 1.5)), minutes, 7.0),
        ("hours", float(np.clip(hours - 2.0, 0.0, 2.5)), hours, 2.0),
    ]
    found = [Contribution(code, round(points, 2), float(f"{value:.4g}"), normal) for code, points, value, normal in parts]
    return sorted((one for one in found if abs(one.points) >= 0.05), key=lambda one: (-abs(one.points), one.code))


def _report(
    state: State, tenant: str, b_range: str, block: Block, parts: list[Contribution], likely: float, t_ms: int, settings: Settings
) -> tuple[Finding, list[BlockOrder]] | None:
    policy, protected = settings.policy_of(tenant), settings.protected_of(tenant)
    name, score = f"{tenant}\x1f{b_range}", likely / LEAST_PROBABILITY
    if alerts.is_recent(state.alerts, name, t_ms, score, policy, quiet_ms=DAY_MS):
        return None
    alert = alerts.episode(state.alerts, name, t_ms, score, policy, (tenant, "pumping", "range", b_range), quiet_ms=DAY_MS)
    facts = facts_of(b_range, block, parts)
    order, no_block = None, "disputed" if facts.code == DISPUTED else "uncertain"
    if facts.code != DISPUTED and likely >= policy.block_probability:
        key = Key(tenant=tenant, account=EVERYONE, b_range=b_range)
        order, no_block = alerts.order_for(key, alert, t_ms, block.learned_ms, observed_text(facts), policy, protected, by="watch", ask=True)
    facts = msgspec.structs.replace(facts, action="ask" if order else "", no_block="" if order else no_block)
    finding = Finding(
        finding_id=alert.finding_id, tenant=tenant, detector="pumping", subject_kind="range", subject=b_range,
        detected_at_ms=alert.detected_at_ms, first_ms=min(alert.first_ms, block.first_ms), last_ms=alert.last_ms, calls=block.all_calls,
        exposure_nanos=facts.nanos, currency=facts.currency, score=round(alert.score, 3), reason=finding_text(facts),
        example_call_ids=list(block.examples), key=order.key if order else None, learned_ms=block.learned_ms, facts=facts,
    )  # fmt: skip
    return finding, [order] if order else []


def facts_of(b_range: str, block: Block, parts: list[Contribution]) -> Facts:
    """
    >>> block = Block(0, t_ms=7_200_000, all_calls=31, all_talk_ms=31 * 1_500_000, money={"EUR": [4 * 10**9, 31]}, accounts=[*"ab"], numbers=["1"])
    >>> print(observed_text(facts_of("4319876", block, [Contribution("volume", 3.2, 28, 3)])))
    31 long calls of 2 accounts to 1 number of +43 19876… (Austria): 775 minutes of talk in 2 hours, 4.00 EUR. It looks like traffic \
pumping: long calls at the same time to few numbers. Probability 0.111 %: calls 28, normal 3 (+3.2).
    """
    to = prefix_destination(b_range)
    nanos, currency = most(block.money)
    return Facts(
        subject_kind="range", b_range=b_range, calls=block.all_calls, talk_ms=block.all_talk_ms, window_ms=block.t_ms - block.first_ms,
        nanos=in_range(nanos), currency=currency if nanos else "", code=to.code, country=to.country, country_name=to.name,
        number_kind=to.kind, fraud="pumping", evidence=parts, prior=PRIOR, measured=[float(len(block.accounts)), float(len(block.numbers))],
    )  # fmt: skip


def forget(state: State, at_ms: int) -> None:
    """Drop the blocks that were silent for ten days."""
    alerts.forget(state.alerts, at_ms - 3 * DAY_MS)
    for tenant, blocks in list(state.blocks.items()):
        drop_old(blocks, lambda one: one.t_ms, at_ms - REMEMBERED_MS)
        if not blocks:
            del state.blocks[tenant]


def _long(usage: pl.DataFrame, limits: Limits) -> pl.Series:
    """The number of each call that ends after long talk."""
    rows = np.flatnonzero(usage["final"].to_numpy()).tolist()
    by = values_of(usage, ("duration_ms", "b_number"), rows)
    return texts(usage.height, rows, (number if (ms or 0) >= LONG_MS and len(number) >= LEAST_DIGITS else "" for ms, number in by))


DETECTOR = Spanning(
    name="pumping",
    about="traffic pumping: long calls of all accounts, hour after hour, to few numbers of one block",
    sums={"long": _long},
    by_account=("long",),
    fields=("a_raw", "answer_ms", "end_ms"),
    state=State,
    detect=detect,
    forget=forget,
)
