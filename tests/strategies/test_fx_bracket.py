"""Brackets: distances, ticks, the room a spread leaves; and the group a market belongs to."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest

from domain.quotes import Instrument, Quote
from domain.vocabulary import Side
from strategies.fx.bracket import Bracket, bracket, price_of
from strategies.fx.strategy import FxParams, group_of

NOON = datetime.fromisoformat("2014-05-02T12:00:00+00:00")
PARAMS = FxParams(stop_atr=2.0, target_atr=3.0)


def quote(bid: str, ask: str) -> Quote:
    return Quote(market="X", bid=Decimal(bid), ask=Decimal(ask), at=NOON, received_at=NOON, tradeable=True)


@pytest.fixture(scope="session")
def usd_jpy(eur_usd: Instrument) -> Instrument:
    return replace(
        eur_usd, name="USD_JPY", base="USD", quote_currency="JPY", tick=Decimal("0.001"), pip=Decimal("0.01")
    )


@pytest.mark.parametrize(
    ("side", "stop", "target"), [(Side.BUY, "1.37906", "1.38210"), (Side.SELL, "1.38124", "1.37820")]
)
def test_levels_are_measured_from_the_entry_and_stops_rounded_away(
    side: Side, stop: str, target: str, eur_usd: Instrument
) -> None:
    levels = bracket(eur_usd, quote("1.38002", "1.38028"), side, Decimal("0.0006051"), PARAMS)

    assert levels == Bracket(stop_loss=Decimal(stop), take_profit=Decimal(target), trailing_distance=None)


def test_levels_of_a_yen_pair_lie_on_its_coarser_tick(usd_jpy: Instrument) -> None:
    params = replace(PARAMS, trailing_atr=1.0)
    levels = bracket(usd_jpy, quote("102.301", "102.312"), Side.BUY, Decimal("0.05551"), params)

    assert levels == Bracket(
        stop_loss=Decimal("102.200"), take_profit=Decimal("102.479"), trailing_distance=Decimal("0.056")
    )


def test_a_trailing_stop_is_never_nearer_than_the_venue_allows(eur_usd: Instrument) -> None:
    levels = bracket(eur_usd, quote("1.38", "1.3801"), Side.BUY, Decimal("0.0001"), replace(PARAMS, trailing_atr=2.0))

    assert levels is not None
    assert levels.trailing_distance == Decimal("0.0005")


@pytest.mark.parametrize("atr", ["0.00005", "0.000001", "0", "1"])
def test_no_bracket_where_none_fits(atr: str, eur_usd: Instrument) -> None:
    assert bracket(eur_usd, quote("1.38000", "1.38010"), Side.BUY, Decimal(atr), PARAMS) is None


def test_a_price_difference_keeps_two_digits_more_than_the_tick(eur_usd: Instrument, usd_jpy: Instrument) -> None:
    assert price_of(0.000123456789, eur_usd) == Decimal("0.0001235")
    assert price_of(0.0123456789, usd_jpy) == Decimal("0.01235")


@pytest.mark.parametrize(
    ("base", "quote_currency", "group"),
    [("EUR", "USD", "EUR"), ("USD", "JPY", "JPY"), ("USD", "CAD", "CAD"), ("EUR", "GBP", "EUR")],
)
def test_the_group_is_the_currency_beside_the_dollar(
    base: str, quote_currency: str, group: str, eur_usd: Instrument
) -> None:
    assert group == group_of(replace(eur_usd, base=base, quote_currency=quote_currency))
