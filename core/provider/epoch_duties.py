"""The duties of a reward epoch, done: each is said durably, then sent, until the chain shows it.

Decides nothing: `core.ftso.duties` says what is due. Works on the view that the rounds keep fresh, so it
reads no blocks, and a duty that hangs delays no round. Reads no clock. After a restart it goes on where the
ledger and the chain say that it was.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

from chrono.errors import ChronoError
from core.ftso.duties import CLAIMS_BACK, Duty, DutyAgenda, Owed, Standing, duties
from core.ftso.epochs import Network
from core.ftso.identities import Address, RewardEpochId
from core.ftso.reward_data import RewardData
from core.ftso.round import Progress, Record
from core.ftso.signatures import Signature
from core.ftso.system_calls import (
    claim_rewards,
    preregister_voter,
    register_voter,
    registration_hash,
    rewards_vote_hash,
    sign_new_signing_policy,
    sign_rewards,
    sign_uptime_vote,
    uptime_vote_hash,
)
from core.provider.metrics import ProviderMetrics
from core.provider.ports import LeaseLost, Ledger, Refused, ResultSigner, RewardSource, System, View

PAUSES_S: Final = (2.0, 5.0, 15.0, 30.0, 60.0)
"""After so many failures of a duty in a row, where voting epochs last 90 s; in proportion elsewhere."""
UNPUBLISHED_S: Final = 300.0
"""Until rewards that are not published yet are looked for again."""
SETTLES_S: Final = 3.0
"""Until a transaction that was sent is looked after again."""
_USUAL_EPOCH_S: Final = 90
_ALREADY: Final = ("already registered", "already pre-registered", "already signed")

log = structlog.get_logger()


class DutyContradiction(ChronoError):
    """The ledger holds another content for this duty than the one about to be said: it is not said."""


class NotPublished(ChronoError):
    """The rewards of the reward epoch are not published yet."""


class UntrustedRewards(ChronoError):
    """Rewards that this voter does not put its name to, or cannot claim with; the text says why."""


class EpochDuties:
    """Does what is due. One owner calls `restore` once and then `turn` again and again, never two at once."""

    def __init__(
        self,
        *,
        network: Network,
        signer: ResultSigner,
        system: System,
        ledger: Ledger,
        metrics: ProviderMetrics,
        rewards: RewardSource | None = None,
        recipient: Address | None = None,
        does: frozenset[Duty] = frozenset(Duty),
    ) -> None:
        self._network, self._signer, self._system = network, signer, system
        self._ledger, self._metrics = ledger, metrics
        self._rewards, self._recipient, self._does = rewards, recipient, does
        self._voter: Address | None = None
        self._records: dict[Owed, Record] = {}
        self._closed: frozenset[Owed] | None = None
        self._claimed: set[RewardEpochId] = set()
        self._rests: dict[Owed, float] = {}
        self._failures: dict[Owed, int] = {}
        self._scale = network.voting_epoch_s / _USUAL_EPOCH_S

    async def restore(self, at: float) -> None:
        """Take up what an earlier instance has said. Raises LeaseLost or StoreUnavailable."""
        present = self._network.expected_reward_epoch_of(self._network.round_at(at))
        self._records = dict(await self._ledger.load_duties(RewardEpochId(present - 2 * CLAIMS_BACK)))
        self._claimed = {
            owed.reward_epoch
            for owed, record in self._records.items()
            if owed.duty is Duty.CLAIM and record.progress is Progress.CONFIRMED
        }

    async def turn(self, at: float) -> None:
        """Do what is due at `at`. Raises LeaseLost, ChainUnavailable or StoreUnavailable.

        One duty's failure is logged, pauses that duty, and leaves the others alone.
        """
        view = self._system.view()
        epoch = view.reward_epoch_of(self._network.round_at(view.head_at))
        if epoch is None:
            return
        if self._voter is None:
            self._voter = await self._system.voter_of(self._signer.address)
            if self._voter is None:
                log.warning("signer_belongs_to_no_voter", signer=self._signer.address.text)
                return
        standing = self._standing(self._voter, epoch.id, view)
        agenda = duties(standing, at)
        await self._close(agenda, at)
        for owed in agenda.due:
            await self._try(owed, standing, at)

    def _standing(self, voter: Address, present: RewardEpochId, view: View) -> Standing:
        self._rests = {owed: until for owed, until in self._rests.items() if _recent(owed, present)}
        self._failures = {owed: count for owed, count in self._failures.items() if _recent(owed, present)}
        return Standing(
            voter=voter,
            signer=self._signer.address,
            present=present,
            facts=view.facts(),
            claimed=frozenset(self._claimed),
            rests=self._rests,
            does=self._does,
        )

    async def _close(self, agenda: DutyAgenda, at: float) -> None:
        """Take down what the chain shows as done, and what nobody can do any more, each once.

        What others did for us before this instance looked is no news.
        """
        closed = frozenset(agenda.done) if self._closed is None else self._closed
        for owed in agenda.done:
            record = self._records.get(owed)
            ours = record is not None and record.progress is Progress.ATTEMPTED
            if record is not None and ours:
                await self._note(owed, Record(Progress.CONFIRMED, at, record.content))
            if ours or (record is None and owed not in closed):
                log.info("duty_done", duty=owed.duty, reward_epoch=owed.reward_epoch, ours=ours)
                self._metrics.duties.labels(owed.duty, "done").inc()
        for owed in agenda.missed:
            if owed not in closed:
                log.error("duty_missed", duty=owed.duty, reward_epoch=owed.reward_epoch)
                self._metrics.duties.labels(owed.duty, "missed").inc()
        self._closed = frozenset((*agenda.done, *agenda.missed))

    async def _try(self, owed: Owed, standing: Standing, at: float) -> None:
        perform: Mapping[Duty, Callable[[Owed, Standing, float], Awaitable[None]]] = {
            Duty.PREREGISTER: self._register,
            Duty.REGISTER: self._register,
            Duty.SIGN_POLICY: self._sign_policy,
            Duty.SIGN_UPTIME: self._sign_uptime,
            Duty.SIGN_REWARDS: self._sign_rewards,
            Duty.CLAIM: self._claim,
        }
        told = {"duty": owed.duty, "reward_epoch": owed.reward_epoch}
        try:
            await perform[owed.duty](owed, standing, at)
            pause_s = SETTLES_S
            self._failures.pop(owed, None)
        except LeaseLost:
            raise
        except NotPublished:
            log.info("rewards_not_published", **told)
            pause_s = UNPUBLISHED_S
        except ChronoError as error:
            failures = self._failures[owed] = self._failures.get(owed, 0) + 1
            pause_s = PAUSES_S[min(failures, len(PAUSES_S)) - 1]
            if isinstance(error, Refused) and any(words in str(error) for words in _ALREADY):
                log.info("duty_on_chain_already", **told, detail=str(error))
            else:
                why = type(error).__name__
                log.warning(
                    "duty_failed", **told, why=why, detail=str(error), again_in_s=pause_s * self._scale
                )
                self._metrics.failures.labels(owed.duty, why).inc()
        self._rests[owed] = at + pause_s * self._scale

    async def _register(self, owed: Owed, standing: Standing, at: float) -> None:
        voter = standing.voter
        hashed = registration_hash(self._network, owed.reward_epoch, voter)
        signature = await self._signed(owed, hashed, at)
        calldata = register_voter if owed.duty is Duty.REGISTER else preregister_voter
        await self._send(owed, calldata(voter, signature), at)

    async def _sign_policy(self, owed: Owed, standing: Standing, at: float) -> None:
        policy = standing.of(owed.reward_epoch).policy
        if policy is not None:
            signature = await self._signed(owed, policy.hash, at)
            await self._send(owed, sign_new_signing_policy(owed.reward_epoch, policy.hash, signature), at)

    async def _sign_uptime(self, owed: Owed, _standing: Standing, at: float) -> None:
        signature = await self._signed(owed, uptime_vote_hash(owed.reward_epoch), at)
        await self._send(owed, sign_uptime_vote(owed.reward_epoch, signature), at)

    async def _sign_rewards(self, owed: Owed, standing: Standing, at: float) -> None:
        data = await self._published(owed.reward_epoch)
        if not data.claims_for(standing.voter):
            raise UntrustedRewards(f"no claim in them is for {standing.voter.text}")
        rewards = (self._network.chain_id, data.weight_based, data.root)
        signature = await self._signed(owed, rewards_vote_hash(owed.reward_epoch, *rewards), at)
        await self._send(owed, sign_rewards(owed.reward_epoch, *rewards, signature), at)

    async def _claim(self, owed: Owed, standing: Standing, at: float) -> None:
        data, voter = await self._published(owed.reward_epoch), standing.voter
        if data.root != standing.of(owed.reward_epoch).rewards:
            raise UntrustedRewards("their root is not the one that voters signed")
        claims = data.claims_for(voter, await self._system.shared_by(voter))
        calldata = claim_rewards(voter, self._recipient or voter, owed.reward_epoch, claims)
        if not claims or await self._system.would_pay(calldata) == 0:
            self._claimed.add(owed.reward_epoch)
            return
        await self._say(owed, data.root, at)
        await self._send(owed, calldata, at)

    async def _published(self, reward_epoch: RewardEpochId) -> RewardData:
        data = None if self._rewards is None else await self._rewards(reward_epoch)
        if data is None:
            raise NotPublished(f"no rewards of reward epoch {reward_epoch} yet")
        if (data.reward_epoch, data.network) != (reward_epoch, self._network.name):
            raise UntrustedRewards(f"they are of {data.network}, reward epoch {data.reward_epoch}")
        return data

    async def _signed(self, owed: Owed, hashed: bytes, at: float) -> Signature:
        """Our signature of what is durably said; raises DutyContradiction."""
        await self._say(owed, hashed, at)
        return await self._signer.sign(hashed)

    async def _say(self, owed: Owed, content: bytes, at: float) -> None:
        """Say durably that the duty may be on chain from now on; raises unless its content stands."""
        known = self._records.get(owed)
        if known is None:
            await self._note(owed, Record(Progress.ATTEMPTED, at, content))
        elif known.content != content:
            raise DutyContradiction(f"said {known.content.hex()} before, not {content.hex()}")

    async def _note(self, owed: Owed, record: Record) -> None:
        standing = await self._ledger.note_duty(owed, record)
        if standing != record.content:
            raise DutyContradiction(f"the ledger says {standing.hex()}, not {record.content.hex()}")
        self._records[owed] = record

    async def _send(self, owed: Owed, calldata: bytes, at: float) -> None:
        await self._system.call(owed, calldata, at)
        log.info("duty_sent", duty=owed.duty, reward_epoch=owed.reward_epoch, size=len(calldata))


def _recent(owed: Owed, present: RewardEpochId) -> bool:
    return owed.reward_epoch >= present - CLAIMS_BACK
