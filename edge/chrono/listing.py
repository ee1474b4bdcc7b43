"""Which symbols are asked for together, and the search for the one that fails them all.

Some venues refuse a whole request for one symbol that they do not know, and do not say which. A group that is
refused so is split in halves until one symbol stands alone; or it is asked for once with all that the venue
has, which shows what is missing. Unknown symbols are set aside and tried again every hour. Groups that were
answered are joined again once none is in doubt. Knows no venue and no request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from chrono.feeds import Leg

ASIDE_S: Final = 3_600.0
DOUBT_FIRST_S: Final = 5.0


@dataclass(slots=True, eq=False)
class Group:
    """Legs that one request asks for. `proven` once it was answered as it stands.

    `by_whole` when it is to be asked for with all that the venue has.
    """

    legs: tuple[Leg, ...]
    due_at: float
    proven: bool = False
    in_flight: bool = False
    by_whole: bool = False


def together(_leg: Leg) -> str:
    """All legs of a venue may stand in one request."""
    return ""


class Listing:
    """The groups of one venue: every leg is in exactly one group or set aside.

    Only legs of the same `part` are ever in one group.
    """

    def __init__(self, legs: Iterable[Leg], at: float, part: Callable[[Leg], str] = together) -> None:
        self._parts: dict[str, tuple[Leg, ...]] = {}
        for leg in legs:
            self._parts[part(leg)] = (*self._parts.get(part(leg), ()), leg)
        self._groups = [Group(part_legs, at) for part_legs in self._parts.values()]
        self._aside: dict[Leg, float] = {}

    @property
    def parts(self) -> tuple[tuple[Leg, ...], ...]:
        """The legs that can be asked for together."""
        return tuple(self._parts.values())

    @property
    def aside(self) -> frozenset[Leg]:
        return frozenset(self._aside)

    @property
    def is_mostly_aside(self) -> bool:
        """More than half of all legs are set aside: the venue is at fault, not its symbols."""
        return 2 * len(self._aside) > sum(map(len, self._parts.values()))

    def due_group(self, at: float) -> Group | None:
        """The idle group that is due and should be asked for first.

        A group in doubt goes before others, but those that are due DOUBT_FIRST_S longer.
        """
        due = (group for group in self._groups if not group.in_flight and group.due_at <= at)
        return min(due, key=lambda group: group.due_at - (not group.proven) * DOUBT_FIRST_S, default=None)

    def idle_group(self) -> Group | None:
        """The idle group that is due first, be it now or later."""
        idle = (group for group in self._groups if not group.in_flight)
        return min(idle, key=lambda group: group.due_at, default=None)

    def recall(self, at: float) -> None:
        """Put the legs whose hour is over back, each as a group of its own."""
        for leg in [leg for leg, until in self._aside.items() if at >= until]:
            del self._aside[leg]
            self._groups.append(Group((leg,), at))

    def answered(self, group: Group) -> None:
        """The venue answered for the whole group."""
        group.proven = True
        self._join_if_proven()

    def disowned(self, group: Group, at: float) -> Leg | None:
        """The venue does not know one of the group's symbols. Returns it once it is found and set aside."""
        if group not in self._groups:  # it was joined with others while this answer was under way
            return None
        self._groups.remove(group)
        if len(group.legs) == 1:
            self._aside[group.legs[0]] = at + ASIDE_S
            self._join_if_proven()
            return group.legs[0]
        half = len(group.legs) // 2
        self._groups += [Group(group.legs[:half], at), Group(group.legs[half:], at)]
        return None

    def narrowed(self, group: Group, missing: Iterable[Leg], at: float) -> None:
        """All that the venue has was seen: the missing legs are set aside, the rest is proven."""
        if group not in self._groups:
            return
        gone = frozenset(missing)
        self._aside.update((leg, at + ASIDE_S) for leg in gone)
        group.legs = tuple(leg for leg in group.legs if leg not in gone)
        group.by_whole, group.proven = False, True
        if not group.legs:
            self._groups.remove(group)
        self._join_if_proven()

    def start_over(self, at: float) -> None:
        """One group a part, nothing aside."""
        self._aside.clear()
        self._groups = [Group(legs, at) for legs in self._parts.values()]

    def next_at(self) -> float:
        """When a group is due or a leg's hour is over; infinity where nothing is ahead."""
        dues = [group.due_at for group in self._groups if not group.in_flight]
        return min([*dues, *self._aside.values()], default=float("inf"))

    def _join_if_proven(self) -> None:
        if not all(group.proven for group in self._groups):
            return
        joined = []
        for part_legs in self._parts.values():
            groups = [group for group in self._groups if group.legs[0] in part_legs]
            if len(groups) > 1:
                asked = {leg for group in groups for leg in group.legs}
                legs = tuple(leg for leg in part_legs if leg in asked)
                groups = [Group(legs, min(group.due_at for group in groups), proven=True)]
            joined += groups
        self._groups = joined
