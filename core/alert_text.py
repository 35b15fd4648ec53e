"""The text of a finding, for a person at 3 a.m.: who calls where, how many calls, how much money against the normal, and what was done.

Only `finding_text(facts)` composes it. Subscribers' numbers are written as runs of digits, and numbers that could not be read between
“ and ”, so that `core.text.masked` and `ringfence.ops.redaction` find them.

>>> print(finding_text(Facts(subject_kind="account", account="ACME", calls=42, talk_ms=2_520_000, window_ms=360_000, nanos=24_450_000_000,
...     currency="EUR", usual_nanos=163_000_000, b_range="960900", share_percent=97, code="960", country="MV", country_name="Maldives",
...     number_kind="premium rate", action="block", ttl_ms=3_600_000)))
ACME is sending 42 calls: 24.45 EUR in 6 minutes, 150 times its normal (0.163 EUR). The suspicious ones go to +960 900… (Maldives, \
premium rate). Ordered for 1 hour: refuse new calls of ACME.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import msgspec

from core.facts import UNPRICED, Contribution, Facts, odds_of, probability
from core.money import to_decimal
from core.text import visible

NO_BLOCK = {
    "no account": "the switch authenticated no account for these callers, and a trunk is never blocked without a person",
    "a_number": "the alert about the one caller has a block of its own, which is narrower",
    "b_range": "the alert about the one caller and range has a block of its own, which is narrower",
    "destination": "a cap of one destination only warns",
    "first call": "a first call to a country only warns",
    "policy": "the policy sets `unpriced_blocks: never`",
    "uncertain": "it is not certain enough (policy.block_probability)",
    "cost": "the block would cost more than the expected loss (policy.block_loss, policy.refused_call_cost)",
    "regular": "it is a regular destination of the account, on several earlier days; a person decides",
    "wide": "a block would refuse the account's ordinary calls as well; a person decides",
    "warns": "this kind of finding only warns",
    "callers": "a block of callers cannot be refused by one key; a person decides",
    "disputed": "traffic pumping is disputed and re-rated; a person decides",
    "score": "the score is under the policy's `order_score`",
}  # fmt: skip
"""Code -> why a finding has no order. Any other text is the safety rule that forbids the order, and is shown unchanged."""


ZONES = ("account_range", "account_zone")
"""Kinds of subject that are an account's calls to a prefix, whoever calls."""


def finding_text(facts: Facts) -> str:
    """The whole finding: what happened and what was done about it."""
    return f"{observed_text(facts)} {action_text(facts)}".strip()


# --- what happened ---


def observed_text(facts: Facts) -> str:
    """What happened, without the action; also the reason of the order."""
    if facts.cap:
        return _cap(facts)
    if facts.subject_kind == UNPRICED:
        return _unpriced(facts)
    if facts.fraud == "callbacks":
        to = f"{range_text(facts.b_range, facts.code)}{place_text(facts)}"
        spent = f", {money_text(facts.nanos, facts.currency)}" if facts.nanos else ""
        return f"{facts.value:,} calls from {to} were given up within seconds; {counted(facts.calls, 'call')} back so far{spent}.{why_text(facts)}"
    if facts.fraud == "sim_box":
        return _sim_box(facts) + why_text(facts)
    if facts.fraud == "pumping" and facts.measured:
        return _pumping(facts) + why_text(facts)
    if facts.fraud in TESTED:
        return _tested(facts) + why_text(facts)
    if facts.fraud == "novelty":
        return _novel(facts) + why_text(facts)
    if facts.fraud in DIFFER:
        return _differs(facts) + why_text(facts)
    if facts.measured:
        return _route(facts) + why_text(facts)
    text = f"{caller_text(facts)} {_verb(facts)} {counted(facts.calls, 'call')}{_to(facts)}: {_spent(facts)}{_against(facts)}.{_mostly(facts)}"
    return text + why_text(facts)


FRAUDS = {
    "irsf": "revenue share fraud: calls pumped into a range that pays the caller's side",
    "irsf_block": "revenue share fraud over a block of numbers: many ranges of one destination",
    "irsf_slow": "revenue share fraud, slow and spread: few calls to each of many ranges",
    "irsf_short": "revenue share fraud with short calls, each charged a whole first increment",
    "takeover": "a stolen account or a hacked PBX: money goes to destinations that are new to the account",
    "test_calls": "test calls before a revenue share fraud: short calls to many new destinations",
    "subscription": "subscription or credit fraud: a new account that spends at once on expensive destinations",
    "sim_box": "a SIM box: international calls are sent on as local ones",
    "wangiri": "Wangiri: numbers are rung briefly so that they call back",
    "callbacks": "Wangiri: numbers are rung briefly so that they call back",
    "fas": "false answer supervision: calls are charged that nobody answered",
    "robocalls": "robocalls: one caller to very many numbers, hardly any conversation",
    "flash_calls": "flash calls: many calls that are given up before anybody could answer",
    "pumping": "traffic pumping: long calls at the same time to few numbers",
    "looping": "call looping: the same call comes back again and again",
    "learned": "what a trained scorer was shown as fraud",
    "refiling": "refiling: calls of other origins with few numbers of a cheap one",
    "spoofing": "false caller numbers: many calls from numbers that do not exist or cannot come in on this account",
    "fas_early": "early answers: calls are charged from before the telephone rang",
    "fas_recorded": "recorded answers: callers whom nobody answers are charged for a recording",
    "fas_late": "late disconnection: calls run on after the called person hung up",
    "novelty": "traffic that is unlike what any account sent lately; nobody has said what it is",
    "cli_local": "a SIM box: international calls are sent on as local ones",
    "cli_changed": "refiling: calls are sent on with the caller's number of another origin",
    "cli_missing": "a route that removes the caller's number, as SIM boxes and refiling do",
    "test_answer": "false answer supervision: calls are charged that nobody answered",
    "test_ringback": "false ringing: the caller is kept waiting while the call goes nowhere",
    "test_late": "late disconnection: calls are charged after the called person hung up",
}
"""Code -> what a finding looks like."""

DIFFER = {
    "fas_early": ("of the answers {0} came before a telephone can have rung (at least {1}), all of them after {2}", "{0}, after {1}"),
    "fas_recorded": ("callers hung up {0} of the answered ones within a minute (at least {1}), after {2}", "{0}, after {1}"),
    "fas_late": ("the called side hung up {0} of the answered ones (at most {1}), and they lasted {2}", "{0}, and {1}"),
}
"""Code of a kind of false answer -> what a carrier's calls do, and the other carriers'."""

TESTED = {
    "cli_local": ("showed a mobile number of the called country as the caller's", "do"),
    "cli_changed": ("showed another number than the caller's", "do"),
    "cli_missing": ("showed no number of the caller", "do"),
    "test_answer": ("were answered although our line did not ring or did not answer", "are"),
    "test_ringback": ("had a ring tone although our line did not ring", "do"),
    "test_late": ("went on after our line had hung up", "do"),
}
"""Of test calls: code of what went wrong -> what they did, and the verb for calls at large."""

EVIDENCE = {
    "rate": "calls now",
    "rate_day": "answered calls in a day",
    "new_zone": "hours since the first call to this destination, with new ones per day",
    "new_range": "hours since the first call into this range, with new ones per day",
    "price": "money per answered call",
    "risk": "risk of this kind of number",
    "share": "share of the account's calls",
    "spending": "money per hour, with the account's",
    "fresh_day": "money in a day to new destinations, with the account's",
    "excess": "money there in a day, with the account's usual day",
    "overlap": "answered calls at once",
    "conversation": "one number again and again, one call after the other",
    "off_hours": "how usual this hour is",
    "answered": "share of answered calls",
    "shorts": "share of very short calls",
    "regular": "earlier days with calls there",
    "spread": "share of calls into a range that was new",
    "distinct": "different numbers per call",
    "fresh": "money per hour to new destinations, with the account's",
    "zones": "new destinations now",
    "ranges": "new ranges of risky kinds in a day",
    "volume": "calls",
    "given_up": "calls given up at once",
    "day_money": "money of the account in a day",
    "day_share": "share of the account's money in a day",
    "per_minute": "money per minute",
    "rings": "share of calls given up at once",
    "callers": "different callers",
    "one_b": "answered calls to one number at once",
    "talk": "minutes per answered call",
    "repeats": "the same call again within 5 s",
    "age": "days since the first call",
    "sequential": "share of calls to the next number",
    "bad_cli": "share of calls from numbers that do not exist",
    "own_cli": "share of calls from the called country's own numbers",
    "imei": "SIMs in one device",
    "again": "blocks of this account in the last three days",
    "countries": "countries called for the first time in a day, with the account's calls per hour",
    "conference": "calls to one number, with those of one caller",
    "cells": "cells",
    "incoming": "calls received",
    "adjacent": "new SIMs next to it that began within 3 hours",
    "numbers": "different numbers",
    "again_there": "share of calls to a number that was called before",
    "accounts": "different accounts",
    "hours": "hours with such calls",
    "box": "SIMs on both sides of it that are of a box",
    "crowd": "new SIMs in its cell that began within 3 hours",
    "known": "days since this range was last reported or confirmed as fraud",
    "verdicts": "what people said of like alerts, learned from so many verdicts",
}
"""Code of a contribution -> what its number is; it is followed by the normal."""

MOST_EVIDENCE = 5


def evidence_text(code: str) -> str:
    """What the number of a contribution is; those of a trained scorer are named by its features.

    >>> evidence_text("rate"), evidence_text("model:account_zone.day_calls")
    ('calls now', 'account zone day calls')
    """
    return EVIDENCE.get(code) or code.removeprefix("model:").replace(".", " ").replace("_", " ")


def with_normal(one: Contribution) -> str:
    """A number beside its normal; a trained scorer compares with none.

    >>> with_normal(Contribution("rate", 3.2, 13.6, 0.2)), with_normal(Contribution("model:weight", 1.0, 6.0, 0.0))
    ('calls now 13.6, normal 0.2', 'weight 6')
    """
    normal = "" if one.code.startswith("model:") else f", normal {one.normal:,.4g}"
    return f"{evidence_text(one.code)} {one.value:,.4g}{normal}"


def why_text(facts: Facts) -> str:
    """What it looks like, why, how likely that is, and what waiting costs.

    >>> from core.facts import Contribution
    >>> evidence = [Contribution("rate", 4.0, 42.0, 0.3), Contribution("overlap", 3.0, 5.2, 0.0), Contribution("risk", 5.5, 6.0, 1.0)]
    >>> print(why_text(Facts(subject_kind="account_range", fraud="irsf", prior=-10.0, loss=12.3, evidence=evidence)).strip())
    It looks like revenue share fraud: calls pumped into a range that pays the caller's side. Probability 92.4 %: calls now 42, normal 0.3 \
(+4.0); answered calls at once 5.2, normal 0 (+3.0); risk of this kind of number 6, normal 1 (+5.5). The next 15 minutes would cost about \
12.30.
    """
    if not facts.fraud:
        return ""
    likely = 100 * probability(odds_of(facts))
    most = facts.evidence[:MOST_EVIDENCE]
    listed = "; ".join(f"{with_normal(one)} ({one.points:+.1f})" for one in most)
    why = f" Probability {min(likely, 99.9):.3g} %: {listed}." if listed else ""
    waiting = f" The next 15 minutes would cost about {f'{facts.loss:,.2f} {facts.currency}'.strip()}." if facts.loss >= 0.01 else ""
    return f" It looks like {FRAUDS[facts.fraud]}.{why}{waiting}"


def _verb(facts: Facts) -> str:
    """`is` for one account or caller, `are` for several."""
    is_one = facts.account and (facts.a_number or facts.subject_kind in ("account", UNPRICED, "destination", *ZONES))
    return "is sending" if is_one or (facts.a_number and facts.subject_kind != "account") else "are sending"


def _pumping(facts: Facts) -> str:
    accounts, numbers = (round(value) for value in facts.measured)
    spent = f", {money_text(facts.nanos, facts.currency)}" if facts.nanos else ""
    return (
        f"{counted(facts.calls, 'long call')} of {counted(accounts, 'account')} to {counted(numbers, 'number')} of "
        f"{range_text(facts.b_range, facts.code)}{place_text(facts)}: {talk_text(facts.talk_ms)} in {span_text(facts.window_ms)}{spent}."
    )


def _sim_box(facts: Facts) -> str:
    cards, devices, cells, numbers, received = (round(value) for value in facts.measured)
    where = f"{counted(devices, 'device')} and {counted(cells, 'cell')}"
    more = f" and {facts.more_accounts:,} more" if facts.more_accounts else ""
    return (
        f"{counted(cards, 'SIM card')} in {where} have made {counted(facts.calls, 'call')} to {counted(numbers, 'number')}, and received "
        f"{received:,}: {', '.join(visible(one.account) for one in facts.shares)}{more}."
    )


def _route(facts: Facts) -> str:
    """A carrier to a destination against the others."""
    asr, peers_asr, delay_s, peers_delay_s, shorts, peers_shorts = facts.measured
    to = f"{range_text(facts.b_range, facts.code)}{place_text(facts)}"
    return (
        f"Carrier {visible(facts.name)} answers {asr:.0%} of {counted(facts.calls, 'call')} to {to} in a day, after {delay_s:.2g} s; the other "
        f"carriers {peers_asr:.0%}, after {peers_delay_s:.2g} s. Very short: {shorts:.0%}, theirs {peers_shorts:.0%}."
    ).replace("%", " %")


def _novel(facts: Facts) -> str:
    """A quarter of an hour of an account."""
    usual, answered, talk_s, shorts = facts.measured
    spent = f", {money_text(facts.nanos, facts.currency)}" if facts.nanos else ""
    return (
        f"{visible(facts.account)} has sent {counted(facts.calls, 'call')} in a quarter of an hour (usually {usual:,.0f}): {answered * 100:.0f} % "
        f"answered, {talk_s:,.0f} s of talk per answered call, {shorts * 100:.0f} % of them very short{spent}."
    )


def _differs(facts: Facts) -> str:
    """A carrier to a destination against the others, by one share of its calls and one length in seconds."""
    share, bound, peers_share, measure, peers_measure = facts.measured
    mine, theirs = DIFFER[facts.fraud]
    said = mine.format(f"{share * 100:.0f} %", f"{bound * 100:.0f} %", f"{measure:,.3g} s")
    peers = theirs.format(f"{peers_share * 100:.0f} %", f"{peers_measure:,.3g} s")
    to = f"{range_text(facts.b_range, facts.code)}{place_text(facts)}"
    return f"Carrier {visible(facts.name)}, of {counted(facts.calls, 'call')} to {to} in a day: {said}; of the other carriers' {peers}."


def _tested(facts: Facts) -> str:
    """A carrier's test calls to a destination against the others'."""
    bad, low, peers_bad, peers_tests, late_s = facts.measured
    did, verb = TESTED[facts.fraud]
    longer = f" (for {late_s:,.2g} s, the median)" if late_s else ""
    to = f"{range_text(facts.b_range, facts.code)}{place_text(facts)}"
    peers = f"over the other carriers {peers_bad:,.0f} of {peers_tests:,.0f}" if peers_tests else "no other carrier was tested there"
    return (
        f"Carrier {visible(facts.name)}: {bad:,.0f} of {counted(facts.calls, 'test call')} to {to} {did}{longer}, so at least {low * 100:.0f} % of "
        f"its calls {verb}; {peers}."
    )


def _unpriced(facts: Facts) -> str:
    """
    >>> _unpriced(Facts(subject_kind="unpriced", account="acme", calls=150, talk_ms=72_000_000, window_ms=1_860_000, dialled=["1234#88213"]))
    'acme is sending 150 calls to numbers that cannot be read or priced, dialled as “1234#88213”: 1,200 minutes of talk in 31 minutes. \
No price is known for them; a carrier may connect them anywhere.'
    """
    price = f"Their feed prices them at {money_text(facts.nanos, facts.currency)}" if facts.nanos else "No price is known for them"
    return (
        f"{caller_text(facts)} {_verb(facts)} {counted(facts.calls, 'call')} to numbers that cannot be read or priced{_dialled(facts)}: "
        f"{talk_text(facts.talk_ms)} in {span_text(facts.window_ms)}. {price}; a carrier may connect them anywhere."
    )


def caller_text(facts: Facts) -> str:
    """The caller or callers.

    >>> caller_text(Facts(subject_kind="b_range", account="acme", a_number="436641234567")), caller_text(Facts(subject_kind="account", trunk="in-1"))
    ('Caller +436641234567 of acme', 'Callers without an account on trunk in-1')
    """
    if not facts.account:
        who = f"Callers without an account on trunk {visible(facts.trunk)}" if facts.trunk else "Callers without an account"
        return f"Caller +{facts.a_number} without an account" if facts.a_number and facts.subject_kind != "account" else who
    if facts.subject_kind in ("account", UNPRICED) or (facts.subject_kind in ZONES and not facts.a_number):
        return visible(facts.account)
    if facts.subject_kind == "a_range":
        return f"Callers of {visible(facts.account)} from {range_text(facts.a_number[:-4])}"
    if facts.a_number:
        return f"Caller +{facts.a_number} of {visible(facts.account)}"
    return f"Withheld callers of {visible(facts.account)}"


def range_text(b_range: str, code: str = "") -> str:
    """A range of numbers, its country calling code separated. Not in groups of three digits: masking finds numbers as runs of digits.

    >>> range_text("960900", "960"), range_text("8821312"), range_text("882", "882")
    ('+960 900…', '+8821312…', '+882…')
    """
    rest = b_range.removeprefix(code) if code else ""
    return f"+{code} {rest}…" if rest and rest != b_range else f"+{b_range}…"


def place_text(facts: Facts) -> str:
    """A destination in brackets: country and kind of number; "" = unknown.

    >>> place_text(Facts(subject_kind="account", country="LV", country_name="Latvia", number_kind="mobile"))
    ' (Latvia, mobile)'
    """
    known = [part for part in (facts.country_name or facts.country, facts.number_kind) if part]
    return f" ({', '.join(known)})" if known else ""


def _to(facts: Facts) -> str:
    """The destination, where all calls go to one range or to one kind of number."""
    if facts.subject_kind in ("b_range", *ZONES):
        return f" to {range_text(facts.b_range, facts.code)}{place_text(facts)}"
    return f" to {_a(facts.number_kind)}" if facts.number_kind and not facts.b_range else ""


def _mostly(facts: Facts) -> str:
    """Where the suspicious calls go: money weighted by risk and by how many calls go to one range.

    >>> _mostly(Facts(subject_kind="account", b_range="882131", code="882", number_kind="international networks", share_percent=97))
    ' The suspicious ones go to +882 131… (international networks).'
    """
    if facts.subject_kind in ("b_range", *ZONES) or not facts.b_range or facts.share_percent <= 0:
        return ""
    to = f"{range_text(facts.b_range, facts.code)}{place_text(facts)}"
    if facts.share_percent >= 95:
        return f" The suspicious ones go to {to}."
    return f" Most of the suspicious ones go to {to}." if facts.share_percent > 50 else f" The suspicious ones go to several ranges, among them {to}."


def _a(kind: str) -> str:
    return kind if kind.endswith("numbers") else f"{kind} numbers"


def _spent(facts: Facts) -> str:
    """Money or talk, and the length of the window.

    >>> _spent(Facts(subject_kind="account", talk_ms=7_200_000, window_ms=540_000))
    '120 minutes of talk in 9 minutes, at no known price'
    """
    within = f" in {span_text(facts.window_ms)}" if facts.window_ms else ""
    if facts.nanos or facts.currency:
        return f"{money_text(facts.nanos, facts.currency)}{within}"
    return f"{talk_text(facts.talk_ms)}{within}, at no known price"


def _against(facts: Facts) -> str:
    """The comparison with the subject's normal.

    >>> _against(Facts(subject_kind="b_range", account="acme", window_ms=360_000, nanos=10**10, currency="EUR", quiet_ms=21_600_000,
    ...                account_usual_nanos=160_000_000))
    '; the first calls there in at least 6 hours. All calls of acme together usually come to 0.16 EUR in 6 minutes'
    """
    there = " there" if facts.subject_kind in ("b_range", *ZONES) else ""
    text = ""
    if facts.nanos and facts.usual_nanos:
        text = f", {times_text(facts.nanos, facts.usual_nanos)} its normal ({money_text(facts.usual_nanos, facts.currency)})"
    elif facts.quiet_ms >= 60_000:
        text = f"; the first calls{there} in at least {span_text(facts.quiet_ms)}"
    elif facts.usual_nanos is None:
        text = "; what is normal is not known yet"
    if facts.nanos and facts.account_usual_nanos and not facts.usual_nanos:
        usual = money_text(facts.account_usual_nanos, facts.currency)
        text += f". All calls of {visible(facts.account)} together usually come to {usual} in {span_text(facts.window_ms)}"
    return text


def _dialled(facts: Facts) -> str:
    """
    >>> _dialled(Facts(subject_kind="unpriced", dialled=["0088213\\x00", "alice"]))
    ', dialled as “0088213�”, “alice”'
    """
    return ", dialled as " + ", ".join(quoted(one) for one in facts.dialled[-MOST_EXAMPLES:]) if facts.dialled else ""


MOST_EXAMPLES = 3
MOST_DIALLED = 40
"""Characters of a number as it was dialled; the rest is left out."""


def quoted(dialled: str) -> str:
    """A number as it was dialled, between quotation marks that it cannot contain itself.

    >>> quoted("1”2"), quoted(""), quoted("7" * 50)
    ("“1'2”", 'an empty number', '“7777777777777777777777777777777777777777…”')
    """
    text = visible(dialled.strip()).replace("“", "'").replace("”", "'")
    if not text:
        return "an empty number"
    return f"“{text[:MOST_DIALLED]}{'…' if len(text) > MOST_DIALLED else ''}”"


# --- caps ---


def _cap(facts: Facts) -> str:
    """
    >>> _cap(Facts(subject_kind="account", account="acme", cap="concurrent_calls", value=61, limit=60))
    'acme has 61 calls at once; its cap is 60.'
    >>> from core.facts import Share
    >>> _cap(Facts(subject_kind="range", b_range="882", cap="money_hour", value=12 * 10**9, limit=10**10, currency="EUR",
    ...            shares=[Share("acme", 8 * 10**9)]))
    'All accounts together have spent 12.00 EUR this hour on calls to +882…; the cap is 10.00 EUR. The most: acme 8.00 EUR.'
    """
    if facts.cap == "first_seen":
        who = caller_text(msgspec.structs.replace(facts, subject_kind="account"))
        country = facts.country_name or facts.country or "an unknown country"
        return f"{who} {'calls' if facts.account else 'call'} {country} for the first time{_first(facts)}."
    whose = "the" if facts.subject_kind == "range" else "its"
    line = f"; {whose} cap{' for one destination' if facts.subject_kind == 'destination' else ''} is {_value(facts, facts.limit)}."
    value = _value(facts, facts.value)
    if value == _value(facts, facts.limit):  # the two differ by less than is shown
        value = f"more than {value}"
    if facts.cap in ("money_hour", "money_day"):
        when = "this hour" if facts.cap == "money_hour" else "today (UTC)"
        text = f"{_owner(facts)} spent {value} {when}{_on(facts)}"
    elif facts.cap == "concurrent_calls":
        text = f"{_owner(facts)} {counted(facts.value, 'call')} at once{_on(facts)}"
    elif facts.cap == "calls_per_second":
        text = f"{_owner(facts)} begun {counted(facts.value, 'call')}{_on(facts)} in one second"
    elif facts.cap == "calls_hour":
        text = f"{_owner(facts)} made {counted(facts.value, 'answered call')} this hour{_on(facts)}"
    elif facts.cap == "minutes_hour":
        text = f"{_owner(facts)} talked {value} this hour{_on(facts)}"
    else:
        text = f"{_owner(facts)} reached {value} of {facts.cap.replace('_', ' ')}{_on(facts)}"
    return text + line + _most(facts)


def _owner(facts: Facts) -> str:
    """The owner of the cap, as the subject of the sentence."""
    if facts.subject_kind in ("account", "destination", UNPRICED):
        who = visible(facts.account) if facts.account else caller_text(Facts(subject_kind="account", trunk=facts.trunk))
        return f"{who} {'has' if facts.account else 'have'}"
    return "All accounts together have"


def _on(facts: Facts) -> str:
    if facts.subject_kind == "destination":
        return f" on calls to {facts.country_name or facts.country or 'no known country'}"
    if facts.subject_kind == UNPRICED:
        return f" to numbers that cannot be read or priced{_dialled(facts)}"
    if facts.subject_kind == "range":
        return f" on calls to {range_text(facts.b_range, facts.code)}{place_text(facts)}"
    over = {"carrier": " over carrier ", "trunk_group": " over trunk group ", "trunk": " that come in over trunk "}.get(facts.subject_kind)
    if over and facts.subject_kind == "trunk" and facts.cap.startswith("money"):
        over = " on calls" + over
    return f"{over}{visible(facts.name)}" if over else ""


def _value(facts: Facts, value: int) -> str:
    if facts.cap.startswith("money"):
        return money_text(value, facts.currency)
    return counted(value // 60_000, "minute") if facts.cap == "minutes_hour" else f"{value:,}"


def _first(facts: Facts) -> str:
    kind = f", {facts.number_kind}" if facts.number_kind else ""
    return f": {range_text(facts.b_range, facts.code)}{kind}" if facts.b_range else ""


def _most(facts: Facts) -> str:
    if not facts.shares:
        return ""
    is_money = facts.shares_are_money
    parts = [f"{visible(a)} {money_text(v, facts.currency) if is_money else counted(v, 'call')}" for a, v in facts.shares]
    more = f" and {facts.more_accounts:,} more" if facts.more_accounts else ""
    return f" The most: {', '.join(parts)}{more}."


# --- the action ---


def action_text(facts: Facts) -> str:
    """The order that was made. Whether the switches refuse already, only mark, or wait is in the books.

    >>> action_text(Facts(subject_kind="b_range", account="acme", a_number="436641234567", b_range="8821312", action="block", ttl_ms=5_400_000))
    'Ordered for 90 minutes: refuse new calls of caller +436641234567 of acme to +8821312….'
    >>> action_text(Facts(subject_kind="sim_box", fraud="sim_box", action="block"))[:52]
    'Ordered: refuse new calls of each card that is prove'
    >>> action_text(Facts(subject_kind="unpriced", account="acme", action="ask")), action_text(Facts(subject_kind="account", no_block="no account"))
    ('Nothing is refused yet: an order against acme waits for a person (`ringfence orders --waiting`).', \
'Not blocked: the switch authenticated no account for these callers, and a trunk is never blocked without a person.')
    """
    why = f"Not blocked: {NO_BLOCK.get(facts.no_block, facts.no_block)}." if facts.no_block else ""
    if facts.action == "ask" and facts.fraud == "sim_box":
        return "Nothing is refused yet: an order against each card waits for a person (`ringfence orders --waiting`)."
    if facts.action == "ask" and facts.fraud == "pumping":
        return f"Nothing is refused yet: an order to refuse {blocked_calls_text(facts)} waits for a person (`ringfence orders --waiting`)."
    if facts.action == "ask":
        return f"Nothing is refused yet: an order against {visible(facts.account)} waits for a person (`ringfence orders --waiting`)."
    if facts.action == "block" and facts.fraud == "sim_box":
        return "Ordered: refuse new calls of each card that is proven; orders against the others wait for a person (`ringfence orders --waiting`)."
    if facts.action == "block":
        return f"Ordered for {span_text(facts.ttl_ms)}: refuse {blocked_calls_text(facts)}. {why}".strip()
    if facts.action == "before":
        return f"Ordered before, for another {span_text(facts.ttl_ms)}: refuse {blocked_calls_text(facts)}."
    return why


def blocked_calls_text(facts: Facts) -> str:
    """The calls that the order of a finding refuses.

    >>> blocked_calls_text(Facts(subject_kind="b_range", account="acme", b_range="8821312", code="882"))
    'new calls of acme to +882 1312…'
    >>> blocked_calls_text(Facts(subject_kind="account_zone", account="acme", b_range="2526", code="252", narrow="25261234"))
    'new calls of acme to +252 61234… alone, as little is lost so far'
    >>> blocked_calls_text(Facts(subject_kind="a_range", account="acme", a_number="48600123001"))
    'new calls of caller +48600123001 of acme, and so of each number of its block that calls'
    """
    if facts.wide:
        return f"new calls of {visible(facts.account)} to {range_text(facts.wide, facts.code)}, as its fraud came back or moved on"
    to = f" to {range_text(facts.narrow or facts.b_range, facts.code)}" if facts.subject_kind in ("b_range", "range", *ZONES) else ""
    to += " alone, as little is lost so far" if facts.narrow else ""
    if facts.fraud in ("callbacks", "pumping"):
        return f"new calls of every account{to}"
    if facts.subject_kind == "range":
        more = f" and {facts.more_accounts:,} more" if facts.more_accounts else ""
        return f"new calls of {', '.join(visible(one.account) for one in facts.shares)}{more}{to}"
    if facts.subject_kind == "a_range":
        return f"new calls of caller +{facts.a_number} of {visible(facts.account)}, and so of each number of its block that calls"
    caller = f"caller +{facts.a_number} of " if facts.a_number and facts.subject_kind in ("a_number", "b_range", *ZONES) else ""
    return f"new calls of {caller}{visible(facts.account)}{to}"


# --- numbers ---


def counted(n: int, what: str) -> str:
    """
    >>> counted(1, "call"), counted(1500, "call")
    ('1 call', '1,500 calls')
    """
    return f"{n:,} {what}{'s' * (n != 1)}"


def money_text(nanos: int, currency: str = "") -> str:
    """An amount for display: two decimals from 1 up, three from 0.1 up, four below that.

    >>> money_text(24_450_000_000, "EUR"), money_text(163_400_000, "EUR"), money_text(1_234_567_890_000, "EUR"), money_text(1, "EUR")
    ('24.45 EUR', '0.163 EUR', '1,234.57 EUR', 'less than 0.0001 EUR')
    """
    value = to_decimal(abs(nanos))
    if 0 < value < Decimal("0.0001"):
        return f"{'-' * (nanos < 0)}less than 0.0001 {currency}".strip()
    decimals = 2 if value >= 1 or not value else 3 if value >= Decimal("0.1") else 4
    text = f"{value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP):,f}"
    whole, _, rest = text.partition(".")
    text = f"{whole}.{rest.rstrip('0').ljust(2, '0')}"
    return f"{'-' * (nanos < 0)}{text} {currency}".strip()


def times_text(value: int, usual: int) -> str:
    """How many times the usual, to two significant figures: more would be noise.

    >>> times_text(150_2371, 10_000), times_text(44, 10), times_text(12, 10), times_text(3_456_789, 1), times_text(9, 10)
    ('150 times', '4.4 times', '1.2 times', '3,500,000 times', 'not more than')
    """
    ratio = Decimal(value) / usual
    if ratio <= 1:
        return "not more than"
    step = Decimal(1).scaleb(ratio.adjusted() - 1)
    text = f"{(ratio / step).to_integral_value(ROUND_HALF_UP) * step:,f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} times"


def span_text(ms: int) -> str:
    """A duration, in units as fine as its size needs.

    >>> [span_text(ms) for ms in (900, 45_000, 60_000, 360_000, 5_400_000, 7_300_000, 3_600_000, 12_500_000, 60_000_000, 200_000_000)]
    ['1 second', '45 seconds', '1 minute', '6 minutes', '90 minutes', '2 hours', '1 hour', '3 hours 28 minutes', '17 hours', '2 days']
    """
    seconds = max(1, round(ms / 1000))
    if seconds < 120:
        return "1 minute" if seconds == 60 else counted(seconds, "second")
    minutes = (seconds + 30) // 60
    if 120 <= minutes < 600 and minutes % 60 >= 5:
        return f"{minutes // 60} hours {minutes % 60} minutes"
    if minutes == 60 or minutes >= 120:
        hours = (minutes + 30) // 60
        return counted(hours, "hour") if hours < 48 else counted(hours // 24, "day")
    return counted(minutes, "minute")


def talk_text(ms: int) -> str:
    """Talk time: seconds, then minutes, as carriers count talk.

    >>> talk_text(0), talk_text(59_400), talk_text(72_000_000)
    ('no talk', '59 seconds of talk', '1,200 minutes of talk')
    """
    if ms <= 0:
        return "no talk"
    return f"{span_text(ms)} of talk" if ms < 120_000 else f"{counted(round(ms / 60_000), 'minute')} of talk"
