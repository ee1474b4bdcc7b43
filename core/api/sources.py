"""`/v1/prices/sources`, `/v1/venues` and `/v1/routes`: what each market says, and by which way it came.

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
from core.api.schemas.operations import RouteList, VenueList
from core.api.schemas.prices import SourceList
from core.api.services import Services
from core.messages import LEGS_OF_FEED, price_text
from core.ports import HeardReport, RouteReport

_POSITION: Final = {feed.name: position for position, feed in enumerate(FEEDS)}


class SourceRoutes:
    def __init__(self, services: Services) -> None:
        self._services = services

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/v1")
        router.add_api_route(
            "/prices/sources",
            self.sources,
            tags=["prices"],
            summary="What each market behind a feed says, its weight, and why it is left out",
            dependencies=[only("feed")],
            responses={200: {"model": SourceList}, **documented(400, 404, 503)},
            response_class=Response,
        )
        router.add_api_route(
            "/venues",
            self.venues,
            tags=["operations"],
            summary="How each venue treats each collector",
            dependencies=[only()],
            responses={200: {"model": VenueList}, **documented(400)},
            response_class=Response,
        )
        router.add_api_route(
            "/routes",
            self.routes,
            tags=["operations"],
            summary="How each collector delivers, and how many legs came by it last",
            dependencies=[only()],
            responses={200: {"model": RouteList}, **documented(400)},
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

    async def venues(self) -> Response:
        at = self._services.clock()
        name = self._services.routes.name
        heard = [_venue_entry(each, name(each.collector), at) for each in self._services.venues(at)]
        return Response(orjson.dumps({"at": round(at, 3), "venues": heard}), media_type="application/json")

    async def routes(self) -> Response:
        at = self._services.clock()
        routes = [_route_entry(report, at) for report in self._services.routes.reports()]
        return Response(orjson.dumps({"at": round(at, 3), "routes": routes}), media_type="application/json")


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


def _route_entry(report: RouteReport, at: float) -> dict[str, object]:
    newest_at = report.newest_tick_at
    return {
        "name": report.name,
        "key_id": report.key_id,
        "heard_at": report.heard_at,
        "silent_s": round(max(0.0, at - report.heard_at), 3),
        "newest_tick_age_s": None if newest_at is None else round(max(0.0, at - newest_at), 3),
        "legs": report.legs,
        "batches": report.batches,
        "ticks": report.ticks,
        "ticks_dropped": report.ticks_dropped,
        "clock_offset_s": round(report.clock_offset_s, 3),
    }


def _venue_entry(heard: HeardReport, route: str, at: float) -> dict[str, object]:
    report = heard.report
    return report.told() | {
        "refused": {str(reason): count for reason, count in report.refused.items()},
        "collector": heard.collector,
        "route": route,
        "heard_at": heard.heard_at,
        "silent_s": round(max(0.0, at - heard.heard_at), 3),
    }
