"""Journals that can't be had or can't be written: no journal no order, and nothing that blocks a STOP."""

import json
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from fx_judge import assert_books_and_venue_agree, come_to_rest, fold_of, sent_ids
from fx_venue import Desk, Simulator
from simulator import ROOT
from waiting import until

from domain.house import House
from domain.vocabulary import Leg, State

HOLDER = """
import sys
from pathlib import Path
from domain.clock import RealClock
from journal import Journal
with Journal.open(Path(sys.argv[1]), clock=RealClock()):
    print("held", flush=True)
    sys.stdin.read()
"""
# What a process waits for a journal, and then some for a slow machine.
LOCK_WAIT_S = 5.0 + 5.0

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def desk(tmp_path):
    simulator = Simulator()
    made = Desk(simulator, tmp_path / "home")
    yield made
    made.close()
    simulator.stop()


@contextmanager
def stopped_holder(directory):
    """Have another process hold a journal's lock and stop it in its tracks."""
    command = [sys.executable, "-c", HOLDER, str(directory)]
    holder = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGSTOP)
        yield holder
    finally:
        holder.kill()
        holder.communicate()


def tbot(desk, *words):
    """Run a command of the operator's; return what became of it and how long that took."""
    environment = {"TBOT_HOME": str(desk.home), "TBOT_CLOCK": desk.simulator.clock, "PATH": "/usr/bin:/bin"}
    began = time.monotonic()
    command = [str(Path(sys.executable).parent / "tbot"), *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    return done, time.monotonic() - began


def beat(desk, program="oanda-fx"):
    try:
        return json.loads(House(home=desk.home).heartbeat(program).read_text())
    except (OSError, ValueError):
        return {}


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.proves("J6", "J7", "row 8")
def test_processes_whose_journals_a_stopped_one_holds_end_in_time_and_say_who(desk):
    logs = desk.home / "logs" / "fx"
    with stopped_holder(logs / "orders") as of_surface, stopped_holder(logs / "resolutions") as of_resolver:
        began = time.monotonic()
        desk.start()
        codes = [process.wait(timeout=30) for process in desk.running.values()]
        took = time.monotonic() - began
        desk.running = {}

    assert codes == [1, 1]
    assert took < LOCK_WAIT_S
    assert f"it is held by pid {of_surface.pid}" in (desk.home / "surfaces.log").read_text()
    assert f"it is held by pid {of_resolver.pid}" in (desk.home / "resolver.log").read_text()
    assert "Traceback" not in desk.said()
    assert sent_ids(desk) == {}


@pytest.mark.proves("J7")
def test_an_operator_whose_journal_a_stopped_process_holds_is_told_so_and_the_stop_file_works(desk):
    desk.start()
    until(desk.entries, "an entry")
    with stopped_holder(desk.home / "logs" / "operator" / "actions"):
        done, took = tbot(desk, "halt", "fx", "--home", str(desk.home))
        assert done.returncode == 4, done
        assert f"touch {desk.home / 'logs' / 'fx' / 'STOP'}" in done.stderr
        assert took < LOCK_WAIT_S

        (desk.home / "logs" / "fx" / "STOP").touch()
        refused = len(desk.records("decisions", "decision"))
        codes = lambda: [row["code"] for row in desk.records("decisions", "decision")[refused:]]  # noqa: E731  looked at again
        until(lambda: codes().count("STOPPED") >= 2, "candidates refused by the STOP file")
        sent = len(sent_ids(desk))
        until(lambda: not desk.held(), "time to close what is open")
        assert len([key for key in sent_ids(desk) if "-entry-" in key]) <= sent
    done, _ = tbot(desk, "halt", "fx", "--home", str(desk.home))
    assert done.returncode == 0, done
    until(lambda: fold_of(desk.home).state.state is State.HALT, "the order to be obeyed")


@pytest.mark.proves("J8", "row 5", "row 31")
def test_a_full_disk_sends_no_order_is_said_and_costs_only_the_time_it_lasts(desk):
    fired = desk.home / "fired"
    desk.start("resolver")
    desk.start("surfaces", TBOT_FAILPOINTS=f"before_write=enospc@6-11,log={fired}")
    until(lambda: desk.is_alive() and lines(fired), "a full disk")
    sent = sent_ids(desk)
    until(lambda: "No space left" in beat(desk).get("trouble", ""), "the reason in the heartbeat")
    seen = sent_ids(desk)
    full = len(lines(fired)) < 6
    until(lambda: desk.is_alive() and len(lines(fired)) == 6, "room again")
    told = len(desk.entries())
    until(lambda: len(desk.entries()) > told, "entries going on")
    until(lambda: beat(desk).get("phase") == "ready", "a heartbeat that is well again")
    come_to_rest(desk)

    assert full
    assert seen == sent
    assert_books_and_venue_agree(desk)


@pytest.mark.soak
@pytest.mark.proves("J8", "J10", "row 31")
def test_a_disk_that_fails_under_an_order_ends_the_surface_alone_and_it_comes_back(desk):
    fired = desk.home / "fired"
    desk.start("resolver")
    desk.start("surfaces", TBOT_FAILPOINTS=f"before_fsync=eio@9,log={fired}")
    code = desk.running["surfaces"].wait(timeout=40)
    del desk.running["surfaces"]
    before, sent = beat(desk, "resolver-fx")["seq"], sent_ids(desk)
    until(lambda: desk.is_alive() and beat(desk, "resolver-fx")["seq"] > before, "the resolver's beat")
    intents = {row["client_order_id"] for row in desk.records("orders", "order_intent")}
    desk.start("surfaces")
    told = len(desk.entries())
    until(lambda: desk.is_alive() and len(desk.entries()) > told, "entries going on")
    come_to_rest(desk)

    assert len(lines(fired)) == 1
    assert code == 70
    assert {key for key in sent if "-entry-" in key} <= intents
    assert_books_and_venue_agree(desk)


@pytest.mark.soak
@pytest.mark.proves("J8")
def test_a_resolver_without_room_sends_no_exit_of_its_own_and_makes_up_for_it(desk):
    """What protects a position rests at the broker; the resolver's own exits wait for room, and so do resolutions."""
    fired = desk.home / "fired"
    desk.start("surfaces")
    desk.start("resolver", TBOT_FAILPOINTS=f"before_write=enospc@3-16,log={fired}")
    until(lambda: desk.is_alive() and lines(fired), "a full disk", 40)
    sent = {key for key in sent_ids(desk) if "-exit-" in key}
    until(lambda: "No space left" in beat(desk, "resolver-fx").get("trouble", ""), "the reason in the heartbeat")
    during = {key for key in sent_ids(desk) if "-exit-" in key}
    full = len(lines(fired)) < 14
    until(lambda: desk.is_alive() and len(lines(fired)) == 14, "room again", 40)
    come_to_rest(desk)

    assert full
    assert during == sent
    assert fold_of(desk.home).unfinished(Leg.EXIT) == []
    assert_books_and_venue_agree(desk)
