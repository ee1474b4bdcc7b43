"""Transactions of one account on a real node: nonces, fees, replacement, endpoints that fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from core.chain.account import Account, FeePolicy, Wish
from core.chain.endpoints import EndpointMetrics, Endpoints
from core.chain.errors import SignerRefused
from core.chain.local.deploy import RICHES
from core.chain.local.node import running_anvil
from core.chain.remote_key import remote_key
from core.ftso.identities import Address
from core.net import free_port
from core.provider.ports import ChainUnavailable, Refused
from tests.chain.stage import anvil, voters
from tests.fakes.signer import FakeSigner

CHAIN = 31_337
SOMEBODY = Address(b"\x11" * 20)
KEY = voters(1)[0].submit
FEES = FeePolicy(patience_s=4.0)


def endpoints_at(*urls: str) -> Endpoints:
    return Endpoints(urls, EndpointMetrics(CollectorRegistry()), lambda: 0.0, timeout_s=0.5)


def wish(key: str) -> Wish:
    return Wish(key, SOMEBODY, key.encode(), 60_000)


@pytest.fixture
async def node() -> AsyncIterator[Endpoints]:
    """A node that makes a block when it is told to."""
    port = free_port("127.0.0.1", 0)
    metrics = EndpointMetrics(CollectorRegistry())
    async with running_anvil(anvil(), port, ("--no-mining",), metrics) as endpoints:
        endpoints.url = f"http://127.0.0.1:{port}"  # type: ignore[attr-defined]
        await endpoints.ask("anvil_setBalance", KEY.address.text, RICHES)
        yield endpoints


async def mine(node: Endpoints) -> list[str]:
    """Make a block; what was in it, as text."""
    await node.ask("evm_mine")
    block = await node.ask("eth_getBlockByNumber", "latest", True)
    return [bytes.fromhex(each["input"][2:]).decode() for each in block["transactions"]]


async def waiting(node: Endpoints) -> dict[str, Any]:
    """What waits in the pool, by nonce."""
    content = await node.ask("txpool_content")
    return next((each for who, each in content["pending"].items() if Address.of(who) == KEY.address), {})


async def test_wishes_that_fall_together_get_a_nonce_each(node: Endpoints) -> None:
    account = Account(KEY, node, CHAIN, FEES)
    await asyncio.gather(*(account.want(wish(name), 0.0) for name in ("reveal 1", "commit 2", "third")))
    assert sorted(await mine(node)) == ["commit 2", "reveal 1", "third"]


async def test_the_same_wish_is_sent_once(node: Endpoints) -> None:
    account = Account(KEY, node, CHAIN, FEES)
    for second in range(3):
        await account.want(wish("commit"), float(second))
    assert await mine(node) == ["commit"]
    await account.want(wish("commit"), 20.0)
    assert await mine(node) == []


async def test_a_transaction_that_waits_too_long_is_outbid_by_itself(node: Endpoints) -> None:
    account = Account(KEY, node, CHAIN, FEES)
    await account.want(wish("commit"), 0.0)
    (before,) = (await waiting(node)).values()
    await account.want(wish("commit"), 5.0)
    (after,) = (await waiting(node)).values()
    assert int(after["maxFeePerGas"], 16) >= int(before["maxFeePerGas"], 16) * 5 // 4
    assert await mine(node) == ["commit"]


async def test_a_transaction_that_nobody_wishes_any_more_gives_its_nonce_away(node: Endpoints) -> None:
    account = Account(KEY, node, CHAIN, FEES)
    await account.want(wish("old commit"), 0.0)
    await account.want(wish("reveal"), 10.0)
    assert await mine(node) == ["reveal"]


async def test_a_dropped_transaction_is_sent_again(node: Endpoints) -> None:
    account = Account(KEY, node, CHAIN, FEES)
    await account.want(wish("commit"), 0.0)
    await node.ask("anvil_dropAllTransactions")
    await account.want(wish("commit"), 5.0)
    assert await mine(node) == ["commit"]


async def test_after_a_restart_what_is_stuck_in_the_pool_is_outbid(node: Endpoints) -> None:
    await Account(KEY, node, CHAIN, FEES).want(wish("before the crash"), 0.0)
    await Account(KEY, node, CHAIN, FEES).want(wish("after it"), 0.0)
    assert await mine(node) == ["after it"]


async def test_a_nonce_that_another_tool_used_is_passed_over(node: Endpoints) -> None:
    account, other = Account(KEY, node, CHAIN, FEES), Account(KEY, node, CHAIN, FEES)
    await account.want(wish("commit"), 0.0)
    await other.want(wish("by hand"), 0.0)
    await mine(node)
    await account.want(wish("commit"), 5.0)
    assert await mine(node) == ["commit"]


async def test_an_account_without_money_is_refused_and_says_why(node: Endpoints) -> None:
    await node.ask("anvil_setBalance", KEY.address.text, "0x0")
    with pytest.raises(Refused, match=r"(?i)insufficient|funds|balance"):
        await Account(KEY, node, CHAIN, FEES).want(wish("commit"), 0.0)


async def test_a_ceiling_of_fees_is_never_passed(node: Endpoints) -> None:
    account = Account(KEY, node, CHAIN, FeePolicy(ceiling_wei=1, patience_s=4.0))
    with pytest.raises(Refused):
        await account.want(wish("commit"), 0.0)


@pytest.mark.parametrize("trouble", ["hangs", "refuses"])
async def test_one_good_endpoint_is_enough(node: Endpoints, trouble: str) -> None:
    ended: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        ended.append(task)
        while trouble == "hangs" and await reader.read(65_536):
            pass
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    bad = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    endpoints = endpoints_at(bad, node.url)  # type: ignore[attr-defined]
    await Account(KEY, endpoints, CHAIN, FEES).want(wish("commit"), 0.0)
    assert await mine(node) == ["commit"]
    await endpoints.close()
    await asyncio.wait(ended, timeout=5)
    server.close()


async def test_without_a_good_endpoint_nothing_is_known() -> None:
    endpoints = endpoints_at(f"http://127.0.0.1:{free_port('127.0.0.1', 0)}")
    with pytest.raises(ChainUnavailable, match="endpoint 0"):
        await endpoints.ask("eth_blockNumber")
    await endpoints.close()


async def test_endpoints_that_show_different_chains_are_noticed(node: Endpoints) -> None:
    port = free_port("127.0.0.1", 0)
    metrics = EndpointMetrics(CollectorRegistry())
    async with running_anvil(anvil(), port, ("--timestamp", "1000"), metrics):
        both = endpoints_at(node.url, f"http://127.0.0.1:{port}")  # type: ignore[attr-defined]
        assert await both.compare() is False
        await both.close()
    alone = endpoints_at(node.url, node.url)  # type: ignore[attr-defined]
    assert await alone.compare() is True
    await alone.close()


async def test_a_remote_key_sends_as_a_local_one_does_and_nothing_while_its_signer_is_away(
    node: Endpoints,
) -> None:
    signer = FakeSigner([voters(1)[0].secrets()[1]])
    async with signer.running() as url, aclosing(remote_key(f"{url}/{KEY.address.text}")) as key:
        account = Account(key, node, CHAIN, FEES)
        signer.status = 403
        with pytest.raises(SignerRefused):
            await account.want(wish("commit"), 0.0)
        assert await mine(node) == []
        signer.status = 200
        await asyncio.gather(*(account.want(wish(name), 1.0) for name in ("commit", "reveal")))
        assert sorted(await mine(node)) == ["commit", "reveal"]
