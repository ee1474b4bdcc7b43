"""Reads the chain block by block into an index and a history, from any start, over reorganisations.

The newest block comes first, then every block in between with its transactions, and the logs of the contracts
that matter. A block that does not follow the one before takes that one back, until the two chains meet.
Nothing is kept on disk: after a restart the last rounds are read again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog

from core.chain.blocks import Block, BlockIndex
from core.chain.endpoints import Endpoints
from core.chain.events import CONTRACTS, event_of
from core.chain.history import History, Placed
from core.ftso.duties import EpochFacts
from core.ftso.errors import MalformedMessage
from core.ftso.identities import Address, RewardEpochId, VotingRoundId
from core.ftso.payload import decode_messages, selector
from core.ftso.protocol_message import ProtocolMessage
from core.ftso.submissions import Submission
from core.provider.ports import ChainUnavailable, Function
from core.provider.reward_epoch import RewardEpoch

AT_ONCE: Final = 16
LOG_BLOCKS_MAX: Final = 2_000
REORGANISATION_MAX: Final = 512
READ_FUNCTIONS: Final = (Function.SUBMIT1, Function.SUBMIT2, Function.SUBMIT_SIGNATURES)
_SELECTORS: Final = {selector(f"{function}()"): function for function in READ_FUNCTIONS}

log = structlog.get_logger()


class Reader:
    """A View that `catch_up` brings up to date. `history_from` is the block that events are read from."""

    def __init__(
        self,
        endpoints: Endpoints,
        contracts: Mapping[str, Address],
        *,
        history_from: int = 0,
        log_blocks: int = LOG_BLOCKS_MAX,
    ) -> None:
        self._endpoints, self._log_blocks = endpoints, log_blocks
        self._submission = contracts["Submission"].text
        self._names = {contracts[name].text: name for name in CONTRACTS if name in contracts}
        self._index, self._history = BlockIndex(), History()
        self._history_from = history_from
        self._logs_next = history_from

    @property
    def head_at(self) -> int:
        last = self._index.last
        return 0 if last is None else last.at

    @property
    def head_number(self) -> int:
        """The newest block that was read; -1 before the first."""
        last = self._index.last
        return -1 if last is None else last.number

    @property
    def reorganisations(self) -> int:
        return self._index.reorganisations

    def submissions(self, function: Function, start: int, end: int) -> Sequence[Submission]:
        """See View."""
        return self._index.submissions(function, start, end)

    def covers(self, start: int) -> bool:
        """See View."""
        return self._index.covers(start)

    def finalized(self, voting_round: VotingRoundId) -> ProtocolMessage | None:
        """See View."""
        return self._history.result_of(voting_round)

    def reward_epoch_of(self, voting_round: VotingRoundId) -> RewardEpoch | None:
        """See View."""
        return self._history.reward_epoch_of(voting_round)

    def newest_reward_epoch(self) -> RewardEpochId | None:
        """See View."""
        return self._history.newest_reward_epoch()

    def facts(self) -> Mapping[RewardEpochId, EpochFacts]:
        """See View."""
        return self._history.facts()

    async def catch_up(self, since: int) -> None:
        """Read what is new, back to the time `since` at least. Raises ChainUnavailable or RpcRefusal."""
        head = await self._header("latest")
        if self._index.last is None:
            await self._begin(head, since)
        if head["number"] <= self.head_number:
            await self._settle(head["number"])
        first = self.head_number + 1
        while first <= head["number"]:
            last = min(head["number"], first + AT_ONCE - 1)
            blocks, events = await asyncio.gather(self._blocks(first, last), self._events(last))
            for block in blocks:
                if not self._index.add(block):
                    await self._settle(self.head_number)
                    break
            else:
                self._history.add(events)
                self._logs_next = last + 1
            first = self.head_number + 1
        self._index.forget_before(since)

    async def _begin(self, head: Mapping[str, Any], since: int) -> None:
        """Find the last block before `since`, and read the events up to it."""
        low, high = 0, head["number"]
        while low < high:
            middle = (low + high + 1) // 2
            at = (await self._header(middle))["at"]
            low, high = (middle, high) if at < since else (low, middle - 1)
        self._index.add((await self._blocks(low, low))[0])
        self._history.add(await self._events(low))
        self._logs_next = low + 1
        log.info("chain_reading_begins", block=low, head=head["number"])

    async def _settle(self, number: int) -> None:
        """Take back the blocks up to `number`, and all after, that the chain has no longer."""
        meets = number
        for _ in range(REORGANISATION_MAX):
            held = self._index.at(meets)
            if held is None or held.hash == (await self._header(meets))["hash"]:
                break
            meets -= 1
        else:
            raise ChainUnavailable(f"more than {REORGANISATION_MAX} blocks were replaced")
        if meets < number:
            log.warning("chain_reorganised", from_block=meets + 1, to_block=self.head_number)
            self._index.take_back(meets + 1)
            self._history.take_back(meets + 1)
            self._logs_next = min(self._logs_next, meets + 1)
        if self._index.last is None:
            raise ChainUnavailable("every block that was read has been replaced; reading begins anew")

    async def _header(self, number: int | str) -> Mapping[str, Any]:
        name = number if isinstance(number, str) else hex(number)
        raw = await self._endpoints.ask("eth_getBlockByNumber", name, False)
        if raw is None:
            raise ChainUnavailable(f"an endpoint has no block {number}")
        return {"number": int(raw["number"], 16), "at": int(raw["timestamp"], 16), "hash": _raw(raw["hash"])}

    async def _blocks(self, first: int, last: int) -> list[Block]:
        asked = [self._endpoints.ask("eth_getBlockByNumber", hex(n), True) for n in range(first, last + 1)]
        answers = await asyncio.gather(*asked)
        if any(answer is None for answer in answers):
            raise ChainUnavailable(f"an endpoint lacks blocks of {first} to {last}")
        return [self._block(answer) for answer in answers]

    def _block(self, raw: Mapping[str, Any]) -> Block:
        number, at = int(raw["number"], 16), int(raw["timestamp"], 16)
        found: dict[Function, list[Submission]] = {}
        for transaction in raw["transactions"]:
            if (transaction["to"] or "").lower() != self._submission:
                continue
            data = _raw(transaction["input"])
            function = _SELECTORS.get(data[:4])
            if function is None:
                continue
            try:
                messages = decode_messages(data[4:])
            except MalformedMessage:
                continue
            index = int(transaction["transactionIndex"], 16)
            sender = Address.of(transaction["from"])
            found.setdefault(function, []).append(Submission(sender, at, number, index, messages))
        submissions = {function: tuple(each) for function, each in found.items()}
        return Block(number, _raw(raw["hash"]), _raw(raw["parentHash"]), at, submissions)

    async def _events(self, last: int) -> list[Placed]:
        """The events from where they were read to, up to block `last`."""
        placed = []
        for first in range(self._logs_next, last + 1, self._log_blocks):
            wanted = {
                "fromBlock": hex(first),
                "toBlock": hex(min(last, first + self._log_blocks - 1)),
                "address": list(self._names),
            }
            for raw in await self._endpoints.ask("eth_getLogs", wanted):
                event = event_of(self._names.get(raw["address"].lower(), ""), raw)
                if event is not None:
                    place = int(raw["blockNumber"], 16), int(raw["logIndex"], 16)
                    placed.append(Placed(*place, event))
        return placed


def _raw(text: str) -> bytes:
    return bytes.fromhex(text[2:])
