"""A new config version goes into a switch that runs: who calls, and how they write numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import httpx2
import pytest
from kamailio_calls import TOKEN, Bench

from core.numbers import DialPlan
from switches.kamailio.reload import TableControl, reload
from switches.kamailio.settings import Source
from switches.kamailio.tables import tables

pytestmark = pytest.mark.kamailio


def test_sources_and_dial_plans_change_without_a_restart(new_bench: Callable[..., Bench]) -> None:
    bench = new_bench()
    before = bench.running.settings
    url = bench.running.control_url.removesuffix("/RPC")

    def ask(path: str) -> str:
        return httpx2.get(url + path, headers={"X-Ringfence-Token": TOKEN}, trust_env=False).text

    assert ask("/source/198.51.100.77") == ask("/source/2001:db8::7") == ""
    after = replace(
        before,
        dial_plans=(*before.dial_plans, DialPlan("at", country_code="43", trunk_prefix="0")),
        sources=(
            *before.sources[1:],
            Source("198.51.100.64/27", "t1", "green", "green-pbx", "at"),  # lengths that no source had before
            Source("2001:db8::/32", "t1", "green", "green-v6"),
        ),
    )
    control = TableControl(bench.running.control_url, TOKEN)
    assert reload(control, tables(before), tables(after)) == 4
    assert '"account":"green"' in ask("/source/198.51.100.77") and '"trunk":"green-v6"' in ask("/source/2001:db8::7")
    assert ask("/source/" + before.sources[0].network) == ""
    assert before.sources[1].account in ask("/source/" + before.sources[1].network), "who stays is known as before"
    assert '"digits":"43664123456"' in ask("/normalise/at/" + b"0664123456".hex())
    assert reload(control, tables(after), tables(before)) == 4
    assert ask("/source/198.51.100.77") == ask("/source/2001:db8::7") == ""
    assert before.sources[0].account in ask("/source/" + before.sources[0].network)
    control.close()
