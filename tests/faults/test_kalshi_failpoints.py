"""An event surface and its resolver, killed just before and just after an order is sent: nothing is doubled or lost."""

import signal

import pytest
from event_rig import BALANCE, Trader, World, question
from waiting import until

from domain.vocabulary import ExitReason, Kind, State, Surface
from fleet.orders import order

# One question for each of the places at which a process dies, at a price far from what a model thinks of it.
NAMES = ("SB", "SA", "RB", "RA")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("venue"), [question(name, fair=0.85) for name in NAMES], models=True)
    yield made
    made.stop()


@pytest.fixture
def trader(world, tmp_path):
    made = Trader(world, tmp_path / "home", Surface.LT, MODELS_MAX_OUTPUT_TOKENS="500", RISK_MIN_EDGE_BP="0")
    # One model, because each vendor's SDK takes its time to load.
    made.environ |= {"MODELS_PANEL": "openai:gpt-5.4-mini", "LT_ASK_S": "600"}
    yield made
    made.finish()


def killed_at(trader, module, point):
    """Start a process that dies the first time it comes to a place; return once it has."""
    fired = trader.home / f"fired-{module}"
    trader.start(module, TBOT_FAILPOINTS=f"{point}=kill@1,log={fired}")
    code = until(lambda: trader.running[module].poll(), f"the end of {module}", 30)
    del trader.running[module]
    assert fired.read_text()
    assert code == -signal.SIGKILL


def judge(trader):
    assert trader.end() == [0] * 2
    trader.assert_sound()
    assert trader.held() == {}
    assert trader.realised() == trader.cash() - BALANCE


def flatten(trader):
    order(trader.house, trader.surface, State.REDUCE, reason="a test", flatten=True)


@pytest.mark.parametrize(("name", "point", "orders"), [("SB", "before_order", 2), ("SA", "after_order", 1)])
def test_a_surface_killed_around_its_order_publishes_one_position(trader, name, point, orders):
    trader.environ["LT_MARKETS"] = f"KX{name}"
    killed_at(trader, "surfaces", point)
    trader.start()
    until(trader.signals, "a position", 30)
    flatten(trader)
    until(trader.resolutions, "its end", 30)

    assert len(trader.records("orders", Kind.ORDER_INTENT)) == orders
    assert len(trader.signals()) == 1
    judge(trader)


@pytest.mark.parametrize(("name", "point"), [("RB", "before_order"), ("RA", "after_order")])
def test_a_resolver_killed_around_its_order_ends_the_position_once(trader, name, point):
    trader.environ["LT_MARKETS"] = f"KX{name}"
    trader.start("surfaces")
    until(trader.signals, "a position", 30)
    flatten(trader)
    killed_at(trader, "resolver", point)
    trader.start("resolver")
    until(trader.resolutions, "its end", 30)
    [resolution] = trader.resolutions()

    assert resolution["reason"] == ExitReason.FLATTEN
    assert len(trader.signals("close")) == 1
    judge(trader)
