"""Recorded candles: what is known when, and the anchors on the recorded days of March 2023.

The recorded file is not part of the repository: `CHRONO_SHARED`, or `shared` beside the repository, is the
folder that has `market/`. Where it is missing these tests say that they are skipped.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from chrono.feeds import FEED_BY_NAME, Leg
from core.forge.arena import BadPlan, Wishes, plan_recorded, play_segment
from core.forge.candle_tape import minutes_tape, regime_of, rounds_of, rounds_tape, spans
from core.forge.hidden import NothingHidden, hidden_rows
from core.forge.hidden_markets import compare_recorded, compare_simulated
from core.forge.match import POLL_LATENCY_S, POLL_S, entrants_schedule
from core.forge.recordings import Recording, read_recording
from core.forge.tape import Schedule, polls
from tests.forge.scenes import small_plan

_SHARED = Path(os.environ.get("CHRONO_SHARED", Path(__file__).parents[3] / "shared"))
_CANDLES = _SHARED / "market" / "ohlcv_1m_btc_stables.parquet"
_LEGS = ("coinbase:BTC/USD", "binance:BTC/USDT", "kraken:BTC/USD", "kraken:USDT/USD")
_FIRST_MINUTE = 27_960_000


def candles(minutes: int = 400, gap: int | None = None) -> str:
    """A CSV of four legs whose close is 20,000 and the minute's number, USDT at 1.001."""
    lines = ["venue,base,quote,minute,open,high,low,close,volume"]
    for number in range(minutes):
        minute = (_FIRST_MINUTE + number + (10_000 if gap is not None and number >= gap else 0)) * 60
        for leg in map(Leg.parse, _LEGS):
            price = 1.001 if leg.base == "USDT" else (20_000 + number) / (1.001 if leg.quote == "USDT" else 1)
            lines.append(f"{leg.venue},{leg.base},{leg.quote},{minute},{price},{price},{price},{price},2")
    return "\n".join(lines)


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    file = tmp_path / "candles.csv"
    file.write_text(candles())
    return read_recording(file)


def test_a_close_is_shown_when_its_minute_has_ended_and_never_earlier(recording: Recording) -> None:
    tape = minutes_tape(recording, 0, 400, np.empty(0), np.empty(0, np.intp))
    end_of_tenth = (_FIRST_MINUTE + 10) * 60.0
    before, after = polls(tape, Schedule(np.array([end_of_tenth - 0.001, end_of_tenth]), 0.0))
    assert before.ticks.last[0] == pytest.approx(20_008)
    assert after.ticks.last[0] == pytest.approx(20_009)
    assert after.ticks.event_at[0] == end_of_tenth


def test_a_leg_that_did_not_trade_keeps_its_close_and_its_old_time(recording: Recording) -> None:
    recording.close[5:8, 0] = np.nan
    tape = minutes_tape(recording, 0, 20, np.empty(0), np.empty(0, np.intp))
    assert tape.last[7, 0] == tape.last[4, 0]
    assert tape.last_at[7, 0] == tape.times[4]


def test_a_gap_parts_a_recording(tmp_path: Path) -> None:
    file = tmp_path / "gap.csv"
    file.write_text(candles(gap=150))
    assert spans(read_recording(file)) == [(0, 150), (150, 400)]


def test_rounds_lie_whole_in_a_span(recording: Recording) -> None:
    first, last = rounds_of(recording, (0, 400))
    tape = rounds_tape(recording, first, last - first)
    assert tape.times[0] <= tape.commit_at[0] - 60
    assert tape.times[-1] >= tape.commit_at[-1] - 60


def test_a_minute_is_named_by_how_far_it_moved() -> None:
    assert [regime_of(moved) for moved in (0.0, 9.9, 10.0, 50.0)] == ["calm", "calm", "busy", "crash"]


def test_a_recording_is_played_like_a_made_market(recording: Recording) -> None:
    wishes = Wishes(rounds=20, entrants=("median",), quick=True)
    plan = plan_recorded(wishes, "candles.csv", recording)
    result = play_segment(plan, plan.segments[0], recording)
    assert plan.feeds == ("BTC/USD", "USDT/USD")
    assert result.distance_ppm.shape == (1, 20, 2)
    assert np.nanmedian(np.abs(result.distance_ppm)) < 100


def test_a_recording_that_is_too_short_is_refused(recording: Recording) -> None:
    with pytest.raises(BadPlan, match="--rounds"):
        plan_recorded(Wishes(rounds=5_000), "candles.csv", recording)


@pytest.mark.parametrize("seed", range(40))
def test_every_commit_has_been_shown_the_last_minute_that_had_ended(recording: Recording, seed: int) -> None:
    tape = rounds_tape(recording, rounds_of(recording, (0, 400))[0], 20)
    schedule = entrants_schedule(tape, seed)
    for commit_at in tape.commit_at:
        seen_at = schedule.at[schedule.at <= commit_at][-1] - schedule.latency_s
        told_at = tape.times[tape.row(np.array([seen_at]))[0]]
        assert commit_at - told_at < 60 + POLL_S + POLL_LATENCY_S


def test_a_hidden_venue_is_shown_to_nobody(recording: Recording) -> None:
    hidden = np.array([leg.startswith("coinbase") for leg in _LEGS])
    tape = minutes_tape(recording, 0, 30, np.empty(0), np.empty(0, np.intp))
    at = tape.times[-1:]
    (poll,) = polls(tape, Schedule(at, 0.0), hidden[np.argsort([*_table(_LEGS)])])
    legs = [str(tape.legs[leg]) for leg in poll.ticks.leg]
    assert sorted(legs) == sorted(leg for leg in _LEGS if not leg.startswith("coinbase"))


def _table(legs: tuple[str, ...]) -> list[int]:
    order = [str(leg) for name in ("BTC/USD", "USDT/USD") for leg in FEED_BY_NAME[name].legs]
    return [order.index(leg) for leg in legs]


def test_estimates_are_compared_with_the_venue_that_was_hidden(recording: Recording) -> None:
    plan = plan_recorded(Wishes(rounds=20, entrants=("median", "median-at-par")), "x", recording)
    rows = hidden_rows(plan.entrants, plan.feeds, list(compare_recorded(plan, "coinbase", recording)))
    plain, par = rows
    assert (plain["feed"], plain["all_within_5_bps"]) == ("BTC/USD", 1.0)
    assert par["all_within_5_bps"] <= plain["all_within_5_bps"]


def test_a_venue_that_is_not_there_cannot_be_hidden(recording: Recording) -> None:
    plan = plan_recorded(Wishes(rounds=20, entrants=("median",)), "x", recording)
    with pytest.raises(NothingHidden, match="okx"):
        list(compare_recorded(plan, "okx", recording))


def test_a_venue_of_a_made_market_can_be_hidden_too() -> None:
    plan = small_plan(rounds=12, entrants=("chrono", "median"))
    rows = hidden_rows(plan.entrants, plan.feeds, list(compare_simulated(plan, "coinbase")))
    assert {row["estimator"] for row in rows} == {"chrono", "median"}
    assert all(row["all_within_50_bps"] > 0.5 for row in rows)


@pytest.mark.slow
def test_the_plain_median_comes_as_near_to_coinbase_as_it_did_when_it_was_recorded() -> None:
    if not _CANDLES.exists():
        pytest.skip(f"no recorded candles at {_CANDLES}; set CHRONO_SHARED")
    recorded = read_recording(_CANDLES)
    wishes = Wishes(feeds=("BTC",), entrants=("median", "median-at-par"))
    plan = plan_recorded(wishes, str(_CANDLES), recorded)
    rows = hidden_rows(plan.entrants, plan.feeds, list(compare_recorded(plan, "coinbase", recorded)))
    shares = {row["estimator"]: row["calm_within_5_bps"] for row in rows if row["feed"] == "BTC/USD"}
    assert shares["median"] == pytest.approx(0.828, abs=0.004)
    assert shares["median-at-par"] == pytest.approx(0.782, abs=0.004)
