"""Settings are typed, complete and known, or the process does not start."""

import dataclasses
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import known_secrets, settings
from domain.errors import Misconfigured
from domain.settings import Secret
from domain.stock_settings import StockSettings
from domain.vocabulary import Surface

CANARY = "s3cr3t-canary"


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    name: str = "n"
    count: int = 1
    ratio: float = 0.5
    on: bool = False
    amount: Decimal = Decimal(1)
    folder: Path = Path("here")
    token: Secret = Secret("none")  # noqa: RUF009  a secret never changes
    since: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    colour: Colour = Colour.RED
    limit: Decimal | None = None
    markets: tuple[str, ...] = ("a", "b")
    surfaces: tuple[Surface, ...] = ()
    amounts: tuple[Decimal, ...] = ()

    def __post_init__(self) -> None:
        if self.count == 13:
            raise ValueError("count must not be 13")


@dataclass(frozen=True, slots=True, kw_only=True)
class Needy:
    token: Secret
    limit: Decimal | None = None
    made: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounded:
    least: float = 1.0
    most_s: float = 2.0

    def __post_init__(self) -> None:
        if self.most_s > 2:
            raise ValueError("least must not be above most_s, found least, most_s")


def load(cls=Everything, prefix="X_", **environ):
    return settings.load(cls, environ, prefix=prefix, source="env/x.env")


def message(cls=Everything, **environ):
    with pytest.raises(Misconfigured) as caught:
        load(cls, **environ)
    return str(caught.value)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("NAME", "two words", "two words"),
        ("COUNT", "-7", -7),
        ("RATIO", "1e-3", 0.001),
        ("ON", "true", True),
        ("ON", "YES", True),
        ("ON", "0", False),
        ("AMOUNT", "0.10", Decimal("0.10")),
        ("FOLDER", "/var/x", Path("/var/x")),
        ("TOKEN", CANARY, Secret(CANARY)),
        ("SINCE", "2026-03-04T14:00:00+02:00", datetime(2026, 3, 4, 12, tzinfo=UTC)),
        ("COLOUR", "blue", Colour.BLUE),
        ("LIMIT", "2.5", Decimal("2.5")),
        ("LIMIT", "", None),
        ("MARKETS", " a , b,,c ", ("a", "b", "c")),
        ("MARKETS", "", ()),
        ("SURFACES", "fx,st", (Surface.FX, Surface.ST)),
        ("AMOUNTS", "1,2.5", (Decimal(1), Decimal("2.5"))),
    ],
)
def test_a_value_is_read_as_its_fields_type(key, text, value):
    read = getattr(load(**{f"X_{key}": text}), key.lower())

    assert read == value
    assert type(read) is type(value)


def test_what_is_not_given_keeps_its_default():
    assert load() == Everything()


def test_keys_of_other_prefixes_belong_to_somebody_else():
    assert load(Y_COUNT="many", PATH="/bin") == Everything()


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("COUNT", "1.5", "a whole number"),
        ("COUNT", "", "a whole number"),
        ("RATIO", "fast", "a number"),
        ("RATIO", "nan", "a number"),
        ("RATIO", "1e400", "a number"),
        ("ON", "maybe", "true or false"),
        ("AMOUNT", "NaN", "a decimal number"),
        ("AMOUNT", "sNaN", "a decimal number"),
        ("AMOUNT", "-Infinity", "a decimal number"),
        ("AMOUNT", "1,5", "a decimal number"),
        ("SINCE", "2026-03-04T12:00:00", "an ISO-8601 moment with its offset"),
        ("COLOUR", "green", "one of red, blue"),
        ("LIMIT", "none", "a decimal number"),
        ("SURFACES", "fx,crypto", "a comma-separated list, each one of st, lt, fx, stk"),
        ("AMOUNTS", "1,inf", "a comma-separated list, each a decimal number"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_key_type_value_and_file(key, text, expected):
    found = message(**{f"X_{key}": text})

    assert f"expected X_{key} as {expected}; found {text!r}; correct it in env/x.env" == found


def test_an_unknown_key_is_refused_with_the_name_it_resembles():
    found = message(X_AMUONT="1")

    assert "X_AMUONT in env/x.env" in found
    assert "did you mean 'X_AMOUNT'?" in found


def test_an_unknown_key_that_resembles_nothing_is_refused_with_the_known_ones():
    assert "known keys: X_LIMIT, X_MADE, X_TOKEN" in message(Needy, X_QQQQQQ="1")


def test_a_missing_key_is_refused_with_what_to_set():
    assert message(Needy) == "expected a value for X_TOKEN; found none; set X_TOKEN in env/x.env"


def test_settings_that_do_not_fit_together_are_refused_with_the_file():
    assert "found X_COUNT must not be 13; correct env/x.env" in message(X_COUNT="13")


@pytest.mark.parametrize(
    ("cls", "prefix", "environ", "told"),
    [
        (StockSettings, "STK_", {"STK_MARKETS": ""}, "STK_MARKETS must name at least one market; found none"),
        (StockSettings, "STK_", {"STK_KEEP_S": "0"}, "STK_KEEP_S must be above 0; found 0.0"),
        (Bounded, "X_", {"X_MOST_S": "5"}, "X_LEAST must not be above X_MOST_S; found least, most_s"),
    ],
)
def test_what_does_not_fit_is_told_by_its_key_and_found_once(cls, prefix, environ, told):
    with pytest.raises(Misconfigured) as caught:
        settings.load(cls, environ, prefix=prefix, source="env/x.env")

    assert str(caught.value) == f"expected settings that fit together in env/x.env: {told}; correct env/x.env"


def test_a_field_of_a_type_that_settings_cannot_hold_is_a_programming_error():
    with pytest.raises(TypeError, match="cannot hold"):
        load(Needy, X_TOKEN="t", X_MADE="a")


@given(st.text(min_size=4).filter(lambda text: text not in "Secret('***')"))
def test_a_secret_is_shown_by_nothing_but_reveal(value):
    secret = Secret(value)

    assert value not in f"{secret!r} {secret} {[secret]}"
    assert secret.reveal() == value
    assert secret == Secret(value)
    assert hash(secret) == hash(Secret(value))
    assert secret != value


@pytest.mark.parametrize("environ", [{"X_COUNT": "many"}, {"X_COUNT": "13"}, {"X_AMUONT": "1"}, {"X_COLOUR": "green"}])
def test_no_message_about_another_setting_shows_a_secret(environ):
    assert CANARY not in message(X_TOKEN=CANARY, **environ)


def test_the_value_of_an_unknown_key_is_not_shown_because_it_may_be_a_secret():
    assert CANARY not in message(X_TOKN=CANARY)


def test_loaded_settings_do_not_show_their_secrets():
    assert CANARY not in repr(load(X_TOKEN=CANARY))


def test_strays_are_refused_with_the_prefix_they_resemble():
    with pytest.raises(Misconfigured, match="did you mean 'RISK_'") as caught:
        settings.refuse_strays({"RISKS_BANKROLL": CANARY}, ("RISK_", "FX_"), source="env/fx.env")

    assert "RISKS_BANKROLL in env/fx.env" in str(caught.value)
    assert CANARY not in str(caught.value)


def test_a_stray_that_resembles_nothing_is_refused_with_the_known_prefixes():
    with pytest.raises(Misconfigured, match="prefixes known here: RISK_, FX_"):
        settings.refuse_strays({"ZZZZZZ": "1"}, ("RISK_", "FX_"), source="env/fx.env")


def test_what_the_launcher_lets_through_is_no_stray():
    inherited = {
        "PATH": "/bin",
        "HOME": "/root",
        "LANG": "C",
        "LC_ALL": "C",
        "TZ": "UTC",
        "PYTHONUNBUFFERED": "1",
        "SUPERVISOR_PROCESS_NAME": "feed",
        "TBOT_HOME": "/srv",
        "FX_MODE": "paper",
    }

    settings.refuse_strays(inherited, ("TBOT_", "FX_"), source="env/fx.env")


def test_every_key_is_listed_with_its_default_as_text():
    listed = settings.keys(Everything, prefix="X_")

    assert listed == {
        "X_NAME": "n",
        "X_COUNT": "1",
        "X_RATIO": "0.5",
        "X_ON": "false",
        "X_AMOUNT": "1",
        "X_FOLDER": "here",
        "X_TOKEN": "Secret('***')",
        "X_SINCE": "2026-01-01 00:00:00+00:00",
        "X_COLOUR": "red",
        "X_LIMIT": "",
        "X_MARKETS": "a,b",
        "X_SURFACES": "",
        "X_AMOUNTS": "",
    }
    assert len(listed) == len(dataclasses.fields(Everything))


def test_a_secret_is_remembered_unless_it_is_too_short_to_be_one():
    Secret("sesame-7f3a9c")
    Secret("short")

    assert "sesame-7f3a9c" in known_secrets.values
    assert "short" not in known_secrets.values
