"""Gauges of what all workers share."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

Labels = tuple[str, ...]


class SharedGauge(Collector):
    """A gauge that whichever worker is scraped reads anew: what it said before, or another one said, is forgotten."""

    def __init__(self, name: str, text: str, *labels: str, registry: CollectorRegistry) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._values: Mapping[Labels, float] = {}
        registry.register(self)

    def tell(self, values: Mapping[Labels, float]) -> None:
        """Say this from now on, by labels, and nothing else."""
        self._values = values

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(self._name, self._text, labels=self._labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        yield family
