"""`/v1/usage`: what the asking key used, by endpoint and day, as JSON or as CSV for a bill.

Knows days and rows. What was counted in the last seconds is not stored yet, and not told here.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter, Query, Request, Response

from core.api.gate import Gateway, admitted_in
from core.api.problems import bad_request, documented
from core.api.queries import only
from core.api.schemas.gateway import UsageList
from core.gateway.accounts import Usage
from core.gateway.errors import KeyRequired

DAYS_MAX: Final = 400
DAYS_DEFAULT: Final = 31
FirstDay = Annotated[
    date | None, Query(alias="from", description="First day, 30 days before `to` without it")
]
LastDay = Annotated[date | None, Query(description="Last day, included; today (UTC) without it")]
Form = Annotated[Literal["json", "csv"], Query(description="csv is for a bill")]
USAGE_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": UsageList, "content": {"text/csv": {"schema": {"type": "string"}}}},
}


class UsageRoutes:
    def __init__(self, gateway: Gateway, clock: Callable[[], float]) -> None:
        self._gateway, self._clock = gateway, clock

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/v1", tags=["account"])
        router.add_api_route(
            "/usage",
            self.usage,
            summary="What this key used, by endpoint and day",
            dependencies=[only("from", "to", "format")],
            responses={**USAGE_ANSWERS, **documented(400, 401, 403, 429, 503)},
            response_class=Response,
        )
        return router

    async def usage(
        self,
        request: Request,
        from_: FirstDay = None,
        to: LastDay = None,
        format: Form = "json",
    ) -> Response:
        admitted = admitted_in(request.scope)
        if admitted is None or admitted.key is None:
            raise KeyRequired
        first, last = days_of(from_, to, self._clock())
        rows = await self._gateway.accounts.usage(first, last, admitted.key.prefix)
        return told(rows, first, last, format)


def days_of(first: date | None, last: date | None, at: float) -> tuple[date, date]:
    """The days that are meant at `at`; raises a 400 that says what is wrong."""
    last = last or datetime.fromtimestamp(at, UTC).date()
    first = first or last - timedelta(days=DAYS_DEFAULT - 1)
    if first > last:
        raise bad_request("empty-window", "from is after to")
    if (last - first).days >= DAYS_MAX:
        raise bad_request(
            "range-too-large", f"at most {DAYS_MAX} days at a time", days=(last - first).days + 1
        )
    return first, last


def told(rows: Sequence[Usage], first: date, last: date, form: str) -> Response:
    """The rows as an answer."""
    if form == "csv":
        return Response(usage_csv(rows), media_type="text/csv; charset=utf-8")
    usage = [
        {
            "account": row.account,
            "key": row.prefix,
            "endpoint": row.endpoint,
            "day": row.day.isoformat(),
            "requests": row.requests,
        }
        for row in rows
    ]
    head = {"from": first.isoformat(), "to": last.isoformat(), "requests": sum(row.requests for row in rows)}
    return Response(orjson.dumps({**head, "usage": usage}), media_type="application/json")


def usage_csv(rows: Sequence[Usage]) -> str:
    """A bill's lines, with a header."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("account", "key", "endpoint", "day", "requests"))
    writer.writerows((row.account, row.prefix, row.endpoint, row.day, row.requests) for row in rows)
    return text.getvalue()
