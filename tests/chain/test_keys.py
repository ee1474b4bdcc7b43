"""Keys from files: used, refused where they are not safe, and never shown."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.chain.errors import BadKey
from core.chain.keys import LocalKey, load_key
from core.ftso.hashing import keccak

SECRET = keccak(b"a key")
ROOT = Path(__file__).resolve().parents[2]
PATHS = {"PYTHONPATH": f"{ROOT / 'edge'}:{ROOT}"}


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "submit.key"
    path.write_text("0x" + SECRET.hex() + "\n")
    path.chmod(0o600)
    return path


def test_a_plain_key_is_read(plain: Path) -> None:
    assert load_key(plain).address == LocalKey(SECRET).address


def test_a_plain_key_that_others_may_read_is_refused(plain: Path) -> None:
    plain.chmod(0o640)
    with pytest.raises(BadKey, match="chmod 600"):
        load_key(plain)


@pytest.mark.parametrize("text", ["", "0x12", "not a key at all", "00" * 32, SECRET.hex()[:-1] + "x"])
def test_a_file_without_a_key_is_refused_and_not_quoted(plain: Path, text: str) -> None:
    plain.write_text(text)
    with pytest.raises(BadKey) as refused:
        load_key(plain)
    assert len(text) < 5 or text not in str(refused.value)


def test_a_keystore_opens_with_its_password_only(tmp_path: Path) -> None:
    from eth_account import Account

    store, password, wrong = tmp_path / "store.json", tmp_path / "password", tmp_path / "wrong"
    store.write_text(json.dumps(Account.encrypt(SECRET, "right", kdf="pbkdf2", iterations=2)))
    password.write_text("right\n")
    wrong.write_text("left\n")
    assert load_key(store, password).address == LocalKey(SECRET).address
    with pytest.raises(BadKey, match="does not open"):
        load_key(store, wrong)
    with pytest.raises(BadKey, match="name the file of its password"):
        load_key(store)


def test_a_key_is_never_shown() -> None:
    key = LocalKey(SECRET)
    assert SECRET.hex() not in repr(key) + str(key) + f"{key!r}"
    assert key.address.text in repr(key)


async def test_a_result_is_signed_so_that_its_signer_is_found() -> None:
    key, hashed = LocalKey(SECRET), keccak(b"a result")
    assert (await key.sign(hashed)).signer_of(hashed) == key.address


def test_nested_answers_still_end_in_an_error_and_not_in_the_end_of_the_process() -> None:
    code = "import core.chain.keys, core.chain.endpoints, json; json.loads('[' * 100_000)"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=PATHS
    )
    assert "RecursionError" in ended.stderr
