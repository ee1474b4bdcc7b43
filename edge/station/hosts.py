"""Which of a venue's hosts is asked: the one that answered last, and another when it does not.

Knows hosts and answers. Another host is tried where this one cannot be reached, is broken, or refuses the
country; never after a limit or a ban, which another host would only make worse.
"""

from __future__ import annotations

from collections.abc import Mapping

from chrono.http import Answer, Failure

_UNAVAILABLE_FOR_LEGAL_REASONS = 451


class Hosts:
    """The hosts of every venue, each in the order of its list."""

    def __init__(self, hosts: Mapping[str, tuple[str, ...]]) -> None:
        self._hosts = hosts
        self._preferred: dict[str, int] = {}

    def present(self, venue: str) -> str:
        return self._hosts[venue][self._preferred.get(venue, 0)]

    def other(self, venue: str) -> str | None:
        """The host to try next, None where there is only one."""
        urls = self._hosts[venue]
        return urls[(self._preferred.get(venue, 0) + 1) % len(urls)] if len(urls) > 1 else None

    def prefer_other(self, venue: str) -> None:
        """The other host answered: from now on it is asked."""
        self._preferred[venue] = (self._preferred.get(venue, 0) + 1) % len(self._hosts[venue])


def is_unreachable(answer: Answer | Failure) -> bool:
    """Whether another host of the same venue may do better."""
    if isinstance(answer, Failure):
        return True
    return answer.status >= 500 or answer.status == _UNAVAILABLE_FOR_LEGAL_REASONS
