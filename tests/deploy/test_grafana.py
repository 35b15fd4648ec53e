"""The dashboard of the operations room asks for metrics that there are, by labels that they have, and says what each panel is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ringfence.ops.telemetry.catalog import CATALOG

DASHBOARD = json.loads((Path(__file__).parents[2] / "deploy/grafana/ringfence.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
LABELS = {metric.name: set(metric.labels) for metric in CATALOG}
LABELS |= {f"{metric.name}_bucket": {*metric.labels, "le"} for metric in CATALOG if metric.kind == "histogram"}
TARGET = {"part", "instance", "job"}
"""Labels that Prometheus adds to each target."""


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_each_panel_asks_for_existing_metrics_and_labels(panel):
    for target in panel["targets"]:
        names = set(re.findall(r"ringfence_\w+", target["expr"]))
        assert names and names <= LABELS.keys(), target["expr"]
        known = set().union(*(LABELS[name] for name in names)) | TARGET
        asked = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        asked |= {name.strip() for by in re.findall(r"by \(([^)]*)\)", target["expr"]) for name in by.split(",")}
        assert asked <= known, target["expr"]
    assert panel["description"] and panel["fieldConfig"]["defaults"]["unit"]


def test_no_panel_covers_another():
    grids = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    places = [(at["x"] + x, at["y"] + y) for at in grids for x in range(at["w"]) for y in range(at["h"])]
    assert len(places) == len(set(places)) and max(x for x, _ in places) < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
