"""The portal's pure parts, called in the browser they are written for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.portal.conftest import Visit

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def call(visit: Visit, module: str, body: str) -> Any:
    """What the function body returns, with the module's exports as `m`."""
    return await visit.page.evaluate(f"async () => {{ const m = await import('/{module}.js'); {body} }}")


async def test_back_off_doubles_to_a_bound_with_half_of_it_at_random(visit: Visit) -> None:
    waits = "return [0, 1, 4, 20, 5000].map(n => [m.backoff(n, () => 0), m.backoff(n, () => 1)]);"
    assert await call(visit, "stream", waits) == [
        [250, 500],
        [500, 1_000],
        [4_000, 8_000],
        [15_000, 30_000],
        [15_000, 30_000],
    ]


CLOCK = "let steady = 0, wall = 0; const clock = new m.ServerClock(() => steady, () => wall);"


async def test_a_message_held_up_on_the_way_does_not_turn_the_clock_back(visit: Visit) -> None:
    body = CLOCK + "clock.hear(100); steady = wall = 10_000; clock.hear(103); return clock.now();"
    assert await call(visit, "clock", body) == 110


async def test_a_new_connection_sets_the_clock_anew(visit: Visit) -> None:
    body = (
        CLOCK + "clock.hear(100); steady = wall = 10_000; clock.renew(); clock.hear(103); return clock.now();"
    )
    assert await call(visit, "clock", body) == 103


async def test_sleep_counts_although_the_steady_clock_stood(visit: Visit) -> None:
    body = CLOCK + "clock.hear(100); steady = 1_000; wall = 60_000; return clock.now();"
    assert await call(visit, "clock", body) == 160


async def test_a_live_price_is_not_live_once_nobody_keeps_it_up_to_date(visit: Visit) -> None:
    body = """
        const price = {state: "live", why: null, at: 100};
        const told = (connected, now) => m.verdict(price, {connected, now}).state;
        return [told(true, 101), told(true, 111), told(false, 101)];
    """
    assert await call(visit, "row", body) == ["live", "stale", "lost"]


async def test_rows_without_a_value_sort_last_in_either_direction(visit: Visit) -> None:
    body = "return [1, -1].map(way => [3, NaN, 1].sort((a, b) => m.compare(a, b, way)).map(String));"
    assert await call(visit, "board", body) == [["1", "3", "NaN"], ["3", "1", "NaN"]]


async def test_of_several_collectors_reports_the_gravest_is_shown(visit: Visit) -> None:
    body = """
        const rest = {since: 90, code: 0, retry_at: null};
        const report = (state) => ({venue: "kraken", state, heard_at: 99, ...rest});
        return m.strip([report("healthy"), report("banned")], 100).map(told => [told.kind, told.text]);
    """
    assert await call(visit, "venues", body) == [["bad", "banned, at 1 of 2 collectors"]]


async def test_the_collectors_behind_the_sources_are_counted(visit: Visit) -> None:
    body = """
        const by = (...routes) => m.routesText(routes.map((route) => ({route})));
        return [by("local", "edge", null, "local"), by("local", "local"), by(undefined, null)];
    """
    assert await call(visit, "detail", body) == [
        "Last seen by the collectors edge (1), local (2).",
        "Seen by the collector local.",
        "",
    ]


async def test_the_axis_has_round_prices_within_its_range(visit: Visit) -> None:
    assert await call(visit, "chart", "return m.ticks(63_310, 64_990);") == [63_500, 64_000, 64_500]
    assert await call(visit, "chart", "return m.ticks(5, 5);") == [5]


async def test_numbers_are_written_for_people(visit: Visit) -> None:
    body = """return [m.price("1234567.80"), m.price("0.000011990"), m.price(null), m.signed(-0.001, 2),
                      m.signed(-1.5, 1), m.duration(125), m.coarse(7260), m.bandBps("99", "101")];"""
    assert await call(visit, "format", body) == [
        "1,234,567.80",
        "0.000011990",
        "–",
        "0.00",
        "−1.5",
        "2 m 5 s",
        "2 h",
        100,
    ]
