"""`POST /ingest`: a collector's batch comes in.

Knows how a body is read within bounds and how its receipt is told. Does not know what a batch holds
(`core.ingest`). A body that is too large is refused before the rest of it is read.
"""

from __future__ import annotations

import asyncio
from typing import Final

import orjson
from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from chrono.batch import BYTES_MAX, read_header
from chrono.errors import BatchError, OversizedBatch
from core.api.metrics import ApiMetrics
from core.api.problems import Problem, Refused, documented, problem_of
from core.api.queries import only
from core.api.schemas.operations import Acknowledgement
from core.api.services import Services
from core.ports import SequenceConflict, StoreUnavailable

MEDIA_TYPE: Final = "application/octet-stream"
DUPLICATE_HEADER: Final = "Chrono-Duplicate"
READ_S_MAX: Final = 10.0

_BODY: Final = {
    "requestBody": {
        "required": True,
        "description": f"A signed batch, at most {BYTES_MAX} bytes",
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


class IngestRoutes:
    def __init__(self, services: Services, metrics: ApiMetrics) -> None:
        self._services = services
        self._metrics = metrics

    def router(self) -> APIRouter:
        router = APIRouter(tags=["collectors"])
        router.add_api_route(
            "/ingest",
            self.post,
            methods=["POST"],
            summary="Deliver a signed batch of ticks",
            dependencies=[only()],
            responses={
                200: {"model": Acknowledgement, "headers": _HEADERS},
                **documented(400, 401, 408, 409, 413, 415, 422, 503),
            },
            openapi_extra=_BODY,
            response_class=Response,
        )
        return router

    async def post(self, request: Request) -> Response:
        """200 means committed to disk. A batch delivered again gets the same bytes as the first time."""
        try:
            answer = await self._receive(request)
        except (BatchError, StoreUnavailable, SequenceConflict, Refused) as error:
            self._metrics.ingest_batches.labels(problem_of(error).slug).inc()
            raise
        duplicate = answer.headers[DUPLICATE_HEADER] == "true"
        self._metrics.ingest_batches.labels("duplicate" if duplicate else "committed").inc()
        return answer

    async def _receive(self, request: Request) -> Response:
        sealed = await read_bounded(request, BYTES_MAX)
        receipt = await self._services.ingest.receive(sealed, self._services.clock())
        told = {
            "sequence": read_header(sealed).sequence,
            "accepted": receipt.accepted,
            "refused": {str(reason): count for reason, count in receipt.refused.items()},
        }
        body = orjson.dumps(told, option=orjson.OPT_SORT_KEYS)
        headers = {DUPLICATE_HEADER: "true" if receipt.duplicate else "false"}
        return Response(body, 200, headers, "application/json")


_HEADERS: Final = {
    DUPLICATE_HEADER: {
        "description": "Whether the batch had been committed before",
        "schema": {"type": "string", "enum": ["true", "false"]},
    }
}


async def read_bounded(request: Request, limit: int, within_s: float = READ_S_MAX) -> bytes:
    """The body, at most `limit` bytes in `within_s` seconds. Raises OversizedBatch or Refused."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != MEDIA_TYPE:
        raise Refused(_wrong_type(media_type))
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limit:
        raise OversizedBatch(int(announced[:20]), limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(within_s):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise OversizedBatch(size, limit)
                chunks.append(chunk)
    except TimeoutError:
        raise Refused(_too_slow(size, within_s)) from None
    except ClientDisconnect:  # nobody hears the answer, but it is counted
        raise Refused(_cut_off(size)) from None
    return b"".join(chunks)


def _wrong_type(media_type: str) -> Problem:
    detail = f"a batch is sent as {MEDIA_TYPE}"
    evidence = {"content_type": media_type[:100]}
    headers = {"Accept": MEDIA_TYPE}
    return Problem("unsupported-media-type", 415, "Unsupported media type", detail, evidence, headers)


def _too_slow(size: int, within_s: float) -> Problem:
    detail = f"the body did not end within {within_s:.0f} s"
    return Problem("request-timeout", 408, "Request timeout", detail, {"bytes_received": size})


def _cut_off(size: int) -> Problem:
    detail = "the connection ended before the body did"
    return Problem("body-cut-off", 400, "The body was cut off", detail, {"bytes_received": size})
