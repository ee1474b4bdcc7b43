"""A core for the portal to talk to: the API's shapes on loopback, every word of it under a test's control.

Speaks what `core.api.schemas` and the stream's messages say. Estimates nothing: prices walk at random from
a seed. The only clock is the one it is given.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles

from chrono.feeds import FEED_BY_NAME, FEEDS, VENUES, Feed, Leg
from core.portal import STATIC
from tests.portal.fake_rounds import FakeRounds, routes

Message = dict[str, Any]

DAY_S = 86_400
UNLISTED = frozenset({"USDX/USD"})
WORTH = {"BTC/USD": 64012.3, "ETH/USD": 3120.4, "SOL/USD": 152.7, "USDT/USD": 0.9998, "USDC/USD": 1.0001}


class FakeCore:
    """What the API answers now. Tests change it, then `push` or `drop`."""

    def __init__(self, clock: Callable[[], float], seed: int = 7) -> None:
        self.clock = clock
        self.random = random.Random(seed)
        self.sequence = 4_700
        self.prices = {feed.name: self._first(feed) for feed in FEEDS}
        self.venues = [self._venue(venue) for venue in VENUES]
        self.reasons: dict[str, str] = {}
        self.market: str | None = "simulated"
        self.history_s = DAY_S
        self.refusing = False
        self.rounds = FakeRounds(clock)
        self.subscribed = asyncio.Event()
        self.subscriptions = 0
        self._clients: set[WebSocket] = set()

    # What a test does to it

    def alter(self, feed: str, **values: Any) -> None:
        self.prices[feed] = {**self.prices[feed], **values}

    def stale(self, feed: str, why: str, age_s: float = 83.0) -> None:
        self.alter(feed, state="stale", why=why, age_s=age_s, venues_used=0)

    def walk(self) -> None:
        """Every live price moves a little."""
        for name, price in self.prices.items():
            if price["state"] == "live" and self.random.random() < 0.4:
                worth = float(price["price"]) * (1 + self.random.gauss(0, 2e-4))
                self.prices[name] = {**price, **self._values(FEED_BY_NAME[name], worth)}

    async def push(self, *feeds: str, previous: int | None = None, conflated: int = 0) -> None:
        """Send an update of these feeds (all of them without any) to every client."""
        before = self.sequence if previous is None else previous
        self.sequence += 1 if previous is None else previous - self.sequence + 1
        names = feeds or tuple(self.prices)
        head = {"type": "update", "sequence": self.sequence, "previous": before, "at": self.clock()}
        extra = {"conflated": conflated} if conflated else {}
        await self.send({**head, "prices": [self._told(name) for name in names], **extra})

    async def send(self, message: Message) -> None:
        for client in tuple(self._clients):
            await client.send_json(message)

    async def drop(self, code: int = 1012) -> None:
        """Close every client's connection."""
        self.subscribed.clear()
        for client in tuple(self._clients):
            self._clients.discard(client)
            await client.close(code)

    # What the API asks of it

    async def serve(self, client: WebSocket) -> None:
        if self.refusing:
            await client.close(1013)
            return
        await client.accept()
        try:
            while True:
                asked = await client.receive_json()
                if asked == {"op": "subscribe", "feeds": ["*"]}:
                    await self._subscribe(client)
        except (WebSocketDisconnect, RuntimeError):
            self._clients.discard(client)

    async def _subscribe(self, client: WebSocket) -> None:
        await client.send_json({"type": "subscribed", "feeds": list(self.prices)})
        told = [self._told(name) for name in self.prices]
        await client.send_json(
            {"type": "snapshot", "sequence": self.sequence, "at": self.clock(), "prices": told}
        )
        self._clients.add(client)
        self.subscriptions += 1
        self.subscribed.set()

    def sources(self, name: str) -> Message:
        feed, price = FEED_BY_NAME[name], self.prices[name]
        worth = float(price["price"] or 0)
        legs = self._legs(feed)
        used = [leg for leg in legs if str(leg) not in self.reasons and price["state"] == "live"]
        shares = [1.0 + (len(leg.base + leg.venue) % 4) for leg in used]
        weights = {str(leg): share / sum(shares) for leg, share in zip(used, shares, strict=True)}
        entries = []
        for place, leg in enumerate(legs):
            reason = "used" if leg in used else self.reasons.get(str(leg), "stale")
            silent = reason in ("no_data", "no_price")
            off = 1.05 if reason == "outlier" else 1 + (place % 5 - 2) * 6e-5
            entries.append(
                {
                    "venue": leg.venue,
                    "symbol": f"{leg.base}/{leg.quote}",
                    "price": None if silent else text(feed, worth * off),
                    "weight": weights.get(str(leg), 0.0),
                    "reason": reason,
                    "age_s": None if reason == "no_data" else 0.4 + 0.37 * place + 80 * (reason == "stale"),
                }
            )
        head = {"feed": name, "sequence": self.sequence, "at": self.clock()}
        return {**head, "price": price["price"], "state": price["state"], "sources": entries}

    def candles(self, name: str) -> list[Message]:
        """A day of minutes (or `history_s`), back from the present price, with one hole of 40 minutes."""
        price, feed = self.prices[name], FEED_BY_NAME[name]
        if price["price"] is None:
            return []
        walk, worth, end, found = random.Random(name), float(price["price"]), self.clock(), []
        for back in range(1, int(self.history_s // 60)):
            close, worth = worth, worth * (1 + walk.gauss(0, 6e-4))
            low, high = min(worth, close) * 0.9997, max(worth, close) * 1.0003
            values = {"open": worth, "high": high, "low": low, "close": close, "vwap": (low + high) / 2}
            if not 500 < back < 540:
                told = {key: text(feed, value) for key, value in values.items()}
                found.append({"start": end // 60 * 60 - back * 60, **told, "volume": 12.5})
        return found[::-1]

    def _legs(self, feed: Feed) -> tuple[Leg, ...]:
        """The feed's markets; one feed has none here, to be shown so."""
        return () if feed.name in UNLISTED else feed.legs

    def _told(self, name: str) -> Message:
        return {**self.prices[name], "at": self.clock(), "sequence": self.sequence}

    def _venue(self, venue: str) -> Message:
        now = self.clock()
        known = {"venue": venue, "state": "healthy", "code": 0, "since": now - 7_300, "retry_at": None}
        counts = {"requests": 3_600, "failures": 2, "refused": {"one_sided_book": 4}}
        return {**known, **counts, "collector": "5f" * 8, "heard_at": now - 1, "silent_s": 1.0}

    def _first(self, feed: Feed) -> Message:
        worth = WORTH.get(feed.name, round(10 ** self.random.uniform(-3, 2), 6))
        listed = len({leg.venue for leg in self._legs(feed)})
        common = {"feed": feed.name, "venues_used": listed, "venues_listed": listed}
        if not listed:
            nothing = dict.fromkeys(("price", "band_low", "band_high", "median", "vwap", "twap", "age_s"))
            change = {"change_24h_percent": None, "change_since": None}
            return {**common, **nothing, **change, "state": "none", "why": "no estimate yet"}
        change = {
            "change_24h_percent": round(self.random.gauss(0, 2.4), 3),
            "change_since": self.clock() - DAY_S,
        }
        return {**common, **self._values(feed, worth), **change, "state": "live", "why": None}

    def _values(self, feed: Feed, worth: float) -> Message:
        half = worth * self.random.uniform(0.5, 4) * 1e-4
        values = {"price": worth, "band_low": worth - half, "band_high": worth + half, "median": worth}
        values |= {"vwap": worth * 1.00003, "twap": worth * 0.99998}
        told = {key: text(feed, value) for key, value in values.items()}
        return {**told, "age_s": round(self.random.uniform(0.2, 2.4), 3)}


def text(feed: Feed, price: float) -> str:
    return f"{price:.{feed.decimals + 2}f}"


def make_app(core: FakeCore) -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.get("/health")
    async def health() -> Message:
        return {"status": "ok", "network": "flare"} | ({"market": core.market} if core.market else {})

    @app.get("/v1/feeds")
    async def feeds() -> Message:
        return {"feeds": [{"feed": feed.name, "index": feed.index} for feed in FEEDS]}

    @app.get("/v1/venues")
    async def venues() -> Response:
        if core.refusing:
            return JSONResponse({"title": "Unavailable", "detail": "the core is starting"}, 503)
        heard = {"heard_at": core.clock() - 1}
        return JSONResponse({"at": core.clock(), "venues": [heard | venue for venue in core.venues]})

    @app.get("/v1/prices/sources")
    async def sources(feed: str) -> Message:
        return core.sources(feed)

    @app.get("/v1/prices/history")
    async def history(feed: str, interval: str) -> Message:
        return {"feed": feed, "interval": interval, "candles": core.candles(feed), "next": None}

    app.include_router(routes(core.rounds))
    app.add_api_websocket_route("/v1/stream", core.serve)
    app.mount("/", StaticFiles(directory=STATIC, html=True))
    return app


@asynccontextmanager
async def serving(core: FakeCore, port: int = 0) -> AsyncIterator[str]:
    """The fake core on loopback while the context lasts; yields its URL."""
    async with listening(make_app(core), port) as url:
        yield url
        await core.drop()


@asynccontextmanager
async def listening(app: FastAPI, port: int = 0) -> AsyncIterator[str]:
    """An application on loopback while the context lasts; yields its URL."""
    config = uvicorn.Config(
        app, "127.0.0.1", port, log_level="error", ws="websockets-sansio", timeout_graceful_shutdown=1
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    listener = config.bind_socket()
    await server.startup([listener])  # by parts: `serve` would take the tests' signals
    turns = asyncio.create_task(server.main_loop())
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await turns
        await server.shutdown([listener])
