"""When a round's steps open and close, as offsets from the round's start.

Knows the protocol's hard limits from a network and a provider's own choices within them; refuses choices that
the protocol would punish. Mainnet's defaults, in seconds:

    step       opens  closes  what sets it
    freeze      75     90     ours: as the reference client commits; the values are fixed just before
    commit      75     90     closes: end of the voting epoch
    reveal     110    135     opens: reference client (the protocol: 90); closes: a later one is an offence
    sign       135    180     opens: reveal deadline; closes: no signature after it is rewarded
    finalize   135    180     opens: for selected finalizers; for everybody else at 155
    publish    135    270     once finalized; ours

flare-specs FSP/Rewarding (submission transactions), FTSO/Anchor (phases).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.ftso.epochs import Network
from core.ftso.errors import BadTimings


class Step(StrEnum):
    """What a provider does in a round, in the order it is done."""

    FREEZE = "freeze"
    COMMIT = "commit"
    REVEAL = "reveal"
    SIGN = "sign"
    FINALIZE = "finalize"
    PUBLISH = "publish"


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open interval of time, or of offsets from a round's start, in seconds."""

    opens: float
    closes: float

    def __contains__(self, at: float) -> bool:
        return self.opens <= at < self.closes

    def from_(self, start: float) -> Window:
        """The window of offsets as one of times."""
        return Window(start + self.opens, start + self.closes)


@dataclass(frozen=True, slots=True)
class Timings:
    """Offsets in seconds from a round's start; raises BadTimings for what the protocol would punish.

    Closing times leave no room for a transaction to get into a block: a careful provider closes `commit` and
    `reveal` a few seconds early, and starts long before.
    """

    network: Network
    freeze: Window
    commit: Window
    reveal: Window
    sign: Window
    finalize: Window
    publish: Window
    signature_grace_ends: float
    anyone_finalizes_from: float

    def __post_init__(self) -> None:
        epoch = self.network.voting_epoch_s
        deadline = epoch + self.network.reveal_deadline_s
        for step in Step:
            if not self.window(step).opens < self.window(step).closes:
                raise BadTimings(f"the window to {step} closes before it opens")
        if self.freeze.opens < 0 or self.freeze.opens > self.commit.opens:
            raise BadTimings("values are frozen within the round, and not after the commit opens")
        if self.freeze.closes > self.commit.closes or self.commit.closes > epoch:
            raise BadTimings("a commit counts only within its voting epoch")
        if self.reveal.opens < epoch or self.reveal.closes > deadline:
            raise BadTimings("a reveal counts only from the next voting epoch's start to the deadline")
        if min(self.sign.opens, self.finalize.opens, self.publish.opens) < deadline:
            raise BadTimings("there is no result to sign before the reveal deadline")
        if not self.finalize.opens <= self.anyone_finalizes_from < self.finalize.closes:
            raise BadTimings("everybody's turn to finalize lies within its window")

    @classmethod
    def of(
        cls,
        network: Network,
        *,
        commit_from: float | None = None,
        commit_until: float | None = None,
        reveal_from: float | None = None,
        reveal_until: float | None = None,
    ) -> Timings:
        """The defaults above, scaled to the network's epochs; offsets given replace them."""
        epoch, reveal = network.voting_epoch_s, network.reveal_deadline_s
        deadline = epoch + reveal
        commit = Window(
            epoch * 75 / 90 if commit_from is None else commit_from,
            epoch if commit_until is None else commit_until,
        )
        return cls(
            network=network,
            freeze=commit,
            commit=commit,
            reveal=Window(
                epoch + reveal * 20 / 45 if reveal_from is None else reveal_from,
                deadline if reveal_until is None else reveal_until,
            ),
            sign=Window(deadline, 2 * epoch),
            finalize=Window(deadline, 2 * epoch),
            publish=Window(deadline, 3 * epoch),
            signature_grace_ends=deadline + network.signature_grace_s,
            anyone_finalizes_from=deadline + network.finalization_grace_s,
        )

    def window(self, step: Step) -> Window:
        """The step's window of offsets."""
        windows = {
            Step.FREEZE: self.freeze,
            Step.COMMIT: self.commit,
            Step.REVEAL: self.reveal,
            Step.SIGN: self.sign,
            Step.FINALIZE: self.finalize,
            Step.PUBLISH: self.publish,
        }
        return windows[step]
