"""A remote signer's faults: used where its answer proves to be ours, refused or asked again where not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest
from eth_account import Account as EthAccount
from eth_keys.constants import SECPK1_N
from hypothesis import given
from hypothesis import strategies as st

from core.chain.errors import BadKey, SignerRefused, SignerUnavailable
from core.chain.keys import LocalKey
from core.chain.remote_key import TRIES_MAX, RemoteKey, read_signature, remote_key
from core.ftso.hashing import keccak
from tests.contracts.test_keys_contract import TRANSACTION
from tests.fakes.signer import FakeSigner, Form, as_web3signer, with_high_s, with_parity
from tests.loopback import Asked, response, serving

SECRET, OTHER = keccak(b"ours"), keccak(b"not ours")
ADDRESS = LocalKey(SECRET).address
HASHED = keccak(b"a result")


@asynccontextmanager
async def key_at(signer: FakeSigner, **limits: float) -> AsyncIterator[RemoteKey]:
    async with signer.running() as url, aclosing(remote_key(f"{url}/{ADDRESS.text}", **limits)) as key:
        yield key


@pytest.mark.parametrize("form", [as_web3signer, with_parity, with_high_s])
async def test_every_form_of_a_signature_is_understood(form: Form) -> None:
    async with key_at(FakeSigner([SECRET], form=form)) as key:
        for word in range(4):  # so that both parities come
            hashed = keccak(bytes([word]))
            signature = await key.sign(hashed)
            assert signature.signer_of(hashed) == ADDRESS
            assert int.from_bytes(signature.s, "big") <= SECPK1_N // 2
        raw = await key.sign_transaction(TRANSACTION)
        assert EthAccount.recover_transaction(raw).lower() == ADDRESS.text


async def test_a_signature_of_another_key_is_not_used() -> None:
    async with key_at(FakeSigner([SECRET], signs_with=OTHER)) as key:
        with pytest.raises(SignerRefused, match="another key"):
            await key.sign(HASHED)
        with pytest.raises(SignerRefused, match="another key"):
            await key.sign_transaction(TRANSACTION)


async def test_a_signer_without_our_key_is_told_apart() -> None:
    async with key_at(FakeSigner([OTHER])) as key:
        with pytest.raises(SignerRefused, match=f"no key of {ADDRESS.text}"):
            await key.check()


async def test_a_signer_that_refuses_is_not_asked_again() -> None:
    signer = FakeSigner([SECRET])
    async with key_at(signer) as key:
        await key.check()
        signer.status, before = 403, len(signer.asked)
        with pytest.raises(SignerRefused, match="HTTP 403"):
            await key.sign(HASHED)
        assert len(signer.asked) == before + 1


async def test_a_signer_that_fails_for_a_moment_is_asked_again() -> None:
    signer = FakeSigner([SECRET])
    async with key_at(signer) as key:
        await key.check()
        signer.fails = TRIES_MAX - 1
        assert (await key.sign(HASHED)).signer_of(HASHED) == ADDRESS


async def test_a_signer_that_keeps_failing_is_away_after_so_many_tries() -> None:
    signer = FakeSigner([SECRET], status=503)
    async with key_at(signer) as key:
        with pytest.raises(SignerUnavailable, match="HTTP 503"):
            await key.sign(HASHED)
    assert len(signer.asked) == TRIES_MAX


async def test_a_signer_that_is_slow_is_away_within_the_bound() -> None:
    async with key_at(FakeSigner([SECRET], silent=True), timeout_s=5.0, within_s=0.1) as key:
        with pytest.raises(SignerUnavailable, match=r"no answer within 0\.1 s"):
            await key.sign(HASHED)


async def test_a_signer_that_is_down_is_named_without_its_password() -> None:
    async with FakeSigner([SECRET]).running() as url:
        pass  # nobody listens there any more
    with_password = url.replace("://", "://us:hunter2@")
    async with aclosing(remote_key(f"{with_password}/{ADDRESS.text}")) as key:
        with pytest.raises(SignerUnavailable, match="ConnectError") as away:
            await key.sign(HASHED)
        assert "hunter2" not in str(away.value) + repr(key)


async def test_a_password_in_the_url_is_sent_and_a_path_before_the_address_kept() -> None:
    signer = FakeSigner([SECRET])

    async def behind_proxy(asked: Asked) -> bytes:
        assert asked.headers["authorization"].startswith("Basic ")
        assert asked.path.startswith("/signer/")
        bare = asked.path.removeprefix("/signer")
        return await signer.answer(Asked(asked.method, bare, (), asked.headers, asked.body))

    async with serving(behind_proxy) as url:
        secret_url = url.replace("://", "://us:hunter2@") + f"/signer/{ADDRESS.text}"
        async with aclosing(remote_key(secret_url)) as key:
            assert (await key.sign(HASHED)).signer_of(HASHED) == ADDRESS


async def test_keys_that_were_exchanged_are_found_again() -> None:
    signer = FakeSigner([OTHER])
    async with key_at(signer) as key:
        with pytest.raises(SignerRefused):
            await key.sign(HASHED)
        signer.secrets = [SECRET]
        assert (await key.sign(HASHED)).signer_of(HASHED) == ADDRESS


@pytest.mark.parametrize("told", [b"{}", b"[1, null, {}]", b"not json", b'["0x", "0xzz", "\xc3\xa4"]'])
async def test_a_list_of_keys_that_is_none_is_refused(told: bytes) -> None:
    async with key_at(FakeSigner([SECRET], keys_told=told)) as key:
        with pytest.raises(SignerRefused):
            await key.sign(HASHED)


@given(st.binary(max_size=140) | st.binary(min_size=64, max_size=66).map(lambda raw: raw.hex().encode()))
def test_whatever_a_signer_answers_is_a_refusal_or_has_the_lower_s_where_there_are_two(answer: bytes) -> None:
    try:
        parity, _, s = read_signature(answer)
    except ValueError:
        return
    assert parity in (0, 1)
    assert s <= SECPK1_N // 2 or s >= SECPK1_N


async def test_an_endless_answer_is_cut_off() -> None:
    async def endless(asked: Asked) -> bytes:
        return response(b"0" * (2 << 20))

    async with serving(endless) as url, aclosing(remote_key(f"{url}/{ADDRESS.text}")) as key:
        with pytest.raises(SignerRefused, match="more than"):
            await key.sign(HASHED)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9000",
        "http://127.0.0.1:9000/0x12",
        f"ftp://127.0.0.1/{ADDRESS.text}",
        f"http:///{ADDRESS.text}",
        "http://[hunter2",
        "hunter2",
    ],
)
def test_a_url_that_names_no_key_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(BadKey, match="0xADDRESS") as refused:
        remote_key(url)
    assert url not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "open_"),
    [("http://127.0.0.1:9000", False), ("https://signer:9000", False), ("http://signer:9000", True)],
)
def test_a_signer_in_the_open_is_known(url: str, open_: bool) -> None:
    assert remote_key(f"{url}/{ADDRESS.text}").in_the_open is open_
