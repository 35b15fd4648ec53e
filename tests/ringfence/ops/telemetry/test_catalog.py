"""The table of the metrics: bounded labels, base units, and a page that is current."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ringfence.ops import ports
from ringfence.ops.telemetry import catalog
from ringfence.ops.telemetry.catalog import CATALOG, LABELS, Metric

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("metric", CATALOG, ids=lambda metric: metric.name)
def test_names_units_and_labels(metric: Metric):
    assert re.fullmatch(r"ringfence_[a-z][a-z_]*[a-z]", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert not re.search(r"_(ms|milliseconds|kb|mb|minutes|s)$", metric.name), "base units: seconds, bytes"
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert set(metric.labels) <= LABELS, "a label with many values: never an account, a number or a key"
    assert metric.help.endswith((".", ".)")) and len(metric.help) > 15
    assert set(metric.parts) <= ports.NUMBERS.keys()


def test_no_name_twice():
    assert len({metric.name for metric in CATALOG}) == len(CATALOG)


def test_the_page_is_current():
    assert (ROOT / "docs/metrics.md").read_text() == catalog.page(), "python -m ringfence.ops.telemetry.catalog > docs/metrics.md"
