"""What the live watch tells, and what it keeps quiet about."""

from __future__ import annotations

import numpy as np
import pytest

from core.forge.anomaly import watch as watching
from core.forge.anomaly.detectors import StateSpace
from core.forge.anomaly.watch import Anomaly, Watch
from tests.aggregation.markets import NOW
from tests.forge.anomaly.scenes import Scene, Shift, calm

BEGIN_S = 200.0


def told(shift: Shift, seconds: int = 260) -> list[Anomaly]:
    """The anomalies that begin while a market goes on, `shift` being what happens to its legs."""
    scene = Scene()
    watch = Watch(scene.markets, StateSpace(scene.markets))
    begun: list[Anomaly] = []
    for _ in range(seconds):
        begun += watch.look(*scene.second(shift), scene.at).begun
    return begun


def of(leg: str, factor: float) -> Shift:
    """From BEGIN_S on the leg is off by a factor."""
    return lambda name, since_s: factor if name.startswith(leg) and since_s >= BEGIN_S else 1.0


def test_a_calm_market_has_no_anomalies() -> None:
    assert told(calm) == []


def test_a_pumped_leg_is_named_within_six_seconds() -> None:
    (found,) = told(of("kraken:ETH", 1.003))
    assert (found.leg, found.feed, found.reasons) == ("kraken:ETH/USD", "ETH/USD", ("jump",))
    assert found.began_at - NOW - BEGIN_S <= 6
    assert found.off_bps == pytest.approx(30, abs=5)


def test_a_leg_in_another_unit_is_told_as_one() -> None:
    (found,) = told(of("okx:BTC", 0.01))
    assert "unit" in found.reasons


def test_a_leg_that_creeps_away_is_caught_before_it_is_far() -> None:
    def creep(leg: str, since_s: float) -> float:
        return 1 + 2e-5 * max(since_s - 2 * BEGIN_S, 0.0) * leg.startswith("bybit:BTC")

    found = told(creep, seconds=600)
    assert {each.leg for each in found} == {"bybit:BTC/USD"}
    assert found[0].reasons == ("drift",)
    assert found[0].off_bps < 15


def test_two_colluding_venues_are_told_to_be_together() -> None:
    found = told(lambda leg, s: of("okx:BTC", 1.004)(leg, s) * of("bybit:BTC", 1.004)(leg, s))
    assert {each.leg for each in found} == {"okx:BTC/USD", "bybit:BTC/USD"}
    assert all("together" in each.reasons for each in found)


def test_a_stuck_leg_is_told_as_one() -> None:
    """The market walks away from a leg that shows the same again and again with new times."""

    def walk(leg: str, since_s: float) -> float:
        return 1 + 2e-5 * max(since_s - BEGIN_S, 0.0) * (leg != "coinbase:BTC/USD")

    scene = Scene()
    watch, found = Watch(scene.markets, StateSpace(scene.markets)), []
    for second in range(400):
        scene.noise["coinbase:BTC/USD"] = 5e-5 if second < BEGIN_S else 0.0
        found += watch.look(*scene.second(walk), scene.at).begun
    assert {each.leg for each in found} == {"coinbase:BTC/USD"}
    assert "stuck" in found[0].reasons


def test_a_crash_on_all_venues_is_no_anomaly_though_some_are_late() -> None:
    late_s = {"binance": 0, "bybit": 1, "coinbase": 2, "kraken": 4, "okx": 6}

    def crash(leg: str, since_s: float) -> float:
        own_s = since_s - BEGIN_S - late_s[leg.split(":", maxsplit=1)[0]]
        return 1 - 0.08 * min(max(own_s, 0.0) / 20, 1.0)

    assert told(crash, seconds=300) == []


def test_an_anomaly_ends_when_its_leg_comes_back() -> None:
    scene = Scene()
    watch = Watch(scene.markets, StateSpace(scene.markets))

    def pump(leg: str, since_s: float) -> float:
        return 1.004 if leg == "kraken:ETH/USD" and BEGIN_S <= since_s < BEGIN_S + 30 else 1.0

    ended: list[Anomaly] = []
    for _ in range(300):
        ended += watch.look(*scene.second(pump), scene.at).ended
    (one,) = ended
    assert one.ended_at is not None
    assert 25 <= one.ended_at - one.began_at <= 75
    assert watch.recent() == (one,)


def test_what_is_kept_of_the_past_is_bounded() -> None:
    scene = Scene()
    watch = Watch(scene.markets, _Flicker())
    estimates, seen = scene.second()
    for step in range(1_000):
        watch.look(estimates, seen, scene.at + 30.0 * step)
    assert len([each for each in watch.recent() if each.ended_at]) == watching.RECENT_MAX


def test_a_pass_sooner_than_a_second_after_a_look_is_not_looked_at() -> None:
    scene = Scene()
    watch = Watch(scene.markets, _Once())
    estimates, seen = scene.second()
    watch.look(estimates, seen, scene.at)
    watch.look(estimates, seen, scene.at + 0.2)  # the detector would raise


class _Once:
    def __init__(self) -> None:
        self._asked = False

    def score(self, features: np.ndarray, at: float) -> np.ndarray:
        assert not self._asked
        self._asked = True
        return np.zeros(features.shape[1:])


class _Flicker:
    """Everything is strange for a minute, then nothing for a minute."""

    def score(self, features: np.ndarray, at: float) -> np.ndarray:
        return np.full(features.shape[1:], 99.0 if at // 60 % 2 else 0.0)
