"""Orders of an event surface at a simulated Kalshi whose answers get lost, come late or say nothing."""

from collections import Counter
from decimal import Decimal

import pytest
from event_rig import ORDERS, Trader, World, question

from domain.vocabulary import Code, Gate, Kind

D = Decimal
MARKET = "KXFERRY-14MAY06-FERRY"
LOOKUPS = {"method": "GET", "path": "*/portfolio/orders*"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("venue"), [question("FERRY", depth=5000)])
    yield made
    made.stop()


@pytest.fixture
def trader(world, tmp_path):
    made = Trader(world, tmp_path / "home", LT_MARKETS="KXFERRY", LT_ASK_S="60")
    yield made
    made.finish()


def blocked(trader):
    """Return what gate 2 said of the market whenever it refused it."""
    verdicts = [verdict for one in trader.decisions(MARKET) for verdict in one["verdicts"]]
    return [one["note"] for one in verdicts if one["gate"] == Gate.DEDUP and one["passed"] is False]


def assert_one_position(trader):
    [(_, number)] = Counter(row["client_order_id"] for row in trader.records("orders", Kind.ORDER_INTENT)).items()
    [signal] = trader.signals()
    assert number == 1
    assert trader.created() == {trader.records("orders", Kind.ORDER_INTENT)[0]["client_order_id"]: 1}
    assert trader.held() == {MARKET: D(signal["quantity"])}
    trader.assert_sound()


def test_a_market_stays_blocked_while_nobody_knows_what_became_of_its_order(trader):
    lost = trader.fault("drop_reply", ORDERS, times=1)
    silent = trader.fault("status", LOOKUPS, status=503)
    trader.open(resolver=False)
    trader.until(lambda: trader.codes()[Code.DUPLICATE] >= 2, "the market refused twice while nothing is known")
    published_before = trader.signals()
    trader.clear(silent)
    trader.until(trader.signals, "the position published")

    assert trader.fired(lost) == 1
    assert published_before == []
    assert "unknown" in blocked(trader)[0]
    assert trader.events()[0] == "unknown"
    assert trader.events()[-1] == "filled"
    assert_one_position(trader)


@pytest.mark.parametrize(
    ("action", "params"),
    [
        ("drop_reply", {}),
        ("ok_without_order", {"processed": True}),
        ("status", {"status": 503, "after_accept": True}),
        ("status", {"status": 502, "after_accept": True}),
        ("non_json", {}),
        ("delay", {"seconds": 1.3, "after_accept": True}),
    ],
    ids=["reply lost", "reply names no order", "503 after it", "502 page after it", "no JSON", "reply late"],
)
def test_an_order_that_arrived_whatever_was_answered_is_found_and_published_and_not_sent_again(trader, action, params):
    fault = trader.fault(action, ORDERS, times=1, **params)
    trader.open(resolver=False)
    trader.until(trader.signals, "the position published")

    assert trader.fired(fault) == 1
    assert trader.events() == ["unknown", "filled"]
    assert_one_position(trader)


def test_an_order_that_the_list_shows_late_is_waited_for(trader):
    lost = trader.fault("drop_reply", ORDERS, times=1)
    late = trader.fault("late_listing", ORDERS, times=1, seconds=0.7)
    trader.open(resolver=False)
    trader.until(trader.signals, "the position published")

    assert (trader.fired(lost), trader.fired(late)) == (1, 1)
    assert "absent" not in trader.events()
    assert_one_position(trader)


def test_an_order_that_the_list_shows_after_it_was_given_up_is_found_by_its_position(trader):
    lost = trader.fault("drop_reply", ORDERS, times=1)
    late = trader.fault("late_listing", ORDERS, times=1, seconds=2.5)
    trader.open(resolver=False)
    trader.until(trader.signals, "the position published")

    assert (trader.fired(lost), trader.fired(late)) == (1, 1)
    assert trader.events() == ["unknown", "absent", "filled"]
    assert_one_position(trader)


@pytest.mark.parametrize(
    ("action", "params", "first"),
    [
        ("drop_request", {}, "unknown"),
        ("ok_without_order", {}, "unknown"),
        ("status", {"status": 503}, "unknown"),
        ("status", {"status": 429}, "absent"),
        ("rate_limit", {}, "absent"),
    ],
    ids=["request lost", "reply names no order", "503 before it", "429", "rate limit"],
)
def test_an_order_that_never_arrived_is_known_to_be_absent_before_another_is_made(trader, action, params, first):
    fault = trader.fault(action, ORDERS, times=1, **params)
    trader.open(resolver=False)
    trader.until(trader.signals, "another order's position published")
    intents = [row["client_order_id"] for row in trader.records("orders", Kind.ORDER_INTENT)]

    assert trader.fired(fault) == 1
    assert trader.events()[0] == first
    assert trader.events()[-2:] == ["absent", "filled"]
    assert len(set(intents)) == len(intents) == 2
    assert trader.created() == {intents[1]: 1}
    trader.assert_sound()


def test_a_venue_that_has_closed_the_path_we_were_told_to_use_is_asked_for_nothing_else(trader):
    trader.environ["KALSHI_WIRE"] = "older"
    gone = trader.fault("legacy_refused", {"path": "*/portfolio/orders"})
    trader.open(resolver=False)
    trader.until(lambda: "rejected" in trader.events(), "the order refused")

    assert trader.fired(gone) >= 1
    assert trader.created() == {}
    assert trader.signals() == []
    assert trader.held() == {}


def test_told_to_find_out_the_path_in_use_is_found_and_the_order_made_once(trader):
    trader.environ["KALSHI_WIRE"] = "auto"
    gone = trader.fault("legacy_refused", {"path": "*/portfolio/orders"})
    trader.open(resolver=False)
    trader.until(trader.signals, "the position published")

    assert trader.fired(gone) <= 1
    assert_one_position(trader)


def test_an_order_filled_in_part_is_published_as_far_as_it_went(trader):
    part = trader.fault("partial_fill", ORDERS, times=1, fraction=0.5)
    trader.open(resolver=False)
    trader.until(trader.signals, "the position published")

    assert trader.fired(part) == 1
    assert trader.events() == ["partial", "cancelled"]
    assert D(trader.signals()[0]["quantity"]) < D(trader.records("orders", Kind.ORDER_INTENT)[0]["quantity"])
    assert_one_position(trader)
