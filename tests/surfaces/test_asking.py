"""Slow estimates beside the loop: what else goes on, and what is never paid for."""

import json
import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from surface_stage import ESTIMATE

from domain.candidate import Missing, Vote
from domain.errors import Retry
from domain.vocabulary import Code, Kind
from surfaces.proposal import Proposal

D = Decimal


class Oracle:
    """A prediction that waits until a test lets it go, and counts how often it was asked."""

    def __init__(self, candidate, error=None):
        self.candidate = candidate
        self.error = error
        self.asked = threading.Semaphore(0)
        self.go = threading.Event()

    def predict(self):
        self.asked.release()
        assert self.go.wait(10)
        if self.error is not None:
            raise self.error
        return lambda: (self.candidate, ESTIMATE)

    def proposal(self, costs="0"):
        return Proposal(candidates=(self.candidate,), predict=self.predict, is_slow=True, costs_usd=D(costs))


@pytest.fixture
def asked(running):
    """A stage whose desk proposes ``stage.proposals`` once each."""
    running.proposals = []

    def scan(now):
        while running.proposals:
            yield running.proposals.pop(0)

    running.desk.scan = scan
    return running


def candidate(stage, **changes):
    made = stage.propose(**changes)
    stage.script.clear()
    return made


def until(stage, condition):
    for _ in range(1000):
        stage.tick(0.01)
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came")


def test_the_loop_turns_while_an_estimate_is_worked_out(asked):
    oracle = Oracle(candidate(asked))
    asked.proposals.append(oracle.proposal())

    turns = [asked.tick(0.1) for _ in range(5)]

    assert turns == [True] * 5
    assert asked.records("decisions", Kind.DECISION) == []
    oracle.go.set()
    until(asked, lambda: asked.records("decisions", Kind.DECISION))
    assert asked.records("decisions", Kind.DECISION)[0]["admitted"]


def test_an_estimate_that_failed_is_let_go_and_the_next_is_made(asked):
    broken = Oracle(candidate(asked), Retry("an answer", "none", "later"))
    sound = Oracle(candidate(asked))
    broken.go.set()
    sound.go.set()
    asked.proposals += [broken.proposal(), sound.proposal()]

    until(asked, lambda: asked.records("decisions", Kind.DECISION))

    assert broken.asked.acquire(timeout=1)
    assert len(asked.records("decisions", Kind.DECISION)) == 1


def test_nothing_is_paid_for_what_the_gates_refuse_anyway(asked):
    oracle = Oracle(candidate(asked))
    asked.house.stop_files("fx")[0].parent.mkdir(parents=True, exist_ok=True)
    asked.house.stop_files("fx")[0].touch()
    asked.proposals.append(oracle.proposal(costs="0.01"))

    asked.tick()

    decision = asked.records("decisions", Kind.DECISION)[0]
    assert decision["code"] == Code.STOPPED
    assert [v["gate"] for v in decision["verdicts"] if v["passed"] is None] == ["edge", "confidence"]
    assert not oracle.asked.acquire(timeout=0.05)


def test_an_estimate_that_does_not_fit_the_budget_is_never_asked_for(asked):
    oracle = Oracle(candidate(asked))
    asked.proposals.append(oracle.proposal(costs="1.01"))

    asked.tick()

    assert asked.records("decisions", Kind.DECISION)[0]["code"] == Code.COST
    assert not oracle.asked.acquire(timeout=0.05)


def test_one_open_side_is_enough_to_ask(asked):
    refused = candidate(asked)
    oracle = Oracle(replace(refused, id="cnd_other"))
    oracle.go.set()
    both = replace(oracle.proposal(costs="0.01"), candidates=(replace(refused, unread="nothing"), oracle.candidate))
    asked.proposals.append(both)

    until(asked, lambda: asked.records("decisions", Kind.DECISION))

    assert asked.records("decisions", Kind.DECISION)[0]["admitted"]


def test_no_more_is_begun_than_there_is_room_for(asked):
    oracles = [Oracle(candidate(asked)) for _ in range(6)]
    asked.proposals += [oracle.proposal() for oracle in oracles]

    for _ in range(3):
        asked.tick(0.1)

    assert len(asked.proposals) == 4
    for oracle in oracles:
        oracle.go.set()
    until(asked, lambda: len(asked.records("decisions", Kind.DECISION)) == 6)


def test_what_has_no_market_any_more_is_not_decided_on(asked):
    gone = candidate(asked)
    asked.proposals.append(Proposal(candidates=(gone,), predict=lambda: lambda: None, is_slow=True))

    for _ in range(3):
        asked.tick(timedelta(seconds=1).total_seconds())

    assert asked.records("decisions", Kind.DECISION) == []


def beat(stage):
    return json.loads(stage.house.heartbeat("oanda-fx").read_text())["trouble"]


def settled_beat(stage):
    """Turn until the heartbeat, written once a second, is written anew."""
    stage.house.heartbeat("oanda-fx").unlink()
    for _ in range(2):
        stage.tick(2)
    return beat(stage)


def test_what_cannot_be_estimated_shows_in_the_heartbeat_until_it_can_again(asked):
    broken = Oracle(candidate(asked), Retry("the weather", "503", "later"))
    broken.go.set()
    asked.proposals.append(broken.proposal())
    until(asked, lambda: len(asked.loop._asking) == 0)
    ill = settled_beat(asked)
    sound = Oracle(candidate(asked))
    sound.go.set()
    asked.proposals.append(sound.proposal())
    until(asked, lambda: len(asked.loop._asking) == 0)

    assert ill == "fx: no estimate: expected the weather; found 503; later"
    assert settled_beat(asked) == ""


def test_models_that_are_missing_show_in_the_heartbeat(asked):
    vote = Vote(model="a", probability=D("0.6"), weight=D(1), cost_usd=D(0))
    estimate = replace(ESTIMATE, votes=(vote,), missing=(Missing(model="b", reason="retired"),))
    found = candidate(asked)
    asked.proposals.append(Proposal(candidates=(found,), predict=lambda: lambda: (found, estimate)))
    asked.tick()

    assert settled_beat(asked) == "panel: 1 of 2 models answered, missing b (retired)"
