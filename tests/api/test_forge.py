"""What was learned, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from chrono.feeds import FEEDS, LEGS
from core.api.app import create_api
from core.api.schemas.forge import AnomalyList, ForgeDocument, LearnedLegs, SkillList
from tests.fakes.learning import FakeLearning
from tests.fakes.services import World


@pytest.fixture
async def api() -> AsyncIterator[httpx.AsyncClient]:
    app = create_api(World().services())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chrono") as client:
        yield client


async def test_the_model_tells_its_version_and_where_it_came_from(api: httpx.AsyncClient) -> None:
    told = ForgeDocument.model_validate((await api.get("/v1/forge")).json())
    assert (told.version, told.legs, told.hidden_quotes) == ("3f0c1a5be7d92a44", len(LEGS), {"okx": "USDT"})
    assert told.restored_from is not None


async def test_every_leg_tells_what_it_has_shown_itself_to_be(api: httpx.AsyncClient) -> None:
    told = LearnedLegs.model_validate((await api.get("/v1/forge/legs")).json())
    assert [each.leg for each in told.legs] == [str(leg) for leg in LEGS]
    hidden = {each.venue for each in told.legs if each.hidden_quote}
    assert hidden == {"okx"}


async def test_the_legs_of_one_feed_can_be_asked_for(api: httpx.AsyncClient) -> None:
    told = LearnedLegs.model_validate((await api.get("/v1/forge/legs?feed=BTC/USD")).json())
    assert {each.feed for each in told.legs} == {"BTC/USD"}


async def test_anomalies_that_last_come_first_with_their_reasons(api: httpx.AsyncClient) -> None:
    told = AnomalyList.model_validate((await api.get("/v1/forge/anomalies")).json())
    assert [each.ended_at is None for each in told.anomalies] == [True, True, False]
    assert told.anomalies[2].reasons == ["together", "volume"]
    assert len((await api.get("/v1/forge/anomalies?limit=1")).json()["anomalies"]) == 1


async def test_the_share_of_covered_medians_is_told_by_feed_and_over_all(api: httpx.AsyncClient) -> None:
    told = SkillList.model_validate((await api.get("/v1/forge/skill")).json())
    assert told.coverage_target == 0.9
    assert told.coverage == pytest.approx(0.9, abs=0.03)
    assert [each.feed for each in told.feeds] == [feed.name for feed in FEEDS]


async def test_without_finished_rounds_no_coverage_is_claimed() -> None:
    learning = FakeLearning()
    learning.covered = {}
    app = create_api(replace(World().services(), learning=learning))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chrono") as client:
        told = SkillList.model_validate((await client.get("/v1/forge/skill")).json())
    assert (told.coverage, told.coverage_rounds, told.feeds[0].coverage) == (None, 0, None)


@pytest.mark.parametrize("path", ["legs", "anomalies"])
async def test_an_unknown_feed_is_a_404(api: httpx.AsyncClient, path: str) -> None:
    answer = await api.get(f"/v1/forge/{path}?feed=FOO/USD")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:chrono:problem:unknown-feed")


async def test_a_process_without_an_estimator_says_so() -> None:
    app = create_api(replace(World().services(), learning=None))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chrono") as client:
        answer = await client.get("/v1/forge")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:chrono:problem:no-model")
