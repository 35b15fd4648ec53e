"""Hard caps for subjects that span partitions: a carrier, a trunk group, an ingress trunk, and a range of numbers over all accounts.

The same caps as in `detectors.caps`, over sums per second instead of rows, cut by cut (`detectors.sums`). A cut contains the same rows however
many processes judged them, so the findings do not depend on that number either. Money per hour and per day is summed by the clock hours and
days of UTC; a second of a past hour is not added to a later one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import msgspec
import polars as pl

from core.alert_text import finding_text, observed_text
from core.facts import Facts, Share
from core.money import in_range
from core.orders import BlockOrder, Finding, Key
from detectors import alerts
from detectors.alerts import Alert
from detectors.caps import exceeded, limits_of
from detectors.destination import prefix_destination
from detectors.latest import MOST_ITEMS
from detectors.protocol import Limits, Settings, Spanning

SHARE = 0.05
"""When a range exceeds its cap, only accounts with at least this share of its traffic are blocked."""
SECONDS = 60
"""For how many event-time seconds the calls per second are remembered: a cut may add to a second of an earlier cut."""
MAX_NAMES = 3  # accounts that an alert names


class Subject(NamedTuple):
    """The subject of a total. Money is summed per currency; active calls and calls per second count under currency "", whatever was charged."""

    tenant: str
    kind: str
    name: str
    currency: str


class Row(NamedTuple):
    """What one second, account and currency of a partition add to a subject."""

    account: str
    currency: str
    nanos: int
    calls: int
    active: int
    learned_ms: int
    call_id: str


class Total(msgspec.Struct):
    """The sums of a subject in one currency. `active` and `seconds` are filled for currency "" only."""

    hour: int = 0
    hour_nanos: int = 0
    hour_calls: int = 0
    day: int = 0
    day_nanos: int = 0
    active: int = 0
    learned_ms: int = 0
    shares: dict[str, list[int]] = {}  # of a range: account -> nanos and calls in the hour
    seconds: dict[int, int] = {}  # second -> calls that began in it
    examples: list[str] = []


class Totals(msgspec.Struct):
    """The state of this detector."""

    totals: dict[str, Total] = {}  # tenant, kind, subject, currency
    alerts: dict[str, Alert] = {}


def detect(state: Totals, cut: pl.DataFrame, settings: Settings) -> tuple[list[Finding], list[BlockOrder]]:
    """Add one cut to the totals (in place), second by second, and check each capped subject after each of its seconds.

    `cut`: columns tenant, kind, subject, account, second_ms, currency, nanos, calls, active, learned_ms, call_id: one row per subject,
    second and partition, in any order.
    """
    findings: list[Finding] = []
    orders: list[BlockOrder] = []
    by = ("second_ms", "tenant", "kind", "subject")
    rows = cut.filter(pl.col("kind").is_in(list(DETECTOR.sums))).sort(*by, "currency", "account", "call_id")
    # Tuples, not frames: a cut of a busy second has a group of two rows for every capped subject.
    ordered = zip(rows.select(by).iter_rows(), rows.select(Row._fields).iter_rows(), strict=True)
    for (t_ms, tenant, kind, name), pairs in groupby(ordered, key=itemgetter(0)):
        if (caps := settings.limits.caps.get(kind, {}).get((tenant, name))) is None:
            continue
        group = [Row._make(row) for _, row in pairs]
        for currency in sorted({"", *(row.currency for row in group)}):
            subject = Subject(tenant, kind, name, currency)
            total = state.totals.setdefault("\x1f".join(subject), Total())
            _add(total, t_ms, group, subject)
            values = total.hour_nanos, total.day_nanos, total.active, total.seconds.get(t_ms // 1000, 0)
            for cap, value, limit in exceeded(values, limits_of(caps)):
                if report := _report(state.alerts, total, subject, t_ms, cap, value, limit, settings):
                    findings.append(report[0])
                    orders += report[1]
    return findings, orders


def _add(total: Total, t_ms: int, group: Sequence[Row], subject: Subject) -> None:
    """Under currency "" the rows of every currency count, with the money of none."""
    hour, day, second = t_ms // 3_600_000, t_ms // 86_400_000, t_ms // 1000
    charged = [row for row in group if row.currency == subject.currency]
    if subject.currency:
        group = charged
    nanos, calls = sum(row.nanos for row in charged), sum(row.calls for row in group)  # Python integers: many calls may exceed 64 bits
    if hour > total.hour:
        total.hour, total.hour_nanos, total.hour_calls, total.shares = hour, 0, 0, {}
    if hour == total.hour:
        total.hour_nanos += nanos
        total.hour_calls += calls
        if subject.kind == "range":
            for row in group:
                share = total.shares.setdefault(row.account, [0, 0])
                share[0] += row.nanos if row.currency == subject.currency else 0
                share[1] += row.calls
    if day > total.day:
        total.day, total.day_nanos = day, 0
    if day == total.day:
        total.day_nanos += nanos
    if not subject.currency:
        total.active += sum(row.active for row in group)
        total.seconds[second] = total.seconds.get(second, 0) + calls
        newest = max(total.seconds)
        for old in [s for s in total.seconds if s < newest - SECONDS]:
            del total.seconds[old]
    total.learned_ms = max(total.learned_ms, *(row.learned_ms for row in group))
    total.examples = list(dict.fromkeys([*total.examples, *(row.call_id for row in group)]))[-MOST_ITEMS:]


def _report(
    running: dict[str, Alert], total: Total, subject: Subject, t_ms: int, cap: str, value: int, limit: int, settings: Settings
) -> tuple[Finding, list[BlockOrder]] | None:
    """The finding that a cap is exceeded, and its orders; None = the episode was written less than `reissue_ms` ago."""
    tenant, kind, name, currency = subject
    policy, protected = settings.policy_of(tenant), settings.protected_of(tenant)
    alert_name, score = "\x1f".join((cap, *subject)), value / limit if limit else 1.0
    if alerts.is_recent(running, alert_name, t_ms, score, policy):
        return None
    alert = alerts.episode(running, alert_name, t_ms, score, policy, (tenant, f"cap_{cap}", kind, name, currency))
    orders: list[BlockOrder] = []
    refusals: list[str] = [] if kind == "range" else ["warns"]
    reason = observed_text(facts_of(subject, total, cap, value, limit, (), "", policy.order_ttl_ms))
    for account in _shares(total) if kind == "range" and score >= policy.order_score else ():
        key = Key(tenant=tenant, account=account, b_range=name)
        order, forbidden = alerts.order_for(key, alert, t_ms, total.learned_ms, reason, policy, protected, by="watch")
        if order is None:
            refusals.append(forbidden)
        else:
            orders.append(order)
    if kind == "range" and not orders and not refusals:
        refusals.append("score" if score < policy.order_score else "no account")
    ordered = [order.key.account for order in orders]
    facts = facts_of(subject, total, cap, value, limit, ordered, "; ".join(refusals), policy.order_ttl_ms)
    return Finding(
        finding_id=alert.finding_id, tenant=tenant, detector=f"cap_{cap}", subject_kind=kind, subject=name,
        detected_at_ms=alert.detected_at_ms, first_ms=alert.first_ms, last_ms=alert.last_ms, calls=total.hour_calls,
        exposure_nanos=in_range(total.day_nanos if cap == "money_day" else total.hour_nanos), currency=currency,
        score=round(alert.score, 3), reason=finding_text(facts), example_call_ids=list(total.examples), key=orders[0].key if orders else None,
        learned_ms=total.learned_ms, facts=facts,
    ), orders  # fmt: skip


def _shares(total: Total) -> list[str]:
    """The accounts with at least `SHARE` of a range's traffic, the largest first: by money, or by calls where there is no money."""
    at = 0 if total.hour_nanos > 0 else 1
    whole = total.hour_nanos if at == 0 else total.hour_calls
    shares: list[tuple[int, str]] = [(-share[at], account) for account, share in total.shares.items() if account]
    return [account for share, account in sorted(shares) if -share >= SHARE * whole and share]


def facts_of(
    subject: Subject, total: Total, cap: str, value: int, limit: int, ordered: Sequence[str], no_block: str, ttl_ms: int
) -> Facts:
    """The facts of a cap that is exceeded. `ordered`: the accounts of a range that are blocked for it.

    >>> total = Total(hour_nanos=12 * 10**9, shares={"acme": [8 * 10**9, 3], "blue": [4 * 10**9, 1]})
    >>> facts = facts_of(Subject("t1", "range", "88213", "EUR"), total, "money_hour", 12 * 10**9, 10**10, ["acme", "blue"], "", 3_600_000)
    >>> print(finding_text(facts))
    All accounts together have spent 12.00 EUR this hour on calls to +882 13… (international networks); the cap is 10.00 EUR. \
The most: acme 8.00 EUR, blue 4.00 EUR. Ordered for 1 hour: refuse new calls of acme, blue to +882 13….
    """
    at = 0 if total.hour_nanos > 0 else 1
    most = [one for one in _shares(total) if not ordered or one in ordered]
    name, b_range = ("", subject.name) if subject.kind == "range" else (subject.name, "")
    to = prefix_destination(b_range)
    return Facts(
        subject_kind=subject.kind, name=name, b_range=b_range, cap=cap, value=in_range(value), limit=limit, currency=subject.currency,
        calls=total.hour_calls, nanos=in_range(total.hour_nanos), code=to.code, country=to.country, country_name=to.name, number_kind=to.kind,
        shares=[Share(one, in_range(total.shares[one][at])) for one in most[:MAX_NAMES]], more_accounts=max(0, len(most) - MAX_NAMES),
        shares_are_money=at == 0, action="block" if ordered else "", ttl_ms=ttl_ms if ordered else 0, no_block=no_block,
    )  # fmt: skip


def forget(state: Totals, at_ms: int) -> None:
    """Drop the episodes and subjects that were silent for two days; a subject with active calls stays."""
    before_ms = at_ms - 2 * 86_400_000
    alerts.forget(state.alerts, before_ms)
    for name in [name for name, total in state.totals.items() if not total.active and total.hour * 3_600_000 < before_ms]:
        del state.totals[name]


# --- the sums that judge gathers ---


def _of_column(kind: str, column: str) -> Callable[[pl.DataFrame, Limits], pl.Series | None]:
    def names(usage: pl.DataFrame, limits: Limits) -> pl.Series | None:
        if not (capped := limits.caps.get(kind)):
            return None
        rows = zip(usage["tenant"].to_list(), usage[column].to_list(), strict=True)
        return pl.Series([name if (tenant, name) in capped else "" for tenant, name in rows], dtype=pl.String)

    return names


def _of_ranges(usage: pl.DataFrame, limits: Limits) -> pl.Series | None:
    """The longest capped range that is a prefix of each b_number, or ""."""
    if not (capped := limits.caps.get("range")):
        return None
    lengths = sorted({len(prefix) for _, prefix in capped}, reverse=True)
    rows = zip(usage["tenant"].to_list(), usage["b_number"].to_list(), strict=True)
    return pl.Series([next((b[:n] for n in lengths if (tenant, b[:n]) in capped), "") for tenant, b in rows], dtype=pl.String)


DETECTOR = Spanning(
    name="overall_caps",
    about="a carrier, a trunk group, an ingress trunk or a range of numbers over all accounts exceeds a cap that the operator set: money "
    "per clock hour or day of UTC, concurrent calls, calls per second",
    sums={
        "carrier": _of_column("carrier", "carrier"),
        "trunk_group": _of_column("trunk_group", "trunk_group"),
        "trunk": _of_column("trunk", "ingress_trunk"),
        "range": _of_ranges,
    },
    by_account=("range",),
    capped=True,
    state=Totals,
    detect=detect,
    forget=forget,
)
