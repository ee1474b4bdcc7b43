"""What is signed is EIP-712 as wallets understand it, and nothing but the signer's own words is accepted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from core.signed.key import PriceKey
from core.signed.passes import PassSigner
from core.signed.prices import (
    TYPES,
    Domain,
    MalformedDocument,
    NotFresh,
    Price,
    PriceVector,
    WrongSigner,
    digest,
    signer_of,
    verify_price,
    verify_prices,
)
from tests.fakes.services import NOW, message_at

KEY = PriceKey(bytes(31) + b"\x07")
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

unsigned64 = st.integers(0, 2**64 - 1)
signed256 = st.integers(-(2**255), 2**255 - 1)
prices = st.builds(
    Price,
    feed_id=st.binary(min_size=21, max_size=21),
    value=signed256,
    decimals=st.integers(-128, 127),
    band_low=signed256,
    band_high=signed256,
    observed_at_ms=unsigned64,
    sequence=unsigned64,
    venues=st.integers(0, 2**16 - 1),
)
vectors = st.builds(PriceVector, unsigned64, unsigned64, st.lists(prices, max_size=3).map(tuple))


def as_wallets_hash_it(primary: str, message: dict[str, object], chain_id: int) -> Any:
    types = {name: [{"name": each, "type": kind} for each, kind in kinds] for name, kinds in TYPES.items()}
    used = {name: types[name] for name in ("EIP712Domain", "Price", primary)}
    return encode_typed_data(
        full_message={
            "types": used,
            "primaryType": primary,
            "domain": Domain(chain_id).document(),
            "message": message,
        }
    )


def signed(struct: Price | PriceVector, chain_id: int = 14, key: PriceKey = KEY) -> dict[str, Any]:
    signature = key.sign(digest(Domain(chain_id).separator(), struct.struct_hash()))
    return {"message": struct.message(), "signature": "0x" + signature.hex()}


def a_price(**changes: Any) -> Price:
    price = Price(b"\x01BTC/USD".ljust(21, b"\0"), 640_123_150, 4, 640_011_000, 640_209_000, 0, 7, 5)
    return replace(price, observed_at_ms=int(NOW * 1000), **changes)


def verified(document: object, at: float = NOW, **others: Any) -> Price:
    return verify_price(document, **{"signer": KEY.address, "chain_id": 14, "at": at, **others})


@given(prices, st.integers(1, 2**40))
def test_the_signer_of_a_price_is_found_by_a_wallet_s_library(price: Price, chain_id: int) -> None:
    document = signed(price, chain_id)
    message = as_wallets_hash_it("Price", price.message(), chain_id)
    found = Account.recover_message(message, signature=document["signature"])
    assert found.lower() == KEY.address


@given(vectors)
def test_the_signer_of_a_vector_is_found_by_a_wallet_s_library(vector: PriceVector) -> None:
    message = as_wallets_hash_it("PriceVector", vector.message(), 19)
    assert Account.recover_message(message, signature=signed(vector, 19)["signature"]).lower() == KEY.address


@given(vectors)
def test_what_is_written_as_json_is_read_again(vector: PriceVector) -> None:
    assert PriceVector.of(vector.message()) == vector


def test_a_fresh_price_of_the_signer_is_accepted() -> None:
    assert verified(signed(a_price()), NOW + 59) == a_price()


@pytest.mark.parametrize("member", ["value", "decimals", "bandLow", "bandHigh", "observedAtMs", "sequence"])
def test_a_price_with_one_member_changed_is_of_somebody_else(member: str) -> None:
    document = signed(a_price())
    document["message"][member] += 1
    with pytest.raises(WrongSigner):
        verified(document)


def test_a_price_under_another_key_is_refused_and_its_signer_named() -> None:
    other = PriceKey(bytes(31) + b"\x08")
    with pytest.raises(WrongSigner) as refused:
        verified(signed(a_price(), key=other))
    assert refused.value.found == other.address


def test_a_price_for_another_chain_is_refused() -> None:
    with pytest.raises(WrongSigner):
        verified(signed(a_price(), chain_id=114))


@pytest.mark.parametrize("at", [NOW + 61, NOW - 31])
def test_a_price_from_long_ago_or_from_the_future_is_refused(at: float) -> None:
    with pytest.raises(NotFresh):
        verified(signed(a_price()), at)


def test_a_signature_s_other_half_is_refused() -> None:
    document = signed(a_price())
    raw = bytes.fromhex(document["signature"][2:])
    mirrored = ORDER - int.from_bytes(raw[32:64], "big")
    twin = raw[:32] + mirrored.to_bytes(32, "big") + bytes([55 - raw[64]])
    document["signature"] = "0x" + twin.hex()
    with pytest.raises(WrongSigner):
        verified(document)


@given(st.binary(min_size=65, max_size=65))
def test_any_65_bytes_are_refused_without_an_error_of_another_kind(signature: bytes) -> None:
    assert signer_of(bytes(32), signature) != KEY.address


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)


@given(json_values, json_values)
def test_whatever_else_is_refused_as_malformed(message: object, signature: object) -> None:
    good = signed(a_price())
    broken = {**good["message"], "venues": message} if not isinstance(message, int) else message
    for document in (
        message,
        {"message": message, "signature": good["signature"]},
        {"message": good["message"], "signature": signature},
        {"message": broken, "signature": good["signature"]},
    ):
        with pytest.raises(MalformedDocument):
            verified(document)


def test_a_pass_is_signed_as_one_and_feed_by_feed() -> None:
    documents = PassSigner(KEY, 14).of(message_at())
    trusted = {"signer": KEY.address.upper().replace("0X", "0x"), "chain_id": 14, "at": NOW}
    vector = verify_prices(orjson.loads(documents.all()), **trusted)  # type: ignore[arg-type]
    assert len(vector.prices) == 63
    one = documents.one("BTC/USD")
    assert one is not None
    price = verify_price(orjson.loads(one), **trusted)  # type: ignore[arg-type]
    assert price in vector.prices
    assert price.observed_at_ms == int((NOW - 0.25) * 1000)


class CountingKey:
    """Signs, and counts how often."""

    def __init__(self) -> None:
        self.address, self.count = KEY.address, 0

    def sign(self, digest: bytes) -> bytes:
        self.count += 1
        return KEY.sign(digest)


def test_a_pass_costs_one_signature_a_feed_and_one_over_all_whoever_asks() -> None:
    key = CountingKey()
    signer, message = PassSigner(key, 14), message_at()
    for _ in range(3):
        for feed in signer.of(message).prices:
            signer.of(message).one(feed)
        signer.of(message).all()
    assert key.count == 64
