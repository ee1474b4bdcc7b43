"""`chrono keys rotate` as an operator uses it, beside a real core and one that says what a test wants."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from chrono.feeds import LEGS
from core.keys import load_private_key
from tests.house import collect_here, open_house
from tests.loopback import Asked, response, serving
from tests.processes import run_chrono

FEW = tuple(leg for leg in LEGS if leg.base in {"FLR", "USDT"})
DONE, LEFT = "done", "to do"


@dataclass
class Desk:
    """Where an operator types; `core_url` is the running core."""

    folder: Path
    core_url: str
    name: str = "edge"

    async def keys(self, command: str, *words: str) -> tuple[int, str]:
        return await run_chrono(self.folder, "keys", command, *words, "--data-dir", str(self.folder))

    async def new(self, number: int) -> Path:
        file = self.folder / "keys" / f"{self.name}-{number}.key"
        code, printed = await self.keys("new", "--name", self.name, "--file", str(file))
        assert code == 0, printed
        return file

    async def check(self) -> tuple[int, list[str], str]:
        code, printed = await self.keys("rotate", "--name", self.name, "--core-url", self.core_url, "--check")
        return code, re.findall(r"^\d\. (done|to do) ", printed, re.MULTILINE), printed


@dataclass
class SayingCore:
    """Answers /v1/routes as the core does, with what a test says."""

    silent_s: dict[str, float] = field(default_factory=dict)
    status: int = 200

    async def answer(self, asked: Asked) -> bytes:
        assert asked.path == "/v1/routes"
        routes = [{"key_id": key_id, "silent_s": age} for key_id, age in self.silent_s.items()]
        return response(json.dumps({"at": 1.0, "routes": routes}).encode(), self.status)


async def test_the_check_follows_a_rotation_to_its_end(tmp_path: Path) -> None:
    core = SayingCore()
    async with serving(core.answer) as url:
        desk = Desk(tmp_path, url)
        old = load_private_key(await desk.new(1)).key_id.hex()
        core.silent_s[old] = 0.4
        assert (await desk.check())[:2] == (1, [LEFT] * 5)
        new = load_private_key(await desk.new(2)).key_id.hex()
        code, marks, printed = await desk.check()
        assert (code, marks) == (1, [DONE, DONE, LEFT, LEFT, LEFT])
        assert "secret put COLLECTOR_KEY" in printed
        core.silent_s[new] = 0.4
        assert (await desk.check())[1] == [DONE, DONE, DONE, LEFT, LEFT]
        core.silent_s[old] = 31.0
        code, marks, printed = await desk.check()
        assert (code, marks) == (1, [DONE] * 4 + [LEFT])
        assert f"chrono keys revoke {old}" in printed
        assert (await desk.keys("revoke", old))[0] == 0
        assert (await desk.check())[:2] == (0, [DONE] * 5)


async def test_a_core_that_does_not_answer_leaves_steps_to_do_and_says_why(tmp_path: Path) -> None:
    core = SayingCore(status=503)
    async with serving(core.answer) as url:
        desk = Desk(tmp_path, url)
        await desk.new(1)
        await desk.new(2)
        code, marks, printed = await desk.check()
    assert (code, marks) == (1, [DONE, DONE, LEFT, LEFT, LEFT])
    assert "does not tell its routes" in printed
    assert "503" in printed


async def test_the_plan_is_printed_without_a_core_and_changes_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "http://127.0.0.1:9")
    await desk.new(1)
    before = sorted(path.name for path in (tmp_path / "keys").iterdir())
    code, printed = await desk.keys("rotate", "--name", "edge")
    assert code == 0
    assert [line[:2] for line in printed.splitlines() if line[:1].isdigit()] == ["1.", "2.", "3.", "4.", "5."]
    assert "$ chrono keys new --name edge --file" in printed
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == before


async def test_an_unknown_collector_is_refused_with_the_known_names(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "http://127.0.0.1:9")
    await desk.new(1)
    code, printed = await desk.keys("rotate", "--name", "ledge")
    assert (code, "one of: edge" in printed) == (1, True)


@pytest.mark.timeout(200)
async def test_the_local_collectors_key_is_rotated_beside_a_running_core(
    tmp_path: Path, database: str
) -> None:
    async with open_house(tmp_path, database, legs=FEW) as house:
        await house.until_live("FLR/USD")
        core_url, venue_url = str(house.api.base_url), str(house.venues.base_url)
        desk = Desk(tmp_path, core_url, "test")
        new_file = await desk.new(2)
        code, marks, printed = await desk.check()
        assert (code, marks) == (1, [DONE, DONE, LEFT, LEFT, LEFT])
        assert f"mv {new_file} {house.settings.private_key_file}" in printed
        new_file.replace(house.settings.private_key_file)
        signer, stop = load_private_key(house.settings.private_key_file), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(collect_here(core_url, venue_url, signer, stop, FEW))

            async def new_one_delivers() -> bool:
                routes = (await house.get("/v1/routes"))["routes"]
                return any(route["key_id"] == signer.key_id.hex() for route in routes)

            await house.until(new_one_delivers)
            house.collector_stop.set()
            code, marks, printed = await desk.check()
            stop.set()
        assert (code, marks) == (1, [DONE, DONE, DONE, LEFT, LEFT])
        assert re.search(r"new key heard \d\.\d s ago, old key heard \d+\.\d s ago", printed)
        assert (await house.price("FLR/USD"))["state"] == "live"
