"""A small client of Chrono's public API, synchronous and asynchronous.

    from chrono.client import Client
    with Client("https://chrono.example", key="chr_...") as chrono:
        print(chrono.price("BTC/USD").price)

    from chrono.client import AsyncClient
    async with AsyncClient("https://chrono.example") as chrono:
        async for event in chrono.stream("BTC/USD", "ETH/USD"):
            ...

Needs httpx; the stream also needs `websockets`. This is a rim: it opens sockets and reads the clock, nothing
of the kernel imports it, and it is not in the Worker's bundle.
"""

from chrono.client.errors import ClientError, Problem, Unreachable
from chrono.client.prices import AsyncClient, Client
from chrono.client.values import Candle, Gap, Price, Update

__all__ = [
    "AsyncClient",
    "Candle",
    "Client",
    "ClientError",
    "Gap",
    "Price",
    "Problem",
    "Unreachable",
    "Update",
]
