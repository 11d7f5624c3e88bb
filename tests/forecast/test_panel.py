"""The panel against the simulated vendors, through their own SDKs: who votes, who is missing, and why."""

import os
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest
from models_sim import ModelsSim
from panel_rig import EVERY, FOUR, Bench, Purse, reasons, voters
from waiting import until

ROOT = Path(__file__).parents[2]


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


def test_samples_of_one_model_become_one_vote_that_carries_their_cost(bench: Bench) -> None:
    bench.fault("anthropic", "malformed_json", times=1)
    purse = Purse()

    answer = bench.panel(purse, samples=3, panel="anthropic:claude-sonnet-4-6").ask(bench.question)

    assert voters(answer) == ["claude-sonnet-4-6"]
    assert answer.votes[0].attempts == 3
    assert sorted(purse.outcomes("claude-sonnet-4-6")) == ["answered", "answered", "malformed"]
    assert answer.votes[0].cost_usd == purse.spent
    assert bench.paid() == 3


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


def test_an_sdk_that_is_not_installed_is_named() -> None:
    code = (
        "import sys\n"
        "sys.path.insert(0, 'tests/support')\n"
        "sys.modules['openai'] = None\n"
        "import panel_rig\n"
        "panel_rig.panel({}, panel='openai:gpt-5.4').ask(panel_rig.question())"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env={**os.environ})

    assert "Misconfigured: expected the SDK of openai" in done.stderr
    assert "take openai out of MODELS_PANEL" in done.stderr
