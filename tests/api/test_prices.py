"""What `/v1/feeds`, `/v1/prices` and `/v1/prices/sources` say."""

from __future__ import annotations

import json

import httpx

from chrono.feeds import FEED_BY_NAME, FEEDS
from core.aggregation.estimates import LegReason
from core.api.schemas.common import ProblemDocument
from core.api.schemas.prices import FeedList, PriceList, SourceList
from tests.fakes.services import NOW, World, estimates_at, without


async def test_all_feeds_are_listed_with_their_markets(client: httpx.AsyncClient) -> None:
    listed = FeedList.model_validate_json((await client.get("/v1/feeds")).content)
    assert [entry.feed for entry in listed.feeds] == [feed.name for feed in FEEDS]
    assert listed.feeds[2].markets[0].symbol == "BTC/USD"


async def test_all_prices_come_in_the_order_of_the_table(client: httpx.AsyncClient) -> None:
    told = PriceList.model_validate_json((await client.get("/v1/prices")).content)
    assert [price.feed for price in told.prices] == list(FEED_BY_NAME)
    assert (told.sequence, told.at) == (1, NOW)


async def test_asked_feeds_come_once_each_in_the_order_asked(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/prices?feeds=ETH/USD,BTC/USD,ETH/USD")
    assert [price["feed"] for price in answer.json()["prices"]] == ["ETH/USD", "BTC/USD"]


async def test_a_price_is_text_with_two_digits_more_than_the_feed(
    client: httpx.AsyncClient, world: World
) -> None:
    answer = await client.get("/v1/prices?feeds=FLR/USD")
    assert answer.json()["prices"][0]["price"] == "64000.00000000"


async def test_a_change_is_counted_from_the_reference(client: httpx.AsyncClient, world: World) -> None:
    world.reference["FLR/USD"] = (NOW - 86_400, 50_000.0)
    price = (await client.get("/v1/prices?feeds=FLR/USD")).json()["prices"][0]
    assert (price["change_24h_percent"], price["change_since"]) == (28.0, NOW - 86_400)


async def test_a_feed_without_a_price_says_why(client: httpx.AsyncClient, world: World) -> None:
    world.estimates = without(estimates_at(), "BTC/USD", LegReason.DEAD_VENUE, keep_price=False)
    price = (await client.get("/v1/prices?feeds=BTC/USD")).json()["prices"][0]
    assert (price["price"], price["state"]) == (None, "none")
    assert price["why"] == "of 12 markets: 12 on a silent venue"


async def test_a_stale_feed_keeps_its_last_price(client: httpx.AsyncClient, world: World) -> None:
    world.estimates = without(estimates_at(), "BTC/USD", LegReason.STALE, keep_price=True)
    price = (await client.get("/v1/prices?feeds=BTC/USD")).json()["prices"][0]
    assert price["state"] == "stale"
    assert float(price["price"]) > 0


async def test_a_new_pass_is_told_at_once(client: httpx.AsyncClient, world: World) -> None:
    await client.get("/v1/prices")
    world.estimates = estimates_at(NOW + 1, sequence=2)
    assert (await client.get("/v1/prices")).json()["sequence"] == 2


async def test_prices_of_a_core_that_stopped_estimating_are_stale(
    client: httpx.AsyncClient, world: World
) -> None:
    world.now = NOW + 60
    price = (await client.get("/v1/prices?feeds=BTC/USD")).json()["prices"][0]
    assert (price["state"], price["age_s"]) == ("stale", 60.25)
    assert price["why"] == "no estimate came for 60 s"


async def test_before_the_first_pass_the_answer_is_503(client: httpx.AsyncClient, world: World) -> None:
    world.estimates = None
    for path in ("/v1/prices", "/v1/prices/sources?feed=BTC/USD"):
        answer = await client.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_an_unknown_feed_is_named(client: httpx.AsyncClient) -> None:
    for path in ("/v1/prices?feeds=BTC/USD,FOO/USD", "/v1/prices/sources?feed=FOO/USD"):
        answer = await client.get(path)
        problem = ProblemDocument.model_validate_json(answer.content)
        assert (answer.status_code, problem.type) == (404, "urn:chrono:problem:unknown-feed")
        assert "FOO/USD" in problem.detail
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_misspelled_parameter_is_told(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/prices?feed=BTC/USD")
    assert answer.status_code == 400
    assert answer.json()["parameters"] == ["feed"]


async def test_a_repeated_parameter_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/prices?feeds=BTC/USD&feeds=ETH/USD")
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:chrono:problem:repeated-parameter")


async def test_each_market_behind_a_feed_is_shown(client: httpx.AsyncClient, world: World) -> None:
    world.estimates = without(estimates_at(), "BTC/USD", LegReason.OUTLIER, keep_price=True)
    answer = await client.get("/v1/prices/sources?feed=BTC/USD")
    told = SourceList.model_validate_json(answer.content)
    assert len(told.sources) == len(FEED_BY_NAME["BTC/USD"].legs)
    assert {leg.reason for leg in told.sources} == {"outlier"}


async def test_no_answer_ever_holds_a_nan(client: httpx.AsyncClient, world: World) -> None:
    world.estimates = without(estimates_at(), "SGB/USD", LegReason.NO_DATA, keep_price=False)
    world.estimates.legs.price[:] = float("nan")
    world.estimates.age_s[:] = float("nan")
    world.estimates.vwap[:] = float("inf")
    for path in ("/v1/prices", "/v1/prices/sources?feed=SGB/USD"):
        text = (await client.get(path)).text
        assert "nan" not in text.lower()
        json.loads(text, parse_constant=lambda name: 1 / 0)


async def test_a_pass_that_a_client_has_is_not_sent_again(client: httpx.AsyncClient, world: World) -> None:
    first = await client.get("/v1/prices?feeds=BTC/USD")
    tag = first.headers["etag"]
    again = await client.get("/v1/prices?feeds=BTC/USD", headers={"If-None-Match": f'"x", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert first.headers["cache-control"] == "private, no-cache"
    world.estimates = estimates_at(NOW + 1, sequence=2)
    assert (await client.get("/v1/prices", headers={"If-None-Match": tag})).status_code == 200


async def test_a_late_pass_is_no_longer_what_the_client_has(client: httpx.AsyncClient, world: World) -> None:
    tag = (await client.get("/v1/prices")).headers["etag"]
    world.now = NOW + 60
    answer = await client.get("/v1/prices", headers={"If-None-Match": tag})
    assert (answer.status_code, answer.json()["prices"][0]["state"]) == (200, "stale")


async def test_large_answers_are_compressed_for_those_who_take_it(client: httpx.AsyncClient) -> None:
    for path in ("/v1/prices", "/v1/prices/history?feed=BTC/USD", "/v1/prices/history?feed=BTC/USD&limit=60"):
        plain = await client.get(path, headers={"Accept-Encoding": "identity"})
        small = await client.get(path, headers={"Accept-Encoding": "gzip, br"})
        assert "content-encoding" not in plain.headers
        assert small.headers["content-encoding"] == "gzip"
        assert small.json() == plain.json()
        assert int(small.headers["content-length"]) < int(plain.headers["content-length"]) / 3


async def test_a_small_answer_is_sent_as_it_is(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/prices?feeds=BTC/USD", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers
