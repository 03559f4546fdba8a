"""The text that Prometheus reads. Import this module late: prometheus-client takes a while."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from postroom.app.metrics.catalogue import PROCESS, Metrics, Reading
from postroom.app.metrics.instruments import Histogram, Instrument

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4

#: Metric -> (values of its labels, number).
Readings = Mapping[Reading, Sequence[tuple[tuple[str, ...], float]]]


def text(metrics: Metrics, readings: Readings) -> bytes:
    """Everything that the workers have counted, and what was read just now."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(metrics, readings))
    return generate_latest(registry)


class _Collector:
    def __init__(self, metrics: Metrics, readings: Readings) -> None:
        self._metrics = metrics
        self._readings = readings

    def collect(self) -> Iterator[Metric]:
        """For the registry."""
        for instrument in self._metrics.shown:
            yield _histogram(instrument) if isinstance(instrument, Histogram) else _numbers(instrument)
        for reading, found in self._readings.items():
            yield _family(reading.kind, reading.name, reading.about, reading.labels, found)
        yield from _of_processes(self._metrics)


def _numbers(instrument: Instrument) -> Metric:
    found = ((values, cells[0]) for values, cells in instrument.collect())
    return _family(instrument.kind, instrument.name, instrument.about, instrument.labels, found)


def _family(
    kind: str, name: str, about: str, labels: Sequence[str], found: Iterable[tuple[tuple[str, ...], float]]
) -> Metric:
    family: CounterMetricFamily | GaugeMetricFamily = (
        CounterMetricFamily(name, about, labels=labels)
        if kind == "counter"
        else GaugeMetricFamily(name, about, labels=labels)
    )
    for values, number in found:
        family.add_metric(values, number)
    return family


def _histogram(histogram: Histogram) -> Metric:
    family = HistogramMetricFamily(histogram.name, histogram.about, labels=histogram.labels)
    bounds = [*(f"{bound:g}" for bound in histogram.bounds), "+Inf"]
    for values, cells in histogram.collect():
        *counts, total = cells
        family.add_metric(values, list(zip(bounds, accumulate(counts), strict=True)), total)
    return family


def _of_processes(metrics: Metrics) -> Iterator[Metric]:
    """What the system knows of each worker; it knows nothing of one that has just ended."""
    families = {
        reading.name: _family(reading.kind, reading.name, reading.about, reading.labels, ()) for reading in PROCESS
    }
    for (worker,), (pid,) in metrics.processes.collect():
        for found in ProcessCollector(pid=partial(int, pid), registry=CollectorRegistry()).collect():
            for sample in found.samples:
                families[sample.name].add_sample(sample.name, {"worker": worker}, sample.value)
    yield from families.values()
