"""What every key of a provider promises, held by a key in this process and by one at a remote signer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from eth_account import Account as EthAccount
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.chain.keys import Key, LocalKey
from core.chain.remote_key import remote_key
from core.ftso.hashing import keccak
from tests.fakes.signer import FakeSigner

SECRET = keccak(b"a provider's key")
ADDRESS = LocalKey(SECRET).address
TRANSACTION = {
    "type": 2,
    "chainId": 14,
    "nonce": 0,
    "to": bytes(range(20)),
    "value": 0,
    "gas": 100_000,
    "maxFeePerGas": 60 * 10**9,
    "maxPriorityFeePerGas": 10**9,
    "data": b"\x6c\x53\x2f\xae" + bytes(40),
}
numbers = st.integers(0, 2**64 - 1)


@pytest.fixture(params=["local", "remote"])
async def key(request: pytest.FixtureRequest) -> AsyncIterator[Key]:
    if request.param == "local":
        yield LocalKey(SECRET)
        return
    signer = FakeSigner([keccak(b"another"), SECRET])
    async with signer.running() as url, aclosing(remote_key(f"{url}/{ADDRESS.text}")) as remote:
        yield remote


async def test_a_key_knows_its_address(key: Key) -> None:
    assert key.address == ADDRESS


async def test_a_transaction_is_signed_as_its_sender(key: Key) -> None:
    raw = await key.sign_transaction(TRANSACTION)
    assert EthAccount.recover_transaction(raw).lower() == ADDRESS.text


async def test_a_transaction_has_the_bytes_that_chains_expect(key: Key) -> None:
    expected = bytes(EthAccount.sign_transaction(dict(TRANSACTION), SECRET).raw_transaction)
    assert await key.sign_transaction(TRANSACTION) == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(nonce=numbers, fee=numbers, gas=numbers, data=st.binary(max_size=300))
async def test_any_transaction_has_the_bytes_that_chains_expect(
    key: Key, nonce: int, fee: int, gas: int, data: bytes
) -> None:
    wish = {**TRANSACTION, "nonce": nonce, "maxFeePerGas": fee, "gas": gas, "data": data}
    assert await key.sign_transaction(wish) == bytes(
        EthAccount.sign_transaction(wish, SECRET).raw_transaction
    )


async def test_a_result_is_signed_so_that_its_signer_is_found(key: Key) -> None:
    hashed = keccak(b"a result")
    assert (await key.sign(hashed)).signer_of(hashed) == ADDRESS


async def test_the_same_hash_gets_the_same_signature(key: Key) -> None:
    hashed = keccak(b"a result")
    assert await key.sign(hashed) == await LocalKey(SECRET).sign(hashed)


async def test_a_key_is_never_shown(key: Key) -> None:
    assert SECRET.hex() not in repr(key)
    assert ADDRESS.text in repr(key)
