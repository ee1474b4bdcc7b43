"""Flare's feed value provider interface, held to what Flare's reference answers."""

from __future__ import annotations

import httpx
import pytest

from core.aggregation.estimates import LegReason
from tests.fakes.services import NOW, World, estimates_at, without

BTC = {"category": 1, "name": "BTC/USD"}
ETH = {"category": 1, "name": "ETH/USD"}
UNKNOWN = {"category": 1, "name": "FOO/USD"}
STOCK = {"category": 4, "name": "BTC/USD"}


async def test_values_of_a_round_come_as_they_were_asked(client: httpx.AsyncClient) -> None:
    answer = await client.post("/feed-values/1", json={"feeds": [ETH, UNKNOWN, STOCK, BTC]})
    assert answer.status_code == 201
    assert answer.json() == {
        "votingRoundId": 1,
        "data": [
            {"feed": ETH, "value": 3_100.5},
            {"feed": UNKNOWN},
            {"feed": STOCK},
            {"feed": BTC, "value": 64_000.125},
        ],
    }


async def test_values_now_are_the_live_estimates(client: httpx.AsyncClient, world: World) -> None:
    world.estimates = without(estimates_at(), "BTC/USD", LegReason.STALE, keep_price=True)
    answer = await client.post("/feed-values/", json={"feeds": [BTC, {"category": 1, "name": "FLR/USD"}]})
    assert answer.status_code == 201
    assert answer.json() == {
        "data": [{"feed": BTC}, {"feed": {"category": 1, "name": "FLR/USD"}, "value": 64_000.0}]
    }


async def test_the_path_without_its_slash_is_the_same(client: httpx.AsyncClient) -> None:
    for path in ("/feed-values", "/volumes"):
        assert (await client.post(path, json={"feeds": [BTC]})).status_code == 201


@pytest.mark.parametrize("gone", ["none", "late"])
async def test_without_a_fresh_pass_no_feed_has_a_value(
    client: httpx.AsyncClient, world: World, gone: str
) -> None:
    if gone == "none":
        world.estimates = None
    else:
        world.now = NOW + 60
    answer = await client.post("/feed-values/", json={"feeds": [BTC]})
    assert answer.json() == {"data": [{"feed": BTC}]}


async def test_what_else_a_feed_holds_is_passed_over(client: httpx.AsyncClient) -> None:
    answer = await client.post("/feed-values/1", json={"feeds": [{**BTC, "decimals": 2}]})
    assert answer.json()["data"][0]["feed"] == BTC


async def test_volumes_are_told_by_exchange(client: httpx.AsyncClient) -> None:
    answer = await client.post("/volumes/?window=30", json={"feeds": [BTC, UNKNOWN]})
    assert answer.status_code == 201
    assert answer.json() == {
        "data": [
            {
                "feed": BTC,
                "volumes": [{"exchange": "kraken", "volume": 300.0}, {"exchange": "okx", "volume": 2.5}],
            },
            {"feed": UNKNOWN, "volumes": []},
        ]
    }


async def test_volumes_cover_a_minute_unless_asked_otherwise(client: httpx.AsyncClient) -> None:
    answer = await client.post("/volumes/", json={"feeds": [BTC]})
    assert answer.json()["data"][0]["volumes"][0]["volume"] == 600.0


@pytest.mark.parametrize(
    ("path", "status", "slug"),
    [
        ("/feed-values/2", 409, "round-not-open"),
        ("/feed-values/0", 404, "round-missed"),
        ("/feed-values/-1", 400, "invalid-request"),
        ("/feed-values/x", 400, "invalid-request"),
        ("/volumes/?window=0", 400, "invalid-request"),
        ("/volumes/?window=3601", 400, "invalid-request"),
        ("/volumes/?windows=60", 400, "unknown-parameter"),
    ],
)
async def test_what_cannot_be_answered_is_refused(
    client: httpx.AsyncClient, path: str, status: int, slug: str
) -> None:
    answer = await client.post(path, json={"feeds": [BTC]})
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:chrono:problem:{slug}")


@pytest.mark.parametrize("body", [{}, {"feeds": {}}, {"feeds": [{"name": "BTC/USD"}]}, [], None])
async def test_a_body_of_another_shape_is_refused(client: httpx.AsyncClient, body: object) -> None:
    answer = await client.post("/feed-values/1", json=body)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:chrono:problem:invalid-request")
