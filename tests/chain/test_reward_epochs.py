"""Whole reward epochs on a local chain that turns them over by itself: registered, signed, paid.

What happened is counted from the chain: its events, its transactions, its balances.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from core.chain.local.deploy import LocalVoter
from core.chain.local.rewards import local_rewards
from core.ftso.duties import Duty
from core.ftso.epochs import local
from core.ftso.hashing import keccak
from core.ftso.identities import Address, RewardEpochId, VotingRoundId
from core.provider.engine import Provider
from core.provider.epoch_duties import EpochDuties
from core.provider.metrics import ProviderMetrics
from core.provider.reward_source import FILE, PublishedRewards
from tests.chain.stage import GENESIS, Stage, open_stage
from tests.chain.witness import judge
from tests.fakes.ledgers import FakeLedgers
from tests.processes import run_chrono

ROUNDS = 5
FIRST_EPOCH = 1
EPOCHS = 3
"""Reward epochs that are run whole; of the next one so much as it takes to be paid for the last."""
NETWORK = replace(local(GENESIS + 1_000 - ROUNDS * 10, reward_epoch_rounds=ROUNDS), benching_rounds=3)
WEIGHTS = (22_000, 18_000, 15_000, 9_000)
"""Nobody weighs more than half: two must agree."""


@dataclass
class Life:
    """One provider: its rounds and its duties, over one connection and one ledger."""

    stage: Stage
    voter: LocalVoter
    ledgers: FakeLedgers
    rewards: Path
    client: httpx.AsyncClient
    does: frozenset[Duty] = frozenset(Duty)
    metrics: ProviderMetrics = field(init=False)
    provider: Provider = field(init=False)
    duties: EpochDuties = field(init=False)

    @property
    def recipient(self) -> Address:
        return Address(keccak(self.voter.name.encode())[12:])

    async def begin(self, at: float) -> None:
        """A new process: nothing is left of the old one but what is durable."""
        endpoints = self.stage.scene.endpoints()
        self.stage.stack.push_async_callback(endpoints.close)
        chain, system = self.stage.scene.chain_and_system(self.voter, endpoints)
        ledger = self.ledgers.take_over(self.voter.name, "test")
        self.metrics = ProviderMetrics(CollectorRegistry())
        self.provider = self.stage.scene.provider(self.voter, ledger, chain)
        self.duties = EpochDuties(
            network=self.stage.network,
            signer=self.voter.signing_policy,
            system=system,
            ledger=ledger,
            metrics=self.metrics,
            rewards=PublishedRewards(str(self.rewards), self.client),
            recipient=self.recipient,
            does=self.does,
        )
        await self.provider.restore(at)
        await self.duties.restore(at)

    async def turn(self, at: float) -> None:
        await self.provider.turn(at)
        await self.duties.turn(at)


@pytest.mark.timeout(180)
async def test_four_providers_register_sign_and_are_paid_over_whole_reward_epochs(tmp_path: Path) -> None:
    async with (
        open_stage(
            feeds=3, network=NETWORK, first_epoch=FIRST_EPOCH, first_round=ROUNDS, weights=WEIGHTS
        ) as stage,
        httpx.AsyncClient() as client,
    ):
        await stage.contracts.turn_over_by_itself(NETWORK, preparation_s=25, registration_s=6, uptime_s=4)
        ledgers = FakeLedgers()
        lives = [Life(stage, voter, ledgers, tmp_path, client) for voter in stage.voters]
        lives[1] = late = replace(lives[1], does=frozenset(Duty) - {Duty.PREREGISTER})
        by_hand = lives[-1] = replace(lives[-1], does=frozenset(Duty) - {Duty.CLAIM})
        first, last = FIRST_EPOCH * ROUNDS, (FIRST_EPOCH + EPOCHS) * ROUNDS
        start, end = (NETWORK.start_of(VotingRoundId(number)) for number in (first, last + 3))
        for life in lives:
            await life.begin(start)
        for at in range(start + 8, end):
            if (at - start) % (ROUNDS * 10) == 0:
                publish(stage, tmp_path, (at - start) // (ROUNDS * 10) + FIRST_EPOCH - 1)
            if at in (start + 28, start + 59, start + 108):  # in the windows of duties
                await lives[at % 4].begin(at)
            await stage.contracts.daemonize()
            for life in lives:
                await life.turn(at)
            await stage.mine(at)
        await claimed_by_hand(by_hand, tmp_path)
        await judged(stage, ledgers, lives, late.voter, range(first, last))


async def claimed_by_hand(life: Life, folder: Path) -> None:
    """Look with the doctor, list, claim, and look again, as an operator does."""
    secrets = dict(
        zip(("signing_policy", "submit", "submit_signatures", "claim"), life.voter.secrets(), strict=True)
    )
    settings = {
        "CHRONO_NETWORK": "local",
        "CHRONO_LOCAL_FIRST_ROUND_AT": str(NETWORK.first_round_at),
        "CHRONO_RPC_URLS": ",".join(life.stage.scene.urls),
        "CHRONO_REWARDS_URL": str(folder),
        "CHRONO_CLAIM_RECIPIENT": life.recipient.text,
    }
    for role, secret in secrets.items():
        path = folder / f"{role}.key"
        path.touch(mode=0o600)
        path.write_text(secret.hex())
        settings[f"CHRONO_{role.upper()}_KEY_FILE"] = str(path)
    await life.stage.endpoints.ask("evm_setAutomine", True)
    owed = sum(
        each.claim.amount
        for number in range(FIRST_EPOCH, FIRST_EPOCH + EPOCHS)
        for each in local_rewards(RewardEpochId(number), life.stage.voters, NETWORK).claims_for(
            life.voter.identity.address, [life.voter.delegation]
        )
    )
    told = f"{owed / 10**18:,.6f} to claim from {EPOCHS} reward epochs"
    _, doctor = await run_chrono(folder, "provider", "doctor", **settings)
    assert f"all addresses are those of voter {life.voter.identity.address.text}" in doctor
    assert "unclaimed: `chrono provider claim`" in doctor
    code, listed = await run_chrono(folder, "provider", "claim", "--dry-run", **settings)
    assert (code, told in listed) == (0, True), listed
    code, claimed = await run_chrono(folder, "provider", "claim", **settings)
    assert (code, claimed.count(": claimed ")) == (0, EPOCHS), claimed
    code, again = await run_chrono(folder, "provider", "claim", **settings)
    assert (code, again.count("claimed already")) == (0, EPOCHS), again


def publish(stage: Stage, folder: Path, number: int) -> None:
    """What happens outside: the rewards of a reward epoch that is over are computed and published."""
    place = folder / f"{number}"
    place.mkdir()
    place.joinpath(FILE).write_bytes(local_rewards(RewardEpochId(number), stage.voters, NETWORK).encode())


async def judged(
    stage: Stage, ledgers: FakeLedgers, lives: list[Life], late: LocalVoter, rounds: range
) -> None:
    reader = await stage.reader()
    verdict = judge(reader, NETWORK, stage.voters, rounds, len(stage.feeds))
    assert verdict.clean
    assert (verdict.finalized, verdict.commits, verdict.reveals) == (len(rounds), *[4 * len(rounds)] * 2)
    for number in map(VotingRoundId, rounds):
        assert len({book.scores[number].merkle_root for book in ledgers.books.values()}) == 1
    facts = reader.facts()
    everybody = {voter.identity.address for voter in stage.voters}
    signers = {voter.signing_policy.address for voter in stage.voters}
    paid = dict.fromkeys(everybody, 0)
    for number in map(RewardEpochId, range(FIRST_EPOCH, FIRST_EPOCH + EPOCHS)):
        following, data = facts[RewardEpochId(number + 1)], local_rewards(number, stage.voters, NETWORK)
        assert following.registered == everybody
        assert following.preregistered == everybody - {late.identity.address}
        assert following.policy_vote.settled
        assert following.policy_vote.signers <= signers
        assert facts[number].uptime_vote.settled
        assert facts[number].rewards == data.root
        for life in lives:
            voter = life.voter
            claims = data.claims_for(voter.identity.address, [voter.delegation])
            paid[voter.identity.address] += sum(each.claim.amount for each in claims)
    for life in lives:
        balance = await stage.endpoints.ask("eth_getBalance", life.recipient.text, "latest")
        assert int(balance, 16) == paid[life.voter.identity.address] > 0
    sent = await duty_transactions(stage)
    assert set(sent.values()) == {1}


async def duty_transactions(stage: Stage) -> Mapping[tuple[str, str], int]:
    """By sender and calldata, which is another for every duty: how many transactions there are."""
    names = ("VoterRegistry", "VoterPreRegistry", "FlareSystemsManager", "RewardManager")
    contracts = {stage.scene.addresses[name].text for name in names}
    ours = {key.address.text for voter in stage.voters for key in (voter.signing_policy, voter.identity)}
    found: Counter[tuple[str, str]] = Counter()
    head = int(await stage.endpoints.ask("eth_blockNumber"), 16)
    for number in range(head + 1):
        block = await stage.endpoints.ask("eth_getBlockByNumber", hex(number), True)
        for each in block["transactions"]:
            if each["to"] in contracts and each["from"] in ours:
                found[each["from"], each["input"]] += 1
    return found
