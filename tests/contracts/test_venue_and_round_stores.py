"""What every VenueStore and RoundStore promises, held by the fakes and by PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from prometheus_client import CollectorRegistry

from chrono.ticks import Reason
from chrono.venue_state import VenueReport, VenueState
from core.ports import RoundStore, VenueStore
from core.storage.metrics import StorageMetrics
from core.storage.pool import connect_pool
from core.storage.rounds import PostgresRoundStore
from core.storage.venues import PostgresVenueStore
from tests.databases import fresh_database
from tests.fakes.stores import FakeRoundStore, FakeVenueStore
from tests.records import AT, KEY

Changes = Callable[[], Awaitable[list[tuple[str, int]]]]

HEALTHY = VenueReport("kraken", VenueState.HEALTHY, AT - 60, requests=10, refused={Reason.STALE: 2})
BANNED = VenueReport("kraken", VenueState.BANNED, AT, retry_at=AT + 120, code=418, requests=11, failures=1)


@pytest.fixture(params=["fake", "plain", "timescale"])
async def venues(request: pytest.FixtureRequest) -> AsyncIterator[tuple[VenueStore, Changes]]:
    """A store, and what reads back the (venue, state) of its rows in order."""
    if request.param == "fake":
        fake = FakeVenueStore()

        async def told() -> list[tuple[str, int]]:
            return [(report.venue, int(report.state)) for _, _, report in fake.changes]

        yield fake, told
        return
    async with fresh_database(request.getfixturevalue(f"{request.param}_server")) as dsn:
        pool = await connect_pool(dsn, size=2)

        async def stored() -> list[tuple[str, int]]:
            rows = await pool.fetch("select venue, state from venue_states order by at, venue")
            return [tuple(row) for row in rows]

        yield PostgresVenueStore(pool, StorageMetrics(CollectorRegistry())), stored
        await pool.close()


@pytest.fixture(params=["fake", "plain", "timescale"])
async def rounds(request: pytest.FixtureRequest) -> AsyncIterator[RoundStore]:
    if request.param == "fake":
        yield FakeRoundStore()
        return
    async with fresh_database(request.getfixturevalue(f"{request.param}_server")) as dsn:
        pool = await connect_pool(dsn, size=4)
        yield PostgresRoundStore(pool)
        await pool.close()


async def test_a_first_report_is_stored(venues: tuple[VenueStore, Changes]) -> None:
    store, changes = venues
    await store.append(KEY, [HEALTHY], AT)
    assert await changes() == [("kraken", VenueState.HEALTHY)]


async def test_a_report_of_the_same_state_is_not_stored_again(venues: tuple[VenueStore, Changes]) -> None:
    store, changes = venues
    for second in range(3):
        await store.append(KEY, [HEALTHY], AT + second)
    assert await changes() == [("kraken", VenueState.HEALTHY)]


async def test_every_change_of_state_is_stored(venues: tuple[VenueStore, Changes]) -> None:
    store, changes = venues
    for second, report in enumerate((HEALTHY, BANNED, BANNED, HEALTHY)):
        await store.append(KEY, [report], AT + second)
    assert [state for _, state in await changes()] == [
        VenueState.HEALTHY,
        VenueState.BANNED,
        VenueState.HEALTHY,
    ]


async def test_two_collectors_are_told_apart(venues: tuple[VenueStore, Changes]) -> None:
    store, changes = venues
    await store.append(KEY, [HEALTHY], AT)
    await store.append(b"another!", [HEALTHY], AT + 1)
    assert len(await changes()) == 2


async def test_the_first_values_of_a_round_stand(rounds: RoundStore) -> None:
    assert await rounds.freeze(7, AT, {"BTC/USD": 97_000.5}) == {"BTC/USD": 97_000.5}
    assert await rounds.freeze(7, AT + 1, {"BTC/USD": 1.0, "ETH/USD": 2.0}) == {"BTC/USD": 97_000.5}
    assert await rounds.find(7) == {"BTC/USD": 97_000.5}


async def test_a_round_that_was_never_frozen_is_none(rounds: RoundStore) -> None:
    await rounds.freeze(7, AT, {"BTC/USD": 1.0})
    assert await rounds.find(8) is None


async def test_simultaneous_freezes_of_a_round_agree(rounds: RoundStore) -> None:
    answers = await asyncio.gather(*(rounds.freeze(7, AT, {"BTC/USD": float(n)}) for n in range(1, 9)))
    assert all(answer == answers[0] for answer in answers)


async def test_frozen_doubles_come_back_to_the_last_bit(rounds: RoundStore) -> None:
    values = {"A/USD": 0.1 + 0.2, "B/USD": 5e-324, "C/USD": 1.7976931348623157e308, "D/USD": 1e-7 / 3}
    await rounds.freeze(7, AT, values)
    assert await rounds.find(7) == values


async def test_a_value_that_is_no_number_cannot_be_frozen(rounds: RoundStore) -> None:
    with pytest.raises(ValueError, match="finite"):
        await rounds.freeze(7, AT, {"BTC/USD": float("nan")})
    assert await rounds.find(7) is None
