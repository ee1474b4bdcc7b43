"""The clock: what its evidence says, when a commit is refused for it, and that a reveal never is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from email.utils import formatdate

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from core.chain.dates import HttpDates
from core.provider.clock import (
    BLOCK_AHEAD_S,
    EVIDENCE_S_MAX,
    ClockMetrics,
    ClockWatch,
    Skew,
    dated,
    judged,
    shared,
)
from core.provider.engine import Provider
from core.provider.ports import Function
from tests.loopback import Asked, response, serving
from tests.provider.scene import TICKS, Scene

LIMIT_S = 3.0
NEVER = 0
"""The newest block's time before one was read."""


class Machine:
    """A clock that somebody sets, and servers that have the true time."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.true_at, self.off_s, self.answering = scene, 1_000.0, 0.0, True
        self.registry = CollectorRegistry()
        self.watch = ClockWatch(
            dates=self.dates,
            head_at=lambda: scene.world.head_at,
            clock=lambda: self.at,
            monotonic=lambda: self.true_at - 77.0,
            limit_s=LIMIT_S,
            metrics=ClockMetrics(self.registry),
        )

    @property
    def at(self) -> float:
        return self.true_at + self.off_s

    async def dates(self) -> Sequence[Skew]:
        return [dated(math.floor(self.true_at), self.at, self.at)] if self.answering else []

    async def play(self, provider: Provider, since: int, until: int) -> None:
        """Round 0, with the turns at the times that this machine's clock shows."""
        for offset in TICKS:
            if since <= offset <= until:
                self.true_at = 1_000.0 + offset
                await provider.turn(self.at)
                self.scene.world.mine(1_000 + offset)

    def shown(self, name: str) -> float | None:
        return self.registry.get_sample_value(f"chrono_provider_clock_{name}")


@given(st.floats(0, 4e9), st.floats(-1e4, 1e4), st.floats(0, 5), st.floats(0, 1))
def test_a_date_bounds_the_skew_on_both_sides(
    true_at: float, off_s: float, way_s: float, share: float
) -> None:
    skew = dated(math.floor(true_at + way_s * share), true_at + off_s, true_at + way_s + off_s)
    assert skew.low - 1e-5 <= off_s <= skew.high + 1e-5
    assert skew.high - skew.low <= 1 + way_s + 1e-5


def test_what_is_certain_is_the_skew_nearest_to_none() -> None:
    assert [Skew(*each).certain_s for each in ((-1, 2), (4, 5), (-7, -6))] == [0.0, 4.0, -6.0]


def test_most_servers_decide() -> None:
    assert shared([Skew(-1, 0.5), Skew(-0.5, 1), Skew(50, 51)]) == Skew(-0.5, 0.5)
    assert shared([Skew(-1, 0), Skew(50, 51)]) is None
    assert shared([Skew(2, 3)]) == Skew(2, 3)
    assert shared([]) is None


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(0, 3)), max_size=9))
def test_what_is_shared_lies_in_more_than_half_of_what_was_told(pairs: list[tuple[float, float]]) -> None:
    told = [Skew(low, low + width) for low, width in pairs]
    found = shared(told)
    if found is not None:
        assert 2 * sum(each.low <= found.low and found.high <= each.high for each in told) > len(told)
    best = max((sum(a.low <= b.low <= a.high for a in told) for b in told), default=0)
    assert (found is None) == (2 * best <= len(told))


def test_a_block_from_the_future_shows_a_late_clock_without_any_server() -> None:
    assert judged(None, 1_000, 1_000 - BLOCK_AHEAD_S, LIMIT_S).certain_s == 0
    assert judged(None, 1_010, 1_000, LIMIT_S).spoils
    assert not judged(None, NEVER, 1_000, LIMIT_S).drifts


def test_a_node_that_is_behind_is_no_proof_of_an_early_clock() -> None:
    assert not judged(Skew(-0.5, 0.5), 400, 1_000, LIMIT_S).drifts


@pytest.mark.parametrize("off_s", [-5.0, 5.0])
async def test_a_wrong_clock_keeps_the_provider_from_committing_until_it_is_set(off_s: float) -> None:
    scene = Scene()
    machine = Machine(scene)
    provider = scene.provider(guard=machine.watch.guarding)
    machine.off_s = off_s
    assert (await machine.watch.look()).spoils
    await machine.play(provider, 76, 80)
    assert (scene.sent(Function.SUBMIT1), machine.shown("spoils")) == (0, 1)
    machine.off_s = 0.0
    assert not (await machine.watch.look()).spoils
    await machine.play(provider, 85, 164)
    assert (scene.kept_word(), machine.shown("spoils")) == (True, 0)


async def test_a_clock_that_goes_wrong_after_the_commit_does_not_keep_back_the_reveal() -> None:
    scene = Scene()
    machine = Machine(scene)
    provider = scene.provider(guard=machine.watch.guarding)
    await machine.watch.look()
    await machine.play(provider, 76, 85)
    machine.off_s = -15.0
    assert (await machine.watch.look()).spoils
    await machine.play(provider, 91, 164)
    assert scene.kept_word()


async def test_a_clock_that_was_set_since_the_last_look_is_noticed_at_once() -> None:
    machine = Machine(Scene())
    await machine.watch.look()
    machine.off_s = 30.0
    assert machine.watch.verdict(machine.at).spoils
    assert machine.shown("certain_skew_seconds") == pytest.approx(29.0)


async def test_evidence_that_is_old_refuses_nothing() -> None:
    machine = Machine(Scene())
    machine.off_s = 30.0
    assert (await machine.watch.look()).spoils
    machine.answering = False
    machine.true_at += EVIDENCE_S_MAX + 1
    verdict = await machine.watch.look()
    assert (verdict.spoils, verdict.skew, verdict.detail[:8]) == (False, None, "no dates")


async def test_servers_dates_are_read_from_any_answer_and_broken_ones_left_out() -> None:
    dates = {"/a": formatdate(1_000, usegmt=True), "/b": "tomorrow", "/cached": formatdate(900, usegmt=True)}

    async def answer(asked: Asked) -> bytes:
        if asked.path == "/none":
            return response(b"")
        return response(b"", 405, date=dates[asked.path], age="7" if asked.path == "/cached" else "0")

    async with serving(answer) as url, httpx.AsyncClient(trust_env=False) as client:
        paths = [*dates, "/none"]
        ask = HttpDates([*(url + path for path in paths), "http://127.0.0.1:1"], client, lambda: 1_000.25)
        assert await ask() == [Skew(-0.75, 0.25)]
