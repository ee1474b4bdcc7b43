"""`/health`, `/ready` and `/metrics`: how the process is.

Knows how state is told. Does not judge it: the checks come from `Services.ready`.
"""

from __future__ import annotations

import orjson
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from core.api.problems import documented
from core.api.queries import only
from core.api.schemas.operations import Health, Readiness
from core.api.services import PublicServices


class HealthRoutes:
    def __init__(self, services: PublicServices) -> None:
        self._services = services

    def router(self) -> APIRouter:
        router = APIRouter(tags=["operations"])
        router.add_api_route(
            "/health",
            self.health,
            summary="Whether the process answers",
            dependencies=[only()],
            responses={200: {"model": Health}, **documented(400)},
            response_class=Response,
        )
        router.add_api_route(
            "/ready",
            self.ready,
            summary="Whether prices can be relied on, check by check",
            dependencies=[only()],
            responses={200: {"model": Readiness}, 503: {"model": Readiness}, **documented(400)},
            response_class=Response,
        )
        return router

    def with_metrics(self) -> APIRouter:
        """The same and `/metrics`, where one process has the port for itself."""
        router = self.router()
        router.add_api_route(
            "/metrics",
            self.metrics,
            summary="Metrics in Prometheus' text format",
            response_class=Response,
            responses={200: {"content": {CONTENT_TYPE_LATEST: {"schema": {"type": "string"}}}}},
        )
        return router

    async def health(self) -> Response:
        told = {**self._services.about, "status": "ok"}
        return Response(orjson.dumps(told), media_type="application/json")

    async def ready(self) -> Response:
        """503 with the reasons while a check fails."""
        checks = self._services.ready()
        ready = all(ok for ok, _ in checks.values())
        told = {
            "status": "ready" if ready else "not ready",
            "checks": {name: {"ok": ok, "detail": detail} for name, (ok, detail) in checks.items()},
        }
        return Response(orjson.dumps(told), 200 if ready else 503, media_type="application/json")

    async def metrics(self) -> Response:
        return Response(
            generate_latest(self._services.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )
