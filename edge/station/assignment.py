"""Which group asks which venue: its own, or another while the venue refuses that one's country.

Pure. The watchdog asks every minute and tells each group; nothing else moves a venue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from station.config import Group

Refusals = Mapping[str, Mapping[str, float]]
"""By group: the venues that refuse it, and until when that is believed."""


def assign(groups: Sequence[Group], refusals: Refusals, at: float) -> dict[str, tuple[str, ...]]:
    """The venues of every group now. Each venue is asked by exactly one group.

    It is the venue's own group, or the first other that the venue does not refuse; if it refuses all, its
    own, which waits as the venue told it to.
    """
    assigned: dict[str, list[str]] = {group.name: [] for group in groups}
    for home in groups:
        for venue in home.venues:
            others = [group for group in groups if group is not home]
            willing = [
                group for group in (home, *others) if at >= refusals.get(group.name, {}).get(venue, 0.0)
            ]
            assigned[(willing or [home])[0].name].append(venue)
    return {name: tuple(venues) for name, venues in assigned.items()}
