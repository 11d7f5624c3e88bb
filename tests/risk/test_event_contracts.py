"""Contracts that pay one dollar at most: sized by what they cost, judged in cents."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.decision import Decision
from domain.vocabulary import Code, Gate, Side
from risk.chain import look
from risk.event_limits import EventLimits

D = Decimal
CENTS = st.integers(1, 98)


@pytest.fixture(scope="session")
def contract(case):
    """A contract quoted at 40 to 42 cents, bought for its ask."""
    quote = replace(case.candidate.quote, market="KXHIGHNY-14MAY06-B55.5", bid=D("0.40"), ask=D("0.42"))
    instrument = replace(
        case.state.instrument,
        name=quote.market,
        tick=D("0.01"),
        pip=D("0.01"),
        margin_rate=D(1),
        payout=D(1),
    )
    made = case.but(
        candidate={
            "market": quote.market,
            "group": "KXHIGHNY-14MAY06",
            "quote": quote,
            "decision_price": D("0.42"),
            "stop_loss": D(0),
            "take_profit": D(1),
        },
        estimate={"edge_bp": D(400), "confidence": D("0.6")},
        state={"quote": quote, "instrument": instrument},
    )
    return replace(made, limits=EventLimits(bankroll=D(10000)))


def sold(contract):
    candidate = {"side": Side.SELL, "decision_price": D("0.40"), "stop_loss": D(1), "take_profit": D(0)}
    return contract.but(candidate=candidate)


def test_a_sound_contract_is_admitted_on_either_side(contract):
    assert contract.decide().admitted
    assert sold(contract).decide().admitted


def test_what_a_contract_costs_is_all_it_can_lose(contract):
    size = contract.but(limits={"max_market_notional": D(21)}).size()

    assert size.quantity == 50
    assert size.notional == size.risk == size.margin == D("21.00")


def test_one_sold_at_forty_costs_sixty_cents(contract):
    size = sold(contract).but(limits={"max_market_notional": D(21)}).size()

    assert size.quantity == 35
    assert size.notional == size.risk == size.margin == D("21.00")


@given(bid=CENTS, width=st.integers(1, 40), side=st.sampled_from(Side), room=st.integers(1, 500))
def test_no_size_costs_more_than_any_cap(contract, bid, width, side, room):
    ask = min(bid + width, 99)
    quote = replace(contract.state.quote, bid=D(bid) / 100, ask=D(ask) / 100)
    case = (sold(contract) if side is Side.SELL else contract).but(
        candidate={"quote": quote, "decision_price": quote.entry_price(side)},
        state={"quote": quote},
        limits={"max_market_notional": D(room)},
    )

    size = case.size()

    assert size.risk <= room
    assert size.risk <= case.limits.risk_fraction * case.state.equity
    assert size.quantity == int(size.quantity)


def test_spread_and_slippage_are_measured_in_cents_of_the_payout(contract):
    asked = contract.ask(Gate.SLIPPAGE)
    wide = contract.but(limits={"max_spread_bp": D(199)}).ask(Gate.SLIPPAGE)
    moved = contract.but(candidate={"decision_price": D("0.405")}).ask(Gate.SLIPPAGE)

    assert asked.passed
    assert (wide.code, wide.value, wide.limit) == (Code.SLIPPAGE, D(200), D(199))
    assert (moved.code, moved.value) == (Code.SLIPPAGE, D(150))


def test_a_contract_nobody_bids_for_is_not_sold(contract):
    quote = replace(contract.state.quote, bid=D(0), ask=D("0.02"))
    case = sold(contract).but(candidate={"quote": quote, "decision_price": D(0)}, state={"quote": quote})

    outcome = case.decide()

    assert not outcome.admitted
    assert Code.SLIPPAGE in {verdict.code for verdict in outcome.verdicts}


@pytest.mark.parametrize("side", Side)
def test_a_market_holds_one_position_whatever_its_side(contract, make, side):
    held = make.exposure(market=contract.candidate.market, side=side, thesis="other", notional=D(1), risk=D(1))
    case = contract.but(state={"exposures": (held,)})

    assert case.decide().code is Code.DUPLICATE
    assert case.but(limits={"one_per_market": False}).ask(Gate.DEDUP).passed


def test_a_contract_whose_text_was_not_understood_is_refused_with_the_reason(contract):
    outcome = contract.but(candidate={"unread": "no station in the text"}).decide()

    verdict = next(v for v in outcome.verdicts if v.gate is Gate.DIRECTION)
    assert outcome.code is Code.RULE_UNPARSED
    assert verdict.note == "no station in the text"


def test_before_an_estimate_is_paid_for_all_gates_but_its_own_are_asked(contract):
    outcome = look(contract.candidate, contract.estimate, contract.state, contract.limits)

    assert outcome.admitted
    assert [v.gate for v in outcome.verdicts if v.passed is None] == [Gate.EDGE, Gate.CONFIDENCE]


@pytest.mark.parametrize(
    ("state", "value", "note"),
    [
        ({"spent_day_usd": D("0.95")}, D("1.05"), "day, with the next estimate"),
        ({"spent_month_usd": D("19.95")}, D("20.05"), "month, with the next estimate"),
        ({"fleet_day_usd": D("1.95")}, D("2.05"), "day of the fleet, with the next estimate"),
        ({"fleet_month_usd": D("39.95")}, D("40.05"), "month of the fleet, with the next estimate"),
    ],
)
def test_an_estimate_that_no_budget_has_room_for_is_refused_before_it_is_made(contract, state, value, note):
    case = contract.but(state={"next_usd": D("0.10"), **state})

    outcome = look(case.candidate, case.estimate, case.state, case.limits)

    assert outcome.code is Code.COST
    assert (outcome.verdicts[-1].value, outcome.verdicts[-1].note) == (value, note)


def test_an_estimate_that_just_fits_is_made(contract):
    case = contract.but(state={"next_usd": D("0.10"), "spent_day_usd": D("0.90")})

    assert look(case.candidate, case.estimate, case.state, case.limits).admitted


def test_a_fleet_over_its_budget_refuses_what_was_estimated_too(contract):
    case = contract.but(state={"fleet_day_usd": D(2), "fleet_month_usd": D(2), "spent_day_usd": D("0.1")})

    assert case.decide().code is Code.COST


def test_a_refusal_before_the_estimate_reads_like_any_other(contract):
    case = contract.but(state={"market_open": False})
    outcome = look(case.candidate, case.estimate, case.state, case.limits)
    decision = Decision(
        id="dec_1", surface=case.candidate.surface, mode="paper", candidate=case.candidate, estimate=case.estimate,
        size=outcome.size, verdicts=outcome.verdicts, admitted=outcome.admitted, code=outcome.code, signal_id=None,
    )  # fmt: skip

    assert [v.code for v in decision.refusals] == [Code.MARKET_CLOSED]
