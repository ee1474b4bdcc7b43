"""Nobody breaks his word, whatever is killed: counted from the chain.

CHRONO_CRASH_ROUNDS=1000 runs as many rounds; by default a few, so that the test stays short.
"""

from __future__ import annotations

import os

import pytest

from tests.chain.crashes import Chances, run_crashes

ROUNDS = int(os.environ.get("CHRONO_CRASH_ROUNDS", "4"))
SEED = int(os.environ.get("CHRONO_CRASH_SEED", "4"))


@pytest.mark.timeout(30 + 20 * ROUNDS)
async def test_no_reveal_is_missed_and_nothing_is_signed_twice_whatever_is_killed(database: str) -> None:
    often = (
        Chances(kill=0.15, drop_session=0.05, outage=0.1, reorganisation=0.3) if ROUNDS < 50 else Chances()
    )
    verdict, happened = await run_crashes(database, ROUNDS, SEED, often)
    print(verdict, happened)
    assert verdict.clean, verdict
    assert verdict.commits > 2 * verdict.rounds
    assert happened.kills > ROUNDS / 2
