"""Every vector that the reference implementation generated, held against Chrono's own code."""

from __future__ import annotations

from typing import Any

from chrono.feeds import FeedId
from core.ftso.claims import ClaimType, RewardClaim
from core.ftso.commit import commit_hash
from core.ftso.feed_order import CommunityOffer, Feed, canonical_feed_order
from core.ftso.feed_values import decode_values, encode_prices, scaled
from core.ftso.finalization import Finalization, IndexedSignature
from core.ftso.finalizers import selected_finalizers
from core.ftso.identities import Address, RewardEpochId, VotingRoundId
from core.ftso.median import weighted_median
from core.ftso.merkle import MerkleTree, verifies
from core.ftso.payload import Message, decode_messages
from core.ftso.protocol_message import ProtocolMessage
from core.ftso.randomness import RandomResult
from core.ftso.results import FeedResult
from core.ftso.reveal import Reveal
from core.ftso.signatures import Signature, SignedResult
from core.ftso.signing_policy import Signer, SigningPolicy

from . import vectors
from .vectors import raw


@vectors.of("commit")
def test_a_commit_hash_is_the_references(vector: dict[str, Any]) -> None:
    reveal = Reveal(raw(vector["rnd"]), raw(vector["v"]))
    found = commit_hash(Address.of(vector["a"]), VotingRoundId(vector["r"]), reveal)
    assert found == raw(vector["h"])


@vectors.of("feeds")
def test_prices_become_the_references_bytes_and_are_read_back(vector: dict[str, Any]) -> None:
    prices, decimals = vector["v"], vector["d"]
    assert encode_prices(prices, decimals) == raw(vector["e"])
    values = [None if v is None else scaled(v, d) for v, d in zip(prices, decimals, strict=True)]
    assert list(decode_values(raw(vector["e"]), len(decimals))) == values


@vectors.of("payload")
def test_a_payload_message_is_the_references(vector: dict[str, Any]) -> None:
    message = Message(vector["protocolId"], VotingRoundId(vector["votingRoundId"]), raw(vector["payload"]))
    assert message.encode() == raw(vector["e"])
    assert decode_messages(raw(vector["e"])) == (message,)


@vectors.of("median")
def test_a_median_and_its_quartiles_are_the_references(vector: dict[str, Any]) -> None:
    found = weighted_median(vector["v"], [int(weight) for weight in vector["w"]])
    expected = (vector["m"], vector["q1"], vector["q3"], int(vector["W"]))
    assert (found.median, found.quartile1, found.quartile3, found.weight) == expected


@vectors.of("merkle")
def test_a_tree_has_the_references_root_and_proof(vector: dict[str, Any]) -> None:
    tree = MerkleTree(raw(leaf) for leaf in vector["l"])
    proof = tree.proof(raw(vector["leaf"]))
    assert tree.root == raw(vector["root"])
    assert proof == tuple(raw(sibling) for sibling in vector["proof"])
    assert verifies(raw(vector["leaf"]), proof, tree.root)


def policy_of(fields: dict[str, Any]) -> SigningPolicy:
    return SigningPolicy(
        RewardEpochId(fields["rewardEpochId"]),
        VotingRoundId(fields["startVotingRoundId"]),
        fields["threshold"],
        raw(fields["seed"]),
        tuple(Signer(Address.of(v), w) for v, w in zip(fields["voters"], fields["weights"], strict=True)),
    )


@vectors.of("sp")
def test_a_signing_policy_has_the_references_bytes_and_hash(vector: dict[str, Any]) -> None:
    policy = policy_of(vector["p"])
    assert policy.encode() == raw(vector["e"])
    assert policy.hash == raw(vector["h"])
    assert SigningPolicy.decode(raw(vector["e"])) == policy


@vectors.of("relay")
def test_a_finalization_and_its_signed_payload_are_the_references(vector: dict[str, Any]) -> None:
    fields = vector["msg"]
    message = ProtocolMessage(
        fields["protocolId"],
        VotingRoundId(fields["votingRoundId"]),
        fields["isSecureRandom"],
        raw(fields["merkleRoot"]),
    )
    signatures = tuple(
        IndexedSignature(s["index"], Signature(s["v"], raw(s["r"]), raw(s["s"]))) for s in vector["sg"]
    )
    policy = policy_of(vectors.everything()["sp"][vector["sp"] // 2]["p"])  # the file counts two a policy
    finalization = Finalization(policy, message, signatures)
    signed = SignedResult(signatures[0].signature, message)
    assert (message.encode(), message.hash) == (raw(vector["pm"]), raw(vector["pmh"]))
    assert finalization.encode() == raw(vector["e"])
    assert Finalization.decode(raw(vector["e"])) == finalization
    assert signed.encode() == raw(vector["sig0"])
    assert SignedResult.decode(raw(vector["sig0"])) == signed


@vectors.of("claim")
def test_a_claim_hashes_to_the_references_leaf(vector: dict[str, Any]) -> None:
    claim = RewardClaim(
        RewardEpochId(vector["rewardEpochId"]),
        raw(vector["beneficiary"]),
        int(vector["amount"]),
        ClaimType(vector["claimType"]),
    )
    assert claim.hash == raw(vector["h"])


@vectors.of("finalizers")
def test_the_references_finalizers_are_drawn_in_its_order(vector: dict[str, Any]) -> None:
    signers = tuple(Signer(Address.of(v), w) for v, w in zip(vector["voters"], vector["w"], strict=True))
    policy = SigningPolicy(RewardEpochId(1), VotingRoundId(1), 1, raw(vector["seed"]), signers)
    found = selected_finalizers(policy, vector["pr"], VotingRoundId(vector["vr"]))
    assert [address.text for address in found] == vector["sel"]


@vectors.of("feedStruct")
def test_a_feed_result_hashes_to_the_references_leaf(vector: dict[str, Any]) -> None:
    result = FeedResult(
        VotingRoundId(vector["votingRoundId"]),
        FeedId(raw(vector["id"])),
        vector["value"],
        vector["turnoutBIPS"],
        vector["decimals"],
    )
    assert result.hash == raw(vector["h"])


@vectors.of("randomStruct")
def test_a_random_result_hashes_to_the_references_leaf(vector: dict[str, Any]) -> None:
    value = int(vector["value"], 16)
    result = RandomResult(VotingRoundId(vector["votingRoundId"]), value, vector["isSecure"])
    assert result.hash == raw(vector["h"])


@vectors.of("order")
def test_feeds_stand_in_the_references_order(vector: dict[str, Any]) -> None:
    feeds = [(Feed(FeedId(raw(f["id"])), 2), f["infl"], int(f["val"])) for f in vector["f"]]
    found = canonical_feed_order(
        [feed for feed, inflation, _ in feeds if inflation],
        [CommunityOffer(feed, amount) for feed, inflation, amount in feeds if not inflation],
    )
    assert ["0x" + feed.id.hex() for feed in found] == vector["o"]
