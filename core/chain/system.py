"""The provider's System over real endpoints: who is whose, and the calls of a reward epoch.

Every call is tried out by the node before it is sent, which also tells what it costs: what the chain would
refuse costs nothing, and the chain's reason is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from eth_abi.abi import decode, encode

from core.chain.account import Account, Wish
from core.chain.contracts import call
from core.chain.endpoints import Endpoints
from core.chain.errors import MissingContract, RpcRefusal
from core.chain.reader import Reader
from core.ftso.duties import Duty, Owed
from core.ftso.identities import Address
from core.ftso.payload import selector
from core.provider.ports import ChainUnavailable, Refused, View

GAS_MARGIN: Final = 1.4
"""The state may have changed until the transaction is in a block."""
_CONTRACTS: Final = {
    Duty.PREREGISTER: "VoterPreRegistry",
    Duty.REGISTER: "VoterRegistry",
    Duty.SIGN_POLICY: "FlareSystemsManager",
    Duty.SIGN_UPTIME: "FlareSystemsManager",
    Duty.SIGN_REWARDS: "FlareSystemsManager",
    Duty.CLAIM: "RewardManager",
}


class EvmSystem:
    """A System. `claims` pays for claims and is entitled to make them; `account` pays for all else."""

    def __init__(
        self,
        endpoints: Endpoints,
        reader: Reader,
        contracts: Mapping[str, Address],
        account: Account,
        claims: Account | None = None,
    ) -> None:
        self._endpoints, self._reader, self._contracts = endpoints, reader, contracts
        self._account, self._claims = account, claims

    def duties(self) -> frozenset[Duty]:
        """What can be done with these contracts and accounts."""
        return frozenset(
            duty
            for duty, name in _CONTRACTS.items()
            if name in self._contracts and (duty is not Duty.CLAIM or self._claims is not None)
        )

    def view(self) -> View:
        """See System."""
        return self._reader

    async def voter_of(self, signer: Address) -> Address | None:
        """See System. An address that was never registered stands for itself, and is nobody's."""
        signature = "getVoterForSigningPolicyAddress(address,uint256)"
        block = max(0, self._reader.head_number)
        data = selector(signature) + encode(("address", "uint256"), (signer.text, block))
        voter = await self._address("EntityManager", data)
        return None if voter in (signer, Address(bytes(20))) else voter

    async def shared_by(self, voter: Address) -> frozenset[Address]:
        """See System."""
        data = selector("getDelegationAddressOf(address)") + encode(("address",), (voter.text,))
        return frozenset({await self._address("EntityManager", data)})

    async def addresses_of(self, voter: Address) -> tuple[Address, Address, Address]:
        """The voter's submit, submitSignatures and signing policy addresses, as they are now."""
        data = selector("getVoterAddresses(address)") + encode(("address",), (voter.text,))
        raw = await self._read("EntityManager", data)
        submit, submit_signatures, signing_policy = decode(("address", "address", "address"), raw)
        return Address.of(submit), Address.of(submit_signatures), Address.of(signing_policy)

    async def claimable_epochs(self) -> range:
        """The reward epochs whose rewards are signed and not expired. Raises ChainUnavailable."""
        to = self._contract("RewardManager")
        try:
            raw = await call(self._endpoints, to, selector("getRewardEpochIdsWithClaimableRewards()"))
        except RpcRefusal:
            return range(0)
        first, last = decode(("uint24", "uint24"), raw)
        return range(first, last + 1)

    async def call(self, owed: Owed, calldata: bytes, at: float) -> None:
        """See System."""
        account, to = self._account_for(owed.duty), self._contract(_CONTRACTS[owed.duty])
        tried = {"from": account.address.text, "to": to.text, "data": "0x" + calldata.hex()}
        gas = int(await self._asked("eth_estimateGas", tried, "latest"), 16)
        try:
            await account.want(Wish(owed, to, calldata, int(gas * GAS_MARGIN), must_succeed=True), at)
        except RpcRefusal as error:
            raise ChainUnavailable(str(error)) from error

    async def would_pay(self, calldata: bytes) -> int:
        """See System."""
        sender = self._account_for(Duty.CLAIM).address
        to = self._contract(_CONTRACTS[Duty.CLAIM])
        tried = {"from": sender.text, "to": to.text, "data": "0x" + calldata.hex()}
        return int(await self._asked("eth_call", tried, "latest"), 16)

    async def _asked(self, method: str, *params: object) -> str:
        try:
            return str(await self._endpoints.ask(method, *params))
        except RpcRefusal as error:
            raise Refused(error.message) from error

    async def _address(self, contract: str, data: bytes) -> Address:
        (found,) = decode(("address",), await self._read(contract, data))
        return Address.of(found)

    async def _read(self, contract: str, data: bytes) -> bytes:
        try:
            return await call(self._endpoints, self._contract(contract), data)
        except RpcRefusal as error:
            raise ChainUnavailable(f"{contract}: {error}") from error

    def _contract(self, name: str) -> Address:
        if name not in self._contracts:
            raise MissingContract(name)
        return self._contracts[name]

    def _account_for(self, duty: Duty) -> Account:
        if duty is not Duty.CLAIM:
            return self._account
        if self._claims is None:
            raise Refused("no key that claims is configured")
        return self._claims
