import asyncio
import socket

import httpx
import pytest

from core.net import PortTaken
from core.simulator.app import build_simulator
from core.simulator.faults import FaultBoard
from core.simulator.market import RandomMarket
from core.simulator.server import serve


@pytest.fixture
def app():
    return build_simulator(RandomMarket(7), lambda: 1.79e9, FaultBoard())


async def test_a_taken_port_is_an_error_at_once(app):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(ExceptionGroup) as failure:
            async with asyncio.TaskGroup() as group:
                group.create_task(serve(app, taken.getsockname()[1], asyncio.Event(), print))
        assert failure.group_contains(PortTaken)


async def test_a_cancelled_server_frees_its_port_and_its_connections(app):
    bound = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(app, 0, asyncio.Event(), bound.set_result))
    port = await bound
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        assert (await client.get("/_requests")).status_code == 200
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        with pytest.raises(httpx.TransportError):
            await client.get("/_requests")
    socket.create_server(("127.0.0.1", port)).close()


async def test_it_stops_when_told_and_again_serves_on_the_same_port(app):
    port = 0
    for _ in range(2):
        bound, stop = asyncio.get_running_loop().create_future(), asyncio.Event()
        serving = asyncio.create_task(serve(app, port, stop, bound.set_result))
        port = await bound
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"http://127.0.0.1:{port}/binance/api/v3/ping")).json() == {}
        stop.set()
        await asyncio.wait_for(serving, 5)
