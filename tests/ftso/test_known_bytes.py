"""Small known answers, made by the EVM itself and by hand; they need no file from elsewhere.

Hashes and signatures come from `Known.sol` beside this file, run on anvil. Layouts are written out by hand.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from chrono.feeds import FeedId
from core.ftso.claims import ClaimType, RewardClaim, claims_tree, weight_based_count
from core.ftso.commit import commit_hash
from core.ftso.feed_values import decode_values, encode_prices, encode_values
from core.ftso.finalization import Finalization, gather
from core.ftso.finalizers import initial_seed
from core.ftso.hashing import keccak
from core.ftso.identities import Address, RewardEpochId, VotingRoundId
from core.ftso.merkle import MerkleTree, pair_hash, verifies
from core.ftso.payload import Message, decode_calldata, selector
from core.ftso.protocol_message import ProtocolMessage
from core.ftso.randomness import RandomResult
from core.ftso.results import FeedResult
from core.ftso.reveal import Reveal
from core.ftso.signatures import Signature, SignedResult, sign
from core.ftso.signing_policy import Signer, SigningPolicy

ROUND = VotingRoundId(7)
BTC = FeedId.of("BTC/USD")
ONES, TWOS = Address(b"\x11" * 20), Address(b"\x22" * 20)
A = "3ac225168df54212a25c1c01fd35bebfea408fdac2e31ddd6f80a4bbf9a5f1cb"  # keccak256("a"), and so on
B = "b5553de315e0edf504d9150af82dafa5c4667fa618ed0a6f19c69b41166c5510"
C = "0b42b6393c1f53060fe3ddbfcd7aadcca894465a5a438f69c87d790b2299b9b2"
ROOT = "5842148bc6ebeb52af882a317c765fccd3ae80589b21a9b8cbf21abb630e46a7"  # of A, B and C
KEYS = (  # anvil's first two accounts, known to everybody
    bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
    bytes.fromhex("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
)
SIGNERS = (
    Address.of("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
    Address.of("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
)
SIGNATURES = (  # v, r, s over MESSAGE's hash
    "1c"
    "48d7a49520b20dd8add4a53a58eeb06bf563917cf8d97f93a7845fc1bb4d203f"
    "4c19fcc4fbe6874de639e463ac3b3e8ec18af608c05dbeeecadc12bd92d2bfa5",
    "1b"
    "d25773309ab4131cffa37eed5137473c7ecfe6e0ca1c4c0037dfa4e1fd841437"
    "0755917e4397608571f010b005d85468b1885055247b6acf6abe59d807d5c3bf",
)
MESSAGE = ProtocolMessage(100, ROUND, True, bytes.fromhex(ROOT))


def reveal_of(values: str) -> Reveal:
    return Reveal((42).to_bytes(32, "big"), bytes.fromhex(values))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("80000001000000007fffffff", "b3ac5dc97a15bc04b31ee3abf82503a0bd7d65e1a8cfe16416c85b456dbed77b"),
        ("", "193d6a9d06a5ae9e2896bc6586fc04608766e4f26025f1ab400bda724b894dce"),
    ],
)
def test_a_commit_hash_is_what_solidity_makes_of_it(values: str, expected: str) -> None:
    assert commit_hash(ONES, ROUND, reveal_of(values)).hex() == expected


@pytest.mark.parametrize(
    ("value", "turnout", "decimals", "expected"),
    [
        (-12345, 9876, -2, "863ab39da6cba5fddf24f930c6a217126c65ef9f2ee82d7f0a9fe2c00e40c247"),
        (6400010, 10000, 2, "048564eb8ac310128bac2d232212ce8f566c5c9df15cc07d26096f1154ecf975"),
    ],
)
def test_a_feed_leaf_is_what_solidity_makes_of_it(
    value: int, turnout: int, decimals: int, expected: str
) -> None:
    assert FeedResult(ROUND, BTC, value, turnout, decimals).hash.hex() == expected


def test_a_random_leaf_is_what_solidity_makes_of_it() -> None:
    expected = "2b42d49b781d0086f7d754806a76d6e26933f11d568c94fb8f9dbc74aa3297ea"
    assert RandomResult(ROUND, 42, secure=True).hash.hex() == expected


def test_a_claim_is_what_solidity_makes_of_it() -> None:
    claim = RewardClaim(RewardEpochId(391), TWOS, 10**24, ClaimType.WNAT)
    assert claim.hash.hex() == "52a3920c88ba28467ee1577f57580c15338fa22ee24c750894ebc4d9b685ba32"


def test_only_claims_beyond_fees_are_shared_out_by_weight() -> None:
    claims = [RewardClaim(RewardEpochId(1), ONES, 1, kind) for kind in ClaimType]
    assert weight_based_count(claims) == 3


def test_every_claim_can_be_proved_under_the_rewards_hash() -> None:
    claims = [RewardClaim(RewardEpochId(391), TWOS, amount, ClaimType.FEE) for amount in (1, 2, 3)]
    tree = claims_tree(claims)
    assert all(verifies(claim.hash, tree.proof(claim.hash), tree.root) for claim in claims)


def test_the_finalizers_seed_is_what_solidity_makes_of_it() -> None:
    expected = "d954db63f7b5dfb4f470d0be16eba6a0f30d25f7eacf88b3df47440ff2673478"
    assert initial_seed((5).to_bytes(32, "big"), 100, ROUND).hex() == expected


def test_keccak_is_ethereums_and_not_the_later_sha3() -> None:
    assert keccak(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert keccak(b"a").hex() == A


def test_the_selectors_are_those_of_the_contracts() -> None:
    names = ("submit1()", "submit2()", "submitSignatures()", "relay()")
    assert [selector(name).hex() for name in names] == ["6c532fae", "9d00c9fd", "57eed580", "b59589d1"]


def test_three_leaves_make_the_tree_drawn_in_the_specification() -> None:
    tree = MerkleTree([bytes.fromhex(leaf) for leaf in (A, B, C, A)])
    a, b, c = (bytes.fromhex(leaf) for leaf in (A, B, C))  # sorted: C, A, B
    assert tree.leaves == (c, a, b)
    assert tree.root.hex() == ROOT
    assert tree.proof(c) == (pair_hash(b, a),)
    assert tree.proof(a) == (b, c)


def test_a_signing_policy_is_laid_out_as_the_relay_reads_it() -> None:
    seed = (5).to_bytes(32, "big")
    signers = (Signer(ONES, 2), Signer(TWOS, 3))
    policy = SigningPolicy(RewardEpochId(391), ROUND, 3, seed, signers)
    by_hand = (
        "0002"
        + "000187"
        + "00000007"
        + "0003"
        + "05".rjust(64, "0")
        + "11" * 20
        + "0002"
        + "22" * 20
        + "0003"
    )
    assert policy.encode().hex() == by_hand
    assert policy.hash.hex() == "86f09e70f19e5885dc95124b5d00ba7285688a0d9c9a526e288be37970895a17"


def test_a_protocol_message_is_38_bytes_in_the_specifications_order() -> None:
    assert MESSAGE.encode().hex() == "64" + "00000007" + "01" + ROOT
    assert MESSAGE.hash.hex() == "a546b2497ddf7ce9b621cf19282d0c511085d4c5a67fb0a2873fac12635a5c3a"


@pytest.mark.parametrize("which", [0, 1])
def test_a_signature_is_the_one_that_a_node_makes_with_the_same_key(which: int) -> None:
    made = sign(MESSAGE.hash, KEYS[which])
    assert made.encode().hex() == SIGNATURES[which]
    assert made.signer_of(MESSAGE.hash) == SIGNERS[which]


def test_the_mirrored_signature_is_the_same_signers_as_ecrecover_has_it() -> None:
    made = sign(MESSAGE.hash, KEYS[0])
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high_s = (order - int.from_bytes(made.s, "big")).to_bytes(32, "big")
    assert Signature(55 - made.v, made.r, high_s).signer_of(MESSAGE.hash) == SIGNERS[0]


def test_a_signed_result_carries_its_message_in_type_0_only() -> None:
    signature = sign(MESSAGE.hash, KEYS[0])
    assert SignedResult(signature, MESSAGE).encode().hex() == "00" + MESSAGE.encode().hex() + SIGNATURES[0]
    assert SignedResult(signature, more=b"\xfd").encode().hex() == "01" + SIGNATURES[0] + "fd"


def test_a_finalization_lists_its_signatures_by_index() -> None:
    signers = (Signer(SIGNERS[1], 2), Signer(ONES, 1), Signer(SIGNERS[0], 3))
    policy = SigningPolicy(RewardEpochId(0), ROUND, 3, b"\x05" * 32, signers)
    finalization = gather(policy, MESSAGE, [sign(MESSAGE.hash, key) for key in KEYS], policy.threshold)
    tail = "0002" + SIGNATURES[1] + "0000" + SIGNATURES[0] + "0002"
    assert finalization.encode().hex() == policy.encode().hex() + MESSAGE.encode().hex() + tail
    assert finalization.calldata() == bytes.fromhex("b59589d1") + finalization.encode()
    assert Finalization.decode_calldata(finalization.calldata()) == finalization
    assert finalization.weight == 5


def test_a_reveal_is_the_random_number_and_then_the_values() -> None:
    reveal = reveal_of(encode_prices([Decimal("64000.105"), None, 0.5], [2, 3, 0]).hex())
    assert reveal.encode().hex() == f"{42:064x}" + "8061a80b" + "00000000" + "80000001"
    assert Reveal.decode(reveal.encode(), feed_count=3) == reveal
    assert decode_values(reveal.values, 5) == (6400011, None, 1, None, None)


def test_empty_values_at_the_end_are_cut_but_one_remains() -> None:
    assert encode_values([1, None, None]).hex() == "80000001"
    assert encode_values([None, None]).hex() == "00000000"
    assert encode_values([None, None], cut_empty_end=False).hex() == "00" * 8
    assert encode_values([]) == b""


def test_a_transaction_carries_several_protocols_messages() -> None:
    calldata = bytes.fromhex("6c532fae" + "64" + "00000007" + "0002" + "abcd" + "c8" + "00000007" + "0000")
    assert decode_calldata(calldata) == (Message(100, ROUND, b"\xab\xcd"), Message(200, ROUND, b""))
