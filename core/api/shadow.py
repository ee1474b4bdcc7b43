"""`/v1/shadow`: how our values compared with other value providers', as `provider shadow` stored it.

Knows how a tally is told. Which of two differing values is right it does not know.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Query, Response

from core.api.problems import documented
from core.api.queries import only
from core.api.schemas.protocol import ShadowDocument
from core.api.services import Services
from core.provider.shadow import FeedTally, Tally, tally

COMPARISONS_DEFAULT: Final = 40
COMPARISONS_MAX: Final = 240
"""Six hours of rounds."""

ComparisonsParameter = Annotated[
    int, Query(ge=1, le=COMPARISONS_MAX, description="The newest comparisons to count, for each endpoint")
]


class ShadowRoutes:
    def __init__(self, services: Services) -> None:
        self._services = services

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/v1", tags=["rounds"])
        router.add_api_route(
            "/shadow",
            self.shadow,
            summary="Our values beside other value providers'",
            dependencies=[only("comparisons")],
            responses={200: {"model": ShadowDocument}, **documented(400, 503)},
            response_class=Response,
        )
        return router

    async def shadow(self, comparisons: ComparisonsParameter = COMPARISONS_DEFAULT) -> Response:
        book = self._services.shadow_book
        endpoints = [] if book is None else await book.endpoints()
        shadows = [await self._entry(endpoint, comparisons) for endpoint in endpoints]
        return Response(orjson.dumps({"shadows": shadows}), media_type="application/json")

    async def _entry(self, endpoint: str, limit: int) -> dict[str, object]:
        book = self._services.shadow_book
        known = [] if book is None else await book.newest(endpoint, limit)
        # Some ten thousand pairs: prices must not wait for their sum.
        return _entry(endpoint, await asyncio.to_thread(tally, known))


def _entry(endpoint: str, counted: Tally) -> dict[str, object]:
    last = counted.last
    return {
        "endpoint": endpoint,
        "comparisons": counted.comparisons,
        "failures": counted.failures,
        "first_at": counted.first_at,
        "last_at": None if last is None else last.at,
        "last_round": None if last is None else last.voting_round,
        "last_failure": None if last is None else last.failure,
        "secondary_share": counted.share_in_secondary,
        "feeds": [_feed(feed) for feed in counted.feeds],
    }


def _feed(feed: FeedTally) -> dict[str, object]:
    last = feed.last
    return {
        "feed": feed.feed,
        "compared": feed.compared,
        "missing_ours": feed.missing_ours,
        "missing_theirs": feed.missing_theirs,
        "our_band_share": _share(feed.in_our_band, feed.banded),
        "secondary_share": _share(feed.in_secondary, feed.compared),
        "ppm_mean": feed.ppm_mean,
        "ppm_abs_mean": feed.ppm_abs_mean,
        "ppm_abs_max": feed.ppm_abs_max if feed.compared else None,
        "last": {
            "ours": last.ours,
            "theirs": last.theirs,
            "ppm": last.ppm,
            "in_our_band": last.in_our_band,
            "in_secondary": last.in_secondary,
        },
    }


def _share(hits: int, of: int) -> float | None:
    return hits / of if of else None
