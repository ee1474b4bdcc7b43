"""The reveal: the random number and the values that a commit was made of.

flare-specs FTSO/Encoding (Reveal):

    offset  size  field
    0       32    random number
    32      4·n   feed values, as `core.ftso.feed_values` writes them
"""

from __future__ import annotations

from dataclasses import dataclass

from core.ftso.feed_values import decode_values
from core.ftso.wire import HASH_SIZE, Reader, exactly


@dataclass(frozen=True, slots=True)
class Reveal:
    """32 random bytes and the encoded values, exactly as they go into the commit hash."""

    random: bytes
    values: bytes

    def __post_init__(self) -> None:
        exactly("random", self.random)

    def encode(self) -> bytes:
        """The payload of submit2."""
        return self.random + self.values

    @classmethod
    def decode(cls, raw: bytes, feed_count: int) -> Reveal:
        """Read a submit2 payload; raise MalformedMessage if it is none, or has more values than feeds."""
        reader = Reader("reveal", raw)
        reveal = cls(reader.take(HASH_SIZE, "random"), reader.rest())
        decode_values(reveal.values, feed_count)
        return reveal
