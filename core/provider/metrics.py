"""The provider's metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class ProviderMetrics:
    """What an operator is woken up by: missed steps, refusals, roots that disagree, the clock."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.steps = Counter(
            "chrono_provider_steps", "Steps of rounds by how they ended", ["step", "end"], registry=registry
        )
        self.duties = Counter(
            "chrono_provider_duties",
            "Duties of reward epochs by how they ended",
            ["duty", "end"],
            registry=registry,
        )
        self.failures = Counter(
            "chrono_provider_failures",
            "Failed attempts at a step or duty",
            ["step", "why"],
            registry=registry,
        )
        self.roots = Counter(
            "chrono_provider_roots", "Finalized roots beside ours", ["agrees"], registry=registry
        )
        self.hits = Counter(
            "chrono_provider_feed_rounds",
            "Finished feed-rounds that our value was in the band of",
            ["band"],
            registry=registry,
        )
        self.chain_behind_s = Gauge(
            "chrono_provider_chain_behind_seconds",
            "Our clock less the newest block's time; negative if our clock is late",
            registry=registry,
        )
        self.active = Gauge(
            "chrono_provider_active", "1 while this instance holds the lease", registry=registry
        )
        self.commit_s = Histogram(
            "chrono_provider_commit_seconds",
            "From the start of the turn that froze the values to the commit's broadcast",
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
            registry=registry,
        )
