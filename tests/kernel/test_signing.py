from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from chrono.batch import Batch
from chrono.errors import BadSignature, BatchError, RevokedKey, StaleBatch, UnknownKey
from chrono.signing import KeyRing, PublicKey, key_id, open_sealed, seal
from tests.kernel.ticks_of import AT, quote


class SeedSigner:
    """Signs with the key of a seed."""

    def __init__(self, seed: int) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.public = self._key.public_key().public_bytes_raw()
        self.key_id = key_id(self.public)

    async def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


def verify(key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


OLD, NEW, STRANGER = SeedSigner(1), SeedSigner(2), SeedSigner(3)
RING = KeyRing([PublicKey(OLD.public, "old"), PublicKey(NEW.public, "new")])


async def sealed_by(signer: SeedSigner) -> bytes:
    return await seal(Batch(signer.key_id, 7, AT, (quote(),)), signer)


async def test_two_keys_are_valid_at_once_so_that_one_can_replace_the_other() -> None:
    for signer in (OLD, NEW):
        assert open_sealed(await sealed_by(signer), RING, verify, at=AT).key_id == signer.key_id


async def test_a_key_never_given_is_unknown() -> None:
    with pytest.raises(UnknownKey) as refused:
        open_sealed(await sealed_by(STRANGER), RING, verify, at=AT)
    assert refused.value.key_id == STRANGER.key_id.hex()


async def test_a_revoked_key_is_refused_by_name() -> None:
    ring = KeyRing([PublicKey(OLD.public, "old", revoked=True), PublicKey(NEW.public)])
    with pytest.raises(RevokedKey):
        open_sealed(await sealed_by(OLD), ring, verify, at=AT)
    assert open_sealed(await sealed_by(NEW), ring, verify, at=AT)
    assert len(ring) == 2


@pytest.mark.parametrize(
    ("age_s", "fresh"), [(0, True), (30, True), (30.5, False), (-30, True), (-31, False)]
)
async def test_a_batch_is_accepted_only_near_its_sending_time(age_s: float, fresh: bool) -> None:
    sealed = await sealed_by(OLD)
    if fresh:
        assert open_sealed(sealed, RING, verify, at=AT + age_s).sequence == 7
        return
    with pytest.raises(StaleBatch) as refused:
        open_sealed(sealed, RING, verify, at=AT + age_s)
    assert refused.value.age_s == age_s


async def test_one_key_cannot_sign_for_another() -> None:
    forged = await seal(Batch(OLD.key_id, 7, AT, ()), NEW)
    with pytest.raises(BadSignature):
        open_sealed(forged, RING, verify, at=AT)


@given(data=st.data())
async def test_no_byte_can_be_changed_without_notice(data: st.DataObject) -> None:
    raw = bytearray(await sealed_by(OLD))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BatchError):
        open_sealed(bytes(raw), RING, verify, at=AT)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_public_key_has_32_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        PublicKey(bytes(size))


def test_a_ring_gives_its_keys_back() -> None:
    assert [key.name for key in RING] == ["old", "new"]
