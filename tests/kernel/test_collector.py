from __future__ import annotations

import itertools
import json
from collections import Counter

import pytest

from chrono.collector import BATCH_TICKS_MAX, BUFFER_TICKS_MAX, Collector
from chrono.feeds import DEX_VENUES, EXCHANGES, LEGS, VENUES, Leg, legs_of
from chrono.http import Answer, Failure
from chrono.listing import ASIDE_S
from chrono.notices import RowRefused, SymbolFound, SymbolLost, TradesFailed
from chrono.polling import Pace
from chrono.ticks import Quote, Reason, Trade
from chrono.venue_state import VenueState
from chrono.venues import VENUE_ADAPTERS
from chrono.venues.adapter import Request, RequestKind
from tests.kernel.payloads import AT, answer, kraken_envelope, tickers_answer
from tests.kernel.virtual import Drive, Respond, good

TICKERS_ONLY = Pace(trade_interval_s=None)


def refusing(status: int, until: float, **headers: str) -> Respond:
    """A venue that refuses until an instant and is good after it."""

    def respond(request: Request, at: float) -> Answer:
        return answer(b"no", status, at, **headers) if at < until else good(request, at)

    return respond


def one_refuses(venue: str, respond: Respond) -> Respond:
    return lambda request, at: respond(request, at) if request.venue == venue else good(request, at)


LISTED = tuple(leg for leg in LEGS if leg.venue in EXCHANGES)


def test_all_legs_are_quoted_at_the_pace_of_the_tickers() -> None:
    drive = Drive(LISTED, pace=TICKERS_ONLY).run(15)
    quotes = Counter(tick.leg for tick in drive.ticks)
    assert set(quotes) == set(LISTED)
    assert set(quotes.values()) == {10}


def test_an_aggregator_is_asked_no_oftener_than_it_allows_whatever_the_pace() -> None:
    legs = [leg for leg in LEGS if leg.venue in DEX_VENUES]
    drive = Drive(legs, pace=TICKERS_ONLY).run(61)
    quotes = Counter(tick.leg.venue for tick in drive.ticks)
    assert quotes == {"gecko": 21, "dexscreener": 13}  # gecko: seven of each network


def test_every_venue_becomes_healthy_and_stays_so() -> None:
    drive = Drive(LEGS).run(30)
    assert {drive.report(venue).state for venue in VENUES} == {VenueState.HEALTHY}
    assert all(drive.states(venue) == [VenueState.HEALTHY] for venue in VENUES)
    assert all(drive.report(venue).failures == 0 for venue in VENUES)


def test_the_collector_does_not_wake_more_often_than_there_is_work() -> None:
    drive = Drive(LEGS).run(30)
    assert drive.turns < 3 * len(drive.sent) + 30 * 6


def test_a_leg_of_no_known_venue_is_refused() -> None:
    with pytest.raises(ValueError, match="mtgox"):
        Collector([Leg("mtgox", "BTC", "USD")], at=AT, random=lambda: 0.0)


@pytest.mark.parametrize("venue", VENUES)
def test_no_window_of_a_venue_holds_more_weight_than_allowed(venue: str) -> None:
    pace = Pace(ticker_interval_s=0.2, trade_interval_s=0.01, in_flight_per_venue=8)
    drive = Drive(legs_of(venue), pace=pace, latency_s=lambda _: 0.02).run(20 if venue != "binance" else 90)
    limit = VENUE_ADAPTERS[venue].limit
    for end, _ in drive.sent:
        in_window = [request.weight for at, request in drive.sent if end - limit.window_s < at <= end]
        assert sum(in_window) <= limit.weight


def test_no_more_requests_are_in_flight_than_allowed() -> None:
    pace = Pace(in_flight_max=6, in_flight_per_venue=3)
    assert Drive(LEGS, pace=pace, latency_s=lambda _: 2.0).run(60).in_flight_max == 6


def test_slow_venues_never_delay_the_others() -> None:
    pace, slow_ones = Pace(in_flight_max=6, in_flight_per_venue=4), ("okx", "bybit")
    slow = Drive(LEGS, pace=pace, latency_s=lambda asked: 4.9 if asked.venue in slow_ones else 0.1).run(60)
    fast = Drive(LEGS, pace=pace).run(60)
    for venue in ("coinbase", "binance", "kraken"):
        asked, usual = (drive.sent_to(venue, RequestKind.TICKERS) for drive in (slow, fast))
        assert len(asked) >= len(usual) - 1


def test_one_venue_that_never_answers_is_failing_and_frees_its_slots() -> None:
    drive = Drive(LEGS, one_refuses("okx", lambda *_: None)).run(120)
    assert drive.report("okx").state in (VenueState.FAILING, VenueState.PROBING)
    assert drive.report("okx").failures >= 3
    assert len(drive.sent_to("okx")) < 12
    assert drive.report("kraken").requests >= 75


@pytest.mark.parametrize(
    ("status", "state", "wait_s"),
    [
        (429, VenueState.RATE_LIMITED, 10),
        (418, VenueState.BANNED, 120),
        (403, VenueState.FORBIDDEN, 600),
        (451, VenueState.GEO_BLOCKED, 3_600),
        (502, VenueState.FAILING, 1),
    ],
)
def test_no_request_goes_out_while_a_venue_must_not_be_asked(
    status: int, state: VenueState, wait_s: float
) -> None:
    drive = Drive(legs_of("binance"), refusing(status, AT + 1)).run(wait_s + 5)
    assert drive.sent_to("binance")[:2] == [AT, pytest.approx(AT + 0.1 + wait_s)]
    assert drive.states("binance") == [state, VenueState.PROBING, VenueState.HEALTHY]


def test_a_failed_probe_waits_longer_and_only_one_is_out() -> None:
    drive = Drive(legs_of("bybit"), refusing(503, AT + 1_000)).run(40)
    asked = drive.sent_to("bybit")
    waits = [round(after - before - 0.1, 6) for before, after in itertools.pairwise(asked)]
    assert waits == [1, 2, 4, 8, 16]


def test_retry_after_is_honoured_to_the_second() -> None:
    drive = Drive(legs_of("binance"), refusing(418, AT + 1, retry_after="300")).run(310)
    assert drive.sent_to("binance")[1] == pytest.approx(AT + 0.1 + 300)


def test_the_report_says_what_led_to_the_state_and_when_it_ends() -> None:
    drive = Drive(legs_of("binance"), refusing(418, AT + 900, retry_after="300")).run(1)
    report = drive.report("binance")
    assert (report.state, report.code) == (VenueState.BANNED, 418)
    assert report.retry_at == pytest.approx(AT + 300.1)
    assert (report.requests, report.failures) == (1, 1)


def test_krakens_refusal_inside_a_200_stops_kraken_alone() -> None:
    body = kraken_envelope(None, "EAPI:Rate limit exceeded")
    drive = Drive(LEGS, one_refuses("kraken", lambda _, at: answer(body, at=at))).run(8)
    assert drive.report("kraken").state is VenueState.RATE_LIMITED
    assert len(drive.sent_to("kraken")) == 1
    assert drive.report("okx").state is VenueState.HEALTHY


def test_a_ban_met_by_a_request_for_trades_stops_the_tickers_too() -> None:
    def respond(request: Request, at: float) -> Answer:
        return answer(b"", 418, at) if request.kind is RequestKind.TRADES else good(request, at)

    drive = Drive(legs_of("binance"), respond).run(60)
    assert drive.report("binance").state is VenueState.BANNED
    assert max(drive.sent_to("binance")) < AT + 1


def test_a_venue_that_fails_for_trades_alone_keeps_its_tickers() -> None:
    def respond(request: Request, at: float) -> Answer | Failure:
        return Failure("reset") if request.kind is RequestKind.TRADES else good(request, at)

    drive = Drive(legs_of("binance"), respond).run(60)
    assert drive.report("binance").state is VenueState.HEALTHY
    assert len(drive.sent_to("binance", RequestKind.TICKERS)) == 40
    assert len(drive.sent_to("binance", RequestKind.TRADES)) < 10
    assert any(isinstance(notice, TradesFailed) for notice in drive.notices)


def test_trades_go_on_after_a_ban_met_while_they_were_on_trial() -> None:
    def respond(request: Request, at: float) -> Answer | Failure:
        if request.kind is RequestKind.TICKERS or at > AT + 2:
            return good(request, at)
        return Failure("reset") if at < AT + 1 else answer(b"", 429, at)

    drive = Drive(legs_of("binance"), respond).run(60)
    assert VenueState.RATE_LIMITED in drive.states("binance")
    assert len(drive.sent_to("binance", RequestKind.TRADES)) > 100


def probing() -> tuple[Collector, Request, Request]:
    """A collector that probes Binance while a request for trades from before the trouble is still out."""
    pace = Pace(timeout_s=30.0)
    collector = Collector(legs_of("binance"), at=AT, random=lambda: 0.0, pace=pace)
    (first,) = collector.due(AT)
    collector.receive(first, tickers_answer(first), AT)
    (late,) = collector.due(AT)
    (second,) = collector.due(AT + 1.5)
    collector.receive(second, answer(b"", 503, AT + 1.5), AT + 1.5)
    (probe,) = collector.due(AT + 3)
    assert (late.kind, probe.kind) == (RequestKind.TRADES, RequestKind.TICKERS)
    assert collector.reports()[0].state is VenueState.PROBING
    return collector, late, probe


def test_only_the_probe_decides_whether_a_venue_is_well_again() -> None:
    collector, late, probe = probing()
    collector.receive(late, answer([], at=AT + 3), AT + 3)
    assert collector.reports()[0].state is VenueState.PROBING
    collector.receive(probe, tickers_answer(probe, at=AT + 3), AT + 3)
    assert collector.reports()[0].state is VenueState.HEALTHY


def test_trades_are_asked_for_at_their_own_pace() -> None:
    drive = Drive(legs_of("bybit"), pace=Pace(trade_interval_s=0.5)).run(20)
    assert len(drive.sent_to("bybit", RequestKind.TRADES)) in range(36, 41)


def test_trades_are_asked_for_in_turn_and_told_once() -> None:
    drive = Drive(legs_of("binance")).run(30)
    turns = Counter(request.symbols[0] for _, request in drive.sent if request.kind is RequestKind.TRADES)
    assert len(turns) == len(legs_of("binance"))
    assert max(turns.values()) - min(turns.values()) <= 1
    trades = [tick for tick in drive.ticks if isinstance(tick, Trade)]
    assert len(trades) == len({(trade.leg, trade.event_at) for trade in trades}) > 100


def test_kraken_is_never_asked_for_trades() -> None:
    assert not Drive(legs_of("kraken")).run(30).sent_to("kraken", RequestKind.TRADES)


def test_coinbase_gives_a_price_in_every_answer_and_a_book_in_turn() -> None:
    drive = Drive(legs_of("coinbase")).run(30)
    quotes = [tick for tick in drive.ticks if isinstance(tick, Quote)]
    assert {quote.leg for quote in quotes if quote.bid is None} == set(legs_of("coinbase"))
    assert {quote.leg for quote in quotes if quote.bid is not None} == set(legs_of("coinbase"))


def unknown_to_binance(bad: set[str], until: float = float("inf")) -> Respond:
    def respond(request: Request, at: float) -> Answer:
        if bad.intersection(request.symbols) and at < until:
            return answer({"code": -1121, "msg": "Invalid symbol."}, 400, at)
        return good(request, at)

    return respond


def test_one_delisting_does_not_lose_a_venue() -> None:
    drive = Drive(legs_of("binance"), unknown_to_binance({"USDCUSD"}), pace=TICKERS_ONLY).run(30)
    assert {str(tick.leg) for tick in drive.ticks} == {
        str(leg) for leg in legs_of("binance") if str(leg) != "binance:USDC/USD"
    }
    assert [notice for notice in drive.notices if isinstance(notice, SymbolLost)] == [
        SymbolLost("binance", "USDCUSD")
    ]
    assert drive.report("binance").state is VenueState.HEALTHY
    assert drive.report("binance").refused == {Reason.UNKNOWN_SYMBOL: 1}
    assert len(drive.sent[-1][1].symbols) == len(legs_of("binance")) - 1


def test_delistings_at_kraken_are_found_with_one_request_for_all_that_it_has() -> None:
    body = kraken_envelope(None, "EQuery:Unknown asset pair")

    def respond(request: Request, at: float) -> Answer:
        gone = {"SGBUSD", "TONUSDT"}.intersection(request.symbols)
        if gone and request.params:
            return answer(body, at=at)
        return tickers_answer(request, at=at, skip=tuple(gone))

    drive = Drive(legs_of("kraken"), respond).run(4)
    assert [bool(request.params) for _, request in drive.sent] == [True, False, True, True]
    lost = {notice.symbol for notice in drive.notices if isinstance(notice, SymbolLost)}
    assert lost == {"SGBUSD", "TONUSDT"}
    assert len(drive.sent[-1][1].symbols) == len(legs_of("kraken")) - 2


def test_a_lost_symbol_is_tried_again_after_an_hour_and_found() -> None:
    legs = legs_of("binance")[:6]
    respond = unknown_to_binance({"XRPUSDT"}, until=AT + ASIDE_S - 60)
    drive = Drive(legs, respond, pace=TICKERS_ONLY).run(ASIDE_S + 30)
    assert SymbolFound("binance", "XRPUSDT") in drive.notices
    assert drive.sent[-1][1].legs == legs
    assert drive.report("binance").refused == {Reason.UNKNOWN_SYMBOL: 1}


def test_a_venue_that_knows_none_of_its_symbols_is_failing() -> None:
    every = {VENUE_ADAPTERS["binance"].symbol(leg) for leg in legs_of("binance")}
    drive = Drive(legs_of("binance"), unknown_to_binance(every), pace=TICKERS_ONLY).run(120)
    assert VenueState.FAILING in drive.states("binance")


def test_a_symbol_missing_from_a_full_answer_is_told_once() -> None:
    def respond(request: Request, at: float) -> Answer:
        gone = ("TON-USDT",) if AT + 5 < at < AT + 20 else ()
        return tickers_answer(request, at=at, skip=gone)

    drive = Drive(legs_of("okx"), respond, pace=TICKERS_ONLY).run(30)
    told = [notice for notice in drive.notices if isinstance(notice, (SymbolLost, SymbolFound))]
    assert told == [SymbolLost("okx", "TON-USDT"), SymbolFound("okx", "TON-USDT")]
    assert drive.report("okx").refused == {Reason.UNKNOWN_SYMBOL: 1}


def test_an_answer_without_any_row_is_a_failing_venue_not_a_hundred_delistings() -> None:
    drive = Drive(legs_of("okx"), lambda _, at: answer({"code": "0", "data": []}, at=at)).run(2)
    assert drive.report("okx").state is VenueState.FAILING
    assert drive.report("okx").refused == {}


def test_refused_rows_are_counted_by_reason_and_the_others_kept() -> None:
    def respond(request: Request, at: float) -> Answer:
        body = json.loads(tickers_answer(request, at=at).body)
        body["data"][0]["bidPx"] = "200"
        body["data"][1]["askPx"] = ""
        body["data"][2]["ts"] = str(round(at * 1000) + 60_000)
        return answer(body, at=at)

    drive = Drive(legs_of("okx"), respond, pace=TICKERS_ONLY).run(3)
    assert drive.report("okx").refused == {Reason.CROSSED: 2, Reason.ONE_SIDED: 2, Reason.FUTURE: 2}
    assert len(drive.ticks) == 2 * (len(legs_of("okx")) - 3)
    assert sum(isinstance(notice, RowRefused) for notice in drive.notices) == 6


def test_a_batch_goes_at_least_every_second_even_without_ticks() -> None:
    drive = Drive(LEGS, lambda *_: None).run(20)
    at = [draft_at for draft_at, _ in drive.drafts]
    assert len(at) >= 19
    assert max(after - before for before, after in itertools.pairwise(at)) <= 1.001
    assert {report.venue for report in drive.drafts[-1][1].reports} == set(VENUES)


def test_no_draft_holds_more_ticks_than_a_batch_should() -> None:
    collector = Collector(LISTED, at=AT, random=lambda: 0.0, pace=TICKERS_ONLY)
    for turn in range(4):
        for request in collector.due(AT + 1.5 * turn):
            collector.receive(request, tickers_answer(request, at=AT + 1.5 * turn), AT + 1.5 * turn)
    drafts = collector.batches(AT + 10)
    assert [len(draft.ticks) for draft in drafts] == [500, 500, 500, 4 * len(LISTED) - 1_500]
    assert max(len(draft.ticks) for draft in drafts) == BATCH_TICKS_MAX


def test_ticks_that_nobody_drains_push_out_the_oldest() -> None:
    collector = Collector(LISTED, at=AT, random=lambda: 0.0, pace=TICKERS_ONLY)
    for turn in range(30):
        at = AT + 1.5 * turn
        for request in collector.due(at):
            collector.receive(request, tickers_answer(request, at=at), at)
    drafts = collector.batches(AT + 60, flush=True)
    assert sum(len(draft.ticks) for draft in drafts) == BUFFER_TICKS_MAX
    assert drafts[0].ticks_dropped == 30 * len(LISTED) - BUFFER_TICKS_MAX


def test_a_flush_gives_what_is_there_and_no_empty_batch() -> None:
    collector = Collector(legs_of("okx"), at=AT, random=lambda: 0.0, pace=TICKERS_ONLY)
    (request,) = collector.due(AT)
    collector.receive(request, tickers_answer(request), AT)
    assert [len(draft.ticks) for draft in collector.batches(AT + 0.01, flush=True)] == [len(request.legs)]
    assert collector.batches(AT + 60, flush=True) == []


def test_an_answer_to_a_request_that_was_given_up_is_not_looked_at() -> None:
    collector = Collector(legs_of("okx"), at=AT, random=lambda: 0.0, pace=TICKERS_ONLY)
    (request,) = collector.due(AT)
    collector.due(AT + 10)
    collector.receive(request, tickers_answer(request, at=AT + 10), AT + 10)
    assert collector.batches(AT + 10, flush=True) == []
    assert collector.reports()[0].state is VenueState.FAILING


def test_the_same_entropy_gives_the_same_requests() -> None:
    first, second = (Drive(LEGS, refusing(503, AT + 20)).run(40) for _ in range(2))
    assert first.sent == second.sent
