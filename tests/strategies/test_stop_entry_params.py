"""Parameters of the stop-entry and crossover strategies, symbols that differ, and watchlists."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from domain import settings
from domain.errors import Misconfigured
from domain.vocabulary import TimeInForce
from strategies.crossover.params import Average, CrossParams
from strategies.stop_entry.overrides import Override, parse_overrides
from strategies.stop_entry.params import StopEntryParams
from strategies.stop_entry.watchlist import parse_watchlist

D = Decimal
BOTH = [(StopEntryParams, "STRATEGY_"), (CrossParams, "CROSS_")]


def load(cls: type[Any], prefix: str, **environ: str) -> Any:
    given = {f"{prefix}{name}": value for name, value in environ.items()}
    return settings.load(cls, given, prefix=prefix, source="env/stk.env")


@pytest.mark.parametrize(("cls", "prefix"), BOTH)
def test_nothing_needs_to_be_set_and_every_default_can_be_written_out(cls: type[Any], prefix: str) -> None:
    defaults = {key.removeprefix(prefix): value for key, value in settings.keys(cls, prefix=prefix).items()}

    assert load(cls, prefix) == cls()
    assert load(cls, prefix, **defaults) == cls()


def test_values_are_read_from_the_environment() -> None:
    given = {"ENTRY_PCT": "3.5", "STOP_LIMIT": "true", "ENTRY_TIF": "gtc", "OVERRIDES": "TSLA:entry=4,usd=1500"}
    params = load(StopEntryParams, "STRATEGY_", **given)

    assert (params.entry_pct, params.stop_limit, params.entry_tif) == (D("3.5"), True, TimeInForce.GTC)
    assert (params.entry_of("TSLA"), params.trail_of("TSLA"), params.entry_of("NVDA")) == (D(4), D(10), D("3.5"))
    assert params.market_budgets == ("TSLA:1500",)
    assert load(CrossParams, "CROSS_", AVERAGE="ema", TARGET_RISKS="").average is Average.EMA


@pytest.mark.parametrize(
    ("cls", "key", "value"),
    [
        (StopEntryParams, "ENTRY_PCT", "0"),
        (StopEntryParams, "ENTRY_PCT", "100"),
        (StopEntryParams, "TRAIL_PCT", "100"),
        (StopEntryParams, "OVERRIDES", "TSLA:trail=100"),
        (StopEntryParams, "OVERRIDES", "TSLA"),
        (StopEntryParams, "REPRICE_PCT", "-1"),
        (StopEntryParams, "STUCK_S", "0"),
        (StopEntryParams, "PERIOD_S", "0"),
        (StopEntryParams, "HISTORY_BARS", "14"),
        (StopEntryParams, "TRAIL_LIMIT_OFFSET_PCT", "0"),
        (StopEntryParams, "ENTRY_TIF", "week"),
        (StopEntryParams, "ENTRY", "5"),
        (CrossParams, "FAST", "30"),
        (CrossParams, "FAST", "0"),
        (CrossParams, "PERIOD_S", "86401"),
        (CrossParams, "ATR", "1"),
        (CrossParams, "STOP_ATR", "0"),
        (CrossParams, "TARGET_RISKS", "0"),
        (CrossParams, "MIN_GAP_ATR", "-1"),
        (CrossParams, "COMMISSION_MAX_PCT", "0"),
        (CrossParams, "HISTORY_BARS", "20"),
        (CrossParams, "AVERAGE", "wilder"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(cls: type[Any], key: str, value: str) -> None:
    prefix = dict(BOTH)[cls]

    with pytest.raises(Misconfigured, match=rf"(?i){key}"):
        load(cls, prefix, **{key: value})


def test_a_changed_copy_reads_its_symbols_anew() -> None:
    params = replace(StopEntryParams(overrides="TSLA:entry=4"), overrides="NVDA:entry=6")

    assert (params.entry_of("TSLA"), params.entry_of("NVDA")) == (D(5), D(6))


def test_symbols_that_differ_are_parted_by_semicolons_and_their_numbers_by_commas() -> None:
    found = parse_overrides(" tsla : entry = 4 , trail=8,usd=1500 ;NVDA:usd=1200; ")

    assert found == {"TSLA": Override(entry=D(4), trail=D(8), usd=D(1500)), "NVDA": Override(usd=D(1200))}
    assert parse_overrides("") == {}


@pytest.mark.parametrize(
    "text",
    [
        "TSLA",
        "TSLA:",
        ":entry=4",
        "TSLA:entry",
        "TSLA:entry=0",
        "TSLA:entry=x",
        "TSLA:entry=nan",
        "TSLA:size=4",
        "TSLA:entry=4,entry=5",
        "TSLA:entry=4;TSLA:trail=8",
        "TSLA:entry=4,,",
    ],
)
def test_an_entry_of_another_form_is_refused_with_what_was_found(text: str) -> None:
    with pytest.raises(ValueError, match=r"overrides .*(TSLA|:entry=4)"):
        parse_overrides(text)


def test_a_watchlist_names_symbols_once_in_capitals_and_complains_about_the_rest_by_line() -> None:
    text = "\ufeff# mine\n\ntsla\r\n  NVDA  # chips\nBRK B\nbf.b\nTSLA\nSMCI, META\n$$$\n1ABC\n"
    found = parse_watchlist(text)

    assert found.symbols == ("TSLA", "NVDA", "BRK B", "BF.B")
    assert [str(one) for one in found.complaints] == [
        "line 7: TSLA stands already in line 3, found 'TSLA'",
        "line 8: a line must hold one symbol, found 'SMCI, META'",
        "line 9: a line must hold one symbol, found '$$$'",
        "line 10: a line must hold one symbol, found '1ABC'",
    ]


def test_an_empty_watchlist_is_no_symbols_and_no_complaint() -> None:
    assert parse_watchlist("\n # nothing yet\n") == parse_watchlist("")
    assert parse_watchlist("").symbols == ()
