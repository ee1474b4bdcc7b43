"""What a request costs cannot be talked down by spelling it in another way."""

from __future__ import annotations

from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chrono.feeds import FEEDS
from core.api.history import LIMIT_DEFAULT, LIMIT_MAX
from core.api.rules import RULES, rule_of
from tests.fakes.services import ADMIN_TOKEN

PRICES, HISTORY = RULES["/v1/prices"], RULES["/v1/prices/history"]
NAMES = [feed.name for feed in FEEDS]


@pytest.mark.parametrize(
    ("query", "tokens"),
    [
        (b"", 1),
        (b"signed=true", 1),
        (b"feeds=BTC/USD,ETH/USD", 1),
        (b"feeds=BTC/USD&signed=true", 1),
        (b"feeds=" + ",".join(NAMES).encode(), 1),
        (b"signed=true&feeds=" + ",".join(NAMES[:5]).encode(), 2),
        (b"signed=true&feeds=" + ",".join(NAMES).encode(), 13),
        (b"signed=false&feeds=" + ",".join(NAMES).encode(), 1),
    ],
)
def test_signatures_that_are_asked_for_one_by_one_are_paid(query: bytes, tokens: int) -> None:
    assert PRICES.cost(query) == tokens


@pytest.mark.parametrize("yes", ["true", "TRUE", "1", "yes", "on", "t", "%74rue", "anything"])
@pytest.mark.parametrize("signed", ["signed", "%73igned"])
def test_a_signature_costs_the_same_however_it_is_asked_for(signed: str, yes: str) -> None:
    feeds = quote(",".join(NAMES[:10]), safe="")
    assert PRICES.cost(f"f%65eds={feeds}&{signed}={yes}".encode()) == 3


@pytest.mark.parametrize(
    ("query", "tokens"),
    [(b"limit=499", 1), (b"", 1 + LIMIT_DEFAULT // 500), (b"limit=5000", 11), (b"limit=%35000", 11)],
)
def test_rows_of_history_are_paid(query: bytes, tokens: int) -> None:
    assert HISTORY.cost(query) == tokens


@pytest.mark.parametrize("limit", ["5_000", "+5000", " 5000", "5000.0", "", "\u0665\u0660", "9" * 40])
def test_a_limit_that_is_spelled_strangely_costs_as_much_as_the_largest(limit: str) -> None:
    assert HISTORY.cost(f"limit={quote(limit)}".encode()) == 1 + LIMIT_MAX // 500


@pytest.mark.parametrize(
    ("headers", "tokens"),
    [
        ({}, 1),
        ({b"content-length": b"5000"}, 1),
        ({b"content-length": b"60000"}, 8),
        ({b"content-length": b"10000000000"}, 9),
        ({b"content-length": b"-1"}, 9),
        ({b"transfer-encoding": b"chunked"}, 9),
    ],
)
def test_bytes_of_a_body_are_paid_before_they_are_read(headers: dict[bytes, bytes], tokens: int) -> None:
    for path in ("/feed-values/", "/feed-values/7", "/volumes/", "/admin/keys"):
        rule = rule_of(path)
        assert rule is not None
        assert rule.cost(b"", headers) == tokens


async def test_a_bomb_of_parameters_is_refused_unread_and_paid_as_the_dearest(
    client: httpx.AsyncClient,
) -> None:
    bomb = "a&" * 8_000
    assert (PRICES.cost(bomb.encode()), HISTORY.cost(bomb.encode())) == (13, 11)
    for path in ("/v1/prices", "/v1/prices/history", "/v1/usage"):
        answer = await client.get(f"{path}?{bomb}", headers={"X-API-Key": ADMIN_TOKEN})
        assert (answer.status_code, answer.json()["detail"]) == (400, "more than 16 query parameters")


@given(st.binary(max_size=6_000))
def test_no_query_is_too_strange_to_have_a_cost(query: bytes) -> None:
    assert 1 <= PRICES.cost(query) <= 13
    assert 1 <= HISTORY.cost(query) <= 11
