"""Hard caps of what spans partitions: a carrier, a trunk group, an ingress trunk, and a range over all accounts.

The same lines as `detectors.caps`, over sums instead of rows: what each second added, taken cut by cut (flows/sums.py). A cut holds the same
rows however many processes judged them, so what is found does not depend on that either. Money an hour and a day count in UTC's clock
hours and days; a second of an hour that has passed is added to no later one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import polars as pl

from core.alert_words import what_of, words_of
from core.config import Caps
from core.facts import Facts, Share
from core.ids import derived_id
from core.money import in_range
from core.orders import Finding, Key
from core.policy import Policy
from core.safety import Protected, refusal
from detectors.caps import crossed
from detectors.destination import prefix_destination
from detectors.policy import Alert, Verdict, order_of, running
from detectors.policy import forget as forget_alerts
from detectors.recent import EXAMPLES

SHARE = 0.05
"""Of what all accounts together do in a range: whoever does less is not ordered against when the range is over its cap."""
SECONDS = 60
"""Event seconds of which calls a second are remembered: a cut may bring more of one that an earlier cut began."""
NAMED = 3  # accounts that an alert names


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


def add(
    state: Totals, cut: pl.DataFrame, caps: Mapping[str, Mapping[tuple[str, str], Caps]], policy: Policy, protected: Protected
) -> Verdict:
    """Add one cut to the totals (in place), second by second, and judge each capped subject after each second of its own.

    `cut`: columns tenant, kind, subject, account, second_ms, currency, nanos, calls, flying, learned_ms, call_id: a row a subject, second
    and partition, in any order.
    """
    verdict = Verdict([], [], {})
    by = ("second_ms", "tenant", "kind", "subject")
    rows = cut.sort(*by, "currency", "account", "call_id")
    for group in rows.partition_by(by, maintain_order=True):
        t_ms, tenant, kind, name = group.select(by).row(0)
        if (cap := caps.get(kind, {}).get((tenant, name))) is None:
            continue
        for currency in sorted({"", *group["currency"].to_list()}):
            of = Subject(tenant, kind, name, currency)
            total = state.totals.setdefault("\x1f".join(of), Total())
            _count(total, t_ms, group, of)
            second_calls = total.seconds.get(t_ms // 1000, 0)
            for which, value, line in crossed(cap, total.hour_nanos, total.day_nanos, total.flying, second_calls):
                _say(state.alerts, verdict, total, of, t_ms, which, value, line, policy, protected)
    return verdict


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
    total.examples = list(dict.fromkeys([*total.examples, *group["call_id"].to_list()]))[-EXAMPLES:]


def _sum(group: pl.DataFrame, column: str) -> int:
    """In Python's integers: many calls together may be more than 64 bits of nanos."""
    return sum(group[column].to_list())


def _say(
    alerts: dict[str, Alert], verdict: Verdict, total: Total, of: Subject, t_ms: int, which: str, value: int, line: int,
    policy: Policy, protected: Protected,
) -> None:  # fmt: skip
    """Fold a crossing into its episode, and say it again each minute, as `detectors.policy.decide` does."""
    tenant, kind, subject, currency = of
    name, score = "\x1f".join((which, *of)), value / line if line else 1.0
    alert = running(alerts, name, t_ms, score, policy)
    if alert is not None and t_ms - alert.said_ms < policy.reissue_ms:
        return
    if alert is None:
        finding_id = derived_id("finding", tenant, f"cap_{which}", kind, subject, currency, t_ms // policy.episode_ms)
        alert = alerts[name] = Alert(finding_id, t_ms, t_ms, t_ms, 0, 0, 0, 0, score)
    alert.said_ms, alert.issues = t_ms, alert.issues + 1
    keys: list[Key] = []
    refusals: list[str] = [] if kind == "range" else ["warns"]
    reason = what_of(facts_of(of, total, which, value, line, (), "", 0))
    for account in _shares(total) if kind == "range" and score >= policy.order_score else ():
        key = Key(tenant=tenant, account=account, b_range=subject)
        order = order_of(key, alert, t_ms, total.learned_ms, reason, policy, by="watch")
        if no := refusal(order, protected, automatic=True):
            refusals.append(no)
            continue
        verdict.orders.append(order)
        keys.append(key)
    if kind == "range" and not keys and not refusals:
        refusals.append("score" if score < policy.order_score else "no account")
    facts = facts_of(of, total, which, value, line, [key.account for key in keys], "; ".join(refusals), policy.order_ttl_ms)
    verdict.findings.append(
        Finding(
            finding_id=alert.finding_id, tenant=tenant, detector=f"cap_{which}", subject_kind=kind, subject=subject,
            detected_at_ms=alert.detected_at_ms, first_ms=alert.first_ms, last_ms=alert.last_ms, calls=total.hour_calls,
            exposure_nanos=in_range(total.day_nanos if which == "money_day" else total.hour_nanos), currency=currency,
            score=round(alert.score, 3), reason=words_of(facts), example_call_ids=list(total.examples), key=keys[0] if keys else None,
            learned_ms=total.learned_ms, facts=facts,
        )
    )  # fmt: skip


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
    >>> print(words_of(facts))
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
        shares=[Share(one, in_range(total.shares[one][at])) for one in most[:NAMED]], more_accounts=max(0, len(most) - NAMED),
        shares_are_money=at == 0, action="block" if ordered else "", ttl_ms=ttl_ms if ordered else 0, no_block=no_block,
    )  # fmt: skip


def forget(state: Totals, now_ms: int) -> None:
    """Episodes and subjects that have been silent for two days are over; a subject with calls in flight stays."""
    before_ms = now_ms - 2 * 86_400_000
    forget_alerts(state.alerts, before_ms)
    for name in [name for name, total in state.totals.items() if not total.flying and total.hour * 3_600_000 < before_ms]:
        del state.totals[name]
