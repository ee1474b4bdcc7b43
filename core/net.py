"""Small questions about ports and URLs on this machine."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Final

import httpx

from chrono.errors import ChronoError

BACKLOG: Final = 2_048
"""Connections that wait to be taken; the system may allow fewer."""


class PortTaken(ChronoError):
    """An address cannot be listened on."""

    def __init__(self, host: str, port: int, detail: str) -> None:
        self.host, self.port = host, port
        super().__init__(f"cannot listen on {host}:{port} ({detail}); choose another with --port")


def free_port(host: str, port: int) -> int:
    """The port if it is free, or any free one for 0; raises PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as asked:
        asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            asked.bind((host, port))
        except OSError as error:
            raise PortTaken(host, port, error.strerror or str(error)) from None
        return int(asked.getsockname()[1])


def listening(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises PortTaken.

    Named TCP, because asyncio sends small answers at once only on those.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise PortTaken(host, port, error.strerror or str(error)) from None
    return listener


def answers(url: str) -> Callable[[], Awaitable[bool]]:
    """Whether a URL answers 200 now, as a question to be asked again and again."""

    async def ready() -> bool:
        try:
            async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
                return (await client.get(url)).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    return ready
