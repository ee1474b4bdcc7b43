"""The provider's life: wait for the lease, restore, take turns until told to stop; stand by otherwise.

The only part of the provider that waits. Knows nothing of rounds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog

from chrono.errors import ChronoError
from core.ports import StoreUnavailable
from core.provider.engine import Provider
from core.provider.epoch_duties import EpochDuties
from core.provider.metrics import ProviderMetrics
from core.provider.ports import ChainUnavailable, LeaseHeld, LeaseLost, Ledger, Ledgers

POLL_S: Final = 0.5
"""The longest pause between two turns: blocks come, and transactions may need to be outbid."""
STANDBY_S: Final = 1.0
DUTIES_S: Final = 2.0
"""Between two looks at the duties of the reward epoch."""

log = structlog.get_logger()


async def live(
    *,
    ledgers: Ledgers,
    provider: str,
    holder: str,
    make: Callable[[Ledger], Provider],
    duties: Callable[[Ledger], EpochDuties] | None = None,
    clock: Callable[[], float],
    metrics: ProviderMetrics,
    stop: asyncio.Event,
) -> None:
    """Work whenever the lease can be had, until `stop` is set."""
    standing_by = False
    last: Provider | None = None
    while not stop.is_set():
        try:
            async with ledgers.lease(provider, holder) as ledger:
                log.info("provider_works", provider=provider, holder=holder)
                standing_by = False
                metrics.active.set(1)
                last = make(ledger)
                async with _attended(duties and duties(ledger), clock, metrics, stop):
                    await _work(last, clock, stop)
        except LeaseHeld as error:
            if not standing_by:
                log.info("provider_stands_by", detail=str(error))
            standing_by = True
        except (LeaseLost, StoreUnavailable) as error:
            log.error("lease_lost", detail=str(error))
        except Exception:
            # Whatever it was: a new session restores what was said, and rounds go on.
            log.exception("provider_failed")
            metrics.failures.labels("any", "unforeseen").inc()
        finally:
            metrics.active.set(0)
        if last is not None and not stop.is_set():
            await _keep_promises(last, clock())
        await _pause(STANDBY_S, stop)


async def _keep_promises(last: Provider, at: float) -> None:
    """Without a lease nothing new is said, but what was committed is still revealed."""
    try:
        await last.keep_promises(at)
    except ChronoError as error:
        log.error("promises_not_kept_yet", detail=str(error))


async def _work(provider: Provider, clock: Callable[[], float], stop: asyncio.Event) -> None:
    await provider.restore(clock())
    while not stop.is_set():
        try:
            next_at = await provider.turn(clock())
        except ChainUnavailable as error:
            log.error("chain_unavailable", detail=str(error))
            next_at = clock() + POLL_S
        await _pause(min(POLL_S, max(0.0, next_at - clock())), stop)


@asynccontextmanager
async def _attended(
    duties: EpochDuties | None, clock: Callable[[], float], metrics: ProviderMetrics, stop: asyncio.Event
) -> AsyncIterator[None]:
    """The duties are attended to, beside the rounds, until the context ends."""
    if duties is None:
        yield
        return
    task = asyncio.create_task(attend(duties, clock, metrics, stop))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def attend(
    duties: EpochDuties, clock: Callable[[], float], metrics: ProviderMetrics, stop: asyncio.Event
) -> None:
    """Do the duties until told to stop or the lease is lost; the rounds find that out for themselves."""
    restored = False
    while not stop.is_set():
        try:
            if not restored:
                await duties.restore(clock())
                restored = True
            await duties.turn(clock())
        except LeaseLost as error:
            log.error("duties_lost_lease", detail=str(error))
            return
        except ChronoError as error:
            log.warning("duties_wait", why=type(error).__name__, detail=str(error))
        except Exception:
            # Whatever it was: rounds go on, and the duties are tried again.
            log.exception("duties_failed")
            metrics.failures.labels("duties", "unforeseen").inc()
        await _pause(DUTIES_S, stop)


async def _pause(seconds: float, stop: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
