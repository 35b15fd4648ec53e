"""`ringfence up --kamailio`: a real call from the switch to the warehouse, and a block back to the switch."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from ports import free_port, free_ports
from prometheus_client.parser import text_string_to_metric_families
from running_up import Up

from ringfence.ops.telemetry import catalog

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


def call(sip_port: int, number: str, scenario: Path) -> bool:
    """Whether a call to this number was answered."""
    command = ["sipp", f"127.0.0.1:{sip_port}", "-sf", str(scenario), "-s", number, "-i", "127.0.0.1"]
    command += ["-p", str(free_port()), "-m", "1", "-nostdin", "-timeout", "20s", "-timeout_error"]
    return subprocess.run(command, cwd=scenario.parent, capture_output=True, timeout=40).returncode == 0


def figures(up: Up, part: str) -> dict[str, float]:
    """Our metrics of a part; of several values of one metric, the last."""
    with httpx2.Client(timeout=10, trust_env=False) as client:
        families = text_string_to_metric_families(client.get(f"{up.endpoints()['parts'][part]}/metrics").raise_for_status().text)
        return {s.name: s.value for family in families for s in family.samples if s.name.startswith("ringfence_")}


@pytest.fixture
def house(tmp_path: Path, need: Callable[[str], None]) -> Iterator[tuple[Up, int]]:
    """All parts with a Kamailio and a carrier, and Kamailio's SIP port."""
    need("kamailio")
    need("sipp")
    sip_port, carrier_port = free_ports(2)
    callee = ["sipp", "-sn", "uas", "-i", "127.0.0.1", "-p", str(carrier_port), "-nostdin"]
    carrier = subprocess.Popen(callee, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    up = Up(tmp_path / "home", "--kamailio", "--sip-port", str(sip_port), "--carrier", f"127.0.0.1:{carrier_port}")
    try:
        up.until_output("received 1")  # its boot record is judged
        yield up, sip_port
        assert up.close() == 0
    finally:
        up.process.kill()
        carrier.kill()
        carrier.wait()


@pytest.mark.slow
@pytest.mark.kamailio
def test_a_real_call_is_billed_what_it_talked_and_a_blocked_one_is_refused(house: tuple[Up, int], tmp_path: Path):
    up, sip_port = house
    scenario = tmp_path / "caller.xml"
    scenario.write_text(CALLER)
    assert call(sip_port, "43512345678", scenario)
    up.until(lambda: json.loads(up.ask("calls", "--json")))
    (billed,) = json.loads(up.ask("calls", "--json"))
    assert (billed["number"], billed["account"], billed["disposition"], billed["billable_s"]) == ("43512345678", "local", "rated", 2)
    assert abs(billed["duration_s"] * 1000 - TALK_MS) < 100
    assert float(billed["sell"]) > float(billed["buy"]) > 0

    up.until(
        lambda: figures(up, "collector")["ringfence_received_total"] == figures(up, "shipper")["ringfence_shipped_total"] > 3
    )
    for part in ("shipper", "kamailio"):
        assert figures(up, part).keys() == {metric.name for metric in catalog.of(part)}
        assert figures(up, part)["ringfence_ready"] == 1
    assert figures(up, "shipper")["ringfence_backlog_bytes"] == 0

    key = ("--account", "local", "--b-range", "88213")
    up.ask("block", *key, "--why", "a test")
    up.until_output("switch k1 is in shadow")
    assert call(sip_port, "88213000111", scenario), "in shadow the call passes"

    up.ask("enforce", "--switch", "k1", "--why", "a test")
    up.until_output("switch k1 refuses")
    assert not call(sip_port, "88213000111", scenario)
    assert call(sip_port, "88214000111", scenario), "a block does not cover the next range"

    up.ask("unblock", "--all", "--why", "a test")
    assert call(sip_port, "88213000111", scenario), "held: no block acts"
    up.until(lambda: figures(up, "dispatcher")["ringfence_switch_on_hold"] == 1)
    up.ask("unblock", "--clear-hold", "--why", "a test")
    assert not call(sip_port, "88213000111", scenario)
    up.ask("unblock", *key, "--why", "a test")
    up.until_output("lets t1/account:local/b:88213 pass again")
    assert call(sip_port, "88213000111", scenario)
    for log in (up.home / "run").glob("*.log"):
        text = log.read_text()
        assert not any(number in text for number in ("43512345678", "4318123", "88213000111")), log
