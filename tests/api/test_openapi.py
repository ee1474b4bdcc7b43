"""The application is held to its own OpenAPI document with generated requests."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
    response_schema_conformance,
    status_code_conformance,
)

from core.api.app import create_api
from core.api.rules import rule_of
from core.gateway.keys import DEFAULT_SCOPES, ENTROPY_BYTES, ApiKey, make_key
from core.gateway.tiers import Tier
from core.ports import StoreUnavailable
from tests.fakes.services import ADMIN_TOKEN, NOW, World

UNSAYABLE = ("/ingest", "/v1/prices/history", "/v1/usage", "/admin/usage", "/admin/blocks")
"""Routes with a rule that a schema cannot say: bytes that are signed, `from` that is not after `to`, a block
that is there to be lifted.
"""
LONG_LISTS = ("/feed-values/", "/feed-values/{voting_round}", "/volumes/")
"""Lists of up to 1,000 feeds: what is generated as too long is now and then within that, and accepted
rightly."""
CUSTOMER = make_key(b"\x07" * ENTROPY_BYTES)
ENDLESS = "/v1/stream/sse"
"""Its answer does not end; `test_sse` reads it over sockets."""


def loaded(world: World) -> Any:
    return loaded_from(world, "127.0.0.1")


def loaded_from(world: World, address: str) -> Any:
    """The document of an application that is asked from this address."""
    app = create_api(world.services())

    async def asked(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "client": (address, 40_000)}, receive, send)

    return schemathesis.openapi.from_asgi("/openapi.json", asked).exclude(path=ENDLESS)


def with_a_customer() -> World:
    """A world whose gateway knows CUSTOMER's key."""
    world = World()
    scopes, digest = DEFAULT_SCOPES, CUSTOMER.digest
    key = ApiKey(CUSTOMER.prefix, digest, "acme", Tier.PREMIUM, "server", scopes, NOW)
    world.accounts.stored[key.prefix] = key
    world.accounts.tiers[key.account] = key.tier
    world.entrance.learn([key])
    return world


def in_trouble() -> World:
    world = World(estimates=None, checks={"database": (False, "away")})
    world.store.fails_with = world.ingest.fails_with = world.accounts.fails_with = StoreUnavailable(
        "the database is away", 5.0
    )
    return world


# Loaded here because the generated tests are made from the documents while they are collected.
WELL = loaded(World())
UNWELL = loaded(in_trouble())
KEYED = loaded_from(with_a_customer(), "203.0.113.7")
LIMITED = loaded_from(World(), "203.0.113.7")


def unsayable(case: Any) -> list[Any]:
    if case.operation.path in LONG_LISTS:
        return [negative_data_rejection]
    return [positive_data_acceptance] if case.operation.path in UNSAYABLE else []


@WELL.parametrize()
@settings(max_examples=12, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_route_keeps_to_the_document(case: Any) -> None:
    case.call_and_validate(excluded_checks=unsayable(case))


@WELL.parametrize()
@settings(max_examples=4, derandomize=True, suppress_health_check=list(HealthCheck))
def test_with_an_operators_key_every_route_answers_by_the_document(case: Any) -> None:
    case.headers = {**(case.headers or {}), "X-API-Key": ADMIN_TOKEN}
    case.call_and_validate(checks=[not_a_server_error, status_code_conformance, response_schema_conformance])


@WELL.parametrize()
@settings(max_examples=3, derandomize=True, suppress_health_check=list(HealthCheck))
def test_with_a_wrong_key_every_guarded_route_refuses_by_the_document(case: Any) -> None:
    case.headers = {**(case.headers or {}), "X-API-Key": "chr_nonsense"}
    answer = case.call_and_validate(excluded_checks=[positive_data_acceptance])
    assert answer.status_code == 401 or rule_of(case.operation.path) is None


@KEYED.parametrize()
@settings(max_examples=4, derandomize=True, suppress_health_check=list(HealthCheck))
def test_with_a_customers_key_every_route_answers_by_the_document_and_admin_stays_closed(case: Any) -> None:
    case.headers = {**(case.headers or {}), "X-API-Key": CUSTOMER.text}
    answer = case.call_and_validate(
        checks=[not_a_server_error, status_code_conformance, response_schema_conformance]
    )
    closed = answer.status_code == 403
    assert closed is case.operation.path.startswith("/admin/") or answer.status_code == 429


@LIMITED.parametrize()
@settings(max_examples=3, derandomize=True, suppress_health_check=list(HealthCheck))
def test_a_stranger_is_limited_by_the_document(case: Any) -> None:
    case.call_and_validate(excluded_checks=[positive_data_acceptance])


@UNWELL.parametrize()
@settings(max_examples=2, derandomize=True, suppress_health_check=list(HealthCheck))
def test_in_trouble_every_route_keeps_to_the_document_and_fails_by_503_at_most(case: Any) -> None:
    answer = case.call_and_validate(excluded_checks=[*unsayable(case), not_a_server_error])
    assert answer.status_code < 500 or answer.status_code == 503


def test_every_route_of_the_api_is_in_the_document() -> None:
    operations = [result.ok() for result in WELL.get_all_operations()]
    paths = {(operation.method, operation.path) for operation in operations}
    assert {("post", "/ingest"), ("get", "/v1/usage"), ("delete", "/admin/keys/{prefix}")} <= paths
    assert {("get", f"/v1/forge{rest}") for rest in ("", "/legs", "/anomalies", "/skill")} <= paths
    assert ("post", "/feed-values/{voting_round}") in paths
    assert len(paths) == 32
