"""What goes wrong for a client.

ClientError
├── Problem         the API refused; `type`, `status`, `detail` and `evidence` are its document (RFC 9457)
└── Unreachable     there was no answer, or none that can be read
"""

from __future__ import annotations

from collections.abc import Mapping

from chrono.errors import ChronoError
from chrono.http import retry_after_s


class ClientError(ChronoError):
    """Root of what the client raises."""


class Unreachable(ClientError):
    """There was no answer, or none that can be read."""


class Problem(ClientError):
    """The API refused. `retry_after_s` is None where waiting does not help."""

    def __init__(
        self, status: int, document: Mapping[str, object], retry_after: str | None, at: float
    ) -> None:
        self.status = status
        self.type = str(document.get("type", "about:blank"))
        self.detail = str(document.get("detail", f"HTTP {status}"))
        self.evidence = document
        self.retry_after_s = retry_after_s(retry_after, at)
        super().__init__(f"{status} {self.type.rpartition(':')[2]}: {self.detail}")
