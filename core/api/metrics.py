"""The API's metrics, on a registry that is handed in."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class ApiMetrics:
    """One attribute a metric; names end in their unit."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.request_seconds = Histogram(
            "chrono_http_request_seconds",
            "Time from the request's head to the end of the answer",
            ["method", "route", "status"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.problems = Counter(
            "chrono_http_problems", "Requests refused, by problem", ["problem"], registry=registry
        )
        self.deprecated = Counter(
            "chrono_http_deprecated", "Requests that used what will go, by route", ["used"], registry=registry
        )
        self.ingest_batches = Counter(
            "chrono_ingest_answers", "Answers to POST /ingest, by outcome", ["outcome"], registry=registry
        )
        self.stream_clients = Gauge(
            "chrono_stream_clients", "WebSocket clients connected now", registry=registry
        )
        self.stream_messages = Counter(
            "chrono_stream_messages", "WebSocket messages sent, by type", ["type"], registry=registry
        )
        self.stream_conflated = Counter(
            "chrono_stream_conflated", "Passes that slow WebSocket clients did not get", registry=registry
        )
        self.stream_expelled = Counter(
            "chrono_stream_expelled", "WebSocket clients closed by the server", ["reason"], registry=registry
        )
        self.stream_failures = Counter(
            "chrono_stream_failures", "Bus messages or turns of the hub that failed", registry=registry
        )
        self.socket_seconds = Histogram(
            "chrono_estimate_to_socket_seconds",
            "Time from a pass to the hand-over of its update; a sample is of up to 100 sockets",
            buckets=_SECONDS,
            registry=registry,
        )
