"""The values of a voting round stand once and for all."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from core.aggregation.estimates import Estimates
from core.ftso.epochs import FLARE
from core.ftso.identities import VotingRoundId
from core.ports import StoreUnavailable
from core.rounds import FrozenRounds, RoundMissed, RoundNotOpen
from tests.fakes.estimates import flat_estimates

ROUND = VotingRoundId(1_000)
START = 1_658_430_000.0 + 90 * ROUND


@dataclass
class FakeRounds:
    rows: dict[int, Mapping[str, float]] = field(default_factory=dict)
    down: bool = False

    async def freeze(self, voting_round: int, at: float, values: Mapping[str, float]) -> Mapping[str, float]:
        if self.down:
            raise StoreUnavailable("down", 1.0)
        return self.rows.setdefault(voting_round, dict(values))

    async def find(self, voting_round: int) -> Mapping[str, float] | None:
        return self.rows.get(voting_round)


class Provider:
    """Frozen rounds over a market whose price the test sets."""

    def __init__(self, store: FakeRounds) -> None:
        self.market: Estimates | None = None
        self.registry = CollectorRegistry()
        self.rounds = FrozenRounds(
            timing=FLARE,
            commit_offset_s=75,
            latest=lambda: self.market,
            store=store,
            registry=self.registry,
        )

    def price_is(self, price: float) -> None:
        self.market = flat_estimates(START, price, absent={"SGB/USD"}, stale={"FLR/USD"})


@pytest.fixture
def store() -> FakeRounds:
    return FakeRounds()


@pytest.fixture
def provider(store: FakeRounds) -> Provider:
    provider = Provider(store)
    provider.price_is(100)
    return provider


async def test_values_of_a_round_do_not_move_with_the_market(provider: Provider) -> None:
    first = await provider.rounds.values(ROUND, START + 70)
    provider.price_is(200)
    assert await provider.rounds.freeze(ROUND, START + 75) == first
    assert await provider.rounds.values(ROUND, START + 110) == first
    assert first["BTC/USD"] == 100


async def test_only_live_prices_are_values(provider: Provider) -> None:
    values = await provider.rounds.values(ROUND, START + 70)
    assert len(values) == 61
    assert {"SGB/USD", "FLR/USD"}.isdisjoint(values)


async def test_values_stand_after_a_restart(provider: Provider, store: FakeRounds) -> None:
    first = await provider.rounds.freeze(ROUND, START + 75)
    restarted = Provider(store)
    restarted.price_is(200)
    assert await restarted.rounds.values(ROUND, START + 80) == first
    assert await restarted.rounds.values(ROUND, START + 1_000) == first


async def test_a_round_does_not_wait_for_the_database(provider: Provider, store: FakeRounds) -> None:
    store.down = True
    first = await provider.rounds.freeze(ROUND, START + 75)
    provider.price_is(200)
    assert await provider.rounds.values(ROUND, START + 100) == first
    assert provider.registry.get_sample_value("chrono_rounds_frozen_total", {"stored": "no"}) == 1


async def test_a_round_of_the_future_is_refused(provider: Provider) -> None:
    with pytest.raises(RoundNotOpen) as caught:
        await provider.rounds.values(ROUND + 1, START + 89)
    assert caught.value.opens_at == START + 90


async def test_a_round_that_nobody_froze_is_missed_not_made_up(provider: Provider) -> None:
    with pytest.raises(RoundMissed):
        await provider.rounds.values(ROUND - 1, START)


async def test_requests_at_the_same_instant_get_the_same_values(provider: Provider) -> None:
    asked = [provider.rounds.values(ROUND, START + 75) for _ in range(10)]
    answers = await asyncio.gather(*asked)
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize(
    ("after_start_s", "voting_round", "instant"),
    [(0, ROUND, START + 75), (74.9, ROUND, START + 75), (75, ROUND + 1, START + 165)],
)
def test_the_next_commit_instant(
    provider: Provider, after_start_s: float, voting_round: int, instant: float
) -> None:
    assert provider.rounds.next_commit(START + after_start_s) == (voting_round, instant)
