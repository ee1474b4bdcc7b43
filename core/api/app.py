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
from core.api.cors import PublicReads
from core.api.document import describe
from core.api.forge import ForgeRoutes
from core.api.forward import Forward
from core.api.gate import Gate
from core.api.health import HealthRoutes
from core.api.history import HistoryRoutes
from core.api.ingest import IngestRoutes
from core.api.metrics import ApiMetrics
from core.api.public import PublicRoutes
from core.api.rounds import RoundRoutes
from core.api.services import PublicServices, Services
from core.api.session import StreamLimits
from core.api.shadow import ShadowRoutes
from core.api.sources import SourceRoutes
from core.api.sse import PATH as EVENTS
from core.api.sse import EventRoutes
from core.api.stream import Hub
from core.api.usage import UsageRoutes
from core.api.value_provider import ValueProviderRoutes
from core.messages import PassMessage

DESCRIPTION = """
Prices of Flare's feeds, made from several exchanges.

`WS /v1/stream` answers `{"op":"subscribe","feeds":["BTC/USD"]}` (or `["*"]`) with a snapshot, then sends
updates with sequence numbers; with `"since":n` it goes on after the sequence n, or says that it cannot.
Refusals are problem documents (RFC 9457). Prices are text, times Unix seconds.
"""


def create_api(services: Services, limits: StreamLimits | None = None) -> FastAPI:
    """The core's application. `app.state.hub` is the stream's hub; its lifespan follows the bus."""
    app, metrics = _public(services, services.last_pass, limits, "/openapi.json")
    app.include_router(HealthRoutes(services).with_metrics())
    for routes in (
        SourceRoutes(services),
        IngestRoutes(services, metrics),
        ValueProviderRoutes(services),
        RoundRoutes(services),
        ShadowRoutes(services),
        ForgeRoutes(services),
    ):
        app.include_router(routes.router())
    app.openapi = describe(app, guarded=services.gateway is not None)  # type: ignore[method-assign]
    return app


def create_replica(services: PublicServices, core_url: str, limits: StreamLimits | None = None) -> FastAPI:
    """A replica's application: prices come by the bus, and what only the core knows is asked of it."""
    app, _ = _public(services, None, limits, None)
    app.include_router(HealthRoutes(services).router())
    app.router.default = app.state.forward = Forward(core_url, otherwise=app.router.default)
    return app


def _public(
    services: PublicServices,
    last_pass: Callable[[], PassMessage | None] | None,
    limits: StreamLimits | None,
    openapi_url: str | None,
) -> tuple[FastAPI, ApiMetrics]:
    """What a core and a replica have in common; without a `last_pass` the stream's last one is told."""
    metrics = ApiMetrics(services.registry)
    hub = Hub(services.bus, services.clock, metrics, limits or StreamLimits())
    book = CurrentBook(last_pass or (lambda: hub.last_pass), services.price_signer, services.clock)
    app = FastAPI(
        title="Chrono",
        version="1",
        description=DESCRIPTION,
        lifespan=_lifespan(hub),
        redirect_slashes=False,
        openapi_url=openapi_url,
    )
    app.state.hub = hub
    problems.install(app, lambda slug: metrics.problems.labels(slug).inc())
    for routes in (PublicRoutes(book), HistoryRoutes(services), EventRoutes(hub)):
        app.include_router(routes.router())
    if services.gateway is not None:
        app.include_router(UsageRoutes(services.gateway, services.clock).router())
        app.include_router(AdminRoutes(services.gateway, services.clock).router())
        app.add_middleware(Gate, gateway=services.gateway, metrics=metrics, clock=services.clock)
        app.add_middleware(PublicReads, origins=services.cors_origins, guard=services.gateway.preflight)
    app.add_api_websocket_route("/v1/stream", hub.serve)
    if services.portal_dir is not None:
        # The router's last resort rather than a mount: a mount at / would answer a wrong method with 404.
        app.router.default = StaticFiles(directory=services.portal_dir, html=True)
    app.add_middleware(Timed, metrics=metrics)
    return app, metrics


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
