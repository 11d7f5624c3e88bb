"""A process that dies, fails or stalls at any named place doubles nothing, loses nothing and loosens nothing."""

import random
import signal
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from fx_judge import assert_books_and_venue_agree, come_to_rest, fold_of, lines_of
from fx_venue import Desk, Simulator
from sweeping import assert_never_looser, holds
from waiting import until

from journal import failpoints

ACTIONS = ("kill", "eio", "sleep:1.5")
# The rest of the 27 cells is left to the full dose.
CHOSEN = (
    ("after_write", "kill"),
    ("before_fsync", "eio"),
    ("mid_rotate", "kill"),
    ("mid_checkpoint", "kill"),
    ("after_order", "kill"),
)
TOGETHER = 4
SMALL_SEGMENT = 12_000
# How often a place is reached within the first seconds of a process's life, where that is not often.
HITS = {"mid_rotate": 3, "mid_checkpoint": 3, "before_order": 2, "after_order": 2}
# The resolver's one log takes long to fill a segment.
SURFACE_ONLY = ("mid_rotate", "mid_checkpoint")

pytestmark = [pytest.mark.proves("row 38", "N11", "J1", "J2", "J3", "J8"), pytest.mark.timeout(3600)]


def run(home, point, action, choice):
    """Let one process meet the failure, start it again if it died, and judge what is left when all is quiet."""
    module = "surfaces" if point in SURFACE_ONLY else choice.choice(("surfaces", "resolver"))
    failure = f"{point}={action}@{choice.randint(1, HITS.get(point, 9))}"
    takes_other = action == "kill" and choice.random() < 0.5
    simulator = Simulator()  # one each: its afternoon is lively for minutes only
    desk = Desk(simulator, home)
    try:
        live_through(desk, module, failure, takes_other=takes_other)
    except AssertionError as error:
        raise AssertionError(f"{module}, {failure}, {takes_other=}, in {home}: {error}") from error
    finally:
        desk.close()
        simulator.stop()


def live_through(desk, module, failure, *, takes_other):
    fired = desk.home / "fired"
    other = "resolver" if module == "surfaces" else "surfaces"
    desk.start(other, segment_bytes=SMALL_SEGMENT)
    desk.start(module, segment_bytes=SMALL_SEGMENT, TBOT_FAILPOINTS=f"{failure},log={fired}")
    until(lambda: has_fired(desk, fired), f"{failure} to fire in {module}; {desk.said()[-1500:]}", 60)
    dead = [] if "sleep" in failure else [module]
    if takes_other:
        desk.running[other].kill()
        dead.append(other)
    codes = {name: desk.running.pop(name).wait(timeout=20) for name in dead}
    lines, held = lines_of(desk.home), holds(fold_of(desk.home))
    for name in dead:
        desk.start(name, segment_bytes=SMALL_SEGMENT)
    told = len(desk.entries())
    until(lambda: desk.is_alive() and len(desk.entries()) > told, "one more entry", 60)
    come_to_rest(desk)

    expected = {-signal.SIGKILL} if "kill" in failure else {1, 70}
    assert set(codes.values()) <= expected, desk.said()
    after = lines_of(desk.home)
    assert {name: after[name][: len(old)] for name, old in lines.items()} == lines
    assert_never_looser(held, holds(fold_of(desk.home)))
    assert_books_and_venue_agree(desk)


def has_fired(desk, log):
    """Tell whether the failure has happened; whatever ended without it ends the test."""
    ended = any(process.poll() is not None for process in desk.running.values())
    return (log.exists() and log.read_text()) or (ended and not log.exists() and desk.is_alive())


def run_all(folder, cells):
    """Run cells a few at a time: most of a cell's time is spent waiting."""
    names = count()
    with ThreadPoolExecutor(TOGETHER) as pool:
        started = [
            pool.submit(run, folder / f"{next(names)}", point, action, random.Random(f"{point} {action} {number}"))
            for point, action, number in cells
        ]
        try:
            for one in started:
                one.result()
        finally:
            pool.shutdown(cancel_futures=True)


def test_failing_at_chosen_places_costs_no_order_and_no_record(tmp_path):
    run_all(tmp_path, [(*cell, 0) for cell in CHOSEN])


@pytest.mark.soak
@pytest.mark.parametrize("point", failpoints.POINTS)
def test_failing_anyhow_at_a_named_place_costs_no_order_and_no_record(tmp_path, dose, point):
    run_all(tmp_path, [(point, action, number) for number in range(dose(1, 20)) for action in ACTIONS])
