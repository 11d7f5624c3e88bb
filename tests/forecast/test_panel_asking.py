"""Reserve, call, settle: every attempt that may have cost money is counted, and no other."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import panel_rig
import pytest
from hypothesis import given
from hypothesis import strategies as st
from panel_rig import Purse

from forecast import prices, prompts
from forecast.answers import CallFailed, Reason, Reply
from forecast.asking import Asking, Outcome, Round
from forecast.budget import Usage
from forecast.config import PanelModel, Provider

MODEL = PanelModel(provider=Provider.OPENAI, id="gpt-5.4-mini", price=prices.parse("1/10"))
PROMPT = prompts.write(prompts.load("binary-v1"), panel_rig.question(), panel_rig.NOW)
LONGEST = 1_000
WORST = MODEL.price.of(Usage(tokens_in=PROMPT.most_tokens, tokens_out=LONGEST))
GOOD = Reply(text='{"probability": 0.37}', version="gpt-x", usage=Usage(tokens_in=500, tokens_out=20))
AGAIN = CallFailed(Reason.OVERLOADED, is_repeatable=True, after_s=0.0)
DROPPED = CallFailed(Reason.DROPPED, is_billed=True, is_repeatable=True, after_s=0.0)


class Script:
    """A vendor that gives the answers it was handed, one a call."""

    def __init__(self, *ends: Reply | Exception) -> None:
        self.ends: Iterator[Reply | Exception] = iter(ends)
        self.calls = 0

    def answer(self, model: str, prompt: prompts.Prompt) -> Reply:
        self.calls += 1
        end = next(self.ends)
        if isinstance(end, Exception):
            raise end
        return end

    def close(self) -> None: ...


def ask(purse: Any, *ends: Reply | Exception, deadline_s: float = 30.0, attempts: int = 3) -> tuple[Outcome, Asking]:
    asking = Asking(
        MODEL, PROMPT, Round(purse, "FERRY-JUN", deadline_s), Script(*ends), attempts=attempts, longest=LONGEST
    )
    assert asking.begin()
    return asking.run(), asking


def test_an_answer_costs_what_its_tokens_cost() -> None:
    purse = Purse()

    outcome, asking = ask(purse, GOOD)

    assert (outcome.probability, outcome.version) == (Decimal("0.3700"), "gpt-x")
    assert purse.settled == {"cst_1": (GOOD.usage, Decimal("0.0007"), "answered")}
    assert asking.tally().cost_usd == Decimal("0.0007")


def test_the_worst_case_is_reserved_before_the_call() -> None:
    purse = Purse()

    ask(purse, GOOD)

    call = purse.reserved["cst_1"]
    assert (call.provider, call.model, call.question, call.attempt) == ("openai", "gpt-5.4-mini", "FERRY-JUN", 1)
    assert call.worst_usd == WORST == Decimal(PROMPT.most_tokens + 10 * LONGEST) / 1_000_000


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(text="no", usage=GOOD.usage), Reason.MALFORMED),
        (Reply(text='{"probability": 7}', usage=GOOD.usage), Reason.OUT_OF_RANGE),
        (Reply(text="", usage=GOOD.usage, stop=Reason.REFUSED), Reason.REFUSED),
        (Reply(text='{"prob', usage=GOOD.usage, stop=Reason.TRUNCATED), Reason.TRUNCATED),
    ],
)
def test_a_useless_answer_costs_as_much_and_is_not_asked_for_again(reply: Reply, reason: Reason) -> None:
    purse = Purse()

    outcome, asking = ask(purse, reply, GOOD)

    assert (outcome.probability, outcome.reason) == (None, reason)
    assert purse.settled == {"cst_1": (GOOD.usage, Decimal("0.0007"), reason)}
    assert asking.tally().cost_usd == Decimal("0.0007")


def test_an_answer_that_does_not_say_its_tokens_costs_the_worst_case() -> None:
    purse = Purse()

    _, asking = ask(purse, Reply(text='{"probability": 0.37}'))

    assert purse.settled["cst_1"] == (Usage(), WORST, "answered")
    assert asking.tally().cost_usd == WORST


def test_every_attempt_is_reserved_and_settled_by_itself() -> None:
    purse = Purse()

    outcome, asking = ask(purse, AGAIN, DROPPED, GOOD)

    assert outcome.probability == Decimal("0.3700")
    assert [purse.reserved[name].attempt for name in purse.settled] == [1, 2, 3]
    assert [(cost, end) for _, cost, end in purse.settled.values()] == [
        (Decimal(0), "overloaded"),
        (WORST, "dropped"),
        (Decimal("0.0007"), "answered"),
    ]
    assert asking.tally().cost_usd == WORST + Decimal("0.0007")
    assert asking.tally().attempts == 3


def test_no_more_attempts_are_made_than_allowed() -> None:
    outcome, asking = ask(Purse(), AGAIN, AGAIN, GOOD, attempts=2)

    assert outcome.reason is Reason.OVERLOADED
    assert asking.tally().attempts == 2


def test_a_timeout_is_paid_for_and_not_tried_again() -> None:
    outcome, asking = ask(Purse(), CallFailed(Reason.TIMEOUT, is_billed=True), GOOD)

    assert outcome.reason is Reason.TIMEOUT
    assert asking.tally().cost_usd == WORST


def test_a_vendor_that_asks_for_more_patience_than_there_is_time_is_not_waited_for() -> None:
    patient = CallFailed(Reason.RATE_LIMITED, is_repeatable=True, after_s=31.0)

    outcome, asking = ask(Purse(), patient, GOOD)

    assert outcome.reason is Reason.RATE_LIMITED
    assert asking.tally().attempts == 1


def test_the_end_of_the_round_wakes_whoever_pauses() -> None:
    round_ = Round(Purse(), "q", 3_600.0)
    round_.end()

    assert not round_.pause(1_800.0)


ENDS = st.sampled_from(
    [
        GOOD,
        Reply(text="no"),
        Reply(text='{"probability": 2}', usage=GOOD.usage),
        AGAIN,
        DROPPED,
        CallFailed(Reason.TIMEOUT, is_billed=True),
        CallFailed(Reason.UNAUTHORIZED),
    ]
)


@given(st.lists(ENDS, min_size=5, max_size=5), st.integers(1, 5), st.integers(1, 5))
def test_whatever_happens_every_reservation_is_settled_once_and_nothing_is_lost(
    ends: list[Reply | Exception], attempts: int, calls: int
) -> None:
    purse = Purse(calls=calls)

    outcome, asking = ask(purse, *ends, attempts=attempts)

    assert purse.open == set()
    assert len(purse.settled) == asking.tally().attempts <= min(attempts, calls)
    assert purse.spent == asking.tally().cost_usd
    assert (outcome.probability is None) == (outcome.reason is not None)


def test_a_budget_that_refuses_the_second_attempt_ends_it() -> None:
    purse = Purse(calls=1)

    outcome, asking = ask(purse, AGAIN, GOOD)

    assert (outcome.reason, outcome.failure) == (Reason.BUDGET, Reason.OVERLOADED)
    assert asking.tally().attempts == 1
    assert len(purse.refused) == 1


def test_a_round_that_was_refused_once_asks_the_budget_no_more() -> None:
    purse = Purse(calls=0)
    round_ = Round(purse, "q", 30.0)

    asked = [Asking(MODEL, PROMPT, round_, Script(GOOD), attempts=3, longest=LONGEST).begin() for _ in range(4)]

    assert asked == [False] * 4
    assert len(purse.refused) == 1


def test_an_answer_paid_for_survives_a_ledger_that_fails(capsys: pytest.CaptureFixture[str]) -> None:
    class Torn(Purse):
        def settle(self, *_: object) -> None:
            raise OSError("disk full")

    outcome, asking = ask(Torn(), GOOD)

    assert outcome.probability == Decimal("0.3700")
    assert asking.tally().cost_usd == Decimal("0.0007")
    assert "a call is not settled" in capsys.readouterr().out
