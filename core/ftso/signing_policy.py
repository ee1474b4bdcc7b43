"""The signing policy of a reward epoch: who may sign, with which weight, and how much weight is enough.

flare-specs FSP/SigningPolicy, FSP/Encoding (SigningPolicy), FSP/Finalization (threshold):

    offset  size  field
    0       2     number n of voters
    2       3     reward epoch id
    5       4     first voting round
    9       2     threshold
    11      32    random seed
    43      22·n  voters in the policy's order: signing policy address (20), weight (2)

Its hash is a chain: keccak256 of the first two 32-byte pieces, then of the last hash and the next piece, the
last piece filled up with zero bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.ftso.epochs import BIPS, Network
from core.ftso.hashing import keccak
from core.ftso.identities import Address, RewardEpochId, VotingRoundId
from core.ftso.wire import HASH_SIZE, Reader, checked, exactly, unsigned

_TOTAL_WEIGHT_MAX: Final = 2**16 - 1


@dataclass(frozen=True, slots=True)
class Signer:
    """A voter by its signing policy address, and its normalized signing weight, which may be 0."""

    address: Address
    weight: int


@dataclass(frozen=True, slots=True)
class SigningPolicy:
    """One reward epoch's signers in order; a field that does not fit raises OutOfRange."""

    reward_epoch: RewardEpochId
    first_round: VotingRoundId
    threshold: int
    seed: bytes
    signers: tuple[Signer, ...]

    def __post_init__(self) -> None:
        checked("number of voters", len(self.signers), 0, 2**16 - 1)
        checked("reward epoch", self.reward_epoch, 0, 2**24 - 1)
        checked("first voting round", self.first_round, 0, 2**32 - 1)
        checked("threshold", self.threshold, 0, 2**16 - 1)
        exactly("seed", self.seed)
        for signer in self.signers:
            checked("weight", signer.weight, 0, 2**16 - 1)
        checked("total weight", self.total_weight, 0, _TOTAL_WEIGHT_MAX)

    @property
    def total_weight(self) -> int:
        return sum(signer.weight for signer in self.signers)

    @property
    def weights(self) -> tuple[int, ...]:
        return tuple(signer.weight for signer in self.signers)

    def index_of(self, address: Address) -> int | None:
        """The place of a signer in the policy, or None if it has none."""
        for index, signer in enumerate(self.signers):
            if signer.address == address:
                return index
        return None

    def encode(self) -> bytes:
        """The policy's bytes, as the relay wants them."""
        head = (
            unsigned("number of voters", len(self.signers), 2)
            + unsigned("reward epoch", self.reward_epoch, 3)
            + unsigned("first voting round", self.first_round, 4)
            + unsigned("threshold", self.threshold, 2)
            + self.seed
        )
        return head + b"".join(s.address + unsigned("weight", s.weight, 2) for s in self.signers)

    @classmethod
    def take(cls, reader: Reader) -> SigningPolicy:
        """Read a policy at the reader's place; raise MalformedMessage if it is none."""
        count = reader.unsigned(2, "number of voters")
        reward_epoch = RewardEpochId(reader.unsigned(3, "reward epoch"))
        first_round = VotingRoundId(reader.unsigned(4, "first voting round"))
        threshold = reader.unsigned(2, "threshold")
        seed = reader.take(HASH_SIZE, "seed")
        signers = tuple(
            Signer(Address(reader.take(20, "voter")), reader.unsigned(2, "weight")) for _ in range(count)
        )
        if sum(signer.weight for signer in signers) > _TOTAL_WEIGHT_MAX:
            raise reader.refusal(f"the weights add up to more than {_TOTAL_WEIGHT_MAX}")
        return cls(reward_epoch, first_round, threshold, seed, signers)

    @classmethod
    def decode(cls, raw: bytes) -> SigningPolicy:
        """Read exactly one policy; raise MalformedMessage otherwise."""
        reader = Reader("signing policy", raw)
        policy = cls.take(reader)
        reader.end()
        return policy

    @property
    def hash(self) -> bytes:
        """The 32 bytes the relay knows the policy by, and that voters sign to confirm it."""
        raw = self.encode()
        pieces = [raw[at : at + HASH_SIZE].ljust(HASH_SIZE, b"\0") for at in range(0, len(raw), HASH_SIZE)]
        chained = pieces[0]
        for piece in pieces[1:]:
            chained = keccak(chained + piece)
        return chained

    def threshold_for(
        self, voting_round: VotingRoundId, last_initialized: RewardEpochId, network: Network
    ) -> int:
        """What the weight of signatures must exceed for a message of `voting_round`, as Relay computes it.

        The threshold rises by a fifth when the round should belong to a later reward epoch whose policy does
        not exist yet. The policy must be the right one for the round.
        """
        expected = network.expected_reward_epoch_of(voting_round)
        if expected > self.reward_epoch and last_initialized == self.reward_epoch:
            return self.threshold * network.raised_threshold_bips // BIPS
        return self.threshold
