"""Background work outlives its failures."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry

from core.tasks import TaskMetrics, keep_running


async def test_work_that_fails_is_begun_again_and_counted() -> None:
    registry = CollectorRegistry()
    outcomes = iter([RuntimeError("unforeseen"), ValueError("again"), None])

    async def work() -> None:
        outcome = next(outcomes)
        if outcome is not None:
            raise outcome

    await keep_running("work", work, TaskMetrics(registry), pause_s=0)
    assert registry.get_sample_value("chrono_task_failures_total", {"task": "work"}) == 2


async def test_cancelling_ends_the_work() -> None:
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(keep_running("work", work, TaskMetrics(CollectorRegistry())))
    await begun.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
