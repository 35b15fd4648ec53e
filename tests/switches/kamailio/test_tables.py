"""Rows that Kamailio cannot hold are refused before they are sent; the others are delivered, without a restart and across one."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
import msgspec
import pytest
from kamailio_calls import ACME, BLUE, TOKEN, Bench, Source, carrier_rows, picks_up, refused, talk
from ports import free_port

from core.numbers import DialPlan
from switches.control import Change
from switches.desired import Carrier
from switches.kamailio.tables import spell

NewBench = Callable[..., Bench]


def json(value: object) -> str:
    return msgspec.json.encode(value).decode()


@pytest.mark.parametrize(
    ("table", "name", "value"),
    [
        ("sources", *Source("127.0.0.2", "t1", "acme|blue")),
        ("sources", *Source("127.0.0.2", "t1", "acme", dial_plan='a"')),
        ("sources", *Source("127.0.0.2", "t1", "acme", caller_ranges=("43|",))),
        ("sources", "not an address", '{"tenant":"t1"}'),
        ("sources", "127.0.0.2/32", "t1|acme"),
        ("carriers", "t1|1", json(Carrier('a";', "127.0.0.1:5060"))),
        ("carriers", "t1|1", json(Carrier("a", "127.0.0.1:5060;lr"))),
        ("dialplan", "a b", json(DialPlan())),
        ("dialplan", "e164", json(DialPlan(tech_prefixes=("7|",)))),
        ("dialplan", "e164", json(DialPlan(emergency=("1 1 2",)))),
    ],
)
def test_what_could_break_out_of_its_row_is_refused(table: str, name: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        spell(table, name, value)


@pytest.mark.kamailio
def test_sources_and_dial_plans_change_without_a_restart_and_outlive_one(new_bench: NewBench) -> None:
    bench = new_bench()
    url = bench.running.control_url.removesuffix("/RPC")

    def ask(path: str) -> str:
        return httpx2.get(url + path, headers={"X-Ringfence-Token": TOKEN}, trust_env=False).text

    assert ask("/source/198.51.100.77") == ask("/source/2001:db8::7") == ""
    bench.fill("dialplan", {"at": json(DialPlan("at", country_code="43", trunk_prefix="0"))})
    green = Source("198.51.100.64/27", "t1", "green", "green-pbx", "at")  # lengths that no source had before
    bench.fill("sources", dict([green, Source("2001:db8::/32", "t1", "green", "green-v6")]) | {f"{ACME}/32": ""})
    for restarted in (False, True):
        if restarted:
            (bench.running.settings.run_dir / "tables").open("a").write("sources\t10.0.0.0/8\tt1|torn")  # it was killed while it wrote
            bench.restart()
        assert '"account":"green"' in ask("/source/198.51.100.77") and '"trunk":"green-v6"' in ask("/source/2001:db8::7")
        assert ask("/source/10.0.0.1") == ask(f"/source/{ACME}") == "" and "blue" in ask(f"/source/{BLUE}"), "who stays is known as before"
        assert '"digits":"43664123456"' in ask("/normalise/at/" + b"0664123456".hex())
    control = bench.control()
    bench.fill("sources", {"198.51.100.64/27": ""})
    assert ask("/source/198.51.100.77") == "" and "198.51.100.64/27" not in control.entries("sources")
    control.apply([Change("blocks", "t1|A|blue||", "o-1", 60)])
    bench.restart()
    assert ask("/source/198.51.100.77") == "" and control.entries("blocks") == {}, "a block is delivered again, and ends by itself"
    control.close()


@pytest.mark.kamailio
def test_a_new_carrier_takes_the_next_call(new_bench: NewBench) -> None:
    bench = new_bench(carriers=0)
    bench.caller(refused(503), "4312345678").finish()
    bench.carrier_ports.append(free_port())
    bench.callee(picks_up())
    bench.fill("carriers", carrier_rows([Carrier("new", f"127.0.0.1:{bench.carrier_ports[0]}", egress_trunk="out", prefix="7001#")], "t1"))
    bench.caller(talk(), "4312345678").finish()
    (stop,) = bench.wait_for("stop", carrier="new")
    assert (stop["egress_trunk"], stop["sent_number"]) == ("out", "7001#4312345678")


@pytest.mark.kamailio
def test_calls_of_two_tenants_go_to_the_carriers_of_each(new_bench: NewBench) -> None:
    bench = new_bench(carriers=2, sources=(Source(ACME, "t1", "acme", "in-acme"), Source(BLUE, "t2", "acme", "in-acme")))
    bench.fill("carriers", {"t1|2": "", "t2|1": json(Carrier("other", f"127.0.0.1:{bench.carrier_ports[1]}"))})
    bench.callee(picks_up(), 0)
    bench.callee(picks_up(), 1)
    bench.caller(talk(), "4312345678", source=ACME).finish()
    bench.caller(talk(), "4312345678", source=BLUE).finish()
    bench.wait_for("stop", 2)
    assert {(stop["tenant"], stop["account"], stop["carrier"]) for stop in bench.records("stop")} == {
        ("t1", "acme", "carrier-1"),
        ("t2", "acme", "other"),
    }
