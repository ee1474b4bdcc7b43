from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chrono.http import RETRY_AFTER_S_MAX, Answer, retry_after_s

AT = 1_750_000_000.0  # Sun, 15 Jun 2025 15:06:40 GMT


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("99999999999", RETRY_AFTER_S_MAX),
        ("Sun, 15 Jun 2025 15:07:40 GMT", 60.0),
        ("Sun, 15 Jun 2025 15:06:00 GMT", 0.0),
        ("Sun, 15 Jun 2035 15:06:00 GMT", RETRY_AFTER_S_MAX),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("Sun, 99 Jun 2025 15:07:40 GMT", None),
        ("9" * 61, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_within_three_days(text: str | None, wait_s: float | None) -> None:
    assert retry_after_s(text, AT) == wait_s


@given(st.text(max_size=70))
def test_any_retry_after_is_a_bounded_wait_or_none(text: str) -> None:
    wait_s = retry_after_s(text, AT)
    assert wait_s is None or 0 <= wait_s <= RETRY_AFTER_S_MAX


def test_an_answer_reads_its_own_header_at_its_own_time() -> None:
    answer = Answer(429, b"", AT, {"retry-after": "Sun, 15 Jun 2025 15:06:45 GMT"})
    assert answer.retry_after_s == 5.0
