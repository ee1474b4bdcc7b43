"""The contracts of reward epochs in memory: they take a call or refuse it, and show it when told to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from core.ftso.duties import Duty, EpochFacts, Owed, Vote
from core.ftso.identities import Address
from core.provider.ports import ChainUnavailable, Refused, View
from tests.fakes.chain import FakeWorld


@dataclass
class FakeSystem:
    """A System. `taken` is every call that was taken, in order; `waits` are those in no block yet."""

    world: FakeWorld
    voter: Address
    signer: Address
    taken: list[tuple[Owed, bytes]] = field(default_factory=list)
    waits: list[Owed] = field(default_factory=list)
    tries: int = 0
    refuses: str | None = None
    down: bool = False
    pays: int = 0

    def view(self) -> View:
        return self.world

    async def voter_of(self, signer: Address) -> Address | None:
        if self.down:
            raise ChainUnavailable("the endpoint hangs")
        return self.voter if signer == self.signer else None

    async def shared_by(self, voter: Address) -> frozenset[Address]:
        return frozenset({Address(b"\x0d" * 20)})

    async def would_pay(self, calldata: bytes) -> int:
        return self.pays

    async def call(self, owed: Owed, calldata: bytes, at: float) -> None:
        self.tries += 1
        if self.down:
            raise ChainUnavailable("the endpoint hangs")
        if self.refuses is not None:
            raise Refused(f"execution reverted: {self.refuses}")
        self.taken.append((owed, calldata))
        self.waits.append(owed)

    def mine(self) -> None:
        """Put what waits into a block."""
        for owed in self.waits:
            facts = self.world.known.get(owed.reward_epoch, EpochFacts())
            self.world.known[owed.reward_epoch] = self._after(owed.duty, facts)
        self.waits.clear()

    def _after(self, duty: Duty, facts: EpochFacts) -> EpochFacts:
        signed = Vote(frozenset({self.signer}))
        if duty is Duty.CLAIM:
            self.pays = 0
        after = {
            Duty.PREREGISTER: replace(facts, preregistered=facts.preregistered | {self.voter}),
            Duty.REGISTER: replace(facts, registered=facts.registered | {self.voter}),
            Duty.SIGN_POLICY: replace(facts, policy_vote=signed),
            Duty.SIGN_UPTIME: replace(facts, uptime_vote=signed),
            Duty.SIGN_REWARDS: replace(facts, rewards_vote=signed),
            Duty.CLAIM: facts,
        }
        return after[duty]
