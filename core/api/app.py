"""The FastAPI application, put together. Knows which part answers where; decides nothing itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.api import problems
from core.api.admin import AdminRoutes
from core.api.book import CurrentBook
from core.api.document import describe
from core.api.forge import ForgeRoutes
from core.api.gate import Gate
from core.api.health import HealthRoutes
from core.api.history import HistoryRoutes
from core.api.ingest import IngestRoutes
from core.api.metrics import ApiMetrics
from core.api.prices import SourceRoutes
from core.api.public import PublicRoutes
from core.api.rounds import RoundRoutes
from core.api.services import Services
from core.api.session import StreamLimits
from core.api.shadow import ShadowRoutes
from core.api.sse import PATH as EVENTS
from core.api.sse import EventRoutes
from core.api.stream import Hub
from core.api.usage import UsageRoutes
from core.api.value_provider import ValueProviderRoutes

DESCRIPTION = """
Prices of Flare's feeds, made from several exchanges.

`WS /v1/stream` answers `{"op":"subscribe","feeds":["BTC/USD"]}` (or `["*"]`) with a snapshot, then sends
updates with sequence numbers; with `"since":n` it goes on after the sequence n, or says that it cannot.
Refusals are problem documents (RFC 9457). Prices are text, times Unix seconds.
"""


def create_api(services: Services, limits: StreamLimits | None = None) -> FastAPI:
    """The application. `app.state.hub` is the stream's hub; its lifespan follows the bus."""
    metrics = ApiMetrics(services.registry)
    hub = Hub(services.bus, services.clock, metrics, limits or StreamLimits())
    app = FastAPI(
        title="Chrono",
        version="1",
        description=DESCRIPTION,
        lifespan=_lifespan(hub),
        redirect_slashes=False,
    )
    app.state.hub = hub
    problems.install(app, lambda slug: metrics.problems.labels(slug).inc())
    for routes in (
        PublicRoutes(CurrentBook(services.last_pass, services.price_signer, services.clock)),
        SourceRoutes(services),
        HistoryRoutes(services),
        HealthRoutes(services),
        IngestRoutes(services, metrics),
        ValueProviderRoutes(services),
        RoundRoutes(services),
        ShadowRoutes(services),
        EventRoutes(hub),
        ForgeRoutes(services),
    ):
        app.include_router(routes.router())
    if services.gateway is not None:
        app.include_router(UsageRoutes(services.gateway, services.clock).router())
        app.include_router(AdminRoutes(services.gateway, services.clock).router())
        app.add_middleware(Gate, gateway=services.gateway, metrics=metrics, clock=services.clock)
    app.add_api_websocket_route("/v1/stream", hub.serve)
    if services.portal_dir is not None:
        # The router's last resort rather than a mount: a mount at / would answer a wrong method with 404.
        app.router.default = StaticFiles(directory=services.portal_dir, html=True)
    app.openapi = describe(app, guarded=services.gateway is not None)  # type: ignore[method-assign]
    app.add_middleware(Timed, metrics=metrics)
    return app


class Timed:
    """Counts each request's time by route. Outside every route it says `unmatched`, so labels are bounded."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            method = scope["method"] if route != "unmatched" else "any"
            elapsed = time.perf_counter() - started
            if route != EVENTS or status != 200:  # a stream lasts as long as its client likes
                self._metrics.request_seconds.labels(method, route, str(status)).observe(elapsed)


def _lifespan(hub: Hub) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            following = group.create_task(hub.run(), name="stream-hub")
            yield
            following.cancel()

    return lifespan
