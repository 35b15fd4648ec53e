"""The scrape config and the alerts, read by Prometheus' own tool; and they ask for metrics that there are, of parts that there are."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import yaml

from ringfence.ops import ports
from ringfence.ops.telemetry.catalog import CATALOG

ROOT = Path(__file__).parents[2]
HERE = ROOT / "deploy/prometheus"
FIRST = 8480
RULES = [rule for group in yaml.safe_load((HERE / "rules.yml").read_text())["groups"] for rule in group["rules"]]


def promtool(*arguments: str) -> str:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=60, cwd=ROOT / "tests/deploy")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_the_configuration(need):
    need("promtool")
    output = promtool("check", "config", str(HERE / "prometheus.yml"))
    assert f"SUCCESS: {len(RULES)} rules found" in output


def test_each_alert_fires_when_it_should_and_only_then(need):
    need("promtool")
    promtool("test", "rules", "alerts.yml")
    fired = set(re.findall(r'alertname="(\w+)"', (ROOT / "tests/deploy/alerts.yml").read_text()))
    assert fired == {rule["alert"] for rule in RULES}


def test_the_alerts_use_existing_metrics():
    known = {metric.name for metric in CATALOG}
    known |= {f"{metric.name}_{end}" for metric in CATALOG if metric.kind == "histogram" for end in ("bucket", "sum", "count")}
    for rule in RULES:
        asked = set(re.findall(r"ringfence_\w+", rule["expr"]))
        assert asked <= known, rule["alert"]
        assert rule["labels"]["severity"] in ("page", "ticket") and rule["annotations"].keys() == {"summary", "action"}


def test_each_part_of_the_compose_file_is_scraped_at_its_port():
    targets = {row["labels"]["part"]: row["targets"] for row in yaml.safe_load((HERE / "targets/ringfence.yml").read_text())}
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    flows = {name for name, service in services.items() if service.get("command", [""])[0] == "flow"}
    assert targets == {name: [f"{name}:{ports.port(FIRST, name)}"] for name in flows}
