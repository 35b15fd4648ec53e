"""One real call all the way round, started by the command; and a block all the way back."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ringfence.seen import catalog

TALK_MS = 2000

CALLER = """<?xml version="1.0" encoding="ISO-8859-1"?>
<scenario name="caller">
  <send retrans="500"><![CDATA[
INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
From: <sip:4318123@[local_ip]>;tag=[call_number]
To: <sip:[service]@[remote_ip]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:4318123@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Length: 0

]]></send>
  <recv response="100" optional="true"/>
  <recv response="180" optional="true"/>
  <recv response="200" rrs="true"/>
  <send><![CDATA[
ACK [next_url] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
[routes]
From: <sip:4318123@[local_ip]>;tag=[call_number]
To: <sip:[service]@[remote_ip]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
  <pause milliseconds="2000"/>
  <send retrans="500"><![CDATA[
BYE [next_url] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
[routes]
From: <sip:4318123@[local_ip]>;tag=[call_number]
To: <sip:[service]@[remote_ip]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 2 BYE
Max-Forwards: 70
Content-Length: 0

]]></send>
  <recv response="200"/>
</scenario>
"""


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class House:
    home: Path
    env: dict[str, str]
    sip_port: int
    up: subprocess.Popen[bytes]

    def ask(self, *words: str) -> str:
        command = [sys.executable, "-m", "ringfence", *words]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, check=True, timeout=60).stdout

    def call(self, number: str, scenario: Path) -> bool:
        """Whether a call to this number went through."""
        command = ["sipp", f"127.0.0.1:{self.sip_port}", "-sf", str(scenario), "-s", number, "-i", "127.0.0.1"]
        command += ["-p", str(free_udp_port()), "-m", "1", "-nostdin", "-timeout", "20s", "-timeout_error"]
        return subprocess.run(command, cwd=scenario.parent, capture_output=True, timeout=40).returncode == 0

    def figures(self, part: str) -> dict[str, float]:
        """What a part shows of ours; of several values of one metric, the last."""
        url = json.loads((self.home / "run" / "endpoints.json").read_text())["parts"][part]
        with httpx2.Client(timeout=10, trust_env=False) as client:
            families = text_string_to_metric_families(client.get(f"{url}/metrics").raise_for_status().text)
            return {s.name: s.value for family in families for s in family.samples if s.name.startswith("ringfence_")}

    def until(self, true: Callable[[], object], within_s: float = 60.0) -> None:
        end = time.monotonic() + within_s
        while not true():
            assert self.up.poll() is None and time.monotonic() < end, (self.home.parent / "up.txt").read_text()
            time.sleep(0.3)


@pytest.fixture
def house(tmp_path: Path, need: Callable[[str], None]) -> Iterator[House]:
    need("kamailio")
    need("sipp")
    sip_port, carrier_port = free_udp_port(), free_udp_port()
    env = os.environ | {f"RINGFENCE_{name}_PORT": "0" for name in ("COLLECTOR", "WAREHOUSE", "CONTROL", "METRICS", "PAGES")}
    env["RINGFENCE_HOME"] = str(tmp_path / "home")
    callee = ["sipp", "-sn", "uas", "-i", "127.0.0.1", "-p", str(carrier_port), "-nostdin"]
    carrier = subprocess.Popen(callee, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with (tmp_path / "up.txt").open("wb") as out:
        command = [sys.executable, "-m", "ringfence", "up", "--kamailio", "--sip-port", str(sip_port)]
        up = subprocess.Popen([*command, "--carrier", f"127.0.0.1:{carrier_port}"], env=env, stdout=out, stderr=out)
    made = House(tmp_path / "home", env, sip_port, up)
    try:
        made.until(lambda: "received 1" in (tmp_path / "up.txt").read_text())  # its boot record has come all the way
        yield made
        up.send_signal(signal.SIGINT)
        assert up.wait(60) == 0
    finally:
        up.kill()
        carrier.kill()
        carrier.wait()


@pytest.mark.slow
@pytest.mark.kamailio
def test_a_real_call_is_billed_what_it_talked_and_a_blocked_one_is_refused(house: House, tmp_path: Path):
    scenario = tmp_path / "caller.xml"
    scenario.write_text(CALLER)
    assert house.call("43512345678", scenario)
    house.until(lambda: json.loads(house.ask("calls", "--json")))
    (call,) = json.loads(house.ask("calls", "--json"))
    assert (call["number"], call["account"], call["disposition"], call["billable_s"]) == ("43512345678", "local", "rated", 2)
    assert abs(call["duration_s"] * 1000 - TALK_MS) < 100
    assert float(call["sell"]) > float(call["buy"]) > 0

    house.until(
        lambda: house.figures("collector")["ringfence_received_total"] == house.figures("shipper")["ringfence_shipped_total"] > 3
    )
    for part in ("shipper", "kamailio"):
        assert house.figures(part).keys() == {metric.name for metric in catalog.of(part)}
        assert house.figures(part)["ringfence_ready"] == 1
    assert house.figures("shipper")["ringfence_backlog_bytes"] == 0 and house.figures("kamailio")["ringfence_config_version"] == 1

    key = ("--account", "local", "--b-range", "88213")
    house.ask("block", *key, "--why", "a test")
    house.until(lambda: "switch k1 is in shadow" in (tmp_path / "up.txt").read_text())
    assert house.call("88213000111", scenario), "in shadow the call goes on"

    house.ask("enforce", "--switch", "k1", "--why", "a test")
    house.until(lambda: "switch k1 refuses" in (tmp_path / "up.txt").read_text())
    assert not house.call("88213000111", scenario)
    assert house.call("88214000111", scenario), "a blocked range does not catch its neighbour"

    house.ask("unblock", "--all", "--why", "a test")
    assert house.call("88213000111", scenario), "held: no block acts"
    house.until(lambda: house.figures("dispatcher")["ringfence_switch_on_hold"] == 1)
    house.ask("unblock", "--clear-hold", "--why", "a test")
    assert not house.call("88213000111", scenario)
    house.ask("unblock", *key, "--why", "a test")
    house.until(lambda: "lets t1/account:local/b:88213 pass again" in (tmp_path / "up.txt").read_text())
    assert house.call("88213000111", scenario)
    for log in (house.home / "run").glob("*.log"):
        text = log.read_text()
        assert not any(number in text for number in ("43512345678", "4318123", "88213000111")), log
