"""What every store of accounts keeps: the suite runs on the fake and on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date

import pytest

from core.gateway.accounts import Accounts, Mark, NoSuch, Order, Usage
from core.gateway.keys import DEFAULT_SCOPES, make_key
from core.gateway.meter import MeterBatch, UsageRow
from core.gateway.tiers import Tier
from core.gateway.watch import Block
from core.ports import StoreUnavailable
from core.storage.embedded import EmbeddedPostgres
from core.storage.gateway import PostgresAccounts
from core.storage.pool import connect_pool
from tests.databases import fresh_database
from tests.fakes.accounts import FakeAccounts

NOW = 1_790_000_000.25
DAY = date(2026, 9, 21)
ONE, OTHER, THIRD = (make_key(bytes([number]) * 40) for number in (1, 2, 3))
ORDER = Order("acme", Tier.DEVELOPER, "server", DEFAULT_SCOPES, NOW + 1_000)


@pytest.fixture(params=["fake", "postgres"])
async def accounts(request: pytest.FixtureRequest) -> AsyncIterator[Accounts]:
    if request.param == "fake":
        yield FakeAccounts()
        return
    async with fresh_database(request.getfixturevalue("plain_server")) as dsn:
        pool = await connect_pool(dsn)
        yield PostgresAccounts(pool)
        pool.terminate()


async def test_a_key_comes_back_as_it_was_made(accounts: Accounts) -> None:
    made = await accounts.issue(ORDER, ONE, NOW)
    assert (made.prefix, made.digest, made.tier, made.scopes) == (
        ONE.prefix,
        ONE.digest,
        Tier.DEVELOPER,
        DEFAULT_SCOPES,
    )
    assert (made.created_at, made.expires_at, made.revoked_at) == (NOW, NOW + 1_000, None)
    assert await accounts.keys() == [made]
    assert await accounts.keys("nobody") == []


async def test_a_new_order_moves_the_whole_account_to_its_tier(accounts: Accounts) -> None:
    await accounts.issue(ORDER, ONE, NOW)
    await accounts.issue(replace(ORDER, tier=Tier.PREMIUM), OTHER, NOW + 1)
    assert [key.tier for key in await accounts.keys("acme")] == [Tier.PREMIUM, Tier.PREMIUM]


async def test_a_rotated_key_counts_until_the_overlap_ends(accounts: Accounts) -> None:
    await accounts.issue(replace(ORDER, expires_at=None), ONE, NOW)
    new = await accounts.rotate(ONE.prefix, OTHER, NOW + 10, 60.0)
    old = next(key for key in await accounts.keys() if key.prefix == ONE.prefix)
    assert (new.account, new.scopes, new.expires_at) == ("acme", DEFAULT_SCOPES, None)
    assert old.expires_at == NOW + 70


async def test_a_rotation_never_makes_a_key_live_longer(accounts: Accounts) -> None:
    await accounts.issue(ORDER, ONE, NOW)
    new = await accounts.rotate(ONE.prefix, OTHER, NOW, 86_400.0)
    assert {key.expires_at for key in await accounts.keys()} == {NOW + 1_000}
    assert new.expires_at == NOW + 1_000


async def test_the_first_revocation_stands(accounts: Accounts) -> None:
    await accounts.issue(ORDER, ONE, NOW)
    assert (await accounts.revoke(ONE.prefix, NOW + 1)).revoked_at == NOW + 1
    assert (await accounts.revoke(ONE.prefix, NOW + 2)).revoked_at == NOW + 1


async def seen(accounts: Accounts, since: Mark | None) -> tuple[set[str], Mark]:
    """The prefixes of what is new, and where to go on."""
    changes = await accounts.changes(since)
    assert changes.whole is (since is None)
    return {key.prefix for key in changes.keys}, changes.mark


async def test_only_keys_that_changed_are_read_again(accounts: Accounts) -> None:
    _, empty = await seen(accounts, None)
    await accounts.issue(ORDER, ONE, NOW)
    new, made = await seen(accounts, empty)
    assert new == {ONE.prefix}
    assert await seen(accounts, made) == (set(), made)
    await accounts.issue(replace(ORDER, account="other"), OTHER, NOW)
    new, both = await seen(accounts, made)
    assert new == {OTHER.prefix}
    await accounts.revoke(ONE.prefix, NOW + 1)
    changes = await accounts.changes(both)
    assert [(key.prefix, key.revoked_at) for key in changes.keys] == [(ONE.prefix, NOW + 1)]
    assert (await seen(accounts, None))[0] == {ONE.prefix, OTHER.prefix}


async def test_a_rotation_and_a_new_tier_are_told_with_every_key_that_they_concern(
    accounts: Accounts,
) -> None:
    await accounts.issue(ORDER, ONE, NOW)
    _, mark = await seen(accounts, None)
    await accounts.rotate(ONE.prefix, OTHER, NOW + 1, 60.0)
    new, mark = await seen(accounts, mark)
    assert new == {ONE.prefix, OTHER.prefix}
    await accounts.issue(replace(ORDER, tier=Tier.PREMIUM), THIRD, NOW + 2)
    changes = await accounts.changes(mark)
    assert {key.prefix for key in changes.keys} == {ONE.prefix, OTHER.prefix, THIRD.prefix}
    assert {key.tier for key in changes.keys} == {Tier.PREMIUM}


async def test_a_mark_of_another_database_is_answered_with_the_whole(accounts: Accounts) -> None:
    await accounts.issue(ORDER, ONE, NOW)
    changes = await accounts.changes(Mark(1_000, 0))
    assert (changes.whole, [key.prefix for key in changes.keys]) == (True, [ONE.prefix])


async def test_changes_at_once_are_all_told_and_none_waits_for_ever(accounts: Accounts) -> None:
    await accounts.issue(ORDER, ONE, NOW)
    mark, told = (await accounts.changes()).mark, set[str]()
    made = [make_key(bytes([number]) * 40) for number in range(10, 30)]
    tiers = (Tier.DEVELOPER, Tier.PREMIUM)
    orders = [replace(ORDER, tier=tiers[number % 2], expires_at=None) for number in range(len(made))]
    changing = asyncio.gather(
        *(accounts.issue(order, key, NOW) for order, key in zip(orders, made, strict=True)),
        *(accounts.revoke(ONE.prefix, NOW) for _ in range(5)),
    )
    async with asyncio.timeout(30):
        while not changing.done() or told < {key.prefix for key in made}:
            changes = await accounts.changes(mark)
            told |= {key.prefix for key in changes.keys}
            mark = changes.mark
            await asyncio.sleep(0)
        await changing


async def test_a_key_that_was_removed_by_hand_ends_too(plain_server: EmbeddedPostgres) -> None:
    async with fresh_database(plain_server) as dsn:
        pool = await connect_pool(dsn)
        accounts = PostgresAccounts(pool)
        await accounts.issue(ORDER, ONE, NOW)
        mark = (await accounts.changes()).mark
        await pool.execute("delete from gateway_keys")
        changes = await accounts.changes(mark)
        assert (changes.whole, changes.keys) == (True, [])
        assert not (await accounts.changes(changes.mark)).whole
        pool.terminate()


async def test_what_does_not_exist_is_named(accounts: Accounts) -> None:
    with pytest.raises(NoSuch, match="no key abc"):
        await accounts.revoke("abc", NOW)
    with pytest.raises(NoSuch, match="no key abc"):
        await accounts.rotate("abc", ONE, NOW, 1.0)
    with pytest.raises(NoSuch, match="203"):
        await accounts.unblock("203.0.113.7")


async def test_a_batch_is_billed_once_however_often_it_comes(accounts: Accounts) -> None:
    await accounts.issue(ORDER, ONE, NOW)
    rows = {UsageRow(ONE.prefix, endpoint, DAY): 3 for endpoint in ("prices", "history")}
    first, second = MeterBatch(b"\1" * 16, rows), MeterBatch(b"\2" * 16, rows)
    told = await asyncio.gather(*(accounts.meter(first, NOW) for _ in range(4)))
    assert sorted(told) == [False, False, False, True]
    assert await accounts.meter(second, NOW)
    assert not await accounts.meter(first, NOW + 60)
    assert await accounts.usage(DAY, DAY) == [
        Usage("acme", ONE.prefix, "history", DAY, 6),
        Usage("acme", ONE.prefix, "prices", DAY, 6),
    ]
    assert await accounts.usage(DAY, DAY, OTHER.prefix) == []
    assert await accounts.usage(date(2026, 9, 22), date(2026, 9, 30)) == []


async def test_a_block_stands_until_it_ends_or_is_lifted(accounts: Accounts) -> None:
    block = Block("203.0.113.7", "bad-key", NOW, NOW + 60, 2)
    await accounts.block(replace(block, strikes=1, until=NOW + 1))
    await accounts.block(block)
    assert await accounts.blocks(NOW) == [block]
    assert await accounts.blocks(NOW + 60) == []
    await accounts.unblock("203.0.113.7")
    assert await accounts.blocks(NOW) == []


async def test_a_database_that_is_away_is_told() -> None:
    pool = await connect_pool("postgresql://nobody@127.0.0.1:1/none", connect_s=1)
    with pytest.raises(StoreUnavailable):
        await PostgresAccounts(pool).keys()
    pool.terminate()
