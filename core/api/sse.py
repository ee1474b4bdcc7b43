"""`GET /v1/stream/sse`: the stream as server-sent events, for those who have no WebSocket.

The messages are those of `core.api.session`, each with its type as the event's name, and with the sequence as
the event's id where it has prices: a browser that reconnects sends the last id by itself, and goes on after
it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.responses import StreamingResponse

from chrono.feeds import FEEDS
from core.api.gate import admitted_in
from core.api.problems import documented
from core.api.public import FeedsParameter
from core.api.queries import only
from core.api.session import SEQUENCE_MAX, Outgoing, feeds_named
from core.api.stream import Hub

PATH: Final = "/v1/stream/sse"
MEDIA_TYPE: Final = "text/event-stream"
RETRY_MS: Final = 1_000

Since = Annotated[
    int | None,
    Query(ge=0, le=SEQUENCE_MAX, description="Go on after this sequence; a gap is told if that cannot be"),
]
LastEventId = Annotated[str | None, Header(description="As `since`; browsers send it when they reconnect")]


class EventRoutes:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def router(self) -> APIRouter:
        router = APIRouter(tags=["prices"])
        router.add_api_route(
            PATH,
            self.events,
            summary="Prices as they change, as server-sent events",
            dependencies=[only("feeds", "since")],
            responses={
                200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}},
                **documented(400, 401, 403, 404, 429, 503),
            },
            response_class=Response,
        )
        return router

    async def events(
        self,
        request: Request,
        feeds: FeedsParameter = None,
        since: Since = None,
        last_event_id: LastEventId = None,
    ) -> Response:
        """All feeds without `feeds`, or as many as the tier allows of one stream."""
        session = self._hub.open_session(request.scope)
        admitted = admitted_in(request.scope)
        most = len(FEEDS) if admitted is None else admitted.limits.feeds
        names = [feed.name for feed in FEEDS[:most]] if feeds is None else feeds.split(",")
        session.subscribe(feeds_named(names), _since(since, last_event_id))
        following = self._hub.follow(session, request.scope)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_events(following), 200, headers, MEDIA_TYPE)


async def _events(following: AsyncIterator[Outgoing]) -> AsyncIterator[str]:
    yield f"retry: {RETRY_MS}\n\n"
    async for outgoing in following:
        number = "" if outgoing.sequence is None else f"id: {outgoing.sequence}\n"
        yield f"{number}event: {outgoing.type}\ndata: {outgoing.body.decode()}\n\n"


def _since(since: int | None, last_event_id: str | None) -> int | None:
    """What the browser says is newer than what stands in its URL."""
    if last_event_id is not None and last_event_id.isdecimal() and len(last_event_id) <= 16:
        return int(last_event_id)
    return since
