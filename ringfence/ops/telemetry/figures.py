"""Where the figures of a process are kept until they are asked for."""

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
    """One value of one metric, as it is looked up when somebody asks."""

    metric: Metric
    value: float
    labels: Labels = ()


class _Spread:
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


class Figures(Collector):
    """Counts and spreads, of any thread, told a batch at a time: a histogram of the library takes one value a call, which is too dear here.

    >>> from ringfence.ops.telemetry.catalog import END_TO_END, RECORDS
    >>> figures = Figures()
    >>> figures.add(RECORDS, 3, "rated"); figures.spread(END_TO_END, np.array([0.02, 7.0]), "judged")
    >>> [sample.value for family in figures.collect() for sample in family.samples if sample.name.endswith(("_total", "_count"))]
    [3.0, 2.0]
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[Metric, dict[Labels, float]] = {}
        self._spreads: dict[Metric, dict[Labels, _Spread]] = {}

    def add(self, metric: Metric, n: float = 1, *labels: str) -> None:
        """`n` more. 0 shows the counter before the first one comes."""
        _check(metric, labels)
        with self._lock:
            counts = self._counts.setdefault(metric, {})
            counts[labels] = counts.get(labels, 0.0) + n

    def spread(self, metric: Metric, values: Sequence[float] | npt.NDArray[np.float64], *labels: str) -> None:
        """More values of a histogram; none shows it before the first one comes."""
        _check(metric, labels)
        with self._lock:
            spreads = self._spreads.setdefault(metric, {})
            if labels not in spreads:
                spreads[labels] = _Spread(metric)
            if len(values):
                spreads[labels].add(np.asarray(values, np.float64))

    def collect(self) -> list[Family]:
        with self._lock:  # for a moment: whoever counts must not wait until a caller has read it all
            return [_counter(*each) for each in self._counts.items()] + [_histogram(*each) for each in self._spreads.items()]


def _check(metric: Metric, labels: Labels) -> None:
    """The library would drop a label too many in silence."""
    if len(labels) != len(metric.labels):
        raise ValueError(f"{metric.name} has the labels {metric.labels}, not {labels}")


def _counter(metric: Metric, counts: Mapping[Labels, float]) -> Family:
    family = CounterMetricFamily(metric.family, metric.help, labels=metric.labels)
    for labels, count in counts.items():
        family.add_metric(labels, count)
    return family


def _histogram(metric: Metric, spreads: Mapping[Labels, _Spread]) -> Family:
    family = HistogramMetricFamily(metric.family, metric.help, labels=metric.labels)
    for labels, spread in spreads.items():
        buckets, total = spread.buckets()
        family.add_metric(labels, buckets, total)
    return family


class Looked(Collector):
    """Values that are looked up at the moment when somebody asks."""

    def __init__(self, look: Callable[[], Iterable[Sample]]) -> None:
        self._look = look

    def collect(self) -> Iterator[Family]:
        gauges: dict[Metric, GaugeMetricFamily] = {}
        for metric, value, labels in self._look():
            _check(metric, labels)
            if metric not in gauges:
                gauges[metric] = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            gauges[metric].add_metric(labels, value)
        yield from gauges.values()


def registry(*collectors: Collector) -> CollectorRegistry:
    """One of our own, with the figures of the process and of the garbage collector; the library's global one stays empty."""
    made = CollectorRegistry()
    ProcessCollector(registry=made)
    GCCollector(registry=made)
    for collector in collectors:
        made.register(collector)
    return made
