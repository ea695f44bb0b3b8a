"""What is counted for Prometheus, one registry a set of doors."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Measures:
    """Requests by operation and status, their seconds, and how far read models are behind."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.under_way = Gauge(
            "counterseal_requests_under_way", "Requests being answered", registry=self.registry
        )
        self._requests = Counter(
            "counterseal_requests",
            "Requests answered",
            ("operation", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "counterseal_request_seconds",
            "Seconds from the first byte to the last",
            ("operation",),
            buckets=SECONDS,
            registry=self.registry,
        )
        decisions = Counter(
            "counterseal_decisions",
            "Access checks answered",
            ("decision",),
            registry=self.registry,
        )
        self._allowed = decisions.labels("allow")
        self._denied = decisions.labels("deny")
        self.lag = Gauge(
            "counterseal_projection_lag",
            "Events a read model is behind its log, the worst tenant",
            ("projection",),
            registry=self.registry,
        )
        self._differences = Gauge(
            "counterseal_differences",
            "Rows of read models that are not what the log says, all tenants",
            registry=self.registry,
        )
        self._quarantined = Gauge(
            "counterseal_quarantined_streams",
            "Streams in quarantine, all tenants, when a verifier last looked",
            registry=self.registry,
        )
        self._unverified = Gauge(
            "counterseal_unverified_events",
            "Events whose rows were not yet compared with the log, the worst read model",
            registry=self.registry,
        )
        self._children: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def answered(self, operation: str, status: int, seconds: float) -> None:
        """Count one answer; operations are those of the tables, so the series are bounded."""
        found = self._children.get((operation, status))
        if found is None:
            found = (
                self._requests.labels(operation, str(status)),
                self._seconds.labels(operation),
            )
            self._children[(operation, status)] = found
        found[0].inc()
        found[1].observe(seconds)

    def looked(self, differences: int, quarantined: int, unverified: int) -> None:
        """Take over what the database says of rows that differ; in rows, streams and events."""
        self._differences.set(differences)
        self._quarantined.set(quarantined)
        self._unverified.set(unverified)

    def decided(self, allowed: bool, number: int = 1) -> None:
        """Count access checks."""
        (self._allowed if allowed else self._denied).inc(number)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)
