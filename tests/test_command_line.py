"""The `chrono` command as an operator runs it: real processes, an embedded database, simulated venues."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import psutil
import pytest

from tests.processes import chrono_up, run_chrono

SIMULATED = ("up", "--market", "simulated", "--seed", "3")


async def stored_points(url: str) -> int:
    async with httpx.AsyncClient(trust_env=False) as client:
        history = await client.get(
            f"{url}/v1/prices/history", params={"feed": "BTC/USD", "interval": "raw", "limit": "1000"}
        )
        return len(history.json().get("points", []))


@pytest.mark.timeout(300)
async def test_up_shows_prices_stops_in_order_and_keeps_its_data(server_folder: Path) -> None:
    async with chrono_up(server_folder, *SIMULATED) as up:
        await up.until_live()
        async with asyncio.timeout(30):
            while await stored_points(up.url) < 2:
                await asyncio.sleep(0.1)
        before = await stored_points(up.url)
        family = psutil.Process(up.process.pid).children(recursive=True)
        assert await up.interrupt() == 0
        assert not [process for process in family if process.is_running()]
        assert not up.said("process_killed"), "".join(up.lines)
    async with chrono_up(server_folder, *SIMULATED) as again:
        assert await stored_points(again.url) >= before
        await again.interrupt()


@pytest.mark.timeout(300)
async def test_a_killed_core_is_restarted_and_its_collector_resends(server_folder: Path) -> None:
    async with chrono_up(server_folder, *SIMULATED) as up:
        await up.until_live()
        up.child("serve").kill()
        async with asyncio.timeout(30):
            while not up.said("process_restarted"):
                await asyncio.sleep(0.05)
        await up.until_live()
        assert await up.interrupt() == 0
        assert not up.said('"ticks_lost": 1')


@pytest.mark.timeout(300)
async def test_a_killed_database_is_restarted_and_prices_go_on_meanwhile(server_folder: Path) -> None:
    async with chrono_up(server_folder, *SIMULATED) as up:
        await up.until_live()
        postmaster = int((server_folder / "postgres-simulated/data/postmaster.pid").read_text().split()[0])
        psutil.Process(postmaster).kill()
        assert (await up.until_live())["state"] == "live"
        async with asyncio.timeout(60):
            while not up.said("postgres_ended") or not await stored_points(up.url):
                await asyncio.sleep(0.1)
            while up.said("delivery_failed") and not up.said("core_accepts_again"):
                await asyncio.sleep(0.1)
        assert not up.said("process_ended"), "".join(up.lines)
        assert await up.interrupt() == 0


@pytest.mark.timeout(300)
async def test_children_end_when_their_supervisor_is_killed(server_folder: Path) -> None:
    async with chrono_up(server_folder, *SIMULATED) as up:
        children = [up.child(name) for name in ("serve", "collect", "simulate")]
        up.process.kill()
        await up.ended()
        _, alive = psutil.wait_procs(children, timeout=20)
        assert alive == []
    async with chrono_up(server_folder, *SIMULATED) as again:
        await again.until_live()
        await again.interrupt()


@pytest.mark.timeout(300)
async def test_a_second_chrono_on_the_same_folder_is_refused(server_folder: Path) -> None:
    async with chrono_up(server_folder, *SIMULATED) as up:
        code, printed = await run_chrono(
            server_folder, *SIMULATED, "--port", "0", "--data-dir", str(server_folder)
        )
        assert (code, "another Chrono runs" in printed) == (1, True)
        port = up.url.rpartition(":")[2]
        other = server_folder / "other"
        code, printed = await run_chrono(server_folder, *SIMULATED, "--port", port, "--data-dir", str(other))
        assert (code, "choose another with --port" in printed) == (1, True)
        await up.interrupt()


@pytest.mark.timeout(300)
async def test_replay_takes_recorded_candles_through_the_whole_path(server_folder: Path) -> None:
    candles = server_folder / "candles.csv"
    rows = ["venue,base,quote,minute,open,high,low,close,volume"]
    for minute in range(240):
        stamp = f"2023-03-01T{minute // 60:02d}:{minute % 60:02d}:00Z"
        rows.append(f"coinbase,BTC,USD,{stamp},20000,20010,19990,20000,5")
        rows.append(f"kraken,BTC,USD,{stamp},20001,20011,19991,20001,5")
    candles.write_text("\n".join(rows))
    async with chrono_up(server_folder, "replay", str(candles), "--speed", "60", "--keep") as up:
        price = await up.until_live()
        assert float(str(price["price"])) == pytest.approx(20_000, rel=0.002)
        assert price["venues_used"] == 2
        assert await up.interrupt() == 0


async def test_check_prints_the_configuration_and_masks_secrets(tmp_path: Path) -> None:
    code, printed = await run_chrono(
        tmp_path,
        "check",
        DATABASE_URL="postgresql://chrono:hunter2@127.0.0.1:9/chrono",
        CHRONO_VENUES="kraken",
        CHRONO_VENUE_URLS='{"kraken": "http://127.0.0.1:9/kraken"}',
        CHRONO_PORT="0",
    )
    assert code == 1
    assert "hunter2" not in printed
    assert "postgresql://chrono:********@127.0.0.1:9/chrono" in printed
    assert "estimate_interval_s" in printed
    assert "not configured: the bus stays in the process" in printed


@pytest.mark.timeout(300)
async def test_check_finds_everything_well_on_a_fresh_folder(server_folder: Path) -> None:
    data = server_folder / "data"
    code, printed = await run_chrono(server_folder, "keys", "new", "--data-dir", str(data))
    assert (code, "key id" in printed) == (0, True)
    code, printed = await run_chrono(
        server_folder, "check", "--migrate", "--data-dir", str(data), CHRONO_VENUES="kraken", CHRONO_PORT="0"
    )
    assert "PostgreSQL 18" in printed
    assert "applied now" in printed
    assert "the local collector is" in printed
    assert "timescaledb" in printed


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("up", "--market", "imagined"), "imagined"),
        (("up", "--market", "simulated", "--fault", "kraken:bored"), "bored"),
        (("up", "--fault", "kraken:dead"), "only a simulated market"),
        (("up", "--port", "70000"), "port"),
        (("replay", "nowhere.parquet"), "nowhere.parquet"),
        (("keys", "revoke", "xyz"), "not hexadecimal"),
        (("keys", "revoke", "00" * 8), "has no key"),
        (("serve",), "DATABASE_URL"),
        (("collect",), "collector.key"),
    ],
)
async def test_a_wrong_word_gets_a_clear_line_not_a_trace(
    tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    code, printed = await run_chrono(tmp_path, *arguments)
    assert code != 0
    assert told in printed
    assert "Traceback" not in printed


async def test_every_command_has_help(tmp_path: Path) -> None:
    code, printed = await run_chrono(tmp_path, "--help")
    assert code == 0
    for command in ("up", "check", "keys", "simulate", "replay", "serve", "collect"):
        assert command in printed
        code, help_text = await run_chrono(tmp_path, command, "--help")
        assert (code, "Usage" in help_text) == (0, True)
