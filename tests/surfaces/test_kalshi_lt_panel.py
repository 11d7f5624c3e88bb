"""The long-term surface with its panel of models: who is missing and why, and what happens when the money is gone."""

import signal
import time
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from importlib import import_module

import pytest
from event_rig import PANEL, START, Trader, World, question
from waiting import until

from audit.costs import UNSETTLED, CostFold
from domain.vocabulary import Code, Gate, Kind, Mode, Surface
from forecast.budget import PaidCall
from journal import read
from surfaces.costs import CostBook

D = Decimal
BEGIN = START - timedelta(hours=5)
FULL = (*PANEL, "anthropic:claude-haiku-4-5", "openai:gpt-5.4-nano")
# Where a process is started: each vendor's SDK takes its time to load.
ONE = "openai:gpt-5.4-mini"
QUICK = {
    "MODELS_DEADLINE_S": "5",
    "MODELS_CALL_TIMEOUT_S": "5",
    "MODELS_ATTEMPTS": "1",
    "MODELS_MAX_OUTPUT_TOKENS": "1000",
    "RISK_MAX_DISAGREEMENT": "9",
    "LT_ASK_S": "36000",
}
NAMES = ("MIXED", "QUORUM", "SLOW", "HANG", "DEAD", "HELD", "ANGRY")
MANY = dict.fromkeys(("SCAN", "FLEET", "AGAIN"), 6)


def listed():
    single = [question(name) for name in NAMES]
    many = [question(f"{name}{number}", series=f"KX{name}") for name in MANY for number in range(MANY[name])]
    return [*single, *many]


@pytest.fixture(scope="module", autouse=True)
def loaded():
    """Load the vendors' SDKs now: that takes seconds once, and is no part of how long a panel takes."""
    for name in ("anthropic", "openai", "google.genai"):
        import_module(name)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("venue"), listed(), speed=60, begin=BEGIN, models=True)
    yield made
    made.stop()


@pytest.fixture
def desk(world, tmp_path):
    made = Panelist(world, tmp_path / "home")
    yield made
    made.finish()


class Panelist(Trader):
    """A trader of long-term questions whose vendors misbehave for its own questions alone."""

    def __init__(self, world, home):
        super().__init__(world, home, Surface.LT, **QUICK)
        self.sim, self.vendor_faults = world.models, []
        self.before = self.paid()

    def about(self, name, **changes):
        self.name = name
        self.environ |= {"LT_MARKETS": f"KX{name}"} | changes
        return self

    def vendor(self, action, model=None, **params):
        match = {"contains": f"ferry of {self.name}"} | ({"model": model} if model else {})
        name = self.sim.fault(action, match=match, **params)
        self.vendor_faults.append(name)
        return name

    def open_panel(self):
        return self.open(["panel"], resolver=False)

    def paid(self):
        providers = self.sim.state()["providers"]
        return sum(found["paid_calls"] for found in providers.values())

    def calls(self):
        return self.paid() - self.before

    def costs_log(self):
        fold = CostFold()
        for entry in read(self.house.log(self.surface, "costs")):
            fold.apply(entry.record)
        return fold

    def answered(self):
        """Return how often each model was paid for each question."""
        rows = self.records("costs", Kind.COST_RESERVED)
        return Counter((row["model"], row["question"]) for row in rows)

    def has_settled(self):
        return all(call.outcome != UNSETTLED for call in self.costs_log().calls.values())

    def verdict(self, gate, code):
        """Return the gate's verdicts of decisions it refused."""
        found = [one for row in self.decisions() for one in row["verdicts"] if row["code"] == code]
        return [one for one in found if one["gate"] == gate and one["passed"] is False]

    def finish(self):
        for name in self.vendor_faults:
            self.sim.clear(name)
        super().finish()


def test_a_panel_of_which_most_are_missing_answers_in_time_and_says_who_and_why(desk):
    desk.about("MIXED", MODELS_PANEL=",".join(FULL), MODELS_DEADLINE_S="1.5")
    faults = [
        desk.vendor("status", "claude-sonnet-4-6", status=500),
        desk.vendor("slow", "gpt-5.4-mini", seconds=4),
        desk.vendor("malformed_json", "gemini-3.5-flash"),
        desk.vendor("retired_model", "deepseek-v4-flash"),
    ]
    desk.open_panel()
    desk.until(desk.decisions, "a decision")
    [decision] = desk.decisions()
    estimate = decision["estimate"]

    assert [desk.sim.fired(name) for name in faults] == [1, 1, 1, 1]
    assert {one["model"]: one["reason"] for one in estimate["missing"]} == {
        "claude-sonnet-4-6": "server_error",
        "gpt-5.4-mini": "deadline",
        "gemini-3.5-flash": "malformed",
        "deepseek-v4-flash": "retired",
    }
    assert [vote["model"] for vote in estimate["votes"]] == ["claude-haiku-4-5", "gpt-5.4-nano"]
    assert 1.5 <= float(dict(estimate["facts"])["elapsed_s"]) < 3
    assert decision["code"] != Code.COST


def test_too_few_votes_are_refused_with_the_numbers(desk):
    desk.about("QUORUM", RISK_MIN_QUORUM="3", RISK_MIN_EDGE_BP="0")
    faults = [desk.vendor("status", "claude*", status=500), desk.vendor("malformed_json", "gemini*")]
    desk.open_panel()
    desk.until(desk.decisions, "a decision")
    [decision] = desk.decisions()
    [refused] = [one for one in decision["verdicts"] if one["gate"] == Gate.CONFIDENCE]

    assert [desk.sim.fired(name) for name in faults] == [1, 1]
    assert refused["passed"] is False
    assert (refused["code"], D(refused["value"]), D(refused["limit"]), refused["unit"]) == ("CONFIDENCE", 2, 3, "votes")
    assert not decision["admitted"]
    assert desk.created() == {}


def test_an_answer_that_comes_after_the_deadline_is_paid_once_and_kept(desk):
    desk.about("SLOW", MODELS_DEADLINE_S="0.5", LT_ASK_S="60", RISK_MIN_EDGE_BP="9999")
    slow = desk.vendor("slow", "gpt*", seconds=1, times=1)
    desk.open_panel()
    desk.until(lambda: len(desk.decisions()[-1:]) and len(desk.decisions()[-1]["estimate"]["votes"]) == 4, "four votes")
    first, *_, last = desk.decisions()

    assert desk.sim.fired(slow) == 1
    assert [one["reason"] for one in first["estimate"]["missing"]] == ["deadline"]
    assert all(vote["is_cached"] for vote in last["estimate"]["votes"])
    assert D(last["estimate"]["cost_usd"]) == 0
    assert desk.calls() == 4
    assert {call.outcome for call in desk.costs_log().calls.values()} == {"answered"}


def test_when_the_budget_of_the_day_is_gone_in_the_middle_of_a_scan_nobody_is_paid_any_more(desk):
    desk.about("SCAN", RISK_COST_DAY_USD="0.06")
    desk.open_panel()
    desk.until(lambda: len({row["candidate"]["market"] for row in desk.decisions()}) == 6, "every market decided")
    paid, spent = desk.calls(), desk.costs.spent()
    for _ in range(20):
        desk.turn()
    refusals = desk.verdict(Gate.COST, Code.COST)

    assert 0 < paid < 24
    assert desk.calls() == paid
    assert len(desk.costs_log().calls) == paid
    assert spent.day <= D("0.06")
    assert refusals
    assert all(D(one["value"]) > D(one["limit"]) == D("0.06") for one in refusals)
    assert {(one["unit"], one["note"]) for one in refusals} == {("USD", "day, with the next estimate")}
    assert all(row["estimate"]["method"] == "none" for row in desk.decisions() if row["code"] == Code.COST)


def test_what_another_surface_spends_is_gone_from_the_fleets_budget(desk):
    desk.about("FLEET", RISK_FLEET_COST_DAY_USD="0.06", RISK_COST_DAY_USD="9")
    desk.open_panel()
    desk.until(desk.decisions, "a decision that was paid for")
    call = PaidCall(provider="anthropic", model="claude", question="other", worst_usd=D("0.03"))
    with CostBook(desk.house, Surface.ST, Mode.PAPER, desk.clock, desk.config.limits) as other:
        other.reserve(call)
        desk.until(lambda: desk.codes()[Code.COST], "a refusal")
        paid = desk.calls()
        for _ in range(20):
            desk.turn()
    refusals = desk.verdict(Gate.COST, Code.COST)

    assert desk.calls() == paid
    assert {one["note"] for one in refusals} == {"day of the fleet, with the next estimate"}
    assert {D(one["limit"]) for one in refusals} == {D("0.06")}
    assert desk.costs.spent().day + D("0.03") <= D("0.06")


def test_a_restart_forgets_nothing_that_was_spent(desk):
    desk.about("AGAIN", RISK_COST_DAY_USD="0.06", LT_ASK_S="60")
    desk.open_panel()
    desk.until(lambda: desk.codes()[Code.COST], "a refusal")
    desk.until(desk.has_settled, "every call settled")
    before, bought = desk.costs.spent(), desk.answered()
    desk.close()
    desk.open_panel()
    after = desk.costs.spent()
    refused = desk.codes()[Code.COST]
    desk.until(lambda: desk.codes()[Code.COST] > refused, "another refusal")
    desk.until(desk.has_settled, "every call settled")

    assert after == before
    # What a call left of the money set aside for it may pay for another one, but never more than the day's budget.
    assert desk.costs.spent().day <= D("0.06")
    assert len(desk.costs_log().calls) == desk.calls()
    # Answers given before are kept and free: nobody is asked the same twice.
    assert set(desk.answered().values()) == set(bought.values()) == {1}


def test_a_call_that_was_under_way_when_the_process_was_killed_counts_in_full(desk):
    desk.about("HANG", MODELS_PANEL=ONE)
    hanging = desk.vendor("hang", paid=False)
    desk.start("surfaces")
    until(lambda: desk.sim.fired(hanging), "a call under way")
    desk.end(signal.SIGKILL)
    calls = desk.costs_log().calls
    desk.open_panel()

    assert Counter(call.outcome for call in calls.values()) == {UNSETTLED: 1}
    assert desk.costs.spent().day == sum(call.reserved for call in calls.values())


def test_a_surface_told_to_end_takes_the_answers_that_are_on_their_way_and_no_more_time(desk):
    desk.about("DEAD", MODELS_PANEL=ONE, MODELS_DEADLINE_S="60", MODELS_CALL_TIMEOUT_S="60")
    slow = desk.vendor("slow", seconds=1)
    desk.start("surfaces")
    until(lambda: desk.sim.fired(slow), "a call under way")
    process = desk.running.pop("surfaces")
    process.terminate()

    assert process.wait(3) == 0
    assert Counter(call.outcome for call in desk.costs_log().calls.values()) == {"answered": 1}
    assert desk.records("decisions", Kind.DECISION) == []


def test_a_loop_with_estimates_on_their_way_is_shut_down_within_two_seconds(desk):
    desk.about("HELD", MODELS_DEADLINE_S="60", MODELS_CALL_TIMEOUT_S="3")
    hanging = desk.vendor("hang", paid=False)
    desk.open_panel()
    desk.until(lambda: desk.sim.fired(hanging) == 4, "four calls under way")
    began = time.monotonic()
    desk.close()

    assert time.monotonic() - began < 2
    assert Counter(call.outcome for call in desk.costs_log().calls.values()) == {UNSETTLED: 4}


def test_a_process_whose_prediction_fails_as_nobody_foresaw_ends_as_a_crash(desk):
    desk.about("ANGRY")
    desk.oracle.believe = lambda contract, rule, now: 1 // 0
    desk.open(resolver=False)

    with pytest.raises(ZeroDivisionError):
        desk.until(desk.decisions, "never")
    assert desk.decisions() == []
