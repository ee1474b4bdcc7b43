"""A batch's way into the window and the store, with fakes for both."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from chrono.errors import BadSignature, MalformedBatch, RevokedKey, StaleBatch, UnknownKey
from chrono.feeds import Leg
from chrono.signing import KeyRing, PublicKey
from chrono.venue_state import VenueReport, VenueState
from core.columns import TickColumns
from core.ingest import Ingest, IngestMetrics
from core.keys import LocalSigner, verify
from core.ports import BatchRecord, Receipt, SequenceConflict, StoreUnavailable
from core.routes import RouteMetrics, Routes
from core.venue_board import Board, BoardMetrics
from tests.fakes.batches import AT, new_signer, quote, sealed_batch, trade


@dataclass
class FakeWindow:
    ticks: int = 0
    routes: list[int] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    def apply(self, ticks: TickColumns, at: float, route: int) -> None:
        self.ticks += len(ticks)
        self.routes.append(route)

    def leg_routes(self) -> NDArray[np.int32]:
        return np.array(self.routes, np.int32)

    def hear(self, venue: str, at: float) -> None:
        self.heard.append(venue)


@dataclass
class FakeStore:
    records: dict[tuple[bytes, int], BatchRecord] = field(default_factory=dict)
    down: bool = False

    async def append(self, record: BatchRecord) -> Receipt:
        if self.down:
            raise StoreUnavailable("down", 1.0)
        first = self.records.setdefault((record.key_id, record.sequence), record)
        if first.digest != record.digest:
            raise SequenceConflict(record.key_id.hex(), record.sequence)
        return Receipt(len(first.ticks), first.refused, duplicate=first is not record)


class Core:
    """An ingest with everything around it."""

    def __init__(self, *signers: LocalSigner, revoked: LocalSigner | None = None) -> None:
        keys = [PublicKey(signer.public_key) for signer in signers]
        if revoked is not None:
            keys.append(PublicKey(revoked.public_key, revoked=True))
        self.registry = CollectorRegistry()
        self.window, self.store = FakeWindow(), FakeStore()
        self.board = Board(BoardMetrics(self.registry))
        self.routes = Routes(self.window.leg_routes, RouteMetrics(self.registry))
        self.pokes = 0
        self.ingest = Ingest(
            ring=lambda: KeyRing(keys),
            verify=verify,
            window=self.window,
            board=self.board,
            routes=self.routes,
            store=self.store,
            metrics=IngestMetrics(self.registry),
            on_ticks=self.poke,
        )

    def poke(self) -> None:
        self.pokes += 1

    def counted(self, outcome: str) -> float:
        return self.registry.get_sample_value("chrono_ingest_batches_total", {"outcome": outcome}) or 0.0


@pytest.fixture
def signer() -> LocalSigner:
    return new_signer()


@pytest.fixture
def core(signer: LocalSigner) -> Core:
    return Core(signer)


async def test_a_signed_batch_reaches_window_and_store(core: Core, signer: LocalSigner) -> None:
    receipt = await core.ingest.receive(await sealed_batch(signer, quote(), trade()), AT + 0.5)
    assert receipt == Receipt(2, {}, duplicate=False)
    assert (core.window.ticks, len(core.store.records), core.pokes) == (2, 1, 1)
    assert core.counted("accepted") == 1


async def test_a_redelivered_batch_counts_once_in_the_window(core: Core, signer: LocalSigner) -> None:
    first = await core.ingest.receive(await sealed_batch(signer, trade()), AT)
    again = await core.ingest.receive(await sealed_batch(signer, trade(), sent_at=AT + 20), AT + 20)
    assert (first.accepted, again.accepted, again.duplicate) == (1, 1, True)
    assert core.window.ticks == 1
    assert core.counted("duplicate") == 1


async def test_prices_go_on_while_the_store_is_down(core: Core, signer: LocalSigner) -> None:
    core.store.down = True
    batch = await sealed_batch(signer, trade())
    with pytest.raises(StoreUnavailable):
        await core.ingest.receive(batch, AT)
    core.store.down = False
    assert not (await core.ingest.receive(batch, AT + 1)).duplicate
    assert core.window.ticks == 1
    assert core.counted("store-unavailable") == 1


async def test_a_sequence_with_other_content_is_a_conflict(core: Core, signer: LocalSigner) -> None:
    await core.ingest.receive(await sealed_batch(signer, trade(price="1")), AT)
    with pytest.raises(SequenceConflict):
        await core.ingest.receive(await sealed_batch(signer, trade(price="2")), AT)


async def test_only_known_keys_may_send(core: Core) -> None:
    with pytest.raises(UnknownKey):
        await core.ingest.receive(await sealed_batch(new_signer(), quote()), AT)
    assert core.counted("unknown-key") == 1
    assert core.window.ticks == 0


async def test_a_revoked_key_is_refused_by_name(signer: LocalSigner) -> None:
    with pytest.raises(RevokedKey):
        await Core(revoked=signer).ingest.receive(await sealed_batch(signer, quote()), AT)


async def test_two_keys_are_valid_at_once_while_one_is_rotated(signer: LocalSigner) -> None:
    after = new_signer()
    core = Core(signer, after)
    await core.ingest.receive(await sealed_batch(signer, quote()), AT)
    await core.ingest.receive(await sealed_batch(after, quote()), AT)
    assert core.counted("accepted") == 2


async def test_the_window_learns_by_which_collector_ticks_came(signer: LocalSigner) -> None:
    other = new_signer()
    core = Core(signer, other)
    for each, sequence in ((signer, 1), (other, 1), (signer, 2)):
        await core.ingest.receive(await sealed_batch(each, quote(), sequence=sequence), AT)
    assert core.window.routes == [0, 1, 0]
    assert [report.batches for report in core.routes.reports()] == [2, 1]


async def test_a_redelivered_batch_is_no_news_of_its_route(core: Core, signer: LocalSigner) -> None:
    for sent_at in (AT, AT + 20):
        await core.ingest.receive(await sealed_batch(signer, quote(), sent_at=sent_at), sent_at)
    (report,) = core.routes.reports()
    assert (report.heard_at, report.batches) == (AT, 1)


@pytest.mark.parametrize("position", [0, 40, 60, -70, -1])
async def test_a_tampered_batch_is_refused(core: Core, signer: LocalSigner, position: int) -> None:
    sealed = bytearray(await sealed_batch(signer, quote()))
    sealed[position] ^= 1
    with pytest.raises((BadSignature, MalformedBatch)):
        await core.ingest.receive(bytes(sealed), AT)
    assert core.window.ticks == 0


@pytest.mark.parametrize("age_s", [-31.0, 31.0, 3600.0])
async def test_a_batch_from_another_time_is_refused(core: Core, signer: LocalSigner, age_s: float) -> None:
    with pytest.raises(StaleBatch) as caught:
        await core.ingest.receive(await sealed_batch(signer, quote()), AT + age_s)
    assert caught.value.age_s == pytest.approx(age_s)


async def test_one_bad_tick_does_not_lose_the_batch(core: Core, signer: LocalSigner) -> None:
    unknown, future = quote(Leg("kraken", "NOPE", "USD")), quote(at=AT + 60)
    receipt = await core.ingest.receive(await sealed_batch(signer, quote(), unknown, future), AT)
    assert receipt == Receipt(1, {"unknown_symbol": 1, "future_time": 1}, duplicate=False)


async def test_a_healthy_report_lets_the_window_hear_the_venue(core: Core, signer: LocalSigner) -> None:
    reports = (
        VenueReport("kraken", VenueState.HEALTHY, AT),
        VenueReport("okx", VenueState.BANNED, AT, AT + 60, 418),
    )
    await core.ingest.receive(await sealed_batch(signer, reports=reports), AT)
    assert core.window.heard == ["kraken"]
    assert [heard.report.venue for heard in core.board.reports(AT)] == ["kraken", "okx"]
    assert core.pokes == 0
