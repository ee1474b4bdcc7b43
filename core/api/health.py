"""`/health`, `/ready`, `/metrics`, `/v1/venues` and `/v1/routes`: how the service and its sources are.

Knows how state is told. Does not judge it: the checks come from `Services.ready`.
"""

from __future__ import annotations

import orjson
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from core.api.problems import documented
from core.api.queries import only
from core.api.schemas import Health, Readiness, RouteList, VenueList
from core.api.services import Services
from core.ports import HeardReport, RouteReport


class HealthRoutes:
    def __init__(self, services: Services) -> None:
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
        router.add_api_route(
            "/metrics",
            self.metrics,
            summary="Metrics in Prometheus' text format",
            response_class=Response,
            responses={200: {"content": {CONTENT_TYPE_LATEST: {"schema": {"type": "string"}}}}},
        )
        router.add_api_route(
            "/v1/venues",
            self.venues,
            summary="How each venue treats each collector",
            dependencies=[only()],
            responses={200: {"model": VenueList}, **documented(400)},
            response_class=Response,
        )
        router.add_api_route(
            "/v1/routes",
            self.routes,
            summary="How each collector delivers, and how many legs came by it last",
            dependencies=[only()],
            responses={200: {"model": RouteList}, **documented(400)},
            response_class=Response,
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

    async def venues(self) -> Response:
        at = self._services.clock()
        name = self._services.routes.name
        heard = [_venue_entry(each, name(each.collector), at) for each in self._services.venues(at)]
        return Response(orjson.dumps({"at": round(at, 3), "venues": heard}), media_type="application/json")

    async def routes(self) -> Response:
        at = self._services.clock()
        routes = [_route_entry(report, at) for report in self._services.routes.reports()]
        return Response(orjson.dumps({"at": round(at, 3), "routes": routes}), media_type="application/json")


def _route_entry(report: RouteReport, at: float) -> dict[str, object]:
    newest_at = report.newest_tick_at
    return {
        "name": report.name,
        "key_id": report.key_id,
        "heard_at": report.heard_at,
        "silent_s": round(max(0.0, at - report.heard_at), 3),
        "newest_tick_age_s": None if newest_at is None else round(max(0.0, at - newest_at), 3),
        "legs": report.legs,
        "batches": report.batches,
        "ticks": report.ticks,
        "ticks_dropped": report.ticks_dropped,
        "clock_offset_s": round(report.clock_offset_s, 3),
    }


def _venue_entry(heard: HeardReport, route: str, at: float) -> dict[str, object]:
    report = heard.report
    return {
        "venue": report.venue,
        "state": report.state.name.lower(),
        "code": report.code,
        "since": report.since,
        "retry_at": report.retry_at,
        "requests": report.requests,
        "failures": report.failures,
        "refused": {str(reason): count for reason, count in report.refused.items()},
        "collector": heard.collector,
        "route": route,
        "heard_at": heard.heard_at,
        "silent_s": round(max(0.0, at - heard.heard_at), 3),
    }
