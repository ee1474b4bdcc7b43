"""`chrono provider claim`: what past reward epochs still owe, and claiming it with the published proofs.

Needs neither the database nor the provider. What a claim would pay is asked of the chain itself, so what was
claimed before, by whomever, counts as nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import httpx
from prometheus_client import CollectorRegistry

from chrono.errors import ChronoError
from core.chain.keys import load_key
from core.chain.system import EvmSystem
from core.ftso.duties import Duty, Owed
from core.ftso.epochs import Network
from core.ftso.identities import Address, RewardEpochId
from core.ftso.reward_data import RewardData
from core.ftso.system_calls import claim_rewards
from core.provide import ProviderNotConfigured, account_of, claim_recipient, connected, system_of
from core.provider.ports import RewardSource
from core.provider.reward_source import PublishedRewards
from core.settings import Settings

WITHIN_S: Final = 120.0
"""A claim that is in no block by then has failed; it may still arrive."""
LOOKS_EVERY_S: Final = 1.0
WEI: Final = 10**18


class NotClaimed(ChronoError):
    """The claim is not in a block in time."""


@dataclass(frozen=True, slots=True)
class Claimable:
    """What one reward epoch would pay; with a problem it is not known."""

    reward_epoch: RewardEpochId
    amount_wei: int = 0
    claims: int = 0
    calldata: bytes = b""
    problem: str | None = None

    @property
    def told(self) -> str:
        """In words."""
        if self.problem is not None:
            return self.problem
        if not self.claims:
            return "no claim for us in the published rewards"
        if not self.amount_wei:
            return "claimed already"
        return f"{self.amount_wei / WEI:,.6f} from {self.claims} claims"


class Claiming:
    """One owner's claims."""

    def __init__(
        self, network: Network, system: EvmSystem, rewards: RewardSource, owner: Address, recipient: Address
    ) -> None:
        self._network, self._system, self._rewards = network, system, rewards
        self.owner, self.recipient = owner, recipient

    async def epochs(self) -> Sequence[RewardEpochId]:
        """The reward epochs with rewards that are signed and not expired."""
        return [RewardEpochId(number) for number in await self._system.claimable_epochs()]

    async def look(self, reward_epoch: RewardEpochId) -> Claimable:
        """What the reward epoch would pay now."""
        try:
            data = await self._rewards(reward_epoch)
            if data is None:
                return Claimable(reward_epoch, problem="its rewards are not published there")
            return await self._priced(reward_epoch, data)
        except ChronoError as error:
            return Claimable(reward_epoch, problem=str(error))

    async def _priced(self, reward_epoch: RewardEpochId, data: RewardData) -> Claimable:
        if (data.reward_epoch, data.network) != (reward_epoch, self._network.name):
            told = f"the file is of {data.network}, reward epoch {data.reward_epoch}"
            return Claimable(reward_epoch, problem=told)
        claims = data.claims_for(self.owner, await self._system.shared_by(self.owner))
        if not claims:
            return Claimable(reward_epoch)
        calldata = claim_rewards(self.owner, self.recipient, reward_epoch, claims)
        amount = await self._system.would_pay(calldata)
        return Claimable(reward_epoch, amount, len(claims), calldata)

    async def claim(self, claimable: Claimable) -> None:
        """Claim, and wait until the chain shows it. Raises Refused, ChainUnavailable or NotClaimed."""
        ends_at = time.monotonic() + WITHIN_S
        while time.monotonic() < ends_at:
            owed = Owed(Duty.CLAIM, claimable.reward_epoch)
            await self._system.call(owed, claimable.calldata, time.time())
            await asyncio.sleep(LOOKS_EVERY_S)
            if await self._system.would_pay(claimable.calldata) == 0:
                return
        raise NotClaimed(f"in no block within {WITHIN_S:.0f} s; look again with --dry-run")


@asynccontextmanager
async def claiming(settings: Settings, owner: str | None = None) -> AsyncIterator[Claiming]:
    """The claims of the owner, by default the identity that our signing policy key belongs to.

    Raises ProviderNotConfigured, BadKey, ChainUnavailable and whatever else keeps a chain from being read.
    """
    if settings.rewards_url is None:
        raise ProviderNotConfigured("CHRONO_REWARDS_URL names no place of published rewards")
    if settings.claim_key_file is None:
        raise ProviderNotConfigured(
            "CHRONO_CLAIM_KEY_FILE names no file: the identity's key or an executor's"
        )
    async with (
        connected(settings, CollectorRegistry()) as chain_side,
        httpx.AsyncClient(trust_env=False) as web,
    ):
        key = load_key(settings.claim_key_file, settings.key_password_file)
        system = system_of(settings, chain_side, account_of(settings, chain_side, key))
        whose = Address.of(owner) if owner else await _identity(settings, system)
        recipient = claim_recipient(settings) or whose
        rewards = PublishedRewards(settings.rewards_url, web)
        yield Claiming(chain_side.network, system, rewards, whose, recipient)


async def _identity(settings: Settings, system: EvmSystem) -> Address:
    path = settings.signing_policy_key_file
    if path is None:
        raise ProviderNotConfigured("name --owner, or CHRONO_SIGNING_POLICY_KEY_FILE to find the identity by")
    signer = load_key(path, settings.key_password_file).address
    voter = await system.voter_of(signer)
    if voter is None:
        raise ProviderNotConfigured(f"{signer.text} is no voter's signing policy address: name --owner")
    return voter
