"""Writing and reading fixed fields, big-endian, without ever reading past the end.

Every message of the protocol is built from these: unsigned numbers of a stated width and runs of bytes. A
writer refuses what does not fit (OutOfRange); a reader refuses what is too short or too long
(MalformedMessage).
"""

from __future__ import annotations

from typing import Final

from core.ftso.errors import MalformedMessage, OutOfRange

HASH_SIZE: Final = 32


def checked(field: str, value: int, low: int, high: int) -> int:
    """The value, if it lies in [low, high]; raise OutOfRange otherwise."""
    if not low <= value <= high:
        raise OutOfRange(field, value, low, high)
    return value


def unsigned(field: str, value: int, size: int) -> bytes:
    """`size` bytes of an unsigned number; raise OutOfRange if it needs more."""
    return checked(field, value, 0, (1 << 8 * size) - 1).to_bytes(size, "big")


def exactly(field: str, raw: bytes, size: int = HASH_SIZE) -> bytes:
    """The bytes, if there are `size` of them; raise OutOfRange otherwise."""
    checked(f"length of {field}", len(raw), size, size)
    return raw


class Reader:
    """Reads fields in order from bytes that others wrote. `kind` names the message in the refusal."""

    def __init__(self, kind: str, raw: bytes) -> None:
        self._kind = kind
        self._raw = bytes(raw)
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._raw) - self._at

    def take(self, size: int, field: str) -> bytes:
        """The next `size` bytes."""
        if size > self.left:
            raise self.refusal(f"{field} needs {size} bytes, {self.left} are left")
        start = self._at
        self._at += size
        return self._raw[start : self._at]

    def peek(self) -> bytes:
        """The next byte without taking it; empty at the end."""
        return self._raw[self._at : self._at + 1]

    def unsigned(self, size: int, field: str) -> int:
        """The next `size` bytes as a number."""
        return int.from_bytes(self.take(size, field), "big")

    def rest(self) -> bytes:
        """Whatever is left."""
        return self.take(self.left, "rest")

    def end(self) -> None:
        """Refuse bytes that follow the message."""
        if self.left:
            raise self.refusal(f"{self.left} bytes too many")

    def refusal(self, why: str) -> MalformedMessage:
        """The error to raise for this message."""
        return MalformedMessage(self._kind, why)
