"""The page of rounds in a real browser: rounds pass, feeds are scored, and absence is told in plain words."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.portal.conftest import Visit
from tests.portal.fake_api import FakeCore, serving
from tests.portal.fake_rounds import NEWEST
from tests.portal.test_portal import ARTIFACTS, CONTRAST

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUND = "#round-rows tr[data-round='{}']"
FEED = "#feed-rows tr[data-feed='{}']"
FINISHED = NEWEST - 1
"""The newest finalized round of a new FakeRounds."""


@pytest_asyncio.fixture(loop_scope="module")
async def rounds(browser: Browser) -> AsyncIterator[Visit]:
    """The page of rounds, open at a desktop's width with its first rounds shown."""
    core = FakeCore(time.time)
    async with serving(core) as url:
        context = await browser.new_context(viewport={"width": 1600, "height": 1000})
        context.set_default_timeout(10_000)
        visit = Visit(await context.new_page(), core, url)
        visit.watch()
        await visit.page.goto(f"{url}/rounds")
        await visit.page.wait_for_selector("#feed-rows tr")
        yield visit
        await context.close()


async def call(visit: Visit, body: str) -> Any:
    return await visit.page.evaluate(f"async () => {{ const m = await import('/rounds/words.js'); {body} }}")


async def test_the_first_page_links_to_the_rounds_and_back(visit: Visit) -> None:
    await visit.page.get_by_role("link", name="Rounds").click()
    await expect(visit.page.locator("#round-rows tr")).to_have_count(12)
    await visit.page.get_by_role("link", name="Prices").click()
    await expect(visit.page.locator("#rows tr").first).to_be_visible()


async def test_every_round_tells_its_steps_root_and_shares(rounds: Visit) -> None:
    newest, finished = ROUND.format(NEWEST), ROUND.format(FINISHED)
    assert await rounds.text(f"{newest} .pill") == "committed"
    assert await rounds.page.locator(f"{newest} [data-done=yes]").count() == 2
    assert await rounds.text(f"{finished} .pill") == "finalized"
    assert await rounds.page.locator(f"{finished} [data-done=yes]").count() == 5
    root = rounds.core.rounds.find(FINISHED)["merkle_root"]  # type: ignore[index]
    await expect(rounds.page.locator(f"{finished} code")).to_have_attribute("title", root)
    assert (await rounds.text(f"{finished} td:nth-of-type(4)")).endswith("%")


async def test_a_round_passes_from_committed_to_finalized(rounds: Visit) -> None:
    rounds.core.rounds.clock = lambda: time.time() + 90
    rounds.core.rounds.pass_one()
    await expect(rounds.page.locator(f"{ROUND.format(NEWEST)} .pill")).to_have_text("finalized")
    await expect(rounds.page.locator("#feeds-title")).to_have_text(f"Round {NEWEST}")
    await expect(rounds.page.locator("#round-rows tr")).to_have_count(13)


async def test_a_feeds_score_is_told_with_value_rank_and_distance(rounds: Visit) -> None:
    feed = {"value": 6_400_012, "decimals": 2, "ours": 6_400_025, "rank": 3, "providers": 96}
    bands = {"primary": True, "secondary": True, "half_percent": True, "distance_ppm": 20.3124}
    book = rounds.core.rounds
    book.find(FINISHED)["feeds"][2] |= feed | bands  # type: ignore[index]
    await rounds.page.reload()
    row = rounds.page.locator(FEED.format(book.find(FINISHED)["feeds"][2]["feed"]))  # type: ignore[index]
    await row.wait_for()
    cells = await row.locator("td").all_inner_texts()
    assert cells[:4] == ["64,000.12", "64,000.25", "+20.3", "3 of 96"]
    assert await row.locator(".band[data-hit=yes]").count() == 3


async def test_a_feed_without_a_value_of_ours_stands_first_and_says_so(rounds: Visit) -> None:
    first = rounds.page.locator("#feed-rows tr").first
    await expect(first).to_have_attribute("data-feed", "USDX/USD")
    await expect(first).to_contain_text("no value of ours")


async def test_hit_rates_are_those_of_the_score(rounds: Visit) -> None:
    score = rounds.core.rounds.score()
    told = await rounds.page.locator("#hits dd.num").all_inner_texts()
    assert told[1] == f"{score['secondary_share']:.1%}".replace("%", " %")
    assert told[3] == "11 of 11"
    assert "11 finished rounds" in await rounds.text("#hits-over")


async def test_a_round_is_opened_by_its_number_and_by_its_address(rounds: Visit) -> None:
    await rounds.page.click(f"{ROUND.format(NEWEST - 5)} th a")
    await expect(rounds.page.locator("#feeds-title")).to_have_text(f"Round {NEWEST - 5}")
    await rounds.page.goto(f"{rounds.url}/rounds/#{NEWEST}")
    await expect(rounds.page.locator("#feeds-empty")).to_have_text(
        "A round's feeds are known once it is finalized."
    )
    await rounds.page.goto(f"{rounds.url}/rounds/#12")
    await expect(rounds.page.locator("#feeds-empty")).to_have_text(
        "This round is not known: nothing is known of round 12."
    )


async def test_without_a_provider_the_page_says_so_and_what_to_do(rounds: Visit) -> None:
    rounds.core.rounds.provider = False
    await expect(rounds.page.locator("#nothing-title")).to_have_text("No provider runs here")
    await expect(rounds.page.locator("#nothing-text")).to_contain_text("CHRONO_SUBMIT_ADDRESS names none")
    await expect(rounds.page.locator("#board")).to_be_hidden()
    await expect(rounds.page.locator("#connection")).to_have_attribute("data-state", "live")
    rounds.core.rounds.provider = True
    await expect(rounds.page.locator("#board")).to_be_visible()


async def test_before_the_first_round_the_page_names_the_command(rounds: Visit) -> None:
    rounds.core.rounds.rounds = []
    await expect(rounds.page.locator("#nothing-title")).to_have_text("No round yet")
    await expect(rounds.page.locator("#nothing-next")).to_contain_text("chrono provider run")


async def test_rounds_that_stopped_coming_are_not_shown_as_live(rounds: Visit) -> None:
    rounds.core.rounds.clock = lambda: time.time() + 600
    await expect(rounds.page.locator("#banner-title")).to_have_text("Rounds have stopped.")
    await expect(rounds.page.locator("#banner-text")).to_contain_text("The newest round was frozen 10 m")


async def test_a_core_that_cannot_answer_is_told_and_forgotten_when_it_does(rounds: Visit) -> None:
    rounds.core.rounds.away = True
    await expect(rounds.page.locator("#banner-text")).to_have_text(
        "The database is away. What is shown is not live."
    )
    rounds.core.rounds.away = False
    await expect(rounds.page.locator("#banner")).to_be_hidden()


async def test_a_round_that_broke_off_is_told_by_what_is_missing(rounds: Visit) -> None:
    body = """
        const open = {voting_round_id: 10, finalized: false, revealed: false};
        const round = (state, more = {}) => ({...open, state, ...more});
        const told = (one, newest) => { const {kind, word} = m.verdict(one, newest); return [kind, word]; };
        return [told(round("committed"), 11), told(round("committed"), 13), told(round("frozen"), 13),
          told(round("finalized", {finalized: true, revealed: true}), 13),
          told(round("finalized", {finalized: true}), 13)];
    """
    assert await call(rounds, body) == [
        ["open", "committed"],
        ["missed", "not revealed"],
        ["missed", "not committed"],
        ["done", "finalized"],
        ["missed", "finalized without us"],
    ]


async def test_whole_numbers_of_the_chain_are_written_with_their_decimals(rounds: Visit) -> None:
    pairs = "[[6400012, 2], [5, 3], [0, 2], [-15, 1], [7, 0], [7, -2], [null, 2]]"
    body = f"return {pairs}.map(([value, decimals]) => m.scaled(value, decimals));"
    assert await call(rounds, body) == ["64,000.12", "0.005", "0.00", "−1.5", "7", "700", "–"]


async def test_nothing_is_complained_of_and_no_other_host_is_asked(rounds: Visit) -> None:
    await rounds.page.click(f"{ROUND.format(NEWEST - 3)} th a")
    await expect(rounds.page.locator("#feeds-title")).to_have_text(f"Round {NEWEST - 3}")
    assert rounds.complaints == []
    assert rounds.hosts == {rounds.url.removeprefix("http://")}


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_is_legible_in_either_scheme_and_kept_as_a_picture(rounds: Visit, scheme: str) -> None:
    await rounds.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    chosen = (
        ".hits .meaning",
        "#round-rows .pill",
        "#feed-rows .band",
        "thead th",
        "#feeds-note",
        ".pages a",
    )
    for selector in chosen:
        assert await rounds.page.locator(selector).first.evaluate(CONTRAST) >= 4.5, selector
    ARTIFACTS.mkdir(exist_ok=True)
    picture = await rounds.page.screenshot(path=ARTIFACTS / f"rounds-{scheme}.png")
    assert picture.startswith(b"\x89PNG")


async def test_a_phone_shows_all_without_scrolling_sideways(rounds: Visit) -> None:
    await rounds.page.set_viewport_size({"width": 390, "height": 844})
    assert await rounds.page.evaluate("document.documentElement.scrollWidth") <= 390
    for table in ("#rounds", "#feeds-scores"):
        fits = "table => table.offsetWidth <= table.parentElement.clientWidth"
        assert await rounds.page.locator(table).evaluate(fits), table
    await rounds.page.screenshot(path=ARTIFACTS / "rounds-phone.png")
