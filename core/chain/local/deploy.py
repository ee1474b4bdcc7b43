"""The local chain's contracts, put on a fresh node and operated: voters, offers, reward epochs, rewards.

Plays the part of Flare's governance and of its daemon. Uses what only a test node allows: accounts that need
no signature, balances from nothing, code at any address.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final

from eth_abi.abi import encode

from chrono.errors import ChronoError
from core.chain.contracts import REGISTRY
from core.chain.endpoints import Endpoints
from core.chain.keys import LocalKey
from core.ftso.epochs import Network
from core.ftso.feed_order import Feed
from core.ftso.hashing import keccak
from core.ftso.identities import Address, RewardEpochId, VotingRoundId
from core.ftso.payload import selector
from core.ftso.system_calls import register_voter, registration_hash

OPERATOR: Final = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"  # anvil's first account
BLOCK_WITHIN_S: Final = 10.0
RECEIPT_EVERY_S: Final = 0.2
RICHES: Final = hex(10**24)
_BANDS_PPM: Final = 3_000
_ENTITY: Final = "(address,address,address)"
_TIMING: Final = "(uint64,uint64,uint64,uint64,uint64,uint64)"


class OperationFailed(ChronoError):
    """A transaction of the operator was reverted."""


@dataclass(frozen=True, slots=True)
class LocalVoter:
    """A provider of the local chain, with the keys of its roles and its weights. `identity` is the voter."""

    name: str
    signing_policy: LocalKey
    submit: LocalKey
    submit_signatures: LocalKey
    identity: LocalKey
    delegation: Address
    weight: int
    capped_weight: int

    @classmethod
    def of(cls, name: str, weight: int) -> LocalVoter:
        """A voter with keys that follow from its name: for local chains only."""
        keys = [LocalKey(secret) for secret in _secrets(name)]
        return cls(
            name,
            signing_policy=keys[0],
            submit=keys[1],
            submit_signatures=keys[2],
            identity=keys[3],
            delegation=LocalKey(keccak(f"chrono local {name} delegation".encode())).address,
            weight=weight,
            capped_weight=weight * 10**18,
        )

    def secrets(self) -> list[bytes]:
        """The private keys, in the order of `keys`, and the identity's."""
        return _secrets(self.name)

    @property
    def keys(self) -> tuple[LocalKey, LocalKey, LocalKey]:
        return self.signing_policy, self.submit, self.submit_signatures


def _secrets(name: str) -> list[bytes]:
    roles = ("signing policy", "submit", "submit signatures", "identity")
    return [keccak(f"chrono local {name} {role}".encode()) for role in roles]


@dataclass
class LocalContracts:
    """The contracts by name, and what their operator does: with `mines` it makes blocks, else it waits."""

    endpoints: Endpoints
    mines: bool
    addresses: dict[str, Address] = field(default_factory=dict)

    async def deploy(self) -> Mapping[str, Address]:
        """Put all contracts on the chain, the registry at its well-known address."""
        made = json.loads((files("core.chain.local") / "contracts.json").read_text("utf-8"))["contracts"]
        for name, needs in (
            ("FlareContractRegistry", ()),
            ("Submission", ()),
            ("Relay", ()),
            ("EntityManager", ()),
            ("FlareSystemsCalculator", ("EntityManager",)),
            ("VoterRegistry", ("EntityManager", "FlareSystemsCalculator")),
            ("FtsoRewardOffersManager", ()),
            ("FlareSystemsManager", ("Relay", "VoterRegistry", "FtsoRewardOffersManager")),
            ("VoterPreRegistry", ("EntityManager", "VoterRegistry", "FlareSystemsManager")),
            ("RewardManager", ("FlareSystemsManager", "EntityManager")),
            ("FtsoFeedPublisher", ("Relay",)),
        ):
            arguments = encode(["address"] * len(needs), [self.addresses[need].text for need in needs])
            data = "0x" + made[name]["bytecode"] + arguments.hex()
            receipt = await self._operate({"data": data})
            self.addresses[name] = Address.of(receipt["contractAddress"])
        registry = self.addresses["FlareContractRegistry"]
        code = await self.endpoints.ask("eth_getCode", registry.text, "latest")
        await self.endpoints.ask("anvil_setCode", REGISTRY.text, code)
        self.addresses["FlareContractRegistry"] = REGISTRY
        for name, address in self.addresses.items():
            await self.operate("FlareContractRegistry", "set(string,address)", name, address.text)
        manager = self.addresses["FlareSystemsManager"].text
        await self.operate("Relay", "setSetter(address)", manager)
        await self.operate("VoterRegistry", "setManager(address)", manager)
        pre_registry = self.addresses["VoterPreRegistry"].text
        await self.operate("FlareSystemsManager", "setPreRegistry(address)", pre_registry)
        await self.endpoints.ask("anvil_setBalance", self.addresses["RewardManager"].text, RICHES)
        return self.addresses

    async def add_voter(self, voter: LocalVoter) -> None:
        """Make a voter known, with its addresses and weights, and give it money."""
        for key in (*voter.keys, voter.identity):
            await self.endpoints.ask("anvil_setBalance", key.address.text, RICHES)
        policy, submit, submit_signatures = (key.address.text for key in voter.keys)
        identity, entity = voter.identity.address.text, (submit, submit_signatures, policy)
        signature = f"setVoter(address,{_ENTITY},address)"
        await self.operate("EntityManager", signature, identity, entity, voter.delegation.text)
        signature = "setWeight(address,uint256)"
        await self.operate("FlareSystemsCalculator", signature, identity, voter.capped_weight)

    async def prepare_reward_epoch(self, number: RewardEpochId, feeds: Sequence[Feed]) -> None:
        """Offer rewards for the feeds, close the offers, and open registration."""
        ids = b"".join(bytes(feed.id) for feed in feeds)
        decimals = b"".join(feed.decimals.to_bytes(1, "big", signed=True) for feed in feeds)
        bands = _BANDS_PPM.to_bytes(3, "big") * len(feeds)
        signature = "offerInflation(uint24,bytes,bytes,bytes)"
        await self.operate("FtsoRewardOffersManager", signature, number, ids, decimals, bands)
        await self.operate("FlareSystemsManager", "prepare(uint24)", number)

    async def register(self, number: RewardEpochId, voter: LocalVoter, network: Network) -> None:
        """Register a voter for the reward epoch with its own signature."""
        who = voter.identity.address
        made = await voter.signing_policy.sign(registration_hash(network, number, who))
        await self._operate(
            {"to": self.addresses["VoterRegistry"].text, "data": "0x" + register_voter(who, made).hex()}
        )

    async def initialize_reward_epoch(self, number: RewardEpochId, first_round: VotingRoundId) -> None:
        """End registration and set the signing policy."""
        seed = int.from_bytes(keccak(b"seed" + bytes([number % 256])), "big")
        signature = "initialize(uint24,uint32,uint256)"
        await self.operate("FlareSystemsManager", signature, number, first_round, seed)

    async def turn_over_by_itself(
        self, network: Network, *, preparation_s: int, registration_s: int, uptime_s: int
    ) -> None:
        """Let `daemonize` turn reward epochs over at the network's times: a reward epoch is prepared so long
        before it begins, registration lasts so long, and the uptime vote opens so long after its end."""
        timing = (
            network.first_round_at,
            network.voting_epoch_s,
            network.reward_epoch_rounds,
            preparation_s,
            registration_s,
            uptime_s,
        )
        await self.operate("FlareSystemsManager", f"setTiming({_TIMING})", timing)

    async def daemonize(self) -> None:
        """Have the next block do a step of what is due, as Flare's daemon does in every block."""
        call = {
            "to": self.addresses["FlareSystemsManager"].text,
            "data": "0x" + selector("daemonize()").hex(),
        }
        await self.endpoints.ask("eth_sendTransaction", {"from": OPERATOR, "gas": hex(8_000_000), **call})

    async def operate(self, contract: str, signature: str, *arguments: object) -> None:
        """Call a function as the operator; raises OperationFailed."""
        types = _types(signature)
        data = selector(signature) + encode(types, arguments)
        await self._operate({"to": self.addresses[contract].text, "data": "0x" + data.hex()})

    async def _operate(self, transaction: Mapping[str, Any]) -> Any:
        sent = {"from": OPERATOR, "gas": hex(8_000_000), **transaction}
        hashed = await self.endpoints.ask("eth_sendTransaction", sent)
        if self.mines:
            await self.endpoints.ask("anvil_mine", hex(1))
        receipt = await self._receipt(hashed)
        if receipt is None or int(receipt["status"], 16) != 1:
            raise OperationFailed(f"the operator's call of {transaction.get('to', 'a new contract')} failed")
        return receipt

    async def _receipt(self, hashed: str) -> Any:
        """The receipt; None if the transaction is in no block within BLOCK_WITHIN_S."""
        for _ in range(int(BLOCK_WITHIN_S / RECEIPT_EVERY_S)):
            receipt = await self.endpoints.ask("eth_getTransactionReceipt", hashed)
            if receipt is not None or self.mines:
                return receipt
            await asyncio.sleep(RECEIPT_EVERY_S)
        return None


def _types(signature: str) -> list[str]:
    """The types of a function's parameters, tuples kept whole."""
    inner = signature[signature.index("(") + 1 : -1]
    types, depth, start = [], 0, 0
    for place, character in enumerate(inner):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            types.append(inner[start:place])
            start = place + 1
    return [*types, inner[start:]] if inner else []
