"""Signatures against OpenSSL's curve, and the finalizations they make."""

from __future__ import annotations

import itertools
from contextlib import suppress
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from core.ftso.epochs import FLARE
from core.ftso.errors import BelowThreshold, UnrecoverableSignature
from core.ftso.finalization import Finalization, IndexedSignature, gather
from core.ftso.hashing import keccak
from core.ftso.identities import Address, RewardEpochId, VotingRoundId
from core.ftso.protocol_message import ProtocolMessage
from core.ftso.signatures import Signature, digest, sign
from core.ftso.signing_policy import Signer, SigningPolicy

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
keys = st.integers(1, ORDER - 1).map(lambda number: number.to_bytes(32, "big"))
hashes = st.binary(min_size=32, max_size=32)


def openssl_key(private: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(private, "big"), ec.SECP256K1())


def address_of(private: bytes) -> Address:
    point = openssl_key(private).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return Address(keccak(point[1:])[12:])


@settings(max_examples=25)
@given(keys, hashes)
def test_openssl_accepts_our_signature_and_we_recover_its_address(private: bytes, hashed: bytes) -> None:
    made = sign(hashed, private)
    r, s = int.from_bytes(made.r, "big"), int.from_bytes(made.s, "big")
    der = utils.encode_dss_signature(r, s)
    openssl_key(private).public_key().verify(der, digest(hashed), ec.ECDSA(utils.Prehashed(SHA256())))
    assert made.signer_of(hashed) == address_of(private)
    assert s <= ORDER // 2


@settings(max_examples=25)
@given(keys, hashes)
def test_we_recover_the_signer_of_openssls_signature(private: bytes, hashed: bytes) -> None:
    der = openssl_key(private).sign(digest(hashed), ec.ECDSA(utils.Prehashed(SHA256())))
    r, s = (number.to_bytes(32, "big") for number in utils.decode_dss_signature(der))
    assert address_of(private) in {Signature(v, r, s).signer_of(hashed) for v in (27, 28)}


numbers = hashes | st.sampled_from([0, 1, ORDER - 1, ORDER, 2**256 - 1]).map(lambda n: n.to_bytes(32, "big"))


@settings(max_examples=60)
@given(st.sampled_from([0, 1, 26, 27, 28, 29, 255]), numbers, numbers, hashes)
def test_any_signature_has_a_signer_or_is_refused(v: int, r: bytes, s: bytes, hashed: bytes) -> None:
    with suppress(UnrecoverableSignature):
        assert len(Signature(v, r, s).signer_of(hashed)) == 20


def test_a_v_less_27_is_refused_as_on_chain() -> None:
    made = sign(bytes(32), bytes(31) + b"\1")
    with pytest.raises(UnrecoverableSignature, match="neither 27 nor 28"):
        replace(made, v=made.v - 27).signer_of(bytes(32))


KEYS = [number.to_bytes(32, "big") for number in range(1, 7)]
MESSAGE = ProtocolMessage(100, VotingRoundId(8), False, b"\x07" * 32)
WEIGHTS = (10, 0, 25, 5, 40, 20)
POLICY = SigningPolicy(
    RewardEpochId(0),
    VotingRoundId(0),
    50,
    bytes(32),
    tuple(Signer(address_of(key), weight) for key, weight in zip(KEYS, WEIGHTS, strict=True)),
)
SIGNED = [sign(MESSAGE.hash, key) for key in KEYS]
STRANGER = sign(MESSAGE.hash, (99).to_bytes(32, "big"))
OTHER_RESULT = sign(replace(MESSAGE, secure_random=True).hash, KEYS[4])
GARBAGE = Signature(0, bytes(32), bytes(32))


@pytest.mark.parametrize("who", [c for n in range(7) for c in itertools.combinations(range(6), n)])
def test_whoever_signed_the_finalization_passes_the_relays_checks_or_is_not_made(
    who: tuple[int, ...],
) -> None:
    given_signatures = [STRANGER, GARBAGE, OTHER_RESULT, *(SIGNED[i] for i in reversed(who))] * 2
    weight = sum(WEIGHTS[i] for i in who)
    if weight <= POLICY.threshold:
        with pytest.raises(BelowThreshold) as refused:
            gather(POLICY, MESSAGE, given_signatures, POLICY.threshold)
        assert (refused.value.weight, refused.value.threshold) == (weight, 50)
    else:
        finalization = gather(POLICY, MESSAGE, given_signatures, POLICY.threshold)
        indices = [entry.index for entry in finalization.signatures]
        assert indices == sorted(set(indices))
        assert POLICY.threshold < finalization.weight <= weight
        assert finalization.weight - min(WEIGHTS[i] for i in indices) <= POLICY.threshold


@pytest.mark.parametrize("order", [(2, 0), (0, 0), (0, 9), (0, 5)])
def test_a_finalization_that_the_relay_would_revert_weighs_nothing(order: tuple[int, int]) -> None:
    entries = tuple(IndexedSignature(index, SIGNED[index % 5]) for index in order)
    assert Finalization(POLICY, MESSAGE, entries).weight == 0


def test_a_finalization_with_garbage_among_its_signatures_weighs_nothing() -> None:
    entries = (IndexedSignature(2, SIGNED[2]), IndexedSignature(4, GARBAGE))
    assert Finalization(POLICY, MESSAGE, entries).weight == 0
    assert Finalization(POLICY, MESSAGE, entries[:1]).weight == WEIGHTS[2]


def test_a_new_signing_policy_is_relayed_by_signatures_of_its_hash() -> None:
    following = replace(POLICY, reward_epoch=RewardEpochId(1))
    entry = IndexedSignature(4, sign(following.hash, KEYS[4]))
    assert Finalization(POLICY, following, (entry,)).weight == WEIGHTS[4]


def test_the_threshold_rises_by_a_fifth_while_the_next_policy_is_missing() -> None:
    policy = replace(POLICY, reward_epoch=RewardEpochId(1), threshold=32768)
    inside, beyond = VotingRoundId(2 * 3360 - 1), VotingRoundId(2 * 3360)
    assert policy.threshold_for(inside, RewardEpochId(1), FLARE) == 32768
    assert policy.threshold_for(beyond, RewardEpochId(1), FLARE) == 39321
    assert policy.threshold_for(beyond, RewardEpochId(2), FLARE) == 32768
