"""The documentation names everything a person can meet: gates, endpoints, commands, programs, records, methods."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from pages import DOCS, ROOT, is_named, missing, page

import feed
from cli.audit import app as audit_app
from cli.tbot import app as tbot_app
from domain.contract import RuleKind
from domain.settings import Secret
from domain.stock_settings import DayTradeRule, StockStrategy
from domain.vocabulary import Code, ExitReason, Gate, Kind, Leg, Link, Mode, ResolutionSource, State, TimeInForce
from feed import routes
from feed.config import FeedConfig
from fleet.programs import FLEET
from forecast import prompts
from forecast.answers import Reason
from forecast.config import Provider
from tbot_client import errors as client_errors
from tbot_client.cli import app as client_app

# Where outcomes are read today; the vocabulary keeps words for surfaces to come.
USED_SOURCES = (
    ResolutionSource.OANDA_CANDLES,
    ResolutionSource.KALSHI_RESOLUTION,
    ResolutionSource.NWS_OBSERVATION,
    ResolutionSource.IBKR_POSITION,
    ResolutionSource.SIM,
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def test_each_gate_is_explained_in_the_order_in_which_it_is_asked() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", page("gates.md"), re.MULTILINE)

    assert rows == [(str(number), str(gate)) for number, gate in enumerate(Gate, start=1)]


def test_each_refusal_code_is_explained() -> None:
    assert missing([f"`{code}`".strip("`") for code in Code], page("gates.md")) == []


def test_each_state_mode_and_source_is_explained() -> None:
    told = page("architecture.md") + page("runbook.md") + page("settings.md") + page("journals.md")

    assert missing([*State, *Mode, *Link], told) == []
    assert missing([*USED_SOURCES], told) == []


def test_each_choice_that_stocks_leave_is_explained() -> None:
    assert missing([f"`{word}`" for word in (*StockStrategy, *DayTradeRule)], page("settings.md")) == []
    assert missing([f"`{word}`" for word in (*Leg, *TimeInForce)], page("journals.md")) == []


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


def test_each_kind_of_settlement_rule_is_explained() -> None:
    assert missing([f"`{kind}`" for kind in RuleKind], page("forecasting.md")) == []


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


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    titles = [re.sub(r"[^\w\- ]", "", title.lower()) for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)]
    return {title.strip().replace(" ", "-") for title in titles}


def test_links_to_headings_lead_to_one(repository_files: list[Path]) -> None:
    broken = [
        f"{path.relative_to(ROOT)}: {link}"
        for path in repository_files
        if path.suffix == ".md"
        for link in LINK.findall(path.read_text())
        if "#" in link and "://" not in link
        for name, _, anchor in [link.partition("#")]
        if anchor not in anchors((path.parent / name).resolve() if name else path)
    ]

    assert broken == []


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
