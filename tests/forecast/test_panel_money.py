"""What asking costs: budgets that end, answers that come late, and answers that were paid for already."""

import threading
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import panel_rig
import pytest
from panel_rig import EVERY, FOUR, NOW, Bench, Purse, reasons, voters
from waiting import until

from domain.clock import FakeClock
from domain.errors import Halt
from forecast.budget import PaidCall
from forecast.panel import PanelAnswer


def test_what_the_votes_cost_is_what_the_ledger_holds_and_no_less_than_the_vendors_bill(bench: Bench) -> None:
    purse = Purse()
    before = Decimal(bench.sim.state()["cost_usd"])

    answer = bench.panel(purse).ask(bench.question)
    billed = Decimal(bench.sim.state()["cost_usd"]) - before

    assert answer.cost_usd == sum(vote.cost_usd for vote in answer.votes) == purse.spent
    assert Decimal("0") < billed <= answer.cost_usd
    assert [outcome for _, _, outcome in purse.settled.values()] == ["answered"] * 4
    for name, (usage, cost, _) in purse.settled.items():
        assert cost <= purse.reserved[name].worst_usd
        assert usage.tokens_in > 0


@pytest.mark.parametrize("provider", FOUR)
def test_an_answer_without_token_counts_is_counted_at_its_worst(bench: Bench, provider: str) -> None:
    bench.fault(provider, "no_usage")
    purse = Purse()

    answer = bench.panel(purse, panel=f"{provider}:{FOUR[provider]}").ask(bench.question)

    assert voters(answer) == [FOUR[provider]]
    assert answer.cost_usd == purse.reserved["cst_1"].worst_usd


@pytest.mark.parametrize("provider", FOUR)
def test_a_vendor_that_stays_silent_costs_its_timeout_once_and_is_paid_for(bench: Bench, provider: str) -> None:
    bench.fault(provider, "hang")
    purse = Purse()

    answer = bench.panel(purse, panel=f"{provider}:{FOUR[provider]}", call_timeout_s=0.5).ask(bench.question)

    assert reasons(answer) == {FOUR[provider]: "timeout"}
    assert answer.elapsed_s < 2
    assert bench.requests(provider) == 1
    assert answer.cost_usd == purse.spent == purse.reserved["cst_1"].worst_usd


def test_an_answer_cut_in_the_middle_is_paid_for_and_asked_for_again(bench: Bench) -> None:
    bench.fault("anthropic", "cut", times=1)
    purse = Purse()

    answer = bench.panel(purse, panel="anthropic:claude-sonnet-4-6").ask(bench.question)

    assert [vote.attempts for vote in answer.votes] == [2]
    assert purse.outcomes("claude-sonnet-4-6") == ["dropped", "answered"]
    assert purse.spent == answer.cost_usd > purse.reserved["cst_1"].worst_usd
    assert bench.paid() == 2


def test_no_call_is_made_once_the_budget_has_refused_one(bench: Bench) -> None:
    purse = Purse(calls=2)

    answer = bench.panel(purse).ask(bench.question)

    assert voters(answer) == EVERY[:2]
    assert reasons(answer) == dict.fromkeys(EVERY[2:], "budget")
    assert len(purse.refused) == 1
    assert (bench.paid(), bench.requests("gemini"), bench.requests("deepseek")) == (2, 0, 0)


def test_a_budget_that_ends_in_the_middle_stops_second_attempts_too(bench: Bench) -> None:
    bench.fault("anthropic", "overloaded", retry_after=0)
    purse = Purse(calls=4)

    answer = bench.panel(purse, attempts=5).ask(bench.question)

    assert voters(answer) == EVERY[1:]
    assert reasons(answer) == {EVERY[0]: "budget"}
    assert bench.requests("anthropic") == 1
    assert len(purse.reserved) == 4


def test_room_is_asked_for_in_dollars_before_the_vendor_is(bench: Bench) -> None:
    purse = Purse(room=Decimal("0.001"))

    answer = bench.panel(purse).ask(bench.question)

    assert reasons(answer) == dict.fromkeys(EVERY, "budget")
    assert (answer.cost_usd, bench.paid()) == (0, 0)


def test_the_worst_case_is_known_before_asking_and_nothing_for_what_is_kept(bench: Bench) -> None:
    purse = Purse()
    panel = bench.panel(purse, samples=2)

    worst = panel.worst_usd(bench.question)
    panel.ask(bench.question)

    assert worst == sum(call.worst_usd for call in purse.reserved.values()) > purse.spent
    assert panel.worst_usd(bench.question) == 0


def test_an_answer_after_the_deadline_is_settled_and_kept_for_the_next_time(bench: Bench) -> None:
    bench.fault("openai", "slow", seconds=1)
    purse = Purse()
    panel = bench.panel(purse, deadline_s=0.4, panel="openai:gpt-5.4-mini")

    late = panel.ask(bench.question)

    assert reasons(late) == {"gpt-5.4-mini": "deadline"}
    assert late.cost_usd == purse.reserved["cst_1"].worst_usd
    assert purse.open == {"cst_1"}
    until(lambda: not purse.open, "the late answer settled")
    assert 0 < purse.spent < late.cost_usd
    again = until(lambda: panel.ask(bench.question).votes, "the late answer kept")
    assert [(vote.is_cached, vote.cost_usd, vote.attempts) for vote in again] == [(True, 0, 0)]
    assert bench.paid() == 1


def test_closing_waits_for_late_answers_to_be_settled(bench: Bench) -> None:
    bench.fault("deepseek", "slow", seconds=1)
    purse = Purse()
    panel = bench.panel(purse, deadline_s=0.2, panel="deepseek:deepseek-v4-flash")
    panel.ask(bench.question)

    panel.close(10)

    assert purse.outcomes("deepseek-v4-flash") == ["answered"]


def test_those_who_ask_the_same_at_once_share_the_calls(bench: Bench) -> None:
    for provider in FOUR:
        bench.fault(provider, "slow", seconds=0.5)
    purse = Purse()
    panel = bench.panel(purse)
    answers: list[PanelAnswer] = []
    askers = [threading.Thread(target=lambda: answers.append(panel.ask(bench.question))) for _ in range(3)]

    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()

    assert [voters(answer) for answer in answers] == [EVERY] * 3
    assert sum(answer.cost_usd for answer in answers) == purse.spent
    assert bench.paid() == 4


def test_a_question_asked_again_is_free_until_the_answer_is_too_old(bench: Bench) -> None:
    clock = FakeClock(NOW)
    panel = bench.panel(clock=clock, cache_ttl_s=60)

    first = panel.ask(bench.question)
    clock.advance(59)
    second = panel.ask(bench.question)
    clock.advance(1)
    third = panel.ask(bench.question)

    assert [vote.is_cached for answer in (first, second, third) for vote in answer.votes] == [
        is_cached for is_cached in (False, True, False) for _ in FOUR
    ]
    assert [vote.probability for vote in second.votes] == [vote.probability for vote in first.votes]
    assert second.cost_usd == 0 < third.cost_usd
    assert bench.paid() == 8


def test_a_question_with_other_facts_is_another_question(bench: Bench) -> None:
    panel = bench.panel()
    panel.ask(bench.question)

    answer = panel.ask(panel_rig.question(bench.text, facts=(("strike", "called off"),)))

    assert [vote.is_cached for vote in answer.votes] == [False] * 4
    assert bench.paid() == 8


def test_a_restart_does_not_pay_again(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    first = bench.panel(cache_file=file).ask(bench.question)

    second = bench.panel(cache_file=file, clock=FakeClock(NOW + timedelta(hours=5))).ask(bench.question)

    assert [(vote.model, vote.probability, vote.version) for vote in second.votes] == [
        (vote.model, vote.probability, vote.version) for vote in first.votes
    ]
    assert all(vote.is_cached for vote in second.votes)
    assert (second.cost_usd, bench.paid()) == (0, 4)


def test_only_the_models_that_failed_are_asked_again(bench: Bench) -> None:
    bench.fault("gemini", "malformed_json", times=1)
    panel = bench.panel()
    panel.ask(bench.question)

    answer = panel.ask(bench.question)

    assert [vote.is_cached for vote in answer.votes] == [True, True, False, True]


def test_a_small_budget_buys_many_models_rather_than_many_samples(bench: Bench) -> None:
    answer = bench.panel(Purse(calls=4), samples=3).ask(bench.question)

    assert voters(answer) == EVERY


class Broken(Purse):
    """A ledger whose disk fails at the ``at``-th word of a kind."""

    def __init__(self, kind: str, at: int) -> None:
        super().__init__()
        self.kind, self.at = kind, at

    def fail(self, kind: str) -> None:
        if kind == self.kind:
            self.at -= 1
            if self.at < 0:
                raise Halt("to write", "a failing disk", "check the disk")

    def reserve(self, call: PaidCall) -> str:
        self.fail("reserve")
        return super().reserve(call)

    def settle(self, *words: Any) -> None:
        self.fail("settle")
        super().settle(*words)


@pytest.mark.parametrize(
    ("kind", "at", "paid"), [("reserve", 0, 0), ("reserve", 2, 0), ("settle", 0, 4), ("settle", 3, 4)]
)
def test_a_ledger_that_cannot_be_written_any_more_ends_the_asking(bench: Bench, kind: str, at: int, paid: int) -> None:
    panel = bench.panel(Broken(kind, at))

    with pytest.raises(Halt, match="a failing disk"):
        panel.ask(bench.question)
    with pytest.raises(Halt, match="a failing disk"):
        panel.ask(panel_rig.question(bench.text + " And then?"))

    assert bench.paid() == paid


def test_a_ledger_that_fails_between_two_attempts_ends_the_asking(bench: Bench) -> None:
    bench.fault("openai", "overloaded", retry_after=0)

    with pytest.raises(Halt, match="a failing disk"):
        bench.panel(Broken("reserve", 1), panel="openai:gpt-5.4-mini").ask(bench.question)

    assert bench.requests("openai") == 1
