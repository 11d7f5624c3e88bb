"""What is read of a home to show how its fleet stands."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from domain.clock import parse_clock
from domain.house import House
from domain.operation import StateChange
from domain.vocabulary import Kind, State, Surface
from fleet.orders import order
from fleet.status import Watcher, as_dict, collect_once
from fleet.view import plain
from journal import Entry, Journal
from journal.beat import Heartbeat

TBOT = Path(sys.executable).parent / "tbot"


def test_a_surface_that_never_ran_still_shows_its_stop_file(tbot_home: Path) -> None:
    (tbot_home / "logs" / "STOP").touch()

    assert "never ran, STOP file logs/STOP, 0 open, no heartbeat" in plain(collect_once(tbot_home))


def test_an_order_shows_as_not_obeyed_until_the_surface_writes_it_down(tbot_home: Path) -> None:
    house = House(home=tbot_home)
    house.log("fx", "decisions").mkdir(parents=True)
    order(house, Surface.FX, State.REDUCE, reason="storm", flatten=True)
    before = collect_once(tbot_home).standings["fx"]

    change = StateChange(state=State.REDUCE, reason="storm", flatten=True, request=2)
    with Journal.open(house.log("fx", "decisions"), clock=parse_clock("real")) as journal:
        journal.append(Kind.STATE, surface="fx", mode="paper", fields=change)
    after = collect_once(tbot_home).standings["fx"]

    assert (before.state, before.ordered) == (None, "flatten (storm)")
    assert (after.state, after.reason, after.flatten, after.ordered) == (State.REDUCE, "storm", True, "")


def test_the_state_and_age_of_a_heartbeat_are_shown_in_real_seconds(tbot_home: Path) -> None:
    beat = tbot_home / "run" / "oanda-fx.beat"
    beat.write_text('{"phase": "ready", "state": "HALT", "reason": "operator", "open": 2}')
    os.utime(beat, (beat.stat().st_atime, beat.stat().st_mtime - 60))

    found = as_dict(collect_once(tbot_home))["surfaces"]["fx"]

    assert (found["state"], found["reason"], found["open"]) == ("HALT", "operator", 2)
    assert 60 <= found["beat_age_s"] < 120


@pytest.mark.parametrize(
    ("note", "phase"),
    [(Heartbeat.stopped, "stopped"), (Heartbeat.misconfigured, "misconfigured"), (Heartbeat.halted, "halted")],
)
def test_the_note_of_an_end_is_no_heartbeat(tbot_home: Path, note: Callable[[Heartbeat], None], phase: str) -> None:
    heartbeat = Heartbeat(House(home=tbot_home).heartbeat("oanda-fx"), parse_clock("real"), every_s=0)
    heartbeat.beat(phase="ready", state="RUN", open=0)
    before = plain(collect_once(tbot_home))
    note(heartbeat)
    after = collect_once(tbot_home)

    assert "RUN, 0 open, heartbeat 0." in before
    assert f"fx          never ran, 0 open, no heartbeat since it ended ({phase})" in plain(after)
    found = as_dict(after)["surfaces"]["fx"]
    assert (found["state"], found["beat_age_s"], found["ended"]) == (None, None, phase)


def test_a_surface_that_ran_keeps_its_state_after_its_end_but_no_heartbeat(tbot_home: Path) -> None:
    house = House(home=tbot_home)
    with Journal.open(house.log("fx", "decisions"), clock=parse_clock("real")) as journal:
        change = StateChange(state=State.HALT, reason="storm", flatten=False)
        journal.append(Kind.STATE, surface="fx", mode="paper", fields=change)
    Heartbeat(house.heartbeat("oanda-fx"), parse_clock("real")).stopped()

    text = plain(collect_once(tbot_home))

    assert "HALT (storm), 0 open, no heartbeat since it ended (stopped)" in text


def test_looking_at_an_empty_home_shows_that_nothing_runs(tbot_home: Path) -> None:
    facts = collect_once(tbot_home)

    assert facts.surfaces == {}
    assert "start the fleet" in facts.problem
    assert Watcher(House(home=tbot_home)).look().subscribers.acked == 0


def written(log: str, **fields: object) -> Entry:
    """Return a record as it is read from a journal."""
    envelope = {"ts": "2014-05-06T14:00:00.000000Z", "log": log, "seq": 1, "id": "x", "surface": "stk", "mode": "paper"}
    return Entry(json.dumps(envelope | fields).encode(), 1, 0, "")


def test_a_subscribers_result_names_the_surface_and_the_market_of_its_signal(tbot_home: Path) -> None:
    watcher = Watcher(House(home=tbot_home))
    about = {"signal_id": "sig_1", "market": "IBM"}
    fill = {"stage": "executed", "fill_id": "1", "quantity": "3", "price": "9"}
    result = {"stage": "resolved", "quantity": "3", "realised": "1.5", "currency": "USD", "reason": "stop_loss"}
    price = {"side": "buy", "quantity": "3", "reference_price": "9", "expires_at": "2014-05-06T14:10:00.000000Z"}
    watcher._remember(written("stk/signals", kind="signal", action="open", **about, **price))
    for report in (fill, result):
        told = {"kind": "callback", "subscriber": "t", "signal_id": "sig_1", "late": False} | report
        watcher._of_subscribers(written("feed/callbacks", **told))

    assert watcher.facts.events[-1][2] == "stk IBM: a subscriber resolved +1.50 USD by stop_loss"
    assert watcher.facts.each_subscriber["t"].resolved == watcher.facts.subscribers.resolved == 1


@pytest.mark.parametrize("option", [(), ("--json",)])
def test_status_exits_with_3_when_nothing_runs(tbot_home: Path, option: tuple[str, ...]) -> None:
    done = subprocess.run([str(TBOT), "status", "--home", str(tbot_home), *option], capture_output=True, text=True)

    assert done.returncode == 3
    assert "start the fleet" in done.stdout
    assert done.stderr == ""


def test_status_writes_nothing_into_the_home_it_looks_at(tbot_home: Path) -> None:
    before = sorted(tbot_home.rglob("*"))

    subprocess.run([str(TBOT), "status", "--home", str(tbot_home)], capture_output=True)

    assert sorted(tbot_home.rglob("*")) == before
