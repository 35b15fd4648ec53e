"""A running `up --simulate` as machines see it: every part's figures, whether they add up, and what its logs do not tell."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.record import TICK_KEY
from core.schemas import DISPOSITIONS
from core.topics import CALLS
from journal import open_journal
from ringfence.seen import catalog

PORTS = ("COLLECTOR", "WAREHOUSE", "CONTROL", "METRICS", "PAGES")
ODD = (
    b'{"v":1,"event":"stop","switch":"sim1","at_ms":"436641234567","a_raw":"436641234567"}',
    b'{"v":1,"event":"stop","a_raw":"436649876543',
    b"sip:436641112223@pbx is no record",
)
Scrape = dict[tuple[str, ...], float]


@pytest.fixture
def up(tmp_path: Path):
    home, env = tmp_path / "home", os.environ | {f"RINGFENCE_{name}_PORT": "0" for name in PORTS}
    env |= {"RINGFENCE_HOME": str(home), "RINGFENCE_LOG_FORMAT": "json", "RINGFENCE_LOG_LEVEL": "debug"}
    command = [
        sys.executable,
        "-m",
        "ringfence",
        "up",
        "--simulate",
        "--seed",
        "1",
        "--attack-after-s",
        "0",
        "--calls-per-s",
        "8",
    ]
    with (tmp_path / "up.txt").open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=env)
    try:
        yield home, env, process
    finally:
        for child in psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []:
            child.resume()  # else one that a test has stopped would not end
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def until(what: Callable[[], object], seconds: float = 60.0):
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.2)
    return found


def scrape(url: str) -> Scrape:
    """(name, label values by the labels' names) -> value."""
    with httpx2.Client(timeout=10, trust_env=False) as client:
        text = client.get(f"{url}/metrics").raise_for_status().text
    families = text_string_to_metric_families(text)
    return {(s.name, *(value for _, value in sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def names(shown: Scrape) -> set[str]:
    """Of the metrics of ours, as the catalogue has them."""
    ours = {key[0] for key in shown if key[0].startswith("ringfence_")}
    return {re.sub(r"_(bucket|count|sum)$", "", name) if f"{name.rpartition('_')[0]}_bucket" in ours else name for name in ours}


@pytest.mark.slow
def test_the_figures_of_every_part_add_up_and_no_log_tells_a_number(up, tmp_path: Path):
    home, env, process = up
    file = home / "run" / "endpoints.json"
    where = json.loads(until(lambda: file.exists() and file.read_text()))
    parts: dict[str, str] = {name: url for name, url in where["parts"].items() if name != "pages"}
    assert {"collector", "judge", "watch", "store", "dispatcher", "simulator"} == parts.keys()

    def ready(name: str) -> bool:
        try:
            with httpx2.Client(timeout=10, trust_env=False) as client:
                return client.get(f"{parts[name]}/ready").status_code == 200
        except httpx2.HTTPError:
            assert process.poll() is None, (tmp_path / "up.txt").read_text()
            return False

    until(lambda: all(ready(name) for name in parts))
    token = json.loads((home / "state" / "secrets.json").read_text())["collector_token"]
    with httpx2.Client(base_url=where["collector_url"], trust_env=False) as client:
        odd = client.post("/v1/records", content=b"\n".join(ODD), headers={"Authorization": f"Bearer {token}"})
        assert odd.json() == {"accepted": len(ODD)}
        assert client.post("/v1/records", content=b"{}", headers={"Authorization": "Bearer nobody"}).status_code == 401
    # An order has been delivered, the switch compared since, and a snapshot taken: now each figure is there.
    until(lambda: scrape(parts["dispatcher"])["ringfence_block_latency_seconds_count", "blocks"] >= 1)
    until(lambda: "ringfence_snapshot_bytes" in names(scrape(parts["judge"])))
    until(lambda: ("ringfence_drift_entries_total", "missing", "sim1") in scrape(parts["dispatcher"]))

    (simulator,) = [p for p in psutil.Process(process.pid).children() if "simulate" in p.cmdline()]
    simulator.suspend()
    shown: dict[str, Scrape] = {}

    def settled() -> bool:
        shown.update({name: scrape(parts[name]) for name in ("collector", "judge", "store")})
        received = shown["collector"]["ringfence_received_total",]
        return (
            received
            == shown["judge"]["ringfence_end_to_end_seconds_count", "judged"]
            == shown["store"]["ringfence_stored_rows_total", "records"]
        )

    until(settled, 20)
    fates = {fate: shown["judge"]["ringfence_records_total", fate] for fate in DISPOSITIONS}
    assert sum(fates.values()) == shown["collector"]["ringfence_received_total",] > 100 and fates["reject"] == len(ODD)
    journal = open_journal(f"files://{home}/journal")
    messages = [m for p in range(journal.partitions(CALLS)) for m in journal.reader(CALLS, p, 0).read(100_000, 1 << 28)]
    assert sum(m.key != TICK_KEY for m in messages) == sum(fates.values())
    assert shown["collector"]["ringfence_posts_total", "401"] == 1
    assert shown["store"]["ringfence_end_to_end_seconds_count", "stored"] == sum(fates.values())
    status = json.loads(
        subprocess.run([sys.executable, "-m", "ringfence", "status", "--json"], env=env, capture_output=True, check=True).stdout
    )
    assert status["received"] == sum(fates.values()) and status["rated"] == fates["rated"]
    signs = {name: sign for name, sign in status["parts"].items() if name in parts}
    assert signs.pop("simulator")["why"].startswith("no answer at http://127.0.0.1:"), "it is stopped"
    assert all(sign["alive"] and sign["ready"] and not sign["why"] for sign in signs.values()) and len(signs) == 5, signs
    simulator.resume()

    for name, url in parts.items():
        told = {metric.name for metric in catalog.of(name)}
        extra, missing = names(scrape(url)) - told, told - names(scrape(url))
        assert not extra, f"{name} shows what the catalogue does not name: {extra}"
        # What watch finds, this traffic does not hold.
        assert missing <= ({"ringfence_findings_total"} if name == "watch" else set()), f"{name} does not show {missing}"

    dialled = {number for m in messages if m.key != TICK_KEY for number in re.findall(rb"(?<!\d)\d{9,15}(?!\d)", m.value)}
    dialled = {number for number in dialled if not re.fullmatch(rb"1[5-9]\d{11}", number)}  # moments
    assert len(dialled) > 50 and b"436641234567" in dialled
    secrets = [value.encode() for value in json.loads((home / "state" / "secrets.json").read_text()).values()]
    for log in [tmp_path / "up.txt", *sorted((home / "run").glob("*.log"))]:
        text = log.read_bytes()
        told = set(re.findall(rb"\d{9,15}", text)) & dialled
        assert not told, f"{log.name} tells {told}"
        if log.name == "up.txt":
            continue  # where `up` greets a person with addresses and tokens
        assert not any(secret in text for secret in secrets), f"{log.name} tells a secret"
        if log.name != "up.log":
            assert all(json.loads(line)["timestamp"] for line in text.splitlines()), log.name
    assert re.search(rb"refuses t1/account:\S+?\*\*", (home / "run" / "up.log").read_bytes()), "a masked key"
