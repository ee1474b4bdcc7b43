"""Private keys from files, and what is done with them: signing transactions and results. Never shown.

A file is either a keystore (JSON, as geth and eth-account write it) with its password in another file, or
the plain key in hexadecimal, readable by its owner only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from eth_account import Account
from eth_account.signers.local import LocalAccount

from core.chain.errors import BadKey
from core.ftso.identities import Address
from core.ftso.signatures import Signature, sign

_OTHERS: Final = 0o077


class TransactionSigner(Protocol):
    """Signs transactions of one account, wherever its key is kept."""

    @property
    def address(self) -> Address: ...

    async def sign_transaction(self, transaction: Mapping[str, Any]) -> bytes:
        """The raw transaction. A remote key raises SignerUnavailable or SignerRefused."""
        ...


class Key(TransactionSigner, Protocol):
    """Signs transactions and results: a key of this process, or a remote one."""

    async def sign(self, hashed: bytes) -> Signature:
        """See core.provider.ports.ResultSigner."""
        ...


class LocalKey:
    """A key in this process: a TransactionSigner and a ResultSigner."""

    __slots__ = ("_account",)

    def __init__(self, private_key: bytes) -> None:
        self._account: LocalAccount = Account.from_key(private_key)

    def __repr__(self) -> str:
        return f"LocalKey({self.address.text})"

    @property
    def address(self) -> Address:
        return Address.of(self._account.address)

    async def sign_transaction(self, transaction: Mapping[str, Any]) -> bytes:
        """The raw transaction."""
        return bytes(self._account.sign_transaction(dict(transaction)).raw_transaction)

    async def sign(self, hashed: bytes) -> Signature:
        """The signature of a 32-byte hash behind the personal-message prefix."""
        return sign(hashed, bytes(self._account.key))


def load_key(path: Path, password_file: Path | None = None) -> LocalKey:
    """The key in a file; raises BadKey, which says what to do and shows nothing."""
    try:
        text = path.read_text("utf-8").strip()
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise BadKey(f"{path} cannot be read: {type(error).__name__}") from None
    if text.startswith("{"):
        return _from_keystore(path, text, password_file)
    if mode & _OTHERS:
        raise BadKey(f"{path} holds a plain key and others may read it: chmod 600 {path}")
    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
        return LocalKey(raw)
    except Exception:  # noqa: BLE001 - whatever it says may hold the key
        raise BadKey(f"{path} holds neither a keystore nor 64 hexadecimal digits") from None


def _from_keystore(path: Path, text: str, password_file: Path | None) -> LocalKey:
    if password_file is None:
        raise BadKey(f"{path} is a keystore: name the file of its password")
    try:
        password = password_file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadKey(f"{password_file} cannot be read: {type(error).__name__}") from None
    try:
        return LocalKey(bytes(Account.decrypt(json.loads(text), password)))
    except (ValueError, KeyError, TypeError):
        raise BadKey(f"{path} does not open with the password in {password_file}") from None
