"""Hard caps of what spans partitions: a carrier, a trunk group, an ingress trunk, and a range over all accounts.

The same lines as `detectors.caps`, over sums instead of rows: what each second added, taken cut by cut (`detectors.sums`). A cut holds the same
rows however many processes judged them, so what is found does not depend on that either. Money an hour and a day count in UTC's clock
hours and days; a second of an hour that has passed is added to no later one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import polars as pl

from core.alert_text import finding_text, observed_text
from core.config import Caps
from core.facts import Facts, Share
from core.money import in_range
from core.orders import BlockOrder, Finding, Key
from detectors import alerts
from detectors.alerts import Alert
from detectors.caps import LINES, crossed, lines_of
from detectors.destination import prefix_destination
from detectors.latest import MOST_ITEMS
from detectors.protocol import Limits, Owner, Settings, Spanning

SHARE = 0.05
"""Of what all accounts together do in a range: whoever does less is not ordered against when the range is over its cap."""
SECONDS = 60
"""Event seconds of which calls a second are remembered: a cut may bring more of one that an earlier cut began."""
MOST_NAMES = 3  # accounts that an alert names


class Subject(NamedTuple):
    """Whose sums: money by currency. Calls at once and calls a second have none: they stand under "", whatever was charged."""

    tenant: str
    kind: str
    name: str
    currency: str


class Total(msgspec.Struct):
    """What is known of a subject in one currency. `flying` and `seconds` under "" alone."""

    hour: int = 0
    hour_nanos: int = 0
    hour_calls: int = 0
    day: int = 0
    day_nanos: int = 0
    flying: int = 0
    learned_ms: int = 0
    shares: dict[str, list[int]] = {}  # of a range: account -> nanos and calls in the hour
    seconds: dict[int, int] = {}  # second -> calls that began in it
    examples: list[str] = []


class Totals(msgspec.Struct):
    """All that is remembered."""

    totals: dict[str, Total] = {}  # tenant, kind, subject, currency
    alerts: dict[str, Alert] = {}


def add(state: Totals, cut: pl.DataFrame, settings: Settings) -> tuple[list[Finding], list[BlockOrder]]:
    """Add one cut to the totals (in place), second by second, and judge each capped subject after each second of its own.

    `cut`: columns tenant, kind, subject, account, second_ms, currency, nanos, calls, flying, learned_ms, call_id: one row per subject,
    second and partition, in any order.
    """
    findings: list[Finding] = []
    orders: list[BlockOrder] = []
    by = ("second_ms", "tenant", "kind", "subject")
    rows = cut.sort(*by, "currency", "account", "call_id")
    for group in rows.partition_by(by, maintain_order=True):
        t_ms, tenant, kind, name = group.select(by).row(0)
        if (cap := settings.limits.caps.get(kind, {}).get((tenant, name))) is None:
            continue
        for currency in sorted({"", *group["currency"].to_list()}):
            of = Subject(tenant, kind, name, currency)
            total = state.totals.setdefault("\x1f".join(of), Total())
            _count(total, t_ms, group, of)
            values = total.hour_nanos, total.day_nanos, total.flying, total.seconds.get(t_ms // 1000, 0)
            for which, value, line in crossed(LINES, values, lines_of(cap)):
                if found := _report(state.alerts, total, of, t_ms, which, value, line, settings):
                    findings.append(found[0])
                    orders += found[1]
    return findings, orders


def _count(total: Total, t_ms: int, group: pl.DataFrame, of: Subject) -> None:
    hour, day, second = t_ms // 3_600_000, t_ms // 86_400_000, t_ms // 1000
    mine = pl.col("currency") == of.currency
    group = group.filter(mine) if of.currency else group.with_columns(pl.when(mine).then("nanos").otherwise(0).alias("nanos"))
    nanos, calls = _sum(group, "nanos"), _sum(group, "calls")
    if hour > total.hour:
        total.hour, total.hour_nanos, total.hour_calls, total.shares = hour, 0, 0, {}
    if hour == total.hour:
        total.hour_nanos += nanos
        total.hour_calls += calls
        if of.kind == "range":
            for account, more, began in group.select("account", "nanos", "calls").iter_rows():
                share = total.shares.setdefault(account, [0, 0])
                share[0] += more
                share[1] += began
    if day > total.day:
        total.day, total.day_nanos = day, 0
    if day == total.day:
        total.day_nanos += nanos
    if not of.currency:
        total.flying += _sum(group, "flying")
        total.seconds[second] = total.seconds.get(second, 0) + calls
        newest = max(total.seconds)
        for old in [s for s in total.seconds if s < newest - SECONDS]:
            del total.seconds[old]
    total.learned_ms = max(total.learned_ms, max(group["learned_ms"].to_list()))
    total.examples = list(dict.fromkeys([*total.examples, *group["call_id"].to_list()]))[-MOST_ITEMS:]


def _sum(group: pl.DataFrame, column: str) -> int:
    """In Python's integers: many calls together may be more than 64 bits of nanos."""
    return sum(group[column].to_list())


def _report(
    running: dict[str, Alert], total: Total, of: Subject, t_ms: int, which: str, value: int, line: int, settings: Settings
) -> tuple[Finding, list[BlockOrder]] | None:
    """The finding of a crossing and its orders; None = its episode was written a moment ago."""
    tenant, kind, subject, currency = of
    policy, protected = settings.policy_of(tenant), settings.protected_of(tenant)
    name, score = "\x1f".join((which, *of)), value / line if line else 1.0
    if alerts.is_recent(running, name, t_ms, score, policy):
        return None
    alert = alerts.episode(running, name, t_ms, score, policy, (tenant, f"cap_{which}", kind, subject, currency))
    orders: list[BlockOrder] = []
    refusals: list[str] = [] if kind == "range" else ["warns"]
    reason = observed_text(facts_of(of, total, which, value, line, (), "", 0))
    for account in _shares(total) if kind == "range" and score >= policy.order_score else ():
        key = Key(tenant=tenant, account=account, b_range=subject)
        order, forbidden = alerts.order_for(key, alert, t_ms, total.learned_ms, reason, policy, protected, by="watch")
        if order is None:
            refusals.append(forbidden)
        else:
            orders.append(order)
    if kind == "range" and not orders and not refusals:
        refusals.append("score" if score < policy.order_score else "no account")
    ordered = [order.key.account for order in orders]
    facts = facts_of(of, total, which, value, line, ordered, "; ".join(refusals), policy.order_ttl_ms)
    return Finding(
        finding_id=alert.finding_id, tenant=tenant, detector=f"cap_{which}", subject_kind=kind, subject=subject,
        detected_at_ms=alert.detected_at_ms, first_ms=alert.first_ms, last_ms=alert.last_ms, calls=total.hour_calls,
        exposure_nanos=in_range(total.day_nanos if which == "money_day" else total.hour_nanos), currency=currency,
        score=round(alert.score, 3), reason=finding_text(facts), example_call_ids=list(total.examples), key=orders[0].key if orders else None,
        learned_ms=total.learned_ms, facts=facts,
    ), orders  # fmt: skip


def _shares(total: Total) -> list[str]:
    """The accounts of a range whose share counts, the largest first: by money, or by calls where there is none."""
    at = 0 if total.hour_nanos > 0 else 1
    whole = total.hour_nanos if at == 0 else total.hour_calls
    mine: list[tuple[int, str]] = [(-share[at], account) for account, share in total.shares.items() if account]
    return [account for share, account in sorted(mine) if -share >= SHARE * whole and share]


def facts_of(of: Subject, total: Total, which: str, value: int, line: int, ordered: Sequence[str], no_block: str, ttl_ms: int) -> Facts:
    """The facts of a breach. `ordered`: the accounts of a range that are ordered against.

    >>> total = Total(hour_nanos=12 * 10**9, shares={"acme": [8 * 10**9, 3], "blue": [4 * 10**9, 1]})
    >>> facts = facts_of(Subject("t1", "range", "88213", "EUR"), total, "money_hour", 12 * 10**9, 10**10, ["acme", "blue"], "", 3_600_000)
    >>> print(finding_text(facts))
    All accounts together have spent 12.00 EUR this hour on calls to +882 13… (international networks); the cap is 10.00 EUR. \
The most: acme 8.00 EUR, blue 4.00 EUR. Ordered for 1 hour: refuse new calls of acme, blue to +882 13….
    """
    at = 0 if total.hour_nanos > 0 else 1
    most = [one for one in _shares(total) if not ordered or one in ordered]
    is_range = of.kind == "range"
    to = prefix_destination(of.name) if is_range else None
    return Facts(
        subject_kind=of.kind, name="" if is_range else of.name, b_range=of.name if is_range else "", cap=which, value=in_range(value),
        limit=line, currency=of.currency, calls=total.hour_calls, nanos=in_range(total.hour_nanos), code=to.code if to else "",
        country=to.country if to else "", country_name=to.name if to else "", number_kind=to.kind if to else "",
        shares=[Share(one, in_range(total.shares[one][at])) for one in most[:MOST_NAMES]], more_accounts=max(0, len(most) - MOST_NAMES),
        shares_are_money=at == 0, action="block" if ordered else "", ttl_ms=ttl_ms if ordered else 0, no_block=no_block,
    )  # fmt: skip


def forget(state: Totals, at_ms: int) -> None:
    """Episodes and subjects that have been silent for two days are over; a subject with calls in flight stays."""
    before_ms = at_ms - 2 * 86_400_000
    alerts.forget(state.alerts, before_ms)
    for name in [name for name, total in state.totals.items() if not total.flying and total.hour * 3_600_000 < before_ms]:
        del state.totals[name]


# --- which sums judge gathers ---


def _of_column(kind: str, column: str) -> Callable[[pl.DataFrame, Limits], pl.Series | None]:
    def names(usage: pl.DataFrame, limits: Limits) -> pl.Series | None:
        if not (capped := limits.caps.get(kind)):
            return None
        rows = zip(usage["tenant"].to_list(), usage[column].to_list(), strict=True)
        return pl.Series([name if (tenant, name) in capped else "" for tenant, name in rows], dtype=pl.String)

    return names


def _of_ranges(usage: pl.DataFrame, limits: Limits) -> pl.Series | None:
    if not (capped := limits.caps.get("range")):
        return None
    return pl.Series(ranges(usage["tenant"].to_list(), usage["b_number"].to_list(), capped), dtype=pl.String)


def ranges(tenants: Sequence[str], b_numbers: Sequence[str], capped: Mapping[Owner, Caps]) -> list[str]:
    """The longest capped range that each number begins with, or "".

    >>> ranges(["t1", "t1", "t2"], ["882131", "8829", "882131"], {("t1", "882"): Caps(), ("t1", "88213"): Caps()})
    ['88213', '882', '']
    """
    lengths = sorted({len(prefix) for _, prefix in capped}, reverse=True)
    return [next((b[:n] for n in lengths if (tenant, b[:n]) in capped), "") for tenant, b in zip(tenants, b_numbers, strict=True)]


DETECTOR = Spanning(
    name="overall_caps",
    about="a carrier, a trunk group, an ingress trunk or a range of numbers over all accounts is over a line that the operator drew: money "
    "per clock hour or day of UTC, calls at once, calls per second",
    sums={
        "carrier": _of_column("carrier", "carrier"),
        "trunk_group": _of_column("trunk_group", "trunk_group"),
        "trunk": _of_column("trunk", "ingress_trunk"),
        "range": _of_ranges,
    },
    state=Totals,
    detect=add,
    forget=forget,
)
