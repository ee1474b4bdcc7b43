"""The simulator's answers beside the venues' captured ones, and the quirks that parsers trip over."""

import json
from datetime import datetime

import httpx
import pytest

from chrono.feeds import EXCHANGES, legs_of
from core.simulator.app import build_simulator
from core.simulator.faults import FaultBoard
from core.simulator.market import RandomMarket

BINANCE = "/binance/api/v3"
PRODUCTS = "/coinbase/api/v3/brokerage/market/products"


class InProcess:
    """The application without a socket: a format does not depend on one."""

    def __init__(self, client, now):
        self.client, self.now = client, now

    async def get(self, path):
        return await self.client.get(path)


@pytest.fixture
async def simulated():
    now = [1_790_000_000.0]
    app = build_simulator(RandomMarket(7), lambda: now[0], FaultBoard(), limit_factor=1000.0)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://simulator") as client:
        yield InProcess(client, now)


def shape(value):
    """The structure of a JSON value: keys and types, one element for a list of like ones."""
    match value:
        case dict():
            return {key: shape(inner) for key, inner in value.items()}
        case list():
            shapes = [shape(inner) for inner in value]
            return [shapes[0]] if shapes and all(s == shapes[0] for s in shapes) else shapes
    return type(value).__name__


def captured(shared, name):
    return shape(json.loads((shared / "payloads" / name).read_text()))


async def answered(simulated, path):
    response = await simulated.get(path)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("application/json")
    return response.json()


@pytest.mark.parametrize(
    ("path", "capture"),
    [
        (f"{BINANCE}/ticker/24hr?symbol=BTCUSDT", "binance/rest_ticker_24hr.json"),
        (f"{BINANCE}/ticker/bookTicker?symbol=BTCUSDT", "binance/rest_book_ticker.json"),
        (f"{BINANCE}/ticker/price?symbol=BTCUSDT", "binance/rest_ticker_price.json"),
        (f"{BINANCE}/trades?symbol=BTCUSDT", "binance/rest_trades.json"),
        ("/okx/api/v5/market/trades?instId=BTC-USDT", "okx/rest_trades.json"),
        (f"{PRODUCTS}/BTC-USD/ticker?limit=3", "coinbase/rest_ticker.json"),
    ],
)
async def test_an_answer_has_the_structure_of_the_captured_one(simulated, shared, path, capture):
    assert shape(await answered(simulated, path)) == captured(shared, capture)


async def test_coinbase_products_have_every_captured_field_and_type(simulated, shared):
    answer = shape(await answered(simulated, f"{PRODUCTS}?product_ids=BTC-USD&product_ids=BTC-USDC"))
    assert answer == captured(shared, "coinbase/rest_products.json")


async def test_a_kraken_ticker_has_the_structure_of_the_captured_one(simulated, shared):
    answer = shape(await answered(simulated, "/kraken/0/public/Ticker?pair=XBTUSDT"))
    assert answer == captured(shared, "kraken/rest_ticker.json")


async def test_an_okx_ticker_row_has_the_fields_of_the_captured_stream(simulated, shared):
    rows = (await answered(simulated, "/okx/api/v5/market/tickers?instType=SPOT"))["data"]
    assert shape(rows[0]) == captured(shared, "okx/ws_tickers.json")["data"][0]


async def test_bybit_trades_have_every_captured_field_and_type(simulated, shared):
    answer = shape(await answered(simulated, "/bybit/v5/market/recent-trade?category=spot&symbol=BTCUSDT"))
    expected = captured(shared, "bybit/rest_recent_trades.json")
    assert expected["result"]["list"][0].items() <= answer["result"]["list"][0].items()
    assert answer["time"] == expected["time"]


async def test_a_bybit_ticker_has_the_documented_fields(simulated):
    answer = await answered(simulated, "/bybit/v5/market/tickers?category=spot&symbol=BTCUSDT")
    assert set(answer) == {"retCode", "retMsg", "result", "retExtInfo", "time"}
    assert answer["result"]["category"] == "spot"
    (row,) = answer["result"]["list"]
    names = (
        "symbol bid1Price bid1Size ask1Price ask1Size lastPrice prevPrice24h price24hPcnt highPrice24h "
        "lowPrice24h turnover24h volume24h usdIndexPrice"
    )
    assert set(row) == set(names.split())
    assert all(isinstance(value, str) for value in row.values())


async def test_every_leg_of_every_venue_is_in_its_full_answer(simulated):
    documents = {
        "binance": await answered(simulated, f"{BINANCE}/ticker/24hr"),
        "bybit": (await answered(simulated, "/bybit/v5/market/tickers?category=spot"))["result"]["list"],
        "okx": (await answered(simulated, "/okx/api/v5/market/tickers?instType=SPOT"))["data"],
        "kraken": (await answered(simulated, "/kraken/0/public/Ticker"))["result"],
        "coinbase": (await answered(simulated, PRODUCTS))["products"],
    }
    own = [row for row in documents["coinbase"] if not row["alias"]]
    counts = {venue: len(documents[venue]) for venue in EXCHANGES} | {"coinbase": len(own)}
    assert counts == {venue: len(legs_of(venue)) for venue in EXCHANGES}


async def test_the_aggregators_show_a_deep_old_pool_and_a_young_wild_one(simulated):
    token = "0x4a771cc1a39fdd8aa08b8ea51f7fd412e73b3d2b"
    told = await answered(simulated, f"/gecko/api/v2/networks/flare/tokens/multi/{token}?include=top_pools")
    assert [row["id"] for row in told["data"]] == [f"flare_{token}"]
    deep, young = (row["attributes"] for row in told["included"])
    pairs = await answered(simulated, f"/dexscreener/tokens/v1/flare/{token}")
    assert [pair["quoteToken"]["address"] for pair in pairs] == [token, token]
    assert deep["pool_created_at"] < young["pool_created_at"]
    assert float(deep["quote_token_price_usd"]) == pytest.approx(1, rel=0.02)
    native = float(pairs[0]["priceUsd"]) / float(pairs[0]["priceNative"])
    assert native == pytest.approx(float(deep["quote_token_price_usd"]), rel=0.005)
    assert await answered(simulated, f"/dexscreener/tokens/v1/songbird/{token}") == []


async def test_kraken_answers_with_its_own_keys_whatever_name_was_asked(simulated):
    asked = "XBTUSD,ETHUSD,XRPUSD,LTCUSD,XLMUSD,XDGUSD,XBTUSDT,USDTUSD,ETCUSD,SOLUSD,XDGUSDT"
    answer = await answered(simulated, f"/kraken/0/public/Ticker?pair={asked}")
    keys = "XXBTZUSD XETHZUSD XXRPZUSD XLTCZUSD XXLMZUSD XDGUSD XBTUSDT USDTZUSD XETCZUSD SOLUSD XDGUSDT"
    assert list(answer["result"]) == keys.split()
    again = await answered(simulated, "/kraken/0/public/Ticker?pair=XXBTZUSD,XBTUSD")
    assert list(again["result"]) == ["XXBTZUSD"]


async def test_kraken_refuses_an_unknown_pair_within_a_200(simulated):
    for path in ("Ticker?pair=XBTUSD,BTC/USD", "Trades?pair=NOPE"):
        answer = await answered(simulated, f"/kraken/0/public/{path}")
        assert answer == {"error": ["EQuery:Unknown asset pair"]}


async def test_kraken_trades_go_on_from_the_last_one_told(simulated):
    first = await answered(simulated, "/kraken/0/public/Trades?pair=XBTUSD&count=5")
    simulated.now[0] += 3
    since = first["result"]["last"]
    later = await answered(simulated, f"/kraken/0/public/Trades?pair=XBTUSD&since={since}")
    known = {trade[6] for trade in first["result"]["XXBTZUSD"]}
    news = [trade[6] for trade in later["result"]["XXBTZUSD"]]
    assert news
    assert not known & set(news)
    price, volume, at, side, kind, misc, number = later["result"]["XXBTZUSD"][-1]
    assert (type(price), type(volume), type(at), type(number)) == (str, str, float, int)
    assert (side in "bs", kind in "ml", misc) == (True, True, "")


async def test_one_unknown_symbol_makes_binance_refuse_the_whole_request(simulated):
    for query in ('symbols=["BTCUSDT","NOPEUSDT"]', "symbol=NOPEUSDT"):
        for path in ("24hr", "bookTicker"):
            response = await simulated.get(f"{BINANCE}/ticker/{path}?{query}")
            assert response.status_code == 400
            assert response.json() == {"code": -1121, "msg": "Invalid symbol."}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ('ticker/24hr?symbols=["BTCUSDT", "ETHUSDT"]', -1100),
        ("ticker/24hr?symbols=BTCUSDT", -1100),
        ('ticker/24hr?symbols=["BTCUSDT","BTCUSDT"]', -1151),
        ('ticker/24hr?symbols=["BTCUSDT"]&symbol=BTCUSDT', -1128),
        ("aggTrades", -1102),
    ],
)
async def test_binance_names_what_is_wrong_with_a_request(simulated, query, code):
    response = await simulated.get(f"{BINANCE}/{query}")
    assert (response.status_code, response.json()["code"]) == (400, code)


async def test_binance_lists_only_the_symbols_asked_for_and_pads_its_numbers(simulated):
    rows = await answered(simulated, f'{BINANCE}/ticker/bookTicker?symbols=["ETHUSDT","BTCUSDT"]')
    assert [row["symbol"] for row in rows] == ["ETHUSDT", "BTCUSDT"]
    assert all(len(row["bidPrice"].partition(".")[2]) == 8 for row in rows)


async def test_binance_aggregate_trades_go_on_from_an_id(simulated):
    rows = await answered(simulated, f"{BINANCE}/aggTrades?symbol=BTCUSDT&limit=50")
    assert {key: type(value) for key, value in rows[0].items()} == {
        "a": int, "p": str, "q": str, "f": int, "l": int, "T": int, "m": bool, "M": bool,
    }  # fmt: skip
    rest = await answered(simulated, f"{BINANCE}/aggTrades?symbol=BTCUSDT&limit=50&fromId={rows[40]['a']}")
    assert rest == rows[40:]


@pytest.mark.parametrize(
    ("path", "weight"),
    [
        ("ticker/24hr?symbol=BTCUSDT", 2),
        ('ticker/24hr?symbols=["BTCUSDT","ETHUSDT"]', 2),
        ("ticker/24hr", 80),
        ("ticker/bookTicker?symbol=BTCUSDT", 2),
        ("ticker/bookTicker", 4),
        ("aggTrades?symbol=BTCUSDT", 4),
        ("trades?symbol=BTCUSDT", 25),
    ],
)
async def test_binance_tells_the_weight_of_a_request(simulated, path, weight):
    response = await simulated.get(f"{BINANCE}/{path}")
    assert response.headers["X-MBX-USED-WEIGHT-1M"] == str(weight)


async def test_bybit_refuses_in_its_envelope(simulated):
    for query in ("category=spot&symbol=NOPE", "category=moon"):
        answer = await answered(simulated, f"/bybit/v5/market/tickers?{query}")
        assert (answer["retCode"], answer["result"]) == (10001, {})


async def test_okx_refuses_in_its_envelope(simulated):
    answer = await answered(simulated, "/okx/api/v5/market/trades?instId=NO-USDT")
    assert (answer["code"], answer["data"]) == ("51001", [])
    missing = await simulated.get("/okx/api/v5/market/tickers")
    assert (missing.status_code, missing.json()["code"]) == (400, "50014")


async def test_coinbase_leaves_out_unknown_products_and_404s_a_single_one(simulated):
    answer = await answered(simulated, f"{PRODUCTS}?product_ids=BTC-USD&product_ids=NO-USD")
    assert [row["product_id"] for row in answer["products"]] == ["BTC-USD"]
    assert answer["num_products"] == 1
    response = await simulated.get(f"{PRODUCTS}/NO-USD")
    assert (response.status_code, response.json()["error"]) == (404, "NOT_FOUND")


async def test_coinbase_shows_a_usdc_product_as_another_name_of_the_usd_one(simulated):
    alias = await answered(simulated, f"{PRODUCTS}/ETH-USDC")
    primary = await answered(simulated, f"{PRODUCTS}/ETH-USD")
    assert (alias["alias"], alias["alias_to"], alias["quote_currency_id"]) == ("ETH-USD", [], "USDC")
    assert (primary["alias"], primary["alias_to"]) == ("", ["ETH-USDC"])
    assert alias["price"] == primary["price"]
    assert primary["best_bid_price"] == primary["mid_market_price"] == ""


async def test_times_on_the_wire_are_the_venues_own(simulated):
    now = simulated.now[0]
    bybit = await answered(simulated, "/bybit/v5/market/tickers?category=spot&symbol=BTCUSDT")
    okx = await answered(simulated, "/okx/api/v5/market/ticker?instId=BTC-USDT")
    binance = await answered(simulated, f"{BINANCE}/ticker/24hr?symbol=BTCUSDT")
    trades = await answered(simulated, f"{PRODUCTS}/BTC-USD/ticker?limit=1")
    assert bybit["time"] == now * 1000
    assert 0 <= now - int(okx["data"][0]["ts"]) / 1000 < 2
    assert 0 <= now - binance["closeTime"] / 1000 < 2
    told = datetime.fromisoformat(trades["trades"][0]["time"]).timestamp()
    assert 0 <= now - told < 5
