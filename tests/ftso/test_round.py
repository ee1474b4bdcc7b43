"""A round's state machine: never a missed, late, wrong or unowed reveal, and never two signed results."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.ftso.epochs import FLARE, local
from core.ftso.errors import BadTimings, Contradiction, IllegalStep
from core.ftso.identities import VotingRoundId
from core.ftso.round import Progress, Round
from core.ftso.timings import Step, Timings, Window

NUMBER = VotingRoundId(1000)
START = FLARE.start_of(NUMBER)
TIMINGS = Timings.of(FLARE)
ROUND = Round(NUMBER, TIMINGS)
HASH, OTHER = b"\x01" * 32, b"\x02" * 32
RESULT, OTHER_RESULT = b"\x03" * 38, b"\x04" * 38


def due(state: Round, offset: float) -> tuple[Step, ...]:
    return state.due(START + offset).due


def too_late(state: Round, offset: float) -> tuple[Step, ...]:
    return state.due(START + offset).too_late


FROZEN = ROUND.confirm(Step.FREEZE, START + 75, HASH)
SENT = FROZEN.attempt(Step.COMMIT, START + 75, HASH)
COMMITTED = SENT.confirm(Step.COMMIT, START + 77)
FINALIZED = ROUND.confirm(Step.FINALIZE, START + 138)


@pytest.mark.parametrize(
    ("offset", "expected"), [(74.9, ()), (75, (Step.FREEZE,)), (89.9, (Step.FREEZE,)), (90, ())]
)
def test_values_are_frozen_before_anything_is_committed(offset: float, expected: tuple[Step, ...]) -> None:
    assert due(ROUND, offset) == expected


def test_a_commit_is_due_once_the_values_are_durable_and_until_it_is_on_chain() -> None:
    assert due(FROZEN, 75) == due(SENT, 76) == (Step.COMMIT,)
    assert due(COMMITTED, 78) == ()


@pytest.mark.parametrize(
    ("offset", "expected"),
    [(109.9, ()), (110, (Step.REVEAL,)), (134.9, (Step.REVEAL,)), (135, (Step.SIGN,))],
)
@pytest.mark.parametrize("state", [SENT, COMMITTED])
def test_a_reveal_is_owed_from_the_attempt_to_commit_and_strictly_before_the_deadline(
    state: Round, offset: float, expected: tuple[Step, ...]
) -> None:
    assert due(state, offset) == expected


def test_a_missed_reveal_is_too_late_at_the_deadline() -> None:
    assert Step.REVEAL not in too_late(COMMITTED, 134.9)
    assert Step.REVEAL in too_late(COMMITTED, 135)
    revealed = COMMITTED.attempt(Step.REVEAL, START + 120, HASH).confirm(Step.REVEAL, START + 136)
    assert Step.REVEAL not in too_late(revealed, 136)


def test_what_was_never_committed_is_not_revealed_and_not_missed() -> None:
    assert due(FROZEN, 120) == ()
    assert too_late(FROZEN, 200) == (Step.COMMIT, Step.SIGN, Step.FINALIZE)
    with pytest.raises(IllegalStep):
        FROZEN.attempt(Step.REVEAL, START + 120, HASH)


def test_a_commit_known_to_be_lost_after_its_epoch_is_not_revealed() -> None:
    assert due(SENT.lose(Step.COMMIT, START + 100), 120) == ()


def test_a_commit_dropped_within_its_epoch_is_sent_again_and_stays_owed() -> None:
    dropped = COMMITTED.lose(Step.COMMIT, START + 80)
    assert due(dropped, 80) == (Step.COMMIT,)
    assert due(dropped, 120) == (Step.REVEAL,)


def test_a_commit_without_the_values_that_were_frozen_cannot_be_revealed_and_is_an_offence() -> None:
    found_on_chain = ROUND.confirm(Step.COMMIT, START + 80, HASH)
    assert due(found_on_chain, 80) == due(found_on_chain, 120) == ()
    assert Step.REVEAL in too_late(found_on_chain, 135)
    with pytest.raises(Contradiction):
        found_on_chain.confirm(Step.FREEZE, START + 81, OTHER)


@pytest.mark.parametrize("step", [Step.COMMIT, Step.REVEAL])
def test_nothing_else_than_what_was_frozen_is_committed_or_revealed(step: Step) -> None:
    state, at = (FROZEN, START + 80) if step is Step.COMMIT else (COMMITTED, START + 120)
    with pytest.raises(Contradiction):
        state.attempt(step, at, OTHER)


def test_another_commit_on_chain_under_our_address_is_noticed() -> None:
    with pytest.raises(Contradiction):
        SENT.confirm(Step.COMMIT, START + 80, OTHER)


def test_values_that_never_became_durable_bind_to_nothing() -> None:
    lost = ROUND.attempt(Step.FREEZE, START + 75, HASH)
    assert due(lost.confirm(Step.FREEZE, START + 77, OTHER), 78) == (Step.COMMIT,)


def test_a_round_is_signed_again_only_with_the_same_result() -> None:
    signed = ROUND.attempt(Step.SIGN, START + 140, RESULT)
    assert signed.attempt(Step.SIGN, START + 141, RESULT).record(Step.SIGN).at == START + 141
    with pytest.raises(Contradiction):
        signed.attempt(Step.SIGN, START + 141, OTHER_RESULT)


def test_signing_is_worth_it_in_the_grace_or_until_finalization() -> None:
    assert [Step.SIGN in due(state, 149) for state in (ROUND, FINALIZED)] == [True, True]
    assert [Step.SIGN in due(state, 150) for state in (ROUND, FINALIZED)] == [True, False]
    assert too_late(FINALIZED, 200) == (Step.FREEZE, Step.COMMIT)


def test_selected_finalizers_go_first_and_everybody_after_the_grace() -> None:
    ready = ROUND.reach_threshold()
    assert [Step.FINALIZE in due(ready, offset) for offset in (135, 154.9, 155, 180)] == [
        False,
        False,
        True,
        False,
    ]
    assert [Step.FINALIZE in due(ready.select(), offset) for offset in (134.9, 135)] == [False, True]
    assert Step.FINALIZE not in due(ROUND.select(), 160)


def test_values_are_published_after_finalization_if_we_publish_at_all() -> None:
    finalized = replace(FINALIZED, publishes=True)
    assert Step.PUBLISH in due(finalized, 141)
    assert Step.PUBLISH not in due(replace(finalized, publishes=False), 141)
    assert Step.PUBLISH not in due(finalized.lose(Step.FINALIZE, START + 141), 142)


def test_a_confirmed_step_is_not_taken_again() -> None:
    with pytest.raises(IllegalStep, match="it is done"):
        COMMITTED.attempt(Step.COMMIT, START + 80, HASH)


def test_to_lose_what_was_never_done_changes_nothing() -> None:
    assert ROUND.lose(Step.COMMIT, START + 80) == ROUND


steps = st.sampled_from(list(Step))
contents = st.sampled_from([HASH] * 6 + [RESULT] * 3 + [OTHER, OTHER_RESULT, b""])
offsets = st.floats(-20, 300) | st.sampled_from([75.0, 80.0, 90.0, 110.0, 120.0, 134.0, 135.0, 140.0, 155.0])
deeds = st.lists(
    st.tuples(st.sampled_from(["attempt", "confirm", "lose", "reach"]), steps, contents, offsets)
)
beginnings = st.sampled_from([ROUND, FROZEN, SENT, COMMITTED])


@settings(max_examples=400)
@given(beginnings, deeds, st.booleans(), st.booleans())
def test_no_sequence_of_deeds_and_times_leads_to_an_illegal_step(
    beginning: Round, sequence: list[tuple[str, Step, bytes, float]], selected: bool, publishes: bool
) -> None:
    state = replace(beginning, selected=selected, publishes=publishes)
    said = {step: {state.record(step).content} if step in state.records else set() for step in Step}
    for deed, step, content, offset in sorted(sequence, key=lambda entry: entry[3]):
        check(state, offset)
        with suppress(IllegalStep):
            state = after(state, deed, step, content, START + offset)
            if deed in {"attempt", "confirm"}:
                said[step].add(content)
        check(state, offset)
    assert all(len(said[step]) <= 1 for step in (Step.COMMIT, Step.REVEAL, Step.SIGN))
    assert not said[Step.COMMIT] or said[Step.REVEAL] <= said[Step.COMMIT]


def after(state: Round, deed: str, step: Step, content: bytes, at: float) -> Round:
    if deed == "attempt":
        return state.attempt(step, at, content)
    if deed == "confirm":
        return state.confirm(step, at, content)
    return state.lose(step, at) if deed == "lose" else state.reach_threshold()


def check(state: Round, offset: float) -> None:
    agenda = state.due(START + offset)
    assert not set(agenda.due) & set(agenda.too_late)
    assert all(state.record(step).progress is not Progress.CONFIRMED for step in agenda.due + agenda.too_late)
    if Step.COMMIT in agenda.due:
        assert 0 <= offset < 90
        assert state.record(Step.FREEZE).progress is Progress.CONFIRMED
    if Step.REVEAL in agenda.due:
        assert 90 <= offset < 135
        assert state.record(Step.COMMIT).progress >= Progress.ATTEMPTED
        assert state.record(Step.FREEZE).content == state.record(Step.COMMIT).content
    if {Step.SIGN, Step.FINALIZE, Step.PUBLISH} & set(agenda.due):
        assert offset >= 135


states = st.sampled_from(
    [ROUND, FROZEN, SENT, COMMITTED, COMMITTED.reach_threshold(), COMMITTED.select(), FINALIZED]
)


@given(states, st.floats(-20, 300), st.floats(0, 1, exclude_max=True))
def test_the_agenda_stays_the_same_until_the_time_it_names(state: Round, offset: float, part: float) -> None:
    agenda = state.due(START + offset)
    until = START + 1000 if agenda.next_at is None else agenda.next_at
    later = state.due(min(START + offset + part * (until - START - offset), until - 0.001))
    assert (later.due, later.too_late) == (agenda.due, agenda.too_late)


def test_a_dutiful_provider_does_every_step_of_a_short_local_round_in_order() -> None:
    network = local(1_700_000_000, voting_epoch_s=6)
    state = Round(
        VotingRoundId(5), Timings.of(network), selected=True, publishes=True, threshold_reached=True
    )
    at: float | None = network.start_of(VotingRoundId(5))
    done: list[Step] = []
    while at is not None:
        while work := state.due(at).due:
            content = {Step.SIGN: RESULT, Step.FINALIZE: b"", Step.PUBLISH: b""}.get(work[0], HASH)
            state = state.attempt(work[0], at, content).confirm(work[0], at)
            done.append(work[0])
        at = state.due(at).next_at
    assert done == list(Step)
    assert state.due(1e12).too_late == ()


@pytest.mark.parametrize(
    "offsets", [{"commit_until": 91}, {"reveal_from": 89}, {"reveal_until": 136}, {"reveal_from": 135}]
)
def test_timings_that_the_protocol_would_punish_are_refused(offsets: dict[str, float]) -> None:
    with pytest.raises(BadTimings):
        Timings.of(FLARE, **offsets)


@pytest.mark.parametrize(
    "changes",
    [
        {"freeze": Window(80, 90)},
        {"freeze": Window(75, 91)},
        {"sign": Window(134, 180)},
        {"anyone_finalizes_from": 180},
    ],
)
def test_windows_that_contradict_each_other_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(BadTimings):
        replace(TIMINGS, **changes)  # type: ignore[arg-type]
