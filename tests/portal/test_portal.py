"""The portal's first page in a real browser, on a core whose every word a test chooses."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from playwright.async_api import expect

from chrono.feeds import FEEDS
from tests.portal.conftest import Visit
from tests.portal.scenes import troubled

pytestmark = pytest.mark.asyncio(loop_scope="module")

ARTIFACTS = Path(__file__).parents[1] / "artifacts"
ROW = "#rows tr[data-feed='{}']"


def cell(feed: str, column: str) -> str:
    return f"{ROW.format(feed)} .c-{column}"


async def test_every_feed_has_a_row_and_every_feed_with_a_value_its_price(visit: Visit) -> None:
    assert await visit.shown_feeds() == [feed.name for feed in FEEDS]
    prices = await visit.page.locator("#rows .c-price").all_inner_texts()
    assert sum(text != "–" for text in prices) == 62
    assert await visit.text(cell("USDX/USD", "state") + " .pill") == "no price"


async def test_a_row_tells_band_change_venues_and_age(visit: Visit) -> None:
    at = time.time()
    visit.core.alter("BTC/USD", price="64000.0000", band_low="63993.6000", band_high="64006.4000")
    visit.core.alter("BTC/USD", change_24h_percent=-1.204, change_since=at - 86_400, age_s=0.4)
    await visit.core.push("BTC/USD")
    await expect(visit.page.locator(cell("BTC/USD", "price"))).to_have_text("64,000.0000")
    assert await visit.text(cell("BTC/USD", "band") + " span") == "±1.00 bp"
    assert await visit.text(cell("BTC/USD", "band") + " small") == "63,993.6000 – 64,006.4000"
    assert await visit.text(cell("BTC/USD", "change")) == "−1.20 %"
    assert await visit.text(cell("BTC/USD", "venues")) == "5 of 5"
    assert (await visit.text(cell("BTC/USD", "age"))).endswith(" s")


async def test_a_change_over_less_than_a_day_says_over_how_long(visit: Visit) -> None:
    visit.core.alter("ETH/USD", change_24h_percent=0.5, change_since=time.time() - 3 * 3_600 - 60)
    await visit.core.push("ETH/USD")
    await expect(visit.page.locator(cell("ETH/USD", "change"))).to_have_text("+0.50 % in 3 h")


async def test_an_update_changes_only_the_cells_of_its_feeds(visit: Visit) -> None:
    before = await visit.text(cell("ETH/USD", "price"))
    visit.core.alter("BTC/USD", price="70001.2500")
    await visit.core.push("BTC/USD")
    await expect(visit.page.locator(cell("BTC/USD", "price"))).to_have_text("70,001.2500")
    assert await visit.text(cell("ETH/USD", "price")) == before


async def test_a_stale_feed_says_why_and_its_age_goes_on_counting(visit: Visit) -> None:
    visit.core.stale("SGB/USD", "of 1 markets: 1 stale", age_s=58.0)
    await visit.core.push("SGB/USD")
    state = visit.page.locator(cell("SGB/USD", "state"))
    await expect(state.locator(".pill")).to_have_text("stale")
    await expect(state.locator(".why")).to_have_text("of 1 markets: 1 stale")
    await expect(visit.page.locator(cell("SGB/USD", "age"))).to_have_text("1 m")
    assert await visit.text("[data-count=stale]") == "1"


async def test_a_live_price_that_is_no_longer_estimated_is_called_stale(visit: Visit) -> None:
    """The stream goes on, but the prices in it are of a pass 30 s ago."""
    at, clock = time.time(), visit.core.clock
    visit.core.clock = lambda: at - 30
    await visit.core.push()
    visit.core.clock = clock
    await visit.core.send({"type": "heartbeat", "sequence": visit.core.sequence, "at": time.time()})
    await expect(visit.page.locator(cell("BTC/USD", "state") + " .pill")).to_have_text("stale")
    assert "no new estimate for" in await visit.text(cell("BTC/USD", "state") + " .why")


async def test_a_lost_socket_shows_a_banner_and_no_price_as_live(visit: Visit) -> None:
    visit.core.refusing = True
    await visit.core.drop()
    await expect(visit.page.locator("#banner")).to_be_visible()
    assert await visit.text("#banner-title") == "The price stream is lost."
    assert "not live" in await visit.text("#banner-text")
    assert await visit.text("[data-count=live]") == "0"
    assert await visit.text(cell("BTC/USD", "state") + " .pill") == "not updated"


async def test_a_lost_socket_is_opened_again_and_its_banner_goes(visit: Visit) -> None:
    visit.core.refusing = True
    await visit.core.drop()
    await expect(visit.page.locator("#banner")).to_be_visible()
    visit.core.refusing = False
    visit.core.alter("BTC/USD", price="71000.0000")
    await visit.page.get_by_role("button", name="Try now").click()
    await expect(visit.page.locator("#banner")).to_be_hidden()
    await expect(visit.page.locator(cell("BTC/USD", "price"))).to_have_text("71,000.0000")
    await expect(visit.page.locator("#stream-facts")).to_contain_text("1 reconnect")
    assert await visit.text(cell("BTC/USD", "state") + " .pill") == "live"


async def test_a_socket_lost_for_a_moment_comes_back_by_itself(visit: Visit) -> None:
    await visit.core.drop()
    await visit.core.subscribed.wait()
    await expect(visit.page.locator("#connection")).to_have_attribute("data-state", "live")


async def test_a_gap_in_the_sequence_is_shown_and_a_snapshot_asked_for(visit: Visit) -> None:
    await visit.page.evaluate(
        "performance.now = (now => () => now.call(performance) + 6000)(performance.now)"
    )
    visit.core.subscribed.clear()
    await visit.core.push("BTC/USD", previous=visit.core.sequence + 3)
    await visit.core.subscribed.wait()
    assert visit.core.subscriptions == 2
    await expect(visit.page.locator("#stream-facts")).to_contain_text("1 gap (3 missed)")
    assert "3 updates after number" in await visit.text("#banner-text")


async def test_passes_merged_for_a_slow_client_are_no_gap(visit: Visit) -> None:
    await visit.core.push("BTC/USD", conflated=4)
    await expect(visit.page.locator("#stream-facts")).to_contain_text("4 merged on the way, no gaps")


async def test_a_problem_that_the_core_reports_is_shown(visit: Visit) -> None:
    problem = {"title": "Unknown feed", "status": 404, "detail": "no such feed: FOO/USD"}
    await visit.core.send({"type": "error", "problem": problem})
    await expect(visit.page.locator("#banner-text")).to_have_text("no such feed: FOO/USD")


async def test_the_filter_finds_feeds_by_name_and_by_reason(visit: Visit) -> None:
    visit.core.stale("XDC/USD", "of 2 markets: 2 dead venue")
    await visit.core.push("XDC/USD")
    await visit.page.keyboard.press("/")
    await visit.page.keyboard.type("usdc")
    assert await visit.shown_feeds() == ["USDC/USD"]
    assert await visit.text("#found") == "1 feed shown"
    await visit.page.fill("#search", "dead")
    assert await visit.shown_feeds() == ["XDC/USD"]
    await visit.page.fill("#search", "no such thing")
    assert await visit.text("#empty") == "No feed fits this filter."


async def test_feeds_are_shown_by_state(visit: Visit) -> None:
    visit.core.stale("XDC/USD", "of 2 markets: 2 dead venue")
    await visit.core.push("XDC/USD")
    await visit.page.get_by_text("Stale", exact=False).first.click()
    assert await visit.shown_feeds() == ["XDC/USD"]


async def test_headers_sort_by_keyboard_in_both_directions(visit: Visit) -> None:
    header = visit.page.get_by_role("button", name="Price, USD")
    await header.focus()
    await visit.page.keyboard.press("Enter")
    shown = await visit.shown_feeds()
    assert (shown[0], shown[-1]) == ("BTC/USD", "USDX/USD")
    await visit.page.keyboard.press("Enter")
    shown = await visit.shown_feeds()
    assert shown[-2:] == ["BTC/USD", "USDX/USD"]  # a feed without a price is last either way
    sorted_header = visit.page.locator("th[aria-sort]")
    assert await sorted_header.get_attribute("aria-sort") == "ascending"
    assert await sorted_header.count() == 1


async def test_a_feed_opens_with_its_sources_and_its_day(visit: Visit) -> None:
    visit.core.reasons["kraken:BTC/USDT"] = "outlier"
    await visit.page.click(f"{ROW.format('BTC/USD')} .feed-name")
    panel = visit.page.locator("#detail")
    await expect(panel.locator("#legs tr")).to_have_count(len(visit.core.sources("BTC/USD")["sources"]))
    await expect(panel.locator("tr[data-reason=outlier]")).to_contain_text("Kraken")
    await expect(panel.locator("tr[data-reason=outlier]")).to_contain_text("outlier")
    await expect(panel.locator("tr[data-reason=outlier] .away")).to_have_text("+500.0")
    await expect(panel.locator("svg[role=img]")).to_have_attribute("aria-label", CHART_LABEL)
    assert await panel.locator("polyline").count() == 2  # the line is not drawn over the hole in the record
    await visit.page.keyboard.press("Escape")
    await expect(panel).to_be_hidden()
    assert await visit.page.evaluate("document.activeElement.textContent") == "BTC/USD"


async def test_a_short_record_fills_its_own_span(visit: Visit) -> None:
    visit.core.history_s = 600
    await visit.page.click(f"{ROW.format('ETH/USD')} .feed-name")
    await expect(visit.page.locator("#detail-chart-title")).to_have_text("Last 15 minutes")


async def test_a_feed_that_no_venue_lists_opens_and_says_so(visit: Visit) -> None:
    await visit.page.goto(f"{visit.url}/#USDX/USD")
    await expect(visit.page.locator("#legs-note")).to_have_text(
        "No venue that Chrono reads lists this asset."
    )
    await expect(visit.page.locator("#detail-chart")).to_contain_text("Nothing is recorded")


async def test_the_strip_tells_how_venues_treat_the_collector(visit: Visit) -> None:
    retry_at = time.time() + 200
    visit.core.venues[1] = {**visit.core.venues[1], "state": "banned", "code": 418, "retry_at": retry_at}
    visit.core.venues[3] = {**visit.core.venues[3], "heard_at": time.time() - 95}
    banned = visit.page.locator("#venues [data-venue=binance]")
    until = time.strftime("%H:%M:%S", time.gmtime(retry_at))
    await expect(banned.locator(".venue-state")).to_have_text(f"banned (418) until {until}")
    await expect(visit.page.locator("#venues [data-venue=bybit]")).to_contain_text("collector is silent")
    await expect(visit.page.locator("#venues [data-venue=kraken] .venue-state")).to_have_text("healthy")


async def test_a_simulated_market_is_named_on_the_page(visit: Visit) -> None:
    await expect(visit.page.locator("#market")).to_have_text("Simulated market")


async def test_data_is_never_markup(visit: Visit) -> None:
    visit.core.stale("BTC/USD", "<img src=x onerror=alert(1)>")
    await visit.core.push("BTC/USD")
    await expect(visit.page.locator(cell("BTC/USD", "state") + " .why")).to_have_text(
        "<img src=x onerror=alert(1)>"
    )
    assert await visit.page.locator("#rows img").count() == 0


async def test_nothing_is_complained_of_and_no_other_host_is_asked(visit: Visit) -> None:
    visit.core.walk()
    await visit.core.push()
    await visit.page.click(f"{ROW.format('BTC/USD')} .feed-name")
    await expect(visit.page.locator("#detail-chart svg")).to_be_visible()
    assert visit.complaints == []
    assert visit.hosts == {visit.url.removeprefix("http://")}


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_is_legible_in_either_scheme(visit: Visit, scheme: str) -> None:
    """WCAG's contrast of at least 4.5 for what is read most, against the ground it stands on."""
    troubled(visit.core)
    await visit.core.push()
    await visit.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    for selector in ("#rows .c-price", "#rows .c-age", "#rows .pill", "#feeds th button", "#tagline"):
        assert await visit.page.locator(selector).first.evaluate(CONTRAST) >= 4.5, selector


async def test_a_phone_shows_all_without_scrolling_sideways(visit: Visit) -> None:
    troubled(visit.core)
    await visit.core.push()
    await visit.page.set_viewport_size({"width": 390, "height": 844})
    assert await visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    table = visit.page.locator("#feeds")
    assert await table.evaluate("table => table.offsetWidth <= table.parentElement.clientWidth")
    for column in ("price", "change", "age"):
        await expect(visit.page.locator(cell("BTC/USD", column))).to_be_in_viewport()
    await expect(visit.page.locator(ROW.format("SGB/USD") + " .why.under")).to_be_visible()


async def test_a_page_with_troubles_is_kept_as_a_picture(visit: Visit) -> None:
    troubled(visit.core)
    await visit.page.goto(f"{visit.url}/?#BTC/USD")
    await expect(visit.page.locator("#detail-chart svg")).to_be_visible()
    await expect(visit.page.locator("#venues [data-kind=bad]")).to_have_count(2)
    ARTIFACTS.mkdir(exist_ok=True)
    picture = await visit.page.screenshot(path=ARTIFACTS / "portal.png")
    assert picture.startswith(b"\x89PNG")


CHART_LABEL = re.compile(r"^BTC/USD, from .* UTC: low [\d,.]+, high [\d,.]+")
CONTRAST = """target => {
  const channels = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  let ground = target;
  while (ground.parentElement && channels(getComputedStyle(ground).backgroundColor)[3] === 0)
    ground = ground.parentElement;
  const one = light(channels(getComputedStyle(target).color));
  const other = light(channels(getComputedStyle(ground).backgroundColor));
  return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
}"""
