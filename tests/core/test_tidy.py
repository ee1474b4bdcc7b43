"""Full collections wait for many to have left, or for the time."""

from __future__ import annotations

import asyncio
import gc

from prometheus_client import CollectorRegistry

from core.tidy import COLLECT_EVERY_S, DEPARTED_MAX, Tidy, TidyMetrics


async def test_a_collection_is_made_when_enough_have_left_and_then_not_again() -> None:
    departed, registry = [0], CollectorRegistry()
    tidy = Tidy(lambda: departed[0], TidyMetrics(registry))
    assert tidy.look(COLLECT_EVERY_S)
    departed[0] = DEPARTED_MAX - 1
    assert not tidy.look(COLLECT_EVERY_S + 1)
    departed[0] = DEPARTED_MAX
    assert tidy.look(COLLECT_EVERY_S + 2)
    assert not tidy.look(COLLECT_EVERY_S + 3)
    assert registry.get_sample_value("chrono_collection_seconds_count") == 2


async def test_a_collection_is_made_now_and_then_though_nobody_leaves() -> None:
    tidy = Tidy(lambda: 0, TidyMetrics(CollectorRegistry()))
    tidy.look(COLLECT_EVERY_S)
    assert not tidy.look(2 * COLLECT_EVERY_S - 1)
    assert tidy.look(2 * COLLECT_EVERY_S)


async def test_python_s_own_habits_come_back_with_its_end() -> None:
    before = gc.get_threshold()
    running = asyncio.create_task(Tidy(lambda: 0, TidyMetrics(CollectorRegistry())).run())
    await asyncio.sleep(0)
    assert gc.get_threshold() != before
    running.cancel()
    await asyncio.wait({running})
    assert gc.get_threshold() == before
    gc.unfreeze()
