"""What holds for every venue alike."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chrono.feeds import DEX_VENUES, EXCHANGES, LEGS, VENUES, Leg, legs_of
from chrono.http import BODY_BYTES_MAX
from chrono.polling import Pace
from chrono.ticks import Reason
from chrono.venue_state import VenueState
from chrono.venues import VENUE_ADAPTERS
from chrono.venues.adapter import Parsed, Refused, Request, SymbolRefused
from tests.kernel.payloads import AT, answer, tickers_answer

each_venue = pytest.mark.parametrize("venue", VENUES)


def all_tickers(venue: str) -> Request:
    return VENUE_ADAPTERS[venue].tickers(legs_of(venue))


def test_every_venue_of_the_feed_table_has_an_adapter() -> None:
    assert set(VENUE_ADAPTERS) == set(VENUES)
    assert all(name == adapter.venue for name, adapter in VENUE_ADAPTERS.items())


@pytest.mark.parametrize("leg", LEGS, ids=str)
def test_a_symbol_leads_back_to_its_leg(leg: Leg) -> None:
    adapter = VENUE_ADAPTERS[leg.venue]
    assert adapter.leg(adapter.symbol(leg)) == leg


@each_venue
def test_no_two_legs_of_a_venue_share_a_symbol(venue: str) -> None:
    symbols = all_tickers(venue).symbols
    assert len(set(symbols)) == len(symbols) == len(legs_of(venue))


@pytest.mark.parametrize("venue", EXCHANGES)
def test_one_request_for_all_legs_keeps_the_pace_within_the_limit(venue: str) -> None:
    request, limit = all_tickers(venue), VENUE_ADAPTERS[venue].limit
    assert request.legs == legs_of(venue)
    assert request.weight * limit.window_s / Pace().ticker_interval_s <= limit.weight


@pytest.mark.parametrize("venue", DEX_VENUES)
def test_an_aggregator_is_asked_for_each_network_with_the_whole_of_its_limit(venue: str) -> None:
    adapter = VENUE_ADAPTERS[venue]
    networks = {adapter.part(leg): [] for leg in legs_of(venue)}
    for leg in legs_of(venue):
        networks[adapter.part(leg)].append(leg)
    requests = [adapter.tickers(legs) for legs in networks.values()]
    assert sorted(leg for request in requests for leg in request.legs) == sorted(legs_of(venue))
    # So that the limit, and not the pace, says when.
    assert sum(request.weight for request in requests) == adapter.limit.weight


@each_venue
def test_a_good_answer_gives_a_quote_for_every_leg(venue: str) -> None:
    request = all_tickers(venue)
    parsed = VENUE_ADAPTERS[venue].parse(request, tickers_answer(request))
    assert isinstance(parsed, Parsed)
    assert [quote.leg for quote in parsed.quotes] == list(request.legs)
    assert not parsed.refusals
    assert not parsed.missing
    assert {quote.volume_24h for quote in parsed.quotes} == {Decimal("8913.3")}
    assert {quote.last for quote in parsed.quotes} == {Decimal("100.5")}
    assert {quote.received_at for quote in parsed.quotes} == {AT}


@each_venue
def test_a_symbol_that_is_not_answered_for_is_missing(venue: str) -> None:
    request = all_tickers(venue)
    gone = request.symbols[-1]
    parsed = VENUE_ADAPTERS[venue].parse(request, tickers_answer(request, skip=(gone,)))
    assert isinstance(parsed, Parsed)
    assert parsed.missing == (gone,)
    assert len(parsed.quotes) == len(request.legs) - 1


@each_venue
@pytest.mark.parametrize(
    ("status", "state"),
    [
        (429, VenueState.RATE_LIMITED),
        (418, VenueState.BANNED),
        (403, VenueState.FORBIDDEN),
        (451, VenueState.GEO_BLOCKED),
        (500, VenueState.FAILING),
        (302, VenueState.FAILING),
    ],
)
def test_each_refusing_status_is_a_state_of_its_own(venue: str, status: int, state: VenueState) -> None:
    refused = VENUE_ADAPTERS[venue].parse(all_tickers(venue), answer(b"<html>no</html>", status))
    assert isinstance(refused, Refused)
    assert (refused.state, refused.code) == (state, status)


@each_venue
def test_retry_after_is_read(venue: str) -> None:
    refused = VENUE_ADAPTERS[venue].parse(all_tickers(venue), answer(b"slow down", 429, retry_after="37"))
    assert isinstance(refused, Refused)
    assert refused.retry_after_s == 37.0


@each_venue
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"17",
        b'"text"',
        b"{}",
        b"[[]",
        b'{"error":[],"result":',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b"9" * 5_000,
        b'{"code":[],"retCode":[],"error":{},"products":{},"data":null}',
        b'{"code":"0","retCode":0,"error":[],"result":{"list":{}},"time":0,"data":{},"products":3}',
    ],
)
def test_an_answer_that_cannot_be_read_is_a_failure_of_the_venue(venue: str, body: bytes) -> None:
    outcome = VENUE_ADAPTERS[venue].parse(all_tickers(venue), answer(body))
    if isinstance(outcome, Parsed):  # an object may be an empty result
        assert not outcome.quotes
    else:
        assert isinstance(outcome, Refused)
        assert outcome.state is VenueState.FAILING


@each_venue
def test_a_huge_answer_is_not_parsed(venue: str) -> None:
    outcome = VENUE_ADAPTERS[venue].parse(all_tickers(venue), answer(b" " * (BODY_BYTES_MAX + 1)))
    assert isinstance(outcome, Refused)
    assert "over the limit" in outcome.detail


@each_venue
@given(data=st.data())
def test_a_good_answer_cut_anywhere_never_raises(venue: str, data: st.DataObject) -> None:
    request = all_tickers(venue)
    body = tickers_answer(request).body
    cut = data.draw(st.integers(0, len(body) - 1))
    outcome = VENUE_ADAPTERS[venue].parse(request, answer(body[:cut]))
    assert isinstance(outcome, Refused)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("BTC-USDT"),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["retCode", "time", "code", "data", "error", "result", "list", "products"])
            | st.sampled_from(["symbol", "instId", "BTCUSDT", "XXBTZUSD", "a", "b", "c", "v", "trades"])
            | st.sampled_from(["product_id", "best_bid", "best_ask", "price", "size", "p", "q", "T", "ts"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@each_venue
@given(value=JSON, status=st.sampled_from([200, 400, 404, 429]))
def test_any_json_is_an_outcome_and_never_an_exception(venue: str, value: object, status: int) -> None:
    adapter = VENUE_ADAPTERS[venue]
    requests = [all_tickers(venue)]
    if adapter.trades is not None:
        requests.append(adapter.trades(Leg(venue, "BTC", "USDT")))
    for request in requests:
        outcome = adapter.parse(request, answer(json.dumps(value).encode(), status))
        assert isinstance(outcome, (Parsed, Refused, SymbolRefused))


FIELD_OF_ASK = {"binance": "askPrice", "bybit": "ask1Price", "okx": "askPx"}


@pytest.mark.parametrize("venue", FIELD_OF_ASK)
@pytest.mark.parametrize(
    ("ask", "reason"),
    [
        ("", Reason.ONE_SIDED),
        ("0.00000000", Reason.ONE_SIDED),
        (None, Reason.ONE_SIDED),
        ("99", Reason.CROSSED),
        ("-101", Reason.NON_POSITIVE),
        ("NaN", Reason.MALFORMED),
        ("-NaN", Reason.MALFORMED),
        ("Infinity", Reason.MALFORMED),
        ("1e999999999", Reason.MALFORMED),
        (101.5, Reason.MALFORMED),
        (["101"], Reason.MALFORMED),
        ("1" * 41, Reason.MALFORMED),
    ],
)
def test_a_bad_row_is_refused_for_its_reason_and_loses_no_other(
    venue: str, ask: object, reason: Reason
) -> None:
    request = all_tickers(venue)
    body = json.loads(tickers_answer(request).body)
    rows = body if venue == "binance" else body["data"] if venue == "okx" else body["result"]["list"]
    rows[3][FIELD_OF_ASK[venue]] = ask
    parsed = VENUE_ADAPTERS[venue].parse(request, answer(body))
    assert isinstance(parsed, Parsed)
    assert [(refusal.symbol, refusal.reason) for refusal in parsed.refusals] == [(request.symbols[3], reason)]
    assert len(parsed.quotes) == len(request.legs) - 1
    assert not parsed.missing


@each_venue
def test_rows_that_were_not_asked_for_are_not_looked_into(venue: str) -> None:
    everything = all_tickers(venue)
    few = VENUE_ADAPTERS[venue].tickers(legs_of(venue)[:2])
    parsed = VENUE_ADAPTERS[venue].parse(few, tickers_answer(everything))
    assert isinstance(parsed, Parsed)
    assert [quote.leg for quote in parsed.quotes] == list(few.legs)
    assert not parsed.refusals


@pytest.mark.parametrize("venue", ["binance", "bybit", "okx", "coinbase"])
def test_the_second_row_of_a_symbol_is_ignored(venue: str) -> None:
    request = all_tickers(venue)
    body = json.loads(tickers_answer(request).body)
    inner = body["result"]["list"] if venue == "bybit" else None
    rows = body if venue == "binance" else inner or body.get("data") or body["products"]
    rows.append(rows[0])
    parsed = VENUE_ADAPTERS[venue].parse(request, answer(body))
    assert isinstance(parsed, Parsed)
    assert len(parsed.quotes) == len(request.legs)
