"""One account's transactions: the only owner of its nonces, and of what is paid for them.

A wish is a key and what to send; wishing again is the same wish. A transaction that waits too long is outbid
by itself, and one that nobody wishes any more gives its nonce to the next wish, so nothing stands in the way
for long. After a restart the first wishes take the lowest free nonces and outbid whatever an earlier process
left in the pool: a wish that was replaced is wished again by whoever still needs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog

from core.chain.endpoints import Endpoints
from core.chain.errors import RpcRefusal
from core.chain.keys import TransactionSigner
from core.ftso.identities import Address
from core.provider.ports import ChainUnavailable, Refused

TRIES_MAX: Final = 12
PENDING_MAX: Final = 64

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class FeePolicy:
    """What may be paid, in wei a gas. A waiting transaction is outbid after `patience_s`, by a quarter."""

    tip_wei: int = 1_000_000_000
    ceiling_wei: int = 5_000_000_000_000
    patience_s: float = 4.0


@dataclass(frozen=True, slots=True)
class Wish:
    """A transaction to be. `key` tells wishes apart.

    One that the chain took and reverted is fulfilled too, unless `must_succeed`: then wishing it again sends
    it again.
    """

    key: Hashable
    to: Address
    data: bytes
    gas: int
    must_succeed: bool = False


@dataclass(frozen=True, slots=True)
class _Sent:
    wish: Wish
    nonce: int
    tip_wei: int
    fee_wei: int
    at: float
    hash: str | None = None


class Account:
    """Sends one account's transactions."""

    def __init__(
        self, signer: TransactionSigner, endpoints: Endpoints, chain_id: int, fees: FeePolicy
    ) -> None:
        self._signer, self._endpoints, self._chain_id, self._fees = signer, endpoints, chain_id, fees
        self._sent: dict[Hashable, _Sent] = {}
        self._lock = asyncio.Lock()

    @property
    def address(self) -> Address:
        return self._signer.address

    async def want(self, wish: Wish, at: float) -> None:
        """See that the wish is on its way. Raises ChainUnavailable or Refused."""
        async with self._lock:
            count = int(await self._endpoints.ask("eth_getTransactionCount", self.address.text, "latest"), 16)
            before = self._sent.get(wish.key)
            if before is not None and before.nonce < count and await self._in_a_block(before):
                return
            for key in [key for key, sent in self._sent.items() if sent.nonce < count]:
                del self._sent[key]
            before = self._sent.get(wish.key)
            if before is not None and at - before.at < self._fees.patience_s:
                return
            await self._send(wish, before or await self._place(wish, count, at), at)

    async def _in_a_block(self, sent: _Sent) -> bool:
        if sent.hash is None:
            return False
        receipt = await self._endpoints.ask("eth_getTransactionReceipt", sent.hash)
        if receipt is None:
            return False
        reverted = int(receipt["status"], 16) == 0
        if reverted:
            log.warning("transaction_reverted", key=str(sent.wish.key), hash=sent.hash)
        return not (reverted and sent.wish.must_succeed)

    async def _place(self, wish: Wish, count: int, at: float) -> _Sent:
        """The nonce and first price of a new wish."""
        head = self._first_in_line(count)
        if head is not None and at - head.at >= self._fees.patience_s:
            log.warning("transaction_gives_way", nonce=head.nonce, was=str(head.wish.key), to=str(wish.key))
            del self._sent[head.wish.key]
            return self._dearer(head)
        taken = {sent.nonce for sent in self._sent.values()}
        if len(taken) >= PENDING_MAX:
            raise Refused(f"{len(taken)} transactions of {self.address.text} wait already")
        nonce = next(nonce for nonce in range(count, count + PENDING_MAX) if nonce not in taken)
        block: Any = await self._endpoints.ask("eth_getBlockByNumber", "latest", False)
        base = int(block.get("baseFeePerGas") or "0x0", 16)
        tip = self._fees.tip_wei
        return _Sent(wish, nonce, tip, min(2 * base + tip, self._fees.ceiling_wei), at)

    def _first_in_line(self, count: int) -> _Sent | None:
        return next((sent for sent in self._sent.values() if sent.nonce == count), None)

    def _dearer(self, sent: _Sent) -> _Sent:
        return replace(
            sent,
            tip_wei=min(sent.tip_wei * 5 // 4 + 1, self._fees.ceiling_wei),
            fee_wei=min(sent.fee_wei * 5 // 4 + 1, self._fees.ceiling_wei),
        )

    async def _send(self, wish: Wish, place: _Sent, at: float) -> None:
        if wish.key in self._sent:
            place = self._dearer(place)
        for _ in range(TRIES_MAX):
            sent = replace(place, wish=wish, at=at)
            raw = await self._signer.sign_transaction(self._transaction(sent))
            self._sent[wish.key] = sent  # before it leaves: it may arrive though we never hear of it
            try:
                hashed = await self._endpoints.tell("eth_sendRawTransaction", "0x" + raw.hex())
            except RpcRefusal as error:
                if error.says("already known", "already imported"):
                    return
                place = self._after(error, sent)
                continue
            self._sent[wish.key] = replace(sent, hash=hashed)
            return
        del self._sent[wish.key]
        raise Refused(f"{wish.key} was refused {TRIES_MAX} times")

    def _after(self, error: RpcRefusal, sent: _Sent) -> _Sent:
        """What to try next after a refusal; raises Refused when nothing helps."""
        if error.says("underpriced", "fee too low", "less than block base fee"):
            if sent.fee_wei >= self._fees.ceiling_wei:
                del self._sent[sent.wish.key]
                raise Refused(f"{sent.wish.key}: the ceiling of fees is too low") from error
            return self._dearer(sent)
        if error.says("nonce too low"):
            return replace(sent, nonce=sent.nonce + 1)
        del self._sent[sent.wish.key]
        if error.says("nonce"):
            raise ChainUnavailable(f"{sent.wish.key}: {error.message}") from error
        raise Refused(f"{sent.wish.key}: {error.message}") from error

    def _transaction(self, sent: _Sent) -> dict[str, Any]:
        return {
            "type": 2,
            "chainId": self._chain_id,
            "nonce": sent.nonce,
            "to": bytes(sent.wish.to),
            "value": 0,
            "gas": sent.wish.gas,
            "maxFeePerGas": sent.fee_wei,
            "maxPriorityFeePerGas": min(sent.tip_wei, sent.fee_wei),
            "data": sent.wish.data,
        }
