"""Back-off from a venue that refuses: how long to ask nothing, and the one request that tries again.

A gate knows states and waits. It does not know requests, venues or clocks; entropy is handed in.

    STARTING, HEALTHY --refused--> RATE_LIMITED, BANNED, FORBIDDEN, GEO_BLOCKED, FAILING
    a wait is over    --probe----> PROBING --answered--> HEALTHY
                                           --refused---> waiting again, longer
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from chrono.http import RETRY_AFTER_S_MAX
from chrono.venue_state import VenueState
from chrono.venues.adapter import Refused

JITTER: Final = 0.25
CALM_S: Final = 60.0
WAIT_S: Final = {  # (first wait, longest wait) where the venue does not say how long
    VenueState.FAILING: (1.0, 60.0),
    VenueState.RATE_LIMITED: (10.0, 600.0),
    VenueState.FORBIDDEN: (600.0, 21_600.0),
    VenueState.BANNED: (120.0, RETRY_AFTER_S_MAX),
    VenueState.GEO_BLOCKED: (3_600.0, 86_400.0),
}
_DOUBLINGS_MAX: Final = 20


class Gate:
    """Whether a venue may be asked now. `random` gives a float in [0, 1)."""

    def __init__(self, at: float, random: Callable[[], float]) -> None:
        self.state = VenueState.STARTING
        self.since = at
        self.retry_at: float | None = None
        self.code = 0
        self._random = random
        self._refusals_in_a_row = 0
        self._last_refusal = VenueState.FAILING

    @property
    def is_open(self) -> bool:
        """Requests may flow."""
        return self.state in (VenueState.STARTING, VenueState.HEALTHY)

    def wants_probe(self, at: float) -> bool:
        """The wait is over and nobody has tried yet."""
        return self.retry_at is not None and at >= self.retry_at

    def begin_probe(self, at: float) -> None:
        """One request is out; nothing else may go until `answered` or `refused`."""
        self._enter(VenueState.PROBING, self.code, at)
        self.retry_at = None

    def answered(self, at: float) -> None:
        """A request that was let through came back well. During a wait it changes nothing.

        A venue that merely failed is forgiven at once; one that limited or banned us is only after CALM_S,
        so that being limited again on the return to full pace waits longer each time.
        """
        if self.retry_at is not None:
            return
        self._enter(VenueState.HEALTHY, 0, at)
        if self._last_refusal is VenueState.FAILING or at - self.since >= CALM_S:
            self._refusals_in_a_row = 0

    def refused(self, refused: Refused, at: float) -> None:
        """A request came back refused, or not at all.

        During a wait this is an answer to a request sent before it: the wait may get longer, but such
        answers do not count as new refusals.
        """
        waiting = self.retry_at is not None
        if not waiting:
            self._refusals_in_a_row += 1
        retry_at = at + self._wait_s(refused)
        if waiting and retry_at <= (self.retry_at or 0.0):
            return
        self.retry_at = retry_at
        self._last_refusal = refused.state
        self._enter(refused.state, refused.code, at)

    def _wait_s(self, refused: Refused) -> float:
        first, longest = WAIT_S[refused.state]
        base = refused.retry_after_s or first
        doublings = min(max(self._refusals_in_a_row - 1, 0), _DOUBLINGS_MAX)
        wait = min(base * 2.0**doublings, max(base, longest))
        return min(wait * (1 + JITTER * self._random()), RETRY_AFTER_S_MAX)

    def _enter(self, state: VenueState, code: int, at: float) -> None:
        if state is not self.state:
            self.since = at
        self.state, self.code = state, code


class WeightWindow:
    """What was asked within the last `window_s` seconds, by weight, so that the sum stays within `weight`.

    Exact, not a leaking bucket: no window of that length ever holds more. Holds one entry a request, so at
    most `weight` entries.
    """

    def __init__(self, weight: int, window_s: float) -> None:
        self._weight, self._window_s = weight, window_s
        self._spent: list[tuple[float, int]] = []
        self._sum = 0

    def spend(self, weight: int, at: float) -> None:
        self._forget(at)
        self._spent.append((at, weight))
        self._sum += weight

    def free_at(self, weight: int, at: float) -> float:
        """The earliest instant, not before `at`, when a request of that weight fits."""
        self._forget(at)
        over = self._sum + weight - self._weight
        free_at = at
        for spent_at, spent in self._spent:
            if over <= 0:
                break
            over -= spent
            free_at = spent_at + self._window_s
        return free_at

    def _forget(self, at: float) -> None:
        gone = 0
        while gone < len(self._spent) and self._spent[gone][0] + self._window_s <= at:
            self._sum -= self._spent[gone][1]
            gone += 1
        del self._spent[:gone]
