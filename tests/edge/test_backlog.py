"""The backlog on CPython, with storage in memory and a queue that delays, repeats and shuffles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chrono.batch import Batch, decode
from chrono.collector import Draft
from chrono.feeds import LEGS
from chrono.http import Answer, Failure
from chrono.ticks import Quote
from core.keys import LocalSigner
from station.backlog import Backlog, Place
from station.config import SLOTS
from station.ports import OverflowRefused
from tests.edge.test_station import config
from tests.edge.world import Key

AT = 1_790_000_000.0
SIGNER = LocalSigner.of(Key().private)


@dataclass
class Memory:
    """Durable storage; `writes` counts what a day of it costs."""

    values: dict[str, bytes] = field(default_factory=dict)
    writes: int = 0

    async def read(self, key: str) -> bytes | None:
        return self.values.get(key)

    async def write(self, key: str, value: bytes) -> None:
        self.writes += 1
        self.values[key] = value

    async def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.values.pop(key, None)

    async def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self.values if key.startswith(prefix))


@dataclass
class Queue:
    """Takes batches until it is told not to."""

    messages: list[tuple[int, bytes]] = field(default_factory=list)
    is_open: bool = True

    async def send(self, sequence: int, encoded: bytes) -> None:
        if not self.is_open:
            raise OverflowRefused("closed")
        self.messages.append((sequence, encoded))


@dataclass
class OneKey:
    present: bytes = SIGNER.key_id

    def holds(self, key_id: bytes) -> bool:
        return key_id == self.present

    async def sign(self, key_id: bytes, message: bytes) -> bytes:
        return await SIGNER.sign(message)


@dataclass
class Group:
    """A backlog and all that it stands among. `made` counts the ticks that were put into it."""

    variables: dict[str, object]
    storage: Memory = field(default_factory=Memory)
    queue: Queue = field(default_factory=Queue)
    taken: list[Batch] = field(default_factory=list)
    answer: Answer | Failure = field(default_factory=lambda: Answer(200, b"", AT))
    at: float = AT
    made: int = 0
    backlog: Any = None

    async def start(self) -> None:
        """As a new process starts: with nothing but what storage holds."""
        self.backlog = Backlog(
            slot=3,
            config=config(**self.variables),
            storage=self.storage,
            overflow=self.queue,
            keys=OneKey(),
            post=self._post,
            clock=lambda: self.at,
        )
        await self.backlog.load()

    async def _post(self, sealed: bytes) -> Answer | Failure:
        if isinstance(self.answer, Answer) and self.answer.status == 200:
            self.taken.append(decode(sealed))
        return self.answer

    async def cycle(self, ticks: int = 2) -> None:
        self.at += 2.0
        legs = LEGS[:ticks]
        quotes = tuple(Quote(leg, Decimal(1), Decimal(2), None, None, None, self.at) for leg in legs)
        await self.backlog.put(Draft(quotes, (), 0), self.at)
        self.made += ticks
        await self.backlog.deliver(30)
        await self.backlog.save()

    async def bring_back(self, random: Random) -> None:
        """The queue delivers everything, shuffled, some of it twice."""
        messages = [*self.queue.messages, *self.queue.messages[::3]]
        random.shuffle(messages)
        left = []
        for sequence, encoded in messages:
            if not await self.backlog.refill(sequence, encoded):
                left.append((sequence, encoded))
        self.queue.messages = list(dict(left).items())

    def accounted(self) -> int:
        totals = self.backlog.totals
        lost = totals.ticks_dropped + totals.ticks_refused
        return int(sum(len(batch.ticks) for batch in self.taken) + lost + self.backlog.ticks)


async def group_with(stored: int, queued: int) -> Group:
    group = Group({"STORED_BATCHES_MAX": stored, "QUEUED_BATCHES_MAX": queued})
    await group.start()
    return group


async def test_a_core_that_answers_costs_no_write() -> None:
    group = await group_with(5, 5)
    for _ in range(10):
        await group.cycle()
    assert (len(group.taken), group.storage.writes) == (10, 0)


async def test_sequences_rise_over_a_restart_and_keep_to_their_slot() -> None:
    group = await group_with(5, 5)
    await group.cycle()
    await group.start()
    await group.cycle()
    first, second = (batch.sequence for batch in group.taken)
    assert first < second
    assert first % SLOTS == second % SLOTS == 3


async def test_heartbeats_make_way_while_the_core_is_away() -> None:
    group = await group_with(5, 5)
    group.answer = Failure("away")
    for _ in range(10):
        await group.cycle(ticks=0)
    assert group.backlog.count(Place.STORED) == 1


async def test_a_batch_refused_for_good_is_counted_and_the_next_ones_go() -> None:
    group = await group_with(5, 5)
    group.answer = Answer(422, b"", AT)
    await group.cycle()
    group.answer = Answer(200, b"", AT)
    await group.cycle()
    assert group.backlog.totals.ticks_refused == 2
    assert group.taken[-1].ticks_dropped == 2


async def test_a_wait_that_the_core_asks_for_is_kept_to() -> None:
    group = await group_with(10, 5)
    group.answer = Answer(503, b"", AT, {"retry-after": "30"})
    await group.cycle()
    group.answer = Answer(200, b"", AT)
    for _ in range(5):
        await group.cycle()
    assert group.taken == []
    group.at += 30
    await group.cycle()
    assert len(group.taken) == 7


async def test_what_the_queue_never_brings_back_is_dropped_after_a_day() -> None:
    group = await group_with(1, 1)
    group.answer = Failure("away")
    await group.cycle()
    await group.cycle()
    group.at += 86_500
    await group.backlog.expire(group.at)
    assert group.backlog.totals.ticks_dropped == 2
    assert group.backlog.count(Place.QUEUED) == 0


async def test_totals_of_what_was_lost_outlive_the_process() -> None:
    group = await group_with(1, 0)
    group.answer = Failure("away")
    for _ in range(4):
        await group.cycle()
    await group.start()
    assert (
        group.backlog.totals.batches_dropped
        == json.loads(group.storage.values["totals"])["batches_dropped"]
        == 3
    )


_STEPS = st.lists(
    st.sampled_from(["cycle", "cycle", "cycle", "away", "back", "queue", "restart", "closed"]), max_size=40
)


@given(steps=_STEPS, stored=st.integers(1, 4), queued=st.integers(0, 4), seed=st.integers(0, 2**16))
async def test_every_tick_arrives_once_and_in_order_or_is_counted(
    steps: list[str], stored: int, queued: int, seed: int
) -> None:
    group, random = await group_with(stored, queued), Random(seed)
    for step in steps:
        match step:
            case "cycle":
                await group.cycle()
            case "away":
                group.answer = Failure("away")
            case "back":
                group.answer = Answer(200, b"", AT)
            case "queue":
                await group.bring_back(random)
            case "closed":
                group.queue.is_open = not group.queue.is_open
            case "restart":
                await group.start()
        assert group.accounted() == group.made
    group.answer = Answer(200, b"", AT)
    for _ in range(20):
        await group.bring_back(random)
        await group.cycle()
    sequences = [batch.sequence for batch in group.taken]
    assert sequences == sorted(set(sequences))
    assert group.backlog.ticks == 0
    assert group.accounted() == group.made


@pytest.mark.parametrize("waited_s", [10.0, 100.0])
async def test_younger_batches_wait_for_the_queue_and_then_go_first(waited_s: float) -> None:
    group = await group_with(1, 5)
    group.answer = Failure("away")
    for _ in range(3):
        await group.cycle()
    group.answer = Answer(200, b"", AT)
    group.at += 60
    await group.cycle()
    delivered = len(group.taken)
    group.at += waited_s
    await group.cycle()
    assert (len(group.taken) > delivered) == (waited_s > 90)
