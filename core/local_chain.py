"""The local chain of `chrono up --chain local`: a node, the contracts, three neighbours, reward epochs.

The neighbours are providers like ours, with weights of their own and values a little beside ours, so that a
round has a median to be near to. Everything here is for trying out: keys follow from names, and no value is
ever put on such a chain.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import structlog
from prometheus_client import CollectorRegistry

from chrono.feeds import FEEDS
from core.chain.account import Account, FeePolicy
from core.chain.chain import Accounts, EvmChain
from core.chain.endpoints import EndpointMetrics, Endpoints
from core.chain.errors import RpcRefusal
from core.chain.local.deploy import LocalContracts, LocalVoter
from core.chain.local.node import NodeFailed, running_anvil
from core.chain.local.rewards import local_rewards
from core.chain.reader import Reader
from core.chain.system import EvmSystem
from core.ftso.epochs import Network
from core.ftso.feed_order import Feed
from core.ftso.identities import Address, RewardEpochId, VotingRoundId
from core.networks import network_of, provider_name
from core.ports import StoreUnavailable
from core.provide import careful_timings
from core.provider.engine import Provider
from core.provider.epoch_duties import EpochDuties
from core.provider.loop import live
from core.provider.metrics import ProviderMetrics
from core.provider.ports import ChainUnavailable, FeedValues, Ledger
from core.provider.reward_source import FILE, PublishedRewards
from core.provider.values import HttpFeedValues
from core.settings import Settings
from core.storage.pool import connector
from core.storage.provider import PostgresLedgers

OURS: Final = LocalVoter.of("ours", 15_000)
NEIGHBOURS: Final = (
    LocalVoter.of("neighbour 1", 20_000),
    LocalVoter.of("neighbour 2", 18_000),
    LocalVoter.of("neighbour 3", 8_000),
)
BLOCK_S: Final = 1
DEPLOYMENT_S: Final = 600
PREPARED_ROUNDS: Final = 3
"""How many rounds before a reward epoch its registration opens."""
REWARDS_FOLDER: Final = "local-rewards"
READY_FILE: Final = "local-chain.ready"

log = structlog.get_logger()


class NoAnvil(NodeFailed):
    """The node is not installed; the text says how to get it."""

    def __init__(self) -> None:
        super().__init__(
            "anvil is not in PATH, and CHRONO_ANVIL names no file: `infra/dev/anvil.sh` gets it with npm and"
            " prints where it is"
        )


def find_anvil(settings: Settings) -> Path:
    """The node's program; raises NoAnvil."""
    found = settings.anvil or shutil.which("anvil")
    if found is None or not Path(found).is_file():
        raise NoAnvil
    return Path(found)


def write_our_keys(folder: Path) -> Mapping[str, str]:
    """Our keys as files that only we can read; the settings that name them."""
    folder.mkdir(parents=True, exist_ok=True)
    named = {}
    roles = ("signing_policy", "submit", "submit_signatures", "claim")
    for role, key in zip(roles, OURS.secrets(), strict=True):
        path = folder / f"local-{role}.key"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(key.hex() + "\n")
        named[f"CHRONO_{role.upper()}_KEY_FILE"] = str(path)
    rewards = str((folder.parent / REWARDS_FOLDER).absolute())
    return {**named, "CHRONO_SUBMIT_ADDRESS": OURS.submit.address.text, "CHRONO_REWARDS_URL": rewards}


async def run_local_chain(settings: Settings, port: int, stop: asyncio.Event) -> None:
    """Run the node, its contracts and the neighbours until `stop` is set."""
    network, registry = network_of(settings), CollectorRegistry()
    ready = settings.data_dir / READY_FILE
    ready.unlink(missing_ok=True)
    # Deployment makes blocks faster than time passes, so the chain's past begins early enough for them.
    genesis = str(int(time.time()) - DEPLOYMENT_S)
    arguments = ("--block-time", str(BLOCK_S), "--order", "fees", "--timestamp", genesis)
    metrics = EndpointMetrics(registry)
    async with running_anvil(find_anvil(settings), port, arguments, metrics) as endpoints:
        contracts = LocalContracts(endpoints, mines=True)
        addresses = await contracts.deploy()
        for voter in (OURS, *NEIGHBOURS):
            await contracts.add_voter(voter)
        present = network.round_at(time.time())
        number = network.expected_reward_epoch_of(present)
        await _begin(contracts, network, number, VotingRoundId(present))
        await contracts.turn_over_by_itself(
            network,
            preparation_s=PREPARED_ROUNDS * network.voting_epoch_s,
            registration_s=network.voting_epoch_s,
            uptime_s=network.voting_epoch_s // 2,
        )
        await endpoints.ask("anvil_setTime", int(time.time()))
        contracts.mines = False
        ready.touch()
        log.info("local_chain_ready", port=port, first_round=present)
        async with asyncio.TaskGroup() as group:
            world = _World(settings, network, endpoints, addresses, stop)
            tasks = [
                group.create_task(_daemon(contracts, stop)),
                group.create_task(_rewards(settings.data_dir / REWARDS_FOLDER, network, number, stop)),
            ]
            tasks += [group.create_task(_neighbour(world, voter)) for voter in NEIGHBOURS]
            await stop.wait()
            for task in tasks:
                task.cancel()


async def _begin(
    contracts: LocalContracts, network: Network, number: RewardEpochId, first_round: VotingRoundId
) -> None:
    """The first reward epoch, with everybody registered; all later ones are up to the voters."""
    feeds = [Feed(feed.id, feed.decimals) for feed in FEEDS]
    await contracts.prepare_reward_epoch(number, feeds)
    for voter in (OURS, *NEIGHBOURS):
        await contracts.register(number, voter, network)
    await contracts.initialize_reward_epoch(number, first_round)


async def _daemon(contracts: LocalContracts, stop: asyncio.Event) -> None:
    """Turn reward epochs over, as Flare's daemon does in every block, until stopped."""
    while not stop.is_set():
        try:
            await contracts.daemonize()
        except (RpcRefusal, ChainUnavailable) as error:
            log.error("daemon_call_failed", detail=str(error))
        await asyncio.sleep(BLOCK_S)


async def _rewards(folder: Path, network: Network, number: RewardEpochId, stop: asyncio.Event) -> None:
    """Publish the rewards of each reward epoch when it is over, until stopped."""
    while not stop.is_set():
        over_at = network.start_of(network.expected_first_round_of(RewardEpochId(number + 1)))
        await asyncio.sleep(max(0.0, over_at - time.time()))
        place = folder / f"{number}"
        place.mkdir(parents=True, exist_ok=True)
        place.joinpath(FILE).write_bytes(local_rewards(number, (OURS, *NEIGHBOURS), network).encode())
        log.info("local_rewards_published", reward_epoch=number)
        number = RewardEpochId(number + 1)


@dataclass(frozen=True, slots=True)
class _World:
    """What every neighbour needs."""

    settings: Settings
    network: Network
    endpoints: Endpoints
    addresses: Mapping[str, Address]
    stop: asyncio.Event


async def _neighbour(world: _World, voter: LocalVoter) -> None:
    """One neighbour's whole life."""
    settings, network, endpoints = world.settings, world.network, world.endpoints
    if settings.database_url is None:
        raise StoreUnavailable("DATABASE_URL is not set", 1.0)
    registry = CollectorRegistry()
    metrics = ProviderMetrics(registry)
    fees = FeePolicy(patience_s=3.0)
    accounts = [Account(key, endpoints, network.chain_id, fees) for key in voter.keys]
    async with AsyncExitStack() as stack:
        url = f"http://{settings.host}:{settings.port}"
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=url, trust_env=False))
        reader = Reader(endpoints, world.addresses)
        by_role = Accounts(accounts[1], accounts[2], accounts[0])
        chain = EvmChain(endpoints, reader, by_role, world.addresses)
        claims = Account(voter.identity, endpoints, network.chain_id, fees)
        system = EvmSystem(endpoints, reader, world.addresses, accounts[0], claims)

        def duties(ledger: Ledger) -> EpochDuties:
            return EpochDuties(
                network=network,
                signer=voter.signing_policy,
                system=system,
                ledger=ledger,
                metrics=metrics,
                rewards=PublishedRewards(str(settings.data_dir / REWARDS_FOLDER), client),
            )

        def make(ledger: Ledger) -> Provider:
            return Provider(
                network=network,
                timings=careful_timings(network),
                submit_address=voter.submit.address,
                signer=voter.signing_policy,
                chain=chain,
                ledger=ledger,
                values=_beside(HttpFeedValues(client), NEIGHBOURS.index(voter)),
                entropy=secrets.token_bytes,
                metrics=metrics,
            )

        await live(
            ledgers=PostgresLedgers(connector(settings.database_url.get_secret_value())),
            provider=provider_name(network, voter.submit.address),
            holder="local chain",
            make=make,
            duties=duties,
            clock=time.time,
            metrics=metrics,
            stop=world.stop,
        )


def _beside(values: FeedValues, place: int) -> FeedValues:
    """Values a little beside the given ones: another amount for each feed, round and neighbour."""

    async def moved(voting_round: VotingRoundId, at: float) -> Mapping[str, float]:
        told = await values(voting_round, at)
        names: Sequence[str] = sorted(told)
        return {
            name: told[name] * (1 + ((voting_round * 7 + row * 3 + place * 5) % 11 - 5) / 20_000)
            for row, name in enumerate(names)
        }

    return moved
