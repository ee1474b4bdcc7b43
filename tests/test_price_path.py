"""The path of a price, every part real: venues' JSON over HTTP to /v1/prices, and what faults do to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chrono.feeds import FEEDS
from tests.house import House, open_house


@pytest.fixture
async def house(tmp_path: Path, database: str) -> AsyncIterator[House]:
    async with open_house(tmp_path, database) as house:
        await house.until_live()
        yield house


async def near_truth(house: House, feed: str, tolerance: float = 0.002) -> bool:
    price = await house.price(feed)
    return abs(float(price["price"]) / await house.truth(feed) - 1) < tolerance


async def test_every_listed_feed_is_worth_what_the_market_says(house: House) -> None:
    async def all_live() -> bool:
        prices = (await house.get("/v1/prices"))["prices"]
        return all(price["state"] == "live" for price in prices if price["venues_listed"])

    await house.until(all_live)
    prices = {price["feed"]: price for price in (await house.get("/v1/prices"))["prices"]}
    assert len(prices) == 63
    assert "pools of decentralized exchanges alone" in prices["USDX/USD"]["why"]
    for feed in FEEDS:
        if feed.legs:
            price = prices[feed.name]
            assert float(price["price"]) == pytest.approx(await house.truth(feed.name), rel=0.005), feed.name
            assert float(price["band_low"]) <= float(price["price"]) <= float(price["band_high"])


async def test_sources_say_what_each_leg_gave(house: House) -> None:
    legs = await house.legs("BTC/USD")
    assert len(legs) == 12
    used = [leg for leg in legs.values() if leg["reason"] == "used"]
    assert len(used) >= 10
    assert sum(leg["weight"] for leg in used) == pytest.approx(1, abs=1e-4)
    converted = legs["binance:BTC/USDT"]
    assert float(converted["price"]) == pytest.approx(await house.truth("BTC/USD"), rel=0.002)


async def test_history_comes_from_the_database(house: House) -> None:
    async def stored() -> bool:
        history = await house.get("/v1/prices/history", feed="BTC/USD", interval="raw")
        return len(history["points"]) >= 3

    await house.until(stored)
    candles = (await house.get("/v1/prices/history", feed="BTC/USD", interval="1m"))["candles"]
    assert float(candles[-1]["low"]) <= float(candles[-1]["close"]) <= float(candles[-1]["high"])


async def test_flares_own_client_gets_the_same_values_for_a_round_on_every_repeat(house: House) -> None:
    import time

    voting_round = int((time.time() - 1_658_430_000) // 90)
    asked = {"feeds": [{"category": 1, "name": "BTC/USD"}, {"category": 1, "name": "NOPE/USD"}]}
    first = await house.api.post(f"/feed-values/{voting_round}", json=asked)
    again = await house.api.post(f"/feed-values/{voting_round}", json=asked)
    assert first.status_code == 201
    assert first.content == again.content
    btc, unknown = first.json()["data"]
    assert btc["value"] == pytest.approx(await house.truth("BTC/USD"), rel=0.01)
    assert "value" not in unknown


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        ("kraken:dead", "failing"),
        ("kraken:banned=418,retry_after=120", "banned"),
        ("kraken:banned=429,retry_after=120", "rate_limited"),
        ("kraken:banned=403", "forbidden"),
        ("kraken:banned=451", "geo_blocked"),
        ("kraken:server_error", "failing"),
        ("kraken:malformed", "failing"),
        ("kraken:huge", "failing"),
        ("kraken:rate_limited", "rate_limited"),
    ],
)
async def test_a_venue_that_refuses_is_told_by_its_state_and_prices_go_on(
    house: House, fault: str, state: str
) -> None:
    house.inject(fault)

    async def told() -> bool:
        return await house.venue_state("kraken") == state

    await house.until(told)
    assert (await house.price("BTC/USD"))["state"] == "live"
    assert await near_truth(house, "BTC/USD")


async def test_a_banned_venue_is_asked_nothing_more(house: House) -> None:
    house.inject("okx:banned=418,retry_after=600")

    async def banned() -> bool:
        return await house.venue_state("okx") == "banned"

    await house.until(banned)
    before = (await house.venues.get("/_requests")).json()["okx"]
    answered = await house.metric('chrono_ingest_batches_total{outcome="accepted"}')

    async def later() -> bool:
        return await house.metric('chrono_ingest_batches_total{outcome="accepted"}') > answered + 5

    await house.until(later)
    assert (await house.venues.get("/_requests")).json()["okx"] == before


async def test_a_venue_that_is_off_by_five_percent_is_left_out(house: House) -> None:
    house.inject("okx:off_by=1.05")

    async def out() -> bool:
        legs = await house.legs("BTC/USD")
        return {legs["okx:BTC/USD"]["reason"], legs["okx:BTC/USDT"]["reason"]} == {"outlier"}

    await house.until(out)
    assert await near_truth(house, "BTC/USD")


async def test_a_one_sided_book_is_refused_and_counted(house: House) -> None:
    house.inject("okx:one_sided")

    async def refused() -> bool:
        heard = (await house.get("/v1/venues"))["venues"]
        okx = next(each for each in heard if each["venue"] == "okx")
        return int(okx["refused"].get("one_sided_book", 0)) > 0

    await house.until(refused)
    assert await near_truth(house, "BTC/USD")


async def test_a_delisted_symbol_does_not_lose_its_venue(house: House) -> None:
    house.inject("binance:delisted=BTCUSDT")

    async def missed() -> bool:
        heard = (await house.get("/v1/venues"))["venues"]
        binance = next(each for each in heard if each["venue"] == "binance")
        return int(binance["refused"].get("unknown_symbol", 0)) > 0 and binance["state"] == "healthy"

    await house.until(missed)
    legs = await house.legs("ETH/USD")
    assert legs["binance:ETH/USDT"]["reason"] == "used"


async def test_a_slow_venue_delays_no_other(house: House) -> None:
    house.inject("coinbase:slow=3")
    accepted = await house.metric('chrono_ingest_batches_total{outcome="accepted"}')

    async def later() -> bool:
        return await house.metric('chrono_ingest_batches_total{outcome="accepted"}') > accepted + 3

    await house.until(later)
    legs = await house.legs("BTC/USD")
    assert legs["kraken:BTC/USD"]["age_s"] < 3


async def test_a_recovered_venue_is_used_again(house: House) -> None:
    house.inject("bybit:server_error")

    async def failing() -> bool:
        return await house.venue_state("bybit") == "failing"

    async def healthy() -> bool:
        return await house.venue_state("bybit") == "healthy"

    await house.until(failing)
    house.faults.clear()
    await house.until(healthy)
    assert (await house.legs("BTC/USD"))["bybit:BTC/USDT"]["reason"] == "used"


async def test_aggregators_that_disagree_are_not_believed_and_the_feed_keeps_its_last_price(
    house: House,
) -> None:
    async def live() -> bool:
        return bool((await house.price("USDX/USD"))["state"] == "live")

    async def left_out() -> bool:
        return {leg["reason"] for leg in (await house.legs("USDX/USD")).values()} == {"unconfirmed"}

    await house.until(live)
    house.inject("gecko:off_by=1.05")
    await house.until(left_out)
    price = await house.price("USDX/USD")
    assert price["state"] == "stale"
    assert float(price["price"]) == pytest.approx(1, rel=0.01)
