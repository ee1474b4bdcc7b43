"""A snapshot is whole, of a known schema, the signer's and not too old, or it is refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.signed.key import PriceKey
from core.signed.passes import PassSigner
from core.snapshot.snapshot import Snapshot, SnapshotRefused, decode_snapshot
from core.snapshot.writer import snapshot_of
from tests.fakes.services import NOW, message_at

KEY, OTHER = PriceKey(bytes(31) + b"\x07"), PriceKey(bytes(31) + b"\x08")
BODY = snapshot_of(message_at(), PassSigner(KEY, 14))


def decoded(body: bytes, **others: Any) -> Snapshot:
    trusted = {"signer": KEY.address, "chain_id": 14, "at": NOW, "age_s_max": 900.0}
    return decode_snapshot(body, **{**trusted, **others})


def changed(*path: str | int, to: object) -> bytes:
    document = orjson.loads(BODY)
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = to
    return orjson.dumps(document)


def test_a_snapshot_holds_every_price_of_its_pass() -> None:
    snapshot = decoded(BODY)
    assert len(snapshot.prices) == 63
    assert snapshot.prices["FLR/USD"][0].value == 64_000 * 10**8
    assert snapshot.age_s(NOW + 12.5) == 12.5


@pytest.mark.parametrize(
    "body",
    [
        changed("schema", to=2),
        changed("all", "message", "sequence", to=2),
        changed("all", "message", "prices", 3, "value", to=1),
        changed("all", "message", "prices", to=[]),
        changed("all", "signature", to="0x" + "00" * 65),
        changed("all", to=None),
        changed("signatures", to=[]),
        changed("signatures", 4, to="0x12"),
        BODY[:-1],
        BODY[: len(BODY) // 2],
        b"",
        b"null",
        b" " * 1_000_001,
    ],
)
def test_a_snapshot_with_anything_wrong_is_refused(body: bytes) -> None:
    with pytest.raises(SnapshotRefused):
        decoded(body)


@pytest.mark.parametrize(
    "trusted", [{"signer": OTHER.address}, {"chain_id": 19}, {"at": NOW + 901}, {"at": NOW - 60}]
)
def test_a_snapshot_of_another_signer_chain_or_time_is_refused(trusted: dict[str, Any]) -> None:
    with pytest.raises(SnapshotRefused):
        decoded(BODY, **trusted)


def test_one_price_s_signature_that_was_exchanged_is_not_told() -> None:
    forged = orjson.loads(snapshot_of(message_at(), PassSigner(OTHER, 14)))["signatures"][0]
    snapshot = decoded(changed("signatures", 0, to=forged))
    with pytest.raises(SnapshotRefused):
        snapshot.signed_price("FLR/USD")
    assert snapshot.signed_price("BTC/USD")["message"]["value"] > 0  # type: ignore[index]


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_no_changed_byte_changes_what_is_told(place: int, difference: int) -> None:
    broken = bytearray(BODY)
    broken[place] ^= difference
    try:
        snapshot = decoded(bytes(broken))
    except SnapshotRefused:
        return
    assert snapshot.vector == decoded(BODY).vector


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_as_such(body: bytes) -> None:
    with pytest.raises(SnapshotRefused):
        decoded(body)
