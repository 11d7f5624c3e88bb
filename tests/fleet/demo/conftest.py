"""The demo that these tests share: started once, killed piece by piece, stopped, and kept to be looked at."""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import contract_books
import pytest
from demo_story import BIN, SURFACES, Story, environment

from fleet.demo_ibkr import OPERATOR_ACCOUNT
from fleet.demo_kalshi import LT, ST, SUBSCRIBER

# What dies together belongs to different surfaces; the venues die last.
KILLED = (
    ("oanda-fx", "kalshi-st", "ibkr-stk"),
    ("feed", "kalshi-lt", "resolver-stk"),
    ("demo-subscriber", "resolver-st", "demo-subscriber-ibkr"),
    ("resolver-fx", "demo-subscriber-kalshi"),
    ("simulator-kalshi", "simulator-tws"),
)
EVENTS = ("st", "lt")
QUICK = ("fx", "stk")


def play(story: Story) -> None:
    """Let the demo live through everything that the tests ask about."""
    seen = story.watcher.facts.surfaces
    story.until("every process to run", story.all_running, 60)
    story.until("signals of every surface", lambda: story.watcher.look() and is_trading(story), 120)
    story.status = story.command("tbot", "status", "--json")
    for names in KILLED:
        story.held_when_killed |= {surface: story.open_signals(surface) for surface in EVENTS}
        story.kill(*names)
    story.watcher.look()
    # EUR/USD grows quiet in New York's afternoon.
    enough = {"fx": seen["fx"].resolved + 1, "stk": seen["stk"].resolved + 3}
    story.until(
        "trades resolved after the kills",
        lambda: story.watcher.look() and all(seen[name].resolved >= enough[name] for name in QUICK),
        120,
    )
    story.until("contracts resolved that were held when Kalshi died", lambda: are_resolved(story), 120)
    story.until("results of all subscribers", lambda: are_reported(story), 90)
    stop_and_go(story)
    story.until("the two accounts of all fills to agree", lambda: agree(story), 30)
    story.fills_agreed = True
    story.until("Kalshi and the journals to agree to the cent", lambda: agree_on_contracts(story), 60)
    story.contracts_agreed = True
    story.weigh()
    story.until("TWS and the journals to hold the same executions", lambda: agree_on_stocks(story), 60)
    story.stocks_agreed = True
    story.stopping_at = story.clock.now()
    story.models = story.told_by("simulator-models")
    story.process.send_signal(signal.SIGINT)
    story.exit_code = story.process.wait(90)


def is_trading(story: Story) -> bool:
    """Tell whether every surface has published, and the quickest has come to the end of a trade."""
    seen = story.watcher.facts.surfaces
    quick = all(seen[name].resolved > 0 for name in QUICK if name in seen)
    return set(seen) == set(SURFACES) and all(seen[name].signals >= 3 for name in EVENTS) and quick


def are_resolved(story: Story) -> bool:
    return all(story.held_when_killed[name] - story.open_signals(name) for name in EVENTS)


def are_reported(story: Story) -> bool:
    return all(len(story.reports("resolved", *names)) >= 3 for names in (("fx",), EVENTS, ("stk",)))


def stop_and_go(story: Story) -> None:
    stop = story.house.logs / "STOP"
    seen = story.watcher.facts.surfaces
    before = {name: seen[name].refused["STOPPED"] for name in seen}
    story.stop_began = story.clock.now()
    stop.touch()

    def is_obeyed() -> bool:
        story.watcher.look()
        found = {name: seen[name].refused["STOPPED"] - before[name] for name in ("fx", *EVENTS)}
        return found["fx"] >= 3 and all(found[name] >= 1 for name in EVENTS)

    story.until("a candidate of every surface refused with STOPPED", is_obeyed, 60)
    story.stop_ended = story.clock.now()
    stop.unlink()
    story.watcher.look()
    totals = {name: tally.decisions - tally.refused["STOPPED"] for name, tally in seen.items()}

    def goes_on() -> bool:
        story.watcher.look()
        return all(tally.decisions - tally.refused["STOPPED"] > totals[name] for name, tally in seen.items())

    story.until("a candidate of every surface judged again", goes_on, 60)


def agree(story: Story) -> bool:
    return bool(story.venue_fills()) and story.venue_fills().keys() == story.journal_fills().keys()


def agree_on_stocks(story: Story) -> bool:
    venue, journal = story.stock_executions(OPERATOR_ACCOUNT), story.journal_fills("stk")
    return bool(venue) and venue.keys() == journal.keys()


def agree_on_contracts(story: Story) -> bool:
    """Tell whether each account is the same in the venue's words and in its owner's books, at one moment."""
    story.kalshi = story.told_by("simulator-kalshi")
    accounts = story.kalshi["accounts"]
    return (
        contract_books.of_surface(story, "st").same_as(accounts[ST])
        and contract_books.of_surface(story, "lt").same_as(accounts[LT])
        and contract_books.of_ledger(story).same_as(accounts[SUBSCRIBER])
        and len(story.reports("resolved", *EVENTS)) == accounts[SUBSCRIBER]["settlements"]
    )


@pytest.fixture(scope="package")
def story() -> Iterator[Story]:
    home = Path(tempfile.mkdtemp(dir="/tmp", prefix="tb"))
    line = [str(BIN / "tbot"), "demo", "--home", str(home)]
    with (home / "output").open("wb") as output:
        process = subprocess.Popen(line, env=environment(home), stdout=output, stderr=output, start_new_session=True)
    told = Story(home, process)
    try:
        play(told)
        yield told
    finally:
        told.end()
        shutil.rmtree(home)
