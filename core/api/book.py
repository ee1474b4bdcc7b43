"""The core's own answers to public questions: the last pass, with signatures where they are asked for.

Knows how a signature stands beside a price. Does not know what is signed (`core.signed`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import orjson

from core.api.current import CurrentPrices
from core.api.problems import Problem, Refused
from core.api.public import ALL_FEEDS, Told
from core.messages import PassMessage
from core.signed.passes import PassSigner, SignedPass


class CurrentBook:
    """A `PriceBook` over the last pass."""

    def __init__(
        self,
        last_pass: Callable[[], PassMessage | None],
        signer: PassSigner | None,
        clock: Callable[[], float],
    ) -> None:
        self._current, self._key = CurrentPrices(last_pass, clock), signer

    async def listed(self, feeds: tuple[str, ...] | None, signed: bool) -> Told:
        if not signed:
            wanted = ALL_FEEDS if feeds is None else feeds
            body, tag = self._current.body(wanted), self._current.tag()
            return Told(body, tag=tag, squeezed=partial(self._current.squeezed, wanted))
        if feeds is None:
            documents = self._signatures()
            return Told(_with_signed(self._current.body(ALL_FEEDS), documents.all()))
        message, documents = self._current.message(), self._signatures()
        prices = b",".join([_with_signed(message.fragments[feed], documents.one(feed)) for feed in feeds])
        head = orjson.dumps({"sequence": message.sequence, "at": message.at})
        return Told(head[:-1] + b',"prices":[' + prices + b"]}")

    async def one(self, feed: str, signed: bool) -> Told:
        fragment = self._current.message().fragments[feed]
        return Told(_with_signed(fragment, self._signatures().one(feed)) if signed else fragment)

    async def signer(self) -> Told:
        return Told(orjson.dumps(self._signer().about))

    def _signatures(self) -> SignedPass:
        """Those of the last pass; raises 503 before the first."""
        return self._signer().of(self._current.untouched())

    def _signer(self) -> PassSigner:
        if self._key is None:
            raise Refused(Problem("no-signer", 404, "Not signed here", "this core has no key for prices"))
        return self._key


def _with_signed(json_object: bytes, document: bytes | None) -> bytes:
    """The object with one more member, `signed`."""
    return json_object[:-1] + b',"signed":' + (document or b"null") + b"}"
