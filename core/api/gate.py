"""The gateway's place in the ASGI stack: every request passes here, or is answered here.

Knows headers, statuses and sockets; the decisions are `core.gateway`'s. Adds the RateLimit headers of the
IETF's draft and those of deprecated routes, meters what keys used, and tells what looks like an attack.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from chrono.errors import ChronoError
from core.api.bodies import OversizedBody, SlowBody, bounded, has_body
from core.api.deprecation import DEPRECATED, Deprecated, Notices
from core.api.holds import Holds
from core.api.metrics import ApiMetrics
from core.api.problems import problem_of, respond
from core.api.rules import Rule, rule_of
from core.api.turns import Turn, Turns
from core.gateway.accounts import Accounts
from core.gateway.bucket import DAY_S
from core.gateway.callers import Place, Places, from_our_page, key_in
from core.gateway.entrance import Admitted, Asking, Entrance
from core.gateway.errors import QuotaSpent, RateLimited, TurnedAway
from core.gateway.tiers import Limits
from core.gateway.watch import Signal

ADMITTED: Final = "chrono.admitted"
"""Under this name the scope holds whom the gate let in."""

SEND_S_MAX: Final = 60.0
"""How long a client may take for a part of an answer; the server then ends the connection."""

SMALL_BYTES: Final = 65_536
"""The server takes this much from us without waiting for the client."""

HOLD_S: Final = 1.0
INGEST: Final = "/ingest"
_POLICY_VIOLATION: Final = 1008
_INGEST_SIGNALS: Final = {
    401: Signal.FORGED_BATCH,
    409: Signal.REPLAYED_BATCH,
    422: Signal.REPLAYED_BATCH,
    413: Signal.FORGED_BATCH,
}


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the API needs to be a gateway. `entropy` gives random bytes.

    Who is refused too often is told so `hold_s` late.
    """

    entrance: Entrance
    accounts: Accounts
    places: Places
    entropy: Callable[[int], bytes] = field(repr=False)
    hold_s: float = HOLD_S

    def place(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Place:
        """Where a request comes from."""
        client, forwarded = scope.get("client"), headers.get(b"x-forwarded-for")
        return self.places.of(
            client[0] if client else None, None if forwarded is None else forwarded.decode("latin-1")
        )

    def preflight(self, scope: Scope) -> None:
        """A browser asks what a page may do. Raises AddressBlocked."""
        self.entrance.preflight(self.place(scope, dict(scope["headers"])))


class Gate:
    """The middleware."""

    def __init__(
        self,
        app: ASGIApp,
        gateway: Gateway,
        metrics: ApiMetrics,
        clock: Callable[[], float],
        deprecated: Sequence[Deprecated] = DEPRECATED,
    ) -> None:
        self._app, self._gateway, self._metrics, self._clock = app, gateway, metrics, clock
        self._notices = Notices(metrics, deprecated)
        self._holds, self._turns = Holds(gateway.hold_s), Turns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        visit = _Visit(self._gateway.place(scope, headers), rule_of(scope["path"]), headers)
        try:
            with ExitStack() as held:
                await self._admit(scope, visit, held)
                if kind == "http" and scope["path"] != INGEST and has_body(headers):
                    receive = await bounded(receive, headers)
                await self._wait_for_turn(visit, held)
                await self._app(scope, receive, self._watched(scope, visit, send))
        except ChronoError as error:
            if visit.status:  # the answer has begun: the server ends the connection
                raise
            await self._turn_away(scope, receive, send, error, visit)
        else:
            self._judge(scope, visit)

    async def _admit(self, scope: Scope, visit: _Visit, held: ExitStack) -> None:
        rule = visit.rule
        if rule is None:
            return
        admitted = await self._gateway.entrance.admit(
            Asking(
                visit.place,
                key_in(visit.headers),
                from_our_page(visit.headers),
                rule.scope,
                rule.cost(scope.get("query_string", b""), visit.headers),
            )
        )
        if rule.stream:
            held.enter_context(self._gateway.entrance.socket(admitted))
        scope[ADMITTED] = visit.admitted = admitted

    async def _wait_for_turn(self, visit: _Visit, held: ExitStack) -> None:
        """A turn is the work until an answer begins: a stream, and a client who takes his time, hold none."""
        admitted = visit.admitted
        if admitted is not None and admitted.limits.limited:
            visit.turn = await self._turns.begin(admitted.who)
            held.callback(visit.turn.end)

    def _watched(self, scope: Scope, visit: _Visit, send: Send) -> Send:
        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                visit.status = message["status"]
                visit.end_turn()
                more = self._notices.headers(scope, visit.key_prefix)
                if visit.admitted is not None and visit.admitted.verdict is not None:
                    more += _headers(visit.admitted)
                if more:
                    message["headers"] = [*message.get("headers", ()), *more]
            elif message["type"] == "websocket.accept":
                visit.status = 101
                visit.end_turn()
            elif message["type"] == "websocket.close" and message.get("code") == _POLICY_VIOLATION:
                self._gateway.entrance.note(visit.place, Signal.FLOOD, "stream")
            elif len(message.get("body", b"")) > SMALL_BYTES:
                async with asyncio.timeout(SEND_S_MAX):
                    await send(message)
                return
            await send(message)

        return watched

    def _judge(self, scope: Scope, visit: _Visit) -> None:
        """Bill what was answered, and tell what looks like an attack."""
        admitted = visit.admitted
        if (
            admitted is not None
            and admitted.key is not None
            and visit.rule is not None
            and visit.status < 500
        ):
            self._gateway.entrance.meter.count(admitted.key.prefix, visit.rule.endpoint, self._clock())
        if scope["path"] == INGEST:
            signal = _INGEST_SIGNALS.get(visit.status)
            if signal is not None:
                self._gateway.entrance.note(visit.place, signal)
        elif visit.status in (404, 405) and "route" not in scope:
            self._gateway.entrance.note(visit.place, Signal.SCAN, scope["path"][:80])

    async def _turn_away(
        self, scope: Scope, receive: Receive, send: Send, error: ChronoError, visit: _Visit
    ) -> None:
        if isinstance(error, OversizedBody):
            self._gateway.entrance.note(visit.place, Signal.OVERSIZED)
        elif isinstance(error, SlowBody):
            self._gateway.entrance.note(visit.place, Signal.SLOW_BODY)
        if isinstance(error, TurnedAway) and not visit.place.ours:
            await self._holds.hold((key_in(visit.headers) or visit.place.network)[:80], self._clock())
        problem = problem_of(error)
        self._metrics.problems.labels(problem.slug).inc()
        answer: Response = respond(problem, scope["path"])
        if isinstance(error, RateLimited | QuotaSpent):
            answer.headers.update(_refused_headers(error))
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(answer)
        else:
            if isinstance(error, OversizedBody | SlowBody):
                answer.headers["Connection"] = "close"  # what is left of the body is not read
            await answer(scope, receive, send)


class _Visit:
    """One request on its way. `status` is 0 until an answer begins."""

    __slots__ = ("admitted", "headers", "place", "rule", "status", "turn")

    def __init__(self, place: Place, rule: Rule | None, headers: Mapping[bytes, bytes]) -> None:
        self.place, self.rule, self.headers = place, rule, headers
        self.admitted: Admitted | None = None
        self.status = 0
        self.turn: Turn | None = None

    def end_turn(self) -> None:
        if self.turn is not None:
            self.turn.end()

    @property
    def key_prefix(self) -> str:
        """The key that was accepted, or an empty text."""
        return "" if self.admitted is None or self.admitted.key is None else self.admitted.key.prefix


def admitted_in(scope: Mapping[str, Any]) -> Admitted | None:
    """Whom the gate let in, or None where there is no gate."""
    found: Admitted | None = scope.get(ADMITTED)
    return found


def policy(limits: Limits) -> str:
    """The RateLimit-Policy header of a tier: its bucket, and its day."""
    window_s = math.ceil(limits.burst / limits.per_s)
    text = f'"burst";q={limits.burst};w={window_s}'
    return text if limits.per_day is None else f'{text}, "day";q={limits.per_day};w={DAY_S}'


def _headers(admitted: Admitted) -> list[tuple[bytes, bytes]]:
    verdict = admitted.verdict
    assert verdict is not None  # noqa: S101  asked by the caller
    left = f'"burst";r={verdict.tokens};t={math.ceil(verdict.full_s)}'
    if verdict.left_today is not None:
        left += f', "day";r={verdict.left_today};t={math.ceil(verdict.day_ends_s)}'
    return [
        (b"ratelimit-policy", policy(admitted.limits).encode()),
        (b"ratelimit", left.encode()),
    ]


def _refused_headers(error: RateLimited | QuotaSpent) -> dict[str, str]:
    left = _headers(Admitted("", error.limits, None, error.verdict))
    return {name.decode(): value.decode() for name, value in left}
