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
_NOWHERE: Final = Address(bytes(20))


async def contract_addresses(
    endpoints: Endpoints, registry: Address = REGISTRY, names: Sequence[str] = NAMES
) -> Mapping[str, Address]:
    """The present addresses by name. Raises MissingContract, ChainUnavailable or RpcRefusal.

    Contracts are replaced now and then: ask again every reward epoch.
    """
    data = selector("getContractAddressesByName(string[])") + encode(["string[]"], [list(names)])
    (found,) = decode(["address[]"], await call(endpoints, registry, data))
    addresses = dict(zip(names, map(Address.of, found), strict=True))
    for name, address in addresses.items():
        if address == _NOWHERE:
            raise MissingContract(name)
    return addresses


async def call(endpoints: Endpoints, to: Address, data: bytes) -> bytes:
    """What a view function returns now."""
    answer = await endpoints.ask("eth_call", {"to": to.text, "data": "0x" + data.hex()}, "latest")
    return bytes.fromhex(str(answer)[2:])
