"""The OpenAPI document: FastAPI's, with what it cannot know.

Our problems stand in the place of its own 422; guarded routes say how a key is sent and how the gateway
refuses; what is deprecated is marked; every kind of problem is listed with what to do about it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from core.api.catalogue import CATALOGUE
from core.api.deprecation import DEPRECATED, Deprecated, mark
from core.api.gate import INGEST
from core.api.problems import TYPE_PREFIX, documented
from core.api.rules import rule_of
from core.api.schemas.common import ProblemDocument

SECURITY_SCHEMES: Final[Mapping[str, object]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key: chr_..."},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def describe(
    app: FastAPI, *, guarded: bool, deprecated: Sequence[Deprecated] = DEPRECATED
) -> Callable[[], dict[str, object]]:
    """The function that FastAPI calls for its document."""

    def document() -> dict[str, object]:
        if app.openapi_schema is None:
            app.openapi_schema = _made(app, guarded=guarded)
            mark(app.openapi_schema["paths"], deprecated)
        return app.openapi_schema

    return document


def _made(app: FastAPI, *, guarded: bool) -> dict[str, Any]:
    made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = made["components"]
    components["schemas"]["ProblemDocument"] = {
        **ProblemDocument.model_json_schema(),
        "x-problems": _problems(),
    }
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    if guarded:
        components["securitySchemes"] = dict(SECURITY_SCHEMES)
    for path, operations in made["paths"].items():
        for operation in operations.values():
            _drop_default_422(operation["responses"])
            if guarded:
                _add_gate(path, operation)
    return made


def _add_gate(path: str, operation: dict[str, Any]) -> None:
    """What the gate may answer in a route's place."""
    rule = rule_of(path)
    statuses: tuple[int, ...] = () if rule is None else (401, 403, 429)
    if "requestBody" in operation and path != INGEST:
        statuses += (400, 408, 413)
    for status, told in documented(*statuses).items():
        operation["responses"].setdefault(str(status), told)
    if rule is not None:
        open_to_all = rule.scope is not None and rule.scope != "admin"
        operation["security"] = [{"bearer": []}, {"key": []}, *([{}] if open_to_all else [])]


def _problems() -> list[dict[str, object]]:
    return [
        {"type": TYPE_PREFIX + slug, "status": status, "meaning": meaning}
        for slug, (status, meaning) in CATALOGUE.items()
    ]


def _drop_default_422(responses: dict[str, dict[str, Any]]) -> None:
    if "application/json" in responses.get("422", {}).get("content", {}):
        del responses["422"]
