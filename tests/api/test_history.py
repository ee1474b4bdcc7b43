"""What `/v1/prices/history` says of the past, and within which bounds."""

from __future__ import annotations

import httpx
import pytest

from core.api.history import LIMIT_MAX, SPAN_S_MAX
from core.api.schemas.prices import History
from core.ports import StoreUnavailable
from tests.fakes.services import NOW, World

PATH = "/v1/prices/history"


async def ask(client: httpx.AsyncClient, **query: object) -> History:
    names = {"start": "from", "end": "to"}
    params = {names.get(name, name): str(value) for name, value in query.items()}
    answer = await client.get(PATH, params={"feed": "BTC/USD", **params})
    assert answer.status_code == 200, answer.text
    return History.model_validate_json(answer.content)


async def test_without_bounds_it_is_the_last_day_in_minutes(client: httpx.AsyncClient) -> None:
    told = await ask(client)
    assert (told.start, told.end, told.next) == (NOW - 86_400, NOW, None)
    assert told.candles is not None
    assert len(told.candles) == 1_440


async def test_a_candle_is_told_in_text_and_seconds(client: httpx.AsyncClient) -> None:
    told = await client.get(PATH, params={"feed": "BTC/USD", "interval": "1h"})
    candle = told.json()["candles"][0]
    assert (candle["open"], candle["vwap"], candle["volume"]) == ("100.0000", None, 12.5)
    assert candle["start"] % 3600 == 0


@pytest.mark.parametrize("interval", ["raw", "1m", "5m"])
async def test_pages_lead_on_without_gap_or_overlap(client: httpx.AsyncClient, interval: str) -> None:
    span_s = 60.5 if interval == "raw" else 3_000.5
    query = {"interval": interval, "start": NOW - span_s, "end": NOW}
    whole = await ask(client, **query)
    page = await ask(client, **query, limit=7)
    rows = list(page.points or page.candles or [])
    while page.next:
        answer = await client.get(page.next)
        page = History.model_validate_json(answer.content)
        rows += page.points or page.candles or []
    assert rows == (whole.points or whole.candles)


async def test_times_are_read_as_seconds_or_iso_8601(client: httpx.AsyncClient) -> None:
    in_seconds = await ask(client, start="1789999940.5", end="1790000000")
    in_iso = await ask(client, start="2026-09-21T16:12:20.5+02:00", end="2026-09-21T14:13:20Z")
    assert (in_iso.start, in_iso.end) == (in_seconds.start, in_seconds.end)


async def test_no_answer_covers_more_than_its_bound(client: httpx.AsyncClient) -> None:
    told = await ask(client, interval="1d", start=0, end=NOW, limit=LIMIT_MAX)
    assert told.candles is not None
    assert len(told.candles) == SPAN_S_MAX / 86_400
    assert told.next is not None


@pytest.mark.parametrize(
    ("query", "slug"),
    [
        ({"from": "yesterday"}, "invalid-time"),
        ({"from": "2026-09-21T14:13:20"}, "invalid-time"),
        ({"from": "2026-13-21T14:13:20Z"}, "invalid-time"),
        ({"to": "nan"}, "invalid-time"),
        ({"to": "9999999999"}, "invalid-time"),
        ({"from": "20", "to": "10"}, "empty-window"),
        ({"from": "0", "interval": "raw"}, "range-too-large"),
        ({"from": "0", "interval": "1m"}, "range-too-large"),
        ({"interval": "2m"}, "invalid-request"),
        ({"limit": "0"}, "invalid-request"),
        ({"limit": str(LIMIT_MAX + 1)}, "invalid-request"),
        ({"feed": "not a feed"}, "invalid-request"),
        ({"start": "10"}, "unknown-parameter"),
    ],
)
async def test_a_wrong_question_is_refused_precisely(
    client: httpx.AsyncClient, query: dict[str, str], slug: str
) -> None:
    answer = await client.get(PATH, params={"feed": "BTC/USD", **query})
    assert (answer.status_code, answer.json()["type"]) == (400, f"urn:chrono:problem:{slug}")


async def test_a_window_without_width_is_empty(client: httpx.AsyncClient) -> None:
    told = await ask(client, start=NOW, end=NOW)
    assert (told.candles, told.next) == ([], None)


async def test_an_unknown_feed_is_not_found(client: httpx.AsyncClient) -> None:
    answer = await client.get(PATH, params={"feed": "FOO/USD"})
    assert (answer.status_code, answer.json()["feeds"]) == (404, ["FOO/USD"])


async def test_with_the_store_down_it_says_when_to_come_back(client: httpx.AsyncClient, world: World) -> None:
    world.store.fails_with = StoreUnavailable("the database is down", 5.0)
    answer = await client.get(PATH, params={"feed": "BTC/USD"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
