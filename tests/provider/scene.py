"""One provider, and a heavier one that always does right, on a chain in memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from core.chain.keys import LocalKey
from core.ftso.epochs import local
from core.ftso.hashing import keccak
from core.ftso.identities import VotingRoundId
from core.ftso.submissions import commits_of, kept_promises, reveals_of
from core.ftso.timings import Timings
from core.provider.engine import Provider
from core.provider.metrics import ProviderMetrics
from core.provider.ports import Chain, FeedValues, Function, Ledger
from tests.fakes.chain import FakeChain, FakeWorld, reward_epoch
from tests.fakes.ledgers import Book, FakeLedgers

NETWORK = local(1_000, voting_epoch_s=90, reveal_deadline_s=45)
OWN, OTHER = LocalKey(keccak(b"own")), LocalKey(keccak(b"other"))
SUBMIT, OTHER_SUBMIT = LocalKey(keccak(b"own submit")), LocalKey(keccak(b"other submit"))
EPOCH = reward_epoch([(OWN.address, SUBMIT.address, 100), (OTHER.address, OTHER_SUBMIT.address, 90)])
PRICES = {"FLR/USD": 0.0213, "SGB/USD": 0.0071, "BTC/USD": 64_000.5, "XRP/USD": 0.55}
TICKS = (76, 80, 85, 91, 110, 116, 122, 130, 136, 140, 146, 157, 164)
"""Offsets from a round's start at which turns are taken in `play`."""


@dataclass
class Scene:
    """A world with both, and the ledgers that outlive instances."""

    world: FakeWorld = field(default_factory=lambda: FakeWorld(EPOCH))
    ledgers: FakeLedgers = field(default_factory=FakeLedgers)
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.world.mine(900)
        self.world.mine(1_000)

    @property
    def book(self) -> Book:
        """What is durable of ours."""
        return self.ledgers.books["own"]

    def provider(
        self,
        *,
        ledger: Ledger | None = None,
        chain: Chain | None = None,
        name: str = "own",
        prices: Mapping[str, float] | None = PRICES,
        guard: Callable[[FeedValues], FeedValues] = lambda values: values,
    ) -> Provider:
        """An instance: every one draws other random numbers."""
        submit, signer = (SUBMIT, OWN) if name == "own" else (OTHER_SUBMIT, OTHER)

        async def values(voting_round: VotingRoundId, at: float) -> Mapping[str, float]:
            return dict(prices or {})

        return Provider(
            network=NETWORK,
            timings=Timings.of(NETWORK),
            submit_address=submit.address,
            signer=signer,
            chain=chain or FakeChain(self.world, submit.address),
            ledger=ledger or self.ledgers.take_over(name, name),
            values=guard(values),
            entropy=lambda size: next(self.numbers).to_bytes(size, "big"),
            metrics=ProviderMetrics(CollectorRegistry()),
        )

    def commits(self, number: int = 0) -> list[bytes]:
        """The different words that we have committed to in a round."""
        said = {call for who, what, r, call in self.world.wanted
                if (who, what, r) == (SUBMIT.address, Function.SUBMIT1, number)}  # fmt: skip
        return sorted(said)

    def sent(self, function: Function) -> int:
        """How many transactions of ours were taken."""
        return sum(who == SUBMIT.address and what is function for who, what, _, _ in self.world.wanted)

    def kept_word(self, number: int = 0) -> bool | None:
        """Whether the chain shows our reveal of our commit; None if it shows no commit."""
        r = VotingRoundId(number)
        every = 0, 10**9
        commits = commits_of(r, self.world.submissions(Function.SUBMIT1, *every), NETWORK)
        reveals = reveals_of(r, self.world.submissions(Function.SUBMIT2, *every), NETWORK, 3)
        if SUBMIT.address not in commits:
            return None
        return SUBMIT.address in kept_promises(r, commits, reveals)

    async def play(self, *providers: Provider, since: int = 0, until: int = 164) -> None:
        """Round 0, tick by tick."""
        for offset in TICKS:
            if since <= offset <= until:
                for provider in providers:
                    await provider.turn(1_000.0 + offset)
                self.world.mine(1_000 + offset)
