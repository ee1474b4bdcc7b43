"""Counts, from the chain alone, who kept his word. It reads no log and no database of any provider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.chain.local.deploy import LocalVoter
from core.chain.reader import Reader
from core.ftso.epochs import Network
from core.ftso.identities import VotingRoundId
from core.ftso.submissions import commits_of, kept_promises, offenders, reveals_of
from core.provider.ports import Function
from core.provider.reading import Reading


@dataclass(frozen=True)
class Verdict:
    """What the chain shows of the rounds counted. `second_commits` are other hashes in one round."""

    rounds: int
    finalized: int
    wrong_roots: int
    commits: int
    reveals: int
    reveal_offences: int
    second_commits: int
    double_signs: int

    @property
    def clean(self) -> bool:
        return not (self.wrong_roots or self.reveal_offences or self.second_commits or self.double_signs)


def judge(
    reader: Reader, network: Network, voters: Sequence[LocalVoter], rounds: range, feeds: int
) -> Verdict:
    """Count over the rounds."""
    tally = dict.fromkeys(
        ("finalized", "wrong_roots", "commits", "reveals", "offences", "second_commits", "double_signs"), 0
    )
    ours = {voter.submit.address for voter in voters}
    reading = Reading(network)
    for number in map(VotingRoundId, rounds):
        opens, middle = network.start_of(number), network.commits_close_at(number)
        submit1 = reader.submissions(Function.SUBMIT1, opens, middle)
        submit2 = reader.submissions(Function.SUBMIT2, middle, network.reveals_close_at(number))
        commits = commits_of(number, submit1, network)
        reveals = reveals_of(number, submit2, network, feeds)
        kept = kept_promises(number, commits, reveals)
        tally["commits"] += len(commits.keys() & ours)
        tally["reveals"] += len(kept.keys() & ours)
        tally["offences"] += len(offenders(commits, kept) & ours)
        said = {(each.sender, message.payload) for each in submit1 for message in each.messages
                if message.voting_round == number}  # fmt: skip
        tally["second_commits"] += len(said) - len(commits)
        signed = {}
        for result in reading.signed_results(reader, number):
            assert result.message is not None
            signer = result.signature.signer_of(result.message.hash)
            signed.setdefault(signer, set()).add(result.message.encode())
        tally["double_signs"] += sum(len(messages) > 1 for messages in signed.values())
        relayed = reader.finalized(number)
        if relayed is not None:
            tally["finalized"] += 1
            epoch = reader.reward_epoch_of(number)
            assert epoch is not None
            tally["wrong_roots"] += reading.results(reader, number, epoch).message() != relayed
    return Verdict(
        rounds=len(rounds),
        finalized=tally["finalized"],
        wrong_roots=tally["wrong_roots"],
        commits=tally["commits"],
        reveals=tally["reveals"],
        reveal_offences=tally["offences"],
        second_commits=tally["second_commits"],
        double_signs=tally["double_signs"],
    )
