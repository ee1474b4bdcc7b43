"""Identities as types, so that a voting round is never passed for a reward epoch.

`VotingRoundId` and `RewardEpochId` are integers to the interpreter and different things to the type checker;
their width is checked where they become bytes. `chrono.feeds.FeedId` is the third identity.
"""

from __future__ import annotations

from typing import Final, NewType

from core.ftso.errors import MalformedMessage

VotingRoundId = NewType("VotingRoundId", int)
RewardEpochId = NewType("RewardEpochId", int)

FTSO_PROTOCOL: Final = 100
"""The anchor feeds' protocol id in payloads, signed messages and the relay."""

FDC_PROTOCOL: Final = 200
"""The Flare Data Connector's protocol id; its messages share our transactions."""


class Address(bytes):
    """An account or contract: 20 bytes."""

    __slots__ = ()

    def __new__(cls, raw: bytes) -> Address:
        """Accept exactly 20 bytes; raise MalformedMessage otherwise."""
        if len(raw) != 20:
            raise MalformedMessage("address", f"{len(raw)} bytes instead of 20")
        return super().__new__(cls, raw)

    @classmethod
    def of(cls, text: str) -> Address:
        """Read `0x` and 40 hexadecimal digits in any case; raise MalformedMessage otherwise."""
        if len(text) != 42 or text[:2] not in {"0x", "0X"}:
            raise MalformedMessage("address", f"{text[:60]!r}")
        try:
            return cls(bytes.fromhex(text[2:]))
        except ValueError:
            raise MalformedMessage("address", f"{text[:60]!r}") from None

    @property
    def text(self) -> str:
        """`0x` and 40 lower-case digits, as the indexers and the reference data provider write it."""
        return "0x" + self.hex()

    def __repr__(self) -> str:
        return f"Address({self.text})"
