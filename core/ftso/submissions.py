"""From submission transactions to the commits and reveals that count, and to those who broke their word.

flare-specs FSP/Rewarding (submission transactions), FTSO/Anchor (phases). A message counts if it is of the
FTSO, of the right round, and in a block of the right time: a commit in the voting epoch of its round, a
reveal in the next one strictly before the deadline. Of one sender's messages the last one that can be read
counts, in the chain's order. Everybody computes this alike, or the roots differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from core.ftso.commit import commit_hash, decode_commit
from core.ftso.epochs import Network
from core.ftso.errors import MalformedMessage
from core.ftso.identities import FTSO_PROTOCOL, Address, VotingRoundId
from core.ftso.payload import Message
from core.ftso.reveal import Reveal

_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class Submission:
    """A submit1 or submit2 transaction: block timestamp `at`, place in the chain, and what it carried."""

    sender: Address
    at: int
    block: int
    index: int
    messages: tuple[Message, ...]


def commits_of(
    voting_round: VotingRoundId, submit1: Iterable[Submission], network: Network
) -> dict[Address, bytes]:
    """Each sender's commit hash of the round; senders need not be voters."""
    opens, closes = network.start_of(voting_round), network.commits_close_at(voting_round)
    return _last_readable(voting_round, _within(submit1, opens, closes), decode_commit)


def reveals_of(
    voting_round: VotingRoundId, submit2: Iterable[Submission], network: Network, feed_count: int
) -> dict[Address, Reveal]:
    """Each sender's reveal of the round; `feed_count` is that of the round's own reward epoch."""
    opens, closes = network.commits_close_at(voting_round), network.reveals_close_at(voting_round)
    timely = _within(submit2, opens, closes)
    return _last_readable(voting_round, timely, lambda raw: Reveal.decode(raw, feed_count))


def _within(submissions: Iterable[Submission], opens: int, closes: int) -> list[Submission]:
    timely = (s for s in submissions if opens <= s.at < closes)
    return sorted(timely, key=lambda s: (s.block, s.index))


def _last_readable(
    voting_round: VotingRoundId, submissions: Iterable[Submission], read: Callable[[bytes], _Read]
) -> dict[Address, _Read]:
    found: dict[Address, _Read] = {}
    for submission in submissions:
        for message in submission.messages:
            if message.protocol != FTSO_PROTOCOL or message.voting_round != voting_round:
                continue
            try:
                found[submission.sender] = read(message.payload)
            except MalformedMessage:
                continue  # the protocol ignores it; an earlier message that can be read still counts
    return found


def kept_promises(
    voting_round: VotingRoundId, commits: Mapping[Address, bytes], reveals: Mapping[Address, Reveal]
) -> dict[Address, Reveal]:
    """The reveals that hash to their sender's commit, in the order of `commits`."""
    return {
        sender: reveals[sender]
        for sender, committed in commits.items()
        if sender in reveals and commit_hash(sender, voting_round, reveals[sender]) == committed
    }


def offenders(commits: Mapping[Address, bytes], kept: Mapping[Address, Reveal]) -> frozenset[Address]:
    """Those who committed and did not reveal that, in time; `kept` is what `kept_promises` gave."""
    return frozenset(commits) - frozenset(kept)
