"""Blocks that were read, in order: submissions by time, and what a reorganisation takes back.

Pure: blocks come in, questions are answered. Holds blocks from a start on; forgets old ones when told.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.ftso.submissions import Submission
from core.provider.ports import Function


@dataclass(frozen=True, slots=True)
class Block:
    """A block's place, its time, and the submissions in it."""

    number: int
    hash: bytes
    parent: bytes
    at: int
    submissions: Mapping[Function, tuple[Submission, ...]]


class BlockIndex:
    """A run of blocks without a gap. `reorganisations` counts the times that some were taken back."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._times: list[int] = []
        self.reorganisations = 0

    @property
    def first(self) -> Block | None:
        return self._blocks[0] if self._blocks else None

    @property
    def last(self) -> Block | None:
        return self._blocks[-1] if self._blocks else None

    def at(self, number: int) -> Block | None:
        """The block of that number, if it is held."""
        if not self._blocks or not self._blocks[0].number <= number <= self._blocks[-1].number:
            return None
        return self._blocks[number - self._blocks[0].number]

    def add(self, block: Block) -> bool:
        """Take the next block; False if it does not follow the last, which is then to be taken back."""
        last = self.last
        if last is not None and (block.number != last.number + 1 or block.parent != last.hash):
            return False
        self._blocks.append(block)
        self._times.append(block.at)
        return True

    def take_back(self, from_number: int) -> None:
        """Forget the blocks from that number on: the chain has others there."""
        if not self._blocks or from_number > self._blocks[-1].number:
            return
        keep = max(0, from_number - self._blocks[0].number)
        del self._blocks[keep:], self._times[keep:]
        self.reorganisations += 1

    def forget_before(self, at: int) -> None:
        """Forget blocks older than `at`, but keep one that shows that nothing is missing since."""
        drop = bisect_left(self._times, at) - 1
        if drop > 0:
            del self._blocks[:drop], self._times[:drop]

    def submissions(self, function: Function, start: int, end: int) -> Sequence[Submission]:
        """What was submitted with start <= block time < end, in the chain's order."""
        low, high = bisect_left(self._times, start), bisect_left(self._times, end)
        return [
            submission
            for block in self._blocks[low:high]
            for submission in block.submissions.get(function, ())
        ]

    def covers(self, start: int) -> bool:
        """Whether every block since `start` is held: one before it is, or the very first block."""
        return bool(self._blocks) and (self._blocks[0].at < start or self._blocks[0].number == 0)
