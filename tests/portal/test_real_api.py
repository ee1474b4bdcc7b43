"""The page on the API itself: what the fake core says is what the API says. Its world is in memory."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from core.aggregation.estimates import Estimates, LegReason
from core.api.app import create_api
from core.messages import encode_pass, message_of
from core.portal import STATIC
from tests.fakes.services import NOW, World, estimates_at, without
from tests.portal.fake_api import listening

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Stage:
    page: Page
    world: World
    complaints: list[str]

    async def publish(self, estimates: Estimates) -> None:
        self.world.estimates, self.world.now = estimates, estimates.at
        await self.world.bus.publish(encode_pass(message_of(estimates, self.world.reference)))


@pytest_asyncio.fixture(loop_scope="module")
async def stage(browser: Browser) -> AsyncIterator[Stage]:
    world = World(portal_dir=STATIC)
    async with listening(create_api(world.services())) as url:
        context = await browser.new_context(viewport={"width": 1440, "height": 900})
        stage = Stage(await context.new_page(), world, [])
        stage.page.on("pageerror", lambda error: stage.complaints.append(str(error)))
        stage.page.on("console", lambda message: stage.complaints.append(message.text))
        await stage.page.goto(url)
        await stage.page.wait_for_selector("#stream-facts")
        await stage.publish(estimates_at())
        await stage.page.wait_for_selector("#connection[data-state=live]")
        yield stage
        await context.close()
    assert stage.complaints == []


async def test_the_page_shows_what_the_api_streams(stage: Stage) -> None:
    await expect(stage.page.locator("#rows tr[data-state=live]")).to_have_count(63)
    price = stage.page.locator("#rows tr[data-feed='FLR/USD'] .c-price")
    await expect(price).to_have_text("64,000.00000000")
    await stage.publish(estimates_at(NOW + 1, sequence=2, btc=65_000.0))
    await expect(price).to_have_text("65,000.00000000")
    await expect(stage.page.locator("#stream-facts")).to_contain_text("no gaps")


async def test_the_page_shows_why_the_api_calls_a_feed_stale(stage: Stage) -> None:
    later = estimates_at(NOW + 1, sequence=2)
    await stage.publish(without(later, "BTC/USD", LegReason.DEAD_VENUE, keep_price=True))
    state = stage.page.locator("#rows tr[data-feed='BTC/USD'] .c-state")
    await expect(state).to_contain_text("stale")
    await expect(state.locator(".why")).to_have_text(re.compile(r"^of \d+ markets: "))


async def test_the_page_reads_sources_history_and_venues_of_the_api(stage: Stage) -> None:
    await stage.page.click("#rows tr[data-feed='BTC/USD'] .feed-name")
    await expect(stage.page.locator("#legs tr.used").first).to_contain_text("BTC/USD")
    await expect(stage.page.locator("#legs-routes")).to_have_text("Seen by the collector local.")
    await expect(stage.page.locator("#detail-chart svg")).to_be_visible()
    await expect(stage.page.locator("#venues [data-venue=binance]")).to_contain_text("banned (418) until")
