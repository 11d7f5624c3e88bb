"""Contracts as the venue lists them, with the wording seen there."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from domain.contract import Contract, ContractStatus

SECONDARY = (
    "Not all weather data is the same. While checking a source like AccuWeather or Google Weather may help guide your "
    "decision, the official and final value used to determine this market is the highest temperature as reported by "
    "the corresponding NWS Climatological Report (Daily) linked in the rules above. Preliminary NWS reporting and "
    "measurement methods may be subject to underlying rounding and conversion nuances. Traders should exercise caution "
    "when interpreting preliminary NWS data."
)
VOID = "If no report is published within one week, the market is void and every position is refunded."
STRIKES = {
    "less": (None, Decimal(56), "T56", "is less than 56°", "55° or below"),
    "between": (Decimal(56), Decimal(57), "B56.5", "is between 56-57°", "56° to 57°"),
    "greater": (Decimal(57), None, "T57", "is greater than 57°", "58° or above"),
}


def listed(**changes: Any) -> Contract:
    fields: dict[str, Any] = {
        "ticker": "KXHIGHNY-26MAY11-B56.5",
        "event": "KXHIGHNY-26MAY11",
        "series": "KXHIGHNY",
        "category": "Climate and Weather",
        "title": "Will the **high temp in NYC** be 56-57° on May 11, 2026?",
        "event_title": "Highest temperature in NYC on May 11, 2026?",
        "yes_sub_title": "56° to 57°",
        "no_sub_title": "56° to 57°",
        "rules_primary": "",
        "rules_secondary": "",
        "strike_type": "between",
        "floor_strike": Decimal(56),
        "cap_strike": Decimal(57),
        "open_at": datetime(2026, 5, 10, 14, tzinfo=UTC),
        "close_at": datetime(2026, 5, 12, 4, 59, tzinfo=UTC),
        "expected_expiration_at": datetime(2026, 5, 12, 14, tzinfo=UTC),
        "latest_expiration_at": datetime(2026, 5, 18, 14, tzinfo=UTC),
        "status": ContractStatus.ACTIVE,
        "result": "",
        "value": None,
        "expiration_value": "",
        "can_close_early": True,
        "tick": Decimal("0.01"),
        "fee_type": "quadratic",
        "fee_multiplier": Decimal(1),
    }
    return Contract(**(fields | changes))


def weather_text(comparison: str) -> str:
    return (
        "If the highest temperature recorded in Central Park, New York for May 11, 2026 as reported by the National "
        f"Weather Service's Climatological Report (Daily), {comparison}, then the market resolves to Yes."
    )


@pytest.fixture(scope="session")
def daily_high() -> Callable[..., Contract]:
    """Return a maker of a daily high of Central Park, one of the three kinds of strike."""

    def make(way: str = "between", **changes: Any) -> Contract:
        floor, cap, suffix, words, label = STRIKES[way]
        own: dict[str, Any] = {
            "ticker": f"KXHIGHNY-26MAY11-{suffix}",
            "strike_type": way,
            "floor_strike": floor,
            "cap_strike": cap,
            "title": f"Will the **high temp in NYC** {words.replace('is', 'be')} on May 11, 2026?",
            "yes_sub_title": label,
            "rules_primary": weather_text(words),
            "rules_secondary": f"{SECONDARY} {VOID}",
        }
        return listed(**(own | changes))

    return make


@pytest.fixture(scope="session")
def price_at() -> Callable[..., Contract]:
    """Return a maker of an hourly bitcoin contract."""

    def make(**changes: Any) -> Contract:
        own: dict[str, Any] = {
            "ticker": "KXBTCD-26AUG1317-T73249.99",
            "event": "KXBTCD-26AUG1317",
            "series": "KXBTCD",
            "category": "Crypto",
            "title": "Bitcoin price on Aug 13, 2026?",
            "yes_sub_title": "$73,250 or above",
            "strike_type": "greater",
            "floor_strike": Decimal("73249.99"),
            "cap_strike": None,
            "open_at": datetime(2026, 8, 13, 20, tzinfo=UTC),
            "close_at": datetime(2026, 8, 13, 21, tzinfo=UTC),
            "expected_expiration_at": datetime(2026, 8, 13, 21, 5, tzinfo=UTC),
            "latest_expiration_at": datetime(2026, 8, 20, 21, tzinfo=UTC),
            "rules_primary": (
                "If the simple average of the sixty seconds of CF Benchmarks' Bitcoin Real-Time Index (BRTI) before "
                "5 PM EDT is above 73249.99 at 5 PM EDT on Aug 13, 2026, then the market resolves to Yes."
            ),
            "rules_secondary": (
                "Not all cryptocurrency price data is the same. While checking a source like Google or Coinbase may "
                "help guide your decision, the price used to determine this market is based on CF Benchmarks' "
                "corresponding Real Time Index (RTI). At the last minute before expiration, 60 RTI prices are "
                "collected. The official and final value is the average of these prices, rounded to the nearest 2 "
                "decimal places. If the index is unavailable, the market is void and positions are refunded."
            ),
        }
        return listed(**(own | changes))

    return make


@pytest.fixture(scope="session")
def question() -> Callable[..., Contract]:
    """Return a maker of a long-term question."""

    def make(**changes: Any) -> Contract:
        own: dict[str, Any] = {
            "ticker": "KXRATE-26DEC31",
            "event": "KXRATE-26DEC31",
            "series": "KXRATE",
            "category": "Economics",
            "title": "Will the Fed cut rates this year?",
            "yes_sub_title": "Before 2027",
            "strike_type": "custom",
            "floor_strike": None,
            "cap_strike": None,
            "open_at": datetime(2026, 1, 5, tzinfo=UTC),
            "close_at": datetime(2026, 12, 31, 15, tzinfo=UTC),
            "latest_expiration_at": datetime(2027, 1, 7, tzinfo=UTC),
            "rules_primary": (
                "If the Federal Reserve lowers its target rate before Dec 31, 2026, then the market resolves to Yes."
            ),
            "rules_secondary": (
                "The outcome is verified from the Federal Reserve. If the meeting is cancelled, the market resolves to "
                "No."
            ),
        }
        return listed(**(own | changes))

    return make
