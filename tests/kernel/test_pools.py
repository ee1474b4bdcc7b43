"""What the aggregators of decentralized exchanges say of a token, and which pools are believed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chrono.feeds import DEX_VENUES, EXCHANGES, FEEDS, Leg
from chrono.ticks import Quote, Reason
from chrono.venues import VENUE_ADAPTERS
from chrono.venues.adapter import Outcome, Parsed
from chrono.venues.pools import AGE_S_MIN
from tests.kernel.payloads import AT, answer, dexscreener_pair, gecko_pool, tickers_of

GECKO, DEX = Leg("gecko", "USDX", "USD"), Leg("dexscreener", "USDX", "USD")
TOKEN = "0x4a771cc1a39fdd8aa08b8ea51f7fd412e73b3d2b"
ID = f"flare_{TOKEN}"


def parsed(leg: Leg, body: Any) -> Parsed:
    outcome: Outcome = VENUE_ADAPTERS[leg.venue].parse(tickers_of(str(leg)), answer(body))
    assert isinstance(outcome, Parsed)
    return outcome


def gecko(*pools: Any) -> Parsed:
    return parsed(GECKO, {"data": [{"id": ID, "type": "token"}], "included": list(pools)})


def dexscreener(*pairs: Any) -> Parsed:
    return parsed(DEX, list(pairs))


def quoted(outcome: Parsed) -> Quote:
    assert (outcome.refusals, outcome.missing) == ((), ())
    return outcome.quotes[0]


def test_aggregators_are_read_only_for_feeds_with_fewer_than_three_exchange_markets() -> None:
    for feed in FEEDS:
        if any(leg.venue in DEX_VENUES for leg in feed.legs):
            assert sum(leg.venue in EXCHANGES for leg in feed.legs) < 3, feed.name


def test_one_request_names_the_network_and_the_token() -> None:
    request = tickers_of(str(GECKO))
    assert request.path == f"/api/v2/networks/flare/tokens/multi/{TOKEN}"
    assert request.params == (("include", "top_pools"),)
    assert tickers_of(str(DEX)).path == f"/tokens/v1/flare/{TOKEN}"


def test_the_deepest_pool_gives_the_price_and_all_give_the_volume() -> None:
    deep, shallow = gecko_pool(ID, "0.9991"), gecko_pool(ID, "0.98", reserve="30000", volume="1000")
    told = quoted(gecko(shallow, deep))
    assert (told.leg, told.bid, told.ask, told.last, told.event_at) == (
        GECKO,
        None,
        None,
        Decimal("0.9991"),
        None,
    )
    assert told.volume_24h == pytest.approx(Decimal("897594.48"), rel=Decimal("1e-6"))


def test_a_token_may_be_either_side_of_a_pool() -> None:
    assert quoted(gecko(gecko_pool(ID, "0.9991", side="base"))).last == Decimal("0.9991")
    pair = dexscreener_pair(TOKEN, "0.0113") | {"priceNative": "0.0114"}
    pair["baseToken"], pair["quoteToken"] = pair["quoteToken"], pair["baseToken"]
    assert float(quoted(dexscreener(pair)).last or 0) == pytest.approx(0.0113 / 0.0114)


THIN = ({"reserve": "24999"}, {"volume": "499"}, {"age_s": AGE_S_MIN - 1}, {"reserve": None})


@pytest.mark.parametrize("flaw", THIN)
def test_a_thin_idle_or_young_pool_is_as_good_as_none(flaw: dict[str, Any]) -> None:
    assert gecko(gecko_pool(ID, "0.5", **flaw)).missing == (ID,)
    names = {"reserve": "liquidity"}
    numbers = {
        names.get(key, key): float(value) if isinstance(value, str) else value for key, value in flaw.items()
    }
    assert dexscreener(dexscreener_pair(TOKEN, "0.5", **numbers)).missing == (TOKEN,)


def test_a_pool_that_tells_no_age_is_not_believed() -> None:
    pool, pair = gecko_pool(ID, "1"), dexscreener_pair(TOKEN, "1")
    pool["attributes"]["pool_created_at"] = pair["pairCreatedAt"] = None
    assert gecko(pool).missing == (ID,)
    assert dexscreener(pair).missing == (TOKEN,)


def test_a_pool_of_another_token_or_chain_is_not_looked_at() -> None:
    assert gecko(gecko_pool("flare_0xfeed", "5")).missing == (ID,)
    assert dexscreener(dexscreener_pair(TOKEN, "5", chain="songbird")).missing == (TOKEN,)


@pytest.mark.parametrize("value", [True, [], "NaN", "-1", "1e999999"])
def test_a_value_that_is_no_number_refuses_the_row(value: Any) -> None:
    pool, pair = gecko_pool(ID, "1"), dexscreener_pair(TOKEN, "1")
    pool["attributes"]["quote_token_price_usd"] = pair["priceUsd"] = value
    for outcome in (gecko(pool), dexscreener(pair)):
        assert [refusal.reason for refusal in outcome.refusals] in ([Reason.MALFORMED], [Reason.NON_POSITIVE])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, -1.0])
def test_a_number_out_of_bounds_refuses_the_row(value: float) -> None:
    assert dexscreener(dexscreener_pair(TOKEN, "1", liquidity=value)).quotes == ()


KEYS = [
    "id",
    "attributes",
    "relationships",
    "quote_token",
    "base_token",
    "data",
    "chainId",
    "baseToken",
    "address",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from([ID, TOKEN, "flare", "1.0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=15,
)


@given(st.lists(JSON, max_size=3))
def test_any_rows_are_read_or_refused(rows: list[Any]) -> None:
    gecko(*rows)
    dexscreener(*rows)


@given(st.floats(1e-9, 1e6), st.floats(3e4, 1e12), st.floats(5e2, 1e12))
def test_both_aggregators_read_the_same_pool_alike(price: float, liquidity: float, volume: float) -> None:
    text = f"{price:.12f}"
    here = gecko(gecko_pool(ID, text, reserve=f"{liquidity:.4f}", volume=f"{volume:.4f}", at=AT))
    there = dexscreener(dexscreener_pair(TOKEN, text, liquidity=liquidity, volume=volume, at=AT))
    for one, other in zip(here.quotes, there.quotes, strict=True):
        assert one.last == other.last
