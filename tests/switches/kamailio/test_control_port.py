"""The control port: a token, a narrow grammar, and a short list of what may be asked."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator

import httpx2
import pytest
from kamailio_calls import TOKEN, Bench
from raw_sip import Phone

from switches.control import Denied, Fenced, JsonRpcControl

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
        ("dlg.dump_file", ["/x"]),
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
