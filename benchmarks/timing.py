"""How long calls take."""

from __future__ import annotations

import time
from collections.abc import Callable


def times_of(call: Callable[[], object], count: int) -> list[float]:
    """Milliseconds of each of `count` calls."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1e3)
    return times
