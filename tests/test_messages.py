"""The message of a pass: what goes in comes out, and garbage is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from chrono.feeds import FEEDS
from core.aggregation.estimates import FeedState
from core.api.schemas.prices import Price
from core.messages import (
    LATE_S,
    LEGS_OF_FEED,
    ONE_VENUE,
    POOLS_ALONE,
    TWO_APART,
    MalformedMessage,
    as_seen,
    decode_pass,
    encode_pass,
    is_late,
    message_of,
    price_objects,
    price_text,
)
from tests.fakes.services import NOW, encoded_at, estimates_at, message_at

ANY_FLOATS = st.lists(st.floats(), min_size=1, max_size=5).map(lambda some: np.resize(some, len(FEEDS)))
ANY_STATES = st.lists(st.sampled_from(FeedState), min_size=1, max_size=5)


def test_a_message_is_taken_apart_without_parsing_its_prices() -> None:
    estimates = estimates_at(NOW, 7)
    decoded = decode_pass(encode_pass(message_of(estimates, {})))
    assert (decoded.sequence, decoded.at) == (7, NOW)
    assert [json.loads(each) for each in decoded.fragments.values()] == price_objects(estimates, {})


@settings(max_examples=40)
@given(price=ANY_FLOATS, age=ANY_FLOATS, states=ANY_STATES, reference=st.floats())
def test_whatever_is_estimated_is_told_as_finite_text(
    price: np.ndarray, age: np.ndarray, states: list[FeedState], reference: float
) -> None:
    state = np.resize(np.array(states, np.int8), len(FEEDS))
    estimates = replace(estimates_at(), price=np.abs(price), age_s=age, state=state)
    message = message_of(estimates, {"BTC/USD": (NOW, reference)})
    for seen_at in (NOW, NOW + 1, NOW + LATE_S + 1):
        for fragment in as_seen(message, seen_at).fragments.values():
            told = Price.model_validate_json(fragment)
            assert (told.price is None) == (told.state == "none")
            assert (told.why in (None, ONE_VENUE, POOLS_ALONE, TWO_APART)) == (told.state == "live")


def test_a_pass_that_is_late_is_told_stale_and_older() -> None:
    message = message_at(NOW)
    assert as_seen(message, NOW + LATE_S) is message
    told = Price.model_validate_json(as_seen(message, NOW + LATE_S + 5).fragments["BTC/USD"])
    assert (told.state, told.age_s, told.why) == ("stale", 15.25, "no estimate came for 15 s")
    assert told.price == Price.model_validate_json(message.fragments["BTC/USD"]).price


def test_a_pass_from_the_future_is_not_told_as_live() -> None:
    assert is_late(message_at(NOW + 60), NOW)
    assert Price.model_validate_json(as_seen(message_at(NOW + 60), NOW).fragments["BTC/USD"]).state == "stale"


@given(st.binary(max_size=300))
def test_garbage_is_refused_cleanly(garbage: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode_pass(garbage)


@given(st.integers(0, 2_000), st.integers(0, 255))
def test_a_damaged_head_is_refused_or_read(place: int, byte: int) -> None:
    message = bytearray(encoded_at())
    message[place] = byte
    with suppress(MalformedMessage):
        assert len(decode_pass(bytes(message)).fragments) == len(FEEDS)


def test_a_price_has_two_digits_more_than_its_feed() -> None:
    assert price_text(0.5, FEEDS[2]) == "0.5000"
    assert price_text(float("nan"), FEEDS[2]) is None
    assert price_text(None, FEEDS[2]) is None


def test_a_feed_whose_two_venues_disagree_says_so() -> None:
    estimates = estimates_at()
    row = next(i for i, each in enumerate(FEEDS) if each.name == "MON/USD")
    legs = LEGS_OF_FEED[row]
    for apart, why in ((1.009, None), (1.05, TWO_APART)):
        price = estimates.legs.price.copy()
        price[legs.start] *= apart
        told = price_objects(replace(estimates, legs=replace(estimates.legs, price=price)), {})
        assert [each["why"] for each in told if each["feed"] == "MON/USD"] == [why]
