"""The path of a price with Redis as the bus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import websockets

from tests.house import House, open_house
from tests.redis_server import RedisServer


async def told(stream: websockets.ClientConnection, kind: str) -> dict[str, Any]:
    """The next message of a kind."""
    while True:
        message: dict[str, Any] = json.loads(await stream.recv())
        if message["type"] == kind:
            return message


def stream_url(house: House) -> str:
    return str(house.api.base_url).replace("http", "ws").rstrip("/") + "/v1/stream"


async def test_a_stream_through_redis_outlives_the_redis_server(
    tmp_path: Path, database: str, redis_server: RedisServer
) -> None:
    async with open_house(tmp_path, database, redis_url=redis_server.url) as house:
        await house.until_live()
        async with websockets.connect(stream_url(house)) as stream:
            await stream.send('{"op":"subscribe","feeds":["BTC/USD"]}')
            first = await told(stream, "update")
            redis_server.kill()

            async def noticed() -> bool:
                checks = (await house.api.get("/ready")).json()["checks"]
                return not checks["bus"]["ok"]

            await house.until(noticed)
            assert (await house.price("BTC/USD"))["state"] == "live"
            redis_server.start()
            later = await told(stream, "update")
            assert later["sequence"] > first["sequence"]
