"""The metrics and logs of a running `up --simulate`: the metrics of all parts add up, and no log contains personal data."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from running_up import Up

from core.record import TICK_KEY
from core.schemas import DISPOSITIONS
from core.topics import CALLS
from journal import open_journal
from ringfence.ops.telemetry import catalog

ODD = (
    b'{"v":2,"event":"stop","switch":"sim1","at_ms":"436641234567","a_raw":"436641234567"}',
    b'{"v":2,"event":"stop","a_raw":"436649876543',
    b"sip:436641112223@pbx is no record",
)
Scrape = dict[tuple[str, ...], float]


@pytest.fixture
def up(tmp_path: Path):
    options = ("--simulate", "--seed", "1", "--attack-after-s", "0", "--calls-per-s", "8")
    running = Up(tmp_path / "home", *options, LOG_FORMAT="json", LOG_LEVEL="debug")
    yield running
    running.close()


def scrape(url: str) -> Scrape:
    """(name, label values in the order of the labels' names) -> value."""
    with httpx2.Client(timeout=10, trust_env=False) as client:
        text = client.get(f"{url}/metrics").raise_for_status().text
    families = text_string_to_metric_families(text)
    return {(s.name, *(value for _, value in sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def names(shown: Scrape) -> set[str]:
    """The names of our metrics, as in the catalogue."""
    ours = {key[0] for key in shown if key[0].startswith("ringfence_")}
    return {re.sub(r"_(bucket|count|sum)$", "", name) if f"{name.rpartition('_')[0]}_bucket" in ours else name for name in ours}


@pytest.mark.slow
def test_the_metrics_of_all_parts_add_up_and_no_log_contains_a_number(up: Up):
    home, until = up.home, up.until
    until(up.endpoints)
    where = up.endpoints()
    parts: dict[str, str] = {name: url for name, url in where["parts"].items() if name != "pages"}
    assert {"collector", "judge", "watch", "store", "dispatcher", "router", "poster", "notify", "shipper", "simulator"} == parts.keys()

    def ready(name: str) -> bool:
        try:
            with httpx2.Client(timeout=10, trust_env=False) as client:
                return client.get(f"{parts[name]}/ready").status_code == 200
        except httpx2.HTTPError:
            return False

    until(lambda: all(ready(name) for name in parts))
    token = json.loads((home / "state" / "secrets.json").read_text())["collector_token"]
    with httpx2.Client(base_url=where["collector_url"], trust_env=False) as client:
        odd = client.post("/v1/records", content=b"\n".join(ODD), headers={"Authorization": f"Bearer {token}"})
        assert odd.json() == {"accepted": len(ODD)}
        assert client.post("/v1/records", content=b"{}", headers={"Authorization": "Bearer nobody"}).status_code == 401
    # After an order was delivered, the switch compared, and a snapshot taken, every metric has a value.
    until(lambda: scrape(parts["dispatcher"])["ringfence_block_latency_seconds_count", "blocks"] >= 1)
    until(lambda: "ringfence_snapshot_bytes" in names(scrape(parts["judge"])))
    until(lambda: ("ringfence_drift_entries_total", "missing", "sim1") in scrape(parts["dispatcher"]))

    (simulator,) = [p for p in up.children() if "simulate" in p.cmdline()]
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
    counts = {name: shown["judge"]["ringfence_records_total", name] for name in DISPOSITIONS}
    assert sum(counts.values()) == shown["collector"]["ringfence_received_total",] > 100 and counts["reject"] == len(ODD)
    journal = open_journal(f"files://{home}/journal")
    messages = [m for p in range(journal.partitions(CALLS)) for m in journal.reader(CALLS, p, 0).read(100_000, 1 << 28)]
    assert sum(m.key != TICK_KEY for m in messages) == sum(counts.values())
    assert shown["collector"]["ringfence_posts_total", "401"] == 1
    assert shown["store"]["ringfence_end_to_end_seconds_count", "stored"] == sum(counts.values())
    status = json.loads(up.ask("status", "--json"))
    assert status["received"] == sum(counts.values()) and status["rated"] == counts["rated"]
    health = {name: part for name, part in status["parts"].items() if name in parts}
    assert health.pop("simulator")["why"].startswith("no answer at http://127.0.0.1:"), "it is stopped"
    assert all(part["alive"] and part["ready"] and not part["why"] for part in health.values()) and len(health) == 9, health
    simulator.resume()

    for name, url in parts.items():
        expected = {metric.name for metric in catalog.of(name)}
        extra, missing = names(scrape(url)) - expected, expected - names(scrape(url))
        assert not extra, f"{name} shows what the catalogue does not name: {extra}"
        # This traffic has nothing for watch to find.
        assert missing <= ({"ringfence_findings_total"} if name == "watch" else set()), f"{name} does not show {missing}"

    dialled = {number for m in messages if m.key != TICK_KEY for number in re.findall(rb"(?<!\d)\d{9,15}(?!\d)", m.value)}
    dialled = {number for number in dialled if not re.fullmatch(rb"1[5-9]\d{11}", number)}  # times
    assert len(dialled) > 50 and b"436641234567" in dialled
    secrets = [value.encode() for value in json.loads((home / "state" / "secrets.json").read_text()).values()]
    for log in [up.out, *sorted((home / "run").glob("*.log"))]:
        text = log.read_bytes()
        numbers = set(re.findall(rb"\d{9,15}", text)) & dialled
        assert not numbers, f"{log.name} contains {numbers}"
        if log == up.out:
            continue  # the output of `up` contains addresses and tokens
        assert not any(secret in text for secret in secrets), f"{log.name} contains a secret"
        if log.name != "up.log":
            assert all(json.loads(line)["timestamp"] for line in text.splitlines()), log.name
    assert re.search(rb"refuses t1/account:\S+?\*\*", (home / "run" / "up.log").read_bytes()), "a masked key"
