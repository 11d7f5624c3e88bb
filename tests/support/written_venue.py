"""A venue written by hand, an estimator that says what it is told to, and the desk of an event surface on both."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from domain.clock import FakeClock, parse_iso
from domain.contract import Contract, ContractStatus
from domain.errors import Retry
from domain.event_settings import EventSettings
from domain.quotes import Quote
from domain.vocabulary import Kind, Surface
from surfaces.kalshi.belief import Belief
from surfaces.kalshi.desk import EventDesk
from surfaces.kalshi.learning import Learner

D = Decimal
START = parse_iso("2026-03-16T18:00:00Z")
SETTINGS = EventSettings(ask_s=600, list_s=300, market_weight=D("0.5"), void_in_terms=True)


def contract(ticker="KXHIGHNY-26MAR16-B55.5", **changes):
    """A bracket of the day's high as the venue lists it."""
    made = Contract(
        ticker=ticker,
        event="KXHIGHNY-26MAR16",
        series="KXHIGHNY",
        category="Climate and Weather",
        title="Will the high temp in NYC be between 55-56° on Mar 16, 2026?",
        event_title="Highest temperature in NYC on Mar 16, 2026?",
        yes_sub_title="55° to 56°",
        no_sub_title="55° to 56°",
        rules_primary=(
            "If the highest temperature recorded in Central Park, New York for March 16, 2026 as reported by the "
            "National Weather Service's Climatological Report (Daily), is between 55-56° fahrenheit, then the market "
            "resolves to Yes."
        ),
        rules_secondary="",
        strike_type="between",
        floor_strike=D(55),
        cap_strike=D(56),
        open_at=START - timedelta(days=1),
        close_at=START + timedelta(hours=11),
        expected_expiration_at=START + timedelta(hours=20),
        latest_expiration_at=START + timedelta(days=7),
        status=ContractStatus.ACTIVE,
        result="",
        value=None,
        expiration_value="",
        can_close_early=True,
        tick=D("0.01"),
        fee_type="quadratic",
        fee_multiplier=D(1),
    )
    return replace(made, **changes)


def bracket(low=55, **changes):
    """A bracket of two degrees, as its ticker, its strikes and its text say."""
    words = {
        "ticker": f"KXHIGHNY-26MAR16-B{low}.5",
        "floor_strike": D(low),
        "cap_strike": D(low + 1),
        "yes_sub_title": f"{low}° to {low + 1}°",
        "no_sub_title": f"{low}° to {low + 1}°",
        "title": f"Will the high temp in NYC be between {low}-{low + 1}° on Mar 16, 2026?",
        "rules_primary": contract().rules_primary.replace("55-56", f"{low}-{low + 1}"),
    }
    return contract(**(words | changes))


class Venue:
    """Contracts and quotes, and how often each was asked for."""

    def __init__(self, clock):
        self.clock = clock
        self.listed = {}
        self.ended = {}
        self.quoted = {}
        self.listings = 0
        self.is_silent = False

    def add(self, one, bid="0.40", ask="0.42"):
        self.listed[one.ticker] = one
        self.quote(one.ticker, bid, ask)

    def quote(self, ticker, bid, ask):
        self.quoted[ticker] = (D(bid), D(ask))

    def end(self, ticker, value="1"):
        result = "yes" if value == "1" else "no"
        changes = {"status": ContractStatus.FINALIZED, "result": result, "value": D(value), "expiration_value": "56"}
        self.ended[ticker] = replace(self.listed.pop(ticker), **changes)

    def contracts(self, series, *, closing_before=None):
        self.listings += 1
        if self.is_silent:
            raise Retry("a listing", "503", "later")
        return list(self.listed.values())

    def contract(self, ticker):
        return self.listed.get(ticker) or self.ended.get(ticker)

    def quotes(self, markets):
        now = self.clock.now()
        return {
            name: Quote(market=name, bid=bid, ask=ask, at=now, received_at=now, tradeable=True, home_rate=D(1))
            for name, (bid, ask) in self.quoted.items()
            if name in markets
        }

    def close(self): ...


class Oracle:
    """An estimator that says what a test tells it to, of everything."""

    def __init__(self, probability="0.60", **more):
        self.belief = Belief(method="oracle", probability=None if probability is None else D(probability), **more)
        self.asked = []

    def takes(self, rule):
        return True

    def costs_usd(self, contract, rule):
        return D(0)

    def believe(self, contract, rule, now):
        self.asked.append(contract.ticker)
        return self.belief


class Room:
    """A desk with its venue and its oracle."""

    def __init__(self):
        self.clock = FakeClock(START)
        self.venue = Venue(self.clock)
        self.oracle = Oracle()
        self.learner = Learner()
        self.notes = []
        self.settings = SETTINGS

    def open(self, estimators=None):
        chosen = [self.oracle] if estimators is None else estimators
        self.desk = EventDesk(
            self.venue, Surface.ST, self.settings, chosen, self.learner, self.clock, None, self.notes.append
        )
        self.desk.startup()
        return self

    def scan(self, seconds=0.0):
        self.clock.advance(seconds)
        return list(self.desk.scan(self.clock.now()))

    def judged(self, seconds=0.0):
        """Return candidates and estimates of everything that is due, predicted in place."""
        return [found for proposal in self.scan(seconds) if (found := proposal.predict()()) is not None]

    def remember(self, candidate, estimate):
        """Hand a decision to the learner as the journal would."""
        self.learner.apply(
            {
                "kind": Kind.DECISION,
                "candidate": {
                    "market": candidate.market,
                    "quote": {"bid": str(candidate.quote.bid), "ask": str(candidate.quote.ask)},
                },
                "estimate": {
                    "method": estimate.method,
                    "model_probability": str(estimate.model_probability),
                    "market_probability": str(estimate.market_probability),
                    "votes": [],
                    "facts": [list(fact) for fact in estimate.facts],
                },
            }
        )
