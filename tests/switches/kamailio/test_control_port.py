"""The control port: its token, its narrow grammar, and its short list of allowed commands."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator

import httpx2
import pytest
from kamailio_calls import TOKEN, Bench
from raw_sip import Phone

from switches.control import Change, Denied, DesiredRow, Drift, Fenced
from switches.kamailio.control import KamailioControl
from switches.kamailio.digest import mark

pytestmark = pytest.mark.kamailio
NewBench = Callable[..., Bench]


@pytest.fixture
def driven(new_bench: NewBench) -> Iterator[tuple[Bench, KamailioControl]]:
    bench = new_bench()
    control = KamailioControl(bench.running.control_url, TOKEN)
    yield bench, control
    control.close()


def test_a_row_goes_there_in_kamailios_own_spelling_and_comes_back_in_ours(driven: tuple[Bench, KamailioControl]) -> None:
    _, control = driven
    rows = {"2001:db8::/32": '{"tenant":"t1","account":"six"}', "198.51.100.7/32": '{"tenant":"t1","account":"four"}'}
    control.apply([Change("sources", name, value, 0) for name, value in rows.items()])
    there = control.entries("sources")
    assert there["2001:db8:0:0:0:0:0:0/32"] == "t1|six||e164|14400|0||0|"
    own = {name: DesiredRow("", False) for name in there if name.startswith("127.")}
    wanted = {name: DesiredRow(value, True) for name, value in rows.items()} | own
    assert control.compare("sources", wanted) == Drift([], [])
    other = {"2001:db8::/32": DesiredRow('{"tenant":"t1","account":"other"}', True), "10.0.0.0/8": DesiredRow('{"tenant":"t1"}', True)}
    assert control.compare("sources", other | own) == Drift(["2001:db8::/32", "10.0.0.0/8"], ["198.51.100.7/32"])


def test_a_lease_that_was_overtaken_writes_nothing(driven: tuple[Bench, KamailioControl]) -> None:
    bench, control = driven
    newer = bench.control(fence=8)
    newer.apply([Change("blocks", "t1|A|acme||1", "newer", 60)])
    control.fence = 7
    with pytest.raises(Fenced):
        control.apply([Change("blocks", "t1|A|acme||2", "older", 60)])
    assert bench.post("htable.flush", "blocks", headers={"X-Ringfence-Fence": "7"}).status_code == 409
    assert control.entries("blocks") == {"t1|A|acme||1": "newer"}
    control.set_hold(True)  # a person's, whoever holds the lease
    newer.close()


WRITING = [
    ("htable.sets", ["blocks", "t1|A|acme||1", "older"]), ("htable.setxs", ["blocks", "t1|A|acme||1", "older", 60]),
    ("htable.seti", ["shadow", "t1|A|acme||1", 1]), ("htable.delete", ["blocks", "t1|A|acme||1"]),
    ("htable.flush", ["blocks"]),
    ("ringfence.set", ["sources", "10.0.0.0/8", "t1|x", 0]), ("ringfence.set", ["protected", "112", "", 0]),
    ("ringfence.set", ["blocks", "t1|A|acme||1", "older", 60]), ("ringfence.set", ["blocks", "t1|A|acme||1", "", 0]),
    ("ringfence.set", ["ctl", "hold", "", 0, "blocks", "t1|A|acme||1", "", 0]),
]  # fmt: skip


def test_a_stale_lease_is_refused_for_every_command_that_writes_before_and_after_a_restart(new_bench: NewBench) -> None:
    bench = new_bench()
    stale, newest = {"X-Ringfence-Fence": "7"}, {"X-Ringfence-Fence": "8"}
    command = ["blocks", "t1|A|acme||1", "newest", 60]
    assert bench.post("ringfence.set", *command, headers=newest).json()["result"] == 1
    for again in (False, True):
        if again:
            bench.restart()
        for method, params in WRITING:
            assert bench.post(method, *params, headers=stale).status_code == 409, (method, params)
        assert bench.post("htable.get", "ctl", "hold").json()["result"]["item"]["value"] == "0"
        held = bench.post("htable.get", "blocks", "t1|A|acme||1").json()
        assert "error" in held if again else held["result"]["item"]["value"] == "newest"
    assert bench.post("htable.get", "ctl", "fence").json()["result"]["item"]["value"] == "8"
    assert bench.post("ringfence.set", *command, headers={"X-Ringfence-Fence": "9"}).status_code == 200


@pytest.mark.parametrize(
    "params",
    [
        [], ["blocks"], ["blocks", "t1|A|a||", "o"], ["blocks", "t1|A|a||", "o", 0], ["blocks", "t1|A|a||", "o", -1],
        ["blocks", "t1|A|a||", "o", "x"], ["blocks", "t1|A|a||", "o", "1.5"], ["blocks", "", "o", 60],
        ["ctl", "hold", "1", 0], ["live", "x", "y", 0], ["sources", "10.0.0.0/8", "t1|x", 60], ["protected", "112", "why", 60],
        ["blocks", "t1|A|a||", "o", 60, "ctl", "boot", "x", 0], ["blocks", "t1|A|a||", "o", 60, "blocks"],
    ],
)  # fmt: skip
def test_of_many_entries_with_a_bad_one_none_is_taken(driven: tuple[Bench, KamailioControl], params: list[object]) -> None:
    bench, control = driven
    assert bench.post("ringfence.set", *params).status_code == 400
    assert control.digest("blocks").entries == 0 and control.hold() is False


def test_any_entry_of_a_table_is_listed(driven: tuple[Bench, KamailioControl]) -> None:
    _, control = driven
    there = {"t1|A|acme||1": "order-1", "t1|A|a'b||": "ü$(x){s.md5}%s", "x" * 300: "y" * 3000}
    control.apply([Change("shadow", name, value, 60) for name, value in there.items()])
    summed = control.digest("shadow")
    assert summed == (3, dict(mark(*entry) for entry in there.items())) and control.listed("shadow", summed.sums, summed.entries) == there
    control.apply([Change("shadow", name, "", 0) for name in [*there, "t1|A|never||"]])
    assert control.digest("shadow") == (0, {}) and control.digest("blocks") == (0, {})


def test_without_the_token_nothing_and_with_it_only_what_is_ours(driven: tuple[Bench, KamailioControl]) -> None:
    bench, _ = driven
    for token in ("", "wrong", TOKEN + "x", TOKEN[:-1]):
        assert bench.post("htable.stats", token=token).status_code == 401
    with pytest.raises(Denied):
        KamailioControl(bench.running.control_url, "wrong").identity()
    for method, params in (
        ("core.shutdown", []), ("core.kill", []), ("system.listMethods", []), ("app_lua.reload", []),
        ("cfg.set", ["core", "debug", 4]),
        ("htable.get", ["live", "1"]), ("htable.sets", ["carriers", "1", "x"]), ("htable.sets", ["ctl", "seq", "1"]),
        ("htable.sets", ["protected", "112", "x"]), ("htable.delete", ["sources", "10.0.0.0/8"]), ("htable.setxs", ["dialplan", "x", "y", 9]),
        ("htable.sets", ["ctl", "version", "x"]), ("htable.get", ["ctl", "version"]),
        ("htable.sets", ["ctl", "boot", "1"]), ("htable.flush", ["protected"]), ("htable.flush", ["ctl"]),
        ("htable.dump", ["ctl"]),
        ("htable.store", ["blocks"]), ("htable.reload", ["blocks"]), ("htable.get", ["ctl"]), ("htable.get", []), ("", []),
        ("dlg.dump_file", ["/x"]), ("ringfence.digest", ["ctl"]), ("ringfence.list", ["live", "000"]), ("ringfence.digest", []),
    ):  # fmt: skip
        assert bench.post(method, *params).status_code == 403, (method, params)
    assert bench.post("dlg.stats_active").status_code == 200
    assert bench.post("htable.stats").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        "", "nonsense", "[]", "{", "null", '"x"', "{}x", '{"method":"htable.stats"',
        '{"jsonrpc":"2.0","method":"dlg.list","method":"core.shutdown","id":1}',
        '{"jsonrpc":"2.0","method":"dlg.list","id":1}{"method":"core.shutdown"}',
        '[{"jsonrpc":"2.0","method":"htable.stats","id":1}]',
        '{"jsonrpc":"2.0","method":"core\\u002eshutdown","id":1}',
        '{"jsonrpc":"2.0","method":"htable.sets","params":{"htable":"ctl"},"id":1}',
        '{"jsonrpc":"2.0","method":"htable.sets","params":["blocks",["ctl"],"x"],"id":1}',
        '{"jsonrpc":"2.0","method":"htable.stats","extra":1,"id":1}',
        '{"jsonrpc":"2.0","method":"htable.stats","params":[],"id":null}',
    ],
)  # fmt: skip
def test_what_could_be_read_in_two_ways_is_not_read_at_all(driven: tuple[Bench, KamailioControl], body: str) -> None:
    bench, control = driven
    answer = httpx2.post(
        bench.running.control_url, content=body, headers={"X-Ringfence-Token": TOKEN}, trust_env=False, timeout=5
    )
    assert answer.status_code == 400
    assert control.identity()


def test_sip_on_the_control_port_and_http_on_the_sip_port_get_nothing(driven: tuple[Bench, KamailioControl]) -> None:
    bench, control = driven
    settings = bench.running.settings
    url = f"http://{settings.listen}:{settings.sip_port}/RPC"
    command = json.dumps({"jsonrpc": "2.0", "method": "htable.stats", "params": [], "id": 1})
    assert httpx2.post(url, content=command, headers={"X-Ringfence-Token": TOKEN}, trust_env=False).status_code == 404
    with socket.create_connection((settings.control_listen, settings.control_port), 2) as sock, Phone("127.0.0.2") as phone:
        message = phone.invite("112", to=(settings.control_listen, settings.control_port)).replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP")
        sock.sendall(message)
        sock.settimeout(0.7)
        with pytest.raises(TimeoutError):
            sock.recv(1000)
    assert [r["event"] for r in bench.records()] == ["boot"]
    assert control.identity()
