"""What could cost an event surface money, or end it: closed books, changed texts, strangers' words, slow ends."""

import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from written_venue import START, Oracle, Room, bracket, contract

from audit.fold import SurfaceFold
from brokers.dry_run.executor import DryRunExecutor
from domain.contract import Unread
from domain.house import House
from domain.vocabulary import Code, Kind, Leg, Mode, OrderState, Side, Surface
from forecast.question import Question
from journal import encode_fields, read
from journal.beat import Heartbeat
from risk.event_limits import EventLimits
from strategies.event.fees import fee_of
from strategies.event.rules import read_rule
from surfaces.books import Books
from surfaces.kalshi.panel import question_of
from surfaces.kalshi.pricing import instrument_of
from surfaces.loop import Loop
from surfaces.snapshot import Valuation, exposures

D = Decimal
BANKROLL = D(1000)


def question(name, **changes):
    """An announced outcome, of a series of its own."""
    words = {
        "ticker": f"KX{name}-26MAR17-{name}",
        "event": f"KX{name}-26MAR17",
        "series": f"KX{name}",
        "title": f"Will the ferry of {name} sail?",
        "yes_sub_title": "",
        "no_sub_title": "",
        "rules_primary": f"If the ferry of {name} sails before March 18, 2026, then the market resolves to Yes.",
        "rules_secondary": "As reported by the port's log.",
        "strike_type": "custom",
        "floor_strike": None,
        "cap_strike": None,
        "close_at": START + timedelta(hours=24),
    }
    return contract(**(words | changes))


class Market:
    """The hand-written venue as a dry run's executor wants it."""

    def __init__(self, venue):
        self.venue = venue

    def quotes(self, markets):
        return self.venue.quotes(markets)

    def instruments(self, names):
        return {name: instrument_of(one) for name in names if (one := self.venue.contract(name)) is not None}


class Desk:
    """A whole surface in a dry run on the hand-written venue."""

    def __init__(self, home, probability="0.80", limits=None, executor=DryRunExecutor):
        self.room = Room()
        self.room.oracle = Oracle(probability)
        self.venue, self.clock = self.room.venue, self.room.clock
        self.limits = limits or EventLimits(bankroll=BANKROLL, min_confidence=D(0), max_spread_bp=D(10_000))
        self.house = House(home=home)
        self.fold = SurfaceFold(BANKROLL, "USD")
        self.executor = executor

    def start(self):
        settings = replace(self.room.settings, market_weight=D(0), record_quotes=False)
        self.books = Books(self.house, Surface.ST, Mode.DRY_RUN, self.clock, self.fold, also=self.room.learner.apply)
        self.room.settings = settings
        self.room.open()
        executor = self.executor(Market(self.venue), self.clock, balance=BANKROLL, currency="USD", fee=fee_of)
        self.loop = Loop(
            books=self.books,
            executor=executor,
            desk=self.room.desk,
            limits=self.limits,
            settings=settings,
            heartbeat=Heartbeat(self.house.heartbeat("kalshi-st"), self.clock),
            stop_reasons=tuple,
            stop=threading.Event(),
        )
        assert self.loop.startup()
        return self

    def decided(self):
        return [e.record for e in read(self.house.log(Surface.ST, "decisions")) if e.kind == Kind.DECISION]


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path / "home")
    yield made
    made.books.__exit__(None, None, None)


def trade(desk, lows=(55,)):
    """Let the surface open a position in each bracket."""
    for low in lows:
        desk.venue.add(bracket(low))
    desk.start()
    open_in(desk, len(lows))


def open_in(desk, positions):
    for _ in range(200):
        assert desk.loop.on_tick()
        if len(desk.fold.positions()) == positions:
            return
        threading.Event().wait(0.01)
    raise AssertionError(f"{len(desk.fold.positions())} positions, expected {positions}")


# ---------------------------------------------------------------- closed and empty books


@pytest.mark.parametrize(("probability", "side"), [("0.80", Side.BUY), ("0.10", Side.SELL)])
def test_a_book_that_empties_at_the_close_loses_nobody_anything(tmp_path, probability, side):
    desk = Desk(tmp_path / "home", probability)
    trade(desk)
    valuation = Valuation()
    before = valuation.equity(desk.books, desk.room.desk.quotes(), unpriced_at_stop=True)
    desk.venue.quote("KXHIGHNY-26MAR16-B55.5", "0", "1")
    empty = desk.venue.quotes(["KXHIGHNY-26MAR16-B55.5"])
    after = valuation.equity(desk.books, empty, unpriced_at_stop=True)
    closed = {name: replace(quote, tradeable=False, bid=D("0.01")) for name, quote in empty.items()}
    later = valuation.equity(desk.books, closed, unpriced_at_stop=True)
    desk.books.__exit__(None, None, None)

    assert [position.side for position in desk.fold.positions()] == [side]
    assert before == after == later


def test_a_contract_nobody_bids_for_any_more_is_marked_at_nothing(desk):
    trade(desk)
    (position,) = desk.fold.positions()
    desk.venue.quote(position.market, "0", "0.01")
    equity = Valuation().equity(desk.books, desk.venue.quotes([position.market]), unpriced_at_stop=True)

    assert equity == BANKROLL + position.realised - position.quantity * position.entry_price


def test_the_breaker_does_not_trip_because_contracts_close(tmp_path):
    limits = EventLimits(bankroll=BANKROLL, min_confidence=D(0), daily_loss=D(15), max_concentration=D(1))
    desk = Desk(tmp_path / "home", limits=limits)
    trade(desk, (51, 53, 55))
    for ticker in desk.venue.quoted:
        desk.venue.quote(ticker, "0", "1")
    desk.clock.advance(60)
    desk.loop.on_tick()
    tripped = desk.fold.day.tripped
    desk.books.__exit__(None, None, None)

    assert not tripped


# ---------------------------------------------------------------- exposure


def test_a_contract_that_cost_more_than_was_decided_takes_more_room(desk):
    desk.room.oracle = Oracle("0.30")
    desk.venue.add(contract(), "0.02", "0.03")
    desk.start()
    submit = desk.loop._executor.submit

    def later(intent):
        desk.venue.quote(intent.market, "0.03", "0.04")
        return submit(intent)

    desk.loop._entries._executor.submit = later
    open_in(desk, 1)
    (position,), (exposure,) = desk.fold.positions(), exposures(desk.books)

    assert position.entry_price == D("0.04")
    assert exposure.notional == exposure.risk == exposure.margin == position.quantity * D("0.04")


# ---------------------------------------------------------------- what the text says


def test_a_text_that_changed_is_read_again(desk):
    desk.venue.add(contract())
    desk.room.open()
    [first] = desk.room.scan()
    desk.venue.add(contract(rules_secondary="Revisions to the data made after the first report are not counted."))
    [second] = desk.room.scan(601)
    desk.start()

    assert first.candidates[0].rule.revision != second.candidates[0].rule.revision


def test_a_belief_about_a_text_that_has_changed_since_is_dropped_and_asked_for_anew(desk):
    desk.room.settings = replace(desk.room.settings, ask_s=6000)
    desk.venue.add(contract())
    desk.room.open()
    [proposal] = desk.room.scan()
    finish = proposal.predict()
    desk.venue.add(contract(rules_secondary="Later changes are ignored."))
    desk.room.scan(301)

    judged = finish()
    again = desk.room.scan()
    desk.start()

    assert judged is None
    assert len(again) == 1


@pytest.mark.parametrize("title", ["", "  ", "\n"])
def test_a_question_without_a_title_is_asked_by_its_event_or_name(title):
    named = question_of(question("HULL", title=title, event_title="Ferries"))
    unnamed = question_of(question("HULL", title=title, event_title=""))

    assert isinstance(named, Question)
    assert (named.text, unnamed.text) == ("Ferries", "KXHULL-26MAR17-HULL")


def test_strangers_words_fit_into_a_line_of_the_journal_and_steer_no_terminal():
    long = "\x1b[2J\u202eé" + "é" * 7_000
    rules = f"If {long} sails before March 18, 2026, then the market resolves to Yes."
    one = question("HULL", rules_primary=rules, rules_secondary=f"As reported by {long}.")
    rule = read_rule(one, void_in_terms=True)
    unread = read_rule(replace(one, rules_primary=f"{long} or not."), void_in_terms=True)

    assert len(str(encode_fields(rule))) < 8_000
    assert "\x1b" not in rule.subject + rule.source
    assert "\u202e" not in rule.subject + rule.source
    assert isinstance(unread, Unread)
    assert len(unread.reason) < 1_100


def test_a_fee_nobody_knows_the_formula_of_is_refused_before_anybody_is_asked(desk):
    desk.venue.add(contract(fee_type="flat"))
    desk.start()
    turned = desk.loop.on_tick()
    (decision,) = desk.decided()

    assert turned
    assert desk.room.oracle.asked == []
    assert (decision["code"], "'flat'" in decision["candidate"]["unread"]) == (Code.RULE_UNPARSED, True)


# ---------------------------------------------------------------- many contracts


def test_a_turn_judges_no_more_than_its_share_of_what_is_due_and_the_next_ones_the_rest(desk):
    for number in range(250):
        desk.venue.add(contract(f"KXHIGHNY-26MAR16-B{number}.5", fee_type="flat"))
    desk.start()
    counts = []
    for _ in range(3):
        desk.loop.on_tick()
        counts.append(len(desk.decided()))

    assert counts == [200, 250, 250]


def test_quotes_that_take_long_are_asked_for_once_and_not_by_each_candidate(desk):
    for number in range(20):
        desk.venue.add(contract(f"KXHIGHNY-26MAR16-B{number}.5", fee_type="flat"))
    desk.start()
    quotes, asked = desk.venue.quotes, []

    def slow(markets):
        asked.append(len(markets))
        desk.clock.advance(2)
        return quotes(markets)

    desk.venue.quotes = slow
    desk.clock.advance(60)
    desk.loop.on_tick()

    assert len(desk.decided()) == 20
    assert asked == [20]


# ---------------------------------------------------------------- how contracts end


# ---------------------------------------------------------------- parts of an order


class Thin(DryRunExecutor):
    """An account at a venue where 7 contracts stand at the price, and the rest of an order is gone."""

    def submit(self, intent):
        whole, least = super().submit(intent)[0], D(7)
        part = replace(whole, quantity=least, fee=fee_of(intent.market, least, whole.price), state=OrderState.PARTIAL)
        gone = replace(whole, quantity=D(0), price=None, fee=D(0), state=OrderState.CANCELLED, transaction_id=None)
        return [part, gone]


@pytest.mark.parametrize(("probability", "side", "cost"), [("0.80", Side.BUY, "2.94"), ("0.10", Side.SELL, "4.20")])
def test_a_part_of_an_order_is_all_that_is_held_published_and_at_risk(tmp_path, probability, side, cost):
    desk = Desk(tmp_path / "home", probability, executor=Thin)
    trade(desk)
    (position,), (exposure,) = desk.fold.positions(), exposures(desk.books)
    (signal,) = desk.fold.published.values()
    equity = Valuation().equity(desk.books, desk.room.desk.quotes(), unpriced_at_stop=True)
    again = SurfaceFold(BANKROLL, "USD")
    for stream in ("decisions", "orders", "signals"):
        for entry in read(desk.house.log(Surface.ST, stream)):
            again.apply(entry.record)
    desk.books.__exit__(None, None, None)

    assert (position.side, position.quantity, signal.quantity) == (side, D(7), D(7))
    assert position.decision.size.quantity > 7
    assert exposure.notional == exposure.risk == exposure.margin == D(cost)
    assert equity == BANKROLL - D("0.12") - D("0.14")
    assert desk.fold.unfinished(Leg.ENTRY) == []
    assert again.positions() == desk.fold.positions()
