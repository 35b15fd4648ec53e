"""The text of an alert for every rule: who, where to, how much, against which normal, and the action."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.alert_text import action_text, finding_text, money_text, observed_text, quoted, span_text, times_text
from core.facts import Facts, Share
from core.text import masked
from ringfence.ops import redaction

MINUTE_MS, EUR = 60_000, 10**9
MALDIVES = {"b_range": "960900", "code": "960", "country": "MV", "country_name": "Maldives", "number_kind": "premium rate"}
SPENT = {"calls": 42, "talk_ms": 42 * MINUTE_MS, "window_ms": 6 * MINUTE_MS, "nanos": 24_450_000_000, "currency": "EUR"}

OBSERVED = [
    (
        "a caller and a range, with a past",
        Facts(subject_kind="b_range", account="ACME", a_number="436641234567", usual_nanos=163_000_000, **SPENT, **MALDIVES),
        "Caller +436641234567 of ACME is sending 42 calls to +960 900… (Maldives, premium rate): 24.45 EUR in 6 minutes, "
        "150 times its normal (0.163 EUR).",
    ),
    (
        "one call",
        Facts(subject_kind="b_range", account="ACME", a_number="43664123456", **{**SPENT, "calls": 1, "window_ms": 60_000}, **MALDIVES),
        "Caller +43664123456 of ACME is sending 1 call to +960 900… (Maldives, premium rate): 24.45 EUR in 1 minute; "
        "what is normal is not known yet.",
    ),
    (
        "a withheld caller, nothing before",
        Facts(subject_kind="b_range", account="ACME", quiet_ms=6 * 60 * MINUTE_MS, account_usual_nanos=160_000_000, **SPENT, **MALDIVES),
        "Withheld callers of ACME are sending 42 calls to +960 900… (Maldives, premium rate): 24.45 EUR in 6 minutes; the first calls there "
        "in at least 6 hours. All calls of ACME together usually come to 0.16 EUR in 6 minutes.",
    ),
    (
        "an account, to many ranges",
        Facts(subject_kind="account", account="ACME", usual_nanos=2 * EUR, share_percent=40, **SPENT, **MALDIVES),
        "ACME is sending 42 calls: 24.45 EUR in 6 minutes, 12 times its normal (2.00 EUR). The suspicious ones go to several ranges, among them "
        "+960 900… (Maldives, premium rate).",
    ),
    (
        "callers that the switch does not know",
        Facts(subject_kind="account", trunk="in-7", share_percent=70, **SPENT, **MALDIVES),
        "Callers without an account on trunk in-7 are sending 42 calls: 24.45 EUR in 6 minutes; what is normal is not known yet. "
        "Most of the suspicious ones go to +960 900… (Maldives, premium rate).",
    ),
    (
        "a code of the whole world",
        Facts(subject_kind="b_range", account="ACME", b_range="8821312", code="882", number_kind="international networks", **SPENT),
        "Withheld callers of ACME are sending 42 calls to +882 1312… (international networks): 24.45 EUR in 6 minutes; "
        "what is normal is not known yet.",
    ),
    (
        "no price",
        Facts(subject_kind="a_number", account="ACME", a_number="43664123456", calls=3, talk_ms=90 * MINUTE_MS, window_ms=MINUTE_MS * 31),
        "Caller +43664123456 of ACME is sending 3 calls: 90 minutes of talk in 31 minutes, at no known price; what is normal is not known yet.",
    ),
    (
        "short numbers",
        Facts(subject_kind="account", account="ACME", number_kind="short numbers", **SPENT),
        "ACME is sending 42 calls to short numbers: 24.45 EUR in 6 minutes; what is normal is not known yet.",
    ),
    (
        "numbers that cannot be read",
        Facts(subject_kind="unpriced", account="ACME", calls=150, talk_ms=1200 * MINUTE_MS, window_ms=31 * MINUTE_MS, dialled=["12#34", "", "x”y"]),
        "ACME is sending 150 calls to numbers that cannot be read or priced, dialled as “12#34”, an empty number, “x'y”: 1,200 minutes of talk "
        "in 31 minutes. No price is known for them; a carrier may connect them anywhere.",
    ),
    ("money", Facts(subject_kind="account", account="ACME", cap="money_hour", value=10_020_000_000, limit=10 * EUR, currency="EUR"),
     "ACME has spent 10.02 EUR this hour; its cap is 10.00 EUR."),
    ("money, by a hair", Facts(subject_kind="account", account="ACME", cap="money_day", value=10 * EUR + 1, limit=10 * EUR, currency="EUR"),
     "ACME has spent more than 10.00 EUR today (UTC); its cap is 10.00 EUR."),
    ("calls at once", Facts(subject_kind="account", account="ACME", cap="concurrent_calls", value=1061, limit=1060),
     "ACME has 1,061 calls at once; its cap is 1,060."),
    ("calls per second", Facts(subject_kind="account", account="ACME", cap="calls_per_second", value=6, limit=5),
     "ACME has begun 6 calls in one second; its cap is 5."),
    ("one destination", Facts(subject_kind="destination", account="ACME", cap="money_hour", value=51 * EUR, limit=50 * EUR, currency="EUR",
                              country="LV", country_name="Latvia"),
     "ACME has spent 51.00 EUR this hour on calls to Latvia; its cap for one destination is 50.00 EUR."),
    ("a first call", Facts(subject_kind="destination", account="ACME", a_number="4366412345", cap="first_seen", value=1, b_range="3712012",
                           code="371", country="LV", country_name="Latvia", number_kind="mobile"),
     "ACME calls Latvia for the first time: +371 2012…, mobile."),
    ("a carrier", Facts(subject_kind="carrier", name="alpha", cap="money_hour", value=20_010 * EUR, limit=20_000 * EUR, currency="EUR"),
     "All accounts together have spent 20,010.00 EUR this hour over carrier alpha; its cap is 20,000.00 EUR."),
    ("a trunk", Facts(subject_kind="trunk", name="in-7", cap="calls_per_second", value=9, limit=3),
     "All accounts together have begun 9 calls that come in over trunk in-7 in one second; its cap is 3."),
    ("a range", Facts(subject_kind="range", b_range="882", code="882", number_kind="international networks", cap="money_hour", value=12 * EUR,
                      limit=10 * EUR, currency="EUR", shares=[Share("ACME", 8 * EUR), Share("blue", 4 * EUR)], more_accounts=2),
     "All accounts together have spent 12.00 EUR this hour on calls to +882… (international networks); the cap is 10.00 EUR. "
     "The most: ACME 8.00 EUR, blue 4.00 EUR and 2 more."),
    ("minutes that cannot be priced", Facts(subject_kind="unpriced", account="ACME", cap="minutes_hour", value=361_000, limit=300_000,
           dialled=["1#2"]),
     "ACME has talked 6 minutes this hour to numbers that cannot be read or priced, dialled as “1#2”; its cap is 5 minutes."),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "text"), [row[1:] for row in OBSERVED], ids=[row[0] for row in OBSERVED])
def test_observed_text(facts: Facts, text: str):
    assert observed_text(facts) == text


DONE = [
    (Facts(subject_kind="account", account="ACME", action="block", ttl_ms=3_600_000), "Ordered for 1 hour: refuse new calls of ACME."),
    (
        Facts(subject_kind="b_range", account="ACME", a_number="4366412345", b_range="960900", code="960", action="before", ttl_ms=35 * MINUTE_MS),
        "Ordered before, for another 35 minutes: refuse new calls of caller +4366412345 of ACME to +960 900….",
    ),
    (Facts(subject_kind="account", account="ACME", no_block="b_range"),
     "Not blocked: the alert about the one caller and range has a block of its own, which is narrower."),
    (Facts(subject_kind="account", account="ACME", no_block="account ACME is protected"), "Not blocked: account ACME is protected."),
    (Facts(subject_kind="range", b_range="882", code="882", shares=[Share("ACME", 1)], more_accounts=3, action="block", ttl_ms=5_400_000),
     "Ordered for 90 minutes: refuse new calls of ACME and 3 more to +882…."),
    (Facts(subject_kind="unpriced", account="ACME", action="ask", ttl_ms=1),
     "Nothing is refused yet: an order against ACME waits for a person (`ringfence orders --waiting`)."),
    (Facts(subject_kind="account", account="ACME"), ""),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "text"), DONE)
def test_action_text(facts: Facts, text: str):
    assert action_text(facts) == text
    assert finding_text(facts).endswith(text)


texts = st.text(max_size=30)
amounts = st.integers(-(2**63) + 1, 2**63 - 1)
any_facts = st.builds(
    Facts,
    subject_kind=st.sampled_from(["account", "a_number", "b_range", "unpriced", "destination", "carrier", "trunk_group", "trunk", "range", "?"]),
    name=texts, account=texts, trunk=texts, a_number=st.from_regex(r"\d{0,15}", fullmatch=True), calls=st.integers(0, 10**9), talk_ms=amounts,
    window_ms=amounts, nanos=amounts, currency=texts, usual_nanos=st.none() | amounts, account_usual_nanos=st.none() | amounts,
    quiet_ms=amounts, b_range=st.from_regex(r"\d{0,11}", fullmatch=True), share_percent=st.integers(0, 100), code=st.sampled_from(["", "1", "43"]),
    country_name=texts, number_kind=texts, dialled=st.lists(st.text(max_size=60), max_size=5),
    cap=st.sampled_from(["", "money_hour", "money_day", "concurrent_calls", "calls_per_second", "first_seen", "calls_hour", "minutes_hour", "?"]),
    value=amounts, limit=amounts, shares=st.lists(st.builds(Share, texts, amounts), max_size=3), shares_are_money=st.booleans(),
    more_accounts=st.integers(0, 5), action=st.sampled_from(["", "block", "before", "ask"]), ttl_ms=amounts, no_block=texts,
)  # fmt: skip


@given(any_facts)
def test_a_text_is_made_of_any_facts(facts: Facts):
    text = finding_text(facts)
    assert isinstance(text, str) and not re.search(r"\d{4}\.\d{3,}|\bNone\b|e[+-]\d", re.sub(r"[^ -~]", "", text).replace("None", ""))


@given(st.from_regex(r"[0-9#*;,. ()-]{7,30}", fullmatch=True), st.from_regex(r"43664\d{6,9}", fullmatch=True))
def test_no_subscribers_number_is_whole_in_a_masked_text(dialled: str, caller: str):
    facts = Facts(subject_kind="unpriced", account="ACME", calls=9, talk_ms=1, dialled=[dialled])
    both = [observed_text(facts), observed_text(Facts(subject_kind="b_range", account="ACME", a_number=caller, **SPENT, **MALDIVES))]
    digits = re.sub(r"\D", "", dialled)
    for mask in (masked, redaction.text):
        shown = [mask(text) for text in both]
        assert caller not in shown[1]
        if len(digits) >= 7:
            assert quoted(dialled) not in shown[0]


@pytest.mark.parametrize(
    ("nanos", "text"),
    [(0, "0.00 EUR"), (24_449_999_999, "24.45 EUR"), (999_999, "0.001 EUR"), (123_456_789, "0.123 EUR"), (50_000, "less than 0.0001 EUR"),
     (-1_500_000_000, "-1.50 EUR"), (9_876_543_210 * EUR // 1000, "9,876,543.21 EUR"), (999_999_999, "1.00 EUR")],
)  # fmt: skip
def test_amounts_have_no_insignificant_digits(nanos: int, text: str):
    assert money_text(nanos, "EUR") == text


@pytest.mark.parametrize(
    ("value", "usual", "text"),
    [(1_502_371, 10_000, "150 times"), (20, 10, "2 times"), (95, 10, "9.5 times"), (996, 10, "100 times"), (10, 10, "not more than")],
)
def test_ratios_have_two_significant_figures(value: int, usual: int, text: str):
    assert times_text(value, usual) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "1 second"), (59_600, "1 minute"), (61_000, "61 seconds"), (119_400, "119 seconds"), (120_000, "2 minutes"), (7_140_000, "119 minutes"),
     (3_600_000, "1 hour"), (7_440_000, "2 hours"), (7_500_000, "2 hours 5 minutes"), (35_940_000, "9 hours 59 minutes"), (36_000_000, "10 hours"),
     (172_799_000, "2 days"), (172_800_000, "2 days"), (169_000_000, "47 hours")],
)  # fmt: skip
def test_durations_in_their_units(ms: int, text: str):
    assert span_text(ms) == text


@pytest.mark.parametrize(
    ("share_percent", "text"),
    [
        (0, ""), (1, "The suspicious ones go to several ranges, among them +882…."),
        (50, "The suspicious ones go to several ranges, among them +882…."),
        (51, "Most of the suspicious ones go to +882…."), (94, "Most of the suspicious ones go to +882…."), (95, "The suspicious ones go to +882…."),
    ],
)  # fmt: skip
def test_where_the_suspicious_calls_of_an_account_go(share_percent: int, text: str):
    of_account = Facts(subject_kind="account", account="ACME", b_range="882", share_percent=share_percent)
    assert observed_text(of_account).partition(" yet.")[2].strip() == text
    for other in ({"subject_kind": "b_range"}, {"b_range": ""}):
        assert observed_text(msgspec.structs.replace(of_account, **other)).endswith(" yet.")


def test_the_latest_three_unreadable_numbers_are_shown():
    text = observed_text(Facts(subject_kind="unpriced", account="ACME", calls=9, dialled=[f"#{n}" for n in range(5)]))
    assert ", dialled as “#2”, “#3”, “#4”: " in text
    assert quoted("1" * 40) == f"“{'1' * 40}”" and quoted("1" * 41) == f"“{'1' * 40}…”"
