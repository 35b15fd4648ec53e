"""The control port: a token, a narrow grammar, and a short list of what may be asked."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator

import httpx2
import pytest
from kamailio_calls import TOKEN, Bench
from raw_sip import Phone

from switches.control import Change, Denied, Fenced, JsonRpcControl
from switches.digest import digest

pytestmark = pytest.mark.kamailio
NewBench = Callable[..., Bench]


@pytest.fixture
def driven(new_bench: NewBench) -> Iterator[tuple[Bench, JsonRpcControl]]:
    bench = new_bench()
    control = JsonRpcControl(bench.running.control_url, TOKEN)
    yield bench, control
    control.close()


def test_the_dispatchers_driver_finds_what_it_needs(driven: tuple[Bench, JsonRpcControl]) -> None:
    bench, control = driven
    control.set_block("t1|A|acme||88213", "order-1", 60)
    assert control.get_block("t1|A|acme||88213") == "order-1"
    assert control.table_count() == 1 and control.entries() == {"t1|A|acme||88213": "order-1"}
    control.remove_block("t1|A|acme||88213")
    control.remove_block("t1|A|acme||88213")
    assert control.get_block("t1|A|acme||88213") == "" and control.table_count() == 0
    control.set_protected("4314004", "a hospital")
    control.set_version("v7")
    assert control.version() == "v7"
    assert control.boot() == bench.records("boot")[0]["boot_id"]
    assert control.hold() is False
    control.set_hold(True)
    assert control.hold() is True

    bench.restart()
    again = JsonRpcControl(bench.running.control_url, TOKEN)
    assert again.version() == "" and again.boot() != bench.records("boot")[0]["boot_id"] and again.hold() is True
    again.close()


def test_a_lease_that_was_overtaken_writes_nothing(driven: tuple[Bench, JsonRpcControl]) -> None:
    bench, control = driven
    newer = JsonRpcControl(bench.running.control_url, TOKEN, fence=8)
    newer.set_block("t1|A|acme||1", "newer", 60)
    control.fence = 7
    with pytest.raises(Fenced):
        control.set_block("t1|A|acme||2", "older", 60)
    with pytest.raises(Fenced):
        control.clear("blocks")
    assert control.get_block("t1|A|acme||1") == "newer" and control.get_block("t1|A|acme||2") == ""
    control.set_hold(True)  # a person's, whoever holds the lease
    newer.close()


WRITING = [
    ("htable.sets", ["blocks", "t1|A|acme||1", "older"]), ("htable.setxs", ["blocks", "t1|A|acme||1", "older", 60]),
    ("htable.seti", ["shadow", "t1|A|acme||1", 1]), ("htable.delete", ["blocks", "t1|A|acme||1"]),
    ("htable.delete", ["protected", "112"]), ("htable.flush", ["blocks"]), ("htable.sets", ["ctl", "version", "older"]),
    ("htable.delete", ["sources", "x"]), ("htable.sets", ["dialplan", "x", "y"]),
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
        ["ctl", "hold", "1", 0], ["sources", "x", "y", 0], ["carriers", "1", "x", 0], ["protected", "112", "why", 60],
        ["blocks", "t1|A|a||", "o", 60, "ctl", "boot", "x", 0], ["blocks", "t1|A|a||", "o", 60, "blocks"],
    ],
)  # fmt: skip
def test_of_many_entries_with_a_bad_one_none_is_taken(driven: tuple[Bench, JsonRpcControl], params: list[object]) -> None:
    bench, control = driven
    assert bench.post("ringfence.set", *params).status_code == 400
    assert control.digest().entries == 0 and control.hold() is False


def test_what_is_in_a_table_is_told_whatever_it_is(driven: tuple[Bench, JsonRpcControl]) -> None:
    _, control = driven
    there = {"t1|A|acme||1": "order-1", "t1|A|a'b||": "ü$(x){s.md5}%s", "x" * 300: "y" * 3000}
    control.set_many([Change("shadow", name, value, 60) for name, value in there.items()])
    summed = control.digest("shadow")
    assert summed == (3, digest(there.items())) and control.listed("shadow", summed.sums, summed.entries) == there
    control.set_many([Change("shadow", name, "", 0) for name in [*there, "t1|A|never||"]])
    assert control.digest("shadow") == (0, {}) and control.digest("blocks") == (0, {})


def test_without_the_token_nothing_and_with_it_only_what_is_ours(driven: tuple[Bench, JsonRpcControl]) -> None:
    bench, _ = driven
    for token in ("", "wrong", TOKEN + "x", TOKEN[:-1]):
        assert bench.post("htable.stats", token=token).status_code == 401
    with pytest.raises(Denied):
        JsonRpcControl(bench.running.control_url, "wrong").boot()
    for method, params in (
        ("core.shutdown", []), ("core.kill", []), ("system.listMethods", []), ("app_lua.reload", []),
        ("cfg.set", ["core", "debug", 4]),
        ("htable.get", ["live", "1"]), ("htable.sets", ["carriers", "1", "x"]), ("htable.sets", ["ctl", "seq", "1"]),
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
def test_what_could_be_read_in_two_ways_is_not_read_at_all(driven: tuple[Bench, JsonRpcControl], body: str) -> None:
    bench, control = driven
    answer = httpx2.post(
        bench.running.control_url, content=body, headers={"X-Ringfence-Token": TOKEN}, trust_env=False, timeout=5
    )
    assert answer.status_code == 400
    assert control.boot()


def test_sip_on_the_control_port_and_http_on_the_sip_port_get_nothing(driven: tuple[Bench, JsonRpcControl]) -> None:
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
    assert control.boot()
