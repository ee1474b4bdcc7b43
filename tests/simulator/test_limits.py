from core.simulator.limits import Admission, Gate, Limit


def test_a_window_admits_its_weight_and_no_more():
    gate = Gate(Limit(10, 60.0))
    assert [gate.admit(4, 0.0).admission for _ in range(3)] == [
        Admission.ADMITTED,
        Admission.ADMITTED,
        Admission.LIMITED,
    ]
    assert gate.admit(2, 1.0).used == 10


def test_a_refusal_says_when_the_window_ends_and_the_next_one_admits():
    gate = Gate(Limit(1, 60.0))
    gate.admit(1, 120.0)
    assert gate.admit(1, 150.0).retry_after_s == 30.0
    assert gate.admit(1, 180.0).admission is Admission.ADMITTED


def test_who_asks_on_is_banned_beyond_the_window():
    gate = Gate(Limit(1, 60.0, ban_s=120.0, patience=2))
    answers = [gate.admit(1, 10.0).admission for _ in range(4)]
    assert answers == [Admission.ADMITTED, Admission.LIMITED, Admission.LIMITED, Admission.BANNED]
    assert gate.admit(1, 70.0).admission is Admission.BANNED
    assert gate.admit(1, 70.0).retry_after_s == 60.0
    assert gate.admit(1, 131.0).admission is Admission.ADMITTED
