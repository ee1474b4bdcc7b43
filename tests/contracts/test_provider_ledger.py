"""What every provider's ledger promises, held by the fake and by PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from core.ftso.duties import Duty, Owed
from core.ftso.identities import RewardEpochId, VotingRoundId
from core.ftso.reveal import Reveal
from core.ftso.round import Progress, Record
from core.ftso.timings import Step
from core.provider.ports import Frozen, LeaseHeld, LeaseLost, Ledgers
from core.provider.score import FeedScore, RoundScore
from core.storage.pool import connect_pool, connector
from core.storage.provider import PostgresLedgers, PostgresScores
from tests.databases import fresh_database
from tests.fakes.ledgers import FakeLedgers

US = "31337:0xaa"
ROUND = VotingRoundId(7)
FROZEN = Frozen(Reveal(b"\x01" * 32, b"\x80\x00\x00\x01"), b"\x02" * 32)
OTHER = Frozen(Reveal(b"\x03" * 32, b""), b"\x04" * 32)
ATTEMPTED = Record(Progress.ATTEMPTED, 75.5, b"\x02" * 32)
SCORE = RoundScore(
    ROUND, b"\x05" * 32, 2**255, True, True, (FeedScore("BTC/USD", 64_000, 2, 9_000, 4, 64_001, rank=1),)
)


@pytest.fixture(params=["fake", "postgres"])
async def ledgers(request: pytest.FixtureRequest) -> AsyncIterator[Ledgers]:
    if request.param == "fake":
        yield FakeLedgers()
        return
    async with fresh_database(request.getfixturevalue("plain_server")) as dsn:
        yield PostgresLedgers(connector(dsn))


async def test_what_was_frozen_first_stands_over_restarts(ledgers: Ledgers) -> None:
    async with ledgers.lease(US, "one") as ledger:
        assert await ledger.freeze(ROUND, 75.0, FROZEN) == FROZEN
    async with ledgers.lease(US, "two") as ledger:
        assert await ledger.freeze(ROUND, 76.0, OTHER) == FROZEN
        assert [kept.frozen for kept in await ledger.load(ROUND)] == [FROZEN]


async def test_steps_come_back_as_they_were_noted(ledgers: Ledgers) -> None:
    async with ledgers.lease(US, "one") as ledger:
        await ledger.note(ROUND, Step.COMMIT, ATTEMPTED)
        confirmed = Record(Progress.CONFIRMED, 77.0, ATTEMPTED.content)
        assert await ledger.note(ROUND, Step.COMMIT, confirmed) == ATTEMPTED.content
        (kept,) = await ledger.load(ROUND)
        assert (kept.voting_round, dict(kept.records)) == (ROUND, {Step.COMMIT: confirmed})


async def test_a_step_never_says_a_second_thing(ledgers: Ledgers) -> None:
    async with ledgers.lease(US, "one") as ledger:
        await ledger.note(ROUND, Step.SIGN, Record(Progress.ATTEMPTED, 1.0, b"this"))
        assert await ledger.note(ROUND, Step.SIGN, Record(Progress.ATTEMPTED, 2.0, b"that")) == b"this"
        (kept,) = await ledger.load(ROUND)
        assert kept.records[Step.SIGN] == Record(Progress.ATTEMPTED, 1.0, b"this")


async def test_a_duty_never_says_a_second_thing_and_comes_back_as_it_was_noted(ledgers: Ledgers) -> None:
    owed, old = Owed(Duty.SIGN_REWARDS, RewardEpochId(9)), Owed(Duty.CLAIM, RewardEpochId(3))
    async with ledgers.lease(US, "one") as ledger:
        assert await ledger.note_duty(old, ATTEMPTED) == ATTEMPTED.content
        assert await ledger.note_duty(owed, Record(Progress.ATTEMPTED, 1.0, b"this")) == b"this"
        assert await ledger.note_duty(owed, Record(Progress.ATTEMPTED, 2.0, b"that")) == b"this"
    async with ledgers.lease(US, "two") as ledger:
        confirmed = Record(Progress.CONFIRMED, 3.0, b"this")
        assert await ledger.note_duty(owed, confirmed) == b"this"
        assert await ledger.load_duties(RewardEpochId(4)) == {owed: confirmed}


async def test_rounds_and_duties_are_written_at_the_same_time(ledgers: Ledgers) -> None:
    owed = Owed(Duty.REGISTER, RewardEpochId(9))
    async with ledgers.lease(US, "one") as ledger:
        await asyncio.gather(
            *(ledger.freeze(VotingRoundId(number), 75.0, FROZEN) for number in range(5)),
            *(ledger.note_duty(owed, ATTEMPTED) for _ in range(5)),
        )
        assert len(await ledger.load(VotingRoundId(0))) == 5


async def test_only_rounds_that_still_matter_are_loaded(ledgers: Ledgers) -> None:
    async with ledgers.lease(US, "one") as ledger:
        for number in (6, 7, 8):
            await ledger.freeze(VotingRoundId(number), 75.0, FROZEN)
        assert [kept.voting_round for kept in await ledger.load(ROUND)] == [7, 8]


async def test_two_instances_never_hold_one_lease(ledgers: Ledgers) -> None:
    async with ledgers.lease(US, "one"):
        with pytest.raises(LeaseHeld, match="one works as"):
            async with ledgers.lease(US, "two"):
                raise AssertionError("there are two")


async def test_two_providers_do_not_know_each_other(ledgers: Ledgers) -> None:
    async with ledgers.lease(US, "one") as ours, ledgers.lease("31337:0xbb", "two") as theirs:
        await ours.freeze(ROUND, 75.0, FROZEN)
        assert await theirs.load(ROUND) == []


async def test_an_instance_that_was_overtaken_writes_nothing() -> None:
    ledgers = FakeLedgers()
    async with ledgers.lease(US, "one") as old:
        new = ledgers.take_over(US, "two")
        with pytest.raises(LeaseLost):
            await old.freeze(ROUND, 75.0, FROZEN)
        assert await new.load(ROUND) == []


async def test_the_lease_is_free_when_its_session_is_killed_and_its_holder_writes_nothing_more(
    database: str,
) -> None:
    ledgers = PostgresLedgers(connector(database))
    admin = await connector(database)()
    async with ledgers.lease(US, "one") as old:
        await admin.execute("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'")
        with pytest.raises(LeaseLost):
            await old.freeze(ROUND, 75.0, FROZEN)
        async with ledgers.lease(US, "two") as new:
            assert await new.load(ROUND) == []
            with pytest.raises(LeaseLost):
                await old.note(ROUND, Step.SIGN, ATTEMPTED)
    await admin.close()


async def test_a_later_fence_shuts_out_a_session_that_still_lives(database: str) -> None:
    ledgers = PostgresLedgers(connector(database))
    admin = await connector(database)()
    async with ledgers.lease(US, "one") as old:
        await admin.execute("update provider_leases set fence = fence + 1")
        with pytest.raises(LeaseLost, match="took"):
            await old.freeze(ROUND, 75.0, FROZEN)
    assert await admin.fetchval("select count(*) from provider_reveals") == 0
    await admin.close()


async def test_a_score_is_read_as_it_was_kept(database: str) -> None:
    async with PostgresLedgers(connector(database)).lease(US, "one") as ledger:
        await ledger.keep_score(SCORE)
        await ledger.keep_score(SCORE)
    pool = await connect_pool(database, size=1)
    scores = PostgresScores(pool, US)
    assert await scores.find(ROUND) == SCORE
    assert await scores.since(VotingRoundId(0), 10) == [SCORE]
    assert await scores.find(VotingRoundId(8)) is None
    await pool.close()
