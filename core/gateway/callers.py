"""Who asks: the address behind proxies, the key in the headers, whether a page of ours asks.

Knows headers and addresses. Trusts `X-Forwarded-For` only as far as it was written by networks that are
trusted, and forgets what it learned of an address when CACHE_MAX are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Network = IPv4Network | IPv6Network

LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
UNKNOWN: Final = "unknown"
CACHE_MAX: Final = 8_192
HOPS_MAX: Final = 10
IPV6_PREFIX: Final = 64


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request comes from: its network as limits and blocks count it, and whether it is ours."""

    network: str
    ours: bool


class Places:
    """Reads addresses. `allowed` networks are never limited nor blocked, and may name whom they forward."""

    def __init__(self, allowed: Sequence[str] = LOOPBACK) -> None:
        self._allowed: tuple[Network, ...] = tuple(ip_network(text, strict=False) for text in allowed)
        self._known: dict[str, Place] = {}

    def of(self, peer: str | None, forwarded_for: str | None = None) -> Place:
        """The place of a peer, or of the last one that a trusted proxy saw."""
        place = self._place(peer or UNKNOWN)
        if forwarded_for is None:
            return place
        for hop in reversed(forwarded_for.split(",")[-HOPS_MAX:]):
            if not place.ours:
                break
            place = self._place(hop.strip())
        return place

    def counted(self, peer: str) -> str | None:
        """The network under which a peer's connections are counted; None for our own, proxies among them."""
        place = self._place(peer)
        return None if place.ours else place.network

    def _place(self, text: str) -> Place:
        place = self._known.get(text)
        if place is None:
            if len(self._known) >= CACHE_MAX:
                self._known.clear()
            place = self._known[text] = self._read(text)
        return place

    def _read(self, text: str) -> Place:
        try:
            address = ip_address(text.partition("%")[0])
        except ValueError:
            return Place(UNKNOWN, ours=False)
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        ours = any(address in network for network in self._allowed)
        if isinstance(address, IPv6Address):
            return Place(str(ip_network((address, IPV6_PREFIX), strict=False)), ours)
        return Place(str(address), ours)


def key_in(headers: Mapping[bytes, bytes]) -> str | None:
    """The key that was sent, by `X-API-Key` or as a bearer token; an empty text where one is malformed."""
    given = headers.get(b"x-api-key")
    if given is not None:
        return given.decode("latin-1").strip()
    given = headers.get(b"authorization")
    if given is None:
        return None
    scheme, _, token = given.decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def from_our_page(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a browser says that a page of this host asks. No page of another can make it say so; programs
    can: it earns patience only.
    """
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site == b"same-origin"
    origin, host = headers.get(b"origin"), headers.get(b"host")
    return origin is not None and host is not None and origin.partition(b"://")[2] == host
