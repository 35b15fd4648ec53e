"""The simulated switch admits the same calls as Kamailio."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))

from admission_cases import CASES, PARTIES, PLANS

from core.admission import Invite
from core.numbers import normalise
from switches.control import Change, ControlError
from switches.kamailio.settings import EMERGENCY
from switches.loopback import Loopback


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["what"])
def test_the_table_of_cases(case):
    switch = Loopback(clock=lambda: 1000.0, emergency=EMERGENCY)
    for table in ("lists", "blocks", "shadow", "protected"):
        for key, value in case.get(table, {}).items():
            switch.apply([Change(table, key, value, 0 if table in ("lists", "protected") else 600)])
    for call in case["calls"]:
        party = PARTIES[call["from"]]
        plan = PLANS[party.plan]
        tenant = "t1" if party.account else ""
        invite = Invite(tenant, party.account, party.trunk, call["a"], call["b"], party.caller_ranges, party.accept_unreadable)
        found = switch.admit(invite, plan)
        sent = found.number or normalise(call["b"], plan).digits or call["b"]
        assert (found.code, None if found.code else sent) == (call["code"], call["sent"]), call


@pytest.mark.parametrize(
    "change",
    [
        ("blocks", "t1|A|a||", "o", 0), ("blocks", "t1|A|a||", "o", -1), ("blocks", "", "o", 60), ("protected", "112", "why", 60),
        ("ctl", "hold", "1", 0),
    ],
)  # fmt: skip
def test_of_many_rows_with_an_invalid_one_none_is_applied(change):
    switch = Loopback()
    with pytest.raises(ControlError, match="invalid changes"):
        switch.apply([Change("blocks", "t1|A|good||", "o", 60), Change(*change)])
    assert not any(switch.live(table) for table in switch.tables)
