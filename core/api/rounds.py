"""`/v1/rounds` and `/v1/score`: how the provider's rounds went, and in which bands its values were.

Knows how a round is told. Values are whole numbers with a feed's decimals, as on chain. Which provider it is
follows from the settings; without one there are no rounds here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Path, Query, Response

from core.api.problems import Problem, Refused, documented
from core.api.queries import only
from core.api.schemas.protocol import RoundDocument, RoundList, ScoreDocument
from core.api.services import RoundBook, Services
from core.ftso.identities import VotingRoundId
from core.ftso.timings import Step
from core.provider.score import FeedScore, RoundScore

ROUND_MAX: Final = 2**32 - 1
LISTED_MAX: Final = 100
SCORED_MAX: Final = 3_360
_STATES: Final = {Step.SIGN: "signed", Step.REVEAL: "revealed", Step.COMMIT: "committed"}
_STEPS: Final = {
    Step.FREEZE: "frozen",
    Step.COMMIT: "committed",
    Step.REVEAL: "revealed",
    Step.SIGN: "signed",
    Step.FINALIZE: "finalized",
}

RoundParameter = Annotated[int, Path(ge=0, le=ROUND_MAX, examples=[1000000])]
LimitParameter = Annotated[int, Query(ge=1, le=LISTED_MAX, description="Rounds")]
ScoredParameter = Annotated[int, Query(ge=1, le=SCORED_MAX, description="Finished rounds to count")]


class RoundRoutes:
    def __init__(self, services: Services) -> None:
        self._services = services

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/v1", tags=["rounds"])
        for path, route, parameters, model, summary in (
            ("/rounds", self.recent, ("limit",), RoundList, "The newest rounds, without their feeds"),
            ("/rounds/latest", self.latest, (), RoundDocument, "The newest round, finished or not"),
            ("/rounds/{voting_round}", self.one, (), RoundDocument, "One round, feed by feed"),
            ("/score", self.score, ("rounds",), ScoreDocument, "Shares of feed-rounds in each band"),
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

    async def recent(self, limit: LimitParameter = 20) -> Response:
        book = self._book()
        newest = await book.newest()
        if newest is None:
            return _json({"at": self._services.clock(), "rounds": []})
        first = VotingRoundId(max(0, newest - limit + 1))
        finished = {each.voting_round: each for each in await book.since(first, limit)}
        steps = await book.steps(first)
        rounds = [
            _round(number, finished.get(number), steps.get(number, {}), feeds=False)
            for number in map(VotingRoundId, range(newest, first - 1, -1))
            if number in steps or number in finished
        ]
        return _json({"at": self._services.clock(), "rounds": rounds})

    async def latest(self) -> Response:
        newest = await self._book().newest()
        if newest is None:
            raise _no_round("no round yet")
        return await self.one(newest)

    async def one(self, voting_round: RoundParameter) -> Response:
        number, book = VotingRoundId(voting_round), self._book()
        finished = await book.find(number)
        steps = (await book.steps(number)).get(number)
        if finished is None and steps is None:
            raise _no_round(f"nothing is known of round {number}")
        return _json(_round(number, finished, steps or {}))

    async def score(self, rounds: ScoredParameter = SCORED_MAX) -> Response:
        finished = await self._book().since(VotingRoundId(0), rounds)
        return _json(_score(finished))

    def _book(self) -> RoundBook:
        if self._services.round_book is None:
            raise _no_round("no provider is configured here: CHRONO_SUBMIT_ADDRESS names none")
        return self._services.round_book


def _round(
    number: VotingRoundId, finished: RoundScore | None, steps: Mapping[Step, float], *, feeds: bool = True
) -> Mapping[str, object]:
    state = "finalized" if finished is not None else "frozen"
    if finished is None:
        state = next((name for step, name in _STATES.items() if step in steps), state)
    told: dict[str, object] = {
        "voting_round_id": number,
        "state": state,
        "finalized": finished is not None,
        "steps": {word: steps.get(step) for step, word in _STEPS.items()},
        "merkle_root": None if finished is None else "0x" + finished.merkle_root.hex(),
        "random": None if finished is None else str(finished.random),
        "secure_random": None if finished is None else finished.secure_random,
        "revealed": Step.REVEAL in steps or (finished is not None and finished.revealed),
        **_bands(finished.feeds if finished is not None else ()),
    }
    if feeds:
        told["feeds"] = [] if finished is None else [_feed(feed) for feed in finished.feeds]
    return told


def _bands(feeds: Sequence[FeedScore]) -> dict[str, float | None]:
    counted = [feed for feed in feeds if feed.providers]
    share: dict[str, float | None] = {}
    for name, attribute in (("primary", "primary"), ("secondary", "secondary"), ("half_percent", "minimal")):
        hits = sum(getattr(feed, attribute) for feed in counted)
        share[f"{name}_share"] = hits / len(counted) if counted else None
    return share


def _feed(feed: FeedScore) -> dict[str, object]:
    return {
        "feed": feed.feed,
        "value": feed.value,
        "decimals": feed.decimals,
        "turnout_bips": feed.turnout_bips,
        "ours": feed.ours,
        "primary": feed.primary,
        "secondary": feed.secondary,
        "half_percent": feed.minimal,
        "rank": feed.rank,
        "providers": feed.providers,
        "distance_ppm": feed.distance_ppm,
    }


def _score(finished: Sequence[RoundScore]) -> dict[str, object]:
    by_feed: dict[str, list[FeedScore]] = {}
    for each in finished:
        for feed in each.feeds:
            by_feed.setdefault(feed.feed, []).append(feed)
    return {
        "rounds": len(finished),
        "revealed": sum(each.revealed for each in finished),
        **_bands([feed for each in finished for feed in each.feeds]),
        "feeds": [{"feed": name, "rounds": len(cells), **_bands(cells)} for name, cells in by_feed.items()],
    }


def _no_round(detail: str) -> Refused:
    return Refused(Problem("no-round", 404, "No such round", detail))


def _json(told: Any) -> Response:
    return Response(orjson.dumps(told), media_type="application/json")
