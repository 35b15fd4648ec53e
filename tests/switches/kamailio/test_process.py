"""Kamailio starts, stops, and ends with the process that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from kamailio_calls import TOKEN, Bench, Source
from ports import free_port
from raw_sip import Phone, establish
from until import until

from switches.kamailio.process import KamailioError, answers_options, render, start
from switches.kamailio.settings import Settings

NewBench = Callable[..., Bench]


def some_settings(**changes: object) -> Settings:
    given: dict[str, object] = {
        "switch": "k1",
        "spool_dir": Path("/spool"),
        "run_dir": Path("/run"),
        "control_token": "t",
        "secret": "s",
    }
    return Settings(**{**given, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"switch": 'k1"; exit;'},
        {"listen": "127.0.0.1\nlisten=udp:0.0.0.0"},
        {"emergency": ("112|.*",)},
        {"run_dir": Path('/run"/x')},
        {"run_dir": Path("relative")},
    ],
)
def test_a_value_that_could_break_out_of_the_configuration_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        render(some_settings(**changes))


@pytest.mark.kamailio
def test_a_switch_that_cannot_start_says_why(new_bench: NewBench, tmp_path: Path) -> None:
    bench = new_bench()
    other = some_settings(
        spool_dir=tmp_path / "spool-2",
        run_dir=tmp_path / "run-2",
        listen="192.0.2.1",
        sip_port=free_port(),
        control_port=free_port(),
    )
    with pytest.raises(KamailioError, match=r"192\.0\.2\.1"):
        start(other)
    assert answers_options(*bench.address)


@pytest.mark.kamailio
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_its_parent(need: Callable[[str], None], tmp_path: Path, how: signal.Signals) -> None:
    need("kamailio")
    port = free_port()
    program = (
        "import time; from pathlib import Path; from switches.kamailio.process import start; "
        "from switches.kamailio.settings import Settings; "
        f"start(Settings(switch='k1', spool_dir=Path({str(tmp_path)!r}), run_dir=Path({str(tmp_path)!r}), control_token='t', "
        f"secret='s', sip_port={port}, control_port={free_port()}, shm_mb=64)); "
        "print('up', flush=True); time.sleep(60)"
    )
    root = str(Path(__file__).parents[3])
    parent = subprocess.Popen(
        [sys.executable, "-c", program], cwd=root, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": root}
    )
    assert parent.stdout and parent.stdout.readline() == b"up\n"
    assert answers_options("127.0.0.1", port)
    parent.send_signal(how)
    parent.wait(10)
    parent.stdout.close()
    until(lambda: not answers_options("127.0.0.1", port), 30, "Kamailio's end")


@pytest.mark.kamailio
def test_workers_that_outlived_their_main_process_do_not_disturb_the_next_start(new_bench: NewBench) -> None:
    bench = new_bench()
    os.kill(bench.running.process.pid, signal.SIGKILL)
    bench.running.process.wait()
    bench.running = start(bench.running.settings)
    boot = bench.wait_for("boot", 2)[-1]["boot_id"]
    with Phone("127.0.0.1", bench.carrier_ports[0]) as callee, Phone("127.0.0.2") as caller:
        for n in range(6):
            call = establish(caller, callee, bench.address, f"431234567{n}")
            call.hang_up(call.caller)
    assert {r["boot_id"] for r in bench.records("setup")} == {boot}


@pytest.mark.kamailio
def test_the_longest_network_says_whose_a_call_is(new_bench: NewBench) -> None:
    sources = (
        Source("10.0.0.0/8", "t1", "wide"),
        Source("10.1.0.0/16", "t1", "narrow"),
        Source("10.1.2.3", "t2", "one", "trunk-1"),
        Source("2001:db8::/32", "t1", "six"),
        Source("2001:db8::7", "t1", "seven"),
        Source("::1", "t1", "here"),
    )
    bench = new_bench(sources=sources, listen="::1")
    base = bench.running.control_url.removesuffix("/RPC")

    def whose(address: str) -> str:
        answer = httpx2.get(f"{base}/source/{address}", headers={"X-Ringfence-Token": TOKEN}, trust_env=False)
        return str(answer.json()["account"]) if answer.status_code == 200 else ""

    assert [whose(f"10.{rest}") for rest in ("9.9.9", "1.9.9", "1.2.3", "1.2.4")] == ["wide", "narrow", "one", "narrow"]
    assert whose("2001:db8:0:0:0:0:0:7") == "seven" and whose("2001:db8:1::7") == "six" and whose("::1") == "here"
    assert whose("11.0.0.1") == "" and whose("2001:db9:0:0:0:0:0:7") == ""
    with Phone("::1") as phone:
        phone.send(phone.invite("4312345678", to=bench.address), bench.address)
        bench.wait_for("setup", account="here")
