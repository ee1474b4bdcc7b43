from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chrono.batch import SIGNATURE_BYTES, Batch, decode
from chrono.collector import Draft
from chrono.http import Answer, Failure
from chrono.spool import RETRY_S_MAX, Delivery, Spool
from chrono.venue_state import VenueReport, VenueState
from tests.kernel.ticks_of import AT, KEY_ID, quote

OK = Answer(200, b"{}", AT)
REPORT = VenueReport("okx", VenueState.HEALTHY, AT)


def spool(
    batches_max: int = 100, ticks_max: int = 10_000, random: Callable[[], float] = lambda: 0.0
) -> Spool:
    return Spool(KEY_ID, at=AT, random=random, batches_max=batches_max, ticks_max=ticks_max)


def draft(ticks: int, dropped: int = 0) -> Draft:
    return Draft(tuple(quote(index) for index in range(ticks)), (REPORT,), dropped)


def sent(subject: Spool, at: float = AT) -> Batch:
    stamped = subject.due(at)
    assert stamped is not None
    return decode(stamped + bytes(SIGNATURE_BYTES))


def status(code: int, **headers: str) -> Answer:
    return Answer(code, b"", AT, {name.replace("_", "-"): value for name, value in headers.items()})


def test_batches_go_in_order_with_sequences_from_the_clock_of_the_start() -> None:
    subject = spool()
    for count in (1, 2, 3):
        subject.put(draft(count), AT)
    for offset, count in enumerate((1, 2, 3)):
        batch = sent(subject)
        assert (batch.sequence, len(batch.ticks)) == (1_750_000_000_000 + offset, count)
        assert subject.settle(OK, AT) is Delivery.ACCEPTED
    assert subject.due(AT) is None
    assert len(subject) == 0


def test_sequences_rise_over_a_restart() -> None:
    first = spool()
    for _ in range(5):
        first.put(draft(1), AT)
        last = sent(first).sequence
        first.settle(OK, AT)
    again = Spool(KEY_ID, at=AT + 1, random=lambda: 0.0)
    again.put(draft(1), AT + 1)
    assert sent(again, AT + 1).sequence > last


def test_one_batch_is_in_flight_at_a_time() -> None:
    subject = spool()
    subject.put(draft(1), AT)
    subject.put(draft(2), AT)
    assert subject.due(AT) is not None
    assert subject.due(AT) is None
    assert subject.next_due() == float("inf")


@pytest.mark.parametrize("answer", [Failure("refused"), status(503), status(500), status(408), status(429)])
def test_what_the_core_cannot_take_now_is_sent_again_first_and_stamped_anew(
    answer: Answer | Failure,
) -> None:
    subject = spool()
    subject.put(draft(1), AT)
    subject.put(draft(2), AT)
    first = sent(subject)
    assert subject.settle(answer, AT) is Delivery.RETRY
    assert subject.due(AT) is None
    assert subject.next_due() == AT + 0.2
    again = sent(subject, AT + 3_600)
    assert again == replace(first, sent_at=AT + 3_600)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 413, 422])
def test_a_batch_that_is_refused_for_good_does_not_block_the_rest(code: int) -> None:
    subject = spool()
    subject.put(draft(3), AT)
    subject.put(draft(2), AT)
    sent(subject)
    assert subject.settle(status(code), AT) is Delivery.REFUSED
    assert (subject.batches_refused, subject.ticks_dropped) == (1, 3)
    assert len(sent(subject).ticks) == 2


def test_retry_after_of_the_core_is_honoured_up_to_a_minute() -> None:
    subject = spool()
    subject.put(draft(1), AT)
    for asked, waited in (("2", 2), ("7200", 60)):
        subject.due(subject.next_due())
        subject.settle(status(503, retry_after=asked), AT)
        assert subject.next_due() == AT + waited


@given(st.integers(1, 40), st.floats(0, 1, exclude_max=True))
def test_the_wait_for_the_core_is_between_a_fifth_and_five_seconds(failures: int, jitter: float) -> None:
    subject = spool(random=lambda: jitter)
    subject.put(draft(1), AT)
    for _ in range(failures):
        assert subject.due(subject.next_due()) is not None
        subject.settle(Failure("reset"), AT)
    assert 0.2 <= subject.next_due() - AT <= RETRY_S_MAX


def test_after_a_success_the_wait_begins_small_again() -> None:
    subject = spool(random=lambda: 0.999)
    subject.put(draft(1), AT)
    subject.put(draft(1), AT)
    for answer in (*[Failure("reset")] * 8, OK):
        subject.due(subject.next_due())
        subject.settle(answer, AT)
    subject.due(subject.next_due())
    subject.settle(Failure("reset"), AT)
    assert subject.next_due() - AT < 0.5


def test_a_full_spool_drops_the_oldest_and_says_how_many_ticks() -> None:
    subject = spool(batches_max=2)
    for count in (5, 6, 7):
        subject.put(draft(count), AT)
    assert (len(subject), subject.ticks, subject.ticks_dropped) == (2, 13, 5)
    assert len(sent(subject).ticks) == 6
    subject.settle(OK, AT)
    subject.put(draft(0), AT)
    sent(subject)
    subject.settle(OK, AT)
    assert sent(subject).ticks_dropped == 5


def test_a_batch_sent_again_is_the_same_though_ticks_were_dropped_meanwhile() -> None:
    subject = spool(batches_max=2)
    subject.put(draft(1), AT)
    first = sent(subject)
    for _ in range(4):
        subject.put(draft(1), AT)
    subject.settle(Failure("reset"), AT)
    assert replace(sent(subject, AT + 1), sent_at=AT) == first


def test_a_spool_is_full_of_ticks_as_of_batches() -> None:
    subject = spool(ticks_max=10)
    for count in (4, 4, 4):
        subject.put(draft(count), AT)
    assert (len(subject), subject.ticks, subject.ticks_dropped) == (2, 8, 4)


def test_the_batch_in_flight_is_never_the_one_dropped() -> None:
    subject = spool(batches_max=1)
    subject.put(draft(5), AT)
    first = sent(subject)
    subject.put(draft(6), AT)
    subject.put(draft(7), AT)
    subject.settle(Failure("reset"), AT)
    assert sent(subject, AT + 1).sequence == first.sequence
    assert subject.ticks_dropped == 13


def test_heartbeats_do_not_pile_up_during_an_outage() -> None:
    subject = spool(batches_max=3)
    subject.put(draft(5), AT)
    for second in range(1_000):
        subject.put(draft(0), AT + second)
    assert len(subject) == 2
    assert subject.ticks_dropped == 0
    sent(subject)
    subject.settle(OK, AT)
    assert sent(subject).sequence == 1_750_000_000_000 + 1_000


def test_a_heartbeat_in_flight_does_not_make_way() -> None:
    subject = spool()
    subject.put(draft(0), AT)
    first = sent(subject)
    subject.put(draft(2), AT)
    subject.settle(OK, AT)
    assert sent(subject).sequence == first.sequence + 1


def test_what_the_collector_lost_is_told_too() -> None:
    subject = spool()
    subject.put(draft(1, dropped=40), AT)
    assert sent(subject).ticks_dropped == 40


def test_a_spooled_tick_takes_its_bytes_and_little_more() -> None:
    subject = spool()
    subject.put(draft(500), AT)
    stamped = subject.due(AT)
    assert stamped is not None
    assert len(stamped) < 500 * 56 + 377 * 32 + 200


@given(st.lists(st.sampled_from(["put", "empty", "ok", "fail", "refuse"]), max_size=60))
def test_every_tick_is_delivered_dropped_or_waiting(steps: list[str]) -> None:
    subject, at, put, delivered = spool(batches_max=4), AT, 0, 0
    last = 0
    for step in steps:
        at += 10
        if step in ("put", "empty"):
            count = 3 if step == "put" else 0
            subject.put(draft(count), at)
            put += count
        elif (stamped := subject.due(at)) is not None:
            batch = decode(stamped + bytes(SIGNATURE_BYTES))
            assert batch.sequence >= last
            last = batch.sequence
            answer = {"ok": OK, "fail": Failure("x"), "refuse": status(401)}[step]
            if subject.settle(answer, at) is Delivery.ACCEPTED:
                delivered += len(batch.ticks)
    assert put == delivered + subject.ticks + subject.ticks_dropped
    assert len(subject) <= 4


def test_a_batch_that_cannot_be_encoded_is_counted_and_passed_over() -> None:
    subject = Spool(b"short", at=AT, random=lambda: 0.0)
    subject.put(draft(4), AT)
    assert (len(subject), subject.ticks_dropped) == (0, 4)
