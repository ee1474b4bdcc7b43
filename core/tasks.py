"""Background work that must outlive its own failures: begun again, logged and counted.

For the loops of a service whose other parts go on without them. Not for logic: an unforeseen error in there
should be seen, and here it is seen in the log, in the metric and in the alert on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter

PAUSE_S: Final = 1.0

log = structlog.get_logger()


class TaskMetrics:
    """How often each background task failed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.failures = Counter(
            "chrono_task_failures",
            "Background tasks that failed and were begun again",
            ["task"],
            registry=registry,
        )


async def keep_running(
    name: str, run: Callable[[], Awaitable[None]], metrics: TaskMetrics, pause_s: float = PAUSE_S
) -> None:
    """Run until cancelled, or until `run` returns; a failure begins it again after a pause."""
    while True:
        try:
            return await run()
        except Exception:
            log.exception("task_failed", task=name, again_in_s=pause_s)
            metrics.failures.labels(name).inc()
        await asyncio.sleep(pause_s)
