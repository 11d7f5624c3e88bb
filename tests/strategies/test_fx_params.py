"""Parameters of the FX strategy: read from the environment, refused when they make no sense, documented."""

from pathlib import Path

import pytest

from domain import settings
from domain.errors import Misconfigured
from strategies.fx.params import FxParams

PREFIX = "STRATEGY_"


def load(**environ: str) -> FxParams:
    given = {f"{PREFIX}{name}": value for name, value in environ.items()}
    return settings.load(FxParams, given, prefix=PREFIX, source="env/fx.env")


def test_nothing_needs_to_be_set() -> None:
    assert load() == FxParams()


def test_every_default_can_be_written_out_and_read_back() -> None:
    defaults = {key.removeprefix(PREFIX): value for key, value in settings.keys(FxParams, prefix=PREFIX).items()}

    assert load(**defaults) == FxParams()


def test_values_are_read_from_the_environment() -> None:
    params = load(PERIOD_S="60", TRAILING_ATR="1.5", STOP_ATR="2.5")

    assert (params.period_s, params.trailing_atr, params.stop_atr) == (60, 1.5, 2.5)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("PERIOD_S", "0"),
        ("PERIOD_S", "86401"),
        ("DONCHIAN", "1"),
        ("EMA_FAST", "50"),
        ("STOP_ATR", "0"),
        ("TARGET_ATR", "-1"),
        ("TRAILING_ATR", "0"),
        ("MIN_TRAILING_PIPS", "-1"),
        ("MAX_TILT", "0.3"),
        ("MAX_TILT", "-0.1"),
        ("COMMISSION_BP", "-1"),
        ("PULLBACK_RSI", "100"),
        ("STOP_ATR", "nan"),
        ("STOPP_ATR", "2"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(key: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=rf"(?i){key}"):
        load(**{key: value})


def test_the_warm_up_is_four_times_the_longest_memory() -> None:
    assert FxParams().required_bars == 14 + 50
    assert FxParams().warmup_bars == 4 * 64


def test_every_key_and_its_default_stand_in_the_documentation(root: Path) -> None:
    page = (root / "docs" / "strategies.md").read_text()
    text = page.partition("\n## Settings\n")[2].partition("\n## ")[0]
    rows = {
        line.split("|")[1].strip(): line.split("|")[2].strip() for line in text.splitlines() if line.startswith("| `ST")
    }

    assert rows == {f"`{key}`": value or "empty" for key, value in settings.keys(FxParams, prefix=PREFIX).items()}
