"""What keeps an event surface from trading: stop files, halts, a paused market, an unread text, a day's losses."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from event_rig import BALANCE, ORDERS, START, Trader, World, question, row_of

from domain.clock import iso
from domain.operation import StateChange
from domain.vocabulary import Code, Gate, Kind, Leg, State, Surface
from simulators.kalshi.catalogue import highs

D = Decimal
NAMES = ("STOP", "HALT", "FLAT", "FLATLOST", "PAUSE")
FALL = timedelta(minutes=50)
FALLS, REST = "KXFALL-14MAY06-FALL", "KXFALL-14MAY06-REST"
UNREAD = next(one for one in highs.of_day(date(2014, 5, 6)) if one.strike_type == "between")


def falling():
    """Return a worth that is a half at first and next to nothing from five seconds on."""
    return [[iso(START), 0.5], [iso(START + FALL), 0.004]]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    cut_off = UNREAD.rules_primary.partition("(CLINYC)")[0]
    listed = [
        *(question(name) for name in NAMES),
        row_of(UNREAD, fair=0.5, rules_primary=cut_off),
    ]
    made = World(tmp_path_factory.mktemp("venue"), listed, nws=True)
    yield made
    made.stop()


@pytest.fixture
def falling_world(tmp_path):
    """A venue of its own, because what falls does so at a moment of its clock."""
    listed = [question("FALL", series="KXFALL", fair=falling()), question("REST", series="KXFALL")]
    made = World(tmp_path / "venue", listed)
    yield made
    made.stop()


@pytest.fixture
def make(world, tmp_path):
    made = []

    def trader(name, surface=Surface.LT, **changes):
        changes |= {f"{surface.upper()}_MARKETS": f"KX{name}"}
        made.append(Trader(world, tmp_path / name, surface, **changes))
        return made[-1]

    yield trader
    for one in made:
        one.finish()


def market(name):
    return f"KX{name}-14MAY06-{name}"


def test_a_day_that_lost_too_much_is_over_though_nobody_bids_for_what_is_held(falling_world, tmp_path):
    settings = {"RISK_DAILY_LOSS": "8", "LT_ASK_S": "60", "RISK_BLOCKED": REST, "LT_MARKETS": "KXFALL"}
    trader = Trader(falling_world, tmp_path / "home", **settings)
    trader.open(resolver=False)
    trader.until(trader.signals, "a position")
    trader.until(lambda: trader.books.fold.day is not None and trader.books.fold.day.tripped, "the breaker")
    quote = trader.desk.quotes()[FALLS]
    trader.close()
    trader.environ["RISK_BLOCKED"] = ""
    refused_before = len(trader.decisions(REST))
    trader.open(resolver=False)
    trader.until(lambda: len(trader.decisions(REST)) > refused_before, "the other market refused")
    codes = {one["code"] for one in trader.decisions(REST)[-1]["verdicts"]}
    made = trader.created()
    trader.finish()

    assert quote.bid == 0
    assert {Code.STOPPED, Code.RISK_DAILY_LOSS} <= codes
    assert [signal["market"] for signal in trader.signals()] == [FALLS]
    assert len(made) == 1


def test_a_stop_file_keeps_orders_in_until_it_is_gone(make):
    trader = make("STOP", LT_ASK_S="60")
    stop = trader.house.stop_files(Surface.LT)[0]
    stop.touch()
    trader.open(resolver=False)
    trader.until(lambda: trader.codes()[Code.STOPPED] >= 2, "two refusals")
    before = trader.created()
    stop.unlink()
    trader.until(trader.signals, "a position")

    assert before == {}
    trader.assert_sound()


def test_a_halt_keeps_orders_in_and_takes_back_what_rests(make):
    trader = make("HALT", LT_ASK_S="60")
    rests = {"ticker": market("HALT"), "time_in_force": "good_till_canceled"}
    order = trader.world.kalshi.order(price="0.05", who=trader.who, **rests)
    trader.open(resolver=False)
    trader.books.changed(StateChange(state=State.HALT, reason="a person said so"))
    trader.until(lambda: trader.codes()[Code.STOPPED], "a refusal")
    resting = trader.ask("/portfolio/orders", status="resting")["orders"]

    assert order.status_code == 201
    assert resting == []
    assert trader.created() == {}


@pytest.mark.parametrize("name", ["FLAT", "FLATLOST"])
def test_a_flatten_sells_what_is_held_at_once_and_once(make, name):
    trader = make(name)
    trader.open()
    trader.until(trader.signals, "a position")
    lost = trader.fault("drop_reply", ORDERS, times=1) if name == "FLATLOST" else None
    trader.books.changed(StateChange(state=State.REDUCE, reason="a person said so", flatten=True))
    trader.until(trader.resolutions, "the end of the position")
    [resolution] = trader.resolutions()
    [close] = trader.signals("close")
    exits = trader.records("resolutions", Kind.ORDER_INTENT)
    sent = [row for row in trader.ask("/portfolio/orders")["orders"] if row["ticker"] == market(name)]

    assert lost is None or trader.fired(lost) == 1
    assert [intent["leg"] for intent in exits] == [Leg.EXIT]
    assert (resolution["reason"], close["reason"]) == ("flatten", "flatten")
    assert {row["status"] for row in sent} == {"executed"}
    assert trader.held() == {}
    assert trader.realised() == trader.cash() - BALANCE
    trader.assert_sound()


def test_a_paused_market_is_refused_as_closed_and_traded_when_it_goes_on(make):
    trader = make("PAUSE", LT_ASK_S="60", LT_LIST_S="36000", KALSHI_LISTING_REFRESH_S="0.2")
    trader.open(resolver=False)
    paused = trader.fault("market_paused", {"ticker": market("PAUSE")})
    trader.until(lambda: trader.codes()[Code.MARKET_CLOSED], "a refusal")
    before = trader.created()
    trader.clear(paused)
    trader.until(trader.signals, "a position")

    assert before == {}
    trader.assert_sound()


def test_a_contract_whose_text_is_cut_off_is_refused_with_the_reason_and_no_facts_are_asked_for(make, world):
    trader = make("HIGHNY", Surface.ST, ST_ASK_S="60")
    trader.open(["weather", "price"], resolver=False)
    trader.until(lambda: trader.codes()[Code.RULE_UNPARSED], "a refusal")
    [reason] = {row["candidate"]["unread"] for row in trader.decisions()}
    [refused] = [one for one in trader.decisions()[0]["verdicts"] if one["gate"] == Gate.DIRECTION]

    assert trader.codes().keys() == {Code.RULE_UNPARSED}
    assert reason
    assert refused["note"] == reason
    assert world.nws.get("/_sim/state").json()["requests"] == {}
    assert trader.created() == {}
