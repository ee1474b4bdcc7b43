"""What goes into the provider's transactions: encoded values, published results, a state as it was left.

Pure. Which value belongs to which place follows from the chain's feeds, never from our own table's order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import structlog
from eth_abi.abi import encode

from chrono.feeds import FEEDS
from core.ftso.errors import OutOfRange
from core.ftso.feed_order import Feed
from core.ftso.feed_values import encode_values, scaled
from core.ftso.payload import selector
from core.ftso.results import RoundResults
from core.ftso.round import Record, Round
from core.ftso.timings import Step

_NAMES: Final = {feed.id: feed.name for feed in FEEDS}
_PUBLISH_TYPE: Final = "(bytes32[],(uint32,bytes21,int32,uint16,int8))[]"

log = structlog.get_logger()


def publication(results: RoundResults) -> bytes:
    """The call of FtsoFeedPublisher.publish with all the round's feeds and their proofs."""
    proofs = []
    for outcome in results.feeds:
        leaf, proof = results.proof(outcome.result.feed)
        body = (leaf.voting_round, bytes(leaf.feed), leaf.value, leaf.turnout_bips, leaf.decimals)
        proofs.append((list(proof), body))
    return selector(f"publish({_PUBLISH_TYPE})") + encode([_PUBLISH_TYPE], [proofs])


def recalled(state: Round, step: Step, record: Record) -> Round:
    """A state with a record as an earlier instance left it."""
    return replace(state, records={**state.records, step: record})


def encoded_values(prices: Mapping[str, float], feeds: tuple[Feed, ...]) -> bytes:
    """The values in the order of the chain's feeds; what has no price, or none that fits, is empty."""
    return encode_values([_value(prices.get(_NAMES.get(feed.id, "")), feed) for feed in feeds])


def _value(price: float | None, feed: Feed) -> int | None:
    if price is None:
        return None
    try:
        return scaled(price, feed.decimals)
    except OutOfRange:
        log.error("price_does_not_fit", feed=feed.id.hex(), price=price)
        return None
