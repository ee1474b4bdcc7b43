"""Flare's system client asks, and gets exactly the three members that it accepts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import httpx
import pytest

from core.api.protocol_provider import create_protocol_api
from core.ftso.commit import commit_hash
from core.ftso.identities import VotingRoundId
from core.ftso.payload import Message, decode_messages
from core.ftso.reveal import Reveal
from core.provider.answers import ProtocolAnswers
from core.provider.ports import Function
from tests.fakes.chain import FakeChain
from tests.fakes.ledgers import FakeLedgers
from tests.provider.scene import NETWORK, OTHER_SUBMIT, PRICES, SUBMIT, Scene

OWN, OTHER = SUBMIT.address.text, OTHER_SUBMIT.address.text
NOTHING = {"status": "NOT_AVAILABLE", "data": "", "additionalData": ""}


class Client:
    """Asks at a time of its own; `restart` makes the service anew on the same ledger."""

    def __init__(self) -> None:
        self.scene, self.at, self.numbers = Scene(), 1_076.0, itertools.count(1)
        self.ledgers = FakeLedgers()
        self.restart()

    def restart(self) -> None:
        async def values(voting_round: VotingRoundId, at: float) -> Mapping[str, float]:
            return PRICES

        answers = ProtocolAnswers(
            network=NETWORK,
            submit_address=SUBMIT.address,
            chain=FakeChain(self.scene.world, SUBMIT.address),
            ledger=self.ledgers.take_over("own", "api"),
            values=values,
            entropy=lambda size: next(self.numbers).to_bytes(size, "big"),
        )
        app = create_protocol_api(answers, lambda: self.at)
        self._http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chrono")

    async def get(self, path: str, at: float) -> dict[str, str]:
        self.at = at
        answer = await self._http.get(path)
        assert answer.status_code == 200
        told: dict[str, str] = answer.json()
        assert set(told) == {"status", "data", "additionalData"}
        return told

    async def message(self, path: str, at: float) -> Message:
        (message,) = decode_messages(bytes.fromhex((await self.get(path, at))["data"][2:]))
        return message


@pytest.fixture
async def client() -> Client:
    return Client()


async def test_the_reveal_is_that_of_the_commit_even_after_a_restart(client: Client) -> None:
    commit = await client.message(f"/submit1/0/{OWN}", 1_076.0)
    client.restart()
    reveal = await client.message(f"/submit2/0/{OWN}", 1_110.0)
    assert (commit.protocol, commit.voting_round) == (reveal.protocol, reveal.voting_round) == (100, 0)
    told = Reveal.decode(reveal.payload, feed_count=3)
    assert commit_hash(SUBMIT.address, VotingRoundId(0), told) == commit.payload


async def test_a_commit_is_the_same_on_every_repeat(client: Client) -> None:
    first = await client.get(f"/submit1/0/{OWN}", 1_076.0)
    assert await client.get(f"/submit1/0/{OWN}", 1_080.0) == first
    client.restart()
    assert await client.get(f"/submit1/0/{OWN}", 1_082.0) == first


@pytest.mark.parametrize(
    ("path", "at"),
    [
        (f"/submit1/0/{OTHER}", 1_076.0),
        (f"/submit1/0/{OWN}", 1_090.0),
        (f"/submit1/1/{OWN}", 1_076.0),
        (f"/submit2/0/{OWN}", 1_110.0),
        (f"/submit3/0/{OWN}", 1_110.0),
        ("/submit1/0/0x12", 1_076.0),
        ("/submit1/0/nonsense", 1_076.0),
        (f"/submitSignatures/0/{OWN}", 1_120.0),
        ("/submitSignatures/0/nonsense", 1_140.0),
    ],
)
async def test_there_is_nothing_to_say(client: Client, path: str, at: float) -> None:
    assert await client.get(path, at) == NOTHING


@pytest.mark.parametrize("at", [1_080.0, 1_135.0])
async def test_a_reveal_is_told_only_in_its_window(client: Client, at: float) -> None:
    await client.get(f"/submit1/0/{OWN}", 1_076.0)
    assert await client.get(f"/submit2/0/{OWN}", at) == NOTHING


async def test_the_result_is_told_once_the_chain_has_passed_the_deadline(client: Client) -> None:
    scene = client.scene
    await scene.play(scene.provider(name="other"), until=130)
    assert await client.get(f"/submitSignatures/0/{OWN}", 1_136.0) == NOTHING
    scene.world.mine(1_136)
    told = await client.get(f"/submitSignatures/0/{OWN}", 1_137.0)
    assert told["status"] == "OK"
    assert len(told["data"]) == 2 + 2 * 38


async def test_a_chain_that_is_away_is_no_error_page(client: Client) -> None:
    client.scene.world.down = True
    assert await client.get(f"/submit1/0/{OWN}", 1_076.0) == NOTHING


async def test_a_full_disk_means_no_commit(client: Client) -> None:
    client.ledgers.books["own"].full = True
    assert await client.get(f"/submit1/0/{OWN}", 1_076.0) == NOTHING
    assert client.scene.sent(Function.SUBMIT1) == 0
