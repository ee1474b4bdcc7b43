import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chrono.feeds import Leg
from core.simulator import faults
from core.simulator.faults import FaultBoard, FaultError, FaultKind, describe, fault_of_json, parse_fault

BTC = Leg("bybit", "BTC", "USDT")


def test_every_example_of_the_documentation_is_a_fault():
    examples = re.findall(r"^    ([a-z]+:\S+)", faults.__doc__, re.MULTILINE)
    assert {parse_fault(text).kind for text in examples} == set(FaultKind)


def test_a_ban_says_its_status_and_when_to_come_back():
    fault = parse_fault("binance:banned=418,retry_after=120,after=5,for=60")
    assert (fault.venue, fault.amount, fault.retry_after_s) == ("binance", 418, 120)
    assert (fault.after_s, fault.for_s) == (5, 60)


@pytest.mark.parametrize(
    ("text", "leg"),
    [
        ("bybit:delisted=BTCUSDT", BTC),
        ("bybit:delisted=BTC/USDT", BTC),
        ("kraken:stuck,symbol=XXBTZUSD", Leg("kraken", "BTC", "USD")),
        ("kraken:off_by=1.05,symbol=XBTUSD", Leg("kraken", "BTC", "USD")),
        ("okx:crossed,symbol=BTC-USDT", Leg("okx", "BTC", "USDT")),
        ("coinbase:malformed=types,symbol=BTC-USD", Leg("coinbase", "BTC", "USD")),
    ],
)
def test_a_symbol_is_written_as_the_venue_writes_it(text, leg):
    assert parse_fault(text).legs == {leg}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("kraken", "venue:kind"),
        ("", "venue:kind"),
        ("mtgox:dead", "no such venue: 'mtgox'"),
        ("kraken:asleep", "no such fault: 'asleep'"),
        ("kraken:slow=fast", "slow is a number from 0 to 600"),
        ("kraken:slow=nan", "slow is a number"),
        ("kraken:slow=-1", "slow is a number"),
        ("okx:off_by", "off_by needs a value"),
        ("okx:off_by=0", "off_by is a number from 0.01"),
        ("okx:banned", "banned needs a value"),
        ("okx:banned=404", "banned is one of 403, 418, 429, 451"),
        ("okx:banned=200", "banned is a number from 403 to 451"),
        ("okx:server_error=404", "from 500 to 599"),
        ("okx:dead=loud", "dead is one of closed, silent"),
        ("okx:stuck=5", "stuck takes no value"),
        ("bybit:delisted", "delisted needs a symbol"),
        ("bybit:delisted=BTC-USDT", "bybit has no symbol 'BTC-USDT'"),
        ("bybit:dead,symbol=BTCUSDT", "about a whole venue"),
        ("bybit:malformed,symbol=BTCUSDT", "about a whole venue"),
        ("bybit:slow,retry_after=5", "takes no retry_after"),
        ("bybit:slow,until=5", "no such option: 'until'"),
        ("bybit:slow,for", "not an option"),
        ("bybit:slow,for=1,for=2", "given twice"),
        ("bybit:slow,for=-1", "for is a number"),
    ],
)
def test_a_wrong_word_is_named(text, complaint):
    with pytest.raises(FaultError, match=re.escape(complaint)):
        parse_fault(text)


@given(st.text(max_size=60) | st.from_regex(r"(kraken|okx):[a-z_]+(=[0-9a-z.]*)?(,[a-z]+=[0-9.]*)?"))
def test_any_other_text_is_refused_cleanly(text):
    with contextlib.suppress(FaultError):
        parse_fault(text)


@given(
    st.recursive(st.none() | st.text() | st.integers() | st.floats(), st.lists)
    | st.dictionaries(
        st.sampled_from(["venue", "fault", "value", "symbol", "after", "for", "retry_after", "x"]),
        st.sampled_from(["kraken", "slow", "stuck", 5, 1.5, None, ["XBTUSD"], [], {}, -1, "banned", 418]),
    )
)
def test_any_other_document_is_refused_cleanly(document):
    with contextlib.suppress(FaultError):
        fault_of_json(document)


def test_a_document_means_the_same_as_a_text():
    document = {"venue": "kraken", "fault": "off_by", "value": 1.05, "symbol": ["XBTUSD", "ETHUSD"], "for": 9}
    assert fault_of_json(document) == parse_fault("kraken:off_by=1.05,symbol=XBTUSD+ETHUSD,for=9")
    assert fault_of_json({"venue": "okx", "fault": "dead"}) == parse_fault("okx:dead")


def test_a_fault_begins_and_ends_at_its_times():
    board = FaultBoard()
    board.add(parse_fault("okx:dead,after=10,for=5"), 100.0)
    on = [bool(board.active("okx", at)) for at in (100.0, 109.9, 110.0, 114.9, 115.0)]
    assert on == [False, False, True, True, False]
    assert board.active("bybit", 112.0) == ()


def test_faults_are_removed_one_by_one_by_venue_or_all_at_once():
    board = FaultBoard()
    added = [board.add(parse_fault(f"{venue}:stuck"), 0.0) for venue in ("okx", "okx", "bybit", "kraken")]
    assert board.remove(added[0].id)
    assert not board.remove(added[0].id)
    assert board.clear("okx") == 1
    assert [i.fault.venue for i in board.injected()] == ["bybit", "kraken"]
    assert board.clear() == 2


def test_the_board_is_bounded_and_ended_faults_make_room():
    board = FaultBoard()
    for _ in range(faults.FAULTS_MAX):
        board.add(parse_fault("okx:stuck,for=10"), 0.0)
    with pytest.raises(FaultError, match="limit"):
        board.add(parse_fault("okx:stuck"), 5.0)
    assert board.add(parse_fault("okx:stuck"), 11.0).id == faults.FAULTS_MAX + 1


def test_a_listed_fault_shows_what_it_is():
    injected = FaultBoard().add(parse_fault("kraken:one_sided=bid,symbol=XBTUSD,for=3"), 7.0)
    assert describe(injected) == {
        "id": 1,
        "venue": "kraken",
        "fault": "one_sided",
        "value": "bid",
        "retry_after": None,
        "symbols": ["kraken:BTC/USD"],
        "start": 7.0,
        "end": 10.0,
    }
