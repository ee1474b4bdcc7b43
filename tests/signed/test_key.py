"""The key of prices on disk: made once, for its owner only, and never another one by accident."""

from __future__ import annotations

from pathlib import Path

import pytest
from eth_account import Account

from core.signed.key import PriceKey, PriceKeyError, load_or_create


def test_a_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "prices.key"
    made = load_or_create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_or_create(path).address == made.address
    assert list(path.parent.iterdir()) == [path]


def test_the_address_is_ethereum_s() -> None:
    secret = bytes(31) + b"\x2a"
    assert PriceKey(secret).address == Account.from_key(secret).address.lower()


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prices.key"
    load_or_create(path)
    path.chmod(0o640)
    with pytest.raises(PriceKeyError, match="chmod 600"):
        load_or_create(path)


@pytest.mark.parametrize("text", ["", "xyz", "00" * 32, "ab" * 31, "ff" * 32])
def test_a_file_without_a_key_is_refused_and_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "prices.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(PriceKeyError):
        load_or_create(path)
    assert path.read_text() == text


def test_the_key_is_not_shown(tmp_path: Path) -> None:
    secret = bytes(31) + b"\x2a"
    assert secret.hex() not in repr(PriceKey(secret))
