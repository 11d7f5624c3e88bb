"""The answer to "why" about event contracts: who believed what, how the text was read, how the contract ended."""

from dataclasses import replace
from decimal import Decimal

import pytest
from event_journals import EDGE, RULE, EventJournals, missing, vote

from audit.report import SurfaceReport
from audit.why import details, history, sentence
from domain.decision import Verdict
from domain.vocabulary import Code, Gate, Mode

D = Decimal
# How a price that is compared unrounded is kept.
STRICT = {"unit": "USD", "resolution": D("1E-8"), "rounding": "compared unrounded"}
VOTES = (
    vote("claude-x", "0.71", weight=D("1.2"), version="claude-x-20140501", attempts=2),
    vote("gpt-y", "0.58", is_cached=True, cost_usd=D(0)),
)


@pytest.fixture
def told(tmp_path):
    with EventJournals(tmp_path) as journals:
        yield journals


def lines_of(told, decision):
    return details(next(r for r in history(told.logs, decision.id) if r["kind"] == "decision"))


def test_a_decision_tells_belief_votes_absences_reading_and_facts(told):
    decision = told.estimate(
        "KXHIGHNY-14MAY06-B60.5",
        votes=VOTES,
        missing=(missing("gemini-z", "timeout", "0.0021"), missing("deepseek", "resting")),
        cost_usd=D("0.0103"),
        facts=(("forecast_high", "61.2"), ("market_weight", "0.67")),
    )

    assert lines_of(told, decision) == [
        "nearest miss: EDGE at gate edge (300 against 400 bp), 25.0% of the limit away",
        "believed 60.0%, the market said 50.0%, decided on 55.0% (panel)",
        "edge +300 bp after +200 bp of spread and fees, confidence 0.7, disagreement 0.4",
        "vote: claude-x (claude-x-20140501) 71.0%, weight 1.2, 812 tokens in and 140 out in 2 attempts, 0.0041 USD",
        "vote: gpt-y 58.0%, weight 1, from the cache",
        "no vote: gemini-z (timeout), 0.0021 USD all the same",
        "no vote: deepseek (resting)",
        "all calls together: 0.0103 USD",
        "settles: highest temperature, YES from 60 to 61 degF",
        "source: National Weather Service, CLINYC, station KNYC",
        "observed: on 2014-05-06, from 2014-05-06 05:00 UTC to 2014-05-07 05:00 UTC",
        "rounding: whole degrees, as reported",
        "revision: the report at expiration counts",
        "void: the last fair price without a report",
        "fact: forecast_high = 61.2",
        "fact: market_weight = 0.67",
    ]


def test_a_text_that_was_not_understood_says_why(told):
    unparsed = Verdict(
        gate=Gate.DIRECTION,
        passed=False,
        code=Code.RULE_UNPARSED,
        value=D(1),
        limit=D(0),
        unit="rules unread",
        note="why",
    )
    reason = "the text names 'Newark', series KXHIGHNY settles on Central Park"
    decision = told.estimate(
        "A", rule=None, unread=reason, refusals=(unparsed,), method="none", model=None, market_probability=None
    )

    [record] = history(told.logs, decision.id)

    assert sentence(record) == (
        "buy A (event.panel) refused: RULE_UNPARSED at gate direction (1 against 0 rules unread), passed 1 of 2"
    )
    assert details(record) == ["no estimate was made", f"the contract's text was not understood: {reason}"]


def test_an_estimate_without_an_opinion_says_so(told):
    decision = told.estimate("A", model=None, blended="0.5", missing=(missing("claude-x", "budget"),))

    said = lines_of(told, decision)

    assert "nobody gave an opinion, the market said 50.0%, decided on 50.0% (panel)" in said
    assert "no vote: claude-x (budget)" in said


def test_the_nearest_of_several_refusals_is_told_and_a_plain_no_is_near_to_nothing(told):
    closed = Verdict(
        gate=Gate.DIRECTION,
        passed=False,
        code=Code.MARKET_CLOSED,
        value=D(1),
        limit=D(0),
        unit="closures",
        note="venue",
    )
    near = replace(
        EDGE, gate=Gate.CONFIDENCE, code=Code.CONFIDENCE, value=D("0.54"), limit=D("0.55"), unit="confidence"
    )
    both = told.estimate("A", refusals=(closed, EDGE, near))
    alone = told.estimate("B", refusals=(closed,))

    assert lines_of(told, both)[0] == (
        "nearest miss: CONFIDENCE at gate confidence (0.54 against 0.55 confidence), 1.8% of the limit away"
    )
    assert not lines_of(told, alone)[0].startswith("nearest miss")


def test_a_side_where_nobody_stands_is_told_in_words_and_near_to_nothing(told):
    nobody = Verdict(
        gate=Gate.SLIPPAGE,
        passed=False,
        code=Code.SLIPPAGE,
        value=D(0),
        limit=D(0),
        unit="price",
        note="decision price",
    )
    decision = told.estimate("A", refusals=(nobody, EDGE))
    [record] = history(told.logs, decision.id)
    report = SurfaceReport("lt").add([record])

    assert f"SLIPPAGE at gate slippage (no price to {record['candidate']['side']} at)" in sentence(record)
    assert lines_of(told, decision)[0].startswith("nearest miss: EDGE at gate edge")
    assert report.nearest == {}


def test_a_refused_currency_trade_tells_its_nearest_miss_and_an_admitted_one_nothing_more(story, tmp_path):
    story.refuse(1, Gate.EDGE, "1.5", "2")
    story.decide(2)
    story.write(tmp_path)
    refused, admitted = story.streams["decisions"]

    assert details(history(tmp_path, refused["id"])[0]) == [
        "nearest miss: EDGE at gate edge (1.5 against 2 bp), 25.0% of the limit away"
    ]
    assert details(history(tmp_path, admitted["id"])[0]) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"low": None}, "YES up to 61 degF"),
        ({"high": None}, "YES from 60 degF up"),
        ({**STRICT, "low": D("4674.99000001"), "high": None}, "YES above 4674.99 USD"),
        ({**STRICT, "low": D("4675.00000001"), "high": None}, "YES above 4675.00 USD"),
        ({**STRICT, "low": D("0.10551"), "high": None}, "YES from 0.10551 USD up"),
        ({**STRICT, "low": D("0.10551001"), "high": None}, "YES above 0.10551 USD"),
        ({**STRICT, "low": D("4675"), "high": None}, "YES from 4675 USD up"),
        ({**STRICT, "low": None, "high": D("4674.98999999")}, "YES below 4674.99 USD"),
        ({**STRICT, "low": None, "high": D("4674.99")}, "YES up to 4674.99 USD"),
        ({**STRICT, "resolution": D("0.01"), "low": D("4675.00"), "high": None}, "YES from 4675.00 USD up"),
        (
            {"low": None, "high": None, "unit": "", "station": ""},
            "settles: highest temperature, YES if the source says so",
        ),
        ({"begins_at": RULE.ends_at}, "observed: at 2014-05-07 05:00 UTC"),
        ({"begins_at": None, "observed_on": None}, "observed: until 2014-05-07 05:00 UTC"),
        ({"observed_on": None}, "observed: from 2014-05-06 05:00 UTC to 2014-05-07 05:00 UTC"),
    ],
)
def test_bounds_and_times_of_a_rule_are_told_in_words(told, changes, said):
    decision = told.estimate("A", rule=replace(RULE, **changes))

    assert said in "\n".join(lines_of(told, decision))


def test_a_trade_tells_what_was_seen_early_how_it_was_paid_and_how_the_contract_ended(told):
    decision = told.trade("A")
    other = told.trade("B")
    told.resolve(decision, "1", provisional=True, outcome="61 degF", resolution_source="nws_observation")
    told.resolve(decision, "0", provisional=True, outcome="no (disputed)", disputed=True)
    told.resolve(decision, "0", disputed=True)
    told.end("B", "1")
    told.end("A", "0", read_as="59")

    records = history(told.logs, decision.id)
    said = [sentence(record) for record in records]

    assert said[0].startswith("buy A (event.panel) admitted by all ten gates")
    assert said[2:] == [
        "A seen early: 61 degF, nothing paid yet; +5.00 USD if it holds (nws_observation)",
        "A seen early: no (disputed), disputed, nothing paid yet; -5.00 USD if it holds (kalshi_resolution)",
        "A resolved -5.00 USD by settled, outcome no, 3.00 h of 20.00 h expected (kalshi_resolution), disputed",
        "contract A ended no: YES paid 0, read as 59; closed 2014-05-07 03:00",
    ]
    assert all(other.id not in str(record) for record in records)


def test_an_outcome_of_another_mode_or_before_the_decision_is_not_its_own(tmp_path):
    with EventJournals(tmp_path) as paper:
        paper.end("A", "1")
        decision = paper.estimate("A")
    with EventJournals(tmp_path, mode=Mode.DRY_RUN) as dry:
        dry.end("A", "1")

        found = history(dry.logs, decision.id)

    assert [record["kind"] for record in found] == ["decision"]


def test_a_paid_call_is_told_by_its_reservation(told):
    reservation = told.call("claude-x", cost="0.0041")
    told.call("gpt-y", cost="0.0100")

    said = [sentence(record) for record in history(told.logs, reservation)]

    assert said == [
        "reserved 0.0500 USD for a call of anthropic claude-x about KXFED-26DEC",
        f"anthropic claude-x answered: 0.0041 USD for 812 tokens in and 140 out ({reservation})",
    ]


def test_words_of_strangers_can_not_steer_a_terminal(told):
    nasty = "x\x1b[2J\x9b\n"
    decision = told.estimate(
        "A",
        rule=replace(RULE, source=nasty, void=nasty),
        votes=(vote(nasty, "0.5", version=nasty),),
        missing=(missing(nasty, nasty),),
        facts=((nasty, nasty),),
    )

    for line in lines_of(told, decision):
        assert line.isprintable()
