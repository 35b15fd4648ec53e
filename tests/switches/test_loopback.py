"""The switch of our own lets in whom Kamailio lets in."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))

from admission_cases import CASES, PARTIES, PLANS

from core.admission import Asked
from core.numbers import normalise
from switches.kamailio.settings import EMERGENCY
from switches.loopback import AUTOEXPIRE_S, Loopback

CFG = Path(__file__).parents[2] / "switches" / "kamailio" / "kamailio.cfg"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["what"])
def test_the_table_of_cases(case):
    switch = Loopback(clock=lambda: 1000.0, emergency=EMERGENCY)
    for table in ("blocks", "shadow", "protected"):
        for key, value in case.get(table, {}).items():
            switch.rpc("ringfence.set", [table, key, value, 0 if table == "protected" else 600])
    for call in case["calls"]:
        party = PARTIES[call["from"]]
        plan = PLANS[party.plan]
        tenant = "t1" if party.account else ""
        asked = Asked(tenant, party.account, party.trunk, call["a"], call["b"], party.caller_ranges, party.accept_unreadable)
        found = switch.admit(asked, plan)
        sent = found.number or normalise(call["b"], plan).digits or call["b"]
        assert (found.code, None if found.code else sent) == (call["code"], call["sent"]), call


def test_a_block_without_a_life_ends_when_it_would_at_kamailio():
    for table in ("blocks", "shadow"):
        found = re.search(rf'"{table}=>size=\d+;autoexpire=(\d+);"', CFG.read_text())
        assert found is not None
        assert int(found[1]) == AUTOEXPIRE_S
