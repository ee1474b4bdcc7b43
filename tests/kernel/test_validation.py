from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chrono.feeds import Leg
from chrono.ticks import Quote, Reason, Trade
from chrono.validation import FUTURE_S, HISTORY_S, STALE_S, Rim
from chrono.venues.adapter import ToldTrade

AT = 1_750_000_000.0
BTC = Leg("okx", "BTC", "USDT")
ETH = Leg("okx", "ETH", "USDT")


def rim() -> Rim:
    return Rim([BTC, ETH], lambda leg: f"{leg.base}-{leg.quote}")


def quote(mid: float, at: float = AT, event_at: float | None = None, leg: Leg = BTC) -> Quote:
    price = Decimal(str(mid))
    return Quote(leg, price - price / 1000, price + price / 1000, price, None, event_at, at)


def last_only(price: float, at: float = AT) -> Quote:
    return Quote(BTC, None, None, Decimal(str(price)), None, None, at)


def trade(trade_id: str, event_at: float, price: str = "100", at: float = AT) -> ToldTrade:
    return ToldTrade(trade_id, Trade(BTC, Decimal(price), Decimal(1), event_at, at))


def ids(*told: ToldTrade, subject: Rim) -> tuple[list[float], list[Reason]]:
    trades, refusals = subject.new_trades(BTC, told)
    return [item.event_at for item in trades], [refusal.reason for refusal in refusals]


def judged(subject: Rim, *quotes: Quote) -> list[Reason | None]:
    refusals = [subject.judge(item) for item in quotes]
    return [refusal.reason if refusal else None for refusal in refusals]


@pytest.mark.parametrize(
    ("event_at", "reason"),
    [
        (None, None),
        (AT, None),
        (AT + FUTURE_S, None),
        (AT + FUTURE_S + 0.1, Reason.FUTURE),
        (AT - STALE_S, None),
        (AT - STALE_S - 1, Reason.STALE),
    ],
)
def test_a_quote_is_neither_of_tomorrow_nor_of_yesterday(
    event_at: float | None, reason: Reason | None
) -> None:
    assert judged(rim(), quote(100, event_at=event_at)) == [reason]


def test_a_refusal_names_the_symbol_as_the_venue_does() -> None:
    refusal = rim().judge(quote(100, event_at=AT + 60))
    assert refusal is not None
    assert (refusal.symbol, refusal.detail) == ("BTC-USDT", "60.0 s ahead")


def test_an_old_answer_from_a_cache_is_refused() -> None:
    quotes = [quote(100, event_at=AT), quote(99, event_at=AT - 30), quote(101, event_at=AT - 1)]
    assert judged(rim(), *quotes) == [None, Reason.STALE, None]


def test_a_quiet_market_repeats_its_time_and_is_kept() -> None:
    quotes = [quote(100, at=AT + turn, event_at=AT - 100) for turn in range(5)]
    assert judged(rim(), *quotes) == [None] * 5


@pytest.mark.parametrize("level", [69.0, 131.0, 1_000_000.0, 0.0001])
def test_an_absurd_jump_is_refused(level: float) -> None:
    assert judged(rim(), quote(100), quote(level, AT + 1.5)) == [None, Reason.JUMP]


@pytest.mark.parametrize("level", [71.0, 129.0])
def test_a_large_move_is_not_absurd(level: float) -> None:
    assert judged(rim(), quote(100), quote(level, AT + 1.5)) == [None, None]


def test_a_real_crash_gets_through_with_the_third_answer_that_agrees() -> None:
    crash = [quote(price, AT + turn) for turn, price in enumerate([100, 60, 58, 59, 57])]
    assert judged(rim(), *crash) == [None, Reason.JUMP, Reason.JUMP, None, None]


def test_answers_that_do_not_agree_never_confirm_a_jump() -> None:
    wild = [quote(price, AT + turn) for turn, price in enumerate([100, 50, 200, 50, 200, 50, 200])]
    assert judged(rim(), *wild)[1:] == [Reason.JUMP] * 6


def test_one_true_answer_between_makes_the_confirmation_start_again() -> None:
    mixed = [quote(price, AT + turn) for turn, price in enumerate([100, 50, 50, 100, 50, 50, 50])]
    refused = [None, Reason.JUMP, Reason.JUMP, None, Reason.JUMP, Reason.JUMP, None]
    assert judged(rim(), *mixed) == refused


def test_after_a_minute_of_silence_any_level_is_news() -> None:
    assert judged(rim(), quote(100), quote(10, AT + 60.1)) == [None, None]


def test_a_jump_of_one_leg_says_nothing_about_another() -> None:
    assert judged(rim(), quote(100), quote(5, leg=ETH)) == [None, None]


def test_a_last_price_is_held_to_the_level_of_the_book() -> None:
    assert judged(rim(), quote(100), last_only(150, AT + 1)) == [None, Reason.JUMP]


def test_trades_are_told_once() -> None:
    subject = rim()
    first = [trade("1", AT - 2), trade("2", AT - 1)]
    assert ids(*first, subject=subject) == ([AT - 2, AT - 1], [])
    assert ids(*first, trade("3", AT), subject=subject) == ([AT], [])
    assert ids(*first, trade("3", AT), subject=subject) == ([], [])


def test_trades_of_one_instant_are_told_apart_by_their_ids() -> None:
    subject = rim()
    assert ids(trade("1", AT), trade("2", AT), subject=subject) == ([AT, AT], [])
    assert ids(trade("2", AT), trade("3", AT), subject=subject) == ([AT], [])


def test_trades_long_before_the_first_answer_are_history() -> None:
    subject = rim()
    old = [trade("1", AT - 90_000), trade("2", AT - HISTORY_S - 1), trade("3", AT - HISTORY_S + 1)]
    assert ids(*old, subject=subject) == ([AT - HISTORY_S + 1], [])


def test_later_trades_may_be_as_old_as_a_round_takes() -> None:
    subject = rim()
    ids(trade("1", AT - 1_000), subject=subject)
    assert ids(trade("2", AT - 500), subject=subject) == ([AT - 500], [])


def test_a_trade_of_the_future_is_refused_and_hides_no_true_one() -> None:
    subject = rim()
    assert ids(trade("1", AT + 60), subject=subject) == ([], [Reason.FUTURE])
    assert ids(trade("2", AT), subject=subject) == ([AT], [])


def test_a_trade_at_an_absurd_price_is_refused_once() -> None:
    subject = rim()
    subject.judge(quote(100))
    assert ids(trade("1", AT, price="1000"), subject=subject) == ([], [Reason.JUMP])
    assert ids(trade("1", AT, price="1000"), subject=subject) == ([], [])


@given(
    answers=st.lists(
        st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), max_size=8).map(sorted), max_size=8
    )
)
def test_no_sequence_of_answers_tells_a_trade_twice(answers: list[list[tuple[int, int]]]) -> None:
    subject = rim()
    told: list[str] = []
    for rows in answers:
        seen = {id(item.trade): item for at, n in rows if (item := trade(f"{at}-{n}", AT + at, at=AT + 10))}
        trades, _ = subject.new_trades(BTC, seen.values())
        told += [seen[id(item)].trade_id for item in trades]
    assert len(told) == len(set(told))
