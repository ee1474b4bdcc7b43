"""Two collectors of the same venues: either may go, and no trade is counted twice. Every part is real."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chrono.feeds import EXCHANGES, LEGS
from tests.house import House, open_house

FEW = tuple(leg for leg in LEGS if leg.base in {"BTC", "USDT", "USDC"})


@pytest.fixture
async def house(tmp_path: Path, database: str) -> AsyncIterator[House]:
    async with open_house(tmp_path, database, legs=FEW) as house:
        await house.until_live()
        yield house


async def both_serve(house: House) -> bool:
    routes = await house.routes()
    return set(routes) == {"test", "edge"} and all(route["ticks"] > 100 for route in routes.values())


async def only(house: House, name: str) -> bool:
    """Whether every leg that is there came by this collector, and the other one has none left."""
    legs = await house.legs("BTC/USD")
    served = {route["name"]: route["legs"] for route in (await house.routes()).values()}
    return {leg["route"] for leg in legs.values()} == {name} and served[name] == len(FEW)


async def off_truth(house: House) -> float:
    """How far the estimate is from what the market knows, as a ratio; venues lag by up to half a second."""
    price = float((await house.price("BTC/USD"))["price"])
    return abs(price / await house.truth("BTC/USD") - 1)


@pytest.mark.parametrize("lost", ["test", "edge"])
async def test_losing_either_collector_changes_no_estimate(house: House, lost: str) -> None:
    left = "edge" if lost == "test" else "test"
    async with house.second_collector("edge", FEW) as edge_stop:
        await house.until(lambda: both_serve(house))
        assert await off_truth(house) < 0.002
        (house.collector_stop if lost == "test" else edge_stop).set()
        states: set[str] = set()

        async def taken_over() -> bool:
            states.add((await house.price("BTC/USD"))["state"])
            return await only(house, left)

        await house.until(taken_over)
        assert states == {"live"}
        assert (await house.price("BTC/USD"))["venues_used"] == 5
        assert await off_truth(house) < 0.002

        async def the_lost_one_is_older() -> bool:
            routes = await house.routes()
            return bool(routes[lost]["silent_s"] > 2 > routes[left]["silent_s"])

        await house.until(the_lost_one_is_older)


async def test_two_collectors_are_one_of_each_venue_in_an_estimate(house: House) -> None:
    async with house.second_collector("edge", FEW):
        await house.until(lambda: both_serve(house))
        legs = await house.legs("BTC/USD")
        assert len(legs) == 12
        assert sum(leg["weight"] for leg in legs.values()) == pytest.approx(1, abs=1e-4)
        by_venue: dict[str, float] = {}
        for leg in legs.values():
            by_venue[leg["venue"]] = by_venue.get(leg["venue"], 0.0) + leg["weight"]
        assert max(by_venue.values()) <= 0.4 + 1e-4
        told = (await house.get("/v1/venues"))["venues"]
        assert {(each["venue"], each["route"]) for each in told} == {
            (venue, route) for venue in EXCHANGES for route in ("test", "edge")
        }


async def test_a_trade_that_both_collectors_tell_is_counted_once(house: House) -> None:
    """What is counted of a venue is all that it traded while both looked, and nothing of it twice."""
    asked = {"feeds": [{"category": 1, "name": "BTC/USD"}]}

    async def counted() -> float:
        answer = await house.api.post("/volumes/", params={"window": "3600"}, json=asked)
        volumes = {each["exchange"]: each["volume"] for each in answer.json()["data"][0]["volumes"]}
        return float(volumes["binance"])

    async def traded() -> tuple[float, float]:
        """Dollars of the last thousand trades: those of this test's time, and all of them."""
        lately = whole = 0.0
        for currency in ("USDT", "USDC"):
            params = {"symbol": f"BTC{currency}", "limit": "1000"}
            rate = await house.truth(f"{currency}/USD")
            for row in (await house.venues.get("/binance/api/v3/trades", params=params)).json():
                dollars = float(row["quoteQty"]) * rate
                whole += dollars
                lately += dollars * (began_ms < row["time"] < ended_ms)
        return lately, whole

    async def repeated() -> bool:
        return await house.metric("chrono_trades_repeated_total") > 500

    began_ms = time.time() * 1000
    async with house.second_collector("edge", FEW):
        await house.until(lambda: both_serve(house))
        await house.until(repeated)
        ended_ms = time.time() * 1000 - 3_000
        counted_now = await counted()
    lately, whole = await traded()
    assert lately * 0.99 <= counted_now <= whole * 1.001
