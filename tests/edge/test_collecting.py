"""The Worker at work in workerd against simulated venues and a core that writes down what it gets."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
import pytest_asyncio

from chrono.feeds import LEGS
from core.keys import LocalSigner
from infra.edge.admin import ask
from infra.edge.prepare import Prepared
from tests.edge.workerd import Workerd, running
from tests.edge.world import CORE, Key, World, group_of, open_world, pretty, total

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADMIN = Key()
INTERVAL_S = 1


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncIterator[World]:
    async with open_world() as world:
        yield world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker(
    prepared: Prepared, tmp_path_factory: pytest.TempPathFactory, world: World
) -> AsyncIterator[Workerd]:
    async with running(
        prepared,
        tmp_path_factory.mktemp("worker"),
        variables={"INTERVAL_S": INTERVAL_S, "ADMIN_KEYS": [ADMIN.text]},
        secrets={"COLLECTOR_KEY": world.key.secret},
        routes=world.routes(),
    ) as worker:
        await worker.tick_cron()
        yield worker


async def test_every_leg_of_five_venues_reaches_the_core_signed_and_in_order(
    worker: Workerd, world: World
) -> None:
    await world.core.until(lambda: len(world.core.sequences("kraken")) > 4)
    assert {str(tick.leg) for batch in world.core.batches for tick in batch.ticks} == set(map(str, LEGS))
    for venue in ("kraken", "binance"):
        sequences = world.core.sequences(venue)
        assert sequences == sorted(set(sequences))
    assert world.core.refusals == []


async def test_groups_share_a_key_and_never_a_sequence(worker: Workerd, world: World) -> None:
    await world.core.until(lambda: world.core.sequences("kraken") and world.core.sequences("binance"))
    assert {batch.key_id for batch in world.core.batches} == {world.key.id}
    assert not set(world.core.sequences("kraken")) & set(world.core.sequences("binance"))


async def test_alarms_keep_their_interval(worker: Workerd, world: World) -> None:
    begin = len(world.core.batches)
    await world.core.until(lambda: len(world.core.batches) >= begin + 10)
    starts = [batch.sent_at for batch in world.core.batches[begin:] if batch.reports[0].venue == "coinbase"]
    gaps = [after - before for before, after in pairwise(starts)]
    assert all(0.5 * INTERVAL_S < gap < 2.5 * INTERVAL_S for gap in gaps), gaps


async def test_the_status_tells_venues_last_batch_backlog_and_usage(worker: Workerd, world: World) -> None:
    status = await worker.until(lambda told: total(told, "delivered") > 0)
    asia = group_of(status, "asia")
    assert {venue["venue"]: venue["state"] for venue in asia["venues"]} == dict.fromkeys(
        ("binance", "bybit", "okx"), "healthy"
    )
    assert asia["last_batch"]["ticks"] == asia["cycle"]["last"]["ticks"] > 200
    assert asia["backlog"]["stored"] == asia["backlog"]["queued"] == 0
    assert 0 < asia["cycle"]["most"]["subrequests"] <= status["quota"]["subrequests_max"]
    assert status["silent_groups"] == []


async def test_only_what_is_needed_is_asked_for(worker: Workerd, world: World) -> None:
    status = await worker.until(lambda told: total(told, "delivered") > 0)
    most = [group["cycle"]["most"] for group in status["groups"]]
    assert sum(each["bytes_in"] for each in most) < 300_000


async def test_nothing_secret_is_told(worker: Workerd, world: World) -> None:
    page = await worker.web.get("/")
    told = page.text + pretty(await worker.status())
    assert page.headers["content-type"].startswith("text/html")
    assert "okx" in page.text
    for secret in (world.key.secret, world.key.secret[20:40], CORE, "nexus"):
        assert secret not in told


@pytest.mark.parametrize("path", ["/secret", "/admin", "/ingest"])
async def test_there_is_no_other_page(worker: Workerd, path: str) -> None:
    assert (await worker.web.get(path)).status_code == 404


async def test_a_signed_request_pauses_and_resumes_the_collecting(worker: Workerd, world: World) -> None:
    paused = await worker.web.post("/admin", json=ADMIN.command("pause", Workerd.now_ms()))
    assert paused.json() == {"done": "pause"}
    status = await worker.until(lambda told: all(group["paused"] for group in told["groups"]))
    await worker.tick_cron()
    cycles = group_of(status, "asia")["cycles"]
    resumed = await worker.web.post("/admin", json=ADMIN.command("resume", Workerd.now_ms()))
    assert resumed.status_code == 200
    assert cycles <= group_of(await worker.status(), "asia")["cycles"] <= cycles + 2
    await worker.until(lambda told: group_of(told, "asia")["cycles"] > cycles + 3)


async def test_an_admin_request_is_done_once(worker: Workerd) -> None:
    command = ADMIN.command("flush", Workerd.now_ms())
    assert (await worker.web.post("/admin", json=command)).status_code == 200
    assert (await worker.web.post("/admin", json=command)).status_code == 409


async def test_the_operators_script_is_understood(worker: Workerd) -> None:
    answer = await ask(str(worker.web.base_url), "flush", LocalSigner.of(ADMIN.private), time.time())
    assert answer.json() == {"done": "flush"}


async def test_an_admin_request_of_a_stranger_or_of_yesterday_is_refused(worker: Workerd) -> None:
    stranger = Key().command("pause", Workerd.now_ms())
    impostor = {**ADMIN.command("pause", Workerd.now_ms()), "action": "resume"}
    old = ADMIN.command("pause", Workerd.now_ms() - 60_000)
    unread: dict[str, object] = {"action": "pause"}
    for command in (stranger, impostor, old, unread):
        assert (await worker.web.post("/admin", json=command)).status_code == 403


async def test_a_batch_whose_answer_was_lost_comes_again_and_the_next_ones_after_it(
    worker: Workerd, world: World
) -> None:
    world.core.loses_answers = 1
    begin = len(world.core.batches)
    await world.core.until(lambda: len(world.core.batches) > begin + 8 and not world.core.loses_answers)
    twice = len(world.core.batches) - len(world.core.once())
    assert twice == 1
    for venue in ("kraken", "binance"):
        assert world.core.sequences(venue) == sorted(world.core.sequences(venue))
