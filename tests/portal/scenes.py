"""States of the fake core that are worth looking at."""

from __future__ import annotations

from tests.portal.fake_api import FakeCore


def troubled(core: FakeCore) -> None:
    """A working day: one venue banned, one failing, some feeds stale, one market an outlier."""
    now = core.clock()
    banned = {"state": "banned", "code": 418, "since": now - 12, "retry_at": now + 188}
    core.venues[1] = {**core.venues[1], **banned}
    core.venues[3] = {**core.venues[3], "state": "failing", "code": 503, "since": now - 340}
    core.stale("SGB/USD", "of 1 markets: 1 stale", age_s=212)
    core.stale("XDC/USD", "of 2 markets: 1 stale, 1 dead venue")
    core.stale("MON/USD", "of 2 markets: 2 dead venue", age_s=41)
    for name in ("FLR/USD", "HNT/USD", "QNT/USD"):
        core.alter(name, venues_used=1)
    core.alter("NIGHT/USD", change_since=now - 3 * 3_600)
    core.reasons |= {
        "binance:BTC/USDT": "dead_venue",
        "binance:BTC/USDC": "dead_venue",
        "kraken:BTC/USDT": "outlier",
        "bybit:BTC/USDC": "no_data",
        "okx:BTC/USDC": "no_conversion",
    }
