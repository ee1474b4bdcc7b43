"""`/v1/prices/history`: what a feed was worth.

Knows windows, bounds and the address of the rest. Does not know how the past is kept. The cost of one answer
is bounded: at most LIMIT_MAX rows and SPAN_S_MAX of time; `next` leads on from there without gap or overlap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeVar
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Query, Request, Response

from chrono.feeds import FEED_BY_NAME, Feed
from core.api.answers import compressed
from core.api.problems import bad_request, documented
from core.api.public import FeedParameter
from core.api.queries import TIME_PATTERN, instant, known_feeds, only
from core.api.schemas.prices import History
from core.api.services import PublicServices
from core.messages import price_text
from core.ports import Candle, Point

LIMIT_MAX: Final = 5_000
LIMIT_DEFAULT: Final = 1_500
SPAN_S_MAX: Final = 400 * 86_400.0
SPAN_S_DEFAULT: Final = 86_400.0
ROWS_A_TURN: Final = 250
ROWS_ASKED_MAX: Final = 1_000_000
"""Rows of a whole question, over all its pages. More are refused: a coarser interval says the same."""
INTERVALS: Final = {"1m": 60, "5m": 300, "1h": 3_600, "1d": 86_400}

R = TypeVar("R")
Interval = Literal["raw", "1m", "5m", "1h", "1d"]
_TIME: Final = "Unix seconds, or ISO 8601 with an offset; "
_PATTERN: Final = {"pattern": TIME_PATTERN}  # not enforced: `instant` says what is wrong
FromParameter = Annotated[
    str | None,
    Query(
        alias="from",
        description=_TIME + "24 h before `to` without it",
        examples=["1790000000"],
        json_schema_extra=_PATTERN,
    ),
]
ToParameter = Annotated[
    str | None,
    Query(
        description=_TIME + "now without it",
        examples=["2026-09-21T14:13:20Z"],
        json_schema_extra=_PATTERN,
    ),
]


@dataclass(frozen=True, slots=True)
class Window:
    """What is asked: [start, end) of a feed. `asked_end` is where the whole question ends."""

    feed: Feed
    interval: Interval
    start: float
    end: float
    asked_end: float
    limit: int

    def rest(self, start: float) -> str:
        """The address of what follows this answer."""
        query = {
            "feed": self.feed.name,
            "interval": self.interval,
            "from": _number(start),
            "to": _number(self.asked_end),
            "limit": str(self.limit),
        }
        return "/v1/prices/history?" + urlencode(query)


class HistoryRoutes:
    def __init__(self, services: PublicServices) -> None:
        self._services = services

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/v1", tags=["prices"])
        router.add_api_route(
            "/prices/history",
            self.history,
            summary="What a feed was worth: stored estimates, or candles of them",
            dependencies=[only("feed", "interval", "from", "to", "limit")],
            responses={200: {"model": History}, **documented(400, 404, 503)},
            response_class=Response,
        )
        return router

    async def history(
        self,
        request: Request,
        feed: FeedParameter,
        *,
        interval: Annotated[Interval, Query()] = "1m",
        from_: FromParameter = None,
        to: ToParameter = None,
        limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
    ) -> Response:
        """Rows with from <= time < to, oldest first; without bounds the last 24 hours."""
        known_feeds((feed,))
        now = self._services.clock()
        asked_end = now if to is None else instant("to", to)
        start = max(0.0, asked_end - SPAN_S_DEFAULT) if from_ is None else instant("from", from_)
        window = window_of(FEED_BY_NAME[feed], interval, start, asked_end, limit)
        told = await self._points(window) if interval == "raw" else await self._candles(window)
        head = {"feed": feed, "interval": interval, "from": start, "to": asked_end}
        return await compressed(orjson.dumps({**head, **told}), request.headers)

    async def _points(self, window: Window) -> dict[str, object]:
        rows = await self._services.estimates.points(
            window.feed.name, window.start, window.end, window.limit + 1
        )
        kept = await _in_turns(rows[: window.limit], lambda part: _points_told(part, window.feed))
        cut = rows[window.limit].at if len(rows) > window.limit else window.end
        following = window.rest(cut) if cut < window.asked_end else None
        return {"points": kept, "next": following}

    async def _candles(self, window: Window) -> dict[str, object]:
        seconds = INTERVALS[window.interval]
        rows = await self._services.estimates.candles(
            window.feed.name, seconds, window.start, window.end, window.limit
        )
        following = window.rest(window.end) if window.end < window.asked_end else None
        candles = await _in_turns(rows, lambda part: _candles_told(part, window.feed))
        return {"candles": candles, "next": following}


def window_of(feed: Feed, interval: Interval, start: float, end: float, limit: int) -> Window:
    """The window that one answer covers: candles are cut by time, so that no store reads past the limit."""
    if start > end:
        raise bad_request("empty-window", "from is after to", **{"from": start, "to": end})
    rows = int((end - start) / INTERVALS.get(interval, 1))
    if rows > ROWS_ASKED_MAX:
        fitting = next(
            name for name, seconds in INTERVALS.items() if (end - start) / seconds <= ROWS_ASKED_MAX
        )
        detail = f"about {rows} rows in this interval; at most {ROWS_ASKED_MAX} may be asked for"
        hint = f"ask for interval={fitting}, or for a shorter window"
        raise bad_request("range-too-large", detail, rows=rows, limit=ROWS_ASKED_MAX, hint=hint)
    span_s = SPAN_S_MAX
    if interval != "raw":
        span_s = min(span_s, limit * INTERVALS[interval])
    return Window(feed, interval, start, min(end, start + span_s), end, limit)


async def _in_turns(
    rows: Sequence[R], tell: Callable[[Sequence[R]], list[dict[str, object]]]
) -> list[dict[str, object]]:
    """All rows told, ROWS_A_TURN at a time: what others ask meanwhile does not wait for 5,000."""
    told: list[dict[str, object]] = []
    for start in range(0, len(rows), ROWS_A_TURN):
        told += tell(rows[start : start + ROWS_A_TURN])
        await asyncio.sleep(0)
    return told


def _points_told(points: Sequence[Point], feed: Feed) -> list[dict[str, object]]:
    return [
        {
            "at": point.at,
            "price": price_text(point.price, feed),
            "band_low": price_text(point.band_low, feed),
            "band_high": price_text(point.band_high, feed),
            "vwap": price_text(point.vwap, feed),
            "twap": price_text(point.twap, feed),
            "venues_used": point.venues_used,
        }
        for point in points
    ]


def _candles_told(candles: Sequence[Candle], feed: Feed) -> list[dict[str, object]]:
    return [
        {
            "start": candle.start,
            "open": price_text(candle.open, feed),
            "high": price_text(candle.high, feed),
            "low": price_text(candle.low, feed),
            "close": price_text(candle.close, feed),
            "vwap": price_text(candle.vwap, feed),
            "volume": candle.volume,
        }
        for candle in candles
    ]


def _number(at: float) -> str:
    return f"{at:.6f}".rstrip("0").rstrip(".")
