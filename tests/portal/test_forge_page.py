"""The Forge page in a real browser, on the API itself; what was learned is made up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from chrono.feeds import FEEDS
from core.api.app import create_api
from core.portal import STATIC
from tests.fakes.learning import FakeLearning
from tests.fakes.services import World
from tests.portal.fake_api import listening

pytestmark = pytest.mark.asyncio(loop_scope="module")

ARTIFACTS = Path(__file__).parents[1] / "artifacts"


@dataclass
class Stage:
    page: Page
    learning: FakeLearning
    complaints: list[str]
    url: str


@pytest_asyncio.fixture(loop_scope="module")
async def stage(browser: Browser) -> AsyncIterator[Stage]:
    world, learning = World(portal_dir=STATIC), FakeLearning()
    async with listening(create_api(replace(world.services(), learning=learning))) as url:
        context = await browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        stage = Stage(await context.new_page(), learning, [], url)
        stage.page.on("pageerror", lambda error: stage.complaints.append(str(error)))
        stage.page.on("console", lambda told: stage.complaints.append(told.text))
        yield stage
        await context.close()


async def opened(stage: Stage) -> Page:
    await stage.page.goto(f"{stage.url}/forge")
    await expect(stage.page.locator("#connection")).to_have_attribute("data-state", "live")
    await expect(stage.page.locator("#leg-rows tr").first).to_be_visible()
    return stage.page


async def test_the_first_page_leads_there(stage: Stage) -> None:
    await stage.page.goto(stage.url)
    await stage.page.get_by_role("link", name="Forge").click()
    await expect(stage.page.get_by_role("heading", name="Chrono Forge")).to_be_visible()


async def test_anomalies_are_shown_with_their_reasons_those_that_last_first(stage: Stage) -> None:
    page = await opened(stage)
    rows = page.locator("#anomaly-rows tr")
    await expect(rows).to_have_count(3)
    assert await rows.evaluate_all("rows => rows.map(row => row.dataset.lasts)") == ["yes", "yes", "no"]
    await expect(rows.nth(2).locator(".reason")).to_have_text(["together", "volume"])
    await expect(rows.nth(0)).to_contain_text("+31.5")


async def test_without_anomalies_the_page_says_so(stage: Stage) -> None:
    stage.learning.found = []
    page = await opened(stage)
    await expect(page.locator("#anomalies-note")).to_have_text("None since the start.")
    await expect(page.locator("#anomalies")).to_be_hidden()


async def test_coverage_is_drawn_by_feed_beside_its_target(stage: Stage) -> None:
    page = await opened(stage)
    await expect(page.locator("#coverage-note")).to_contain_text("the target is 90.0 %")
    await expect(page.locator("#coverage circle")).to_have_count(len(FEEDS))
    assert await page.locator("#coverage circle.under").count() > 0


async def test_the_markets_of_a_feed_are_listed_when_it_is_chosen(stage: Stage) -> None:
    page = await opened(stage)
    await page.select_option("#feed", "XRP/USD")
    expected = [str(leg) for feed in FEEDS if feed.name == "XRP/USD" for leg in feed.legs]
    listed = page.locator("#leg-rows tr")
    await expect(listed).to_have_count(len(expected))
    assert await listed.evaluate_all("rows => rows.map(row => row.dataset.leg)") == expected


async def test_dollars_that_are_another_currency_are_told(stage: Stage) -> None:
    page = await opened(stage)
    await expect(page.locator("#state")).to_contain_text("OKX: USDT")
    hidden = page.locator("#leg-rows tr[data-leg='okx:BTC/USD'] .hidden-quote")
    await expect(hidden).to_have_text("USDT, though called USD")


async def test_a_core_without_a_model_is_told_and_nothing_is_made_up(stage: Stage) -> None:
    world = World(portal_dir=STATIC)
    async with listening(create_api(replace(world.services(), learning=None))) as url:
        await stage.page.goto(f"{url}/forge/")
        await expect(stage.page.locator("#connection-word")).to_have_text("this process makes no estimates")
        assert await stage.page.locator("#state div").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_is_drawn_in_both_schemes_without_complaint(stage: Stage, scheme: str) -> None:
    await stage.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page = await opened(stage)
    await expect(page.locator("#trust rect").first).to_be_visible()
    ARTIFACTS.mkdir(exist_ok=True)
    await page.screenshot(path=ARTIFACTS / f"forge-{scheme}.png", full_page=True)
    assert stage.complaints == []
