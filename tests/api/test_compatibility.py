"""Clients of the released API can go on with the present one; and what would stop them is told."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import orjson
import pytest

from tests.api.compatibility import RELEASED, breaks, present

Document = dict[str, Any]
Change = Callable[[Document], object]


def released() -> Document:
    document: Document = orjson.loads(RELEASED.read_bytes())
    return document


def changed(change: Change) -> list[str]:
    """What is said when the released document becomes another."""
    document = released()
    change(document)
    return breaks(released(), document)


def prices(document: Document) -> Document:
    operation: Document = document["paths"]["/v1/prices"]["get"]
    return operation


def signed(document: Document) -> Document:
    parameter: Document = prices(document)["parameters"][1]
    return parameter


def limit(document: Document) -> Document:
    asked = document["paths"]["/v1/prices/history"]["get"]["parameters"]
    schema: Document = next(each["schema"] for each in asked if each["name"] == "limit")
    return schema


def schema(document: Document, name: str) -> Document:
    found: Document = document["components"]["schemas"][name]
    return found


def test_the_present_api_keeps_what_was_released() -> None:
    broken = breaks(released(), present())
    assert not broken, "clients of docs/openapi.json would break:\n" + "\n".join(broken)


PRICES = "GET /v1/prices"
BREAKING: dict[str, Change] = {
    "GET /v1/signer: the route is gone": lambda document: document["paths"].pop("/v1/signer"),
    "POST /admin/keys: the route is gone": lambda document: document["paths"]["/admin/keys"].pop("post"),
    f"{PRICES}: parameter signed (query) is gone": lambda document: prices(document)["parameters"].pop(1),
    f"{PRICES}: parameter signed (query) is required now": lambda document: signed(document).update(
        required=True
    ),
    f"{PRICES}: parameter chain (query) is new and required": lambda document: prices(document)[
        "parameters"
    ].append({"name": "chain", "in": "query", "required": True, "schema": {"type": "string"}}),
    f"{PRICES}: parameter signed (query): takes type integer, was boolean": lambda document: signed(document)[
        "schema"
    ].update(type="integer"),
    "GET /v1/prices/history: parameter limit (query): takes maximum 100, was 5000": lambda document: limit(
        document
    ).update(maximum=100),
    f"{PRICES}: the response 404 is gone": lambda document: prices(document)["responses"].pop("404"),
    f"{PRICES}: nobody without a key is let in no more": lambda document: prices(document)["security"].pop(),
    f"{PRICES}: 200.prices[].age_s is gone": lambda document: schema(document, "Price")["properties"].pop(
        "age_s"
    ),
    f"{PRICES}: 200.prices[].age_s may be missing now": lambda document: schema(document, "Price")[
        "required"
    ].remove("age_s"),
    f"{PRICES}: 200.prices[].sequence: tells type number, was integer": lambda document: schema(
        document, "Price"
    )["properties"]["sequence"].update(type="number"),
    f"{PRICES}: 200.prices[].feed: tells type null, was string": lambda document: schema(document, "Price")[
        "properties"
    ].update(feed={"anyOf": [{"type": "string"}, {"type": "null"}]}),
    "POST /admin/keys: body.reason is required now": lambda document: schema(document, "KeyOrder")[
        "required"
    ].append("reason"),
    "GET /v1/usage: 200: text/csv is gone": lambda document: document["paths"]["/v1/usage"]["get"][
        "responses"
    ]["200"]["content"].pop("text/csv"),
}

HARMLESS: dict[str, Change] = {
    "a route": lambda document: document["paths"].update(
        {"/v1/more": deepcopy(document["paths"]["/v1/feeds"])}
    ),
    "a parameter that may be left out": lambda document: prices(document)["parameters"].append(
        {"name": "chain", "in": "query", "required": False, "schema": {"type": "string"}}
    ),
    "a wider bound": lambda document: limit(document).update(maximum=10_000),
    "another answer": lambda document: prices(document)["responses"].update({"304": {"description": "Same"}}),
    "another member": lambda document: schema(document, "Price")["properties"].update(
        more={"type": "string"}
    ),
    "a member that is always there": lambda document: schema(document, "PriceList")["required"].append(
        "signed"
    ),
    "other words": lambda document: prices(document).update(summary="Prices", operationId="x"),
}


@pytest.mark.parametrize("told", BREAKING)
def test_what_stops_a_client_is_told_with_its_place(told: str) -> None:
    assert told in changed(BREAKING[told])


@pytest.mark.parametrize("addition", HARMLESS)
def test_additions_pass(addition: str) -> None:
    assert changed(HARMLESS[addition]) == []


def test_a_schema_that_contains_itself_is_compared_to_an_end() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}}}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Node"}}}
    document = {
        "paths": {"/": {"get": {"responses": {"200": {"content": content}}}}},
        "components": {"schemas": {"Node": node}},
    }
    assert breaks(document, document) == []
