"""A made break of the stablecoins over recorded candles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chrono.feeds import FEED_BY_NAME, Leg
from core.forge.arena import Wishes, plan_recorded
from core.forge.broken_days import TooShort, broken_days
from core.forge.candle_tape import minutes_tape
from core.forge.entrants import ENTRANTS
from core.forge.hidden import compare
from core.forge.recordings import Recording

_LEGS = {
    "BTC/USD": ("coinbase:BTC/USD", "binance:BTC/USDT", "kraken:BTC/USD"),
    "USDC/USD": ("binance:USDC/USDT", "kraken:USDC/USD"),
    "USDT/USD": ("kraken:USDT/USD",),
}
_DAY = 1_440
_PRICE = np.array([20_000.0, 20_000.0, 20_000.0, 1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def quiet() -> Recording:
    """Five calm days; one market in two minutes has no trade, and binance repeats its closes then."""
    rng = np.random.default_rng(5)
    feeds = tuple(
        replace(FEED_BY_NAME[name], legs=tuple(map(Leg.parse, legs))) for name, legs in _LEGS.items()
    )
    order = [str(leg) for feed in feeds for leg in feed.legs]
    shape = (5 * _DAY, len(order))
    close = np.round(_PRICE * np.exp(1e-4 * rng.standard_normal(shape)), 4)
    volume = np.where(rng.random(shape) < 0.5, 3.0, 0.0)
    volume[:, 0] = 3.0
    close[0], volume[0] = _PRICE, 3.0
    silent = (volume == 0) & ~np.array([name.startswith("binance") for name in order])
    close[silent] = volume[silent] = np.nan
    minute = np.arange(5 * _DAY) + 19_417 * _DAY
    return Recording(feeds, minute, close.copy(), close.copy(), close, volume)


def _first_changed(before: Recording, after: Recording) -> int:
    """The first minute whose candles are not the recorded ones."""
    start = int(np.searchsorted(before.minute, after.minute[0]))
    same = np.nan_to_num(before.close[start : start + 4 * _DAY]) == np.nan_to_num(after.close)
    return int(np.argmin(same.all(axis=1)))


def test_a_break_is_the_same_from_the_same_seed_and_another_from_another(quiet: Recording) -> None:
    one, again, other = (broken_days(quiet, seed) for seed in (3, 3, 4))
    assert np.array_equal(one.close, again.close, equal_nan=True)
    assert not np.array_equal(one.close, other.close, equal_nan=True)


def test_no_candle_before_the_break_is_changed_and_the_recording_stays_as_it_was(quiet: Recording) -> None:
    kept = quiet.close.copy()
    first = _first_changed(quiet, broken_days(quiet, 3))
    assert 6 * 60 <= first <= 20 * 60 + 10
    assert np.array_equal(quiet.close, kept, equal_nan=True)


def test_broken_days_have_the_form_of_recorded_ones(quiet: Recording) -> None:
    days = broken_days(quiet, 3)
    there = ~np.isnan(days.close)
    assert days.feeds == quiet.feeds
    assert len(days.minute) == 4 * _DAY
    assert days.minute[0] % _DAY == 0
    assert (days.low[there] <= days.close[there]).all()
    assert (days.close[there] <= days.high[there]).all()
    assert (days.volume[there] >= 0).all()


def test_usdc_falls_far_below_a_dollar_and_usdt_is_dear(quiet: Recording) -> None:
    days = broken_days(quiet, 3)
    usdc, usdt = np.nanmin(days.close[:, 4]), np.nanmax(days.close[:, 5])
    assert 0.82 < usdc < 0.95
    assert 1.004 < usdt < 1.04


def test_a_close_without_a_trade_repeats_the_last_one(quiet: Recording) -> None:
    days = broken_days(quiet, 3)
    close, volume = days.close[:, 3], days.volume[:, 3]
    repeats = np.flatnonzero((volume[1:] == 0) & ~np.isnan(close[:-1])) + 1
    later = repeats[repeats > 20 * 60 + 10]
    assert len(later) > 10
    assert (close[later] == close[later - 1]).all()


def test_a_break_needs_four_whole_days(quiet: Recording) -> None:
    grids = (getattr(quiet, name)[: 4 * _DAY - 1] for name in ("minute", "high", "low", "close", "volume"))
    with pytest.raises(TooShort):
        broken_days(Recording(quiet.feeds, *grids), 3)


def test_nobody_sees_the_break_before_it_has_come(quiet: Recording) -> None:
    """What stands in later candles changes no earlier value."""
    days = broken_days(quiet, 3)
    values = []
    for changed in (days, _changed_after(days, 400)):
        tape = minutes_tape(changed, 200, 500, np.empty(0), np.empty(0, np.intp))
        values.append(compare(tape, "coinbase", [ENTRANTS["chrono"]], 1).error_bps[0, :200, 0])
    assert np.array_equal(*values, equal_nan=True)


def _changed_after(days: Recording, row: int) -> Recording:
    close = days.close.copy()
    close[row:] *= 1.01
    return replace(days, close=close)


def test_broken_days_can_be_planned_for_a_hidden_venue(quiet: Recording) -> None:
    assert plan_recorded(Wishes(feeds=("BTC",), rounds=20), "x", broken_days(quiet, 3)).feeds == ("BTC/USD",)
