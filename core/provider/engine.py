"""One turn of the provider: what the chain shows, what is due, and doing it; durable word before public word.

Decides nothing about the protocol: `core.ftso.round` says what is due and refuses what would be punished.
Reads no clock: time is an argument. A turn may be cut off at any instant; a new instance that restores from
the ledger goes on with the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from chrono.errors import ChronoError
from core.ftso.commit import commit_hash
from core.ftso.epochs import Network
from core.ftso.errors import BelowThreshold, Contradiction
from core.ftso.finalization import Finalization, gather
from core.ftso.finalizers import selected_finalizers
from core.ftso.identities import FTSO_PROTOCOL, Address, VotingRoundId
from core.ftso.payload import Message, encode_messages, selector
from core.ftso.protocol_message import ProtocolMessage
from core.ftso.results import RoundResults
from core.ftso.reveal import Reveal
from core.ftso.round import Progress, Round
from core.ftso.signatures import SignedResult
from core.ftso.timings import Step, Timings
from core.ports import StoreUnavailable
from core.provider.content import encoded_values, publication, recalled
from core.provider.metrics import ProviderMetrics
from core.provider.ports import (
    Chain,
    FeedValues,
    Frozen,
    Function,
    LeaseLost,
    Ledger,
    ResultSigner,
    View,
)
from core.provider.reading import Reading
from core.provider.reward_epoch import RewardEpoch
from core.provider.score import RoundScore, score

ROUNDS_BACK: Final = 2
"""A round's last window closes at the end of the second voting epoch after its own."""

log = structlog.get_logger()


class NotDurable(ChronoError):
    """The ledger holds another word for this step than the one about to be said: it is not said."""


@dataclass(slots=True)
class _Live:
    """A round in work."""

    state: Round
    frozen: Frozen | None = None
    results: RoundResults | None = None
    read_at_reorganisation: int = -1
    scored: bool = False

    @property
    def number(self) -> VotingRoundId:
        return self.state.voting_round


class Provider:
    """Does what is due. One owner calls `restore` once and then `turn` again and again, never two at once."""

    def __init__(
        self,
        *,
        network: Network,
        timings: Timings,
        submit_address: Address,
        signer: ResultSigner,
        chain: Chain,
        ledger: Ledger,
        values: FeedValues,
        entropy: Callable[[int], bytes],
        metrics: ProviderMetrics,
        publishes: bool = False,
    ) -> None:
        self._network, self._timings, self._own = network, timings, submit_address
        self._signer, self._chain, self._ledger = signer, chain, ledger
        self._values, self._entropy, self._metrics = values, entropy, metrics
        self._publishes = publishes
        self._reading = Reading(network)
        self._rounds: dict[VotingRoundId, _Live] = {}

    async def restore(self, at: float) -> None:
        """Take up what an earlier instance has said. Raises LeaseLost or StoreUnavailable."""
        for kept in await self._ledger.load(VotingRoundId(self._network.round_at(at) - ROUNDS_BACK)):
            live = self._live(kept.voting_round)
            live.frozen = kept.frozen
            for step, record in kept.records.items():
                live.state = recalled(live.state, step, record)
            if kept.frozen is not None:
                live.state = live.state.confirm(Step.FREEZE, at, kept.frozen.commit_hash)

    async def turn(self, at: float) -> float:
        """Do what is due at `at`; return when to come again at the latest.

        Raises LeaseLost, after which this instance does nothing more, and ChainUnavailable if nothing could
        be read. One step's failure is logged and leaves the others alone.
        """
        present = self._network.round_at(at)
        numbers = [VotingRoundId(present - back) for back in range(ROUNDS_BACK, -1, -1)]
        since = self._network.start_of(numbers[0]) - (self._network.benching_rounds + 1) * (
            self._network.voting_epoch_s
        )
        view = await self._chain.observe(since)
        self._metrics.chain_behind_s.set(at - view.head_at)
        self._let_go(numbers[0], at)
        next_at = float(self._network.start_of(VotingRoundId(present + 1)))
        for number in numbers:
            live = self._live(number)
            await self._follow(live, view, at)
            changes_at = live.state.due(at).next_at
            next_at = next_at if changes_at is None else min(next_at, changes_at)
        return next_at

    async def keep_promises(self, at: float) -> None:
        """Reveal what is owed, and nothing else: for an instance that can write nothing any more.

        What was committed is known and cannot be said differently, by whoever says it; so a database that is
        away costs no reveal. Raises ChainUnavailable.
        """
        view = await self._chain.observe(self._network.start_of(self._network.round_at(at)))
        for live in self._rounds.values():
            state = live.state
            if Step.REVEAL in state.due(at).due and view.head_at >= self._network.commits_close_at(
                live.number
            ):
                log.warning("reveal_without_database", voting_round=live.number)
                await self._submit(Function.SUBMIT2, live.number, _word(live).encode(), at)

    def states(self) -> Mapping[VotingRoundId, Round]:
        """The rounds in work, as they stand."""
        return {number: live.state for number, live in self._rounds.items()}

    def _live(self, number: VotingRoundId) -> _Live:
        if number not in self._rounds:
            self._rounds[number] = _Live(Round(number, self._timings, publishes=self._publishes))
        return self._rounds[number]

    def _let_go(self, first: VotingRoundId, at: float) -> None:
        """Close the accounts of rounds that are over."""
        for number in [number for number in self._rounds if number < first]:
            state = self._rounds.pop(number).state
            for step in state.due(at).too_late:
                self._metrics.steps.labels(step, "missed").inc()
                if step is Step.REVEAL:
                    log.error("reveal_missed", voting_round=number)
            for step, record in state.records.items():
                if record.progress is Progress.CONFIRMED:
                    self._metrics.steps.labels(step, "done").inc()

    async def _follow(self, live: _Live, view: View, at: float) -> None:
        epoch = view.reward_epoch_of(live.number)
        if epoch is None:
            return
        await self._learn(live, view, epoch, at)
        for step in Step:
            if step in live.state.due(at).due and self._may(step, live, view, epoch):
                await self._try(step, live, view, epoch, at)
        if live.results is not None and not live.scored and view.finalized(live.number) is not None:
            await self._score(live, view, epoch)

    async def _learn(self, live: _Live, view: View, epoch: RewardEpoch, at: float) -> None:
        """Take over what the chain shows of the round."""
        shown = {
            Step.COMMIT: self._reading.own_commit(view, live.number, self._own),
            Step.REVEAL: self._reading.own_reveal(view, live.number, self._own, len(epoch.feeds)),
            Step.SIGN: self._reading.own_signature(view, live.number, self._signer.address),
            Step.FINALIZE: b"" if view.finalized(live.number) is not None else None,
        }
        # An endpoint that is behind must not talk us out of a reveal: one too many does no harm.
        settled = view.head_at >= self._network.reveals_close_at(live.number)
        for step, content in shown.items():
            confirmed = live.state.record(step).progress is Progress.CONFIRMED
            open_still = at < live.state.window(step).closes
            if content is None and confirmed and step is not Step.FINALIZE and (open_still or settled):
                live.state = live.state.lose(step, at)
                log.warning("step_gone_from_chain", voting_round=live.number, step=step)
            elif content is not None and not confirmed:
                try:
                    live.state = live.state.confirm(step, at, content)
                    await self._ledger.note(live.number, step, live.state.record(step))
                except StoreUnavailable as error:
                    log.warning("fact_not_stored", voting_round=live.number, step=step, detail=str(error))
                except Contradiction as error:
                    log.error("chain_contradicts_us", voting_round=live.number, detail=str(error))
                    self._metrics.failures.labels(step, "Contradiction").inc()
        if not live.state.selected:
            drawn = selected_finalizers(
                epoch.policy, FTSO_PROTOCOL, live.number, self._network.finalizer_share_bips
            )
            if self._signer.address in drawn:
                live.state = live.state.select()
        self._compute(live, view, epoch)
        if not live.state.threshold_reached and self._finalization(live, view, epoch) is not None:
            live.state = live.state.reach_threshold()

    def _compute(self, live: _Live, view: View, epoch: RewardEpoch) -> None:
        """The round's results, once the chain holds what they rest on; anew when blocks were replaced."""
        if live.read_at_reorganisation == view.reorganisations:
            return
        if not self._reading.can_compute(view, live.number, epoch):
            return
        try:
            live.results = self._reading.results(view, live.number, epoch)
        except ChronoError as error:
            log.error("round_has_no_result", voting_round=live.number, detail=str(error))
        live.read_at_reorganisation = view.reorganisations

    def _may(self, step: Step, live: _Live, view: View, epoch: RewardEpoch) -> bool:
        """Whether the chain lets us: we are registered, and its time agrees that it is time."""
        start, middle = self._network.start_of(live.number), self._network.commits_close_at(live.number)
        if step in (Step.FREEZE, Step.COMMIT):
            return epoch.votes(self._own) and start <= view.head_at < middle
        if step is Step.REVEAL:
            return view.head_at >= middle
        if step is Step.SIGN:
            known = live.state.record(Step.SIGN).content or live.results
            return bool(known) and epoch.policy.index_of(self._signer.address) is not None
        return True

    async def _try(self, step: Step, live: _Live, view: View, epoch: RewardEpoch, at: float) -> None:
        perform = {
            Step.FREEZE: self._freeze,
            Step.COMMIT: self._commit,
            Step.REVEAL: self._reveal,
            Step.SIGN: self._sign,
            Step.FINALIZE: self._finalize,
            Step.PUBLISH: self._publish,
        }
        try:
            await perform[step](live, view, epoch, at)
        except LeaseLost:
            raise
        except ChronoError as error:
            why = type(error).__name__
            log.warning("step_failed", voting_round=live.number, step=step, why=why, detail=str(error))
            self._metrics.failures.labels(step, why).inc()

    async def _freeze(self, live: _Live, _view: View, epoch: RewardEpoch, at: float) -> None:
        prices = await self._values(live.number, at)
        reveal = Reveal(self._entropy(32), encoded_values(prices, epoch.feeds))
        frozen = Frozen(reveal, commit_hash(self._own, live.number, reveal))
        live.frozen = await self._ledger.freeze(live.number, at, frozen)
        live.state = live.state.confirm(Step.FREEZE, at, live.frozen.commit_hash)

    async def _commit(self, live: _Live, _view: View, _epoch: RewardEpoch, at: float) -> None:
        hashed = commit_hash(self._own, live.number, _word(live))
        await self._attempt(live, Step.COMMIT, at, hashed)
        await self._submit(Function.SUBMIT1, live.number, hashed, at)

    async def _reveal(self, live: _Live, _view: View, _epoch: RewardEpoch, at: float) -> None:
        reveal = _word(live)
        hashed = commit_hash(self._own, live.number, reveal)
        try:
            await self._attempt(live, Step.REVEAL, at, hashed)
        except StoreUnavailable as error:
            # The word is durable since the freeze: a disk that is full now is no reason to break it.
            log.warning("reveal_not_noted", voting_round=live.number, detail=str(error))
            live.state = live.state.attempt(Step.REVEAL, at, hashed)
        await self._submit(Function.SUBMIT2, live.number, reveal.encode(), at)

    async def _sign(self, live: _Live, _view: View, _epoch: RewardEpoch, at: float) -> None:
        said = live.state.record(Step.SIGN).content
        message = ProtocolMessage.decode(said) if said else _results(live).message()
        await self._attempt(live, Step.SIGN, at, message.encode())
        signature = await self._signer.sign(message.hash)
        payload = SignedResult(signature, message).encode()
        await self._submit(Function.SUBMIT_SIGNATURES, live.number, payload, at)

    async def _finalize(self, live: _Live, view: View, epoch: RewardEpoch, at: float) -> None:
        finalization = self._finalization(live, view, epoch)
        if finalization is not None:
            await self._attempt(live, Step.FINALIZE, at, b"")
            await self._chain.want(Function.RELAY, live.number, finalization.calldata(), at)

    async def _publish(self, live: _Live, _view: View, _epoch: RewardEpoch, at: float) -> None:
        calldata = publication(_results(live))
        await self._attempt(live, Step.PUBLISH, at, b"")
        await self._chain.want(Function.PUBLISH, live.number, calldata, at)
        live.state = live.state.confirm(Step.PUBLISH, at)  # nothing rests on it: once is enough

    async def _attempt(self, live: _Live, step: Step, at: float, content: bytes) -> None:
        """Say durably that the step may be on chain from now on; raises unless its word stands."""
        before = live.state.record(step)
        state = live.state.attempt(step, at, content)
        if before.progress is not Progress.ATTEMPTED:
            standing = await self._ledger.note(live.number, step, state.record(step))
            if standing != content:
                raise NotDurable(f"round {live.number} said {standing.hex()} to {step}")
        live.state = state

    async def _submit(self, function: Function, number: VotingRoundId, payload: bytes, at: float) -> None:
        message = Message(FTSO_PROTOCOL, number, payload)
        calldata = selector(f"{function}()") + encode_messages([message])
        await self._chain.want(function, number, calldata, at)

    def _finalization(self, live: _Live, view: View, epoch: RewardEpoch) -> Finalization | None:
        """What would finalize our result now, or None while signatures are missing."""
        newest = view.newest_reward_epoch()
        if live.results is None or newest is None:
            return None
        threshold = epoch.policy.threshold_for(live.number, newest, self._network)
        message = live.results.message()
        signatures = [signed.signature for signed in self._signatures_of(live, view, message)]
        try:
            return gather(epoch.policy, message, signatures, threshold)
        except BelowThreshold:
            return None

    def _signatures_of(self, live: _Live, view: View, message: ProtocolMessage) -> Iterator[SignedResult]:
        """The round's signatures of that message; one without a message might be of it."""
        for signed in self._reading.signed_results(view, live.number):
            if signed.message is None or signed.message == message:
                yield signed

    async def _score(self, live: _Live, view: View, epoch: RewardEpoch) -> None:
        results, relayed = _results(live), view.finalized(live.number)
        agrees = relayed is not None and relayed.merkle_root == results.tree.root
        self._metrics.roots.labels("yes" if agrees else "no").inc()
        if not agrees:
            log.error("root_disagrees", voting_round=live.number, ours=results.tree.root.hex())
        voters = tuple(registered.submit for registered in epoch.registrations)
        scored = score(results, voters, self._own)
        try:
            await self._ledger.keep_score(scored)
        except LeaseLost:
            raise
        except ChronoError as error:
            log.warning("score_not_stored", voting_round=live.number, detail=str(error))
            return
        live.scored = True
        self._count(scored)

    def _count(self, scored: RoundScore) -> None:
        for feed in scored.feeds:
            told = {
                "all": True,
                "primary": feed.primary,
                "secondary": feed.secondary,
                "half_percent": feed.minimal,
            }
            for band, hit in told.items():
                if hit:
                    self._metrics.hits.labels(band).inc()
        log.info(
            "round_finalized",
            voting_round=scored.voting_round,
            merkle_root=scored.merkle_root.hex(),
            primary=sum(feed.primary for feed in scored.feeds),
            feeds=len(scored.feeds),
        )


def _word(live: _Live) -> Reveal:
    if live.frozen is None:
        raise NotDurable(f"nothing durable is known of round {live.number}")
    return live.frozen.reveal


def _results(live: _Live) -> RoundResults:
    if live.results is None:
        raise NotDurable(f"the results of round {live.number} are not known")
    return live.results
