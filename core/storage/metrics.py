"""What storage measures of itself."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class StorageMetrics:
    """The storage metrics of one registry. `kind` of a failure: queue_full, down, timeout or error."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.queue_batches = Gauge(
            "chrono_store_queue_batches", "Batches that wait for their commit.", registry=registry
        )
        self.connected = Gauge(
            "chrono_store_connected", "1 while the writer of ticks has its connection.", registry=registry
        )
        self.commit_seconds = Histogram(
            "chrono_store_commit_seconds",
            "Time of one transaction of batches.",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
            registry=registry,
        )
        self.rows = Counter("chrono_store_rows", "Rows committed.", ["table"], registry=registry)
        self.failures = Counter(
            "chrono_store_failures", "Calls that ended in StoreUnavailable.", ["kind"], registry=registry
        )
