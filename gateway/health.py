"""What works and what does not in this process, for /readyz, and what was counted, for /metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


@dataclass(slots=True)
class Health:
    """The state of the parts of one process: a stage says `ok` or `bad` with the reason.

    Ready is who has at least one part and no bad one. Measures belong to this object, so that
    two gateways in one process (tests) do not count into one another.
    """

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    _parts: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    _counters: dict[str, Counter] = field(default_factory=dict[str, Counter])
    _gauges: dict[str, Gauge] = field(default_factory=dict[str, Gauge])
    _histograms: dict[str, Histogram] = field(default_factory=dict[str, Histogram])

    def ok(self, part: str) -> None:
        self._parts[part] = None

    def bad(self, part: str, why: str) -> None:
        self._parts[part] = why

    @property
    def ready(self) -> bool:
        return bool(self._parts) and all(why is None for why in self._parts.values())

    @property
    def parts(self) -> Mapping[str, str | None]:
        """Each part, and why it is bad or None."""
        return dict(self._parts)

    def counter(self, name: str, what: str, labels: Sequence[str] = ()) -> Counter:
        """A counter `trygport_<name>_total`; the same one for the same name."""
        if name not in self._counters:
            made = Counter(f"trygport_{name}", what, labels, registry=self.registry)
            self._counters[name] = made
        return self._counters[name]

    def gauge(self, name: str, what: str, labels: Sequence[str] = ()) -> Gauge:
        """A gauge `trygport_<name>`; the same one for the same name."""
        if name not in self._gauges:
            self._gauges[name] = Gauge(f"trygport_{name}", what, labels, registry=self.registry)
        return self._gauges[name]

    def histogram(self, name: str, what: str, labels: Sequence[str] = ()) -> Histogram:
        """A histogram `trygport_<name>`; the same one for the same name."""
        if name not in self._histograms:
            made = Histogram(f"trygport_{name}", what, labels, registry=self.registry)
            self._histograms[name] = made
        return self._histograms[name]
