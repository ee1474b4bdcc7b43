"""The Worker through every fault, a core killed for a minute, and a new key: nothing is lost or doubled."""

from __future__ import annotations

from pathlib import Path

import pytest

from chrono.feeds import LEGS
from infra.edge.prepare import Prepared
from tests.edge.drill import drill

SECONDS = 110.0


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_every_tick_is_accepted_once_or_counted_through_faults_an_outage_and_a_new_key(
    prepared: Prepared, tmp_path: Path, database: str
) -> None:
    count = await drill(prepared, tmp_path, database, SECONDS)
    print(count)
    assert count.balanced, count
    assert (count.dropped, count.refused_by_core) == (0, 0)
    assert count.in_order
    assert (count.replayed, count.tampered, count.keys) == (200, 401, 2)
    assert count.legs == len(LEGS)
