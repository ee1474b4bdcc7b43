"""Chrono's own quotes, replayed: what was received by when, and the command on a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from core.cli import app
from core.forge.arena import Wishes, plan_backtest, play_segment
from core.forge.match import entrants_schedule
from core.forge.recordings import NoQuotes, QuoteHistory, read_quotes
from core.forge.tape import polls
from core.forge.tick_tape import history_tape, rounds_in
from tests.forge.scenes import small_tape

ROUNDS = 30


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a collector would have recorded of a made market, as a file of quotes."""
    tape = small_tape(rounds=ROUNDS)
    lines = ["leg,received_at,event_at,bid,ask,last,volume_24h"]
    for poll in polls(tape, entrants_schedule(tape, 1)):
        ticks = poll.ticks
        for at in range(len(ticks)):
            told = "" if np.isnan(ticks.event_at[at]) else f"{ticks.event_at[at]:.3f}"
            prices = f"{ticks.bid[at]:.12g},{ticks.ask[at]:.12g},{ticks.last[at]:.12g}"
            lines.append(f"{tape.legs[ticks.leg[at]]},{poll.at:.3f},{told},{prices},{ticks.volume[at]:.6g}")
    path = tmp_path_factory.mktemp("quotes") / "quotes.csv"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="module")
def history(file: Path) -> QuoteHistory:
    return read_quotes(file)


def test_a_row_holds_the_newest_quote_received_by_then(history: QuoteHistory) -> None:
    first, last = rounds_in(history)
    tape = history_tape(history, first, last - first)
    for row in (0, 100, len(tape.times) - 1):
        at = tape.times[row]
        of_leg = np.flatnonzero((history.leg == 0) & (history.received_at <= at))
        assert tape.bid[row, 0] == history.bid[of_leg[-1]]


def test_quotes_received_later_change_no_row_before(history: QuoteHistory) -> None:
    first, last = rounds_in(history)
    tape = history_tape(history, first, last - first)
    at = tape.commit_at[2]
    bid = np.where(history.received_at > at, history.bid * 2, history.bid)
    fields = {name: getattr(history, name) for name in history.__slots__ if name != "bid"}
    other = history_tape(QuoteHistory(**fields, bid=bid), first, last - first)
    rows = tape.times <= at
    np.testing.assert_array_equal(tape.bid[rows], other.bid[rows])


def test_estimates_on_own_quotes_come_near_to_those_on_the_market_itself(history: QuoteHistory) -> None:
    plan = plan_backtest(Wishes(rounds=5, entrants=("chrono", "median"), feeds=("XRP",)), "x", history)
    small = type(plan)(plan.market, plan.seed, plan.feeds, plan.segments, plan.entrants, warm_up=1)
    result = play_segment(small, plan.segments[0], history)
    assert np.nanmedian(np.abs(result.distance_ppm)) < 500


def test_the_command_reads_a_file_of_quotes(file: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"
    words = ["backtest", "--data", str(file), "--rounds", "1", "--feeds", "XRP", "--entrants", "chrono"]
    done = CliRunner().invoke(app, [*words, "--json", str(rows)])
    assert done.exit_code == 0, done.output
    assert {row["feed"] for row in json.loads(rows.read_text())} == {"ALL", "XRP/USD"}


def test_the_command_says_when_there_are_too_few_rounds(file: Path) -> None:
    done = CliRunner().invoke(app, ["backtest", "--data", str(file), "--rounds", "100"])
    assert "has no stretch of 120 rounds" in str(done.exception)


def test_a_file_without_the_columns_is_refused_by_their_names(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("leg,bid\nkraken:BTC/USD,1\n")
    with pytest.raises(NoQuotes, match="received_at"):
        read_quotes(path)


def test_a_file_of_unknown_legs_has_no_quotes(tmp_path: Path) -> None:
    path = tmp_path / "strangers.csv"
    path.write_text("leg,received_at,event_at,bid,ask,last,volume_24h\nmoon:BTC/USD,1,,1,2,1,3\n")
    with pytest.raises(NoQuotes, match="feed table"):
        read_quotes(path)


def test_rows_of_a_backtest_name_the_same_figures(history: QuoteHistory) -> None:
    from core.forge.rows import entrant_rows

    plan = plan_backtest(Wishes(rounds=5, entrants=("median",)), "own", history)
    small = type(plan)(plan.market, plan.seed, plan.feeds, plan.segments, plan.entrants, warm_up=1)
    rows = entrant_rows(small, [play_segment(small, plan.segments[0], history)])
    assert json.loads(json.dumps(rows))[0]["market"] == "own"
