"""Every setting is explained with its default, and the example env files show all of them and are safe as they are."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from pages import DOCS, ROOT, missing, page

from brokers.coinbase.config import CoinbaseConfig
from brokers.ibkr import config as ibkr_config
from brokers.ibkr.config import IbkrConfig
from brokers.kalshi import config as kalshi_config
from brokers.kalshi.config import KalshiConfig
from brokers.nws import config as nws_config
from brokers.nws.config import NwsConfig
from brokers.oanda import config as oanda_config
from brokers.oanda.config import OandaConfig
from domain import settings, surface_settings
from domain.errors import Misconfigured
from domain.event_settings import LtSettings, StSettings
from domain.house import House
from domain.stock_settings import StockSettings
from domain.surface_settings import SurfaceSettings
from domain.vocabulary import Surface
from feed import config as feed_config
from feed.config import FeedConfig
from feed.config import load as load_feed
from forecast import config as models_config
from forecast.config import ModelsConfig, Provider
from resolver.ibkr_stk.wire import load as load_stock_resolver
from resolver.kalshi.wire import load as load_resolver
from risk.event_limits import EventLimits
from risk.limits import Limits
from risk.stock_limits import StockLimits
from strategies.crossover.params import CrossParams
from strategies.fx.params import FxParams
from strategies.stop_entry.machine import State as SymbolState
from strategies.stop_entry.params import StopEntryParams
from surfaces.ibkr_stk.config import load as load_stk
from surfaces.kalshi.config import load_lt, load_st
from surfaces.oanda_fx.config import load as load_fx

LINE = re.compile(r"^(?P<off># )?(?P<key>[A-Z][A-Z0-9]*_[A-Z0-9_]+)=(?P<value>.*)$")


@dataclass(frozen=True, kw_only=True)
class Told:
    """A settings class, the page that explains it, and the examples that show it.

    ``sections`` are the headings of its tables; where two of them name a key, the first counts. None is the whole page.
    """

    prefix: str
    cls: type[Any]
    page: str
    examples: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.prefix}{self.cls.__name__}"

    @property
    def defaults(self) -> Mapping[str, str]:
        return settings.keys(self.cls, prefix=self.prefix)


FX, ST, LT, STK = "fx.env.example", "st.env.example", "lt.env.example", "stk.env.example"
FEED = "feed.env.example"
SETTINGS = (
    Told(prefix="FX_", cls=SurfaceSettings, page="settings.md", examples=(FX,)),
    Told(prefix="ST_", cls=StSettings, page="settings.md", examples=(ST,)),
    Told(prefix="LT_", cls=LtSettings, page="settings.md", examples=(LT,)),
    Told(prefix="STK_", cls=StockSettings, page="settings.md", examples=(STK,)),
    Told(prefix="RISK_", cls=Limits, page="gates.md", examples=(FX,), sections=("Keys",)),
    Told(prefix="RISK_", cls=EventLimits, page="gates.md", examples=(ST, LT), sections=("Event contracts", "Keys")),
    Told(prefix="RISK_", cls=StockLimits, page="gates.md", examples=(STK,), sections=("Stocks", "Keys")),
    Told(prefix="STRATEGY_", cls=FxParams, page="strategies.md", examples=(FX,), sections=("Settings",)),
    Told(prefix="STRATEGY_", cls=StopEntryParams, page="strategies.md", examples=(STK,), sections=("Stop entry",)),
    Told(prefix="CROSS_", cls=CrossParams, page="strategies.md", examples=(STK,), sections=("Crossover",)),
    Told(prefix="OANDA_", cls=OandaConfig, page="brokers.md", examples=(FX,)),
    Told(prefix="KALSHI_", cls=KalshiConfig, page="brokers.md", examples=(ST, LT)),
    Told(prefix="IBKR_", cls=IbkrConfig, page="brokers.md", examples=(STK,)),
    Told(prefix="NWS_", cls=NwsConfig, page="brokers.md", examples=(ST,)),
    Told(prefix="COINBASE_", cls=CoinbaseConfig, page="brokers.md", examples=(ST,)),
    Told(prefix="MODELS_", cls=ModelsConfig, page="forecasting.md", examples=(LT,)),
    Told(prefix="FEED_", cls=FeedConfig, page="settings.md", examples=(FEED,)),
    Told(prefix="TBOT_", cls=House, page="settings.md"),
)
# What an example shows where a secret belongs: refused until a person puts a real one there.
PLACEHOLDERS = {
    "OANDA_TOKEN": oanda_config.PLACEHOLDER,
    "FEED_CURSOR_SECRET": feed_config.PLACEHOLDER,
    "KALSHI_KEY_ID": kalshi_config.PLACEHOLDER,
    "IBKR_ACCOUNT": ibkr_config.PLACEHOLDER,
    "NWS_USER_AGENT": nws_config.PLACEHOLDER,
    **{f"MODELS_{provider.upper()}_KEY": models_config.PLACEHOLDER for provider in Provider},
}
# example -> what reads the file: a surface, its resolver, the feed
EXAMPLES: Mapping[str, tuple[Callable[[Mapping[str, str]], Any], ...]] = {
    FX: (load_fx,),
    ST: (load_st, lambda given: load_resolver(given, Surface.ST, StSettings)),
    LT: (load_lt, lambda given: load_resolver(given, Surface.LT, LtSettings)),
    STK: (load_stk, load_stock_resolver),
    FEED: (load_feed,),
}
PREFIXES = {
    **{f"{surface}.env.example": prefixes for surface, prefixes in surface_settings.PREFIXES.items()},
    FEED: ("TBOT_", feed_config.PREFIX),
}


@dataclass(frozen=True)
class Row:
    """A row of a table of settings: the keys it names, and the default of each."""

    names: list[str]
    defaults: list[str]

    def default(self, key: str) -> str:
        return self.defaults[self.names.index(key)]


def rows_of(text: str) -> Iterator[Row]:
    """Yield the rows of the tables of settings; a row of several keys gives one default for each, or one for all.

    Tables of two columns count where they say that these are key and default.
    """
    least = 3
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|") or cells[:2] == ["key", "default"]:
            least = 2 if line.startswith("|") else 3
            continue
        names = re.findall(r"`([A-Z][A-Z0-9]*_[A-Z0-9_]+)`", cells[0])
        if names and len(cells) >= least:
            defaults = [default.strip(" `") for default in cells[1].split("`, `")]
            yield Row(names, defaults * len(names) if len(defaults) == 1 else defaults)


def section(text: str, heading: str) -> str:
    """Return what stands under a heading of the second level."""
    _, found, rest = text.partition(f"\n## {heading}\n")
    assert found, f"no heading {heading!r}"
    return rest.partition("\n## ")[0]


def explained(told: Told) -> dict[str, str]:
    """Return key -> default as the page gives it for one settings class; a key must not stand twice in a section."""
    text, found = page(told.page), {}
    for part in [section(text, name) for name in told.sections] or [text]:
        rows = [row for row in rows_of(part) if told.defaults.keys() & set(row.names)]
        names = [name for row in rows for name in row.names]
        assert sorted(set(names)) == sorted(names), f"docs/{told.page} explains a key of {told.name} twice"
        assert all(len(row.names) == len(row.defaults) for row in rows), f"docs/{told.page}: a default for each key"
        found = {name: row.default(name) for row in rows for name in row.names} | found
    return found


def same(told: str, default: str) -> bool:
    if default == "":
        return told in ("", "–", "required", "empty")
    try:
        return float(told) == float(default)
    except ValueError:
        return told == default


@pytest.mark.parametrize("told", SETTINGS, ids=[told.name for told in SETTINGS])
def test_each_setting_is_explained_with_its_default(told: Told) -> None:
    given = explained(told)

    assert sorted(told.defaults.keys() - given.keys()) == [], f"docs/{told.page} must have a row for each"
    wrong = {key: given[key] for key, default in told.defaults.items() if not same(given[key], default)}
    assert wrong == {}, f"docs/{told.page} gives another default than {told.cls.__name__}"


@pytest.mark.parametrize(("heading", "cls"), [("Event contracts", EventLimits), ("Stocks", StockLimits)])
def test_the_limits_of_a_surface_that_are_repeated_are_those_that_differ(heading: str, cls: type[Limits]) -> None:
    general, own = settings.keys(Limits, prefix="RISK_"), settings.keys(cls, prefix="RISK_")
    repeated = {name for row in rows_of(section(page("gates.md"), heading)) for name in row.names}

    assert repeated == {key for key in general if general[key] != own[key]}


def test_a_setting_is_explained_in_one_place() -> None:
    pages = {
        prefix: {told.page for told in SETTINGS if told.prefix == prefix} for prefix in {s.prefix for s in SETTINGS}
    }
    # The feed's own page repeats its settings for whoever reads nothing else; another test compares the two.
    pages["FEED_"] |= {"feed.md"}
    known = {key: pages[told.prefix] for told in SETTINGS for key in told.defaults}
    stray = [
        f"{path.name}: {name}"
        for path in sorted(DOCS.glob("*.md"))
        for row in rows_of(path.read_text())
        for name in row.names
        if path.name not in known.get(name, set()) and name not in tuple(SymbolState)
    ]

    assert stray == [], "unknown, or explained on another page"


def test_the_page_on_the_feed_agrees_with_the_page_on_settings() -> None:
    defaults = settings.keys(FeedConfig, prefix="FEED_")

    for row in rows_of(page("feed.md")):
        for key, default in zip(row.names, row.defaults, strict=True):
            assert same(default, defaults[key]), f"docs/feed.md gives {key} as {default!r}"


def example(name: str) -> dict[str, tuple[bool, str]]:
    """Return key -> (is commented out, value) of an example."""
    found = [LINE.match(line) for line in (ROOT / "env" / name).read_text().splitlines()]
    lines = [(match["key"], (bool(match["off"]), match["value"])) for match in found if match is not None]
    assert len(dict(lines)) == len(lines), f"env/{name} shows a key twice"
    return dict(lines)


def given_by(name: str) -> dict[str, str]:
    """Return what an example sets as it is."""
    return {key: value for key, (is_off, value) in example(name).items() if not is_off}


def defaults_of(name: str) -> dict[str, str]:
    """Return every key that whoever reads an example knows, with its default."""
    return {key: value for told in SETTINGS if name in told.examples for key, value in told.defaults.items()}


def filled_in(given: Mapping[str, str], *, but: str = "") -> dict[str, str]:
    """Return the values with a secret in place of each placeholder, ``but`` for one."""
    secret = "0123456789abcdef" * 2
    real = {"IBKR_ACCOUNT": "DU1234567"}
    return {
        k: real.get(k, secret) if k != but and PLACEHOLDERS.get(k) == value else value for k, value in given.items()
    }


def load(name: str, given: Mapping[str, str]) -> None:
    for one in EXAMPLES[name]:
        one(given)


def test_each_example_is_known_here_and_in_the_page_on_settings() -> None:
    names = sorted(path.name for path in (ROOT / "env").glob("*.example"))

    assert names == sorted(EXAMPLES)
    assert missing([f"env/{name.removesuffix('.example')}" for name in names], page("settings.md")) == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_about_every_class_its_process_reads(name: str) -> None:
    assert {"TBOT_", *(told.prefix for told in SETTINGS if name in told.examples)} == set(PREFIXES[name])


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_shows_every_key_and_no_other(name: str) -> None:
    assert sorted(example(name)) == sorted(defaults_of(name))


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_an_example_comments_out_is_the_default(name: str) -> None:
    defaults = defaults_of(name)
    wrong = {
        key: (value, defaults[key])
        for key, (is_off, value) in example(name).items()
        if is_off and not (value == defaults[key] or (value and same(value, defaults[key])))
    }

    assert wrong == {}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_gives_what_must_be_given_and_loads(name: str) -> None:
    load(name, filled_in(given_by(name)))


def secrets() -> list[tuple[str, str]]:
    return [(name, key) for name in EXAMPLES for key, value in given_by(name).items() if key in PLACEHOLDERS]


@pytest.mark.parametrize(("name", "key"), secrets(), ids=[f"{name} {key}" for name, key in secrets()])
def test_an_example_is_refused_until_each_secret_is_replaced(name: str, key: str) -> None:
    with pytest.raises(Misconfigured, match=f"{key} is still the example's"):
        EXAMPLES[name][0](filled_in(given_by(name), but=key))


def test_every_example_has_a_secret_that_must_be_replaced() -> None:
    assert {name for name, _ in secrets()} == set(EXAMPLES)
    assert {key for _, key in secrets()} == set(PLACEHOLDERS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_loads_with_every_line_taken_in(name: str) -> None:
    load(name, filled_in({key: value for key, (_, value) in example(name).items()}))


@pytest.mark.parametrize(("name", "prefix"), [(FX, "FX_"), (ST, "ST_"), (LT, "LT_"), (STK, "STK_")])
def test_an_example_is_safe_as_it_is(name: str, prefix: str) -> None:
    shown = example(name)

    assert shown[f"{prefix}MODE"] == (False, "dry_run")
    assert shown[f"{prefix}LIVE"] == (True, "false")
    assert shown[f"{prefix}LIVE_ACCOUNT"] == (True, "")
    assert [value for key, (_, value) in shown.items() if key.endswith("_ENVIRONMENT")] in (
        ["practice"],
        ["demo"],
        ["paper"],
    )


def test_the_feeds_example_listens_on_this_machine_alone() -> None:
    assert example(FEED)["FEED_HOST"][1] == "127.0.0.1"
