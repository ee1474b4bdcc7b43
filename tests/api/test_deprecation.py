"""What will go says so, until when, and what to ask instead; the operator sees who still asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from core.api.book import CurrentBook
from core.api.deprecation import DAYS_MIN, DEPRECATED, Deprecated, headers_of
from core.api.document import describe
from core.api.gate import Gate
from core.api.metrics import ApiMetrics
from core.api.public import PublicRoutes
from tests.fakes.services import World

SINCE, SUNSET = date(2027, 1, 1), date(2027, 9, 1)
TABLE = (
    Deprecated("GET", "/v1/prices/{base}/{quote}", SINCE, SUNSET, successor="/v2/prices/{base}/{quote}"),
    Deprecated("GET", "/v1/prices", SINCE, SUNSET, parameter="signed"),
)


@pytest.fixture
def app(world: World) -> FastAPI:
    """The public routes behind the gate, with the table of this test."""
    made = FastAPI()
    services, metrics = world.services(), ApiMetrics(world.registry)
    book = CurrentBook(services.last_pass, services.price_signer, clock := services.clock)
    made.include_router(PublicRoutes(book).router())
    made.add_middleware(Gate, gateway=world.gateway, metrics=metrics, clock=clock, deprecated=TABLE)
    made.openapi = describe(made, guarded=True, deprecated=TABLE)  # type: ignore[method-assign]
    return made


@pytest.fixture
async def asked(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chrono") as client:
        yield client


async def test_a_deprecated_route_says_since_when_until_when_and_what_instead(
    asked: httpx.AsyncClient,
) -> None:
    answer = await asked.get("/v1/prices/BTC/USD")
    assert answer.status_code == 200
    assert answer.headers["deprecation"] == "@1798761600"
    assert answer.headers["sunset"] == "Wed, 01 Sep 2027 00:00:00 GMT"
    assert answer.headers["link"] == '</v2/prices/{base}/{quote}>; rel="successor-version"'


async def test_a_deprecated_parameter_is_told_to_those_who_send_it(asked: httpx.AsyncClient) -> None:
    for query, told in (
        ("", False),
        ("?feeds=BTC/USD", False),
        ("?signed=false", True),
        ("?%73igned=1", True),
    ):
        assert ("deprecation" in (await asked.get(f"/v1/prices{query}")).headers) is told


async def test_the_operator_sees_how_much_is_still_asked(asked: httpx.AsyncClient, world: World) -> None:
    for path in ("/v1/prices/BTC/USD", "/v1/prices/ETH/USD", "/v1/prices?signed=true", "/v1/feeds"):
        await asked.get(path)
    counted = [
        world.metric("chrono_http_deprecated_total", used=used)
        for used in ("GET /v1/prices/{base}/{quote}", "GET /v1/prices?signed")
    ]
    assert counted == [2, 1]


async def test_the_document_marks_both(asked: httpx.AsyncClient) -> None:
    paths = (await asked.get("/openapi.json")).json()["paths"]
    route = paths["/v1/prices/{base}/{quote}"]["get"]
    assert (route["deprecated"], route["x-sunset"]) == (True, "2027-09-01")
    feeds, signed = paths["/v1/prices"]["get"]["parameters"]
    assert ("deprecated" in feeds, signed["deprecated"]) == (False, True)
    assert "deprecated" not in paths["/v1/prices"]["get"]


def test_a_line_that_names_nothing_is_a_mistake(app: FastAPI) -> None:
    gone = (Deprecated("GET", "/v1/gone", SINCE, SUNSET),)
    with pytest.raises(KeyError):
        describe(app, guarded=True, deprecated=gone)()


def test_nothing_goes_sooner_than_was_promised() -> None:
    with pytest.raises(ValueError, match="must go on for 180 days"):
        Deprecated("GET", "/v1/feeds", SINCE, SINCE + timedelta(days=DAYS_MIN - 1))


def test_of_several_the_first_to_go_is_told() -> None:
    sooner = Deprecated("GET", "/v1/prices", SINCE, SUNSET - timedelta(days=10), parameter="feeds")
    assert dict(headers_of([*TABLE, sooner]))[b"sunset"] == b"Sun, 22 Aug 2027 00:00:00 GMT"


def test_the_docs_say_whether_anything_is_deprecated() -> None:
    page = (Path(__file__).parents[2] / "docs" / "gateway.md").read_text()
    assert ("Nothing is deprecated today." in page) is (not DEPRECATED)
