"""Full garbage collections when many clients have left, and not while they come.

A collection of everything stops the process for tens of milliseconds a thousand clients. Left to itself,
Python makes one whenever a quarter more objects live, so that clients are told late again and again while
others connect. Here it is made only after DEPARTED_MAX have left, whose objects it frees, or now and then.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Histogram

LOOK_EVERY_S: Final = 1.0
COLLECT_EVERY_S: Final = 600.0
DEPARTED_MAX: Final = 1_000
"""Clients whose objects may wait: about 65 MB."""

_YOUNG: Final = (2_000, 20)
_NEVER: Final = 1_000_000
"""Collections of the middle generation until one of the oldest: weeks of them."""


class TidyMetrics:
    """How long the process stood still."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Histogram(
            "chrono_collection_seconds",
            "Full garbage collections, in which the process stands still",
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
            registry=registry,
        )


class Tidy:
    """`departed` counts the clients that have left since the start."""

    def __init__(self, departed: Callable[[], int], metrics: TidyMetrics) -> None:
        self._departed, self._metrics = departed, metrics
        self._seen, self._collected_at = 0, 0.0

    async def run(self) -> None:
        """Until cancelled. What stands now is looked through no more: it lasts as long as the process."""
        gc.collect()
        gc.freeze()
        before = gc.get_threshold()
        gc.set_threshold(*_YOUNG, _NEVER)
        try:
            while True:
                await asyncio.sleep(LOOK_EVERY_S)
                self.look(time.monotonic())
        finally:
            gc.set_threshold(*before)

    def look(self, at: float) -> bool:
        """Collect if it is time; `at` is on any clock. Whether it was."""
        left = self._departed() - self._seen
        if left < DEPARTED_MAX and at - self._collected_at < COLLECT_EVERY_S:
            return False
        with self._metrics.seconds.time():
            gc.collect()
        self._seen, self._collected_at = self._departed(), at
        return True
