"""Daily highs: the venue's real wording is read, and whatever is missing, contradicts or is unknown is not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.contract import Contract, RuleKind, SettlementRule, Unread
from strategies.event.rules import read_rule
from strategies.event.rules_text import VOID_IN_TERMS

Maker = Callable[..., Contract]
SECONDARY = (
    "Not all weather data is the same. While checking a source like AccuWeather or Google Weather may help guide your "
    "decision, the official and final value used to determine this market is the highest temperature as reported by "
    "the corresponding NWS Climatological Report (Daily) linked in the rules above."
)


def reading(contract: Contract, *, void_in_terms: bool = False) -> SettlementRule:
    read = read_rule(contract, void_in_terms=void_in_terms)
    assert isinstance(read, SettlementRule), read.reason
    return read


def reason(contract: Contract) -> str:
    read = read_rule(contract)
    assert isinstance(read, Unread), read
    return read.reason


@pytest.mark.parametrize(("way", "low", "high"), [("less", None, 55), ("between", 56, 57), ("greater", 58, None)])
def test_each_kind_of_strike_is_read_as_bounds_that_both_count(
    daily_high: Maker, way: str, low: int | None, high: int | None
) -> None:
    rule = reading(daily_high(way))

    assert (low, high) == (rule.low, rule.high)
    assert (rule.kind, rule.station, rule.location) == (RuleKind.DAILY_HIGH, "KNYC", "Central Park, New York")
    assert rule.source == "NWS Climatological Report (Daily), CLINYC"
    assert (rule.unit, rule.resolution) == ("degF", Decimal(1))
    assert "void" in rule.void


def test_the_day_runs_in_local_standard_time_although_the_clocks_show_summer_time(daily_high: Maker) -> None:
    rule = reading(daily_high())

    assert rule.begins_at == datetime(2026, 5, 11, 5, tzinfo=UTC)
    assert rule.ends_at == datetime(2026, 5, 12, 5, tzinfo=UTC)


@given(st.integers(-60, 140))
def test_every_whole_degree_settles_exactly_one_bracket_of_a_set(daily_high: Maker, degrees: int) -> None:
    rules = [reading(daily_high(way)) for way in ("less", "between", "greater")]

    assert sum(rule.decides(Decimal(degrees)) for rule in rules) == 1


def test_the_wording_of_houston_is_read_with_its_report_named(daily_high: Maker) -> None:
    contract = daily_high(
        ticker="KXHIGHTHOU-26JUN02-T89", event="KXHIGHTHOU-26JUN02", series="KXHIGHTHOU", strike_type="less",
        floor_strike=None, cap_strike=Decimal(89), title="Will the maximum temperature be <89° on Jun 2, 2026?",
        yes_sub_title="88° or below", close_at=datetime(2026, 6, 3, 4, 59, tzinfo=UTC),
        rules_primary=(
            "If the maximum temperature recorded at Houston for Jun 2, 2026, is less than 89° fahrenheit according to "
            "the National Weather Service's Climatological Report (Daily), then the market resolves to Yes. Data for "
            "CLIHOU can be found by clicking the following URL: https://www.weather.gov/wrh/Climate?wfo=hgx, "
            'navigating to the "Observed Weather" tab, and choosing the location "Houston-Hobby, TX" with Daily '
            "Climate Report selected. Please use the latest version of the data for the desired date, keeping in mind "
            "that different cities update their reports at different frequencies."
        ),
        rules_secondary=SECONDARY.replace("highest temp", "maximum/minimum temp"),
    )  # fmt: skip

    rule = reading(contract, void_in_terms=True)

    assert (rule.station, rule.low, rule.high) == ("KHOU", None, Decimal(88))
    assert rule.begins_at == datetime(2026, 6, 2, 6, tzinfo=UTC)
    assert "latest version" in rule.revision
    assert rule.void == VOID_IN_TERMS
    assert "no void rule" in reason(contract)


FACTS = {
    "source": " as reported by the National Weather Service's Climatological Report (Daily),",
    "station": " in Central Park, New York",
    "date": " for May 11, 2026",
    "comparison": " is between 56-57°",
    "number": "56-57",
    "unit": "°",
    "outcome": ", then the market resolves to Yes",
    "subject": "highest temperature",
}


@pytest.mark.parametrize("fact", FACTS)
def test_a_text_without_one_of_its_facts_is_not_read(daily_high: Maker, fact: str) -> None:
    whole = daily_high()
    assert FACTS[fact] in whole.rules_primary

    without = daily_high(rules_primary=whole.rules_primary.replace(FACTS[fact], ""))

    assert reason(without)


def test_a_text_without_a_void_rule_is_read_only_where_that_is_allowed(daily_high: Maker) -> None:
    silent = daily_high(rules_secondary="")

    assert "no void rule" in reason(silent)
    assert reading(silent, void_in_terms=True).void == VOID_IN_TERMS


CONTRADICTIONS = {
    "another degree in the text": {"rules_primary": ("56-57°", "57-58°")},
    "another way in the text": {"rules_primary": ("is between 56-57°", "is greater than 56°")},
    "another date in the text": {"rules_primary": ("May 11, 2026", "May 12, 2026")},
    "another date in the title": {"title": ("May 11, 2026", "May 10, 2026")},
    "two dates in the text": {"rules_secondary": ("within one week", "by May 19, 2026")},
    "another airport": {"rules_primary": ("Central Park, New York", "LaGuardia Airport, New York")},
    "another report": {"rules_secondary": ("If no report", "Data for CLILGA can be found online. If no report")},
    "another source": {"rules_primary": ("National Weather Service's Climatological Report (Daily)", "AccuWeather")},
    "the lowest temperature": {"rules_primary": ("highest temperature", "lowest temperature")},
    "celsius": {"rules_primary": ("56-57°", "56-57° Celsius")},
    "half degrees": {"rules_primary": ("56-57°", "56.5-57.5°")},
    "ends that do not count": {"rules_primary": ("56-57°", "56-57° exclusive")},
    "ends the wrong way round": {"rules_primary": ("56-57°", "57-56°")},
    "another label": {"yes_sub_title": ("56° to 57°", "57° to 58°")},
    "another strike in the ticker": {"ticker": ("B56.5", "B58.5")},
    "a tail's ticker": {"ticker": ("B56.5", "T56")},
    "another event in the ticker": {"ticker": ("26MAY11", "26MAY12")},
    "an exception": {"rules_secondary": ("If no report", "Unless a hurricane passes, this stands. If no report")},
    "half a void rule": {"rules_secondary": ("the market is void and every position is refunded", "we shall see")},
    "a day that does not exist": {"rules_primary": ("May 11, 2026", "May 32, 2026")},
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_contradiction_or_an_unknown_clause_leaves_it_unread(daily_high: Maker, name: str) -> None:
    whole = daily_high()
    changes = {}
    for field, (found, put) in CONTRADICTIONS[name].items():
        assert found in getattr(whole, field)
        changes[field] = getattr(whole, field).replace(found, put)

    assert reason(daily_high(**changes))


def test_the_reason_names_both_sides_of_a_contradiction(daily_high: Maker) -> None:
    said = reason(daily_high(rules_primary=daily_high().rules_primary.replace("56-57°", "89-90°")))

    assert "89" in said
    assert "56" in said


def test_midway_is_read_and_o_hare_is_not(daily_high: Maker) -> None:
    def chicago(place: str) -> Contract:
        return daily_high(
            "less", series="KXHIGHCHI", event="KXHIGHCHI-26MAY11", ticker="KXHIGHCHI-26MAY11-T56",
            rules_primary=(
                f"If the highest temperature recorded at {place} for May 11, 2026, is less than 56° according to the "
                "National Weather Service's Climatological Report (Daily), then the market resolves to Yes."
            ),
        )  # fmt: skip

    assert reading(chicago("Chicago Midway, IL")).station == "KMDW"
    assert "O'Hare" in reason(chicago("Chicago O'Hare, IL"))
    assert reason(chicago("Chicago"))


def test_a_series_whose_station_is_not_known_is_not_read(daily_high: Maker) -> None:
    contract = daily_high(series="KXHIGHDEN", event="KXHIGHDEN-26MAY11", ticker="KXHIGHDEN-26MAY11-B56.5")

    assert "KXHIGHDEN is not known" in reason(contract)


@pytest.mark.parametrize("field", ["floor_strike", "cap_strike"])
def test_a_missing_strike_field_leaves_it_unread(daily_high: Maker, field: str) -> None:
    assert reason(daily_high(**{field: None}))


def test_trading_that_ends_before_the_day_begins_leaves_it_unread(daily_high: Maker) -> None:
    assert "trading ends" in reason(daily_high(close_at=datetime(2026, 5, 11, 4, tzinfo=UTC)))


@given(st.data())
def test_dropping_any_word_of_the_rule_never_changes_what_is_read(daily_high: Maker, data: st.DataObject) -> None:
    whole = daily_high(data.draw(st.sampled_from(["less", "between", "greater"])))
    words = whole.rules_primary.split()
    at = data.draw(st.integers(0, len(words) - 1))
    length = data.draw(st.integers(1, 6))

    read = read_rule(_with_primary(whole, " ".join((*words[:at], *words[at + length :]))))

    assert isinstance(read, Unread) or _bounds(read) == _bounds(reading(whole))


@given(at=st.integers(0, 400), put=st.text(alphabet="0123456789.-° ", min_size=1, max_size=3))
def test_no_stray_digit_changes_what_is_read(daily_high: Maker, at: int, put: str) -> None:
    whole = daily_high("greater")
    text = whole.rules_primary

    read = read_rule(_with_primary(whole, text[:at] + put + text[at:]))

    assert isinstance(read, Unread) or _bounds(read) == _bounds(reading(whole))


def _with_primary(contract: Contract, text: str) -> Contract:
    return replace(contract, rules_primary=text)


def _bounds(rule: SettlementRule) -> tuple[object, ...]:
    return rule.low, rule.high, rule.station, rule.observed_on
