"""From submissions to a round's results: what counts, who is benched, and what is signed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chrono.feeds import FeedId
from core.ftso.commit import commit_hash
from core.ftso.epochs import FLARE
from core.ftso.errors import NoResult
from core.ftso.feed_order import Feed
from core.ftso.feed_values import encode_prices
from core.ftso.identities import FDC_PROTOCOL, FTSO_PROTOCOL, Address, RewardEpochId, VotingRoundId
from core.ftso.merkle import verifies
from core.ftso.payload import Message
from core.ftso.protocol_message import ProtocolMessage
from core.ftso.randomness import benching_window, round_random
from core.ftso.results import RoundResults, Voter, round_results
from core.ftso.reveal import Reveal
from core.ftso.submissions import Submission, commits_of, kept_promises, offenders, reveals_of

ROUND = VotingRoundId(1000)
START = FLARE.start_of(ROUND)
ANN, BOB, CID, EVE = (Address(bytes([letter]) * 20) for letter in b"abce")
FEEDS = (Feed(FeedId.of("BTC/USD"), 2), Feed(FeedId.of("XRP/USD"), 5))


def reveal_of(number: int, *prices: str) -> Reveal:
    return Reveal(
        number.to_bytes(32, "big"), encode_prices([Decimal(price) for price in prices], [2, 5][: len(prices)])
    )


def submission(
    sender: Address,
    at: int,
    payload: bytes,
    *,
    place: int = 0,
    protocol: int = FTSO_PROTOCOL,
    of: int = ROUND,
) -> Submission:
    message = Message(protocol, VotingRoundId(of), payload)
    return Submission(sender, START + at, block=place, index=0, messages=(message,))


HASH, OTHER = bytes(31) + b"\1", bytes(31) + b"\2"


@pytest.mark.parametrize(("at", "counts"), [(-1, False), (0, True), (89, True), (90, False)])
def test_a_commit_counts_in_its_own_voting_epoch(at: int, counts: bool) -> None:
    assert commits_of(ROUND, [submission(ANN, at, HASH)], FLARE) == ({ANN: HASH} if counts else {})


@pytest.mark.parametrize(("at", "counts"), [(89, False), (90, True), (134, True), (135, False)])
def test_a_reveal_counts_strictly_before_the_deadline(at: int, counts: bool) -> None:
    reveal = reveal_of(1, "64000.1")
    found = reveals_of(ROUND, [submission(ANN, at, reveal.encode())], FLARE, 2)
    assert found == ({ANN: reveal} if counts else {})


def test_the_last_message_in_the_chains_order_that_can_be_read_counts() -> None:
    submissions = [
        submission(ANN, 50, OTHER, place=2),
        submission(ANN, 50, HASH, place=1),
        submission(ANN, 51, b"no commit", place=3),
        submission(ANN, 52, HASH, place=4, protocol=FDC_PROTOCOL),
        submission(ANN, 53, HASH, place=5, of=ROUND - 1),
    ]
    assert commits_of(ROUND, submissions, FLARE) == {ANN: OTHER}


def test_who_withholds_or_changes_his_reveal_is_an_offender() -> None:
    told = {who: reveal_of(number, "1.00") for number, who in enumerate((ANN, BOB, CID))}
    commits = {who: commit_hash(who, ROUND, reveal) for who, reveal in told.items()}
    reveals = {ANN: told[ANN], BOB: reveal_of(1, "2.00"), EVE: reveal_of(9, "1.00")}
    kept = kept_promises(ROUND, commits, reveals)
    assert kept == {ANN: told[ANN]}
    assert offenders(commits, kept) == {BOB, CID}


def test_nobody_can_reveal_after_anothers_commit() -> None:
    reveal = reveal_of(1, "1.00")
    copied = {who: commit_hash(ANN, ROUND, reveal) for who in (ANN, EVE)}
    assert set(kept_promises(ROUND, copied, {ANN: reveal, EVE: reveal})) == {ANN}


def test_the_random_number_is_the_sum_of_the_unbenched_modulo_2_to_the_256() -> None:
    reveals = {ANN: reveal_of(2**256 - 1), BOB: reveal_of(3), CID: reveal_of(1000)}
    assert round_random(ROUND, reveals, [], [CID]).value == 2


@pytest.mark.parametrize(
    ("offended", "benched", "secure"),
    [
        ([], [], True),
        ([EVE], [], False),  # newly benched
        ([EVE], [EVE], True),  # benched already: its offence decides nothing
        ([], [ANN], False),  # one contribution left
    ],
)
def test_the_random_number_is_secure_unless_somebody_could_have_chosen_it(
    offended: list[Address], benched: list[Address], secure: bool
) -> None:
    reveals = {ANN: reveal_of(1), BOB: reveal_of(2)}
    assert round_random(ROUND, reveals, offended, benched).secure is secure


def test_offenders_are_benched_for_twenty_rounds() -> None:
    window = benching_window(ROUND, RewardEpochId(300), VotingRoundId(990), FLARE)
    assert (window[0], window[-1], len(window)) == (ROUND - 20, ROUND - 1, 20)


def test_nothing_is_remembered_from_before_a_networks_first_reward_epoch() -> None:
    window = benching_window(ROUND, RewardEpochId(224), VotingRoundId(990), FLARE)
    assert list(window) == list(range(990, ROUND))


VOTERS = (Voter(ANN, 6), Voter(BOB, 3), Voter(CID, 1), Voter(EVE, 2))
KEPT = {ANN: reveal_of(5, "100.00"), BOB: reveal_of(6, "200.00", "0.5"), CID: reveal_of(7, "300.00", "0.7")}


def results(**changes: object) -> RoundResults:
    given: dict[str, object] = {"feeds": FEEDS, "voters": VOTERS, "kept": KEPT, "offended": (), "benched": ()}
    return round_results(ROUND, **(given | changes))  # type: ignore[arg-type]


def test_a_rounds_values_turnout_and_random_number_are_signed_under_one_root() -> None:
    found = results()
    btc, xrp = (outcome.result for outcome in found.feeds)
    assert (btc.value, btc.turnout_bips, btc.decimals) == (10_000, 8333, 2)
    assert (xrp.value, xrp.turnout_bips, xrp.decimals) == (50_000, 3333, 5)
    assert found.feeds[1].values == (None, 50_000, 70_000, None)
    assert (found.random.value, found.random.secure) == (18, True)
    assert found.message() == ProtocolMessage(FTSO_PROTOCOL, ROUND, True, found.tree.root)
    assert found.random.hash in found.tree.leaves


@pytest.mark.parametrize("feed", FEEDS)
def test_every_feeds_value_can_be_proved(feed: Feed) -> None:
    found = results()
    result, proof = found.proof(feed.id)
    assert result.feed == feed.id
    assert verifies(result.hash, proof, found.tree.root)


def test_a_feed_of_another_reward_epoch_has_no_proof() -> None:
    with pytest.raises(NoResult):
        results().proof(FeedId.of("DOGE/USD"))


def test_strangers_change_nothing() -> None:
    stranger = Address(bytes(20))
    found = results(kept={**KEPT, stranger: reveal_of(9, "1.00")}, offended=[stranger])
    assert found.tree.root == results().tree.root
    assert found.random.secure


def test_a_feed_without_any_vote_is_a_leaf_of_zero() -> None:
    found = results(kept={ANN: KEPT[ANN], EVE: reveal_of(1, "100.00")})
    assert (found.feeds[1].result.value, found.feeds[1].result.turnout_bips) == (0, 0)


def test_a_round_in_which_no_voter_revealed_has_no_result() -> None:
    with pytest.raises(NoResult):
        results(kept={Address(bytes(20)): reveal_of(1, "1.00")})


@given(st.permutations([ANN, BOB, CID]))
def test_the_root_does_not_depend_on_the_order_in_which_reveals_came(order: list[Address]) -> None:
    assert results(kept={who: KEPT[who] for who in order}).tree.root == results().tree.root


def test_who_changes_a_weight_changes_the_root() -> None:
    heavier = (replace(VOTERS[0], weight=1), *VOTERS[1:])
    assert results(voters=heavier).tree.root != results().tree.root
