"""The twin's application: the core's public routes over the twin's own book. Its composition root."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import orjson
from fastapi import FastAPI, Response

from core.api import problems
from core.api.cors import PublicReads
from core.api.public import PublicRoutes
from core.snapshot.objects import Objects
from core.snapshot.reader import SnapshotReader
from core.snapshot.snapshot import OBJECT
from core.twin.book import TwinBook
from core.twin.core_client import Core, HttpFetch
from core.twin.settings import TwinSettings

DESCRIPTION: Final = """
The public prices of Chrono, answered away from its core. While the core cannot be reached the last signed
prices are told, `stale` and with their age; beyond a bound the answer is 503.
"""


def create_twin(settings: TwinSettings, clock: Callable[[], float] = time.time) -> FastAPI:
    """The application. It opens nothing before the first question."""
    headers = {"X-API-Key": settings.core_api_key} if settings.core_api_key else {}
    core = Core(HttpFetch(settings.core_url, settings.core_s, headers), clock, settings.core_s)
    snapshots = SnapshotReader(lambda: _bucket(settings), settings.prefix + OBJECT, settings.trust)
    app = FastAPI(title="Chrono twin", version="1", description=DESCRIPTION, redirect_slashes=False)
    problems.install(app, lambda _: None)
    app.add_middleware(PublicReads, origins=settings.cors_origins)
    app.include_router(PublicRoutes(TwinBook(core, snapshots, settings.trust, clock)).router())

    async def health() -> Response:
        told = {"status": "ok", "core": "away" if core.breaker.is_open else "asked"}
        return Response(orjson.dumps(told), media_type="application/json")

    app.add_api_route("/health", health, summary="Whether the twin answers", response_class=Response)
    return app


def _bucket(settings: TwinSettings) -> Objects:
    from core.snapshot.s3 import S3Objects  # noqa: PLC0415 - slow to load, and of use in an outage only

    return S3Objects(settings.endpoint, settings.bucket, settings.key_id, settings.secret)
