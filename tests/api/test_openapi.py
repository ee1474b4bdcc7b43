"""The application is held to its own OpenAPI document with generated requests."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import positive_data_acceptance

from core.api.app import create_api
from core.ports import StoreUnavailable
from tests.fakes.services import World

UNSAYABLE = ("/ingest", "/v1/prices/history")
"""Routes with a rule that a schema cannot say: bytes that are signed, `from` that is not after `to`."""


def loaded(world: World) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", create_api(world.services()))


def in_trouble() -> World:
    world = World(estimates=None, checks={"database": (False, "away")})
    world.store.fails_with = world.ingest.fails_with = StoreUnavailable("the database is away", 5.0)
    return world


# Loaded here because the generated tests are made from the documents while they are collected.
WELL = loaded(World())
UNWELL = loaded(in_trouble())


def unsayable(case: Any) -> list[Any]:
    return [positive_data_acceptance] if case.operation.path in UNSAYABLE else []


@WELL.parametrize()
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_route_keeps_to_the_document(case: Any) -> None:
    case.call_and_validate(excluded_checks=unsayable(case))


@UNWELL.parametrize()
@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
def test_in_trouble_every_route_keeps_to_the_document_and_fails_by_503_at_most(case: Any) -> None:
    answer = case.call_and_validate(excluded_checks=[*unsayable(case), not_a_server_error])
    assert answer.status_code < 500 or answer.status_code == 503


def test_every_route_of_the_api_is_in_the_document() -> None:
    operations = [result.ok() for result in WELL.get_all_operations()]
    paths = {(operation.method, operation.path) for operation in operations}
    assert ("post", "/ingest") in paths
    assert ("post", "/feed-values/{voting_round}") in paths
    assert len(paths) == 21
