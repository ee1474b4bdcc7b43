import asyncio
import itertools

import numpy as np
import pytest

from chrono.feeds import LEGS
from core.simulator.candles import Candles, open_candles
from core.simulator.replay import CandleMarket, watch

NOW = 1_790_000_000.0
FIRST = 27_960_480  # 2023-03-01 00:00 as minutes since 1970
KRAKEN = [str(leg) for leg in LEGS].index("kraken:BTC/USD")
BINANCE = [str(leg) for leg in LEGS].index("binance:BTC/USDT")


def candles(*rows):
    """Candles of (leg, minute since FIRST, open, high, low, close, volume)."""
    leg, minute, *values = (np.array(column) for column in zip(*sorted(rows), strict=True))
    prices = (np.asarray(column, np.float64) for column in values)
    return Candles(leg.astype(np.int64), minute.astype(np.int64) + FIRST, *prices, refused={}, refusals=())


@pytest.fixture
def recorded(shared):
    return open_candles(shared / "market" / "ohlcv_1m_btc_stables.parquet")


RISING = (KRAKEN, 0, 100.0, 104.0, 98.0, 103.0, 2.0)
FALLING = (KRAKEN, 1, 103.0, 105.0, 99.0, 100.5, 0.1234567)


def test_a_minute_passes_open_low_high_close_when_it_rises_and_the_high_first_when_it_falls():
    market = CandleMarket(candles(RISING, FALLING), NOW, speed=60)
    seen = [market.at(NOW + n * 0.25).last[KRAKEN] for n in range(8)]
    assert seen == [100.0, 98.0, 104.0, 103.0, 103.0, 105.0, 99.0, 100.5]


def test_between_two_waypoints_the_price_is_interpolated():
    market = CandleMarket(candles(RISING), NOW, speed=1)
    assert market.at(NOW + 7.5).last[KRAKEN] == 99.0
    assert market.at(NOW + 22.5).last[KRAKEN] == 101.0


def test_the_middle_of_bid_and_ask_is_the_price():
    snapshot = CandleMarket(candles(RISING), NOW, speed=60).at(NOW)
    assert snapshot.bid[KRAKEN] < 100.0 < snapshot.ask[KRAKEN]
    assert (snapshot.bid[KRAKEN] + snapshot.ask[KRAKEN]) / 2 == pytest.approx(100.0)


def test_a_quiet_leg_keeps_its_price_and_the_time_it_last_moved():
    other = (BINANCE, 1, 100.0, 100.0, 100.0, 100.0, 1.0)
    market = CandleMarket(candles(RISING, other, (*other[:1], 2, *other[2:])), NOW, speed=60)
    for at in (NOW + 1.0, NOW + 2.9):
        snapshot = market.at(at)
        assert (snapshot.last[KRAKEN], snapshot.event_at[KRAKEN]) == (103.0, NOW + 0.75)


def test_a_candle_without_volume_is_quiet_too():
    flat = (KRAKEN, 1, 103.0, 103.0, 103.0, 103.0, 0.0)
    market = CandleMarket(candles(RISING, flat), NOW, speed=60)
    assert market.at(NOW + 1.5).event_at[KRAKEN] == NOW + 0.75
    assert len(market.prints(KRAKEN, NOW + 9, 100)) == 4


def test_legs_are_unlisted_until_their_first_candle_and_if_they_have_none():
    later = (BINANCE, 1, 5.0, 5.0, 5.0, 5.0, 1.0)
    market = CandleMarket(candles(RISING, later), NOW, speed=60)
    assert {str(leg) for leg in market.legs} == {"kraken:BTC/USD", "binance:BTC/USDT"}
    assert np.flatnonzero(market.at(NOW).listed).tolist() == [KRAKEN]
    assert sorted(np.flatnonzero(market.at(NOW + 1).listed).tolist()) == sorted([KRAKEN, BINANCE])


def test_the_trades_of_a_candle_sum_to_its_volume_and_appear_when_their_time_comes():
    market = CandleMarket(candles(RISING, FALLING), NOW, speed=60)
    assert len(market.prints(KRAKEN, NOW, 100)) == 1
    assert sum(trade.size for trade in market.prints(KRAKEN, NOW + 0.99, 100)) == pytest.approx(2.0)
    both = market.prints(KRAKEN, NOW + 5, 100)
    assert round(sum(trade.size for trade in both[4:]), 8) == 0.1234567
    assert [trade.id for trade in both] == list(range(1, 9))
    assert all(a.at < b.at for a, b in itertools.pairwise(both))
    assert market.prints(KRAKEN, NOW + 5, 3) == both[-3:]


def test_a_volume_too_small_to_share_prints_once_at_the_close():
    market = CandleMarket(candles((*RISING[:6], 2e-8)), NOW, speed=60)
    (trade,) = market.prints(KRAKEN, NOW + 1, 10)
    assert (trade.price, trade.size) == (103.0, 2e-8)


def test_the_day_figures_are_of_the_recorded_day():
    rows = [(KRAKEN, n, 100.0 + n, 101.0 + n, 99.0 + n, 100.0 + n, 1.0) for n in (0, 30, 1000, 1450)]
    always = ((BINANCE, n, 1.0, 1.0, 1.0, 1.0, 1.0) for n in range(1451))
    market = CandleMarket(candles(*rows, *always), NOW, speed=60)
    snapshot = market.at(NOW + 1450.75)
    assert snapshot.volume_24h[KRAKEN] == pytest.approx(3.0)
    assert (snapshot.open_24h[KRAKEN], snapshot.low_24h[KRAKEN]) == (130.0, 129.0)
    assert snapshot.high_24h[KRAKEN] == 1551.0


def test_a_long_gap_in_the_recording_is_left_out():
    rows = [RISING, (KRAKEN, 5000, 7.0, 7.0, 7.0, 7.0, 1.0)]
    market = CandleMarket(candles(*rows), NOW, speed=60)
    assert market.at(NOW + 1).last[KRAKEN] == 7.0
    assert market.progress(NOW + 1).minute == (FIRST + 5000) * 60
    assert market.ends_at == NOW + 2


def test_progress_tells_the_fraction_and_the_recorded_minute():
    market = CandleMarket(candles(RISING, FALLING), NOW, speed=60)
    half = market.progress(NOW + 1.0)
    assert (half.fraction, half.minute) == (0.5, (FIRST + 1) * 60)
    assert (half.minutes_done, half.minutes_total) == (1, 2)
    end = market.progress(NOW + 99)
    assert (end.fraction, end.ended, end.minutes_done) == (1.0, True, 2)


@pytest.mark.parametrize("speed", [0, -1, float("nan"), 1e9])
def test_a_speed_out_of_bounds_is_refused(speed):
    with pytest.raises(ValueError, match="a speed is over 0"):
        CandleMarket(candles(RISING), NOW, speed)


async def test_watching_tells_progress_until_the_end():
    market = CandleMarket(candles(RISING, FALLING), NOW, speed=60)
    clock = itertools.count(int(NOW))
    told = []
    await watch(market, lambda: float(next(clock)), told.append, asyncio.Event(), every_s=0.001)
    assert [progress.fraction for progress in told] == [0.0, 0.5, 1.0]


async def test_watching_ends_when_it_is_told_to_stop():
    market, stop, told = CandleMarket(candles(RISING), NOW, speed=60), asyncio.Event(), []
    stop.set()
    await watch(market, lambda: NOW, told.append, stop)
    assert [progress.fraction for progress in told] == [0.0]


@pytest.mark.parametrize("speed", [1, 60, 120, 240])
def test_the_recording_is_passed_exactly_at_minute_boundaries(recorded, speed):
    market = CandleMarket(recorded, NOW + 0.13, speed)
    minutes, minute_s = np.unique(recorded.minute), 60 / speed
    for index in np.linspace(0, len(recorded) - 1, 150).astype(int):
        leg = recorded.leg[index]
        passed = int(np.searchsorted(minutes, recorded.minute[index]))
        begins = market.starts_at + passed * minute_s
        assert market.at(begins).last[leg] == recorded.open[index]
        assert market.at(begins + 0.99 * minute_s).last[leg] == recorded.close[index]
        assert market.progress(begins).minute == recorded.minute[index] * 60


async def test_recorded_prices_come_out_of_the_venues_own_formats(run, recorded):
    market = CandleMarket(recorded, NOW, 60)
    simulated = await run(market, limit_factor=1000.0)
    simulated.now[0] = NOW + 600
    truth = (await simulated.get("/_truth")).json()
    assert truth["minute"] == (FIRST + 600) * 60
    kraken = (await simulated.get("/kraken/0/public/Ticker")).json()["result"]
    assert set(kraken) == {"XXBTZUSD", "XBTUSDT", "XBTUSDC", "USDCUSD", "USDTZUSD"}
    assert float(kraken["XXBTZUSD"]["c"][0]) == truth["legs"]["kraken:BTC/USD"]
    binance = (await simulated.get("/binance/api/v3/ticker/24hr")).json()
    assert {row["symbol"] for row in binance} == {"BTCUSDT", "BTCUSDC", "USDCUSDT"}
    assert {row["symbol"]: float(row["lastPrice"]) for row in binance}["BTCUSDT"] == (
        truth["legs"]["binance:BTC/USDT"]
    )
    assert (await simulated.get("/okx/api/v5/market/tickers?instType=SPOT")).json()["data"] == []
    assert set(truth["feeds"]) == {"BTC/USD", "USDT/USD", "USDC/USD"}


async def test_a_fault_bends_a_replay_like_any_market(run):
    simulated = await run(CandleMarket(candles(RISING, FALLING), NOW, 60))
    simulated.inject("kraken:off_by=1.05")
    row = (await simulated.get("/kraken/0/public/Ticker?pair=XBTUSD")).json()["result"]["XXBTZUSD"]
    assert float(row["c"][0]) == pytest.approx(105.0)
