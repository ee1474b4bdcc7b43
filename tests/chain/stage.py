"""A local chain whose clock the test turns: blocks are made by hand, at the times the test says."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from chrono.feeds import FEEDS
from core.chain.account import Account, FeePolicy
from core.chain.chain import Accounts, EvmChain
from core.chain.contracts import NAMES, contract_addresses
from core.chain.endpoints import EndpointMetrics, Endpoints
from core.chain.local.deploy import LocalContracts, LocalVoter
from core.chain.local.node import running_anvil
from core.chain.reader import Reader
from core.chain.system import EvmSystem
from core.ftso.epochs import Network, local
from core.ftso.feed_order import Feed
from core.ftso.identities import Address, RewardEpochId, VotingRoundId
from core.ftso.timings import Timings
from core.net import free_port
from core.provider.engine import Provider
from core.provider.metrics import ProviderMetrics
from core.provider.ports import Chain, Ledger

GENESIS = 1_700_000_000
WEIGHTS = (40_000, 15_000, 7_000, 3_000)


def anvil() -> Path:
    """The node's binary, or the test is skipped."""
    named = os.environ.get("CHRONO_ANVIL") or shutil.which("anvil")
    if not named or not Path(named).exists():
        pytest.skip("no anvil: neither CHRONO_ANVIL nor PATH names one (npm install @foundry-rs/anvil@1.7.1)")
    return Path(named)


def voters(count: int, weights: Sequence[int] = WEIGHTS) -> list[LocalVoter]:
    """The first so many voters; the first weighs more than half."""
    return [LocalVoter.of(f"voter {number}", weights[number]) for number in range(count)]


async def prices(voter: LocalVoter, voting_round: VotingRoundId) -> Mapping[str, float]:
    """What a voter holds the feeds for: near what all others do, and another in each round."""
    nudge = 1 + (voter.weight % 7) / 10_000
    return {feed.name: (1 + index + voting_round % 10 / 10) * nudge for index, feed in enumerate(FEEDS)}


@dataclass(frozen=True)
class Scene:
    """What a provider's process is told: endpoints, network, contracts. Can be sent to another process."""

    urls: tuple[str, ...]
    network: Network
    addresses: Mapping[str, Address]
    timeout_s: float = 2.0
    fees: FeePolicy = field(default_factory=lambda: FeePolicy(patience_s=2.0))

    def endpoints(self) -> Endpoints:
        return Endpoints(self.urls, EndpointMetrics(CollectorRegistry()), lambda: 0.0, self.timeout_s)

    def chain(self, voter: LocalVoter, endpoints: Endpoints) -> EvmChain:
        """A provider's own accounts and reader."""
        return self.chain_and_system(voter, endpoints)[0]

    def chain_and_system(self, voter: LocalVoter, endpoints: Endpoints) -> tuple[EvmChain, EvmSystem]:
        """The same, and the contracts of reward epochs over the same reader; the identity claims."""
        policy, submit, signatures, identity = (
            Account(key, endpoints, self.network.chain_id, self.fees) for key in (*voter.keys, voter.identity)
        )
        reader = Reader(endpoints, self.addresses)
        chain = EvmChain(endpoints, reader, Accounts(submit, signatures, policy), self.addresses)
        return chain, EvmSystem(endpoints, reader, self.addresses, policy, identity)

    def provider(
        self, voter: LocalVoter, ledger: Ledger, chain: Chain, *, publishes: bool = False
    ) -> Provider:
        """A provider that works as the voter."""
        return Provider(
            network=self.network,
            timings=Timings.of(self.network),
            submit_address=voter.submit.address,
            signer=voter.signing_policy,
            chain=chain,
            ledger=ledger,
            values=lambda voting_round, _: prices(voter, voting_round),
            entropy=secrets.token_bytes,
            metrics=ProviderMetrics(CollectorRegistry()),
            publishes=publishes,
        )


@dataclass
class Stage:
    """A chain with contracts, and voters in their first reward epoch."""

    endpoints: Endpoints
    scene: Scene
    contracts: LocalContracts
    voters: Sequence[LocalVoter]
    feeds: Sequence[Feed]
    stack: AsyncExitStack

    @property
    def network(self) -> Network:
        return self.scene.network

    async def mine(self, at: int) -> None:
        """Make one block with the transactions that wait, at that time."""
        await self.endpoints.ask("evm_mine", hex(at))

    async def begin(self, number: RewardEpochId, first_round: VotingRoundId) -> None:
        """Prepare a reward epoch with every voter registered."""
        await self.contracts.prepare_reward_epoch(number, self.feeds)
        for voter in self.voters:
            await self.contracts.register(number, voter, self.network)
        await self.contracts.initialize_reward_epoch(number, first_round)

    def chain(self, voter: LocalVoter) -> EvmChain:
        """A provider's own connection, closed with the stage."""
        endpoints = self.scene.endpoints()
        self.stack.push_async_callback(endpoints.close)
        return self.scene.chain(voter, endpoints)

    def provider(self, voter: LocalVoter, ledger: Ledger, *, publishes: bool = False) -> Provider:
        """A provider with a connection of its own."""
        return self.scene.provider(voter, ledger, self.chain(voter), publishes=publishes)

    async def reader(self) -> Reader:
        """Reads the whole chain, for a test that counts what happened."""
        reader = Reader(self.endpoints, self.scene.addresses)
        await reader.catch_up(0)
        return reader


@asynccontextmanager
async def open_stage(
    *,
    count: int = 4,
    feeds: int = 5,
    network: Network | None = None,
    first_epoch: int = 1,
    first_round: int = 0,
    weights: Sequence[int] = WEIGHTS,
) -> AsyncIterator[Stage]:
    """A stage at its first round's start; its chain ends with the context."""
    binary, port = anvil(), free_port("127.0.0.1", 0)
    if network is None:
        network = replace(local(GENESIS + 1_000, reward_epoch_rounds=10_000), benching_rounds=4)
    arguments = ("--no-mining", "--timestamp", str(GENESIS), "--order", "fees")
    metrics = EndpointMetrics(CollectorRegistry())
    async with (
        running_anvil(binary, port, arguments, metrics) as endpoints,
        AsyncExitStack() as stack,
    ):
        contracts = LocalContracts(endpoints, mines=True)
        await contracts.deploy()
        addresses = await contract_addresses(endpoints, names=NAMES)
        scene = Scene((f"http://127.0.0.1:{port}",), network, dict(addresses))
        offered = [Feed(feed.id, feed.decimals) for feed in FEEDS[:feeds]]
        stage = Stage(endpoints, scene, contracts, voters(count, weights), offered, stack)
        for voter in stage.voters:
            await contracts.add_voter(voter)
        await stage.begin(RewardEpochId(first_epoch), VotingRoundId(first_round))
        await stage.mine(network.start_of(VotingRoundId(first_round)))
        yield stage
