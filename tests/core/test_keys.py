"""Collector keys on disk."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chrono.errors import RevokedKey, UnknownKey
from chrono.signing import PublicKey
from core.keys import KeyFileError, KnownKeys, create_private_key, load_private_key, parse_known_keys, verify


async def test_a_created_key_signs_after_it_is_loaded_again(tmp_path: Path) -> None:
    made = create_private_key(tmp_path / "keys" / "a.key")
    loaded = load_private_key(tmp_path / "keys" / "a.key")
    assert loaded.key_id == made.key_id
    assert verify(made.public_key, await loaded.sign(b"prices"), b"prices")
    assert not verify(made.public_key, await loaded.sign(b"prices"), b"Prices")


def test_a_private_key_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    create_private_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        load_private_key(path)


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    create_private_key(tmp_path / "a.key")
    with pytest.raises(KeyFileError, match="exists already"):
        create_private_key(tmp_path / "a.key")


def test_a_file_without_a_key_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    path.write_text("not a key")
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match=r"a\.key holds no"):
        load_private_key(path)


def test_a_signer_does_not_print_its_key(tmp_path: Path) -> None:
    signer = create_private_key(tmp_path / "a.key")
    assert repr(signer) == f"LocalSigner({signer.key_id.hex()})"


def test_a_revoked_key_stays_refused_and_cannot_come_back(tmp_path: Path) -> None:
    known = KnownKeys(tmp_path / "collectors.keys")
    key = PublicKey(bytes(range(32)), "edge")
    known.add(key)
    assert known.ring().find(key.key_id) == key
    known.revoke(key.key_id)
    with pytest.raises(RevokedKey):
        known.ring().find(key.key_id)
    with pytest.raises(KeyFileError, match="revoked"):
        known.add(key)


def test_a_changed_file_is_read_without_a_restart(tmp_path: Path) -> None:
    running, editor = (KnownKeys(tmp_path / "collectors.keys") for _ in range(2))
    key = PublicKey(bytes(32))
    with pytest.raises(UnknownKey):
        running.ring().find(key.key_id)
    editor.add(key)
    assert running.ring().find(key.key_id) == key


@pytest.mark.parametrize(
    "line", ["ed25519", "rsa AAAA name", "ed25519 AAAA name", "ed25519 !!! name", "revoked", "a b c d e"]
)
def test_a_bad_line_is_named(line: str) -> None:
    with pytest.raises(KeyFileError, match="f, line 2"):
        parse_known_keys(f"# comment\n{line}\n", "f")


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(KeyFileError):
        parse_known_keys(text, "f")


@given(st.binary(max_size=80), st.binary(max_size=80), st.binary(max_size=80))
def test_verify_never_raises(public_key: bytes, signature: bytes, message: bytes) -> None:
    assert verify(public_key, signature, message) is False
