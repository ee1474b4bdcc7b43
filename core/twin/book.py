"""The twin's answers: the core's own while it can be reached, else the last signed snapshot, as such.

Knows how old prices are told: every price is `stale`, the answer carries its age, and what a snapshot does
not sign (median, means, changes) is null. Nothing is told that the core's key has not signed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlencode

import orjson

from chrono.feeds import FEED_BY_NAME, Feed
from core.api.problems import Problem, Refused
from core.api.public import ALL_FEEDS, Told
from core.signed.prices import Domain, about
from core.snapshot.reader import NoSnapshot, SnapshotReader, SnapshotTooOld, Trust
from core.snapshot.snapshot import Snapshot, SnapshotRefused
from core.twin.core_client import Core

RETRY_S: Final = 5
SOURCE: Final = "X-Chrono-Source"


class TwinBook:
    """A `PriceBook` far from the core."""

    def __init__(
        self, core: Core, snapshots: SnapshotReader, trust: Trust, clock: Callable[[], float]
    ) -> None:
        self._core, self._snapshots, self._clock = core, snapshots, clock
        self._about = orjson.dumps(about(trust.signer, Domain(trust.chain_id)))

    async def listed(self, feeds: tuple[str, ...] | None, signed: bool) -> Told:
        query = {"feeds": ",".join(feeds)} if feeds is not None else {}
        return await self._told(
            "/v1/prices", query, signed, lambda snapshot, at: _list(snapshot, feeds, signed, at)
        )

    async def one(self, feed: str, signed: bool) -> Told:
        return await self._told(
            f"/v1/prices/{feed}", {}, signed, lambda snapshot, at: _price(snapshot, feed, signed, at)
        )

    async def signer(self) -> Told:
        """Whom the twin itself trusts."""
        return Told(self._about)

    async def _told(
        self,
        path: str,
        query: Mapping[str, str],
        signed: bool,
        old: Callable[[Snapshot, float], Mapping[str, object]],
    ) -> Told:
        asked = urlencode({**query, "signed": "true"} if signed else query, safe="/,")
        fresh = await self._core.ask(f"{path}?{asked}" if asked else path)
        if fresh is not None:
            return Told(fresh.body, {**fresh.headers, SOURCE: "core"}, fresh.status, fresh.media_type)
        try:
            snapshot = await self._snapshots.newest(self._clock())
            at = self._clock()
            return Told(orjson.dumps(old(snapshot, at)), _headers(snapshot.age_s(at)))
        except SnapshotTooOld as error:
            evidence = {"age_s": round(error.age_s, 3), "limit_s": error.limit_s}
            raise _refused("snapshot-too-old", str(error), evidence) from None
        except (NoSnapshot, SnapshotRefused) as error:
            raise _refused("no-snapshot", str(error), {}) from None


def _refused(slug: str, detail: str, evidence: Mapping[str, object]) -> Refused:
    said = f"the core cannot be reached, and {detail}"
    return Refused(
        Problem(slug, 503, "No prices can be told now", said, evidence, {"Retry-After": str(RETRY_S)})
    )


def _headers(age_s: float) -> Mapping[str, str]:
    return {
        "Age": str(int(age_s)),
        "Warning": '110 chrono "Response is Stale"',
        "Cache-Control": "no-store",
        SOURCE: "snapshot",
    }


def _list(snapshot: Snapshot, feeds: tuple[str, ...] | None, signed: bool, at: float) -> Mapping[str, object]:
    each_signed = signed and feeds is not None
    told: dict[str, object] = {
        "sequence": snapshot.vector.sequence,
        "at": snapshot.at,
        "prices": [_price(snapshot, feed, each_signed, at) for feed in feeds or ALL_FEEDS],
        "stale": True,
        "age_s": round(snapshot.age_s(at), 3),
    }
    if signed and feeds is None:
        told["signed"] = snapshot.signed_vector()
    return told


def _price(snapshot: Snapshot, feed: str, signed: bool, at: float) -> dict[str, object]:
    """A price object in the core's form."""
    price = snapshot.prices.get(feed)
    found = None if price is None else price[0]
    told: dict[str, object] = {
        "feed": feed,
        "price": None if found is None else decimal_text(found.value, found.decimals),
        "band_low": None if found is None else decimal_text(found.band_low, found.decimals),
        "band_high": None if found is None else decimal_text(found.band_high, found.decimals),
        **dict.fromkeys(("median", "vwap", "twap", "change_24h_percent", "change_since")),
        "venues_used": 0 if found is None else found.venues,
        "venues_listed": _venues_listed(FEED_BY_NAME[feed]),
        "age_s": None if found is None else round(max(0.0, at - found.observed_at_ms / 1000), 3),
        "state": "none" if found is None else "stale",
        "why": f"the core cannot be reached: signed {snapshot.age_s(at):.0f} s ago",
        "at": snapshot.at,
        "sequence": snapshot.vector.sequence,
    }
    if signed:
        told["signed"] = None if found is None else snapshot.signed_price(feed)
    return told


def decimal_text(value: int, decimals: int) -> str:
    """A whole number with `decimals` as it stands on the wire."""
    whole, rest = divmod(value, 10**decimals)
    return f"{whole}.{rest:0{decimals}d}"


def _venues_listed(feed: Feed) -> int:
    return len({leg.venue for leg in feed.legs})
