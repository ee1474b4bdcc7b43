"""A provider's ledgers in memory, with the lease and the firsts of the real one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from core.ftso.duties import Owed
from core.ftso.identities import RewardEpochId, VotingRoundId
from core.ftso.round import Record
from core.ftso.timings import Step
from core.ports import StoreUnavailable
from core.provider.ports import Frozen, Kept, LeaseHeld, LeaseLost
from core.provider.score import RoundScore


@dataclass
class Book:
    """What outlives an instance."""

    holder: str | None = None
    fence: int = 0
    frozen: dict[VotingRoundId, Frozen] = field(default_factory=dict)
    steps: dict[VotingRoundId, dict[Step, Record]] = field(default_factory=lambda: defaultdict(dict))
    scores: dict[VotingRoundId, RoundScore] = field(default_factory=dict)
    duties: dict[Owed, Record] = field(default_factory=dict)
    full: bool = False


class FakeLedgers:
    """Ledgers: books by provider."""

    def __init__(self) -> None:
        self.books: dict[str, Book] = defaultdict(Book)

    @asynccontextmanager
    async def lease(self, provider: str, holder: str) -> AsyncIterator[FakeLedger]:
        book = self.books[provider]
        if book.holder is not None:
            raise LeaseHeld(provider, book.holder)
        ledger = self.take_over(provider, holder)
        try:
            yield ledger
        finally:
            if book.fence == ledger.fence:
                book.holder = None

    def take_over(self, provider: str, holder: str) -> FakeLedger:
        """What happens when the holder's session is gone though the holder lives."""
        book = self.books[provider]
        book.holder, book.fence = holder, book.fence + 1
        return FakeLedger(book, book.fence)


class FakeLedger:
    """A Ledger on a book."""

    def __init__(self, book: Book, fence: int) -> None:
        self.book, self.fence = book, fence

    async def load(self, since: VotingRoundId) -> Sequence[Kept]:
        self._check()
        numbers = sorted({*self.book.frozen, *self.book.steps})
        return [
            Kept(number, self.book.frozen.get(number), dict(self.book.steps.get(number, {})))
            for number in numbers
            if number >= since
        ]

    async def freeze(self, voting_round: VotingRoundId, at: float, frozen: Frozen) -> Frozen:
        self._check()
        return self.book.frozen.setdefault(voting_round, frozen)

    async def note(self, voting_round: VotingRoundId, step: Step, record: Record) -> bytes:
        self._check()
        standing = self.book.steps[voting_round].get(step)
        if standing is not None and standing.content != record.content:
            return standing.content
        self.book.steps[voting_round][step] = record
        return record.content

    async def load_duties(self, since: RewardEpochId) -> Mapping[Owed, Record]:
        self._check()
        return {owed: record for owed, record in self.book.duties.items() if owed.reward_epoch >= since}

    async def note_duty(self, owed: Owed, record: Record) -> bytes:
        self._check()
        standing = self.book.duties.get(owed)
        if standing is not None and standing.content != record.content:
            return standing.content
        self.book.duties[owed] = record
        return record.content

    async def keep_score(self, score: RoundScore) -> None:
        self._check()
        self.book.scores.setdefault(score.voting_round, score)

    def _check(self) -> None:
        if self.book.fence != self.fence:
            raise LeaseLost("somebody else took it over")
        if self.book.full:
            raise StoreUnavailable("the disk is full", 1.0)
