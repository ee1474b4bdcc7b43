import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chrono.feeds import FEEDS, LEGS
from core.simulator.market import STEP_S, RandomMarket

NOW = 1_790_000_000.0
MARKET = RandomMarket(7)
times = st.floats(1.6e9, 2.5e9)


@settings(max_examples=6)
@given(seed=st.integers(0, 2**70), at=times, other=times)
def test_the_same_seed_and_time_give_the_same_market_in_any_order(seed, at, other):
    first, second = RandomMarket(seed), RandomMarket(seed)
    second.at(other)
    for name in ("bid", "ask", "last", "event_at", "volume_24h", "high_24h", "trade_id"):
        np.testing.assert_array_equal(getattr(first.at(at), name), getattr(second.at(at), name))
    assert first.truth(at) == second.truth(at)


def test_other_seeds_make_other_markets():
    assert not np.array_equal(MARKET.at(NOW).bid, RandomMarket(8).at(NOW).bid)


@settings(max_examples=20)
@given(at=times)
def test_every_leg_shows_a_sound_market_at_any_time(at):
    snapshot = MARKET.at(at)
    assert snapshot.listed.all()
    assert (snapshot.bid > 0).all()
    assert (snapshot.bid < snapshot.ask).all()
    assert (snapshot.low_24h <= snapshot.last).all()
    assert (snapshot.last <= snapshot.high_24h).all()
    assert (snapshot.volume_24h > 0).all()
    assert (snapshot.event_at <= at).all()


def test_every_leg_converted_to_dollars_is_near_the_truth():
    snapshot, truth = MARKET.at(NOW), MARKET.truth(NOW).feeds
    for index, leg in enumerate(LEGS):
        feed = next(feed for feed in FEEDS if leg in feed.legs)
        rate = truth.get(f"{leg.quote}/USD", 1.0)
        middle = (snapshot.bid[index] + snapshot.ask[index]) / 2 * rate
        assert middle == pytest.approx(truth[feed.name], rel=0.01), leg


def test_all_63_feeds_have_a_plausible_truth():
    truth = MARKET.truth(NOW).feeds
    assert set(truth) == {feed.name for feed in FEEDS}
    assert len(truth) == 63
    assert 40_000 < truth["BTC/USD"] < 110_000
    assert 3_500 < truth["PAXG/USD"] < 6_000
    assert truth["USDT/USD"] == pytest.approx(1, abs=0.003)


def test_a_quiet_leg_keeps_its_price_and_time_and_moves_within_eighty_seconds():
    quiet = [str(leg) for leg in LEGS].index("kraken:SGB/USD")
    seen = [(s.bid[quiet], s.event_at[quiet]) for s in (MARKET.at(NOW + n) for n in range(240))]
    held = [len(list(group)) for _, group in itertools.groupby(seen)]
    assert 10 < max(held) <= 81
    assert len(held) > 3


def test_a_liquid_leg_moves_every_step():
    leg = [str(leg) for leg in LEGS].index("binance:BTC/USDT")
    events = [MARKET.at(NOW + n * STEP_S).event_at[leg] for n in range(20)]
    assert len(set(events)) == 20


def test_assets_move_together_and_each_on_its_own():
    prices = np.array(
        [list(MARKET.truth(NOW + 600 * n).feeds.values()) for n in range(100)], dtype=np.float64
    )
    moves = np.diff(np.log(prices), axis=0)
    names = list(MARKET.truth(NOW).feeds)
    btc, eth, gold = (moves[:, names.index(name)] for name in ("BTC/USD", "ETH/USD", "PAXG/USD"))
    assert 0.5 < np.corrcoef(btc, eth)[0, 1] < 0.95
    assert abs(np.corrcoef(btc, gold)[0, 1]) < 0.4
    assert 0.01 < btc.std() * np.sqrt(144) < 0.05


def test_a_depegged_stablecoin_moves_the_prices_in_it_and_not_the_truth():
    calm, broken = MARKET, RandomMarket(7, {"USDC": 0.88})
    texts = [str(leg) for leg in LEGS]
    btc_usdc, btc_usd = texts.index("kraken:BTC/USDC"), texts.index("kraken:BTC/USD")
    assert broken.truth(NOW).feeds["USDC/USD"] == pytest.approx(0.88, rel=0.003)
    assert broken.truth(NOW).feeds["BTC/USD"] == calm.truth(NOW).feeds["BTC/USD"]
    assert broken.at(NOW).bid[btc_usd] == calm.at(NOW).bid[btc_usd]
    ratio = broken.at(NOW).bid[btc_usdc] / calm.at(NOW).bid[btc_usdc]
    assert ratio == pytest.approx(1 / 0.88, rel=1e-4)


@pytest.mark.parametrize("pegs", [{"BTC": 1.0}, {"NONE": 1.0}, {"USDT": 0.0}, {"USDT": float("nan")}])
def test_only_stablecoins_have_pegs(pegs):
    with pytest.raises(ValueError, match="not a peg"):
        RandomMarket(7, pegs)


@settings(max_examples=30)
@given(leg=st.integers(0, len(LEGS) - 1), at=times, limit=st.integers(1, 200))
def test_trades_rise_in_id_and_time_and_are_not_of_the_future(leg, at, limit):
    prints = MARKET.prints(leg, at, limit)
    assert 0 < len(prints) <= limit
    assert prints[-1].at <= at
    assert all(a.id < b.id and a.at < b.at for a, b in itertools.pairwise(prints))
    assert all(trade.price > 0 and trade.size > 0 for trade in prints)
    assert MARKET.at(at).last[leg] == prints[-1].price


def test_later_questions_repeat_the_trades_that_were_told_before():
    leg = 10
    before = {trade.id: trade for trade in MARKET.prints(leg, NOW, 100)}
    after = {trade.id: trade for trade in MARKET.prints(leg, NOW + 5, 200)}
    assert before.items() <= after.items()
    assert len(after) > len(before)


def test_a_days_trades_sum_to_about_the_volume_shown():
    for text in ("binance:BTC/USDT", "okx:LEO/USD"):
        leg = [str(leg) for leg in LEGS].index(text)
        prints = MARKET.prints(leg, NOW, 1000)
        span = prints[-1].at - prints[0].at
        daily = sum(trade.size for trade in prints) / span * 86_400
        assert daily == pytest.approx(MARKET.at(NOW).volume_24h[leg], rel=0.5)
