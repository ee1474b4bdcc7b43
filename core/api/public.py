"""`/v1/feeds`, `/v1/prices`, one price, and `/v1/signer`: what the public asks, wherever it is answered.

Knows questions. Who answers is a `PriceBook`: the core's last pass (`core.api.book`), or far from the core
the serverless twin. So this file and what it imports load neither numpy nor a database driver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, Protocol

import orjson
from fastapi import APIRouter, Path, Query, Request, Response

from chrono.feeds import FEEDS, Feed
from core.api.answers import GZIP_BYTES_MIN, has_tag, tagged, takes_gzip, unchanged
from core.api.problems import documented
from core.api.queries import known_feeds, only
from core.api.schemas.prices import FeedList, Price, PriceList, SignerDocument

_BASE: Final = r"[A-Za-z0-9._-]{1,16}"
_QUOTE: Final = r"[A-Za-z0-9]{1,8}"
_NAME: Final = f"{_BASE}/{_QUOTE}"
FEED_PATTERN: Final = f"^{_NAME}$"
UNCHANGED: Final = {"description": "Nothing is newer than the tag of `If-None-Match`"}
ALL_FEEDS: Final = tuple(feed.name for feed in FEEDS)

FeedParameter = Annotated[str, Query(pattern=FEED_PATTERN, description="One feed", examples=["BTC/USD"])]
FeedsParameter = Annotated[
    str | None,
    Query(
        pattern=f"^{_NAME}(,{_NAME}){{0,62}}$",
        description="Feeds, separated by commas; all without it",
        examples=["BTC/USD,ETH/USD"],
    ),
]
SignedParameter = Annotated[
    bool,
    Query(description="With EIP-712 signatures: one over all feeds, or one for each feed that is asked for"),
]
BaseParameter = Annotated[str, Path(pattern=f"^{_BASE}$", examples=["BTC"])]
QuoteParameter = Annotated[str, Path(pattern=f"^{_QUOTE}$", examples=["USD"])]


@dataclass(frozen=True, slots=True)
class Told:
    """An answer in JSON. One with a `tag` need not be sent again; `squeezed` gives it in gzip."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    media_type: str = "application/json"
    tag: str | None = None
    squeezed: Callable[[], bytes] | None = None


class PriceBook(Protocol):
    """Knows what feeds are worth. Feeds are known ones; every call may raise a problem."""

    async def listed(self, feeds: tuple[str, ...] | None, signed: bool) -> Told:
        """These feeds in this order, or all of them."""
        ...

    async def one(self, feed: str, signed: bool) -> Told:
        """One feed."""
        ...

    async def signer(self) -> Told:
        """Who signs, and what."""
        ...


class PublicRoutes:
    def __init__(self, book: PriceBook) -> None:
        self._book = book
        self._feeds = orjson.dumps({"feeds": [_feed_entry(feed) for feed in FEEDS]})

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/v1", tags=["prices"])
        router.add_api_route(
            "/feeds",
            self.feeds,
            summary="The feeds and the markets behind each",
            dependencies=[only()],
            responses={200: {"model": FeedList}, **documented(400)},
            response_class=Response,
        )
        router.add_api_route(
            "/prices",
            self.prices,
            summary="What feeds are worth now",
            dependencies=[only("feeds", "signed")],
            responses={200: {"model": PriceList}, 304: UNCHANGED, **documented(400, 404, 503)},
            response_class=Response,
        )
        router.add_api_route(
            "/prices/{base}/{quote}",
            self.price,
            summary="What one feed is worth now",
            dependencies=[only("signed")],
            responses={200: {"model": Price}, **documented(400, 404, 503)},
            response_class=Response,
        )
        router.add_api_route(
            "/signer",
            self.signer,
            summary="Whose signatures prices carry, and the typed data that is signed",
            dependencies=[only()],
            responses={200: {"model": SignerDocument}, **documented(400, 404, 503)},
            response_class=Response,
        )
        return router

    async def feeds(self) -> Response:
        return Response(self._feeds, media_type="application/json")

    async def prices(
        self, request: Request, feeds: FeedsParameter = None, signed: SignedParameter = False
    ) -> Response:
        """With `If-None-Match` a pass that the client has already is told by 304."""
        wanted = None if feeds is None else known_feeds(tuple(feeds.split(",")))
        told = await self._book.listed(wanted, signed)
        return _response(told) if told.tag is None else _tagged(told, told.tag, request.headers)

    async def price(
        self, base: BaseParameter, quote: QuoteParameter, signed: SignedParameter = False
    ) -> Response:
        (feed,) = known_feeds((f"{base}/{quote}",))
        return _response(await self._book.one(feed, signed))

    async def signer(self) -> Response:
        return _response(await self._book.signer())


def _response(told: Told) -> Response:
    return Response(told.body, told.status, dict(told.headers), told.media_type)


def _tagged(told: Told, tag: str, headers: Mapping[str, str]) -> Response:
    if has_tag(headers, tag):
        return unchanged(tag)
    if told.squeezed is None or len(told.body) < GZIP_BYTES_MIN or not takes_gzip(headers):
        return tagged(told.body, tag, squeezed=False)
    return tagged(told.squeezed(), tag, squeezed=True)


def _feed_entry(feed: Feed) -> dict[str, object]:
    return {
        "feed": feed.name,
        "id": "0x" + feed.id.hex(),
        "index": feed.index,
        "decimals": feed.decimals,
        "secondary_band_ppm": feed.secondary_band_ppm,
        "markets": [{"venue": leg.venue, "symbol": f"{leg.base}/{leg.quote}"} for leg in feed.legs],
    }
