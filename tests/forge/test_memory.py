"""What was learned survives a restart, and nothing else passes for it."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from chrono.feeds import FEEDS
from core.aggregation.learned import Memory
from core.aggregation.markets import Markets
from core.aggregation.rules import RULES
from core.forge.memory import AGE_S_MAX, MemoryRefused, decode_memory, encode_memory
from core.ftso.identities import VotingRoundId
from core.learning import Learning
from core.ports import StoreUnavailable
from core.provider.score import FeedScore, RoundScore
from tests.aggregation.markets import NOW, feed
from tests.forge.anomaly.scenes import Scene

TABLE = (feed(0, "BTC", "kraken:BTC/USD", "okx:BTC/USDT"), feed(1, "USDT", "kraken:USDT/USD"))
MARKETS = Markets.of(TABLE)


def learned(markets: Markets = MARKETS) -> Memory:
    """A memory in which every leg has a bias of its own."""
    blank = Memory.blank(markets, RULES)
    bias = np.arange(blank.legs.bias.size).reshape(blank.legs.bias.shape) * 1e-6
    return replace(blank, legs=replace(blank.legs, bias=bias, at=NOW))


def equal(one: Any, other: Any) -> bool:
    if is_dataclass(one):
        return all(equal(getattr(one, each.name), getattr(other, each.name)) for each in fields(one))
    return bool(np.array_equal(one, other, equal_nan=True)) and type(one) is type(other)


def test_a_memory_comes_back_as_it_was() -> None:
    saved = decode_memory(encode_memory(learned(), MARKETS, RULES, NOW), MARKETS, RULES, NOW + 60)
    assert equal(saved.memory, learned())
    assert saved.at == NOW


def test_a_memory_of_the_whole_table_is_under_a_megabyte() -> None:
    markets = Markets.of(FEEDS)
    assert len(encode_memory(learned(markets), markets, RULES, NOW)) < 2**20


def test_a_memory_of_another_table_is_foreign() -> None:
    encoded = encode_memory(learned(), MARKETS, RULES, NOW)
    with pytest.raises(MemoryRefused, match="foreign"):
        decode_memory(encoded, Markets.of(TABLE[:1]), RULES, NOW)


@pytest.mark.parametrize("age_s", [AGE_S_MAX + 1, -3_600])
def test_a_memory_of_long_ago_or_of_the_future_is_refused(age_s: float) -> None:
    encoded = encode_memory(learned(), MARKETS, RULES, NOW)
    with pytest.raises(MemoryRefused, match="old"):
        decode_memory(encoded, MARKETS, RULES, NOW + age_s)


def test_a_memory_that_holds_no_number_is_corrupt() -> None:
    blank = learned()
    bad = replace(blank, legs=replace(blank.legs, variance=blank.legs.variance * np.nan))
    with pytest.raises(MemoryRefused, match="corrupt"):
        decode_memory(encode_memory(bad, MARKETS, RULES, NOW), MARKETS, RULES, NOW)


@given(st.binary(max_size=200))
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(MemoryRefused):
        decode_memory(garbage, MARKETS, RULES, NOW)


ENCODED = encode_memory(learned(), MARKETS, RULES, NOW)


@given(st.integers(0, len(ENCODED) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_found(place: int, flip: int) -> None:
    spoilt = ENCODED[:place] + bytes([ENCODED[place] ^ flip]) + ENCODED[place + 1 :]
    with pytest.raises(MemoryRefused, match="corrupt"):
        decode_memory(spoilt, MARKETS, RULES, NOW)


class Rounds:
    """Finished rounds, from memory."""

    def __init__(self, *finished: RoundScore) -> None:
        self.finished, self.away = finished, False

    async def since(self, voting_round: VotingRoundId, limit: int) -> list[RoundScore]:
        if self.away:
            raise StoreUnavailable("away", 1.0)
        found = [each for each in reversed(self.finished) if each.voting_round >= voting_round]
        return found[:limit]


class Running:
    """A learning estimator on a small market, as the core runs it."""

    def __init__(self, folder: Path, rounds: Rounds | None = None) -> None:
        self.scene, self.registry = Scene(), CollectorRegistry()
        self.learning = Learning(
            self.scene.bench.window,
            file=folder / "learned.npz",
            rounds=rounds,
            commit_at=lambda voting_round: NOW + 10.0 * voting_round,
            clock=lambda: self.scene.at,
            registry=self.registry,
        )

    def go_on(self, seconds: int) -> None:
        for _ in range(seconds):
            self.scene.second(lambda leg, _: 1.0005 if leg.startswith("okx") else 1.0)
            self.learning.estimate(self.scene.at)

    def counted(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


def test_a_restart_keeps_what_was_learned(tmp_path: Path) -> None:
    before = Running(tmp_path)
    before.go_on(100)
    before.learning.save()
    after = Running(tmp_path)
    after.scene.at = before.scene.at + 5
    after.learning.restore()
    assert after.learning.legs() == before.learning.legs()
    assert after.learning.state()["restored_from"] == before.scene.at


def test_a_first_start_has_nothing_to_restore_and_complains_of_nothing(tmp_path: Path) -> None:
    running = Running(tmp_path)
    running.learning.restore()
    assert running.learning.state()["restored_from"] is None
    assert not [
        each for each in running.registry.collect() if each.name == "chrono_memory_refused" and each.samples
    ]


def test_a_corrupt_file_is_refused_counted_and_learned_over(tmp_path: Path) -> None:
    (tmp_path / "learned.npz").write_bytes(b"PK\x03\x04 cut off")
    running = Running(tmp_path)
    running.learning.restore()
    assert running.counted("chrono_memory_refused_total", reason="corrupt") == 1
    running.go_on(3)
    running.learning.save()
    again = Running(tmp_path)
    again.learning.restore()
    assert again.learning.state()["restored_from"] is not None


def test_a_folder_that_cannot_be_written_costs_nothing_but_the_file(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file where a folder should be")
    running = Running(tmp_path / "blocked")
    running.go_on(2)
    running.learning.save()
    assert running.counted("chrono_memory_failures_total") == 1


def finished(number: int, price: float) -> RoundScore:
    feeds = tuple(FeedScore(name, round(price * 1e5), 5, 10_000, 100) for name in ("BTC/USD", "ETH/USD"))
    return RoundScore(VotingRoundId(number), bytes(32), 0, True, True, feeds)


async def test_finished_rounds_are_learned_from_once_and_in_order(tmp_path: Path) -> None:
    rounds = Rounds(finished(2, 100.0), finished(3, 100.0))
    running = Running(tmp_path, rounds)
    running.go_on(60)
    assert await running.learning.take_lessons() == 2
    assert await running.learning.take_lessons() == 0
    assert [skill.rounds for skill in running.learning.skills()] == [2, 2]
    assert running.learning.coverage() == {"BTC/USD": (2, 1.0), "ETH/USD": (2, 1.0)}


async def test_a_median_outside_the_band_is_counted_as_missed(tmp_path: Path) -> None:
    running = Running(tmp_path, Rounds(finished(2, 101.0)))
    running.go_on(60)
    await running.learning.take_lessons()
    assert running.learning.coverage()["BTC/USD"] == (1, 0.0)
