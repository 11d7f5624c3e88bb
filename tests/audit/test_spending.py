"""Costs: every call is counted once, an unsettled one in full, and the sums are what the ledger holds."""

import json
from decimal import Decimal

import pytest
from event_journals import EventJournals, cost_verdict, missing, vote

from audit.costs import CostFold
from audit.spending import fleet, spendings
from audit.spending_pages import spending_text
from domain.vocabulary import Mode, Surface
from forecast.budget import Usage
from journal import read

D = Decimal


@pytest.fixture
def told(tmp_path):
    with EventJournals(tmp_path) as journals:
        yield journals


def only(told, moment=None):
    [found] = spendings(told.logs, moment, ["lt"])
    [mode] = found.as_dict()["modes"]
    return mode


def test_calls_are_counted_by_day_provider_and_model_with_what_came_of_them(told):
    told.call("claude", cost="0.0041")
    told.call("claude", cost="0.0020", outcome="timeout", tokens=(0, 0))
    told.call("claude", cost=None)
    told.call("gpt", provider="openai", cost="0.0100", tokens=(500, 90))
    told.clock.advance(86_400)
    told.call("claude", cost="0.0030")

    rows = only(told)["by_day_and_model"]

    assert [(row["day"], row["provider"], row["model"]) for row in rows] == [
        ("2014-05-06", "anthropic", "claude"),
        ("2014-05-06", "openai", "gpt"),
        ("2014-05-07", "anthropic", "claude"),
    ]
    assert rows[0] == {
        "day": "2014-05-06",
        "provider": "anthropic",
        "model": "claude",
        "calls": 3,
        "answered": 1,
        "unsettled": 1,
        "failed": {"timeout": 1},
        "tokens_in": 812,
        "tokens_out": 140,
        "settled": "0.0061",
        "reserved": "0.0500",
        "total": "0.0561",
        "currency": "USD",
    }


def test_a_call_nobody_settled_counts_with_all_that_was_reserved(told):
    told.call("claude", worst="0.3", cost=None)
    told.call("claude", worst="0.3", cost="0.1")

    found = only(told)

    assert (found["settled"], found["reserved"], found["total"]) == ("0.1", "0.3", "0.4")
    assert "2 calls, 1 answered, 0.4000 USD, of which 0.3000 USD reserved for 1 call not settled yet" in spending_text(
        spendings(told.logs, None)
    )


def test_the_report_and_the_ledger_that_enforces_the_budget_agree(told):
    for number in range(20):
        told.call("claude", worst="0.02", cost=None if number % 3 else "0.01")
    ledger = CostFold()
    for entry in read(told.logs / "lt" / "costs"):
        ledger.apply(entry.record)

    found = only(told)

    assert D(found["total"]) == ledger.day(told.clock.now().date()) == told.costs.spent().day == D("0.33")


def test_what_a_decision_and_a_trade_cost_is_told_of_those_asked_for_too(told):
    told.call("claude", cost="0.12")
    told.estimate("A")
    told.estimate("B", votes=(vote("claude", "0.5"),))
    told.estimate("C", missing=(missing("claude", "timeout"),))
    told.trade("D", votes=(vote("claude", "0.5"),))

    found = only(told)

    assert (found["decisions"], found["decisions_asked_for"], found["admitted"]) == (4, 3, 1)
    assert (found["per_decision"], found["per_decision_asked_for"], found["per_admitted"]) == (
        "0.030000",
        "0.040000",
        "0.120000",
    )


def test_without_a_decision_there_is_no_cost_of_one(told):
    told.call("claude")

    found, text = only(told), spending_text(spendings(told.logs, None))

    assert (found["per_decision"], found["per_admitted"]) == (None, None)
    assert "a decision" not in text


def test_a_budget_is_the_newest_one_a_decision_was_held_against(told):
    told.call("claude")
    told.estimate("A", more=(cost_verdict("5"),))
    told.estimate("B", more=(cost_verdict("60", "month of the fleet, with the next estimate"),))
    told.estimate("C", more=(cost_verdict("7"),))

    caps = only(told)["caps"]

    assert {name: cap["limit"] for name, cap in caps.items()} == {"day": "7", "month of the fleet": "60"}


def test_a_gate_that_was_not_asked_and_a_budget_of_nothing_name_no_budget(told):
    unasked = cost_verdict("0")
    told.estimate("A", more=(unasked,))

    assert only(told)["caps"] == {}


def test_since_counts_the_calls_reserved_since(told):
    before = told.call("claude", cost=None)
    told.clock.advance(3600)
    moment = told.clock.now()
    told.costs.settle(before, Usage(), D("0.0100"), "answered")
    told.call("claude", cost="0.0500")

    found = only(told, moment)

    assert (found["calls"], found["total"]) == (1, "0.0500")
    assert only(told)["total"] == "0.0600"


def test_the_fleet_is_the_sum_of_all_surfaces_and_modes(tmp_path):
    with EventJournals(tmp_path, Surface.LT) as lt:
        lt.call("claude", cost="0.03")
    with EventJournals(tmp_path, Surface.LT, Mode.DRY_RUN) as dry:
        dry.clock.advance(60)
        dry.call("claude", cost="0.02")
    with EventJournals(tmp_path, Surface.ST) as st:
        st.call("gpt", cost=None, worst="0.01")

        found = spendings(st.logs, None)

    together = fleet(found).as_dict()
    assert [(one["surface"], [mode["mode"] for mode in one["modes"]]) for one in map(as_dict, found)] == [
        ("st", ["paper"]),
        ("lt", ["dry_run", "paper"]),
    ]
    assert (together["calls"], together["settled"], together["reserved"]) == (3, "0.05", "0.01")


def as_dict(found):
    return json.loads(json.dumps(found.as_dict()))


def test_words_of_strangers_can_not_steer_a_terminal(told):
    told.call("gpt\x1b[2J", provider="open\x9bai", outcome="odd\x1b")

    assert not {"\x1b", "\x9b"} & set(spending_text(spendings(told.logs, None)))
