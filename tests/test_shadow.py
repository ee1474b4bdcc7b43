"""The shadow: two real value providers on loopback, one of which differs in one feed and lacks another."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from chrono.feeds import FEEDS
from core.aggregation.estimates import FeedState
from core.api.app import create_api
from core.api.schemas.protocol import ShadowDocument
from core.commands.shadow_table import head
from core.ftso.epochs import FLARE
from core.ftso.identities import VotingRoundId
from core.provider.shadow import Comparison, Pair, Tally, compare, farthest_first, tally
from core.rounds import FrozenRounds
from core.settings import Settings
from core.shadow import AFTER_COMMIT_S, BadShadow, Shadow, ShadowMetrics, Wanted, next_commit, run_shadow
from core.storage.pool import connect_pool
from core.storage.shadow import KEPT_S, PostgresShadowStore
from tests.fakes.services import NOW, World, estimates_at
from tests.fakes.stores import FakeRoundStore
from tests.loopback import Asked, response, serving
from tests.portal.fake_api import listening
from tests.processes import run_chrono

PRESENT = VotingRoundId(FLARE.round_at(NOW))
NAMES = [feed.name for feed in FEEDS]
ETH, LACKING = NAMES.index("ETH/USD"), NAMES.index("SGB/USD")
prices = st.floats(allow_nan=True, allow_infinity=True) | st.floats(1e-9, 1e9)


@asynccontextmanager
async def value_provider(*, deviating: bool) -> AsyncIterator[str]:
    """A real API over real frozen rounds; the deviating one has ETH 2 % higher and no SGB."""
    estimates = estimates_at()
    if deviating:
        price, state = estimates.price.copy(), estimates.state.copy()
        price[ETH] *= 1.02
        state[LACKING] = FeedState.STALE
        estimates = replace(estimates, price=price, state=state)
    world = World(estimates=estimates)
    rounds = FrozenRounds(
        timing=FLARE,
        commit_offset_s=75,
        latest=lambda: world.estimates,
        store=FakeRoundStore(),
        registry=CollectorRegistry(),
    )
    async with listening(create_api(replace(world.services(), rounds=rounds))) as url:
        yield url


@dataclass
class Two:
    """Ours and theirs."""

    ours: str
    theirs: str

    def settings(self, database: str | None = None) -> Settings:
        return Settings(core_url=self.ours, database_url=database)

    @asynccontextmanager
    async def shadow(self) -> AsyncIterator[Shadow]:
        async with (
            httpx.AsyncClient(base_url=self.ours, trust_env=False) as ours,
            httpx.AsyncClient(base_url=self.theirs, trust_env=False) as theirs,
        ):
            yield Shadow(ours, theirs)


@pytest.fixture
async def two() -> AsyncIterator[Two]:
    async with value_provider(deviating=False) as ours, value_provider(deviating=True) as theirs:
        yield Two(ours, theirs)


@pytest.mark.parametrize("voting_round", [PRESENT, None], ids=["of a round", "of the present"])
async def test_the_deviating_feed_is_found_and_no_other(two: Two, voting_round: VotingRoundId | None) -> None:
    async with two.shadow() as shadow:
        comparison = await shadow.once(voting_round, NOW)
    assert (comparison.failure, len(comparison.pairs)) == (None, 63)
    by_feed = {pair.feed: pair for pair in comparison.pairs}
    eth, btc, lacking = by_feed["ETH/USD"], by_feed["BTC/USD"], by_feed["SGB/USD"]
    assert eth.ppm == pytest.approx(20_000)
    assert (eth.in_our_band, eth.in_secondary) == (False, False)
    assert (btc.ppm, btc.in_our_band, btc.in_secondary) == (0, True, True)
    assert (lacking.theirs, lacking.ppm, lacking.in_secondary) == (None, None, None)
    assert lacking.ours is not None
    assert sum(pair.ppm != 0 for pair in comparison.pairs) == 2


async def test_comparisons_are_stored_counted_exported_and_served(
    two: Two, database: str, tmp_path: Path
) -> None:
    shown: list[str] = []
    wanted = Wanted(two.theirs, every_s=0.01, comparisons=3, export=tmp_path / "pairs.csv")
    counted = await run_shadow(
        two.settings(database),
        wanted,
        asyncio.Event(),
        lambda seen: shown.append(head(wanted.name, seen)),
    )
    assert (counted.comparisons, counted.failures, len(shown)) == (3, 0, 3)
    assert "3 comparisons, 0 failed" in shown[-1]
    with wanted.export.open() as file:  # type: ignore[union-attr]
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 63
    assert {row["feed"] for row in rows if row["in_secondary"] == "False"} == {"ETH/USD"}
    pool = await connect_pool(database, size=1)
    app = create_api(replace(World().services(), shadow_book=PostgresShadowStore(pool)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chrono") as client:
        told = ShadowDocument.model_validate((await client.get("/v1/shadow")).json())
    await pool.close()
    (entry,) = told.shadows
    assert (entry.endpoint, entry.comparisons, entry.last_round) == (wanted.name, 3, None)
    feeds = {feed.feed: feed for feed in entry.feeds}
    assert (feeds["ETH/USD"].compared, feeds["ETH/USD"].secondary_share) == (3, 0.0)
    assert (feeds["SGB/USD"].missing_theirs, feeds["SGB/USD"].ppm_abs_mean) == (3, None)
    assert entry.secondary_share == pytest.approx(61 / 62)


async def test_lines_of_json_hold_the_same_pairs(two: Two, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    wanted = Wanted(two.theirs, every_s=0.01, comparisons=2, export=path)
    await run_shadow(two.settings(), wanted, asyncio.Event(), lambda _: None)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [len(line["feeds"]) for line in lines] == [63, 63]
    assert lines[0]["feeds"][ETH]["ppm"] == pytest.approx(20_000)


async def test_an_export_never_overwrites_a_file(two: Two, tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("precious")
    with pytest.raises(BadShadow, match="exists"):
        await run_shadow(two.settings(), Wanted(two.theirs, 1.0, 1, path), asyncio.Event(), lambda _: None)
    assert path.read_text() == "precious"


async def test_a_side_that_does_not_answer_is_a_failure_that_is_told_and_counted(two: Two) -> None:
    async def broken(asked: Asked) -> bytes:
        return response(b'{"data": [{"feed": 1, "value": 1}]}', 201)

    async with serving(broken) as url:
        counted = await run_shadow(
            two.settings(), Wanted(url, every_s=0.01, comparisons=2), asyncio.Event(), lambda _: None
        )
    assert (counted.comparisons, counted.failures, counted.feeds) == (2, 2, ())
    assert counted.last is not None
    assert counted.last.failure == "theirs: no values now: TypeError"


async def test_an_endless_answer_is_cut_off(two: Two) -> None:
    async def endless(asked: Asked) -> bytes:
        return response(b" " * (2 << 20), 201)

    async with serving(endless) as url, Two(two.ours, url).shadow() as shadow:
        comparison = await shadow.once(PRESENT, NOW)
    assert comparison.failure == f"theirs: no values for round {PRESENT}: ValueError"


async def test_a_round_that_one_side_has_missed_is_a_failure(two: Two) -> None:
    async with two.shadow() as shadow:
        comparison = await shadow.once(VotingRoundId(PRESENT - 5), NOW)
    assert "ours: no values" in (comparison.failure or "")
    assert "HTTP 404" in (comparison.failure or "")


async def test_the_command_ends_with_a_summary(two: Two, tmp_path: Path) -> None:
    code, printed = await run_chrono(
        tmp_path,
        *("provider", "shadow", "--endpoint", two.theirs, "--every-s", "1", "--comparisons", "1"),
        CHRONO_CORE_URL=two.ours,
    )
    assert code == 0, printed
    assert "98.4% of pairs in the secondary band" in printed
    assert "+20,000" in printed
    assert "1 theirs" in printed


async def test_an_endpoint_that_is_no_url_is_refused(tmp_path: Path) -> None:
    code, printed = await run_chrono(tmp_path, "provider", "shadow", "--endpoint", "localhost:1")
    assert (code, "base URL" in printed) == (1, True)


def test_what_may_be_a_secret_in_the_url_is_neither_stored_nor_shown() -> None:
    assert Wanted("https://us:hunter2@values.example:3101/key/hunter3").name == "values.example:3101"


async def test_old_comparisons_go_and_a_repeat_changes_nothing(database: str) -> None:
    pool = await connect_pool(database, size=1)
    store = PostgresShadowStore(pool)
    pair = Pair("BTC/USD", 1.0, None, (0.9, 1.1))
    old, new = Comparison(NOW, PRESENT, (pair,)), Comparison(NOW + KEPT_S + 1, None, (), "theirs: away")
    await store.append("a:1", old)
    await store.append("a:1", replace(old, pairs=()))
    assert await store.newest("a:1", 5) == [old]
    await store.append("a:1", new)
    await store.append("b:1", old)
    assert await store.newest("a:1", 5) == [new]
    assert await store.endpoints() == ["a:1", "b:1"]
    await pool.close()


@given(prices, prices, prices, prices)
def test_whatever_is_told_a_pair_says_nothing_or_something_finite(
    ours: float, theirs: float, low: float, high: float
) -> None:
    comparison = compare(NOW, None, {"BTC/USD": ours}, {"BTC/USD": theirs}, {"BTC/USD": (low, high)})
    pair = next(pair for pair in comparison.pairs if pair.feed == "BTC/USD")
    both = all(1e-15 < each < 1e15 for each in (ours, theirs))
    assert pair.ppm is None or np.isfinite(pair.ppm)
    assert (pair.ppm is None) == (not both)
    assert (pair.in_secondary is None) == (not both)
    assert tally([comparison]).comparisons == 1


@given(st.lists(st.tuples(prices, prices), min_size=1, max_size=20))
def test_a_tally_adds_up(told: list[tuple[float, float]]) -> None:
    comparisons = [
        compare(float(n), None, {"BTC/USD": a}, {"BTC/USD": b}, {}) for n, (a, b) in enumerate(told)
    ]
    counted = next(feed for feed in tally(comparisons).feeds if feed.feed == "BTC/USD")
    pairs = [next(p for p in each.pairs if p.feed == "BTC/USD") for each in comparisons]
    known = [pair.ppm for pair in pairs if pair.ppm is not None]
    assert counted.compared == len(known)
    assert counted.missing_ours == sum(pair.ours is None for pair in pairs)
    assert counted.ppm_abs_max == max(map(abs, known), default=0.0)
    assert counted.last == pairs[-1]
    assert farthest_first(tally(comparisons).feeds)[0].feed == ("BTC/USD" if known else NAMES[0])


@given(st.floats(1.7e9, 1.8e9), st.integers(1, 40))
def test_each_round_is_compared_once_and_after_it_was_frozen(at: float, count: int) -> None:
    last, now = None, at
    for _ in range(count):
        number, wait_s = next_commit(FLARE, 75.0, last, now)
        now += wait_s
        assert wait_s >= 0
        assert now >= FLARE.start_of(number) + 75 + AFTER_COMMIT_S - 1e-3
        assert last is None or number == last + 1
        last = number


def test_every_pair_is_counted_by_what_was_found() -> None:
    registry = CollectorRegistry()
    metrics = ShadowMetrics(registry)
    metrics.count(
        Comparison(NOW, None, (Pair("BTC/USD", 100.0, 101.0, (99.0, 102.0)), Pair("ETH/USD", 1, None)))
    )
    metrics.count(Comparison(NOW, None, (), "theirs: away"))
    found = {
        word: registry.get_sample_value("chrono_shadow_pairs_total", {"found": word})
        for word in ("compared", "in_our_band", "in_secondary", "missing_ours", "missing_theirs")
    }
    assert found == {
        "compared": 1,
        "in_our_band": 1,
        "in_secondary": None,
        "missing_ours": None,
        "missing_theirs": 1,
    }
    assert registry.get_sample_value("chrono_shadow_comparisons_total", {"outcome": "failed"}) == 1
    assert registry.get_sample_value("chrono_shadow_difference_ppm", {"feed": "BTC/USD"}) == 10_000


def test_nothing_compared_is_told_as_that() -> None:
    assert "nothing compared yet" in head("a:1", Tally())
