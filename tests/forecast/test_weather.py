"""The chance of a day's high: brackets that sum to 1, a high that only rises, errors that are learnt."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.contract import RuleKind, SettlementRule
from forecast.error_model import PRIOR, Error, HighErrors, default_error
from forecast.weather import (
    Outlook,
    Reports,
    distribution,
    estimate_weather,
    fahrenheit,
    highest_ahead,
    reports_from,
    share_over,
)

BEGINS = datetime(2026, 5, 11, 5, tzinfo=UTC)
ENDS = BEGINS + timedelta(days=1)
HOUR = timedelta(hours=1)
SET = [(None, 55), (56, 57), (58, 59), (60, 61), (62, 63), (64, None)]
BRACKETS = [tuple(None if end is None else Decimal(end) for end in ends) for ends in SET]


def rule(low: int | None = 60, high: int | None = 61) -> SettlementRule:
    return SettlementRule(
        kind=RuleKind.DAILY_HIGH, source="NWS", station="KNYC", location="Central Park", subject="highest temperature",
        low=None if low is None else Decimal(low), high=None if high is None else Decimal(high), unit="degF",
        resolution=Decimal(1), observed_on=date(2026, 5, 11), begins_at=BEGINS, ends_at=ENDS, rounding="", revision="",
        void="",
    )  # fmt: skip


def day_forecast(peak: float = 60.0) -> Outlook:
    """Return hours that rise to ``peak`` at three in the afternoon and fall again."""
    hours = tuple((BEGINS + hour * HOUR, peak - abs(15 - hour)) for hour in range(24))
    return Outlook(issued_at=BEGINS - 2 * HOUR, hours=hours)


def at(hour: float) -> datetime:
    return BEGINS + hour * HOUR


def reports(highest: float, hour: float, per_hour: float = 12.0) -> Reports:
    return Reports(highest_f=highest, last_at=at(hour), per_hour=per_hour)


@given(
    ahead=st.one_of(st.none(), st.floats(-20, 110)),
    bias=st.floats(-5, 5),
    spread=st.floats(0.5, 10),
    highest=st.floats(-20, 110),
    over=st.floats(0, 1),
)
def test_the_brackets_of_a_whole_set_sum_to_one(
    ahead: float | None, bias: float, spread: float, highest: float, over: float
) -> None:
    highs = distribution(ahead, Error(bias, spread), reports(highest, 12), HighErrors().excess(12, BEGINS), over)

    assert sum(highs.between(low, high) for low, high in BRACKETS) == pytest.approx(1)
    assert all(chance >= 0 for chance in highs.chances.values())


@given(ahead=st.floats(-20, 110), highest=st.floats(-20, 110), over=st.floats(0, 1))
def test_nothing_below_the_highest_report_is_possible_but_one_degree_of_rounding(
    ahead: float, highest: float, over: float
) -> None:
    highs = distribution(ahead, Error(0.5, 2.0), reports(highest, 12), HighErrors().excess(12, BEGINS), over)
    reported = Decimal(str(highest)).quantize(Decimal(1), rounding="ROUND_HALF_UP")

    assert highs.between(None, reported - 2) == 0
    assert highs.between(None, reported - 1) <= 0.06


def test_a_report_above_a_bracket_ends_its_hopes() -> None:
    errors, now = HighErrors(), at(14)

    before = estimate_weather(rule(58, 59), day_forecast(59), reports(58, 14), errors, now)
    after = estimate_weather(rule(58, 59), day_forecast(59), reports(61.0, 14), errors, now)

    assert before.probability > Decimal("0.3")
    assert after.probability == 0


@pytest.mark.parametrize("per_hour", [1, 12])
def test_the_last_hour_leaves_what_reports_can_hide(per_hour: float) -> None:
    highs = estimate_weather(rule(), day_forecast(60), reports(60.1, 23.9, per_hour), HighErrors(), at(23.9)).highs

    assert highs.between(Decimal(59), Decimal(63)) == pytest.approx(1, abs=1e-3)
    assert highs.between(Decimal(60), Decimal(61)) > 0.7


def test_an_evening_certainty_is_greater_than_a_morning_one() -> None:
    spreads = [
        estimate_weather(rule(), day_forecast(), None, HighErrors(), at(-30)).highs.spread,
        estimate_weather(rule(), day_forecast(), None, HighErrors(), at(-6)).highs.spread,
        estimate_weather(rule(), day_forecast(), reports(55, 10), HighErrors(), at(10)).highs.spread,
        estimate_weather(rule(), day_forecast(), reports(60, 16), HighErrors(), at(16)).highs.spread,
    ]

    assert all(later < earlier for earlier, later in pairwise(spreads))


def test_hours_outside_the_climate_day_and_hours_gone_do_not_count() -> None:
    hours = ((BEGINS - HOUR, 99.0), (at(3), 50.0), (at(12), 61.0), (at(20), 55.0), (ENDS, 98.0))
    outlook = Outlook(issued_at=BEGINS, hours=hours)

    assert highest_ahead(outlook, BEGINS, ENDS, at(-5)) == 61.0
    assert highest_ahead(outlook, BEGINS, ENDS, at(12.9)) == 61.0
    assert highest_ahead(outlook, BEGINS, ENDS, at(13)) == 55.0
    assert highest_ahead(outlook, BEGINS, ENDS, at(21)) is None
    assert highest_ahead(outlook, BEGINS, ENDS, ENDS) is None


def test_a_forecast_of_the_high_alone_counts_until_the_afternoon() -> None:
    outlook = Outlook(issued_at=BEGINS, high_f=62.0)

    assert highest_ahead(outlook, BEGINS, ENDS, at(10)) == 62.0
    assert highest_ahead(outlook, BEGINS, ENDS, at(17)) is None


def test_reports_of_the_day_before_are_not_this_days() -> None:
    yesterday = Reports(highest_f=80.0, last_at=at(-1), per_hour=12)

    found = estimate_weather(rule(), day_forecast(), yesterday, HighErrors(), at(-0.5))

    assert found.probability == estimate_weather(rule(), day_forecast(), None, HighErrors(), at(-0.5)).probability


def test_a_day_without_forecast_and_reports_is_refused() -> None:
    with pytest.raises(ValueError, match="neither"):
        estimate_weather(rule(), Outlook(issued_at=BEGINS), None, HighErrors(), at(10))


def test_a_stale_forecast_and_a_silent_station_halve_the_certainty() -> None:
    def certainty(outlook: Outlook, found: Reports | None) -> Decimal:
        return estimate_weather(rule(), outlook, found, HighErrors(), at(12)).certainty

    stale = Outlook(issued_at=at(-1), hours=day_forecast().hours)
    fresh = Outlook(issued_at=at(6), hours=day_forecast().hours)

    whole = certainty(fresh, reports(57, 12))

    assert whole == Decimal("0.6480")
    assert certainty(stale, reports(57, 12)) == certainty(fresh, None) == certainty(fresh, reports(57, 9)) == whole / 2
    assert certainty(stale, None) == whole / 4


def test_the_later_the_day_the_less_the_estimate_is_trusted_beside_the_price() -> None:
    told = [
        estimate_weather(rule(), replace(day_forecast(), issued_at=at(hour)), reports(55, hour), HighErrors(), at(hour))
        for hour in (-8, 6, 13, 16)
    ]

    assert [one.certainty for one in told] == [Decimal(1), Decimal("0.9600"), Decimal("0.4800"), Decimal("0.2560")]


def test_the_error_is_learnt_by_lead_and_pulled_to_the_default() -> None:
    errors = HighErrors()
    for number in range(40):
        errors.learn(at(number), 20.0, 50.0, 53.0 + (-1) ** number)

    learnt, elsewhere = errors.error(20.0, at(40)), errors.error(50.0, at(40))

    assert learnt.bias == pytest.approx((40 * 3 + PRIOR * 0.5) / 60)
    assert 1.0 < learnt.spread < 2.2
    assert elsewhere == default_error(50.0)
    with pytest.raises(ValueError, match="already learnt"):
        errors.error(20.0, at(10))


def test_a_forecast_of_the_rest_of_an_afternoon_teaches_nothing_and_is_not_written_down_as_one_of_the_high() -> None:
    errors = HighErrors()
    facts = dict(estimate_weather(rule(), day_forecast(60), reports(60, 18), errors, at(18)).facts)

    errors.learn(at(30), 6.0, 54.0, 60.0)

    assert errors.error(6.0, at(30)).bias == pytest.approx(default_error(6.0).bias)
    assert (facts["forecast_high_f"], facts["forecast_ahead_f"]) == ("none", "57.0")


def test_what_reports_hide_is_learnt_too() -> None:
    errors = HighErrors()
    for number in range(100):
        errors.learn_report(at(number), 60.0, 60.0, per_hour=12)

    assert errors.excess(12, at(100))[0] > 0.9
    assert errors.excess(1, at(100))[1] == pytest.approx(0.5)


def test_further_leads_are_less_certain_and_days_end() -> None:
    assert default_error(10).spread == default_error(24).spread < default_error(48).spread < default_error(72).spread
    assert share_over(BEGINS, at(-1)) == 0
    assert (
        share_over(BEGINS, at(8))
        < share_over(BEGINS, at(13))
        < share_over(BEGINS, at(16))
        < share_over(BEGINS, ENDS)
        == 1
    )


@pytest.mark.parametrize(("celsius", "degrees"), [(0, 32), (22.8, 73.04), (-40, -40)])
def test_celsius_is_not_rounded_on_its_way(celsius: float, degrees: float) -> None:
    assert fahrenheit(celsius) == pytest.approx(degrees)


def test_a_report_rounded_to_whole_celsius_proves_its_lower_end_only() -> None:
    rounded = reports_from([(at(0), 50.0, True), (at(12), 62.6, False)])
    exact = reports_from([(at(0), 50.0, True), (at(12), 62.6, True)])
    tenths = reports_from([(at(0), 50.0, True), (at(12), 62.78, False)])

    assert rounded is not None
    assert exact is not None
    assert tenths is not None
    assert rounded.highest_f == pytest.approx(61.7)
    assert exact.highest_f == 62.6
    assert tenths.highest_f == 62.78
    assert (rounded.last_at, rounded.per_hour) == (at(12), 1.0)
    assert reports_from([]) is None


def test_reports_every_five_minutes_are_dense() -> None:
    found = reports_from([(at(minute / 60), 50.0, False) for minute in range(0, 121, 5)])

    assert found is not None
    assert found.per_hour == pytest.approx(12.5)


def test_a_rule_about_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="daily high"):
        estimate_weather(replace(rule(), kind=RuleKind.STATEMENT), day_forecast(), None, HighErrors(), BEGINS)
