"""What an event surface learns from its own journal, and what it must never do with it."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from brokers.nws.values import HourlyForecast, Observation
from domain.candidate import Vote
from domain.clock import iso, parse_iso
from domain.contract import RuleKind, SettlementRule
from domain.errors import Retry
from domain.quotes import Quote
from domain.vocabulary import Kind
from forecast.weather import Outlook
from surfaces.kalshi.belief import Belief
from surfaces.kalshi.learning import Learner
from surfaces.kalshi.weather import WeatherEstimator, WeatherHistory, reports_of

D = Decimal
START = parse_iso("2026-03-16T18:00:00Z")
RULE = SettlementRule(
    kind=RuleKind.DAILY_HIGH, source="NWS CLI, CLINYC", station="KNYC", location="Central Park", subject="daily high",
    low=D(55), high=D(56), unit="degF", resolution=D(1), observed_on=None, begins_at=START + timedelta(hours=11),
    ends_at=START + timedelta(hours=35), rounding="whole degrees", revision="", void="",
)  # fmt: skip


def quote(bid="0.40", ask="0.42"):
    return Quote(market="M", bid=D(bid), ask=D(ask), at=START, received_at=START, tradeable=True, home_rate=D(1))


def panel(**said):
    votes = tuple(Vote(model=name, probability=D(p), weight=D(1), cost_usd=D(0)) for name, p in said.items())
    return Belief(method="panel", votes=votes)


def decision(
    market, *, method="panel", model="0.6", market_price="0.41", votes=(), facts=(), group="G", bid="0.40", ask="0.42"
):
    estimate = {
        "method": method,
        "model_probability": model,
        "market_probability": market_price,
        "votes": [{"model": name, "probability": p} for name, p in votes],
        "facts": [list(fact) for fact in facts],
    }
    candidate = {"market": market, "group": group, "quote": {"bid": bid, "ask": ask}}
    return {"kind": Kind.DECISION, "candidate": candidate, "estimate": estimate}


def outcome(market, value, at=START, read_as="56"):
    return {"kind": Kind.OUTCOME, "ts": iso(at), "market": market, "value": str(value), "read_as": read_as}


def live_through(learner, rounds, *, votes, right, model="0.6", method="panel"):
    """Let a panel be judged ``rounds`` times; the contracts end as ``right`` says."""
    for number in range(rounds):
        at = START + timedelta(minutes=number)
        learner.apply(decision(f"M{number}", votes=votes, model=model, method=method))
        learner.apply(outcome(f"M{number}", right, at))
    return START + timedelta(minutes=rounds)


def test_a_model_that_was_right_more_often_weighs_more():
    learner = Learner()
    now = live_through(learner, 40, votes=[("good", "0.9"), ("bad", "0.2")], right=1)
    blended = learner.blend(panel(good="0.9", bad="0.2", c="0.5", d="0.5"), quote(), D(0), now)

    weights = {vote.model: vote.weight for vote in blended.votes}
    assert weights["good"] > max(weights["bad"], weights["c"])
    assert min(weights.values()) > 0


def test_the_same_journal_gives_the_same_learner_after_a_restart():
    first, second = Learner(), Learner()
    now = live_through(first, 60, votes=[("a", "0.7"), ("b", "0.4")], right=1)
    live_through(second, 60, votes=[("a", "0.7"), ("b", "0.4")], right=1)
    belief = panel(a="0.7", b="0.4", c="0.5", d="0.6")

    assert first.blend(belief, quote(), None, now) == second.blend(belief, quote(), None, now)


def test_the_markets_weight_set_by_hand_goes_before_the_learnt_one():
    learner = Learner()

    assert learner.blend(panel(a="0.9", b="0.9"), quote(), D(1), START).probability == D("0.4100")
    assert learner.blend(panel(a="0.9", b="0.9"), quote(), D(0), START).probability == D("0.9000")


def test_a_wider_market_counts_less_while_nothing_is_learnt():
    learner = Learner()
    tight = learner.blend(panel(a="0.9", b="0.9"), quote("0.40", "0.42"), None, START)
    wide = learner.blend(panel(a="0.9", b="0.9"), quote("0.36", "0.46"), None, START)

    assert tight.probability < wide.probability
    assert tight.confidence > wide.confidence


def test_a_method_learns_from_its_own_outcomes_only():
    learner = Learner()
    now = live_through(learner, 80, votes=(), right=0, model="0.8", method="weather")
    before = Learner().blend(panel(a="0.8"), quote(), D(0), START)

    assert learner.blend(panel(a="0.8"), quote(), D(0), now).model == before.model
    weather = Belief(method="weather", probability=D("0.8"))
    assert learner.blend(weather, quote(), D(0), now).model < D("0.8")


def test_corrections_are_learnt_from_what_was_said_before_any_correction():
    plain, corrected = Learner(), Learner()
    for number in range(80):
        at = START + timedelta(minutes=number)
        plain.apply(decision(f"M{number}", model="0.8", method="weather"))
        corrected.apply(decision(f"M{number}", model="0.5", method="weather", facts=[("raw_probability", "0.8")]))
        for learner in (plain, corrected):
            learner.apply(outcome(f"M{number}", 1, at))
    belief, now = Belief(method="weather", probability=D("0.6")), START + timedelta(hours=2)

    assert plain.blend(belief, quote(), D(0), now).model == corrected.blend(belief, quote(), D(0), now).model


def test_only_the_last_estimate_of_a_contract_is_judged_and_only_once():
    learner = Learner()
    learner.apply(decision("M", votes=[("a", "0.1")]))
    learner.apply(decision("M", votes=[("a", "0.9")]))
    assert learner.awaits("M")
    learner.apply(outcome("M", 1))
    learner.apply(outcome("M", 0, START + timedelta(minutes=1)))

    assert not learner.awaits("M")
    other = Learner()
    other.apply(decision("M", votes=[("a", "0.9")]))
    other.apply(outcome("M", 1))
    belief, now = panel(a="0.9", b="0.5", c="0.5", d="0.5"), START + timedelta(hours=1)
    assert learner.blend(belief, quote(), D(0), now) == other.blend(belief, quote(), D(0), now)


def test_an_estimate_without_an_opinion_teaches_nothing():
    learner = Learner()
    learner.apply(decision("M", model=None))

    assert not learner.awaits("M")


@pytest.mark.parametrize("back_s", [1, 86_400])
def test_a_clock_that_steps_back_after_an_outcome_stops_nobody(back_s):
    learner = Learner()
    now = live_through(learner, 60, votes=[("a", "0.7")], right=1)
    belief = panel(a="0.7", b="0.6")

    assert learner.blend(belief, quote(), None, now - timedelta(seconds=back_s)) == learner.blend(
        belief, quote(), None, now
    )


def weather(market, *, forecast="60.0", lead="24.0", reported="none", group="KXHIGHNY-26MAR17"):
    facts = [
        ("forecast_high_f", forecast),
        ("lead_hours", lead),
        ("reported_high_f", reported),
        ("reports_per_hour", "1.0"),
    ]
    return decision(market, method="weather", facts=facts, group=group)


def expected(history, now):
    outlook = Outlook(issued_at=now, high_f=60.0)
    facts = dict(history.estimate(RULE, outlook, None, now).facts)
    return float(facts["expected_high_f"].split(" ")[0])


def test_forecasts_that_were_too_low_are_raised():
    history = WeatherHistory()
    before = expected(history, START)
    for day in range(30):
        group = f"KXHIGHNY-{day}"
        history.apply(weather(f"M{day}", forecast="60.0", lead="35.0", group=group))
        history.apply(outcome(f"M{day}", 1, START + timedelta(minutes=day), read_as="64"))

    assert expected(history, START + timedelta(hours=1)) > before + 1


def test_the_six_brackets_of_a_day_are_one_day():
    once, often = WeatherHistory(), WeatherHistory()
    for history, brackets in ((once, 1), (often, 6)):
        for bracket in range(brackets):
            history.apply(weather(f"B{bracket}", lead="35.0"))
        for bracket in range(brackets):
            history.apply(outcome(f"B{bracket}", int(bracket == 0), read_as="64"))
    now = START + timedelta(hours=1)

    assert expected(once, now) == expected(often, now)


@pytest.mark.parametrize("read_as", ["", "yes", "nan", "inf", "561", "-1e9"])
def test_a_venue_that_names_no_degrees_teaches_nothing(read_as):
    history = WeatherHistory()
    before = expected(history, START)
    history.apply(weather("M", lead="35.0"))
    history.apply(outcome("M", 1, read_as=read_as))

    assert expected(history, START + timedelta(minutes=1)) == before


def test_a_thermometer_asked_by_a_clock_that_stepped_back_still_answers():
    history = WeatherHistory()
    history.apply(weather("M", lead="35.0"))
    history.apply(outcome("M", 1, START + timedelta(hours=2), read_as="64"))
    rule = replace(RULE, low=None)

    assert history.estimate(rule, Outlook(issued_at=START, high_f=60.0), None, START).probability > 0


def test_a_sensor_that_reports_what_no_place_ever_had_is_not_believed():
    def seen(degrees, minutes=0):
        at = START + timedelta(minutes=minutes)
        return Observation(station="KNYC", at=at, temperature_f=D(degrees), is_exact=True)

    mixed = reports_of([seen("55"), seen("1832", 5), seen("-999", 9)])

    assert mixed.highest_f == 55
    assert reports_of([seen("1832")]) is None


def test_a_forecast_of_no_weather_is_no_sign_that_the_day_is_over():
    class Nws:
        def hourly(self, station):
            return [HourlyForecast(at=START, temperature_f=D(1832), issued_at=START)]

    with pytest.raises(Retry, match="can be weather"):
        WeatherEstimator(Nws()).believe(None, RULE, START)
