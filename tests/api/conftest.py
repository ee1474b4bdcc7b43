"""The API over a world in memory, asked without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from core.api.app import create_api
from tests.fakes.services import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_api(world.services()), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://chrono") as asking:
        yield asking
