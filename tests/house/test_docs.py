"""The documentation names everything a person can meet: gates, settings, endpoints, commands, programs, records."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer

import feed
from brokers.coinbase.config import CoinbaseConfig
from brokers.kalshi.config import KalshiConfig
from brokers.nws.config import NwsConfig
from brokers.oanda import config as oanda_config
from brokers.oanda.config import OandaConfig
from cli.audit import app as audit_app
from cli.tbot import app as tbot_app
from domain import settings
from domain.errors import Misconfigured
from domain.house import House
from domain.settings import Secret
from domain.surface_settings import SurfaceSettings
from domain.vocabulary import Code, Gate, Kind, Mode, ResolutionSource, State
from feed import config as feed_config
from feed import routes
from feed.config import FeedConfig
from feed.config import load as load_feed
from fleet.programs import FLEET
from risk.limits import Limits
from strategies.fx.params import FxParams
from surfaces.oanda_fx.config import load as load_fx
from tbot_client import errors as client_errors
from tbot_client.cli import app as client_app

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
# prefix -> the class that reads it, the page that explains it, the example that shows it
SETTINGS: Mapping[str, tuple[type[Any], str, str]] = {
    "FX_": (SurfaceSettings, "settings.md", "fx.env.example"),
    "RISK_": (Limits, "gates.md", "fx.env.example"),
    "STRATEGY_": (FxParams, "strategies.md", "fx.env.example"),
    "OANDA_": (OandaConfig, "brokers.md", "fx.env.example"),
    "FEED_": (FeedConfig, "settings.md", "feed.env.example"),
    "TBOT_": (House, "settings.md", ""),
    "KALSHI_": (KalshiConfig, "brokers.md", ""),
    "NWS_": (NwsConfig, "brokers.md", ""),
    "COINBASE_": (CoinbaseConfig, "brokers.md", ""),
}
# What an example shows where a secret belongs: refused until a person puts a real one there.
PLACEHOLDERS = {"OANDA_TOKEN": oanda_config.PLACEHOLDER, "FEED_CURSOR_SECRET": feed_config.PLACEHOLDER}
EXAMPLES = {"fx.env.example": load_fx, "feed.env.example": load_feed}
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
    assert missing([ResolutionSource.OANDA_CANDLES, ResolutionSource.SIM], told) == []


def keys() -> list[tuple[str, str]]:
    return [(prefix, key) for prefix, (cls, _, _) in SETTINGS.items() for key in settings.keys(cls, prefix=prefix)]


def rows_of(text: str) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the keys and the defaults that each row of a table of settings names."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        names = re.findall(r"`([A-Z][A-Z0-9]*_[A-Z0-9_]+)`", cells[0])
        if line.startswith("|") and names and len(cells) >= 3:
            yield names, [default.strip(" `") for default in cells[1].split("`, `")]


def same(told: str, default: str) -> bool:
    if default == "":
        return told in ("", "–", "required", "empty")
    try:
        return float(told) == float(default)
    except ValueError:
        return told == default


@pytest.mark.parametrize(("prefix", "key"), keys(), ids=[key for _, key in keys()])
def test_each_setting_is_explained_with_its_default(prefix: str, key: str) -> None:
    cls, name, _ = SETTINGS[prefix]
    told = [
        defaults[names.index(key)]
        for names, defaults in rows_of(page(name))
        if key in names and len(defaults) == len(names)
    ]

    assert len(told) == 1, f"{key} must stand in one row of docs/{name}, with its default; found {told}"
    assert same(told[0], settings.keys(cls, prefix=prefix)[key]), f"docs/{name} gives {key} as {told[0]!r}"


@pytest.mark.parametrize("name", ["feed.md", "settings.md", "gates.md", "strategies.md", "brokers.md"])
def test_no_page_explains_a_setting_that_does_not_exist(name: str) -> None:
    known = {key for _, key in keys()}
    told = [key for names, _ in rows_of(page(name)) for key in names]

    assert [key for key in told if key not in known] == []


def test_the_page_on_the_feed_agrees_with_the_page_on_settings() -> None:
    defaults = settings.keys(FeedConfig, prefix="FEED_")

    for names, told in rows_of(page("feed.md")):
        for key, default in zip(names, told, strict=True):
            assert same(default, defaults[key]), f"docs/feed.md gives {key} as {default!r}"


def example(name: str) -> dict[str, tuple[bool, str]]:
    """Return key -> (is commented out, value) of an example."""
    found = [LINE.match(line) for line in (ROOT / "env" / name).read_text().splitlines()]
    return {match["key"]: (bool(match["off"]), match["value"]) for match in found if match is not None}


def filled_in(given: Mapping[str, str]) -> dict[str, str]:
    """Return the values with a secret in place of each placeholder."""
    return {key: "0123456789abcdef" * 2 if PLACEHOLDERS.get(key) == value else value for key, value in given.items()}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_shows_every_key_and_no_other(name: str) -> None:
    wanted = [k for prefix, k in keys() if SETTINGS[prefix][2] == name]

    assert sorted(example(name)) == sorted(wanted)


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_an_example_comments_out_is_the_default(name: str) -> None:
    defaults = {k: v for p, (cls, _, _) in SETTINGS.items() for k, v in settings.keys(cls, prefix=p).items()}
    wrong = {
        key: (value, defaults[key])
        for key, (is_off, value) in example(name).items()
        if is_off and not (value == defaults[key] or (value and same(value, defaults[key])))
    }

    assert wrong == {}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_gives_what_must_be_given_and_loads(name: str) -> None:
    EXAMPLES[name](filled_in({key: value for key, (is_off, value) in example(name).items() if not is_off}))


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_refused_until_its_secret_is_replaced(name: str) -> None:
    given = {key: value for key, (is_off, value) in example(name).items() if not is_off}

    with pytest.raises(Misconfigured, match="still the example's"):
        EXAMPLES[name](given)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_loads_with_every_line_taken_in(name: str) -> None:
    EXAMPLES[name](filled_in({key: value for key, (_, value) in example(name).items()}))


def test_an_example_is_safe_as_it_is() -> None:
    mode, live = example("fx.env.example")["FX_MODE"], example("fx.env.example")["FX_LIVE"]

    assert mode == (False, "dry_run")
    assert live == (True, "false")
    assert example("feed.env.example")["FEED_HOST"][1] == "127.0.0.1"


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


def test_each_kind_of_record_is_explained() -> None:
    assert missing([f"`{kind}`" for kind in Kind], page("journals.md")) == []


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
