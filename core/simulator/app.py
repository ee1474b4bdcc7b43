"""The simulator as an ASGI application: the venues below one address, and doors for tests.

    /binance/...  /bybit/...  /coinbase/...  /kraken/...  /okx/...    each venue's own paths
    /gecko/...  /dexscreener/...                                      and those of the aggregators of pools
    GET /_truth                                                       what everything is really worth
    GET, POST, DELETE /_faults[/{id}] [?venue=]                       list, inject, end faults
    GET /_requests                                                    how many requests each venue had

Knows limits and the faults of a connection. Does not know formats, the market nor sockets; the clock is
handed in. It answers whoever reaches it, so it is served on loopback only.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import parse_qs

import orjson
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from core.simulator.answers import JSON, Answer, Ask, web_page
from core.simulator.faults import FaultBoard, FaultError, FaultKind, Injected, describe, fault_of_json
from core.simulator.limits import Admission, Gate, Limit
from core.simulator.page import Pages, venue_time
from core.simulator.source import MarketSource
from core.simulator.venues import VENUE_FORMATS

SILENCE_MAX_S: Final = 600.0
_FAULT_BYTES_MAX: Final = 64 * 1024

log = structlog.get_logger(__name__)


def build_simulator(
    source: MarketSource,
    clock: Callable[[], float],
    faults: FaultBoard,
    *,
    limit_factor: float = 1.0,
) -> Starlette:
    """The simulator as an ASGI application.

    `limit_factor` multiplies the venues' limits, for a collector that runs faster than live. The
    application's `state.closing` is an event that ends all waiting: `serve` sets it.
    """
    pages = Pages(source)
    venues = _Venues(pages, clock, faults, limit_factor)
    doors = _Doors(pages, clock, faults, venues.requests)
    app = Starlette(
        routes=[
            Route("/_truth", doors.truth, methods=["GET"]),
            Route("/_requests", doors.request_counts, methods=["GET"]),
            Route("/_faults", doors.faults, methods=["GET", "POST", "DELETE"]),
            Route("/_faults/{id:int}", doors.end_fault, methods=["DELETE"]),
            Route("/{venue}/{path:path}", venues, methods=["GET"]),
        ]
    )
    app.state.closing = venues.closing
    return app


class _Venues:
    """The venues as one ASGI endpoint: faults of the connection, then limits, then the venue's answer."""

    def __init__(
        self, pages: Pages, clock: Callable[[], float], faults: FaultBoard, limit_factor: float
    ) -> None:
        self._pages = pages
        self._clock = clock
        self._faults = faults
        self._gates = {
            (venue, name): Gate(_scaled(limit, limit_factor))
            for venue, formats in VENUE_FORMATS.items()
            for name, limit in formats.LIMITS.items()
        }
        self.requests = dict.fromkeys(VENUE_FORMATS, 0)
        self.closing = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        venue = scope["path_params"]["venue"]
        if venue not in VENUE_FORMATS:
            await _send(web_page(404, "no such venue"), send)
            return
        self.requests[venue] += 1
        active = {injected.fault.kind: injected for injected in self._faults.active(venue, self._clock())}
        if slow := active.get(FaultKind.SLOW):
            await self._wait(slow.fault.amount)
        if dead := active.get(FaultKind.DEAD):
            if dead.fault.variant == "silent":
                await self._silence(receive)
            await _hang_up(scope, receive)
            return
        params = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        ask = Ask("/" + scope["path_params"]["path"], params)
        await _send(self._spoiled(self._answer(venue, ask), active), send)

    def _answer(self, venue: str, ask: Ask) -> Answer:
        """What the venue answers now, refusals and limits included."""
        at = self._clock()
        faults = self._faults.active(venue, at)
        formats = VENUE_FORMATS[venue]
        for injected in faults:
            refusal = _refusal(injected, venue, at)
            if refusal is not None:
                return refusal
        name, cost = formats.charge(ask)
        verdict = self._gates[venue, name].admit(cost, at)
        if verdict.admission is not Admission.ADMITTED:
            banned = verdict.admission is Admission.BANNED
            return formats.too_many(banned, at, int(verdict.retry_after_s) + 1)
        page = self._pages.page(venue, at, faults)
        answer = formats.answer(ask, page, venue_time(faults, at))
        return _with_headers(answer, formats.admitted_headers(verdict))

    def _spoiled(self, answer: Answer, active: dict[FaultKind, Injected]) -> Answer:
        """The answer after the faults about its bytes."""
        malformed, huge = active.get(FaultKind.MALFORMED), active.get(FaultKind.HUGE)
        if malformed and malformed.fault.variant == "html":
            answer = web_page(200, "We will be back soon")
        elif malformed and malformed.fault.variant == "truncated":
            answer = Answer(answer.status, answer.body[: len(answer.body) // 2], headers=answer.headers)
        if huge:
            padding = b" " * max(int(huge.fault.amount) - len(answer.body), 0)
            answer = Answer(answer.status, answer.body + padding, answer.content_type, answer.headers)
        return answer

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.closing.wait()

    async def _silence(self, receive: Receive) -> None:
        """Say nothing until the client leaves, the simulator closes or SILENCE_MAX_S have passed."""
        gone = asyncio.create_task(_disconnected(receive))
        closing = asyncio.create_task(self.closing.wait())
        await asyncio.wait((gone, closing), timeout=SILENCE_MAX_S, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        closing.cancel()


class _Doors:
    """What only tests and operators use."""

    def __init__(
        self, pages: Pages, clock: Callable[[], float], faults: FaultBoard, requests: dict[str, int]
    ) -> None:
        self._pages = pages
        self._clock = clock
        self._faults = faults
        self._requests = requests

    async def truth(self, _: Request) -> Response:
        truth = self._pages.truth(self._clock())
        document = {"at": truth.at, "minute": truth.minute, "feeds": truth.feeds, "legs": truth.legs}
        return _json(200, document)

    async def request_counts(self, _: Request) -> Response:
        return _json(200, self._requests)

    async def faults(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._inject(request)
        if request.method == "DELETE":
            ended = self._faults.clear(request.query_params.get("venue"))
            log.info("faults_ended", ended=ended)
            return _json(200, {"ended": ended})
        return _json(200, [describe(injected) for injected in self._faults.injected()])

    async def end_fault(self, request: Request) -> Response:
        fault_id = request.path_params["id"]
        if not self._faults.remove(fault_id):
            return _json(404, {"detail": f"there is no fault {fault_id}"})
        log.info("faults_ended", ended=1, fault_id=fault_id)
        return Response(status_code=204)

    async def _inject(self, request: Request) -> Response:
        body = await request.body()
        if len(body) > _FAULT_BYTES_MAX:
            return _json(413, {"detail": f"a fault has at most {_FAULT_BYTES_MAX} bytes"})
        try:
            injected = self._faults.add(fault_of_json(orjson.loads(body)), self._clock())
        except orjson.JSONDecodeError as error:
            return _json(400, {"detail": f"not JSON: {error}"})
        except FaultError as error:
            return _json(400, {"detail": str(error)})
        log.info("fault_injected", **describe(injected))
        return _json(201, describe(injected))


def _refusal(injected: Injected, venue: str, at: float) -> Answer | None:
    """The refusal that a fault stands for, None for other faults."""
    fault, formats = injected.fault, VENUE_FORMATS[venue]
    headers = () if fault.retry_after_s is None else (("retry-after", str(fault.retry_after_s)),)
    match fault.kind:
        case FaultKind.BANNED:
            return _with_headers(formats.refuse(int(fault.amount), at, fault.retry_after_s), headers)
        case FaultKind.SERVER_ERROR:
            return _with_headers(web_page(int(fault.amount), "The server had an error"), headers)
        case FaultKind.RATE_LIMITED:
            answer = formats.too_many(False, at, fault.retry_after_s or 1)
            return Answer(answer.status, answer.body, answer.content_type, headers)
    return None


def _with_headers(answer: Answer, headers: tuple[tuple[str, str], ...]) -> Answer:
    return Answer(answer.status, answer.body, answer.content_type, (*answer.headers, *headers))


def _scaled(limit: Limit, factor: float) -> Limit:
    return Limit(max(int(limit.most * factor), 1), limit.window_s, limit.ban_s, limit.patience)


async def _send(answer: Answer, send: Send) -> None:
    headers: Sequence[tuple[str, str]] = (
        ("content-type", answer.content_type),
        ("content-length", str(len(answer.body))),
        *answer.headers,
    )
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    await send({"type": "http.response.body", "body": answer.body})


async def _hang_up(scope: Scope, receive: Receive) -> None:
    """Close the connection without an answer; without a connection, fail as a dead one would."""
    hang_up: Callable[[], None] | None = scope.get("state", {}).get("hang_up")
    if hang_up is None:
        raise ConnectionResetError("the venue is dead")
    hang_up()
    await _disconnected(receive)


async def _disconnected(receive: Receive) -> None:
    message: Message = await receive()
    while message["type"] != "http.disconnect":
        message = await receive()


def _json(status: int, document: Any) -> Response:
    return Response(orjson.dumps(document), status, media_type=JSON)
