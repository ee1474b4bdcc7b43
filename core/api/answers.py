"""JSON answers that need not be sent again, or not at full length: ETags and gzip.

Knows headers and bytes. An answer may be kept by whoever got it and must be asked for again before it is
used: what is 0.2 s old is not called fresh.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping
from typing import Final

from fastapi import Response

GZIP_BYTES_MIN: Final = 1_400
"""What fits into one packet is sent as it is."""

THREAD_BYTES_MIN: Final = 32_768
"""Larger bodies are compressed beside the loop: a millisecond or more of work."""

MEDIA_TYPE: Final = "application/json"
REVALIDATE: Final = "private, no-cache"
_VARY: Final = "Accept-Encoding"


def takes_gzip(headers: Mapping[str, str]) -> bool:
    """Whether the client takes gzip. `gzip;q=0`, which nobody sends, counts as no."""
    return any(
        part.strip().lower() in ("gzip", "x-gzip", "*") or part.strip().lower().startswith("gzip;q=1")
        for part in headers.get("accept-encoding", "").split(",")
    )


def has_tag(headers: Mapping[str, str], tag: str) -> bool:
    """Whether the client has the answer of this ETag already."""
    given = headers.get("if-none-match", "")
    return given == "*" or tag in (part.strip() for part in given[:2_000].split(","))


def squeeze(body: bytes) -> bytes:
    """The body in gzip, the same bytes for the same body."""
    return gzip.compress(body, 1, mtime=0)


def unchanged(tag: str) -> Response:
    """304: what the client has still holds."""
    return Response(None, 304, {"ETag": tag, "Cache-Control": REVALIDATE, "Vary": _VARY})


def tagged(body: bytes, tag: str, *, squeezed: bool) -> Response:
    """A body with its ETag; `squeezed` says that it is gzip."""
    headers = {"ETag": tag, "Cache-Control": REVALIDATE, "Vary": _VARY}
    if squeezed:
        headers["Content-Encoding"] = "gzip"
    return Response(body, 200, headers, MEDIA_TYPE)


async def compressed(body: bytes, headers: Mapping[str, str]) -> Response:
    """A body that is made for one client, in gzip where that pays."""
    if len(body) < GZIP_BYTES_MIN or not takes_gzip(headers):
        return Response(body, 200, {"Vary": _VARY}, MEDIA_TYPE)
    small = squeeze(body) if len(body) < THREAD_BYTES_MIN else await asyncio.to_thread(squeeze, body)
    return Response(small, 200, {"Vary": _VARY, "Content-Encoding": "gzip"}, MEDIA_TYPE)
