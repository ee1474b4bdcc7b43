"""The twin's answers, with a core that is there, one that is away, and snapshots of every kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import pytest
from fastapi import FastAPI

from core.api import problems
from core.api.public import PublicRoutes, Told
from core.api.schemas.common import ProblemDocument
from core.api.schemas.prices import Price, PriceList, SignerDocument
from core.signed.key import PriceKey
from core.signed.passes import PassSigner
from core.signed.prices import NotFresh, verify_price, verify_prices
from core.snapshot.objects import StoreFailed
from core.snapshot.reader import ASK_EVERY_S, SnapshotReader, Trust
from core.snapshot.writer import snapshot_of
from core.twin.book import TwinBook, decimal_text
from core.twin.core_client import Core, CoreAway
from core.twin.settings import TwinMisconfigured, read
from tests.fakes.objects import FakeObjects
from tests.fakes.services import NOW, message_at

KEY = PriceKey(bytes(31) + b"\x07")
NAME = "prices/latest.json"


@dataclass
class Sky:
    """A twin, the core it asks, and the bucket it reads."""

    now: float = NOW
    core_says: Told | None = None
    asked: list[str] = field(default_factory=list)
    objects: FakeObjects = field(default_factory=FakeObjects)

    def fetch(self, path: str) -> Told:
        self.asked.append(path)
        if self.core_says is None:
            raise CoreAway("away")
        return self.core_says

    def write(self, at: float, key: PriceKey = KEY, sequence: int = 1) -> None:
        body = snapshot_of(message_at(at, sequence), PassSigner(key, 14))
        standing = self.objects.standing(NAME)
        self.objects.put(NAME, body, (int(at), sequence), standing.mark if standing else None)

    def client(self) -> httpx.AsyncClient:
        clock: Callable[[], float] = lambda: self.now  # noqa: E731
        trust = Trust(KEY.address, 14, 900.0)
        book = TwinBook(
            Core(self.fetch, clock, 5.0), SnapshotReader(lambda: self.objects, NAME, trust), trust, clock
        )
        app = FastAPI()
        problems.install(app, lambda _: None)
        app.include_router(PublicRoutes(book).router())
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://twin")


def refusal(answer: httpx.Response) -> str:
    assert answer.status_code == 503
    return ProblemDocument.model_validate_json(answer.content).type.rpartition(":")[2]


async def test_the_core_s_own_answer_is_passed_on() -> None:
    sky = Sky(core_says=Told(b'{"prices":[]}', {"etag": '"1"'}))
    async with sky.client() as twin:
        answer = await twin.get("/v1/prices?feeds=ETH/USD,BTC/USD&signed=true")
    assert (answer.content, answer.headers["x-chrono-source"]) == (b'{"prices":[]}', "core")
    assert answer.headers["etag"] == '"1"'
    assert sky.asked == ["/v1/prices?feeds=ETH/USD,BTC/USD&signed=true"]


async def test_a_refusal_of_the_core_is_passed_on_too() -> None:
    sky = Sky(core_says=Told(b"{}", {"retry-after": "3"}, 429, "application/problem+json"))
    async with sky.client() as twin:
        answer = await twin.get("/v1/prices/BTC/USD")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")


async def test_without_the_core_the_last_snapshot_is_told_as_old() -> None:
    sky = Sky(now=NOW + 42)
    sky.write(NOW)
    async with sky.client() as twin:
        answer = await twin.get("/v1/prices")
    told = PriceList.model_validate_json(answer.content)
    assert (told.stale, told.age_s, told.at, len(told.prices)) == (True, 42.0, NOW, 63)
    assert {price.state for price in told.prices} == {"stale"}
    assert told.prices[0].price == "64000.00000000"
    assert told.prices[0].age_s == 42.25
    assert answer.headers["age"] == "42"
    assert answer.headers["warning"].startswith("110 ")
    assert answer.headers["x-chrono-source"] == "snapshot"


async def test_old_prices_carry_signatures_that_tell_their_age() -> None:
    sky = Sky(now=NOW + 100)
    sky.write(NOW)
    trusted = {"signer": KEY.address, "chain_id": 14, "at": NOW + 100}
    async with sky.client() as twin:
        every = (await twin.get("/v1/prices?signed=true")).json()["signed"]
        some = (await twin.get("/v1/prices?feeds=BTC/USD&signed=true")).json()["prices"][0]["signed"]
        one = Price.model_validate_json((await twin.get("/v1/prices/BTC/USD?signed=true")).content)
    assert len(verify_prices(every, **trusted, age_s_max=900).prices) == 63  # type: ignore[arg-type]
    assert verify_price(some, **trusted, age_s_max=900).message() == one.signed.message.model_dump()  # type: ignore[arg-type, union-attr]
    with pytest.raises(NotFresh):
        verify_price(some, **trusted)  # type: ignore[arg-type]


async def test_beyond_the_bound_nothing_is_told() -> None:
    sky = Sky()
    sky.write(NOW)
    async with sky.client() as twin:
        sky.now = NOW + 900
        assert (await twin.get("/v1/prices")).status_code == 200
        sky.now = NOW + 901
        answer = await twin.get("/v1/prices/BTC/USD")
    assert refusal(answer) == "snapshot-too-old"
    assert (answer.json()["age_s"], answer.json()["limit_s"]) == (901.0, 900.0)
    assert answer.headers["retry-after"] == "5"


async def test_a_snapshot_of_a_stranger_is_no_snapshot() -> None:
    sky = Sky()
    sky.write(NOW, PriceKey(bytes(31) + b"\x08"))
    async with sky.client() as twin:
        answer = await twin.get("/v1/prices")
    assert refusal(answer) == "no-snapshot"
    assert "signed by 0x" in answer.json()["detail"]


async def test_an_empty_bucket_and_one_that_is_away_are_told_apart() -> None:
    sky = Sky()
    async with sky.client() as twin:
        assert "the store has no snapshot" in (await twin.get("/v1/prices")).json()["detail"]
        sky.objects.fails_with = StoreFailed("credentials", "AccessDenied with status 403")
        sky.now += ASK_EVERY_S
        assert "credentials" in (await twin.get("/v1/prices")).json()["detail"]


async def test_a_verified_snapshot_is_kept_while_the_bucket_is_away_and_grows_old() -> None:
    sky = Sky()
    sky.write(NOW)
    async with sky.client() as twin:
        await twin.get("/v1/prices")
        sky.objects.fails_with = StoreFailed("unreachable", "away")
        ages = []
        for _ in range(3):
            sky.now += 10
            ages.append((await twin.get("/v1/prices")).json()["age_s"])
    assert ages == [10.0, 20.0, 30.0]


async def test_an_older_snapshot_never_replaces_a_newer_one() -> None:
    sky = Sky(now=NOW + 10)
    sky.write(NOW + 5)
    async with sky.client() as twin:
        await twin.get("/v1/prices")
        sky.write(NOW)
        sky.now += ASK_EVERY_S
        assert (await twin.get("/v1/prices")).json()["at"] == NOW + 5


async def test_the_bucket_is_asked_once_a_while_and_the_core_not_at_every_question() -> None:
    sky = Sky()
    sky.write(NOW)
    async with sky.client() as twin:
        for _ in range(20):
            await twin.get("/v1/prices")
    assert (sky.objects.gets, len(sky.asked)) == (1, 2)


async def test_a_core_that_is_back_is_told_again() -> None:
    sky = Sky()
    sky.write(NOW)
    async with sky.client() as twin:
        for _ in range(3):
            await twin.get("/v1/prices")
        sky.core_says = Told(b'{"fresh":1}')
        sky.now += 2
        assert (await twin.get("/v1/prices")).json() == {"fresh": 1}


async def test_a_broken_question_is_refused_without_asking_anybody() -> None:
    sky = Sky()
    async with sky.client() as twin:
        for path, status in (("/v1/prices?feed=BTC/USD", 400), ("/v1/prices/FOO/USD", 404)):
            assert (await twin.get(path)).status_code == status
    assert sky.asked == []


async def test_the_twin_tells_whom_it_trusts() -> None:
    async with Sky().client() as twin:
        told = SignerDocument.model_validate_json((await twin.get("/v1/signer")).content)
    assert (told.address, told.domain["chainId"]) == (KEY.address, 14)


@pytest.mark.parametrize(
    ("value", "decimals", "text"), [(640_123_150, 4, "64012.3150"), (7, 8, "0.00000007")]
)
def test_a_signed_number_is_written_as_the_core_writes_it(value: int, decimals: int, text: str) -> None:
    assert decimal_text(value, decimals) == text


SETTINGS = {
    "CHRONO_TWIN_CORE_URL": "https://core.example",
    "CHRONO_TWIN_SIGNER": KEY.address,
    "CHRONO_SNAPSHOT_ENDPOINT": "https://account.r2.example",
    "CHRONO_SNAPSHOT_BUCKET": "prices",
    "CHRONO_SNAPSHOT_KEY_ID": "id",
    "CHRONO_SNAPSHOT_SECRET": "hunter2",
}


def test_the_settings_are_read_and_show_no_secret() -> None:
    settings = read({**SETTINGS, "CHRONO_TWIN_AGE_S_MAX": "60"})
    assert settings.trust == Trust(KEY.address, 14, 60.0)
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "") for name in SETTINGS),
        ("CHRONO_TWIN_SIGNER", "0x12"),
        ("CHRONO_TWIN_CORE_URL", "core.example"),
        ("CHRONO_TWIN_AGE_S_MAX", "soon"),
        ("CHRONO_TWIN_AGE_S_MAX", "nan"),
        ("CHRONO_TWIN_CORE_S", "0"),
    ],
)
def test_a_setting_that_is_missing_or_wrong_is_named(name: str, value: str) -> None:
    with pytest.raises(TwinMisconfigured, match=name):
        read({**SETTINGS, name: value})
