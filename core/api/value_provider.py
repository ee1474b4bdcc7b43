"""Flare's feed value provider interface, so that Flare's own data provider can ask Chrono.

Knows the shapes that `ftso-v2-example-value-provider` answers with: status 201, the feeds as they were asked
and in their order, values as JSON numbers, no `value` for a feed without a price. Does not know how a round's
values are frozen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Path, Query, Response

from chrono.feeds import CRYPTO_CATEGORY, FEEDS
from core.aggregation.estimates import Estimates, FeedState
from core.api.problems import documented
from core.api.queries import only
from core.api.schemas.protocol import FeedName, FeedValues, FeedValuesRequest, FeedVolumes, RoundFeedValues
from core.api.services import Services
from core.messages import LATE_S

WINDOW_S_DEFAULT: Final = 60
WINDOW_S_MAX: Final = 3_600
ROUND_MAX: Final = 2**32 - 1

RoundParameter = Annotated[int, Path(ge=0, le=ROUND_MAX, examples=[1000000])]
WindowParameter = Annotated[int, Query(ge=1, le=WINDOW_S_MAX, description="Seconds")]


class ValueProviderRoutes:
    def __init__(self, services: Services) -> None:
        self._services = services

    def router(self) -> APIRouter:
        router = APIRouter(tags=["Flare feed value provider"])
        for path, shown in (("/feed-values/", True), ("/feed-values", False)):
            router.add_api_route(
                path,
                self.current,
                methods=["POST"],
                status_code=201,
                summary="Values of feeds now",
                dependencies=[only()],
                responses={201: {"model": FeedValues}, **documented(400)},
                response_class=Response,
                include_in_schema=shown,
            )
        for path, shown in (("/volumes/", True), ("/volumes", False)):
            router.add_api_route(
                path,
                self.volumes,
                methods=["POST"],
                status_code=201,
                summary="US dollars traded by venue in a window",
                dependencies=[only("window")],
                responses={201: {"model": FeedVolumes}, **documented(400)},
                response_class=Response,
                include_in_schema=shown,
            )
        router.add_api_route(
            "/feed-values/{voting_round}",
            self.of_round,
            methods=["POST"],
            status_code=201,
            summary="Values of feeds for a voting round, the same on every repeat",
            dependencies=[only()],
            responses={201: {"model": RoundFeedValues}, **documented(400, 404, 409, 503)},
            response_class=Response,
        )
        return router

    async def current(self, body: FeedValuesRequest) -> Response:
        estimates = self._services.latest()
        values = {} if estimates is None else live_values(estimates, self._services.clock())
        return _created({"data": _valued(body, values)})

    async def of_round(self, voting_round: RoundParameter, body: FeedValuesRequest) -> Response:
        values = await self._services.rounds.values(voting_round, self._services.clock())
        return _created({"votingRoundId": voting_round, "data": _valued(body, values)})

    async def volumes(self, body: FeedValuesRequest, window: WindowParameter = WINDOW_S_DEFAULT) -> Response:
        at = self._services.clock()
        data = []
        for feed in body.feeds:
            traded = self._services.volumes(feed.name, window, at) if _is_ours(feed) else {}
            told = [{"exchange": venue, "volume": volume} for venue, volume in traded.items()]
            data.append({"feed": feed.model_dump(), "volumes": told})
        return _created({"data": data})


def live_values(estimates: Estimates, at: float) -> Mapping[str, float]:
    """The feeds that are live at `at`: a stale value is no value here."""
    if at - estimates.at > LATE_S:
        return {}
    rows = zip(FEEDS, estimates.price.tolist(), estimates.state.tolist(), strict=True)
    live = FeedState.LIVE
    return {feed.name: price for feed, price, state in rows if state == live and math.isfinite(price)}


def _valued(body: FeedValuesRequest, values: Mapping[str, float]) -> list[dict[str, object]]:
    data: list[dict[str, object]] = []
    for feed in body.feeds:
        value = values.get(feed.name) if _is_ours(feed) else None
        entry: dict[str, object] = {"feed": feed.model_dump()}
        data.append(entry if value is None else {**entry, "value": value})
    return data


def _is_ours(feed: FeedName) -> bool:
    return feed.category == CRYPTO_CATEGORY


def _created(answer: dict[str, object]) -> Response:
    return Response(orjson.dumps(answer), 201, media_type="application/json")
