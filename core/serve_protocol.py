"""`chrono provider serve`, put together: answers for Flare's system client, under the provider's lease."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from prometheus_client import CollectorRegistry

from core.api.protocol_provider import create_protocol_api
from core.api.server import serve
from core.chain.chain import EvmChain
from core.networks import provider_name
from core.provide import (
    accounts_of,
    database_of,
    holder_name,
    load_keys,
    reachable,
    values_client,
    watching_clock,
)
from core.provider.answers import ProtocolAnswers
from core.provider.ports import Ledger
from core.provider.serving import WatchedAnswers, serve_under_lease
from core.provider.values import HttpFeedValues
from core.settings import Settings
from core.storage.pool import connector
from core.storage.provider import PostgresLedgers


async def serve_protocol(settings: Settings, stop: asyncio.Event) -> None:
    """Answer Flare's system client until `stop` is set; it sends, with its own keys. A second stands by."""
    keys, registry = load_keys(settings), CollectorRegistry()
    ledgers = PostgresLedgers(connector(await database_of(settings)))
    async with (
        aclosing(keys),
        reachable(settings, registry, stop) as chain_side,
        values_client(settings) as client,
    ):
        if chain_side is None:
            return

        async def answer(ledger: Ledger) -> None:
            answers = ProtocolAnswers(
                network=chain_side.network,
                submit_address=keys.submit.address,
                chain=EvmChain(
                    chain_side.endpoints,
                    chain_side.reader,
                    accounts_of(settings, chain_side, keys),
                    chain_side.contracts,
                ),
                ledger=ledger,
                values=clock.guarding(HttpFeedValues(client)),
                entropy=secrets.token_bytes,
            )
            watched = WatchedAnswers(answers)
            api = create_protocol_api(watched, time.time)
            async with _either(stop, watched.lost) as over:
                await serve(api, settings.host, settings.protocol_port, over)

        async with watching_clock(settings, chain_side, registry) as clock:
            await serve_under_lease(
                ledgers=ledgers,
                provider=provider_name(chain_side.network, keys.submit.address),
                holder=holder_name(),
                work=answer,
                stop=stop,
            )


@asynccontextmanager
async def _either(one: asyncio.Event, other: asyncio.Event) -> AsyncIterator[asyncio.Event]:
    """An event that is set when one of the two is."""
    over = asyncio.Event()

    async def follow(event: asyncio.Event) -> None:
        await event.wait()
        over.set()

    following = {asyncio.create_task(follow(one)), asyncio.create_task(follow(other))}
    try:
        yield over
    finally:
        for task in following:
            task.cancel()
        await asyncio.wait(following)
