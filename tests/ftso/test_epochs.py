"""Networks and their clocks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ftso.epochs import COSTON, COSTON2, FLARE, NETWORKS, SONGBIRD, Network, local
from core.ftso.errors import BadTimings, BeforeFirstEpoch
from core.ftso.identities import RewardEpochId, VotingRoundId

networks = st.sampled_from([*NETWORKS.values(), local(1_700_000_003, first_reward_epoch_round=1000)])


def test_flares_first_round_begins_at_its_published_second() -> None:
    assert FLARE.round_at(1_658_430_000) == 0
    assert FLARE.round_at(1_658_429_999.9) == -1
    assert (FLARE.commits_close_at(VotingRoundId(1)), FLARE.reveals_close_at(VotingRoundId(1))) == (
        1_658_430_180,
        1_658_430_225,
    )


def test_songbird_and_coston_begin_45_seconds_before_the_others() -> None:
    starts = [network.start_of(VotingRoundId(10)) for network in (FLARE, COSTON2, SONGBIRD, COSTON)]
    assert starts == [1_658_430_900, 1_658_430_900, 1_658_430_855, 1_658_430_855]


def test_reward_epochs_last_half_a_week_or_six_hours() -> None:
    seconds = [n.reward_epoch_rounds * n.voting_epoch_s for n in (FLARE, SONGBIRD, COSTON, COSTON2)]
    assert seconds == [302_400, 302_400, 21_600, 21_600]


def test_the_figures_are_those_of_py_flare_common_where_it_is_installed() -> None:
    common = pytest.importorskip("py_flare_common.fsp.epoch.timing.config")
    for name, network in NETWORKS.items():
        figures = getattr(common, f"{name}_chain_config")
        assert figures.voting_first_epoch_epoc == network.first_round_at
        assert figures.voting_epoch_duration == network.voting_epoch_s
        assert figures.voting_ftso_reveal_deadline == network.reveal_deadline_s
        assert figures.reward_epoch_duration == network.reward_epoch_rounds * network.voting_epoch_s


@given(networks, st.floats(1.6e9, 2.5e9))
def test_every_instant_lies_in_exactly_one_round(network: Network, at: float) -> None:
    voting_round = network.round_at(at)
    assert network.start_of(voting_round) <= at < network.commits_close_at(voting_round)


@given(networks, st.integers(0, 2**24 - 1).map(RewardEpochId))
def test_a_reward_epoch_holds_its_rounds_and_no_other(network: Network, reward_epoch: RewardEpochId) -> None:
    first = network.expected_first_round_of(reward_epoch)
    last = VotingRoundId(first + network.reward_epoch_rounds - 1)
    assert network.expected_reward_epoch_of(first) == network.expected_reward_epoch_of(last) == reward_epoch
    assert network.expected_reward_epoch_of(VotingRoundId(last + 1)) == reward_epoch + 1


def test_a_round_before_the_first_reward_epoch_has_none() -> None:
    with pytest.raises(BeforeFirstEpoch):
        local(0, first_reward_epoch_round=1000).expected_reward_epoch_of(VotingRoundId(999))


def test_a_local_network_keeps_mainnets_proportions() -> None:
    network = local(1_700_000_000, voting_epoch_s=90)
    assert (network.reveal_deadline_s, network.signature_grace_s, network.finalization_grace_s) == (
        45,
        15,
        20,
    )


def test_the_median_is_weighed_by_signing_weight_only_from_the_epoch_that_is_set() -> None:
    network = replace(FLARE, median_by_signing_weight_from=RewardEpochId(500))
    assert not FLARE.median_by_signing_weight(RewardEpochId(500))
    assert [network.median_by_signing_weight(RewardEpochId(e)) for e in (499, 500)] == [False, True]


@pytest.mark.parametrize(
    "figures", [{"reveal_deadline_s": 90}, {"reward_epoch_rounds": 0}, {"finalizer_share_bips": 5001}]
)
def test_contradicting_figures_are_refused(figures: dict[str, int]) -> None:
    with pytest.raises(BadTimings):
        replace(FLARE, **figures)  # type: ignore[arg-type]
