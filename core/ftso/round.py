"""One voting round of one provider, as a state machine: what is due now, and what is too late.

Knows what was done and when the windows are; says what is to be done, and refuses a step that would be
punished. Does nothing itself, and keeps nothing: the caller writes each new state to a durable place before
he acts on it.

A step is taken in two records. `attempt` says "from here on it may be on chain", and is made durable BEFORE
the transaction leaves; `confirm` says "it is". Until it is confirmed a step stays due while its window is
open, so a provider that died in between does the same again, with the same content. A reveal is owed from the
attempt to commit on, because the commit may have arrived though its sender never learned so.

Each of freeze, commit and reveal carries the commit hash, and sign carries the message: a step whose content
differs from what this round has said before is refused (Contradiction). So nobody reveals what was not
committed, and nobody signs two results. Only freezing is private: until it is confirmed, that is until the
values and the random number are durable, it binds to nothing.

flare-specs FTSO/Anchor (phases), FTSO/Rewarding (penalization).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from core.ftso.errors import Contradiction, IllegalStep
from core.ftso.identities import VotingRoundId
from core.ftso.timings import Step, Timings, Window

_SAME_CONTENT: Final = (Step.FREEZE, Step.COMMIT, Step.REVEAL)
"""The steps that all speak of one commit hash."""


class Progress(IntEnum):
    """How far a step has come. It may be on chain from ATTEMPTED on."""

    NONE = 0
    ATTEMPTED = 1
    CONFIRMED = 2


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a step: how far, since when, and its content."""

    progress: Progress = Progress.NONE
    at: float = 0.0
    content: bytes = b""


_NOTHING: Final = Record()


@dataclass(frozen=True, slots=True)
class Agenda:
    """The answer to `due`: both in the order of the steps.

    `due` steps are to be done now. `too_late` steps were to be done and no longer can be; an unconfirmed
    REVEAL among them is a reveal offence, unless the chain shows otherwise. The answer stays the same until
    `next_at`, or until something is recorded; None means for ever.
    """

    due: tuple[Step, ...]
    too_late: tuple[Step, ...]
    next_at: float | None


@dataclass(frozen=True, slots=True)
class Round:
    """A round's state; every change gives a new one.

    `selected`: we are among the round's finalizers. `publishes`: we publish values after finalization.
    `threshold_reached`: signatures enough are at hand to finalize.
    """

    voting_round: VotingRoundId
    timings: Timings
    selected: bool = False
    publishes: bool = False
    threshold_reached: bool = False
    records: Mapping[Step, Record] = field(default_factory=lambda: MappingProxyType({}))

    def record(self, step: Step) -> Record:
        """What is known of the step."""
        return self.records.get(step, _NOTHING)

    def window(self, step: Step) -> Window:
        """When the step may be done, in Unix seconds; to finalize, when it is this provider's turn."""
        window = self.timings.window(step)
        if step is Step.FINALIZE and not self.selected:
            window = Window(self.timings.anyone_finalizes_from, window.closes)
        return window.from_(self.timings.network.start_of(self.voting_round))

    def due(self, at: float) -> Agenda:
        """What to do at `at`, and what can no longer be done."""
        wanted = [step for step in Step if self._wanted(step, at)]
        return Agenda(
            due=tuple(step for step in wanted if at in self.window(step) and self._ready(step)),
            too_late=tuple(step for step in wanted if at >= self.window(step).closes),
            next_at=self._next_change(at),
        )

    def _wanted(self, step: Step, at: float) -> bool:
        """Whether the step has a purpose and is not known to be on chain."""
        if self.record(step).progress is Progress.CONFIRMED:
            return False
        if step is Step.FREEZE:
            return not self._committed
        if step is Step.REVEAL:
            return self._committed
        if step is Step.SIGN:
            return not (self._finalized and at >= self._signature_grace_ends)
        if step is Step.PUBLISH:
            return self.publishes
        return True

    def _ready(self, step: Step) -> bool:
        """Whether what the step rests on is there."""
        if step in (Step.COMMIT, Step.REVEAL):
            return self.record(Step.FREEZE).progress is Progress.CONFIRMED
        if step is Step.FINALIZE:
            return self.threshold_reached
        if step is Step.PUBLISH:
            return self._finalized
        return True

    @property
    def _committed(self) -> bool:
        return self.record(Step.COMMIT).progress >= Progress.ATTEMPTED

    @property
    def _finalized(self) -> bool:
        return self.record(Step.FINALIZE).progress is Progress.CONFIRMED

    @property
    def _signature_grace_ends(self) -> float:
        return self.timings.network.start_of(self.voting_round) + self.timings.signature_grace_ends

    def _next_change(self, at: float) -> float | None:
        instants = [self._signature_grace_ends]
        for step in Step:
            window = self.window(step)
            instants += [window.opens, window.closes]
        return min((instant for instant in instants if instant > at), default=None)

    def attempt(self, step: Step, at: float, content: bytes = b"") -> Round:
        """The state once the step may be on chain; raise IllegalStep unless it is due.

        `content` is the commit hash to freeze, commit and reveal (for a reveal: hashed anew from what is
        about to be sent), the 38 bytes to sign, and nothing else. Another content than before raises
        Contradiction.
        """
        agenda = self.due(at)
        if step not in agenda.due:
            raise IllegalStep(self.voting_round, step, self._why_not(step, at))
        self._refuse_contradiction(step, content)
        return self._with(step, Record(Progress.ATTEMPTED, at, content))

    def confirm(self, step: Step, at: float, content: bytes | None = None) -> Round:
        """The state once the step is known to be done: durable (freeze), or on chain, by whoever did it.

        A fact may come late, so no window is asked. `content` None means what was attempted. If the chain
        holds another content than ours, Contradiction is raised: somebody else uses our key.
        """
        known = self.record(step)
        said = known.content if content is None else content
        self._refuse_contradiction(step, said)
        return self._with(step, Record(Progress.CONFIRMED, at, said))

    def lose(self, step: Step, at: float) -> Round:
        """The state once the step is known not to be on chain: dropped, or gone with a reorganisation.

        While its window is open the step may yet arrive: it is attempted again, with the same content, and a
        reveal stays owed. After that it never happened. The caller's duty is to be sure of the chain.
        """
        known = self.record(step)
        if known.progress is Progress.NONE:
            return self
        over = at >= self.window(step).closes
        progress = Progress.NONE if over else Progress.ATTEMPTED
        return self._with(step, Record(progress, at, known.content))

    def reach_threshold(self) -> Round:
        """The state once signatures enough are at hand."""
        return replace(self, threshold_reached=True)

    def select(self) -> Round:
        """The state once we are known to be among the round's finalizers."""
        return replace(self, selected=True)

    def _refuse_contradiction(self, step: Step, content: bytes) -> None:
        peers = _SAME_CONTENT if step in _SAME_CONTENT else (step,)
        for peer in peers:
            said = self.record(peer)
            binding = peer in self.records and (
                peer is not Step.FREEZE or said.progress is Progress.CONFIRMED
            )
            if binding and said.content != content:
                why = f"it said {said.content.hex() or 'nothing'} to {peer}, not {content.hex() or 'nothing'}"
                raise Contradiction(self.voting_round, step, why)

    def _why_not(self, step: Step, at: float) -> str:
        window = self.window(step)
        if self.record(step).progress is Progress.CONFIRMED:
            return "it is done"
        if not self._wanted(step, at):
            return "it is not owed"
        if at not in window:
            return f"{at} is outside {window.opens} to {window.closes}"
        return "what it rests on is missing"

    def _with(self, step: Step, record: Record) -> Round:
        return replace(self, records=MappingProxyType({**self.records, step: record}))
