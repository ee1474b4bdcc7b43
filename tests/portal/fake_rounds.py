"""Rounds for the portal's page of rounds: the API's shapes, under a test's control."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from chrono.feeds import FEEDS

Message = dict[str, Any]

NEWEST = 1_461_900
EPOCH_S = 90
STEPS_AT = {"frozen": 75.2, "committed": 77.0, "revealed": 112.0, "signed": 137.0, "finalized": 141.0}
BANDS = (("primary", "primary"), ("secondary", "secondary"), ("half_percent", "half_percent"))
NO_PROVIDER = "no provider is configured here: CHRONO_SUBMIT_ADDRESS names none"


class FakeRounds:
    """The last rounds of a provider that does well; `provider` False is a core without one."""

    def __init__(self, clock: Callable[[], float], count: int = 12) -> None:
        self.clock, self.provider, self.away = clock, True, False
        start = clock() - 82
        numbers = range(NEWEST, NEWEST - count, -1)
        self.rounds = [self._round(number, start - EPOCH_S * place) for place, number in enumerate(numbers)]

    def pass_one(self) -> None:
        """A new round is frozen, and the one before the last is finalized."""
        newest = self.rounds[0]["voting_round_id"] + 1
        begun = self.rounds[0]["begun"] + EPOCH_S
        kept = [self._round(each["voting_round_id"], each["begun"]) for each in self.rounds[:3]]
        self.rounds = [self._round(newest, begun), *kept, *self.rounds[3:]]

    def find(self, number: int) -> Message | None:
        return next((each for each in self.rounds if each["voting_round_id"] == number), None)

    def score(self) -> Message:
        finished = [each for each in self.rounds if each["finalized"]]
        by_feed: dict[str, list[Message]] = {}
        for each in finished:
            for feed in each["feeds"]:
                by_feed.setdefault(feed["feed"], []).append(feed)
        return {
            "rounds": len(finished),
            "revealed": sum(each["revealed"] for each in finished),
            **shares([feed for feeds in by_feed.values() for feed in feeds]),
            "feeds": [{"feed": n, "rounds": len(f), **shares(f)} for n, f in by_feed.items()],
        }

    def _round(self, number: int, begun: float) -> Message:
        passed = self.clock() - begun
        steps = {word: begun + offset if passed >= offset else None for word, offset in STEPS_AT.items()}
        state = [word for word, at in steps.items() if at is not None]
        finalized = state[-1:] == ["finalized"]
        feeds = [self._feed(number, place) for place in range(len(FEEDS))] if finalized else []
        return {
            "voting_round_id": number,
            "begun": begun,
            "state": state[-1] if state else "frozen",
            "finalized": finalized,
            "steps": steps,
            "merkle_root": f"0x{number * 7919:064x}" if finalized else None,
            "random": "17" if finalized else None,
            "secure_random": True if finalized else None,
            "revealed": steps["revealed"] is not None,
            **shares(feeds),
            "feeds": feeds,
        }

    def _feed(self, number: int, place: int) -> Message:
        feed, dice = FEEDS[place], random.Random(number * 100 + place)
        value = int(10 ** dice.uniform(4, 7))
        ppm = dice.gauss(0, feed.secondary_band_ppm / 3)
        absent = feed.name == "USDX/USD"
        told = {
            "feed": feed.name,
            "value": value,
            "decimals": feed.decimals,
            "turnout_bips": 9_200,
            "ours": None if absent else int(value * (1 + ppm / 1e6)),
            "rank": None if absent else dice.randint(1, 90),
            "providers": 96,
            "distance_ppm": None if absent else ppm,
        }
        hits = (abs(ppm) < feed.secondary_band_ppm / 4, abs(ppm) < feed.secondary_band_ppm, abs(ppm) < 5_000)
        return {**told, **{name: hit and not absent for (name, _), hit in zip(BANDS, hits, strict=True)}}


def shares(feeds: list[Message]) -> Message:
    return {
        f"{name}_share": sum(feed[key] for feed in feeds) / len(feeds) if feeds else None
        for key, name in BANDS
    }


def routes(book: FakeRounds) -> APIRouter:
    """What the page asks for."""
    router = APIRouter(prefix="/v1")

    def refused() -> Response | None:
        if book.away:
            return JSONResponse({"title": "Unavailable", "detail": "the database is away"}, 503)
        return None if book.provider else JSONResponse({"title": "No such round", "detail": NO_PROVIDER}, 404)

    @router.get("/rounds", response_model=None)
    async def recent(limit: int) -> Response | Message:
        told = [{k: v for k, v in r.items() if k not in ("feeds", "begun")} for r in book.rounds[:limit]]
        return refused() or {"at": book.clock(), "rounds": told}

    @router.get("/rounds/{number}", response_model=None)
    async def one(number: int) -> Response | Message:
        detail = {"title": "No such round", "detail": f"nothing is known of round {number}"}
        return refused() or book.find(number) or JSONResponse(detail, 404)

    @router.get("/score", response_model=None)
    async def score(rounds: int) -> Response | Message:
        return refused() or book.score()

    return router
