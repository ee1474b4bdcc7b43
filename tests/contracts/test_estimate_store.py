"""What every EstimateStore promises, held by the fake and by both layouts of PostgreSQL.

The suite runs on PostgreSQL twice: with candles computed on the fly, and after they were filled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from core.ports import Candle, EstimateStore
from core.storage.estimates import PostgresEstimateStore
from core.storage.maintenance import maintain
from core.storage.metrics import StorageMetrics
from core.storage.pool import connect_pool
from tests.databases import fresh_database
from tests.fakes.stores import FakeEstimateStore
from tests.records import AT, estimates

DAY = 86_400.0
"""`AT` is a midnight."""
HOURS_STORED = 25


@pytest.fixture(params=["fake", "plain", "plain-filled", "timescale", "timescale-filled"])
async def kept(request: pytest.FixtureRequest) -> AsyncIterator[tuple[EstimateStore, Settle]]:
    """A store, and what brings its candles up to date."""
    layout, _, filled = request.param.partition("-")
    if layout == "fake":
        yield FakeEstimateStore(), _nothing
        return
    async with fresh_database(request.getfixturevalue(f"{layout}_server")) as dsn:
        pool = await connect_pool(dsn, size=2)
        store = PostgresEstimateStore(pool, StorageMetrics(CollectorRegistry()))
        yield store, (lambda: _fill(pool, layout)) if filled else _nothing
        await pool.close()


Settle = Callable[[], Awaitable[None]]


async def _nothing() -> None:
    """A store that computes its candles needs nothing."""


async def _fill(pool: asyncpg.Pool, layout: str) -> None:
    async with pool.acquire() as connection:
        if layout == "plain":
            for _ in range(HOURS_STORED // 2 + 1):  # a call fills two hours
                await maintain(connection, AT + 10 * DAY)
            return
        for view in ("candles_1m", "candles_1h"):
            await connection.execute(f"call refresh_continuous_aggregate('{view}', null, null)")


async def test_a_stored_estimate_is_read_as_a_point(kept: tuple[EstimateStore, Settle]) -> None:
    store, _ = kept
    await store.append(estimates(AT + 0.123, {"BTC/USD": 97_123.45}, volume=2.0))
    (point,) = await store.points("BTC/USD", AT, AT + 1, 10)
    assert (point.at, point.price, point.vwap, point.twap, point.venues_used) == (
        AT + 0.123,
        97_123.45,
        97_123.45,
        None,
        3,
    )
    assert point.band_low < point.price < point.band_high


async def test_only_live_values_are_stored(kept: tuple[EstimateStore, Settle]) -> None:
    store, _ = kept
    await store.append(estimates(AT, {"BTC/USD": 97_000.0}))
    assert await store.points("ETH/USD", AT, AT + 1, 10) == []


async def test_a_pass_appended_again_changes_nothing(kept: tuple[EstimateStore, Settle]) -> None:
    store, _ = kept
    await store.append(estimates(AT, {"BTC/USD": 97_000.0}))
    await store.append(estimates(AT, {"BTC/USD": 98_000.0}))
    assert [point.price for point in await store.points("BTC/USD", AT, AT + 1, 10)] == [97_000.0]


async def test_a_pass_without_a_live_value_is_no_error(kept: tuple[EstimateStore, Settle]) -> None:
    store, _ = kept
    await store.append(estimates(AT, {}))
    assert await store.prices_near(AT) == {}


async def test_points_come_oldest_first_within_their_span(kept: tuple[EstimateStore, Settle]) -> None:
    store, _ = kept
    for second in (3, 1, 2, 4, 0):
        await store.append(estimates(AT + second, {"BTC/USD": 100.0 + second}))
    points = await store.points("BTC/USD", AT + 1, AT + 4, 2)
    assert [point.at for point in points] == [AT + 1, AT + 2]


async def test_a_candle_holds_the_prices_of_its_minute(kept: tuple[EstimateStore, Settle]) -> None:
    store, settle = kept
    for second, price in ((0, 10.0), (20, 14.0), (40, 8.0), (59.9, 12.0), (60, 99.0)):
        await store.append(estimates(AT + second, {"BTC/USD": price}, volume=1.0))
    await settle()
    first, second_minute = await store.candles("BTC/USD", 60, AT, AT + 120, 10)
    assert first == Candle(AT, 10.0, 14.0, 8.0, 12.0, vwap=11.0, volume=4.0)
    assert (second_minute.start, second_minute.open) == (AT + 60, 99.0)


async def test_a_candle_without_trades_has_no_vwap(kept: tuple[EstimateStore, Settle]) -> None:
    store, settle = kept
    await store.append(estimates(AT, {"BTC/USD": 10.0}))
    await settle()
    (candle,) = await store.candles("BTC/USD", 3600, AT, AT + 3600, 10)
    assert (candle.vwap, candle.volume) == (None, 0.0)


@pytest.mark.parametrize("interval_s", [60, 300, 3600, 86_400])
async def test_candles_of_every_interval_cover_the_same_prices(
    kept: tuple[EstimateStore, Settle], interval_s: int
) -> None:
    store, settle = kept
    for step in range(30):
        await store.append(estimates(AT + step * 3000.0, {"BTC/USD": 100.0 + step}, volume=1.0))
    await settle()
    candles = await store.candles("BTC/USD", interval_s, AT, AT + 2 * DAY, 1000)
    assert all(candle.start % interval_s == 0 for candle in candles)
    assert (candles[0].open, candles[-1].close) == (100.0, 129.0)
    assert sum(candle.volume for candle in candles) == 30.0


async def test_candles_that_start_in_the_span_are_whole(kept: tuple[EstimateStore, Settle]) -> None:
    store, settle = kept
    for minute in range(20):
        await store.append(estimates(AT + minute * 60, {"BTC/USD": 100.0 + minute}))
    await settle()
    candles = await store.candles("BTC/USD", 300, AT + 1, AT + 601, 10)
    assert [(candle.start, candle.open, candle.close) for candle in candles] == [
        (AT + 300, 105.0, 109.0),
        (AT + 600, 110.0, 114.0),
    ]


async def test_estimates_after_a_fill_are_in_the_candles_at_once(kept: tuple[EstimateStore, Settle]) -> None:
    store, settle = kept
    await store.append(estimates(AT, {"BTC/USD": 10.0}))
    await settle()
    await store.append(estimates(AT + 20 * DAY, {"BTC/USD": 11.0}))
    candles = await store.candles("BTC/USD", 60, AT, AT + 21 * DAY, 10)
    assert [candle.close for candle in candles] == [10.0, 11.0]


async def test_a_late_estimate_is_in_the_candles_after_the_next_fill(
    kept: tuple[EstimateStore, Settle],
) -> None:
    store, settle = kept
    await store.append(estimates(AT, {"BTC/USD": 10.0}))
    await store.append(estimates(AT + 7300, {"BTC/USD": 11.0}))
    await settle()
    await store.append(estimates(AT + 30, {"BTC/USD": 15.0}))
    await settle()
    for interval_s in (60, 3600):
        first, *_ = await store.candles("BTC/USD", interval_s, AT, AT + 8000, 10)
        assert (first.open, first.high, first.close) == (10.0, 15.0, 15.0)


async def test_candles_are_of_known_intervals_only(kept: tuple[EstimateStore, Settle]) -> None:
    store, _ = kept
    with pytest.raises(ValueError, match="120"):
        await store.candles("BTC/USD", 120, AT, AT + 1, 10)


async def test_a_feed_that_nobody_knows_has_no_past(kept: tuple[EstimateStore, Settle]) -> None:
    store, _ = kept
    assert await store.points("XYZ/USD", AT, AT + 1, 10) == []
    assert await store.candles("XYZ/USD", 60, AT, AT + 1, 10) == []


async def test_the_price_near_a_time_is_the_first_from_then_on(kept: tuple[EstimateStore, Settle]) -> None:
    store, _ = kept
    for second in (0, 10, 20):
        await store.append(estimates(AT + second, {"BTC/USD": 100.0 + second}))
    await store.append(estimates(AT + 5, {"ETH/USD": 3000.0}))
    assert await store.prices_near(AT + 10) == {"BTC/USD": (AT + 10, 110.0)}
    assert await store.prices_near(AT + 1) == {"BTC/USD": (AT + 10, 110.0), "ETH/USD": (AT + 5, 3000.0)}
