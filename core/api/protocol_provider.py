"""Flare's protocol data provider interface: what its system client asks before each submission.

Knows the shapes: HTTP 200 with exactly `status`, `data` and `additionalData`; the client refuses any other
member. A refusal of ours is `NOT_AVAILABLE`, never an error page. Does not know what the answers say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Final, Literal, Protocol

import orjson
import structlog
from fastapi import FastAPI, Path, Response
from pydantic import BaseModel, ConfigDict

from chrono.errors import ChronoError
from core.ftso.errors import MalformedMessage
from core.ftso.identities import Address, VotingRoundId

ROUND_MAX: Final = 2**32 - 1

RoundParameter = Annotated[int, Path(ge=0, le=ROUND_MAX)]
AddressParameter = Annotated[str, Path(max_length=42)]

log = structlog.get_logger()


class Answers(Protocol):
    """What is to be said; None when there is nothing. Any ChronoError means the same here."""

    async def submit1(self, voting_round: VotingRoundId, address: Address, at: float) -> bytes | None: ...
    async def submit2(self, voting_round: VotingRoundId, address: Address, at: float) -> bytes | None: ...
    async def submit_signatures(self, voting_round: VotingRoundId, at: float) -> bytes | None: ...


class ProtocolAnswer(BaseModel):
    """Exactly these members."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["OK", "NOT_AVAILABLE"]
    data: str
    additionalData: str  # noqa: N815 - the client's name


def create_protocol_api(answers: Answers, clock: Callable[[], float]) -> FastAPI:
    """The application. Answers are made one after the other: they share a session and a reader."""
    app = FastAPI(title="Chrono protocol data provider", version="1", redirect_slashes=False)
    one_at_a_time = asyncio.Lock()

    async def answered(work: Callable[[], Awaitable[bytes | None]]) -> Response:
        try:
            async with one_at_a_time:
                data = await work()
        except ChronoError as error:
            log.warning("protocol_answer_missing", why=type(error).__name__, detail=str(error))
            data = None
        return _answer(data)

    async def submit1(voting_round: RoundParameter, address: AddressParameter) -> Response:
        return await answered(
            lambda: answers.submit1(VotingRoundId(voting_round), Address.of(address), clock())
        )

    async def submit2(voting_round: RoundParameter, address: AddressParameter) -> Response:
        return await answered(
            lambda: answers.submit2(VotingRoundId(voting_round), Address.of(address), clock())
        )

    async def submit3(voting_round: RoundParameter, address: AddressParameter) -> Response:  # noqa: ARG001
        return _answer(None)

    async def submit_signatures(voting_round: RoundParameter, address: AddressParameter) -> Response:
        if not _is_address(address):
            return _answer(None)
        return await answered(lambda: answers.submit_signatures(VotingRoundId(voting_round), clock()))

    for path, route in (
        ("submit1", submit1),
        ("submit2", submit2),
        ("submit3", submit3),
        ("submitSignatures", submit_signatures),
    ):
        app.add_api_route(
            f"/{path}/{{voting_round}}/{{address}}",
            route,
            methods=["GET"],
            responses={200: {"model": ProtocolAnswer}},
            response_class=Response,
        )
    return app


def _is_address(text: str) -> bool:
    try:
        Address.of(text)
    except MalformedMessage:
        return False
    return True


def _answer(data: bytes | None) -> Response:
    told = {
        "status": "NOT_AVAILABLE" if data is None else "OK",
        "data": "" if data is None else "0x" + data.hex(),
        "additionalData": "",
    }
    return Response(orjson.dumps(told), media_type="application/json")
