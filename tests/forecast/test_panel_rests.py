"""A model that talks nonsense rests alone and is not paid for meanwhile; a vendor rests with all of its models."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from panel_rig import Bench, Purse, reasons, voters
from waiting import until

from forecast.answers import MODEL_FAILURES, PROVIDER_FAILURES, Reason
from forecast.breaker import Rests
from forecast.config import PanelModel, Provider
from forecast.prices import Price

BAD, GOOD = "gpt-5.4-mini", "gpt-5.5"
TWO = f"openai:{BAD},openai:{GOOD}"
NONSENSE: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "malformed": ("malformed_json", {}),
    "out_of_range": ("out_of_range", {}),
    "truncated": ("truncated", {}),
    "retired": ("retired_model", {}),
    "rejected": ("status", {"status": 400}),
}


def spoil(bench: Bench, action: str, **fields: Any) -> None:
    """Break one model of a vendor and leave its other alone."""
    match = {"model": BAD, "contains": bench.text}
    bench.faults.append(bench.sim.fault(action, match=match, **fields))


@pytest.mark.parametrize("reason", NONSENSE)
def test_a_model_that_keeps_failing_rests_alone_and_costs_nothing_more(bench: Bench, reason: str) -> None:
    action, fields = NONSENSE[reason]
    spoil(bench, action, **fields)
    purse = Purse()
    panel = bench.panel(purse, rest_after=2, rest_s=3600, attempts=1, panel=TWO)

    told = [panel.ask(bench.question) for _ in range(5)]

    assert [reasons(one).get(BAD) for one in told] == [reason, reason, "resting", "resting", "resting"]
    assert all(voters(one) == [GOOD] for one in told)
    assert len(purse.outcomes(BAD)) == 2
    # The sound one was asked once, and then answered from the cache.
    assert bench.requests("openai") == 2 + 1
    assert [one.cost_usd for one in told[2:]] == [Decimal(0)] * 3
    assert purse.spent == sum(one.cost_usd for one in told)
    assert (told[0].missing[0].cost_usd > 0) == (reason not in ("retired", "rejected"))


def test_a_model_is_tried_again_after_its_rest_and_votes_once_it_is_sound(bench: Bench) -> None:
    spoil(bench, "malformed_json", times=2)
    purse = Purse()
    panel = bench.panel(purse, rest_after=2, rest_s=1, panel=f"openai:{BAD}")

    told = [reasons(panel.ask(bench.question)).get(BAD) for _ in range(3)]
    back = until(lambda: panel.ask(bench.question).votes, "the rest over")

    assert told == ["malformed", "malformed", "resting"]
    assert back[0].model == BAD
    assert purse.outcomes(BAD) == ["malformed", "malformed", "answered"]


def test_a_model_that_refuses_questions_never_rests_for_it(bench: Bench) -> None:
    spoil(bench, "refusal")
    panel = bench.panel(rest_after=2, rest_s=3600, panel=f"openai:{BAD}")

    told = [reasons(panel.ask(bench.question))[BAD] for _ in range(4)]

    assert told == ["refused"] * 4
    assert bench.requests("openai") == 4


def seat(provider: Provider, name: str) -> PanelModel:
    return PanelModel(provider=provider, id=name, price=Price(usd_in=Decimal(1), usd_out=Decimal(1)))


A, B = seat(Provider.OPENAI, "a"), seat(Provider.OPENAI, "b")


def test_what_is_wrong_with_a_vendor_rests_all_of_its_models() -> None:
    for reason in PROVIDER_FAILURES:
        rests = Rests([A, B], 1, 3600)
        assert rests.admit(A)
        rests.learn(A, reason, is_answered=False)

        assert not rests.admit(A)
        assert not rests.admit(B)


def test_what_is_wrong_with_a_model_rests_it_alone_and_shows_that_its_vendor_is_there() -> None:
    for reason in MODEL_FAILURES:
        rests = Rests([A, B], 2, 3600)
        for failure in (Reason.TIMEOUT, reason, Reason.TIMEOUT, reason):
            assert rests.admit(A)
            rests.learn(A, failure, is_answered=False)

        assert not rests.admit(A)
        assert rests.admit(B)


def test_every_reason_but_those_of_the_panel_itself_and_a_refusal_counts_towards_one_of_the_two() -> None:
    uncounted = set(Reason) - PROVIDER_FAILURES - MODEL_FAILURES

    assert uncounted == {Reason.DEADLINE, Reason.BUDGET, Reason.RESTING, Reason.REFUSED}
    assert not PROVIDER_FAILURES & MODEL_FAILURES


def test_a_model_kept_back_by_its_vendors_rest_may_still_be_the_one_that_is_tried() -> None:
    rests = Rests([A, B], 1, 0.0)
    rests.learn(A, Reason.TIMEOUT, is_answered=False)

    assert rests.admit(B)
    assert not rests.admit(A)
    rests.learn(B, None, is_answered=True)
    assert rests.admit(A)
