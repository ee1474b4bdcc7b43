"""The provider's Chain over real endpoints: reads with the reader, writes with the accounts of each role."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from core.chain.account import Account, Wish
from core.chain.endpoints import Endpoints
from core.chain.errors import RpcRefusal
from core.chain.reader import Reader
from core.ftso.identities import Address, VotingRoundId
from core.provider.ports import ChainUnavailable, Function, View

COMPARE_EVERY: Final = 30
"""Endpoints are compared once in so many observations."""

_GAS_BASE: Final = {
    Function.SUBMIT1: 100_000,
    Function.SUBMIT2: 100_000,
    Function.SUBMIT_SIGNATURES: 100_000,
    Function.RELAY: 500_000,
    Function.PUBLISH: 300_000,
}
_GAS_A_BYTE: Final = {Function.RELAY: 250, Function.PUBLISH: 400}
_GAS_A_CALLDATA_BYTE: Final = 50


@dataclass(frozen=True, slots=True)
class Accounts:
    """Who sends what: `finalizer` relays and publishes."""

    submit: Account
    submit_signatures: Account
    finalizer: Account


class EvmChain:
    """A Chain."""

    def __init__(
        self, endpoints: Endpoints, reader: Reader, accounts: Accounts, contracts: Mapping[str, Address]
    ) -> None:
        self._endpoints, self._reader = endpoints, reader
        submission, relay, publisher = (
            contracts[name] for name in ("Submission", "Relay", "FtsoFeedPublisher")
        )
        self._routes = {
            Function.SUBMIT1: (accounts.submit, submission),
            Function.SUBMIT2: (accounts.submit, submission),
            Function.SUBMIT_SIGNATURES: (accounts.submit_signatures, submission),
            Function.RELAY: (accounts.finalizer, relay),
            Function.PUBLISH: (accounts.finalizer, publisher),
        }
        self._observations = 0

    async def observe(self, since: int) -> View:
        """See Chain."""
        self._observations += 1
        if self._observations % COMPARE_EVERY == 0:
            await self._endpoints.compare()
        try:
            await self._reader.catch_up(since)
        except RpcRefusal as error:
            raise ChainUnavailable(str(error)) from error
        return self._reader

    async def want(self, function: Function, voting_round: VotingRoundId, calldata: bytes, at: float) -> None:
        """See Chain."""
        account, to = self._routes[function]
        per_byte = max(_GAS_A_BYTE.get(function, 0), _GAS_A_CALLDATA_BYTE)
        gas = _GAS_BASE[function] + per_byte * len(calldata)
        try:
            await account.want(Wish((function, voting_round), to, calldata, gas), at)
        except RpcRefusal as error:
            raise ChainUnavailable(str(error)) from error
