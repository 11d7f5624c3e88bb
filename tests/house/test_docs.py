"""The documentation names everything a person can meet: gates, settings, endpoints, commands, programs, records."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer

import feed
from brokers.coinbase.config import CoinbaseConfig
from brokers.kalshi import config as kalshi_config
from brokers.kalshi.config import KalshiConfig
from brokers.nws import config as nws_config
from brokers.nws.config import NwsConfig
from brokers.oanda import config as oanda_config
from brokers.oanda.config import OandaConfig
from cli.audit import app as audit_app
from cli.tbot import app as tbot_app
from domain import settings
from domain.errors import Misconfigured
from domain.event_settings import LtSettings, StSettings
from domain.house import House
from domain.settings import Secret
from domain.surface_settings import SurfaceSettings
from domain.vocabulary import Code, ExitReason, Gate, Kind, Mode, ResolutionSource, State, Surface
from feed import config as feed_config
from feed import routes
from feed.config import FeedConfig
from feed.config import load as load_feed
from fleet.programs import FLEET
from forecast import config as models_config
from forecast import prompts
from forecast.answers import Reason
from forecast.config import ModelsConfig, Provider
from resolver.kalshi.wire import load as load_resolver
from risk.event_limits import EventLimits
from risk.limits import Limits
from strategies.fx.params import FxParams
from surfaces.kalshi.config import LT_PREFIXES, ST_PREFIXES, load_lt, load_st
from surfaces.oanda_fx.config import PREFIXES as FX_PREFIXES
from surfaces.oanda_fx.config import load as load_fx
from tbot_client import errors as client_errors
from tbot_client.cli import app as client_app

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


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


FX, ST, LT, FEED = "fx.env.example", "st.env.example", "lt.env.example", "feed.env.example"
SETTINGS = (
    Told(prefix="FX_", cls=SurfaceSettings, page="settings.md", examples=(FX,)),
    Told(prefix="ST_", cls=StSettings, page="settings.md", examples=(ST,)),
    Told(prefix="LT_", cls=LtSettings, page="settings.md", examples=(LT,)),
    Told(prefix="RISK_", cls=Limits, page="gates.md", examples=(FX,), sections=("Keys",)),
    Told(prefix="RISK_", cls=EventLimits, page="gates.md", examples=(ST, LT), sections=("Event contracts", "Keys")),
    Told(prefix="STRATEGY_", cls=FxParams, page="strategies.md", examples=(FX,)),
    Told(prefix="OANDA_", cls=OandaConfig, page="brokers.md", examples=(FX,)),
    Told(prefix="KALSHI_", cls=KalshiConfig, page="brokers.md", examples=(ST, LT)),
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
    "NWS_USER_AGENT": nws_config.PLACEHOLDER,
    **{f"MODELS_{provider.upper()}_KEY": models_config.PLACEHOLDER for provider in Provider},
}
# example -> what reads the file: a surface, its resolver, the feed
EXAMPLES: Mapping[str, tuple[Callable[[Mapping[str, str]], Any], ...]] = {
    FX: (load_fx,),
    ST: (load_st, lambda given: load_resolver(given, Surface.ST, StSettings, ("NWS_", "COINBASE_"))),
    LT: (load_lt, lambda given: load_resolver(given, Surface.LT, LtSettings, ("MODELS_",))),
    FEED: (load_feed,),
}
PREFIXES = {FX: FX_PREFIXES, ST: ST_PREFIXES, LT: LT_PREFIXES, FEED: ("TBOT_", feed_config.PREFIX)}
# Where outcomes are read today; the vocabulary keeps words for surfaces to come.
USED_SOURCES = (
    ResolutionSource.OANDA_CANDLES,
    ResolutionSource.KALSHI_RESOLUTION,
    ResolutionSource.NWS_OBSERVATION,
    ResolutionSource.SIM,
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
LINE = re.compile(r"^(?P<off># )?(?P<key>[A-Z][A-Z0-9]*_[A-Z0-9_]+)=(?P<value>.*)$")


def page(name: str) -> str:
    return (DOCS / name).read_text()


def is_named(word: str, text: str) -> bool:
    """Tell whether a word stands in the text as code, or at least on its own."""
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


def missing(words: Iterator[str] | list[str], text: str) -> list[str]:
    return [word for word in words if not is_named(word, text)]


def test_each_gate_is_explained_in_the_order_in_which_it_is_asked() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", page("gates.md"), re.MULTILINE)

    assert rows == [(str(number), str(gate)) for number, gate in enumerate(Gate, start=1)]


def test_each_refusal_code_is_explained() -> None:
    assert missing([f"`{code}`".strip("`") for code in Code], page("gates.md")) == []


def test_each_state_mode_and_source_is_explained() -> None:
    told = page("architecture.md") + page("runbook.md") + page("settings.md") + page("journals.md")

    assert missing([*State, *Mode], told) == []
    assert missing([*USED_SOURCES], told) == []


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


def test_the_limits_of_event_contracts_that_are_repeated_are_those_that_differ() -> None:
    general, events = settings.keys(Limits, prefix="RISK_"), settings.keys(EventLimits, prefix="RISK_")
    repeated = {name for row in rows_of(section(page("gates.md"), "Event contracts")) for name in row.names}

    assert repeated == {key for key in general if general[key] != events[key]}


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
        if path.name not in known.get(name, set())
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
    return {k: secret if k != but and PLACEHOLDERS.get(k) == value else value for k, value in given.items()}


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


@pytest.mark.parametrize(("name", "prefix"), [(FX, "FX_"), (ST, "ST_"), (LT, "LT_")])
def test_an_example_is_safe_as_it_is(name: str, prefix: str) -> None:
    shown = example(name)

    assert shown[f"{prefix}MODE"] == (False, "dry_run")
    assert shown[f"{prefix}LIVE"] == (True, "false")
    assert shown[f"{prefix}LIVE_ACCOUNT"] == (True, "")
    assert [value for key, (_, value) in shown.items() if key.endswith("_ENVIRONMENT")] in (["practice"], ["demo"])


def test_the_feeds_example_listens_on_this_machine_alone() -> None:
    assert example(FEED)["FEED_HOST"][1] == "127.0.0.1"


def endpoints() -> list[tuple[str, str]]:
    """Return (method, path) of everything the feed answers."""
    # A service is needed to answer; its settings are enough to say what is answered.
    nobody: Any = SimpleNamespace(config=FeedConfig(cursor_secret=Secret("x" * 32)))
    router = routes.router(nobody)
    return sorted((method, route.path) for route in router.routes for method in getattr(route, "methods", ()))


@pytest.mark.parametrize(("method", "path"), endpoints(), ids=[" ".join(one) for one in endpoints()])
def test_each_endpoint_of_the_feed_has_its_section(method: str, path: str) -> None:
    headings = [line for line in page("feed.md").splitlines() if line.startswith("## ")]
    known = {(found[0], name) for line in headings for found in [line[4:].split(" ")] for name in documented(line)}

    assert (method, path) in known, f"docs/feed.md has no section on {method} {path}"


def documented(heading: str) -> list[str]:
    """Return the paths a heading names; ``/executed`` after a first path stands for its sibling."""
    first, *others = re.findall(r"(?:[A-Z]+ )?(/[^`\s]*)", heading) or [""]
    stem = first.rpartition("/")[0]
    return [first, *(stem + other for other in others)]


def error_codes() -> set[str]:
    """Return every code that some line of the feed's source answers with."""
    sources = {path.name: path.read_text() for path in Path(feed.__file__).parent.glob("*.py")}
    found = {code for text in sources.values() for code in re.findall(r"Problem\(\s*\d{3},\s*\"(\w+)\"", text)}
    found |= {code for text in sources.values() for code in re.findall(r"Conflict\(\s*\"(\w+)\"", text)}
    found |= {code for text in sources.values() for code in re.findall(r"(?:gone|not_ready)\(\s*\"(\w+)\"", text)}
    return found | {"cursor_expired", "epoch_changed", "cursor_ahead"}


def test_each_error_code_of_the_feed_is_explained() -> None:
    found = error_codes()

    assert {"token", "conflict", "journal", "overfilled", "cursor_invalid"} <= found
    assert missing([f"`{code}`" for code in sorted(found)], page("feed.md")) == []


def commands(name: str, app: typer.Typer) -> list[str]:
    """Return every command of a program, written as a person types it."""
    found, pending = [], [((name,), typer.main.get_command(app))]
    while pending:
        words, command = pending.pop()
        inner = getattr(command, "commands", {})
        pending += [((*words, word), one) for word, one in inner.items()]
        if not inner:
            found.append(" ".join(words))
    return sorted(found)


ALL_COMMANDS = [*commands("tbot", tbot_app), *commands("audit", audit_app), *commands("tbot-client", client_app)]


@pytest.mark.parametrize("command", ALL_COMMANDS)
def test_each_command_is_explained(command: str) -> None:
    pages = [ROOT / "client" / "README.md"] if command.startswith("tbot-client") else [DOCS / "cli.md"]

    assert any(is_named(command, path.read_text()) for path in pages), f"{command} stands in none of {pages}"


def options(app: typer.Typer, words: list[str]) -> list[str]:
    command: Any = typer.main.get_command(app)
    for word in words[1:]:
        command = command.commands[word]
    return [max(one.opts, key=len) for one in command.params if max(one.opts, key=len).startswith("--")]


@pytest.mark.parametrize("command", [one for one in ALL_COMMANDS if not one.startswith("tbot-client")])
def test_each_option_of_a_command_is_explained(command: str) -> None:
    app = tbot_app if command.startswith("tbot") else audit_app
    wanted = {"--home", "--json"} | set(options(app, command.split()))

    assert missing(sorted(wanted), page("cli.md")) == []


@pytest.mark.parametrize("item", FLEET, ids=[item.name for item in FLEET])
def test_each_program_is_in_the_runbook(item: Any) -> None:
    assert is_named(item.name, page("runbook.md"))


def test_each_program_and_its_env_file_is_in_the_architecture() -> None:
    told = page("architecture.md")

    assert missing([item.name for item in FLEET], told) == []
    assert missing([f"env/{item.env}.env" for item in FLEET if not item.demo_only], told) == []


def test_each_kind_of_record_is_explained() -> None:
    assert missing([f"`{kind}`" for kind in Kind], page("journals.md")) == []


def test_each_end_of_a_trade_is_explained() -> None:
    assert missing([f"`{reason}`" for reason in ExitReason], page("journals.md")) == []


def methods() -> set[str]:
    """Return the name of every way to an estimate, as it stands in a decision."""
    sources = [path.read_text() for folder in ("forecast", "surfaces") for path in (ROOT / folder).rglob("*.py")]
    return {name for text in sources for name in re.findall(r'^METHOD = "(\w+)"$', text, re.MULTILINE)}


def test_each_way_to_an_estimate_is_explained() -> None:
    assert methods() >= {"panel", "weather", "volatility", "odds"}
    assert missing([f"`{method}`" for method in sorted(methods())], page("forecasting.md")) == []


def test_each_wording_of_the_question_is_named() -> None:
    versions = [path.stem for path in Path(prompts.__file__).parent.glob("*.md")]

    assert versions
    assert missing(versions, page("forecasting.md")) == []


def test_each_provider_and_each_reason_why_a_model_is_missing_is_explained() -> None:
    assert missing([f"`{word}`" for word in (*Provider, *Reason)], page("forecasting.md")) == []


def test_each_surface_that_runs_has_its_row_of_settings() -> None:
    surfaces = [item.arguments[0] for item in FLEET if item.module == "surfaces"]

    assert missing([f"`env/{surface}.env`" for surface in surfaces], page("settings.md")) == []


def exit_code_table(text: str) -> set[int]:
    return {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}


def test_exit_codes_are_explained() -> None:
    names = ("OK", "FAILURE", "USAGE", "DEGRADED", "UNREACHABLE", "STOPPED", "CONFIG", "INTERRUPTED")
    of_the_client = {getattr(client_errors, name) for name in names}

    assert exit_code_table(page("runbook.md")) >= {0, 70, 78}
    assert exit_code_table(page("cli.md")) >= {0, 1, 2, 3, 4, 70, 78, 130}
    assert exit_code_table((ROOT / "client" / "README.md").read_text()) == of_the_client


def test_each_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    pending = [ROOT / "README.md"]
    while pending:
        path = pending.pop()
        if path not in seen and path.suffix == ".md" and path.is_file():
            seen.add(path)
            pending += [target for _, target in links(path)]

    assert sorted(str(path.relative_to(ROOT)) for path in set(DOCS.glob("*.md")) - seen) == []


def links(path: Path) -> list[tuple[str, Path]]:
    """Return the relative links of a page, as written and as files; code blocks hold none."""
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    found = [link.partition("#")[0] for link in LINK.findall(text) if "://" not in link and not link.startswith("#")]
    return [(link, (path.parent / link).resolve()) for link in found]


def test_relative_links_lead_somewhere(repository_files: list[Path]) -> None:
    pages = [path for path in repository_files if path.suffix == ".md"]
    broken = [
        f"{path.relative_to(ROOT)}: {link}" for path in pages for link, target in links(path) if not target.exists()
    ]

    assert len(pages) > 5
    assert broken == []
