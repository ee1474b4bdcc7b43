"""`/v1/prices/sources`: what each market behind a feed says.

Knows how the last pass is taken apart. Does not know what the public is told of it (`core.api.public`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import orjson
from fastapi import APIRouter, Response

from chrono.feeds import FEED_BY_NAME, FEEDS, Feed
from core.aggregation.estimates import Estimates, FeedState, LegReason
from core.api.current import no_estimates_yet
from core.api.problems import documented
from core.api.public import FeedParameter
from core.api.queries import known_feeds, only
from core.api.schemas import SourceList
from core.api.services import Services
from core.messages import LEGS_OF_FEED, price_text

_POSITION: Final = {feed.name: position for position, feed in enumerate(FEEDS)}


class SourceRoutes:
    def __init__(self, services: Services) -> None:
        self._services = services

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/v1", tags=["prices"])
        router.add_api_route(
            "/prices/sources",
            self.sources,
            summary="What each market behind a feed says, its weight, and why it is left out",
            dependencies=[only("feed")],
            responses={200: {"model": SourceList}, **documented(400, 404, 503)},
            response_class=Response,
        )
        return router

    async def sources(self, feed: FeedParameter) -> Response:
        known_feeds((feed,))
        estimates = self._services.latest()
        if estimates is None:
            raise no_estimates_yet()
        told = _sources(estimates, self._services.routes.of_legs(), FEED_BY_NAME[feed])
        return Response(orjson.dumps(told), media_type="application/json")


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
