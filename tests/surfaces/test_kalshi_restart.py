"""Dying at every write of an event trade's life, and what the next life makes of it."""

import time
from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest
from event_rig import BALANCE, START, Trader, World, question
from sweeping import Crash, Fuse

from domain.vocabulary import Kind

D = Decimal
# One market ends every ten minutes, which is a second: a life takes the first that leaves it enough time to trade.
STEP, MARKETS, LEAD = timedelta(minutes=10), 120, timedelta(minutes=30)
SETTINGS = {"LT_RECONCILE_S": "7200", "LT_ASK_S": "600", "LT_LIST_S": "300", "RISK_DEDUP_WINDOW_S": "0"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    listed = [question(f"E{n}", closes=START + n * STEP, lasts_s=1200) for n in range(1, MARKETS)]
    made = World(tmp_path_factory.mktemp("venue"), listed)
    yield made
    made.stop()


class Mortal:
    """A trader that is opened again whenever it dies at a write."""

    def __init__(self, world, home, fuse):
        number = (world.clock.now() + LEAD - START) // STEP + 1
        self.trader = Trader(world, home, LT_MARKETS=f"KXE{number}", **SETTINGS)
        self.trader.fuse = fuse
        self.deaths = 0

    def turn(self):
        try:
            if self.trader.loop is None:
                self.trader.open()
            self.trader.turn()
        except Crash:
            self.deaths += 1
            self.trader.close()

    def has_traded(self):
        return bool(self.trader.signals())

    def is_over(self):
        return bool(self.trader.resolutions()) and bool(self.trader.signals("close"))


def begin(one, others):
    """Turn a life until it has traded; the others have a turn now and then."""
    turns, deadline = 0, time.monotonic() + 45
    while not one.has_traded():
        assert time.monotonic() < deadline, one.trader.said()
        one.turn()
        if others and turns % 4 == 0:
            others[turns // 4 % len(others)].turn()
        turns += 1


def end(lives):
    deadline, waiting = time.monotonic() + 60, list(lives)
    while waiting:
        assert time.monotonic() < deadline, [one.trader.said() for one in waiting]
        for one in waiting:
            one.turn()
        waiting = [one for one in waiting if not one.is_over()]


@pytest.fixture(scope="module")
def calm(world, tmp_path_factory):
    one = Mortal(world, tmp_path_factory.mktemp("calm"), Fuse())
    try:
        begin(one, [])
        end([one])
    finally:
        one.trader.finish()
    return one


def test_a_calm_life_has_every_step_once(calm):
    trader = calm.trader

    assert trader.events() == ["filled"]
    assert [len(trader.signals()), len(trader.signals("close")), len(trader.resolutions())] == [1, 1, 1]
    assert [row["outcome"] for row in trader.resolutions(provisional=True)] == ["yes (determined)"]
    assert trader.realised() == trader.cash() - BALANCE


def test_a_death_at_any_write_of_a_trades_life_doubles_and_loses_nothing(world, calm, tmp_path):
    """Just before the write and just after it."""
    lives = {}
    try:
        for number in range(1, writes(calm) + 1):
            for when, fuse in (("before", Fuse(number)), ("after", Fuse(number, after=True))):
                one = Mortal(world, tmp_path / f"{number}-{when}", fuse)
                lives[f"{when} write {number}"] = one
                begin(one, list(lives.values())[:-1])
        end(lives.values())
        for when, one in lives.items():
            try:
                assert_one_life(one)
            except AssertionError as error:
                raise AssertionError(f"after a death {when}: {error}") from error
    finally:
        for one in lives.values():
            one.trader.finish()


def writes(one):
    """Return how many writes a life has that has one decision: a later one about the same position adds nothing."""
    return one.trader.fuse.count - len(one.trader.decisions()) + 1


def assert_one_life(one):
    trader = one.trader
    trader.assert_sound()
    assert one.deaths == 1
    assert len(trader.resolutions()) == 1
    assert len(trader.signals()) == 1
    assert Counter(row["kind"] for row in trader.records("resolutions"))[Kind.SIGNAL] == 1
    assert list(trader.created().values()) == [1]
    assert trader.held() == {}
    assert trader.realised() == trader.cash() - BALANCE
