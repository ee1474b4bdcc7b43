from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chrono.feeds import FEED_BY_NAME, FEEDS, LEGS, VENUES, FeedId, Leg, legs_of

BESIDE = Path(__file__).resolve().parents[2].parent / "shared"
LIVE_FEEDS = Path(os.environ.get("CHRONO_SHARED", BESIDE)) / "flare" / "feeds.json"


def test_there_are_63_live_feeds_each_once() -> None:
    assert len(FEEDS) == len(FEED_BY_NAME) == len({feed.index for feed in FEEDS}) == 63


def test_index_52_was_retired() -> None:
    assert {feed.index for feed in FEEDS} == set(range(64)) - {52}


def test_a_feed_id_is_its_category_and_its_padded_name() -> None:
    assert FEED_BY_NAME["FLR/USD"].id.hex() == "01464c522f55534400000000000000000000000000"
    assert (FeedId.of("BTC/USD").category, FeedId.of("BTC/USD").name) == (1, "BTC/USD")


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20))
def test_any_name_that_fits_comes_back_from_its_id(name: str) -> None:
    assert FeedId(bytes(FeedId.of(name))).name == name


@pytest.mark.parametrize("name", ["", "x" * 21, "BTC/€"])
def test_a_name_that_does_not_fit_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="20 ASCII"):
        FeedId.of(name)


@pytest.mark.parametrize("size", [0, 20, 22])
def test_a_feed_id_has_21_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="21 bytes"):
        FeedId(bytes(size))


def test_every_leg_belongs_to_one_feed_and_one_known_venue() -> None:
    assert len(set(LEGS)) == len(LEGS)
    assert {leg.venue for leg in LEGS} == set(VENUES)
    assert sum(len(legs_of(venue)) for venue in VENUES) == len(LEGS)


@pytest.mark.parametrize("leg", LEGS, ids=str)
def test_a_leg_comes_back_from_its_text(leg: Leg) -> None:
    assert Leg.parse(str(leg)) == leg


@pytest.mark.parametrize("text", ["", "okx", "okx:", "okx:BTC", "okx:BTC/", ":BTC/USD", "okx:A/B/C", "/"])
def test_a_text_that_is_no_leg_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a leg"):
        Leg.parse(text)


@pytest.mark.skipif(not LIVE_FEEDS.is_file(), reason="no list of live feeds; set CHRONO_SHARED")
def test_the_table_is_that_of_the_live_feeds() -> None:
    live = json.loads(LIVE_FEEDS.read_bytes())
    assert [
        (feed.name, f"0x{feed.id.hex()}", feed.decimals, feed.secondary_band_ppm, feed.index)
        for feed in FEEDS
    ] == [
        (row["feed"], row["feed_id"], row["decimals"], row["secondary_band_ppm"], row["index"])
        for row in live
    ]
    listed = {f"{venue}:{pair}" for row in live for venue, pairs in row["venues"].items() for pair in pairs}
    assert listed <= {str(leg) for leg in LEGS}
