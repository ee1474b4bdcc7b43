"""The parsers held to answers that were captured from the venues, where they are at hand.

They are not part of the repository: CHRONO_SHARED names the folder that holds `payloads/`, or it stands
beside the repository as `../shared`.
"""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path

import pytest

from chrono.venues import VENUE_ADAPTERS
from chrono.venues.adapter import Parsed, Request
from tests.kernel.payloads import answer, tickers_of, trades_of

BESIDE = Path(__file__).resolve().parents[2].parent / "shared"
PAYLOADS = Path(os.environ.get("CHRONO_SHARED", BESIDE)) / "payloads"

pytestmark = pytest.mark.skipif(not PAYLOADS.is_dir(), reason="no captured payloads; set CHRONO_SHARED")


def parse(request: Request, name: str, *, in_list: bool = False) -> Parsed:
    body = (PAYLOADS / request.venue / name).read_bytes()
    if in_list:
        body = b"[" + body + b"]"
    parsed = VENUE_ADAPTERS[request.venue].parse(request, answer(body))
    assert isinstance(parsed, Parsed)
    assert not parsed.refusals
    return parsed


def test_binance_ticker_of_24_hours() -> None:
    captured = json.loads((PAYLOADS / "binance" / "rest_ticker_24hr.json").read_bytes())
    request = tickers_of("binance:BNB/BTC")
    (quote,) = parse(request, "rest_ticker_24hr.json", in_list=True).quotes
    assert quote.bid == Decimal(captured["bidPrice"])
    assert quote.event_at == captured["closeTime"] / 1000


def test_bybit_recent_trades() -> None:
    (told,) = parse(trades_of("bybit:BTC/USDT"), "rest_recent_trades.json").trades
    assert told.trade_id == "a905d5c3-1ed0-4f37-83e4-9c73a2fe2f01"
    assert (told.trade.price, told.trade.event_at) == (Decimal("27450.50"), 1_709_891_679.0)


def test_okx_trades() -> None:
    told = parse(trades_of("okx:BTC/USDT"), "rest_trades.json").trades
    assert [item.trade_id for item in told] == ["734864332", "734864333"]


def test_okx_ticker_row() -> None:
    row = json.loads((PAYLOADS / "okx" / "ws_tickers.json").read_bytes())["data"][0]
    request = tickers_of("okx:BTC/USDT")
    parsed = VENUE_ADAPTERS["okx"].parse(request, answer({"code": "0", "msg": "", "data": [row]}))
    assert isinstance(parsed, Parsed)
    assert parsed.quotes[0].bid == Decimal("8888.88")


def test_kraken_ticker() -> None:
    (quote,) = parse(tickers_of("kraken:BTC/USDT"), "rest_ticker.json").quotes
    assert (quote.bid, quote.ask) == (Decimal("105944.20000"), Decimal("105944.30000"))
    assert quote.volume_24h == Decimal("163.28908096")


def test_coinbase_products() -> None:
    (quote,) = parse(tickers_of("coinbase:BTC/USD"), "rest_products.json").quotes
    assert (quote.bid, quote.last, quote.volume_24h) == (
        None,
        Decimal("68925.98"),
        Decimal("11005.02587005"),
    )


def test_coinbase_ticker() -> None:
    parsed = parse(trades_of("coinbase:BTC/USD"), "rest_ticker.json")
    (quote,) = parsed.quotes
    assert (quote.bid, quote.ask) == (Decimal("68923.66"), Decimal("68923.67"))
    assert quote.event_at == pytest.approx(1_775_521_738.544778)
    assert len(parsed.trades) == 3
