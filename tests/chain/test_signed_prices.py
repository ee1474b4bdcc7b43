"""Signed prices of a real core on a real EVM: taken as they are, refused if anything is off."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import decode, encode
from prometheus_client import CollectorRegistry

import core.chain.local
from core.chain.endpoints import EndpointMetrics, Endpoints
from core.chain.errors import RpcRefusal
from core.chain.local.deploy import OPERATOR
from core.chain.local.node import running_anvil
from core.ftso.payload import selector
from core.net import free_port
from core.signed.key import PriceKey
from core.signed.prices import TYPES, Domain, Price, digest
from tests.chain.stage import anvil
from tests.house import open_house

FOLDER = Path(__file__).parents[2] / "infra" / "contracts"
COMPILED = FOLDER / "ChronoPrices.json"
FLARE = 14
AGE_S_MAX = 60
PRICE = f"({','.join(kind for _, kind in TYPES['Price'])})"
VECTOR = f"(uint64,uint64,{PRICE}[])"


@dataclass
class Board:
    """The example contract on a node."""

    endpoints: Endpoints
    address: str

    async def send(self, function: str, struct: str, value: object, signature: str) -> Any:
        """The receipt; raises RpcRefusal with the contract's error."""
        arguments = encode([struct, "bytes"], [value, bytes.fromhex(signature[2:])])
        data = "0x" + (selector(f"{function}({struct},bytes)") + arguments).hex()
        call = {"from": OPERATOR, "to": self.address, "data": data}
        await self.endpoints.ask("eth_call", call, "latest")
        hashed = await self.endpoints.ask("eth_sendTransaction", {**call, "gas": hex(25_000_000)})
        return await receipt_of(self.endpoints, hashed)

    async def take(self, signed: Any) -> Any:
        return await self.send("take", PRICE, members(signed["message"]), signed["signature"])

    async def latest(self, feed_id: bytes) -> tuple[Any, ...]:
        data = "0x" + (selector("latest(bytes21)") + encode(["bytes21"], [feed_id])).hex()
        raw = await self.endpoints.ask("eth_call", {"to": self.address, "data": data}, "latest")
        (price,) = decode([PRICE], bytes.fromhex(raw[2:]))
        return tuple(price)

    async def refuses(self, signed: Any, error: str) -> None:
        with pytest.raises(RpcRefusal) as refused:
            await self.take(signed)
        assert selector(error).hex() in str(refused.value)


async def receipt_of(endpoints: Endpoints, hashed: str) -> Any:
    """The node makes a block for each transaction, but not before it answers."""
    async with asyncio.timeout(20):
        while (receipt := await endpoints.ask("eth_getTransactionReceipt", hashed)) is None:
            await asyncio.sleep(0.02)
    return receipt


def members(message: Any) -> tuple[Any, ...]:
    """A price's JSON as the contract takes it."""
    return astuple(Price.of(message))


@asynccontextmanager
async def board(signer: str, chain_id: int = FLARE) -> AsyncIterator[Board]:
    """A node of that chain with the contract on it; waits for nothing else."""
    metrics = EndpointMetrics(CollectorRegistry())
    arguments = ("--chain-id", str(chain_id))
    async with running_anvil(anvil(), free_port("127.0.0.1", 0), arguments, metrics) as endpoints:
        made = json.loads(COMPILED.read_text("utf-8"))["contracts"]["PriceBoard"]
        told = encode(["address", "uint256"], [signer, AGE_S_MAX]).hex()
        transaction = {"from": OPERATOR, "data": "0x" + made["bytecode"] + told, "gas": hex(8_000_000)}
        hashed = await endpoints.ask("eth_sendTransaction", transaction)
        receipt = await receipt_of(endpoints, hashed)
        assert receipt["status"] == "0x1"
        yield Board(endpoints, receipt["contractAddress"])


async def test_real_prices_are_taken_and_all_others_refused(tmp_path: Path, database: str) -> None:
    anvil()
    async with open_house(tmp_path, database) as house:
        await house.until_live()
        signer = await house.get("/v1/signer")
        signed = (await house.get("/v1/prices/BTC/USD", signed="true"))["signed"]
        vector = (await house.get("/v1/prices", signed="true"))["signed"]
    assert signer["domain"]["chainId"] == FLARE
    price = Price.of(signed["message"])
    async with board(signer["address"]) as chain:
        await chain.refuses(
            {**signed, "message": {**signed["message"], "value": price.value + 1}}, "WrongSigner(address)"
        )
        await chain.refuses({**signed, "signature": "0x" + "11" * 64}, "MalformedSignature()")
        stranger = PriceKey(bytes(31) + b"\x07").sign(digest(Domain(FLARE).separator(), price.struct_hash()))
        await chain.refuses({**signed, "signature": "0x" + stranger.hex()}, "WrongSigner(address)")

        assert (await chain.take(signed))["status"] == "0x1"
        assert await chain.latest(price.feed_id) == members(signed["message"])
        await chain.refuses(signed, "OlderThanKnown(bytes21)")

        message = vector["message"]
        value = (message["sequence"], message["atMs"], [members(each) for each in message["prices"]])
        receipt = await chain.send("takeAll", VECTOR, value, vector["signature"])
        assert receipt["status"] == "0x1"
        for each in message["prices"][:5]:
            assert (await chain.latest(Price.of(each).feed_id))[0] == Price.of(each).feed_id

        await chain.endpoints.ask("evm_increaseTime", 2 * AGE_S_MAX)
        await chain.endpoints.ask("evm_mine")
        await chain.refuses(signed, "StalePrice(uint256,uint256)")
        with pytest.raises(RpcRefusal):
            await chain.latest(price.feed_id)


async def test_a_price_for_one_chain_is_refused_on_another(tmp_path: Path) -> None:
    key = PriceKey(bytes(31) + b"\x07")
    async with board(key.address, chain_id=19) as chain:
        block = await chain.endpoints.ask("eth_getBlockByNumber", "latest", False)
        now_ms = int(block["timestamp"], 16) * 1000
        price = Price(b"\x01BTC/USD".ljust(21, b"\0"), 1, 4, 1, 1, now_ms, 1, 5)

        def signed(chain_id: int, price: Price) -> Any:
            signature = key.sign(digest(Domain(chain_id).separator(), price.struct_hash()))
            return {"message": price.message(), "signature": "0x" + signature.hex()}

        await chain.refuses(signed(FLARE, price), "WrongSigner(address)")
        ahead = Price(price.feed_id, 1, 4, 1, 1, now_ms + 600_000, 1, 5)
        await chain.refuses(signed(19, ahead), "FuturePrice(uint256)")
        assert (await chain.take(signed(19, price)))["status"] == "0x1"


def test_the_compiled_verifier_is_that_of_the_source() -> None:
    made = json.loads(COMPILED.read_text("utf-8"))
    assert made["source_sha256"] == hashlib.sha256((FOLDER / "ChronoPrices.sol").read_bytes()).hexdigest()


def test_compiling_the_verifier_again_gives_the_same_bytes() -> None:
    folder = os.environ.get("CHRONO_SOLC_DIR")
    if not folder:
        pytest.skip("CHRONO_SOLC_DIR names no folder with npm's solc 0.8.28")
    compiler = Path(core.chain.local.__path__[0]) / "compile.cjs"
    command = ["node", str(compiler), str(FOLDER / "ChronoPrices.sol")]
    again = subprocess.run(command, cwd=folder, capture_output=True, check=True, text=True)
    assert json.loads(again.stdout) == json.loads(COMPILED.read_text("utf-8"))
