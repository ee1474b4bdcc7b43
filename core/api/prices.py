"""`/v1/feeds`, `/v1/prices` and `/v1/prices/sources`: what is known now.

Knows how the last pass is told. Does not know the past (`core.api.history`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Query, Request, Response

from chrono.feeds import FEED_BY_NAME, FEEDS, Feed
from core.aggregation.estimates import Estimates, FeedState, LegReason
from core.api.answers import GZIP_BYTES_MIN, has_tag, tagged, takes_gzip, unchanged
from core.api.current import CurrentPrices, known_feeds, no_estimates_yet
from core.api.problems import documented
from core.api.queries import only
from core.api.schemas import FeedList, PriceList, SourceList
from core.api.services import Services
from core.messages import LEGS_OF_FEED, price_text

_NAME: Final = r"[A-Za-z0-9._-]{1,16}/[A-Za-z0-9]{1,8}"
FEED_PATTERN: Final = f"^{_NAME}$"
_ALL: Final = tuple(feed.name for feed in FEEDS)
_POSITION: Final = {feed.name: position for position, feed in enumerate(FEEDS)}

FeedParameter = Annotated[str, Query(pattern=FEED_PATTERN, description="One feed", examples=["BTC/USD"])]
FeedsParameter = Annotated[
    str | None,
    Query(
        pattern=f"^{_NAME}(,{_NAME}){{0,62}}$",
        description="Feeds, separated by commas; all without it",
        examples=["BTC/USD,ETH/USD"],
    ),
]


class PriceRoutes:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._current = CurrentPrices(services)
        self._feeds = orjson.dumps({"feeds": [_feed_entry(feed) for feed in FEEDS]})

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/v1", tags=["prices"])
        router.add_api_route(
            "/feeds",
            self.feeds,
            summary="The feeds and the markets behind each",
            dependencies=[only()],
            responses={200: {"model": FeedList}, **documented(400)},
            response_class=Response,
        )
        router.add_api_route(
            "/prices",
            self.prices,
            summary="What feeds are worth now",
            dependencies=[only("feeds")],
            responses={200: {"model": PriceList}, **documented(400, 404, 503)},
            response_class=Response,
        )
        router.add_api_route(
            "/prices/sources",
            self.sources,
            summary="What each market behind a feed says, its weight, and why it is left out",
            dependencies=[only("feed")],
            responses={200: {"model": SourceList}, **documented(400, 404, 503)},
            response_class=Response,
        )
        return router

    async def feeds(self) -> Response:
        return Response(self._feeds, media_type="application/json")

    async def prices(self, request: Request, feeds: FeedsParameter = None) -> Response:
        """With `If-None-Match` a pass that the client has already is told by 304."""
        wanted = _ALL if feeds is None else known_feeds(tuple(feeds.split(",")))
        tag = self._current.tag()
        if has_tag(request.headers, tag):
            return unchanged(tag)
        body = self._current.body(wanted)
        if len(body) < GZIP_BYTES_MIN or not takes_gzip(request.headers):
            return tagged(body, tag, squeezed=False)
        return tagged(self._current.squeezed(wanted), tag, squeezed=True)

    async def sources(self, feed: FeedParameter) -> Response:
        known_feeds((feed,))
        estimates = self._services.latest()
        if estimates is None:
            raise no_estimates_yet()
        told = _sources(estimates, self._services.routes.of_legs(), FEED_BY_NAME[feed])
        return Response(orjson.dumps(told), media_type="application/json")


def _feed_entry(feed: Feed) -> dict[str, object]:
    return {
        "feed": feed.name,
        "id": "0x" + feed.id.hex(),
        "index": feed.index,
        "decimals": feed.decimals,
        "secondary_band_ppm": feed.secondary_band_ppm,
        "markets": [{"venue": leg.venue, "symbol": f"{leg.base}/{leg.quote}"} for leg in feed.legs],
    }


def _sources(estimates: Estimates, routes: Sequence[str | None], feed: Feed) -> dict[str, object]:
    position = _POSITION[feed.name]
    columns = LEGS_OF_FEED[position]
    legs = estimates.legs
    rows = zip(
        feed.legs,
        legs.price[columns].tolist(),
        legs.weight[columns].tolist(),
        legs.reason[columns].tolist(),
        legs.age_s[columns].tolist(),
        routes[columns],
        strict=True,
    )
    return {
        "feed": feed.name,
        "sequence": estimates.sequence,
        "at": round(estimates.at, 3),
        "price": price_text(float(estimates.price[position]), feed),
        "state": FeedState(int(estimates.state[position])).name.lower(),
        "sources": [
            {
                "venue": leg.venue,
                "symbol": f"{leg.base}/{leg.quote}",
                "price": price_text(price, feed),
                "weight": round(weight, 6) if math.isfinite(weight) else 0.0,
                "reason": LegReason(reason).name.lower(),
                "age_s": round(age_s, 3) if math.isfinite(age_s) else None,
                "route": route,
            }
            for leg, price, weight, reason, age_s, route in rows
        ],
    }
