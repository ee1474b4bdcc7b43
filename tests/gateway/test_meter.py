"""What is billed: everything that was counted, once, however often storing fails."""

from __future__ import annotations

from collections import Counter
from datetime import date
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from core.gateway.meter import BATCH_ROWS_MAX, Meter, MeterBatch, UsageRow

NOW = 1_790_000_000.0
DAY = date(2026, 9, 21)


def new_meter(rows_max: int = 1_000) -> Meter:
    ids = count()
    return Meter(lambda: next(ids).to_bytes(16, "big"), rows_max)


class Book:
    """A store that keeps ids, and sometimes loses its answer or itself."""

    def __init__(self) -> None:
        self.ids: set[bytes] = set()
        self.billed: Counter[UsageRow] = Counter()

    def store(self, batch: MeterBatch) -> None:
        if batch.id not in self.ids:
            self.ids.add(batch.id)
            self.billed.update(batch.counts)


steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["prices", "history"])),
        st.sampled_from(["stored", "answer lost", "store away"]),
    ),
    max_size=80,
)


@given(steps)
def test_every_request_is_billed_once_whatever_fails(steps: list[tuple[str, str] | str]) -> None:
    meter, book = new_meter(), Book()
    counted: Counter[UsageRow] = Counter()
    for step in steps:
        if isinstance(step, tuple):
            meter.count(*step, NOW)
            counted[UsageRow(*step, DAY)] += 1
            continue
        batch = meter.offered()
        if batch is None or step == "store away":
            continue
        book.store(batch)
        if step == "stored":
            meter.stored(batch)
    while batch := meter.offered():
        book.store(batch)
        meter.stored(batch)
    assert book.billed == counted


def test_a_batch_stays_the_same_until_it_is_stored() -> None:
    meter = new_meter()
    meter.count("a", "prices", NOW)
    first = meter.offered()
    meter.count("a", "prices", NOW)
    assert meter.offered() is first
    assert first is not None
    meter.stored(first)
    second = meter.offered()
    assert second is not None
    assert second.id != first.id


def test_a_batch_has_a_bound() -> None:
    meter = new_meter(rows_max=10_000)
    for number in range(BATCH_ROWS_MAX + 5):
        meter.count(str(number), "prices", NOW)
    batch = meter.offered()
    assert batch is not None
    assert len(batch.counts) == BATCH_ROWS_MAX


def test_what_has_no_room_is_told_and_not_billed() -> None:
    meter = new_meter(rows_max=1)
    for prefix in ("a", "b", "b", "a"):
        meter.count(prefix, "prices", NOW)
    batch = meter.offered()
    assert batch is not None
    assert dict(batch.counts) == {UsageRow("a", "prices", DAY): 2}
    assert meter.unbilled == 2
