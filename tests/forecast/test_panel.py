"""The panel against the simulated vendors, through their own SDKs: who votes, who is missing, and what it all cost."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

import panel_rig
import pytest
from models_sim import ModelsSim
from panel_rig import FOUR, NOW, Purse, reasons, until

from domain.clock import FakeClock
from forecast.panel import Panel, PanelAnswer
from forecast.question import Question

ROOT = Path(__file__).parents[2]
EVERY = list(FOUR.values())
NUMBERS = count(1)


class Bench:
    """A simulator, and panels that ask it a question of this test's own."""

    def __init__(self, sim: ModelsSim) -> None:
        self.sim = sim
        self.text = f"Will ferry number {next(NUMBERS)} run by June?"
        self.faults: list[str] = []
        self.panels: list[Panel] = []
        self.before = self.sim.state()["providers"]

    @property
    def question(self) -> Question:
        return panel_rig.question(self.text)

    def fault(self, provider: str, action: str, **fields: object) -> str:
        match = {"provider": provider, "contains": self.text}
        name = self.sim.fault(action, match=match, **fields)
        self.faults.append(name)
        return name

    def panel(self, purse: Purse | None = None, **changes: object) -> Panel:
        clock = changes.pop("clock", None)
        file = changes.pop("cache_file", None)
        fast = {"deadline_s": 20, "call_timeout_s": 20} | changes
        keys = {f"{provider}_key": key for provider, key in self.sim.keys.items()}
        made = panel_rig.panel(self.sim.urls, purse, clock=clock, cache_file=file, **(keys | fast))
        self.panels.append(made)
        return made

    def paid(self, provider: str | None = None) -> int:
        """Count the calls the vendors billed since this test began."""
        now = self.sim.state()["providers"]
        names = FOUR if provider is None else [provider]
        return sum(now[name]["paid_calls"] - self.before[name]["paid_calls"] for name in names)

    def requests(self, provider: str) -> int:
        now = self.sim.state()["providers"]
        return now[provider]["requests"] - self.before[provider]["requests"]

    def close(self) -> None:
        for name in self.faults:
            assert self.sim.fired(name) > 0, f"{name} never fired"
            self.sim.clear(name)
        for panel in self.panels:
            panel.close()


@pytest.fixture(scope="module")
def sim() -> Iterator[ModelsSim]:
    running = ModelsSim()
    # The SDKs are loaded here, once, so that no test measures that.
    bench = Bench(running)
    bench.panel().ask(bench.question)
    bench.close()
    yield running
    running.stop()


@pytest.fixture
def bench(sim: ModelsSim) -> Iterator[Bench]:
    made = Bench(sim)
    yield made
    made.close()


def voters(answer: PanelAnswer) -> list[str]:
    return [vote.model for vote in answer.votes]


def test_four_vendors_give_four_votes_that_say_where_they_come_from(bench: Bench) -> None:
    purse = Purse()

    answer = bench.panel(purse).ask(bench.question, weights={"gpt-5.4-mini": Decimal("1.5")})

    assert voters(answer) == EVERY
    assert answer.missing == ()
    assert [vote.provider for vote in answer.votes] == list(FOUR)
    assert all(0 < vote.probability < 1 for vote in answer.votes)
    assert [vote.weight for vote in answer.votes] == [1, Decimal("1.5"), 1, 1]
    assert all(vote.version and vote.tokens_in > 300 and vote.tokens_out > 0 for vote in answer.votes)
    assert {vote.prompt for vote in answer.votes} == {answer.prompt} == {"binary-v1@431bc6f55c44"}
    assert [(vote.attempts, vote.is_cached) for vote in answer.votes] == [(1, False)] * 4
    assert bench.paid() == 4


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


def test_one_down_one_slow_one_talking_nonsense_and_one_retired_are_named_within_the_deadline(bench: Bench) -> None:
    bench.fault("anthropic", "status", status=500)
    bench.fault("openai", "slow", seconds=30)
    bench.fault("gemini", "malformed_json")
    bench.fault("deepseek", "retired_model")
    started = time.monotonic()

    answer = bench.panel(deadline_s=2).ask(bench.question)

    assert time.monotonic() - started < 3.5
    assert answer.elapsed_s < 3.5
    assert answer.votes == ()
    assert reasons(answer) == dict(zip(EVERY, ["server_error", "deadline", "malformed", "retired"], strict=True))
    assert [missing.cost_usd > 0 for missing in answer.missing] == [False, True, True, False]
    assert answer.cost_usd == sum(missing.cost_usd for missing in answer.missing)


def test_the_others_vote_when_one_is_missing(bench: Bench) -> None:
    bench.fault("gemini", "out_of_range")

    answer = bench.panel().ask(bench.question)

    assert voters(answer) == [model for model in EVERY if model != FOUR["gemini"]]
    assert reasons(answer) == {FOUR["gemini"]: "out_of_range"}


@pytest.mark.parametrize("provider", FOUR)
@pytest.mark.parametrize(
    ("action", "fields", "reason", "is_paid"),
    [
        ("malformed_json", {}, "malformed", True),
        ("wrong_schema", {}, "malformed", True),
        ("empty", {}, "malformed", True),
        ("out_of_range", {}, "out_of_range", True),
        ("out_of_range", {"value": "NaN"}, "malformed", True),
        ("truncated", {}, "truncated", True),
        ("refusal", {"form": "filter"}, "refused", True),
        ("auth", {}, "unauthorized", False),
        ("retired_model", {}, "retired", False),
        ("out_of_credit", {}, "unpaid", False),
    ],
)
def test_each_way_to_give_no_answer_has_its_word_and_its_price(
    bench: Bench, provider: str, action: str, fields: dict[str, object], reason: str, is_paid: bool
) -> None:
    bench.fault(provider, action, **fields)
    purse = Purse()

    answer = bench.panel(purse, panel=f"{provider}:{FOUR[provider]}").ask(bench.question)

    assert reasons(answer) == {FOUR[provider]: reason}
    assert bench.requests(provider) == 1
    assert (answer.cost_usd > 0) == is_paid == (bench.paid() == 1)
    assert purse.spent == answer.cost_usd


@pytest.mark.parametrize(
    ("provider", "reason"), [("anthropic", "refused"), ("openai", "refused"), ("deepseek", "malformed")]
)
def test_a_refusal_is_told_by_the_vendor_or_by_the_missing_number(bench: Bench, provider: str, reason: str) -> None:
    bench.fault(provider, "refusal")

    answer = bench.panel(panel=f"{provider}:{FOUR[provider]}").ask(bench.question)

    # DeepSeek has no field for refusals: they come as text.
    assert reasons(answer) == {FOUR[provider]: reason}


@pytest.mark.parametrize("provider", FOUR)
def test_an_answer_without_token_counts_is_counted_at_its_worst(bench: Bench, provider: str) -> None:
    bench.fault(provider, "no_usage")
    purse = Purse()

    answer = bench.panel(purse, panel=f"{provider}:{FOUR[provider]}").ask(bench.question)

    assert voters(answer) == [FOUR[provider]]
    assert answer.cost_usd == purse.reserved["cst_1"].worst_usd


@pytest.mark.parametrize("provider", FOUR)
def test_an_overloaded_vendor_is_asked_again_and_each_attempt_is_written_down(bench: Bench, provider: str) -> None:
    bench.fault(provider, "overloaded", times=1, retry_after=0)
    purse = Purse()

    answer = bench.panel(purse, panel=f"{provider}:{FOUR[provider]}").ask(bench.question)

    assert [vote.attempts for vote in answer.votes] == [2]
    assert purse.outcomes(FOUR[provider]) == ["overloaded", "answered"]
    assert (bench.requests(provider), bench.paid(provider)) == (2, 1)


def test_a_rate_limit_is_waited_out_as_long_as_the_vendor_says(bench: Bench) -> None:
    bench.fault("openai", "rate_limited", times=1, retry_after=1)

    answer = bench.panel(panel="openai:gpt-5.4-mini").ask(bench.question)

    assert [vote.attempts for vote in answer.votes] == [2]
    assert answer.elapsed_s > 0.9


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


def test_samples_of_one_model_become_one_vote_that_carries_their_cost(bench: Bench) -> None:
    bench.fault("anthropic", "malformed_json", times=1)
    purse = Purse()

    answer = bench.panel(purse, samples=3, panel="anthropic:claude-sonnet-4-6").ask(bench.question)

    assert voters(answer) == ["claude-sonnet-4-6"]
    assert answer.votes[0].attempts == 3
    assert sorted(purse.outcomes("claude-sonnet-4-6")) == ["answered", "answered", "malformed"]
    assert answer.votes[0].cost_usd == purse.spent
    assert bench.paid() == 3


def test_a_small_budget_buys_many_models_rather_than_many_samples(bench: Bench) -> None:
    answer = bench.panel(Purse(calls=4), samples=3).ask(bench.question)

    assert voters(answer) == EVERY


def test_a_provider_that_keeps_failing_rests_and_is_tried_again(bench: Bench) -> None:
    bench.fault("openai", "status", status=500, times=2)
    panel = bench.panel(rest_after=2, rest_s=2, attempts=1, panel="openai:gpt-5.4-mini,deepseek:deepseek-v4-flash")

    told = [reasons(panel.ask(bench.question)).get("gpt-5.4-mini") for _ in range(3)]

    assert told == ["server_error", "server_error", "resting"]
    assert bench.requests("openai") == 2
    back = until(lambda: [v for v in panel.ask(bench.question).votes if v.model == "gpt-5.4-mini"], "the rest over")
    assert back[0].attempts == 1


def test_ten_models_of_four_vendors_are_asked_side_by_side(bench: Bench) -> None:
    ten = (
        "anthropic:claude-sonnet-4-6,anthropic:claude-haiku-4-5,anthropic:claude-sonnet-5,openai:gpt-5.4,openai:gpt-5.5,"
        "openai:gpt-5.4-nano,gemini:gemini-3.5-flash,gemini:gemini-3.1-flash-lite,deepseek:deepseek-flash,"
        "deepseek:deepseek-v4-pro"
    )
    for provider in FOUR:
        bench.fault(provider, "slow", seconds=0.4)

    answer = bench.panel(panel=ten).ask(bench.question)

    assert len(answer.votes) == 10
    assert answer.elapsed_s < 3


def test_no_key_stands_in_what_is_said_when_every_vendor_refuses_it(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    for provider in FOUR:
        bench.fault(provider, "auth")

    answer = bench.panel().ask(bench.question)

    said = capsys.readouterr()
    assert reasons(answer) == dict.fromkeys(EVERY, "unauthorized")
    assert said.out.count("a model gave no answer") == 4
    shown = said.out + said.err + repr(answer)
    assert [key for key in bench.sim.keys.values() if key in shown] == []


def test_the_simulator_was_shown_the_question_and_no_market(bench: Bench) -> None:
    bench.panel(panel="gemini:gemini-3.5-flash").ask(bench.question)

    asked = str(bench.sim.requests("gemini")[-1])
    assert bench.text in asked
    assert "FERRY-JUN" not in asked


def test_importing_the_panel_loads_no_sdk() -> None:
    code = (
        "import sys, forecast.panel, forecast.config\n"
        "print([name for name in ('anthropic', 'openai', 'google.genai', 'httpx2', 'pydantic') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env={**os.environ})

    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_only_the_sdks_of_the_panel_are_loaded(sim: ModelsSim) -> None:
    seat = {"panel": "deepseek:deepseek-v4-flash", "deepseek_key": sim.keys["deepseek"]}
    code = (
        "import sys\n"
        "sys.path.insert(0, 'tests/support')\n"
        "import panel_rig\n"
        f"panel = panel_rig.panel({sim.urls!r}, **{seat!r})\n"
        "assert 'openai' not in sys.modules\n"
        "assert len(panel.ask(panel_rig.question()).votes) == 1\n"
        "print([name for name in ('anthropic', 'openai', 'google.genai') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env={**os.environ})

    assert (done.stdout.strip(), done.stderr) == ("['openai']", "")
