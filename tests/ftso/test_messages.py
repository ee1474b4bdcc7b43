"""Messages that others wrote: garbage is refused cleanly, and what was written is read back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ftso.commit import decode_commit
from core.ftso.errors import FtsoError, MalformedMessage, OutOfRange
from core.ftso.finalization import Finalization, IndexedSignature
from core.ftso.identities import Address, RewardEpochId, VotingRoundId
from core.ftso.payload import Message, decode_calldata, decode_messages, encode_messages
from core.ftso.protocol_message import ProtocolMessage
from core.ftso.reveal import Reveal
from core.ftso.signatures import Signature, SignedResult
from core.ftso.signing_policy import Signer, SigningPolicy

hashes = st.binary(min_size=32, max_size=32)
rounds = st.integers(0, 2**32 - 1).map(VotingRoundId)
addresses = st.binary(min_size=20, max_size=20).map(Address)
messages = st.builds(Message, st.integers(0, 255), rounds, st.binary(max_size=80))
signatures = st.builds(Signature, st.integers(0, 255), hashes, hashes)
results = st.builds(ProtocolMessage, st.integers(1, 255), rounds, st.booleans(), hashes)
policies = st.builds(
    SigningPolicy,
    st.integers(0, 2**24 - 1).map(RewardEpochId),
    rounds,
    st.integers(0, 2**16 - 1),
    hashes,
    st.lists(st.builds(Signer, addresses, st.integers(0, 5000)), max_size=12).map(tuple),
)
signed_results = st.builds(SignedResult, signatures, st.none() | results, st.binary(max_size=20))
entries = st.builds(IndexedSignature, st.integers(0, 2**16 - 1), signatures)
finalizations = st.builds(
    Finalization, policies, results | policies, st.lists(entries, max_size=5).map(tuple)
)

DECODERS: dict[str, Callable[[bytes], object]] = {
    "messages": decode_messages,
    "calldata": decode_calldata,
    "commit": decode_commit,
    "reveal": lambda raw: Reveal.decode(raw, 3),
    "signed result": SignedResult.decode,
    "protocol message": ProtocolMessage.decode,
    "signing policy": SigningPolicy.decode,
    "finalization": Finalization.decode,
    "relay calldata": Finalization.decode_calldata,
}


@pytest.mark.parametrize("kind", DECODERS)
@given(raw=st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused_as_malformed(kind: str, raw: bytes) -> None:
    with suppress(MalformedMessage):
        DECODERS[kind](raw)


@pytest.mark.parametrize("kind", ["finalization", "signing policy", "signed result", "messages"])
@given(data=st.data())
def test_a_damaged_message_is_read_as_something_or_refused_as_malformed(
    kind: str, data: st.DataObject
) -> None:
    makers = {"finalization": finalizations, "signing policy": policies, "signed result": signed_results}
    written = data.draw(makers.get(kind, messages))
    raw = bytearray(written.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, min(len(raw) - 1, 48)))] = data.draw(st.sampled_from([0, 1, 2, 255]))
    with suppress(MalformedMessage):
        DECODERS[kind](bytes(raw[: data.draw(st.integers(0, len(raw)))]))


@given(st.lists(messages, max_size=5))
def test_messages_are_read_back(written: list[Message]) -> None:
    assert decode_messages(encode_messages(written)) == tuple(written)


@given(st.lists(messages, min_size=1, max_size=4), st.data())
def test_a_transaction_cut_short_is_refused_whole(written: list[Message], data: st.DataObject) -> None:
    raw = encode_messages(written)
    ends = {len(encode_messages(written[:count])) for count in range(len(written) + 1)}
    cut = data.draw(st.integers(0, len(raw)).filter(lambda size: size not in ends))
    with pytest.raises(MalformedMessage):
        decode_messages(raw[:cut])


@given(st.builds(Reveal, hashes, st.binary(max_size=12).map(lambda raw: raw * 4)))
def test_a_reveal_is_read_back(written: Reveal) -> None:
    assert Reveal.decode(written.encode(), len(written.values) // 4) == written


def test_a_reveal_with_more_values_than_feeds_does_not_count() -> None:
    with pytest.raises(MalformedMessage):
        Reveal.decode(bytes(32 + 8), feed_count=1)


@given(signed_results)
def test_a_signed_result_is_read_back(written: SignedResult) -> None:
    assert SignedResult.decode(written.encode()) == written


@given(results, st.integers(2, 255))
def test_a_protocol_message_is_read_back_and_its_flag_is_0_or_1(written: ProtocolMessage, flag: int) -> None:
    raw = written.encode()
    assert ProtocolMessage.decode(raw) == written
    with pytest.raises(MalformedMessage):
        ProtocolMessage.decode(raw[:5] + bytes([flag]) + raw[6:])


@given(policies, st.binary(min_size=1, max_size=3))
def test_a_signing_policy_is_read_back_and_nothing_may_follow_it(written: SigningPolicy, more: bytes) -> None:
    assert SigningPolicy.decode(written.encode()) == written
    with pytest.raises(MalformedMessage):
        SigningPolicy.decode(written.encode() + more)


@given(finalizations)
def test_a_finalization_is_read_back(written: Finalization) -> None:
    assert Finalization.decode(written.encode()) == written
    assert Finalization.decode_calldata(written.calldata()) == written


def test_a_policy_whose_weights_pass_16_bits_is_refused_both_ways() -> None:
    heavy = (Signer(Address(bytes(20)), 2**15), Signer(Address(b"\1" * 20), 2**15))
    with pytest.raises(OutOfRange):
        SigningPolicy(RewardEpochId(1), VotingRoundId(1), 1, bytes(32), heavy)
    entries = b"".join(signer.address + signer.weight.to_bytes(2, "big") for signer in heavy)
    with pytest.raises(MalformedMessage):
        SigningPolicy.decode(b"\0\2" + bytes(41) + entries)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Message(256, VotingRoundId(0), b""),
        lambda: Message(100, VotingRoundId(2**32), b""),
        lambda: Message(100, VotingRoundId(-1), b""),
        lambda: Message(100, VotingRoundId(0), bytes(2**16)),
        lambda: Reveal(bytes(31), b""),
        lambda: ProtocolMessage(100, VotingRoundId(0), True, bytes(33)),
        lambda: Signature(256, bytes(32), bytes(32)),
        lambda: IndexedSignature(2**16, Signature(27, bytes(32), bytes(32))),
        lambda: SigningPolicy(RewardEpochId(2**24), VotingRoundId(0), 0, bytes(32), ()),
    ],
)
def test_a_field_that_does_not_fit_is_refused_when_the_value_is_made(build: Callable[[], object]) -> None:
    with pytest.raises(OutOfRange):
        build()


@given(st.text(max_size=44) | st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex()))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        assert Address.of(text).text == text.lower()
    except FtsoError:
        assert not (text.startswith("0x") and len(text) == 42 and text.isalnum() and text.isascii())


@pytest.mark.parametrize("text", ["0x" + "zz" * 20, "0x" + "11" * 19, "11" * 21, ""])
def test_a_text_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(MalformedMessage):
        Address.of(text)


def test_an_address_has_20_bytes_and_shows_itself() -> None:
    with pytest.raises(MalformedMessage):
        Address(bytes(21))
    assert repr(Address(b"\xab" * 20)) == "Address(0x" + "ab" * 20 + ")"
