"""Every fault, as a client on loopback meets it."""

import asyncio
import json
import time

import httpx
import pytest

TICKERS = {
    "binance": "/binance/api/v3/ticker/24hr?symbol=BTCUSDT",
    "bybit": "/bybit/v5/market/tickers?category=spot&symbol=BTCUSDT",
    "coinbase": "/coinbase/api/v3/brokerage/market/products/BTC-USD/ticker?limit=1",
    "kraken": "/kraken/0/public/Ticker?pair=XBTUSD",
    "okx": "/okx/api/v5/market/ticker?instId=BTC-USDT",
}
VENUES = sorted(TICKERS)


async def book(simulated, venue):
    """The best bid and ask of BTC as the venue writes them."""
    answer = (await simulated.get(TICKERS[venue])).json()
    match venue:
        case "binance":
            return answer["bidPrice"], answer["askPrice"]
        case "bybit":
            row = answer["result"]["list"][0]
            return row["bid1Price"], row["ask1Price"]
        case "okx":
            return answer["data"][0]["bidPx"], answer["data"][0]["askPx"]
        case "kraken":
            row = answer["result"]["XXBTZUSD"]
            return row["b"][0], row["a"][0]
    return answer["best_bid"], answer["best_ask"]


@pytest.mark.parametrize("venue", VENUES)
async def test_a_dead_venue_closes_the_connection_and_lives_again(simulated, venue):
    fault = simulated.inject(f"{venue}:dead")
    with pytest.raises(httpx.RemoteProtocolError):
        await simulated.get(TICKERS[venue])
    others = [await simulated.get(path) for name, path in TICKERS.items() if name != venue]
    simulated.faults.remove(fault.id)
    assert {r.status_code for r in [*others, await simulated.get(TICKERS[venue])]} == {200}


async def test_a_silent_venue_never_answers(simulated):
    simulated.inject("okx:dead=silent")
    with pytest.raises(httpx.ReadTimeout):
        await simulated.client.get(TICKERS["okx"], timeout=0.2)


async def test_a_slow_venue_answers_late(simulated):
    simulated.inject("kraken:slow=0.3")
    begun = time.monotonic()
    assert (await simulated.get(TICKERS["kraken"])).status_code == 200
    assert time.monotonic() - begun >= 0.3


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("status", [403, 418, 429, 451])
async def test_a_banned_collector_gets_the_status_with_or_without_retry_after(simulated, venue, status):
    fault = simulated.inject(f"{venue}:banned={status},retry_after=120")
    told = await simulated.get(TICKERS[venue])
    simulated.faults.remove(fault.id)
    simulated.inject(f"{venue}:banned={status}")
    untold = await simulated.get(TICKERS[venue])
    assert (told.status_code, told.headers["retry-after"]) == (status, "120")
    assert untold.status_code == status
    assert "retry-after" not in untold.headers


async def test_each_venue_has_its_own_words_for_too_many_requests(simulated):
    for venue in VENUES:
        simulated.inject(f"{venue}:rate_limited")
    answers = {venue: await simulated.get(TICKERS[venue]) for venue in VENUES}
    assert {venue: answer.status_code for venue, answer in answers.items()} == {
        "binance": 429, "bybit": 200, "coinbase": 429, "kraken": 200, "okx": 429,
    }  # fmt: skip
    assert answers["binance"].json()["code"] == -1003
    assert answers["bybit"].json()["retCode"] == 10006
    assert answers["kraken"].json() == {"error": ["EAPI:Rate limit exceeded"]}
    assert answers["okx"].json()["code"] == "50011"


async def test_a_server_error_is_a_page_with_its_status(simulated):
    simulated.inject("coinbase:server_error=502")
    response = await simulated.get(TICKERS["coinbase"])
    assert response.status_code == 502
    assert response.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("venue", VENUES)
async def test_a_stuck_venue_repeats_its_answer_while_time_goes_on(simulated, venue):
    simulated.inject(f"{venue}:stuck")
    first = (await simulated.get(TICKERS[venue])).content
    simulated.now[0] += 300
    assert (await simulated.get(TICKERS[venue])).content == first
    simulated.faults.clear()
    assert (await simulated.get(TICKERS[venue])).content != first


async def test_a_stuck_symbol_leaves_the_others_moving(simulated):
    simulated.inject("okx:stuck,symbol=BTC-USDT")
    path = "/okx/api/v5/market/tickers?instType=SPOT"
    before = {row["instId"]: row for row in (await simulated.get(path)).json()["data"]}
    simulated.now[0] += 300
    after = {row["instId"]: row for row in (await simulated.get(path)).json()["data"]}
    assert after["BTC-USDT"] == before["BTC-USDT"]
    assert sum(after[name] != before[name] for name in before) == len(before) - 1


@pytest.mark.parametrize("venue", VENUES)
async def test_a_venue_off_by_five_per_cent_shows_it_in_bids_and_asks(simulated, venue):
    right = await book(simulated, venue)
    simulated.inject(f"{venue}:off_by=1.05")
    wrong = await book(simulated, venue)
    assert [float(w) / float(r) for w, r in zip(wrong, right, strict=True)] == pytest.approx([1.05] * 2, 1e-4)


async def test_a_venue_that_is_off_prints_its_trades_off_too(simulated):
    path = "/okx/api/v5/market/trades?instId=BTC-USDT&limit=5"
    right = [float(row["px"]) for row in (await simulated.get(path)).json()["data"]]
    simulated.inject("okx:off_by=0.95")
    wrong = [float(row["px"]) for row in (await simulated.get(path)).json()["data"]]
    assert wrong == pytest.approx([price * 0.95 for price in right], rel=1e-5)


@pytest.mark.parametrize(("venue", "empty"), [
    ("binance", "0.00000000"), ("bybit", ""), ("coinbase", ""), ("kraken", "0.00000"), ("okx", ""),
])  # fmt: skip
async def test_an_empty_side_of_the_book_is_written_as_the_venue_does(simulated, venue, empty):
    fault = simulated.inject(f"{venue}:one_sided=bid")
    bid, ask = await book(simulated, venue)
    assert (bid, float(ask) > 0) == (empty, True)
    simulated.faults.remove(fault.id)
    simulated.inject(f"{venue}:one_sided")
    bid, ask = await book(simulated, venue)
    assert (float(bid) > 0, ask) == (True, empty)


@pytest.mark.parametrize("venue", VENUES)
async def test_a_crossed_book_has_its_bid_above_its_ask(simulated, venue):
    simulated.inject(f"{venue}:crossed")
    bid, ask = await book(simulated, venue)
    assert float(bid) > float(ask)


async def test_a_delisted_symbol_is_gone_as_each_venue_lets_one_go(simulated):
    simulated.inject("binance:delisted=BTCUSDT")
    simulated.inject("bybit:delisted=BTCUSDT")
    simulated.inject("coinbase:delisted=BTC-USD")
    simulated.inject("kraken:delisted=XBTUSD")
    simulated.inject("okx:delisted=BTC-USDT")
    answers = {venue: await simulated.get(TICKERS[venue]) for venue in VENUES}
    assert (answers["binance"].status_code, answers["binance"].json()["code"]) == (400, -1121)
    assert answers["bybit"].json()["retCode"] == 10001
    assert answers["coinbase"].status_code == 404
    assert answers["kraken"].json() == {"error": ["EQuery:Unknown asset pair"]}
    assert answers["okx"].json()["code"] == "51001"
    everything = (await simulated.get("/okx/api/v5/market/tickers?instType=SPOT")).json()["data"]
    assert "BTC-USDT" not in {row["instId"] for row in everything}


@pytest.mark.parametrize("venue", VENUES)
async def test_truncated_json_cannot_be_read(simulated, venue):
    simulated.inject(f"{venue}:malformed")
    response = await simulated.get(TICKERS[venue])
    assert response.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        response.json()


async def test_a_web_page_in_place_of_json(simulated):
    simulated.inject("bybit:malformed=html")
    response = await simulated.get(TICKERS["bybit"])
    assert response.text.startswith("<html>")
    assert response.headers["content-type"].startswith("text/html")


async def test_wrong_types_spoil_only_the_rows_they_are_about(simulated):
    path = '/binance/api/v3/ticker/24hr?symbols=["BTCUSDT","ETHUSDT"]'
    right = (await simulated.get(path)).json()
    simulated.inject("binance:malformed=types,symbol=BTCUSDT")
    btc, eth = (await simulated.get(path)).json()
    assert eth == right[1]
    assert btc["symbol"] == "BTCUSDT"
    assert [key for key in btc if btc[key] == right[0][key]] == ["symbol"]


async def test_a_huge_answer_is_five_megabytes(simulated):
    simulated.inject("okx:huge")
    response = await simulated.get(TICKERS["okx"])
    assert len(response.content) == 5_000_000


async def test_a_venue_in_the_future_dates_rows_and_trades_ahead(simulated):
    now = simulated.now[0]
    for venue in ("bybit", "okx"):
        simulated.inject(f"{venue}:future=3600")
    row = (await simulated.get(TICKERS["okx"])).json()["data"][0]
    trade = (await simulated.get("/okx/api/v5/market/trades?instId=BTC-USDT&limit=1")).json()["data"][0]
    assert int(row["ts"]) / 1000 == pytest.approx(now + 3600, abs=2)
    assert int(trade["ts"]) / 1000 == pytest.approx(now + 3600, abs=5)
    assert (await simulated.get(TICKERS["bybit"])).json()["time"] == (now + 3600) * 1000


async def test_faults_combine(simulated):
    right = await book(simulated, "okx")
    for text in ("okx:off_by=2", "okx:one_sided=ask", "okx:stuck"):
        simulated.inject(text)
    simulated.now[0] += 60
    bid, ask = await book(simulated, "okx")
    assert (float(bid), ask) == (pytest.approx(2 * float(right[0])), "")


async def test_faults_are_injected_listed_and_ended_over_http(simulated):
    client = simulated.client
    added = await client.post("/_faults", json={"venue": "kraken", "fault": "dead"})
    assert (added.status_code, added.json()["fault"]) == (201, "dead")
    with pytest.raises(httpx.RemoteProtocolError):
        await simulated.get(TICKERS["kraken"])
    assert [fault["id"] for fault in (await client.get("/_faults")).json()] == [added.json()["id"]]
    assert (await client.delete(f"/_faults/{added.json()['id']}")).status_code == 204
    assert (await client.delete(f"/_faults/{added.json()['id']}")).status_code == 404
    assert (await simulated.get(TICKERS["kraken"])).status_code == 200
    simulated.inject("okx:stuck")
    assert (await client.delete("/_faults?venue=okx")).json() == {"ended": 1}


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"venue":"kraken"}', b'{"venue":"kraken","fault":"asleep"}'])
async def test_a_wrong_fault_is_refused_with_what_is_wrong(simulated, body):
    response = await simulated.client.post("/_faults", content=body)
    assert response.status_code == 400
    assert response.json()["detail"]


async def test_binance_limits_then_bans_who_asks_on_and_forgives_in_time(run):
    simulated = await run(limit_factor=0.002)  # a weight of 12 a minute
    path = TICKERS["binance"]
    statuses = [(await simulated.get(path)).status_code for _ in range(18)]
    assert statuses == [200] * 6 + [429] * 10 + [418] * 2
    banned = await simulated.get(path)
    assert int(banned.headers["retry-after"]) > 100
    simulated.now[0] += 122
    assert (await simulated.get(path)).status_code == 200


async def test_each_venue_limits_in_its_own_way(run):
    simulated = await run()
    last = {}
    for venue, count in {"okx": 21, "kraken": 16, "coinbase": 16}.items():
        for _ in range(count):
            last[venue] = await simulated.get(TICKERS[venue])
    assert (last["okx"].status_code, last["okx"].json()["code"]) == (429, "50011")
    assert last["kraken"].status_code == 200
    assert last["kraken"].json() == {"error": ["EAPI:Rate limit exceeded"]}
    assert last["coinbase"].status_code == 429


async def test_bybit_shuts_out_an_address_that_asks_too_often_for_ten_minutes(run):
    simulated = await run(limit_factor=0.005)  # three in five seconds
    statuses = [(await simulated.get(TICKERS["bybit"])).status_code for _ in range(4)]
    simulated.now[0] += 590
    statuses.append((await simulated.get(TICKERS["bybit"])).status_code)
    simulated.now[0] += 11
    assert [*statuses, (await simulated.get(TICKERS["bybit"])).status_code] == [200] * 3 + [403] * 2 + [200]


async def test_the_doors_tell_the_truth_and_the_requests(simulated):
    await simulated.get(TICKERS["okx"])
    truth = (await simulated.get("/_truth")).json()
    assert len(truth["feeds"]) == 63
    assert truth["minute"] is None
    bid, ask = await book(simulated, "binance")
    rate = truth["feeds"]["USDT/USD"]
    assert (float(bid) + float(ask)) / 2 * rate == pytest.approx(truth["feeds"]["BTC/USD"], rel=1e-3)
    assert (await simulated.get("/_requests")).json() == {
        "binance": 1, "bybit": 0, "coinbase": 0, "kraken": 0, "okx": 1, "gecko": 0, "dexscreener": 0,
    }  # fmt: skip


async def test_within_a_step_of_the_market_an_answer_is_the_same(simulated):
    first = (await simulated.get(TICKERS["okx"])).content
    simulated.now[0] += 0.2
    assert (await simulated.get(TICKERS["okx"])).content == first
    simulated.now[0] += 0.1
    assert (await simulated.get(TICKERS["okx"])).content != first


async def test_stopping_ends_those_who_wait(simulated):
    simulated.inject("okx:slow=60")
    simulated.inject("kraken:dead=silent")
    waiting = [asyncio.create_task(simulated.get(TICKERS[venue])) for venue in ("okx", "kraken")]
    while sum((await simulated.get("/_requests")).json().values()) < 2:
        pass
    begun = time.monotonic()
    simulated.stop.set()
    slow, silent = await asyncio.gather(*waiting, return_exceptions=True)
    assert slow.status_code == 200
    assert isinstance(silent, httpx.RemoteProtocolError)
    assert time.monotonic() - begun < 2
