"""Wangiri calls back: subscribers of all accounts call a block of numbers that rang many of them briefly.

`wangiri` sees the ringing in one account. Here the blocks of foreign numbers that rang and gave up are remembered for three days over all
accounts, and calls to such a block are the calls back. The first ones prove it; then calls to the block are refused for each account that calls
abroad, the busiest first, at most `MOST_ACCOUNTS`: nobody has a reason to call it.

Source: as for `wangiri`; the window of days: GSMA FS.21 (most calls back come within 48 h).
"""

from __future__ import annotations

import msgspec
import polars as pl

from core.alert_text import finding_text, observed_text
from core.facts import Facts
from core.money import in_range
from core.orders import BlockOrder, Finding, Key
from detectors import alerts
from detectors.alerts import Alert
from detectors.destination import code_of, destination
from detectors.features import BLOCK_DIGITS, range_of
from detectors.latest import MOST_ITEMS
from detectors.profile import DAY_MS
from detectors.protocol import Limits, Settings, Spanning

REMEMBERED_MS = 3 * DAY_MS
LEAST_RINGS = 30
"""So many numbers were rung from a block within the days that it is remembered."""
LEAST_SHARE = 0.8
"""And so many of all calls from it were given up: people let it ring."""
LEAST_CALLBACKS = 3
"""So many calls to the block prove it."""
MOST_ACCOUNTS = 100
MOST_RANGES = 50_000
"""The most blocks and accounts that are remembered; the one that was added first is dropped first."""


class Rung(msgspec.Struct):
    """A block of foreign numbers that rang and gave up, and the calls back."""

    rings: int = 0
    ends: int = 0
    last_ms: int = 0
    callbacks: int = 0
    nanos: int = 0
    currency: str = ""
    learned_ms: int = 0
    examples: list[str] = []


class State(msgspec.Struct):
    """By tenant and block; `accounts`: by tenant and account, calls abroad and the latest."""

    rung: dict[str, Rung] = {}
    accounts: dict[str, list[int]] = {}
    alerts: dict[str, Alert] = {}


def detect(state: State, cut: pl.DataFrame, settings: Settings) -> tuple[list[Finding], list[BlockOrder]]:
    """Add one cut (in place), and report the blocks that are called back in it."""
    findings: list[Finding] = []
    orders: list[BlockOrder] = []
    rows = cut.filter(pl.col("kind").is_in(list(DETECTOR.sums)))
    rows = rows.sort("second_ms", "kind", "tenant", "subject", "account", "currency", "call_id", descending=[False, True, *[False] * 5])
    by = ("tenant", "kind", "subject", "account", "second_ms", "currency", "nanos", "calls", "learned_ms", "call_id", "ends", "rings")
    for tenant, kind, subject, account, t_ms, currency, nanos, calls, learned_ms, call_id, ends, rings in rows.select(by).iter_rows():
        name = f"{tenant}\x1f{subject}"
        if kind == "rung":
            rung = state.rung.setdefault(name, Rung())
            rung.rings, rung.ends = rung.rings + rings, rung.ends + ends
            rung.last_ms = max(rung.last_ms, t_ms)
            if len(state.rung) > MOST_RANGES:
                del state.rung[next(iter(state.rung))]
            continue
        if account:
            held = state.accounts.setdefault(f"{tenant}\x1f{account}", [0, 0])
            held[0], held[1] = held[0] + calls, max(held[1], t_ms)
            if len(state.accounts) > MOST_RANGES:
                del state.accounts[next(iter(state.accounts))]
        known = state.rung.get(name)
        if known is None or known.rings < max(LEAST_RINGS, LEAST_SHARE * known.ends) or t_ms - known.last_ms > REMEMBERED_MS:
            continue
        known.callbacks, known.nanos = known.callbacks + calls, known.nanos + nanos
        known.currency, known.learned_ms = currency or known.currency, max(known.learned_ms, learned_ms)
        known.examples = [*known.examples, call_id][-MOST_ITEMS:]
        if known.callbacks >= LEAST_CALLBACKS and (found := _report(state, tenant, subject, known, t_ms, settings)):
            findings.append(found[0])
            orders += found[1]
    return findings, orders


def _report(state: State, tenant: str, b_range: str, rung: Rung, t_ms: int, settings: Settings) -> tuple[Finding, list[BlockOrder]] | None:
    policy, protected = settings.policy_of(tenant), settings.protected_of(tenant)
    name, score = f"{tenant}\x1f{b_range}", rung.callbacks / LEAST_CALLBACKS
    if alerts.is_recent(state.alerts, name, t_ms, score, policy):
        return None
    alert = alerts.episode(state.alerts, name, t_ms, score, policy, (tenant, "callbacks", "range", b_range))
    busiest = sorted(
        (-calls, account.partition("\x1f")[2]) for account, (calls, _) in state.accounts.items() if account.startswith(f"{tenant}\x1f")
    )
    facts = facts_of(b_range, rung, len(busiest))
    orders = []
    for _, account in busiest[:MOST_ACCOUNTS]:
        key = Key(tenant=tenant, account=account, b_range=b_range)
        order, _ = alerts.order_for(key, alert, t_ms, rung.learned_ms, observed_text(facts), policy, protected, by="watch")
        orders += [order] if order else []
    facts = msgspec.structs.replace(facts, action="block" if orders else "", ttl_ms=policy.order_ttl_ms if orders else 0)
    finding = Finding(
        finding_id=alert.finding_id, tenant=tenant, detector="callbacks", subject_kind="range", subject=b_range,
        detected_at_ms=alert.detected_at_ms, first_ms=alert.first_ms, last_ms=alert.last_ms, calls=rung.callbacks, exposure_nanos=facts.nanos,
        currency=facts.currency, score=round(alert.score, 3), reason=finding_text(facts), example_call_ids=list(rung.examples),
        key=orders[0].key if orders else None, learned_ms=rung.learned_ms, facts=facts,
    )  # fmt: skip
    return finding, orders


def facts_of(b_range: str, rung: Rung, accounts: int) -> Facts:
    """
    >>> print(observed_text(facts_of("22177123", Rung(rings=900, callbacks=4, nanos=2 * 10**9, currency="EUR"), 12)))
    900 numbers were rung briefly from +221 77123… (Senegal, mobile); 4 calls back so far, 2.00 EUR. It looks like Wangiri: numbers are rung \
briefly so that they call back.
    """
    to = destination(b_range + "0" * BLOCK_DIGITS)
    return Facts(
        subject_kind="range", b_range=b_range, calls=rung.callbacks, nanos=in_range(rung.nanos), currency=rung.currency, code=to.code,
        country=to.country, country_name=to.name, number_kind=to.kind, fraud="callbacks", value=rung.rings,
        more_accounts=min(accounts, MOST_ACCOUNTS),
    )  # fmt: skip


def forget(state: State, at_ms: int) -> None:
    """Drop what is older than it is remembered."""
    before_ms = at_ms - REMEMBERED_MS
    alerts.forget(state.alerts, before_ms)
    state.rung = {name: rung for name, rung in state.rung.items() if rung.last_ms >= before_ms}
    state.accounts = {name: held for name, held in state.accounts.items() if held[1] >= at_ms - 10 * DAY_MS}


# --- the sums that judge gathers ---


def _rung(usage: pl.DataFrame, limits: Limits) -> pl.Series:
    """The block of callers of each call that ends, where caller and called number are of different countries."""
    found = [""] * usage.height
    numbers = zip(usage["final"].to_list(), usage["a_number"].to_list(), usage["b_number"].to_list(), strict=True)
    for row, (final, a_number, b_number) in enumerate(numbers):
        if final and len(b_number) >= 9 and (block := range_of(a_number)) and code_of(a_number) != code_of(b_number):
            found[row] = block
    return pl.Series(found, dtype=pl.String)


def _abroad(usage: pl.DataFrame, limits: Limits) -> pl.Series:
    """The range of each call to another country, on its first row."""
    found = [""] * usage.height
    numbers = zip(usage["calls"].to_list(), usage["a_number"].to_list(), usage["b_number"].to_list(), strict=True)
    for row, (calls, a_number, b_number) in enumerate(numbers):
        if calls and (block := range_of(b_number)) and code_of(a_number) != code_of(b_number):
            found[row] = block
    return pl.Series(found, dtype=pl.String)


DETECTOR = Spanning(
    name="callbacks",
    about="Wangiri calls back: calls of all accounts to a block of foreign numbers that rang many subscribers briefly",
    sums={"rung": _rung, "abroad": _abroad},
    by_account=("abroad",),
    fields=("a_raw", "setup_ms", "end_ms"),
    state=State,
    detect=detect,
    forget=forget,
)
