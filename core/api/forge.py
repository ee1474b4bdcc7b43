"""`/v1/forge`: what the estimator has learned, which legs behave strangely, how well medians are foretold.

Knows how it is told. Numbers are plain, since none of them is a price: basis points are of the price, shares
are within [0, 1], times are Unix seconds. Answers come from memory.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Query, Response

from core.api.problems import Problem, Refused, documented
from core.api.public import ALL_FEEDS
from core.api.queries import known_feeds, only
from core.api.schemas.forge import AnomalyList, ForgeDocument, LearnedLegs, SkillList
from core.api.services import Learning, Services
from core.forge.report import TARGET_COVERAGE

LISTED_MAX: Final = 500

FeedParameter = Annotated[
    str | None, Query(description="Only this feed", max_length=40, examples=["BTC/USD"])
]
LimitParameter = Annotated[int, Query(ge=1, le=LISTED_MAX, description="Anomalies")]


class ForgeRoutes:
    def __init__(self, services: Services) -> None:
        self._services = services

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/v1/forge", tags=["forge"])
        for path, route, parameters, model, summary in (
            ("", self.state, (), ForgeDocument, "The model's state and version"),
            ("/legs", self.legs, ("feed",), LearnedLegs, "What each leg has shown itself to be"),
            ("/anomalies", self.anomalies, ("feed", "limit"), AnomalyList, "Legs that behave strangely"),
            ("/skill", self.skill, (), SkillList, "How well medians are foretold, and bands hold them"),
        ):
            router.add_api_route(
                path,
                route,
                summary=summary,
                dependencies=[only(*parameters)],
                responses={200: {"model": model}, **documented(400, 404, 503)},
                response_class=Response,
            )
        return router

    async def state(self) -> Response:
        return _json({"at": self._services.clock(), **self._learning().state()})

    async def legs(self, feed: FeedParameter = None) -> Response:
        learning, wanted = self._learning(), _wanted(feed)
        told = [asdict(leg) for leg in learning.legs() if leg.feed in wanted]
        return _json({"at": self._services.clock(), "legs": told})

    async def anomalies(self, feed: FeedParameter = None, limit: LimitParameter = 100) -> Response:
        """Those that last come first, then those that are over, newest first."""
        learning, wanted = self._learning(), _wanted(feed)
        found = [each for each in learning.anomalies() if each.feed in wanted][:limit]
        return _json({"at": self._services.clock(), "anomalies": [asdict(each) for each in found]})

    async def skill(self) -> Response:
        learning = self._learning()
        coverage = learning.coverage()
        feeds = [
            {
                **asdict(skill),
                "coverage": coverage.get(skill.feed, (0, None))[1],
                "coverage_rounds": coverage.get(skill.feed, (0, None))[0],
            }
            for skill in learning.skills()
        ]
        counted = sum(count for count, _ in coverage.values())
        inside = sum(count * share for count, share in coverage.values())
        told = {
            "at": self._services.clock(),
            "coverage_target": TARGET_COVERAGE,
            "coverage": inside / counted if counted else None,
            "coverage_rounds": counted,
            "feeds": feeds,
        }
        return _json(told)

    def _learning(self) -> Learning:
        if self._services.learning is None:
            raise Refused(Problem("no-model", 404, "No model", "this process makes no estimates"))
        return self._services.learning


def _wanted(feed: str | None) -> tuple[str, ...]:
    """The feeds that are asked for; raises a 404 for one that does not exist."""
    return ALL_FEEDS if feed is None else known_feeds((feed,))


def _json(told: dict[str, Any]) -> Response:
    return Response(orjson.dumps(told), media_type="application/json")
