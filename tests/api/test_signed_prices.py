"""Prices with signatures, and who signs them, as the API tells it."""

from __future__ import annotations

import httpx

from core.aggregation.estimates import LegReason
from core.api.schemas.prices import Price, PriceList, SignerDocument
from core.signed.prices import verify_price, verify_prices
from tests.fakes.services import NOW, World, estimates_at, without


async def trusted(client: httpx.AsyncClient) -> tuple[str, int]:
    signer = SignerDocument.model_validate_json((await client.get("/v1/signer")).content)
    return signer.address, int(signer.domain["chainId"])


async def test_all_prices_carry_one_signature(client: httpx.AsyncClient) -> None:
    signer, chain_id = await trusted(client)
    answer = await client.get("/v1/prices?signed=true")
    told = PriceList.model_validate_json(answer.content)
    vector = verify_prices(answer.json()["signed"], signer=signer, chain_id=chain_id, at=NOW)
    assert (vector.sequence, vector.at_ms) == (told.sequence, told.at * 1000)
    digits = [(price.price or "").replace(".", "") for price in told.prices]
    assert [price.value for price in vector.prices] == [int(text) for text in digits]


async def test_feeds_that_are_asked_for_are_signed_one_by_one(client: httpx.AsyncClient) -> None:
    signer, chain_id = await trusted(client)
    answer = await client.get("/v1/prices?feeds=ETH/USD,BTC/USD&signed=true")
    PriceList.model_validate_json(answer.content)
    for told in answer.json()["prices"]:
        price = verify_price(told["signed"], signer=signer, chain_id=chain_id, at=NOW)
        assert price.feed_id[1:].rstrip(b"\0").decode() == told["feed"]


async def test_one_price_is_asked_by_its_name(client: httpx.AsyncClient) -> None:
    signer, chain_id = await trusted(client)
    answer = await client.get("/v1/prices/BTC/USD?signed=true")
    told = Price.model_validate_json(answer.content)
    price = verify_price(answer.json()["signed"], signer=signer, chain_id=chain_id, at=NOW)
    assert (price.sequence, price.venues) == (told.sequence, told.venues_used)
    assert "signed" not in (await client.get("/v1/prices/BTC/USD")).json()


async def test_a_feed_without_a_price_is_signed_by_nobody(client: httpx.AsyncClient, world: World) -> None:
    world.estimates = without(estimates_at(), "BTC/USD", LegReason.DEAD_VENUE, keep_price=False)
    assert (await client.get("/v1/prices/BTC/USD?signed=true")).json()["signed"] is None
    signed = (await client.get("/v1/prices?signed=true")).json()["signed"]
    assert len(signed["message"]["prices"]) == 62


async def test_a_pass_that_grows_old_keeps_its_time_in_the_signature(
    client: httpx.AsyncClient, world: World
) -> None:
    first = (await client.get("/v1/prices/BTC/USD?signed=true")).json()
    world.now = NOW + 60
    later = (await client.get("/v1/prices/BTC/USD?signed=true")).json()
    assert (later["state"], later["signed"]) == ("stale", first["signed"])


async def test_an_unknown_feed_and_a_time_before_the_first_pass_are_told(
    client: httpx.AsyncClient, world: World
) -> None:
    assert (await client.get("/v1/prices/FOO/USD")).status_code == 404
    world.estimates = None
    for path in ("/v1/prices/BTC/USD?signed=true", "/v1/prices?signed=true"):
        assert (await client.get(path)).status_code == 503
