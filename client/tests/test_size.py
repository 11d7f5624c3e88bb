"""Size rules: what a rule promises holds for every price, balance and cap."""

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbot_client.brokers.port import Instrument
from tbot_client.config import Size
from tbot_client.size import units


def numbers(low, high, places=5):
    return st.decimals(D(low), D(high), places=places, allow_nan=False, allow_infinity=False)


@st.composite
def situations(draw):
    rule = draw(st.sampled_from(["fixed", "fraction", "risk"]))
    size = Size(
        rule=rule,
        units=draw(numbers("0.1", "100000", 1)),
        fraction=draw(numbers("0.0001", "0.9", 4)),
        max_units=draw(numbers("1", "50000", 1)),
    )
    instrument = Instrument(
        name="X_Y",
        price_digits=5,
        unit_digits=draw(st.sampled_from([-1, 0, 1, 2])),
        minimum=draw(st.sampled_from([D(1), D("0.1"), D(10), D(1000)])),
        maximum=draw(st.sampled_from([D(100), D(1_000_000)])),
    )
    price = draw(numbers("0.5", "200"))
    money = {"equity": draw(numbers("-10", "1000000", 2)), "price": price, "rate": draw(numbers("0.005", "2"))}
    return size, instrument, money | {"stop": price + draw(numbers("-0.4", "0.4"))}


@given(situations())
def test_an_order_is_never_above_a_cap_nor_between_zero_and_the_smallest_order(situation):
    size, instrument, money = situation
    ordered = units(size, instrument, **money)
    assert ordered == 0 or instrument.minimum <= ordered <= min(size.max_units, instrument.maximum)
    assert ordered % D(1).scaleb(-instrument.unit_digits) == 0


@given(situations())
def test_no_rule_uses_more_of_the_equity_than_asked_for(situation):
    size, instrument, money = situation
    ordered = units(size, instrument, **money)
    per_unit = {"fixed": D(0), "fraction": money["price"], "risk": abs(money["price"] - money["stop"])}[size.rule]
    allowed = max(money["equity"], D(0)) * size.fraction
    assert ordered * per_unit * money["rate"] <= allowed * (1 + D("1e-20"))


@given(situations())
def test_a_tighter_cap_never_orders_more(situation):
    size, instrument, money = situation
    tighter = Size(rule=size.rule, units=size.units, fraction=size.fraction, max_units=size.max_units / 2)
    assert units(tighter, instrument, **money) <= units(size, instrument, **money)


@pytest.mark.parametrize(
    ("rule", "expected"),
    # 10,000 at 1%: 100 of notional buys 90 at 1.1; 100 of loss at half a cent a unit is 20,000
    [("fixed", D(1000)), ("fraction", D(90)), ("risk", D(20_000))],
)
def test_each_rule_by_hand(rule, expected):
    size = Size(rule=rule, units=D(1000), fraction=D("0.01"), max_units=D(50_000))
    instrument = Instrument(name="EUR_USD", price_digits=5, unit_digits=0, minimum=D(1), maximum=D(10**8))
    found = units(size, instrument, equity=D(10_000), price=D("1.1"), stop=D("1.095"), rate=D(1))
    assert found == expected
