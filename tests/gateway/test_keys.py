"""API keys: what is kept, and who is accepted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.gateway.keys import DEFAULT_SCOPES, ENTROPY_BYTES, ApiKey, Flaw, NewKey, Refused, judge, make_key
from core.gateway.tiers import Tier

NOW = 1_790_000_000.0


def kept(made: NewKey) -> ApiKey:
    return ApiKey(made.prefix, made.digest, "acme", Tier.DEVELOPER, "server", DEFAULT_SCOPES, NOW)


MADE = make_key(bytes(range(ENTROPY_BYTES)))
KEY = kept(MADE)


def asked(text: str, key: ApiKey = KEY, at: float = NOW) -> ApiKey | Refused:
    return judge(text, {key.prefix: key}.get, at)


@given(st.binary(min_size=ENTROPY_BYTES, max_size=ENTROPY_BYTES))
def test_every_key_that_is_made_is_accepted(entropy: bytes) -> None:
    made = make_key(entropy)
    assert asked(made.text, kept(made)) == kept(made)
    assert made.text not in repr(made)


@given(st.binary(min_size=ENTROPY_BYTES, max_size=ENTROPY_BYTES))
def test_another_secret_under_the_same_prefix_is_refused(entropy: bytes) -> None:
    other = make_key(bytes(8) + entropy[8:])
    known = make_key(bytes(ENTROPY_BYTES - 1) + b"\1")
    if other.text != known.text:
        assert asked(other.text, kept(known)) == Refused(Flaw.WRONG_SECRET)


@given(st.text())
def test_garbage_is_refused(text: str) -> None:
    assert asked(text) == Refused(Flaw.MALFORMED)


@pytest.mark.parametrize("text", ["", MADE.text + "x", MADE.text[:-1], MADE.text.upper(), MADE.text * 9])
def test_what_is_almost_a_key_is_none(text: str) -> None:
    assert asked(text) == Refused(Flaw.MALFORMED)


def test_a_prefix_that_is_not_known_is_refused() -> None:
    assert asked(make_key(b"\7" * ENTROPY_BYTES).text) == Refused(Flaw.UNKNOWN)


def test_a_key_ends_when_it_expires_or_is_revoked() -> None:
    expiring, revoked = replace(KEY, expires_at=NOW + 1), replace(KEY, revoked_at=NOW)
    assert asked(MADE.text, expiring) == expiring
    assert asked(MADE.text, expiring, NOW + 1) == Refused(Flaw.EXPIRED, KEY.prefix)
    assert asked(MADE.text, revoked) == Refused(Flaw.REVOKED, KEY.prefix)


def test_a_stranger_does_not_learn_that_a_key_has_ended() -> None:
    stranger = f"chr_{MADE.prefix}_{'a' * 43}"
    assert asked(stranger, replace(KEY, revoked_at=NOW)) == Refused(Flaw.WRONG_SECRET)


def test_a_key_is_made_of_the_whole_entropy() -> None:
    with pytest.raises(ValueError, match="40 random bytes"):
        make_key(b"short")
