"""Admission: the shared table of cases, and properties over random spellings and dial plans."""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from admission_cases import CASES, PARTIES, PLANS

from core.admission import Admission, Invite, Rates, admit, candidates
from core.numbers import CALLER_CODES, DialPlan, normalise
from switches.kamailio.settings import EMERGENCY


class World:
    """The tables of a switch, as dictionaries."""

    def __init__(self, **tables: dict[str, str]) -> None:
        self.tables = {"blocks": {}, "shadow": {}, "protected": {}, "lists": {}, "after": {}, **tables}
        self.rates = Rates(lambda: 60.0)

    def call(self, who: str, a_raw: str, b_raw: str) -> Admission:
        party = PARTIES[who]
        invite = Invite(
            "t1" if party.account else "", party.account, party.trunk, a_raw, b_raw, party.caller_ranges, party.accept_unreadable
        )
        found = admit(
            invite, PLANS[party.plan], lambda table, key: self.tables[table].get(key, ""), emergency=frozenset(EMERGENCY), over=self.rates.over
        )
        self.tables["after"].update(dict.fromkeys(found.opens, "1"))
        return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["what"])
def test_the_table_of_cases(case):
    world = World(**{name: dict(case.get(name, {})) for name in ("blocks", "shadow", "protected", "lists")})
    for call in case["calls"]:
        found = world.call(call["from"], call["a"], call["b"])
        sent = found.number or normalise(call["b"], PLANS[PARTIES[call["from"]].plan]).digits or call["b"]
        assert (found.code, None if found.code else sent) == (call["code"], call["sent"]), call


# --- spellings that nobody thought of ---

SEPARATORS = ("", "-", " ", ".", "%20", "(", ")", "/", "\u00a0", "\u200b", "\u2011", "%2D", "%C2%A0")
FRONTS = ("", "+", "*31#", "#31#", "*#31#", "*67", "*82", "*31*", "%2B", "%2A31%23", "*", "#", " ", "0", "00", "+00", "\t")
BACKS = ("", "#", "%23", "*", ",", ",,12", "p", "w5", ";", ";ext=1", "%00", "%0a", " ", "x9", ";phone-context=+43")
FORMS = ("{}", "sip:{}@host", "<sip:{}@host;user=phone>", "tel:{}", '"A <b>" <sip:{}@host>')

CHANCE = st.integers(0, 2**48).map(Random)
SPELLINGS = range(10)
"""Of an example: a draw for each of them costs more than all that is asked of it."""


def any_plan(chance: Random) -> DialPlan:
    return DialPlan(
        country_code=chance.choice(["", "43", "44", "1", "39", "61", "852", "353"]),
        international_prefix=chance.choice(["00", "011", "810", "0011"]),
        trunk_prefix=chance.choice(["", "0", "1", "8"]),
        tech_prefixes=chance.choice([(), ("7001#",), ("9*", "55")]),
        bare_is_e164=chance.random() < 0.5,
        short_max=chance.choice([3, 6]),
    )


def spelled(chance: Random, digits: str) -> str:
    """Digits as a telephone, a PBX or a person could write them: of some none between, of some each other one escaped."""
    escaped, separators = chance.random() < 0.5, chance.choice([SEPARATORS, SEPARATORS[:1]])
    body = "".join((f"%{ord(one):02x}" if escaped and chance.random() < 0.5 else one) + chance.choice(separators) for one in digits)
    return chance.choice(FORMS).format(chance.choice(FRONTS) + body + chance.choice(BACKS))


LIFE = World(blocks={"t1|A|acme||": "o-1"}, protected={"4314040": "hospital", "116123": "crisis line"}).tables


def ask(b_raw: str, plan: DialPlan, tables: dict[str, dict[str, str]] = LIFE, tenant: str = "t1") -> Admission:
    invite = Invite(tenant, "acme" if tenant else "", "", "4319990001", b_raw)
    return admit(invite, plan, lambda table, key: tables.get(table, {}).get(key, ""), emergency=frozenset(EMERGENCY))


@settings(max_examples=400, deadline=None)
@given(CHANCE, st.sampled_from(["112", "911", "144", "000"]), st.sampled_from(["t1", ""]))
def test_no_emergency_call_is_refused_however_it_is_spelled(chance: Random, number: str, tenant: str):
    for _ in SPELLINGS:
        raw, plan = spelled(chance, number), any_plan(chance)
        found = ask(raw, plan, tenant=tenant)
        assert found.code == 0 and (found.number or normalise(raw, plan).digits) == number


@settings(max_examples=400, deadline=None)
@given(CHANCE, st.sampled_from(["4314040", "431404012", "116123"]))
def test_no_protected_call_is_refused_however_it_is_spelled(chance: Random, number: str):
    for _ in SPELLINGS:
        raw, plan = spelled(chance, number), any_plan(chance)
        assert ask(raw, plan).code == 0


@settings(max_examples=400, deadline=None)
@given(CHANCE)
def test_no_blocked_number_passes_however_it_is_spelled(chance: Random):
    """But where the plan gives the digits another meaning: then that number is what is sent."""
    tables = World(blocks={"t1|A|acme||88213": "o-1"}).tables
    for _ in SPELLINGS:
        raw, plan = spelled(chance, "88213123456"), any_plan(chance)
        found, meant = ask(raw, plan, tables), normalise(raw, plan)
        assert found.code == 603 or (meant.digits and not meant.digits.startswith("88213"))


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(sorted(CALLER_CODES)), st.data(), st.sampled_from(["112", "911"]))
def test_codes_of_each_country_before_an_emergency_number(country: str, data, number: str):
    code = data.draw(st.sampled_from(CALLER_CODES[country].digits))
    plan = DialPlan(country_code=country, trunk_prefix="0")
    found = ask(code + number, plan)
    assert found.code == 0 and (found.number or normalise(code + number, plan).digits) == number


def test_entries_are_looked_up_from_the_longest_range_to_the_whole_account():
    found = list(candidates("t1", "acme", "tg7", ("43",), ("1234567890123456",)))
    assert found[0] == "t1|A|acme|43|123456789012345", "no number of E.164 has more than 15 digits"
    assert found[15:17] == ["t1|A|acme|43|", "t1|A|acme||123456789012345"]
    assert found[32] == "t1|T|tg7|43|123456789012345" and found[63] == "t1|T|tg7||"
    assert found[64] == "t1|A|*||123456789012345" and found[-1] == "t1|A|*||1234567" and len(found) == 73, "every account: long ranges alone"
    assert list(candidates("t1", "", "", ("43",), ("43",))) == []  # shorter than a range of every account


def test_a_refusal_names_its_order_and_one_in_shadow_names_the_one_that_would():
    blocked = World(blocks={"t1|A|acme||88213": "o-1"}).tables
    shadowed = World(shadow={"t1|A|acme||88213": "o-2"}, protected={"882131": "hospital"}).tables
    assert ask("88213123456", DialPlan(), blocked) == Admission(603, "o-1")
    assert ask("88213123456", DialPlan(), shadowed) == Admission(0, "shadow:o-2")
    assert ask("4319990002", DialPlan(), blocked) == ask("4319990002", DialPlan(), shadowed) == Admission()
    both = World(blocks={"t1|A|acme||88213": "o-1"}, shadow={"t1|A|acme||": "o-2"}).tables
    assert ask("88213123456", DialPlan(), both) == Admission(603, "o-1"), "an order that stands is what refuses"


def test_text_that_is_no_number_is_refused_unless_the_trunk_accepts_it_and_shadow_is_reported():
    tables = World(shadow={"t1|A|acme||": "o-2"}).tables
    invite = Invite("t1", "acme", "", "4319990001", "nobody")
    for accept, found in ((False, Admission(484)), (True, Admission(0, "shadow:o-2"))):
        got = admit(invite._replace(accept_unreadable=accept), DialPlan(), lambda table, key: tables.get(table, {}).get(key, ""))
        assert got == found


def test_a_hold_lets_every_call_of_a_source_pass():
    tables = World(blocks={"t1|A|acme||": "o-1"}, shadow={"t1|A|acme||": "o-2"}).tables
    for tenant, code in (("t1", 0), ("", 403)):
        invite = Invite(tenant, "acme", "", "4319990001", "88213123456")
        got = admit(invite, DialPlan(), lambda table, key: tables.get(table, {}).get(key, ""), held=True)
        assert got == Admission(code)


def test_after_an_emergency_call_a_blocked_caller_reaches_short_and_service_numbers_and_its_own_country():
    plan = DialPlan(country_code="43", trunk_prefix="0", bare_is_e164=False, service=("0800123456",))
    world = World(blocks={"t1|A|acme||": "o-1"})
    numbers = ("116117", "0800123456", "0664 1234567", "+88213123456")
    assert [ask(number, plan, world.tables).code for number in numbers] == [603] * 4
    opens = admit(Invite("t1", "acme", "", "+4319990001", "112"), plan, lambda *_: "", emergency=frozenset(EMERGENCY)).opens
    world.tables["after"].update(dict.fromkeys(opens, "1"))

    def code(a_raw: str, b_raw: str) -> int:
        return admit(Invite("t1", "acme", "", a_raw, b_raw), plan, lambda table, key: world.tables.get(table, {}).get(key, "")).code

    assert [code("+4319990001", number) for number in numbers] == [0, 0, 0, 603]
    assert [code("+4319990002", number) for number in numbers] == [603] * 4, "another caller has called nobody"
    assert code("+4319990002", "+4319990001") == 0, "who called for help can be called back"
