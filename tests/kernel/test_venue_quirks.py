"""What is peculiar to each venue: its requests, its envelopes, its words for no."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chrono.feeds import Leg
from chrono.ticks import Reason
from chrono.venue_state import VenueState
from chrono.venues import VENUE_ADAPTERS
from chrono.venues.adapter import Outcome, Parsed, Refused, Request, SymbolRefused
from tests.kernel.payloads import (
    AT,
    AT_MS,
    answer,
    binance_ticker,
    binance_trade,
    bybit_envelope,
    bybit_ticker,
    bybit_trade,
    coinbase_product,
    coinbase_trade,
    kraken_envelope,
    kraken_ticker,
    okx_envelope,
    okx_ticker,
    okx_trade,
    tickers_of,
    trades_of,
)


def parse(request: Request, body: object, status: int = 200) -> Outcome:
    return VENUE_ADAPTERS[request.venue].parse(request, answer(body, status))


def parsed(request: Request, body: object) -> Parsed:
    outcome = parse(request, body)
    assert isinstance(outcome, Parsed)
    return outcome


# Binance


def test_binance_is_asked_with_a_json_list_without_spaces() -> None:
    request = tickers_of("binance:BTC/USDT", "binance:ETH/USDC")
    assert request.path == "/api/v3/ticker/24hr"
    assert request.params == (("symbols", '["BTCUSDT","ETHUSDC"]'),)


@pytest.mark.parametrize(("count", "weight"), [(1, 2), (20, 2), (21, 40), (100, 40), (101, 80)])
def test_binance_counts_more_weight_for_more_symbols(count: int, weight: int) -> None:
    legs = [Leg("binance", f"A{index}", "USDT") for index in range(count)]
    assert VENUE_ADAPTERS["binance"].tickers(legs).weight == weight


def test_binance_dates_a_ticker_by_its_close_time() -> None:
    row = binance_ticker("BTCUSDT", "99.5", "100.5", "100.1", AT_MS - 1_500)
    (quote,) = parsed(tickers_of("binance:BTC/USDT"), [row]).quotes
    assert (quote.bid, quote.ask, quote.last) == (Decimal("99.5"), Decimal("100.5"), Decimal("100.1"))
    assert quote.event_at == AT - 1.5


def test_binance_refuses_a_whole_request_for_one_symbol() -> None:
    body = {"code": -1121, "msg": "Invalid symbol."}
    assert isinstance(parse(tickers_of("binance:BTC/USDT"), body, 400), SymbolRefused)


def test_another_error_400_of_binance_blames_no_symbol() -> None:
    outcome = parse(tickers_of("binance:BTC/USDT"), {"code": -1100, "msg": "Illegal characters"}, 400)
    assert outcome == Refused(VenueState.FAILING, 400, None, '{"code": -1100, "msg": "Illegal characters"}')


def test_binance_halted_market_keeps_its_last_price() -> None:
    row = binance_ticker("BTCUSDT", "0.00000000", "0.00000000", "100.1")
    (quote,) = parsed(tickers_of("binance:BTC/USDT"), [row]).quotes
    assert (quote.bid, quote.ask, quote.last) == (None, None, Decimal("100.1"))


def test_a_row_without_any_price_is_refused() -> None:
    row = binance_ticker("BTCUSDT", "0.00", "0.00", "0.00")
    (refusal,) = parsed(tickers_of("binance:BTC/USDT"), [row]).refusals
    assert refusal.reason is Reason.NON_POSITIVE


@pytest.mark.parametrize("time", [None, 0, -1, True, 1.5e12, "soon", 10**16])
def test_a_row_without_a_true_time_is_refused_where_the_venue_tells_one(time: object) -> None:
    row = binance_ticker("BTCUSDT", "1", "2", "1") | {"closeTime": time}
    (refusal,) = parsed(tickers_of("binance:BTC/USDT"), [row]).refusals
    assert refusal.reason is Reason.MALFORMED


def test_binance_trades_come_oldest_first_with_their_ids() -> None:
    rows = [binance_trade(8, "101", "2", AT_MS), binance_trade(7, "100", "0.5", AT_MS - 1_000)]
    told = parsed(trades_of("binance:BTC/USDT"), rows).trades
    assert [(item.trade_id, item.trade.price, item.trade.event_at) for item in told] == [
        ("7", Decimal(100), AT - 1),
        ("8", Decimal(101), AT),
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"p": "0"}, Reason.NON_POSITIVE),
        ({"q": "0.000"}, Reason.NON_POSITIVE),
        ({"q": "-1"}, Reason.NON_POSITIVE),
        ({"p": None}, Reason.MALFORMED),
        ({"a": None}, Reason.MALFORMED),
        ({"T": "x"}, Reason.MALFORMED),
    ],
)
def test_a_bad_trade_loses_no_other(change: dict[str, object], reason: Reason) -> None:
    rows = [binance_trade(7, "100", "1", AT_MS) | change, binance_trade(8, "100", "1", AT_MS), "no trade"]
    outcome = parsed(trades_of("binance:BTC/USDT"), rows)
    assert [item.trade_id for item in outcome.trades] == ["8"]
    assert [refusal.reason for refusal in outcome.refusals] == [reason, Reason.MALFORMED]


# Bybit


def test_bybit_dates_all_rows_by_its_envelope() -> None:
    body = bybit_envelope([bybit_ticker("BTCUSDT", "99.5", "100.5", "100.1")], AT_MS - 250)
    (quote,) = parsed(tickers_of("bybit:BTC/USDT"), body).quotes
    assert quote.event_at == AT - 0.25


@pytest.mark.parametrize("at_ms", [None, "later", 0, []])
def test_a_bybit_envelope_without_time_cannot_be_read(at_ms: object) -> None:
    outcome = parse(tickers_of("bybit:BTC/USDT"), bybit_envelope([], at_ms))
    assert isinstance(outcome, Refused)
    assert outcome.state is VenueState.FAILING


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (10006, VenueState.RATE_LIMITED),
        (10018, VenueState.RATE_LIMITED),
        (10009, VenueState.BANNED),
        (10024, VenueState.GEO_BLOCKED),
        (10016, VenueState.FAILING),
        (10001, VenueState.FAILING),
    ],
)
def test_bybit_refuses_inside_a_200(code: int, state: VenueState) -> None:
    outcome = parse(tickers_of("bybit:BTC/USDT"), bybit_envelope([], code=code, message="Too many visits!"))
    assert isinstance(outcome, Refused)
    assert (outcome.state, outcome.code) == (state, code)


def test_bybit_403_stops_for_ten_minutes() -> None:
    outcome = parse(tickers_of("bybit:BTC/USDT"), b"access too frequent", 403)
    assert isinstance(outcome, Refused)
    assert (outcome.state, outcome.retry_after_s) == (VenueState.FORBIDDEN, 600.0)


def test_bybit_403_that_speaks_of_a_country_is_a_geographic_block() -> None:
    body = b"The Amazon CloudFront distribution is configured to block access from your country."
    outcome = parse(tickers_of("bybit:BTC/USDT"), body, 403)
    assert isinstance(outcome, Refused)
    assert outcome.state is VenueState.GEO_BLOCKED


def test_bybit_trades_of_another_symbol_are_refused() -> None:
    rows = [
        bybit_trade("BTCUSDT", "2290000000061230", "27450.50", "0.005", AT_MS),
        bybit_trade("ETHUSDT", "2290000000061231", "1.50", "0.005", AT_MS),
    ]
    outcome = parsed(trades_of("bybit:BTC/USDT"), bybit_envelope(rows))
    assert [item.trade_id for item in outcome.trades] == ["2290000000061230"]
    assert [refusal.reason for refusal in outcome.refusals] == [Reason.UNKNOWN_SYMBOL]


def test_bybit_without_trades_of_a_symbol_blames_the_symbol() -> None:
    body = bybit_envelope([], code=10001, message="Not supported symbols")
    assert isinstance(parse(trades_of("bybit:BTC/USDT"), body), SymbolRefused)


# OKX


def test_okx_counts_spot_volume_in_the_base_currency() -> None:
    row = okx_ticker("BTC-USDT", "99.5", "100.5", "100.1", AT_MS - 400)
    (quote,) = parsed(tickers_of("okx:BTC/USDT"), okx_envelope([row])).quotes
    assert quote.volume_24h == Decimal("8913.3")
    assert quote.event_at == AT - 0.4


@pytest.mark.parametrize("status", [200, 429])
def test_okx_rate_limit_code_is_known_with_any_status(status: int) -> None:
    outcome = parse(tickers_of("okx:BTC/USDT"), okx_envelope([], "50011", "Too Many Requests"), status)
    assert isinstance(outcome, Refused)
    assert (outcome.state, outcome.code) == (VenueState.RATE_LIMITED, 50011)


def test_okx_other_codes_are_failures() -> None:
    outcome = parse(tickers_of("okx:BTC/USDT"), okx_envelope([], "50013", "Systems are busy"))
    assert outcome == Refused(VenueState.FAILING, 50013, None, "code 50013: Systems are busy")


def test_okx_trades_are_read() -> None:
    body = okx_envelope([okx_trade("BTC-USDT", "734864333", "102537.9", "0.00013669", AT_MS)])
    (told,) = parsed(trades_of("okx:BTC/USDT"), body).trades
    assert (told.trade_id, told.trade.size) == ("734864333", Decimal("0.00013669"))


def test_okx_without_an_instrument_blames_the_symbol() -> None:
    body = okx_envelope([], "51001", "Instrument ID does not exist")
    assert isinstance(parse(trades_of("okx:BTC/USDT"), body), SymbolRefused)


# Kraken


def test_kraken_is_asked_by_short_names() -> None:
    request = tickers_of("kraken:BTC/USD", "kraken:DOGE/USD", "kraken:BTC/USDT")
    assert request.params == (("pair", "XBTUSD,XDGUSD,XBTUSDT"),)


@pytest.mark.parametrize(
    ("key", "leg"),
    [
        ("XXBTZUSD", "kraken:BTC/USD"),
        ("XBTUSD", "kraken:BTC/USD"),
        ("XBTUSDT", "kraken:BTC/USDT"),
        ("XETHZUSD", "kraken:ETH/USD"),
        ("XXRPZUSD", "kraken:XRP/USD"),
        ("XLTCZUSD", "kraken:LTC/USD"),
        ("XXLMZUSD", "kraken:XLM/USD"),
        ("XETCZUSD", "kraken:ETC/USD"),
        ("XDGUSD", "kraken:DOGE/USD"),
        ("USDTZUSD", "kraken:USDT/USD"),
        ("USDCUSD", "kraken:USDC/USD"),
        ("XDCUSD", "kraken:XDC/USD"),
        ("XPLUSD", "kraken:XPL/USD"),
        ("SUSD", "kraken:S/USD"),
    ],
)
def test_kraken_answers_by_old_and_new_names(key: str, leg: str) -> None:
    body = kraken_envelope({key: kraken_ticker("99.5", "100.5", "100.1")})
    (quote,) = parsed(tickers_of(leg), body).quotes
    assert quote.leg == Leg.parse(leg)
    assert quote.event_at is None


def test_a_base_that_ends_in_z_keeps_its_z() -> None:
    assert VENUE_ADAPTERS["kraken"].leg("XTZUSD") == Leg("kraken", "XTZ", "USD")


def test_a_symbol_in_a_foreign_currency_is_no_leg() -> None:
    assert VENUE_ADAPTERS["kraken"].leg("XXBTZEUR") is None
    assert VENUE_ADAPTERS["binance"].leg("BTCEUR") is None
    assert VENUE_ADAPTERS["okx"].leg("BTC-USD-SWAP") is None


@pytest.mark.parametrize(
    ("error", "state"),
    [
        ("EAPI:Rate limit exceeded", VenueState.RATE_LIMITED),
        ("EGeneral:Too many requests", VenueState.RATE_LIMITED),
        ("EService:Unavailable", VenueState.FAILING),
        ("EService:Busy", VenueState.FAILING),
    ],
)
def test_kraken_refuses_inside_a_200(error: str, state: VenueState) -> None:
    assert parse(tickers_of("kraken:BTC/USD"), kraken_envelope(None, error)) == Refused(state, detail=error)


def test_kraken_refuses_a_whole_request_for_one_pair() -> None:
    body = kraken_envelope(None, "EQuery:Unknown asset pair")
    assert isinstance(parse(tickers_of("kraken:BTC/USD"), body), SymbolRefused)


@pytest.mark.parametrize("field", ["a", "b", "c", "v"])
@pytest.mark.parametrize("value", [None, [], "100", {"0": "100"}])
def test_a_kraken_row_of_another_shape_is_refused(field: str, value: object) -> None:
    body = kraken_envelope({"XXBTZUSD": kraken_ticker("1", "2", "1") | {field: value}})
    (refusal,) = parsed(tickers_of("kraken:BTC/USD"), body).refusals
    assert (refusal.symbol, refusal.reason) == ("XBTUSD", Reason.MALFORMED)


# Coinbase


def test_coinbase_is_asked_with_one_parameter_a_product() -> None:
    request = tickers_of("coinbase:BTC/USD", "coinbase:ETH/USDT")
    assert request.params == (("product_ids", "BTC-USD"), ("product_ids", "ETH-USDT"))


def test_a_coinbase_product_has_a_price_but_no_book_and_no_time() -> None:
    body = {"products": [coinbase_product("BTC-USD", "68925.98")], "num_products": 1}
    (quote,) = parsed(tickers_of("coinbase:BTC/USD"), body).quotes
    assert (quote.bid, quote.ask, quote.last) == (None, None, Decimal("68925.98"))
    assert quote.event_at is None


def test_a_coinbase_book_is_dated_by_its_newest_trade() -> None:
    rows = [
        coinbase_trade("BTC-USD", "995098663", "68923.67", "0.00064", "2025-06-15T15:06:38.544778Z"),
        coinbase_trade("BTC-USD", "995098662", "68920.01", "0.00123858", "2025-06-15T15:06:37.250358Z"),
    ]
    body = {"trades": rows, "best_bid": "68923.66", "best_ask": "68923.68"}
    outcome = parsed(trades_of("coinbase:BTC/USD"), body)
    (quote,) = outcome.quotes
    assert (quote.bid, quote.ask, quote.last) == tuple(map(Decimal, ("68923.66", "68923.68", "68923.67")))
    assert quote.event_at == pytest.approx(1_749_999_998.544778)
    assert [item.trade_id for item in outcome.trades] == ["995098662", "995098663"]


@pytest.mark.parametrize(("bid", "ask"), [("", "68923.68"), ("68923.66", ""), ("68923.66", None)])
def test_a_one_sided_coinbase_book_is_refused_and_its_trades_are_kept(bid: str, ask: str | None) -> None:
    rows = [coinbase_trade("BTC-USD", "1", "68923.67", "0.00064", "2025-06-15T15:06:38Z")]
    body = {"trades": rows, "best_bid": bid, "best_ask": ask}
    outcome = parsed(trades_of("coinbase:BTC/USD"), body)
    assert (len(outcome.trades), len(outcome.quotes)) == (1, 0)
    assert [refusal.reason for refusal in outcome.refusals] == [Reason.ONE_SIDED]


def test_a_coinbase_book_that_no_trade_dates_is_no_observation() -> None:
    body = {"trades": [], "best_bid": "1", "best_ask": "2"}
    assert parsed(trades_of("coinbase:BTC/USD"), body) == Parsed()


@pytest.mark.parametrize("time", ["2025-06-15T15:06:38", "yesterday", 17, None, "9999-12-31T23:59:59Z"])
def test_a_coinbase_trade_needs_a_time_with_its_zone(time: object) -> None:
    row = coinbase_trade("BTC-USD", "1", "1", "1", "") | {"time": time}
    body = {"trades": [row], "best_bid": "1", "best_ask": "2"}
    (refusal,) = parsed(trades_of("coinbase:BTC/USD"), body).refusals
    assert refusal.reason is Reason.MALFORMED


@pytest.mark.parametrize("status", [400, 404])
def test_coinbase_that_speaks_of_a_product_blames_a_symbol(status: int) -> None:
    body = {"error": "NOT_FOUND", "message": "valid product_id is required"}
    assert isinstance(parse(tickers_of("coinbase:BTC/USD"), body, status), SymbolRefused)


def test_another_404_of_coinbase_blames_no_symbol() -> None:
    outcome = parse(tickers_of("coinbase:BTC/USD"), b"page not found", 404)
    assert isinstance(outcome, Refused)
