"""Where the protocol's contracts are: asked of FlareContractRegistry, which is everywhere at one address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from eth_abi.abi import decode, encode

from core.chain.endpoints import Endpoints
from core.chain.errors import MissingContract
from core.ftso.identities import Address
from core.ftso.payload import selector

REGISTRY: Final = Address.of("0xaD67FE66660Fb8dFE9d6b1b4240d8650e30F6019")
NAMES: Final = (
    "Submission",
    "Relay",
    "FlareSystemsManager",
    "FlareSystemsCalculator",
    "VoterRegistry",
    "FtsoRewardOffersManager",
    "FtsoFeedPublisher",
)
EPOCH_NAMES: Final = ("EntityManager", "VoterPreRegistry", "RewardManager")
"""Contracts without which rounds still run: a network that lacks one lacks the duties that need it."""
_NOWHERE: Final = Address(bytes(20))


async def contract_addresses(
    endpoints: Endpoints, registry: Address = REGISTRY, names: Sequence[str] = NAMES
) -> Mapping[str, Address]:
    """The present addresses by name; of EPOCH_NAMES those that there are.

    Raises MissingContract, ChainUnavailable or RpcRefusal. Contracts are replaced now and then: ask again
    every reward epoch.
    """
    asked = [*names, *EPOCH_NAMES]
    data = selector("getContractAddressesByName(string[])") + encode(["string[]"], [asked])
    (found,) = decode(["address[]"], await call(endpoints, registry, data))
    addresses = dict(zip(asked, map(Address.of, found), strict=True))
    for name in names:
        if addresses[name] == _NOWHERE:
            raise MissingContract(name)
    return {name: address for name, address in addresses.items() if address != _NOWHERE}


async def call(endpoints: Endpoints, to: Address, data: bytes) -> bytes:
    """What a view function returns now."""
    answer = await endpoints.ask("eth_call", {"to": to.text, "data": "0x" + data.hex()}, "latest")
    return bytes.fromhex(str(answer)[2:])
