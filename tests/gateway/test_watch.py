"""Misbehaviour adds up, leaks away, and is bounded."""

from __future__ import annotations

import pytest

from core.gateway import watch as limits
from core.gateway.watch import Block, Signal, Watch

NOW = 1_790_000_000.0
ROGUE = "203.0.113.7"


def misbehave(watch: Watch, signal: Signal, times: int, at: float = NOW) -> Block | None:
    return [watch.note(ROGUE, signal, at) for _ in range(times)][-1]


def test_ten_wrong_keys_make_a_block() -> None:
    watch = Watch()
    assert misbehave(watch, Signal.BAD_KEY, 9) is None
    block = misbehave(watch, Signal.BAD_KEY, 1)
    assert block is not None
    assert (block.reason, block.until - block.since) == ("bad-key", 60)
    assert watch.blocked(ROGUE, NOW + 59.9) == block
    assert watch.blocked(ROGUE, NOW + 60) is None
    assert watch.blocked("203.0.113.8", NOW) is None


def test_who_is_blocked_again_is_blocked_longer() -> None:
    watch = Watch()
    blocks = [misbehave(watch, Signal.BAD_KEY, 10, NOW + turn * 1_000) for turn in range(9)]
    lasting = [block.until - block.since for block in blocks if block]
    assert lasting[:3] == [60, 240, 960]
    assert lasting[-1] == limits.BLOCK_S_MAX


def test_a_mistake_now_and_then_never_adds_up() -> None:
    watch = Watch()
    assert not [at for at in range(0, 40_000, 20) if watch.note(ROGUE, Signal.BAD_KEY, NOW + at)]


@pytest.mark.parametrize("signal", [Signal.FORGED_BATCH, Signal.REPLAYED_BATCH, Signal.SPREAD_KEY])
def test_some_signals_are_told_and_never_block(signal: Signal) -> None:
    assert misbehave(Watch(), signal, 10_000) is None


def test_a_key_in_too_many_networks_is_told_once() -> None:
    watch = Watch()
    told = [watch.spread("key", f"203.0.113.{number}", NOW) for number in range(limits.NETWORKS_MAX + 10)]
    assert told.count(True) == 1
    assert not any(watch.spread("other", "203.0.113.1", NOW) for _ in range(100))


def test_a_key_that_moves_slowly_is_no_news() -> None:
    watch = Watch()
    hour = limits.NETWORKS_WINDOW_S
    assert not any(watch.spread("key", str(number), NOW + number * hour) for number in range(100))


def test_memory_is_bounded() -> None:
    watch = Watch(entries_max=3)
    for number in range(20):
        watch.spread(str(number), "here", NOW)
        for _ in range(10):
            watch.note(str(number), Signal.BAD_KEY, NOW)
    assert [number for number in range(20) if watch.blocked(str(number), NOW)] == [17, 18, 19]


def test_blocks_of_all_replicas_replace_those_known() -> None:
    watch = Watch()
    misbehave(watch, Signal.BAD_KEY, 10)
    watch.learn([Block("203.0.113.9", "scan", NOW, NOW + 60)])
    assert watch.blocked(ROGUE, NOW) is None
    assert watch.blocked("203.0.113.9", NOW) is not None
