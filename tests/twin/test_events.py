"""The Lambda's handler, asked with the events that AWS sends, in front of a core that is away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from core.twin.settings import TwinMisconfigured
from tests.loopback import Asked, response, serving
from tests.twin.lambdas import balancer_event, function, gateway_event, url_event

NOWHERE = "http://127.0.0.1:1"
ENVIRONMENT = {
    "CHRONO_TWIN_CORE_URL": NOWHERE,
    "CHRONO_TWIN_SIGNER": "0x" + "ab" * 20,
    "CHRONO_SNAPSHOT_ENDPOINT": NOWHERE,
    "CHRONO_SNAPSHOT_BUCKET": "prices",
    "CHRONO_SNAPSHOT_KEY_ID": "id",
    "CHRONO_SNAPSHOT_SECRET": "secret",
}

events = pytest.mark.parametrize("event", [gateway_event, url_event, balancer_event])
Event = Callable[..., dict[str, Any]]


@events
async def test_an_event_becomes_the_question_that_the_core_is_asked(event: Event) -> None:
    asked: list[Asked] = []

    async def core(question: Asked) -> bytes:
        asked.append(question)
        return response(b'{"prices":[]}', content_type="application/json")

    async with serving(core) as url:
        with function(**{**ENVIRONMENT, "CHRONO_TWIN_CORE_URL": url}) as twin:
            answer = await twin.invoked(event("/v1/prices", "feeds=BTC%2FUSD&signed=true"))
    assert (answer.status, answer.json()) == (200, {"prices": []})
    assert answer.headers["x-chrono-source"] == "core"
    assert dict(asked[0].params) == {"feeds": "BTC/USD", "signed": "true"}


@events
async def test_with_neither_core_nor_bucket_the_answer_is_503_and_says_why(event: Event) -> None:
    with function(**ENVIRONMENT) as twin:
        answer = await twin.invoked(event("/v1/prices/BTC/USD"))
    assert answer.status == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert "unreachable" in answer.json()["detail"]


@events
async def test_questions_that_need_nobody_are_answered(event: Event) -> None:
    with function(**ENVIRONMENT) as twin:
        assert len((await twin.invoked(event("/v1/feeds"))).json()["feeds"]) == 63
        assert (await twin.invoked(event("/v1/signer"))).json()["address"] == ENVIRONMENT[
            "CHRONO_TWIN_SIGNER"
        ]
        assert (await twin.invoked(event("/health"))).json()["status"] == "ok"
        assert (await twin.invoked(event("/nothing"))).status == 404


@events
async def test_a_page_of_another_origin_may_read_the_answers(event: Event) -> None:
    asked = event("/v1/feeds")
    asked["headers"]["origin"] = "https://app.example"
    for origins, told in (("*", "*"), ("https://app.example", "https://app.example"), ("", None)):
        with function(**ENVIRONMENT, CHRONO_CORS_ORIGINS=origins) as twin:
            answer = await twin.invoked(asked)
        assert answer.headers.get("access-control-allow-origin") == told


def test_a_function_without_its_settings_does_not_start() -> None:
    with pytest.raises(TwinMisconfigured, match="CHRONO_TWIN_SIGNER"), function():
        pass
