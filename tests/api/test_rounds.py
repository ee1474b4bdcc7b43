"""Rounds and scores over HTTP, from what the provider has stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from core.api.app import create_api
from core.api.schemas.protocol import RoundDocument, RoundList, ScoreDocument
from core.ftso.identities import VotingRoundId
from core.ftso.reveal import Reveal
from core.ftso.round import Progress, Record
from core.ftso.timings import Step
from core.provider.ports import Frozen
from core.provider.score import FeedScore, RoundScore
from core.storage.pool import connect_pool, connector
from core.storage.provider import PostgresLedgers, PostgresScores
from tests.fakes.services import World

US = "31337:0xaa"
FROZEN = Frozen(Reveal(b"\x01" * 32, b""), b"\x02" * 32)
HIT = FeedScore("BTC/USD", 64_000, 2, 9_000, 4, 64_001, True, True, True, 1, 15.6)
MISS = FeedScore("ETH/USD", 3_000, 2, 9_000, 4, 3_300, False, False, False, 4, 100_000.0)


@pytest.fixture
async def api(database: str) -> AsyncIterator[httpx.AsyncClient]:
    """An API over a database in which round 7 is finished and round 8 committed."""
    async with PostgresLedgers(connector(database)).lease(US, "test") as ledger:
        for number in map(VotingRoundId, (7, 8)):
            await ledger.freeze(number, 75.0, FROZEN)
            await ledger.note(number, Step.COMMIT, Record(Progress.CONFIRMED, 77.0, FROZEN.commit_hash))
        await ledger.note(VotingRoundId(8), Step.REVEAL, Record(Progress.ATTEMPTED, 110.0, b""))
        await ledger.keep_score(RoundScore(VotingRoundId(7), b"\x05" * 32, 2**255, True, True, (HIT, MISS)))
    pool = await connect_pool(database, size=1)
    app = create_api(replace(World().services(), round_book=PostgresScores(pool, US)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chrono") as client:
        yield client
    await pool.close()


async def test_a_finished_round_is_told_feed_by_feed(api: httpx.AsyncClient) -> None:
    told = RoundDocument.model_validate((await api.get("/v1/rounds/7")).json())
    assert (told.state, told.finalized, told.merkle_root) == ("finalized", True, "0x" + "05" * 32)
    assert (told.primary_share, told.feeds[0].ours, told.feeds[1].rank) == (0.5, 64_001, 4)
    assert told.random == str(2**255)


async def test_the_latest_round_may_be_unfinished(api: httpx.AsyncClient) -> None:
    told = RoundDocument.model_validate((await api.get("/v1/rounds/latest")).json())
    assert (told.voting_round_id, told.state, told.finalized, told.feeds) == (8, "committed", False, [])
    assert (told.steps.frozen, told.steps.committed, told.steps.revealed) == (75.0, 77.0, None)


async def test_the_newest_rounds_are_listed(api: httpx.AsyncClient) -> None:
    told = RoundList.model_validate((await api.get("/v1/rounds?limit=5")).json())
    assert [(each.voting_round_id, each.state) for each in told.rounds] == [
        (8, "committed"),
        (7, "finalized"),
    ]


async def test_the_score_counts_feed_rounds(api: httpx.AsyncClient) -> None:
    told = ScoreDocument.model_validate((await api.get("/v1/score")).json())
    assert (told.rounds, told.revealed, told.primary_share) == (1, 1, 0.5)
    assert [(feed.feed, feed.half_percent_share) for feed in told.feeds] == [
        ("BTC/USD", 1.0),
        ("ETH/USD", 0.0),
    ]


async def test_a_round_that_nothing_is_known_of_is_not_found(api: httpx.AsyncClient) -> None:
    answer = await api.get("/v1/rounds/9")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:chrono:problem:no-round")


async def test_without_a_provider_the_refusal_says_what_to_set() -> None:
    app = create_api(World().services())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chrono") as client:
        answer = await client.get("/v1/rounds/latest")
    assert answer.status_code == 404
    assert "CHRONO_SUBMIT_ADDRESS" in answer.json()["detail"]
