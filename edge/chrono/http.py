"""What an HTTP request came to, as values: an answer or a failure.

Knows bounds and the Retry-After header. Does not know how the request was made (`chrono.fetch`) nor what an
answer means to the one who asked (`chrono.venues`, `chrono.spool`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

BODY_BYTES_MAX: Final = 4 * 1024 * 1024
RETRY_AFTER_S_MAX: Final = 3 * 86_400.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer. The names of `headers` are in lower case; `received_at` is in Unix seconds."""

    status: int
    body: bytes
    received_at: float
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def retry_after_s(self) -> float | None:
        return retry_after_s(self.headers.get("retry-after"), self.received_at)


@dataclass(frozen=True, slots=True)
class Failure:
    """No whole answer came: a timeout, a broken connection, too many bytes. `detail` is for the log."""

    detail: str


def retry_after_s(text: str | None, at: float) -> float | None:
    """The wait that a Retry-After header asks for, in seconds or as an HTTP date, at most three days.

    None where there is no header or it cannot be read; never raises.
    """
    if text is None or len(text) > 60:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), RETRY_AFTER_S_MAX)
    try:
        date = parsedate_to_datetime(text)
        until = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(until - at, 0.0), RETRY_AFTER_S_MAX)
