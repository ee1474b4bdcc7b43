"""Refusals as problem documents (RFC 9457). Knows which error means which status, and what it shows.

A document has type, title, status, detail and instance, and the error's evidence as further members.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final

import orjson
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from chrono import errors
from chrono.errors import ChronoError
from core.gateway import errors as gateway
from core.gateway.accounts import NoSuch
from core.ports import RoundMissed, RoundNotOpen, SequenceConflict, StoreUnavailable

log = structlog.get_logger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:chrono:problem:"
METHODS: Final = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")


@dataclass(frozen=True, slots=True)
class Problem:
    """One refusal. `slug` names its kind for good; `evidence` are the document's further members."""

    slug: str
    status: int
    title: str
    detail: str
    evidence: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def document(self, instance: str) -> dict[str, object]:
        return {
            "type": TYPE_PREFIX + self.slug,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            **self.evidence,
        }


class Refused(ChronoError):
    """Raised by a route to answer with a problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.detail)


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one class of errors is told: the attributes that are shown, and a slug where it has none."""

    status: int
    title: str
    evidence: Sequence[str] = ()
    slug: str = ""


_BATCH_CHALLENGE: Final = {"WWW-Authenticate": 'Chrono-Batch realm="ingest"'}
_KEY_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="chrono"'}

_KINDS: Final[dict[type[ChronoError], _Kind]] = {
    errors.OversizedBatch: _Kind(413, "The batch is too large", ("size", "limit", "unit")),
    errors.MalformedBatch: _Kind(400, "The bytes are no batch"),
    errors.UnknownKey: _Kind(401, "The key is not known", ("key_id",)),
    errors.RevokedKey: _Kind(401, "The key was revoked", ("key_id",)),
    errors.BadSignature: _Kind(401, "The signature does not fit", ("key_id",)),
    errors.StaleBatch: _Kind(422, "The batch is not fresh", ("age_s", "limit_s")),
    SequenceConflict: _Kind(
        409, "The sequence has other content", ("key_id", "sequence"), "sequence-conflict"
    ),
    StoreUnavailable: _Kind(503, "The store cannot answer now", ("retry_after_s",), "store-unavailable"),
    RoundNotOpen: _Kind(409, "The round is not open yet", ("voting_round", "opens_at"), "round-not-open"),
    RoundMissed: _Kind(404, "The round was missed", ("voting_round",), "round-missed"),
    gateway.KeyRefused: _Kind(401, "The API key is not accepted", (), "key-refused"),
    gateway.KeyRequired: _Kind(401, "An API key is needed", (), "key-required"),
    gateway.ScopeMissing: _Kind(403, "The API key may not do this", ("scope",), "scope-missing"),
    gateway.AddressBlocked: _Kind(
        403, "The address is blocked for a while", ("reason", "retry_after_s"), "address-blocked"
    ),
    gateway.RateLimited: _Kind(
        429, "Too many requests", ("tier", "per_s", "burst", "retry_after_s"), "rate-limited"
    ),
    gateway.QuotaSpent: _Kind(
        429, "The day's quota is used up", ("tier", "per_day", "retry_after_s"), "quota-spent"
    ),
    gateway.TooManySockets: _Kind(429, "Too many open streams", ("tier", "sockets"), "too-many-streams"),
    NoSuch: _Kind(404, "There is no such thing", ("what", "name"), "no-such"),
}


def bad_request(slug: str, detail: str, **evidence: object) -> Refused:
    return Refused(Problem(slug, 400, "The request is not understood", detail, evidence))


def unknown_feed(*names: str) -> Refused:
    listed = ", ".join(name[:40] for name in names[:10])
    detail = f"no such feed: {listed}"
    return Refused(Problem("unknown-feed", 404, "Unknown feed", detail, {"feeds": list(names[:10])}))


def problem_of(error: Exception) -> Problem:
    """The problem that tells this error; anything unforeseen is an internal error without detail."""
    if isinstance(error, Refused):
        return error.problem
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, RequestValidationError):
        return _of_validation(error)
    kind = _KINDS.get(type(error)) if isinstance(error, ChronoError) else None
    if kind is None:
        return Problem("internal-error", 500, "Internal error", "the request failed; the log says why")
    evidence = {name: getattr(error, name) for name in kind.evidence}
    headers: dict[str, str] = {}
    if kind.status == 401:
        headers.update(_BATCH_CHALLENGE if isinstance(error, errors.BatchError) else _KEY_CHALLENGE)
    wait_s: float | None = getattr(error, "retry_after_s", None)
    if wait_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(wait_s)))
    slug = kind.slug or getattr(error, "reason", "refused")
    return Problem(slug, kind.status, kind.title, str(error), evidence, headers)


def respond(problem: Problem, instance: str) -> Response:
    body = orjson.dumps(problem.document(instance))
    return Response(body, problem.status, dict(problem.headers), MEDIA_TYPE)


def install(app: FastAPI, count: Callable[[str], None]) -> None:
    """Answer every error of the application with a problem document, and count it by its slug."""

    async def answer(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        if problem.status == 405:
            problem = replace(problem, headers={"Allow": ", ".join(_methods(request))})
        count(problem.slug)
        if problem.status == 500:
            log.error("request_failed", route=request.url.path, exc_info=error)
        return respond(problem, request.url.path)

    handler: Callable[[Request, Exception], Awaitable[Response]] = answer
    for kind in (ChronoError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, handler)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that refuses with these statuses, for OpenAPI."""
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def _methods(request: Request) -> list[str]:
    """All methods of a path. The router itself tells those of the first route that fits."""
    scopes = {method: {**request.scope, "method": method} for method in METHODS}
    return [
        method
        for method, scope in scopes.items()
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
    ]


def _of_http(error: HTTPException) -> Problem:
    phrase = HTTPStatus(error.status_code).phrase
    slug = phrase.lower().replace(" ", "-")
    detail = error.detail if error.detail != phrase else f"{phrase}: see /openapi.json for what there is"
    return Problem(slug, error.status_code, phrase, detail, {}, error.headers or {})


def _of_validation(error: RequestValidationError) -> Problem:
    """What is wrong with which parameter; the values themselves are cut short."""
    found = [
        {"where": ".".join(map(str, item["loc"])), "what": str(item["msg"])[:200]}
        for item in error.errors()[:10]
    ]
    detail = "; ".join(f"{item['where']}: {item['what']}" for item in found)
    evidence = {"errors": found}
    return Problem("invalid-request", 400, "The request is not understood", detail[:1000], evidence)
