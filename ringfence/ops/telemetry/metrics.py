"""Counters and histograms of a process, until they are scraped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from ringfence.ops.telemetry.catalog import Metric

Labels = tuple[str, ...]


class Sample(NamedTuple):
    """One value of one metric, read at a scrape."""

    metric: Metric
    value: float
    labels: Labels = ()


class _Histogram:
    """How many values fell below each bound of a histogram, and their sum."""

    def __init__(self, metric: Metric) -> None:
        self._bounds = np.array(metric.buckets)
        self._counts = np.zeros(len(metric.buckets) + 1, np.int64)
        self._sum = 0.0

    def add(self, values: npt.NDArray[np.float64]) -> None:
        self._counts += np.bincount(np.searchsorted(self._bounds, values), minlength=len(self._counts))
        self._sum += float(values.sum())

    def buckets(self) -> tuple[list[tuple[str, float]], float]:
        bounds = [*map(str, map(floatToGoString, self._bounds)), "+Inf"]
        return list(zip(bounds, np.cumsum(self._counts).astype(float).tolist(), strict=True)), self._sum


class Metrics(Collector):
    """Counters and histograms, thread-safe, updated once per batch: the library's histogram takes one value per call, which is too slow.

    >>> from ringfence.ops.telemetry.catalog import END_TO_END, RECORDS
    >>> metrics = Metrics()
    >>> metrics.add(RECORDS, 3, "rated"); metrics.observe(END_TO_END, np.array([0.02, 7.0]), "judged")
    >>> [sample.value for family in metrics.collect() for sample in family.samples if sample.name.endswith(("_total", "_count"))]
    [3.0, 2.0]
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[Metric, dict[Labels, float]] = {}
        self._histograms: dict[Metric, dict[Labels, _Histogram]] = {}

    def add(self, metric: Metric, n: float = 1, *labels: str) -> None:
        """Add `n` to a counter. 0 makes it visible before the first event."""
        _check(metric, labels)
        with self._lock:
            counts = self._counts.setdefault(metric, {})
            counts[labels] = counts.get(labels, 0.0) + n

    def observe(self, metric: Metric, values: Sequence[float] | npt.NDArray[np.float64], *labels: str) -> None:
        """Add values to a histogram; no values make it visible before the first one."""
        _check(metric, labels)
        with self._lock:
            histograms = self._histograms.setdefault(metric, {})
            if labels not in histograms:
                histograms[labels] = _Histogram(metric)
            if len(values):
                histograms[labels].add(np.asarray(values, np.float64))

    def collect(self) -> list[Family]:
        with self._lock:  # only while the values are copied: counting must not wait for a slow scraper
            return [_counter(*each) for each in self._counts.items()] + [_histogram(*each) for each in self._histograms.items()]


def _check(metric: Metric, labels: Labels) -> None:
    """Refuse a wrong number of labels: the library drops an extra one silently."""
    if len(labels) != len(metric.labels):
        raise ValueError(f"{metric.name} has the labels {metric.labels}, not {labels}")


def _counter(metric: Metric, counts: Mapping[Labels, float]) -> Family:
    family = CounterMetricFamily(metric.family, metric.help, labels=metric.labels)
    for labels, count in counts.items():
        family.add_metric(labels, count)
    return family


def _histogram(metric: Metric, histograms: Mapping[Labels, _Histogram]) -> Family:
    family = HistogramMetricFamily(metric.family, metric.help, labels=metric.labels)
    for labels, histogram in histograms.items():
        buckets, total = histogram.buckets()
        family.add_metric(labels, buckets, total)
    return family


class ScrapeCollector(Collector):
    """Gauges whose values are read at a scrape."""

    def __init__(self, samples: Callable[[], Iterable[Sample]]) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Family]:
        gauges: dict[Metric, GaugeMetricFamily] = {}
        for metric, value, labels in self._samples():
            _check(metric, labels)
            if metric not in gauges:
                gauges[metric] = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            gauges[metric].add_metric(labels, value)
        yield from gauges.values()


def registry(*collectors: Collector) -> CollectorRegistry:
    """A registry of our own, with the metrics of the process and of the garbage collector; the library's global one stays empty."""
    made = CollectorRegistry()
    ProcessCollector(registry=made)
    GCCollector(registry=made)
    for collector in collectors:
        made.register(collector)
    return made
