"""What the surface may not do: shares that are not its own, orders of a person, halts, limits and rules."""

from stock_rig import FAR
from stock_venue import at_each

from domain.vocabulary import Link, State

TRANSPORTS = ("tws", "portal")
GAP_S = 5


@at_each(*TRANSPORTS)
def test_shares_a_person_bought_are_left_alone_and_stop_entries_until_they_are_explained(opened, transport):
    rig = opened(transport, STK_MARKETS="SPY,IBM", **FAR)
    rig.open().until(lambda: rig.waiting() == {"SPY", "IBM"}, "both entries rest")

    rig.venue.trade("SPY", 5, rig.account)
    rig.until(lambda: rig.state() is State.REDUCE, "the difference is noticed")
    rig.until(lambda: not rig.waiting(), "entries are withdrawn")
    rig.turn_for(1)
    assert rig.story().position() == 5
    assert not rig.story().live()
    rig.venue.trade("SPY", -5, rig.account)
    rig.until(lambda: rig.state() is State.RUN, "it is explained")
    rig.armed()

    rig.assert_sound()


def test_shares_of_a_symbol_nobody_watches_concern_nobody(opened):
    rig = opened("tws", **FAR)
    rig.venue.trade("IBM", 7, rig.account)

    rig.open().armed()
    rig.turn_for(2.2)

    assert rig.state() is State.RUN
    assert rig.story().position("IBM") == 7
    assert rig.waiting() == {"SPY"}
    rig.assert_sound()


def test_symbol_nobody_lists_keeps_no_other_from_trading(opened):
    rig = opened("tws", STK_MARKETS="NOPE,SPY", **FAR)

    rig.open().armed()

    assert rig.waiting() == {"SPY"}
    assert rig.waits()["NOPE"] == "the symbol is not listed any more"
    assert rig.loop._executor.link()[0] is Link.UP
    assert "found others only, not NOPE" in rig.trouble()
    rig.assert_sound()


@at_each(*TRANSPORTS)
def test_symbols_of_which_none_is_listed_are_told_in_the_status(opened, transport):
    rig = opened(transport, STK_MARKETS="NOPE,NONE", **FAR)

    rig.open().until(lambda: "found none, not NOPE, NONE" in rig.trouble(), "it is told")

    assert rig.intents() == []


@at_each(*TRANSPORTS)
def test_stop_file_and_halt_withdraw_what_rests_to_be_bought_and_leave_the_stops(opened, transport):
    rig = opened(transport, STK_MARKETS="SPY,IBM", STRATEGY_OVERRIDES="IBM:entry=4")
    rig.open().bought().until(lambda: rig.waiting() == {"IBM"}, "the other entry rests")

    file = rig.stop_file()
    rig.until(lambda: not rig.waiting(), "the entry is withdrawn")
    file.unlink()
    rig.until(lambda: rig.waiting() == {"IBM"}, "it is armed again")
    rig.order(state=State.HALT, reason="drill")
    rig.until(lambda: not rig.waiting(), "the entry is withdrawn")
    before = rig.intents()
    rig.turn_for(1)

    assert rig.intents() == before
    assert [stop["symbol"] for stop in rig.story().stops()] == ["SPY"]
    assert rig.story().unprotected_s() <= GAP_S
    rig.assert_sound()


def test_flatten_sells_what_is_held_and_takes_its_stop_back(opened):
    rig = opened("tws")
    rig.open().bought()

    rig.order(state=State.REDUCE, reason="drill", flatten=True)
    rig.resolved().until(lambda: not rig.story().live(), "nothing rests")

    (resolution,) = rig.resolutions()
    assert resolution["reason"] == "flatten"
    assert rig.story().position() == 0
    assert [ref[-7:] for ref in rig.story().filled()] == ["entry-1", "-exit-1"]
    rig.assert_sound()


def test_loss_of_the_day_ends_it_for_entries_and_not_for_stops(opened):
    rig = opened("tws", STK_MARKETS="SPY,IBM", STRATEGY_OVERRIDES="IBM:entry=4", RISK_DAILY_LOSS="0.05")

    rig.open().until(lambda: rig.fold.day is not None and rig.fold.day.tripped, "the breaker trips")
    rig.until(lambda: not rig.waiting(), "what rests to be bought is withdrawn")
    before = rig.intents()
    rig.turn_for(1)
    rig.restart(1)

    assert rig.intents() == before
    assert rig.state() is State.REDUCE
    assert len(rig.story().stops()) == 1
    assert rig.story().unprotected_s() <= GAP_S
    rig.assert_sound()


def test_entries_that_rest_are_counted_as_the_day_trades_they_may_become(opened):
    markets = "SPY,IBM,AIG,AAPL,TWX"
    rig = opened(
        "tws", kind="margin", STK_MARKETS=markets, STK_DAY_TRADE_RULE="legacy_pdt", IBKR_MARGIN_RATE="0.5", **FAR
    )

    rig.open().until(lambda: len(rig.waiting()) == 3, "three entries rest")
    rig.until(lambda: {row["code"] for row in rig.decisions() if not row["admitted"]}, "the fourth is refused")
    rig.turn_for(1)

    assert len(rig.waiting()) == 3
    assert {row["code"] for row in rig.decisions() if not row["admitted"]} == {"RISK_DAY_TRADE"}
    rig.assert_sound()


def test_two_strategies_share_a_symbol_without_a_second_position(opened):
    markets = "SPY,IBM,AIG,AAPL,TWX"
    both = {"STK_STRATEGIES": "stop_entry,crossover", "CROSS_PERIOD_S": "60", "STRATEGY_COOLDOWN_MIN": "1"}
    times = {"STK_LOOP_S": "6", "STK_KEEP_S": "6", "RISK_MAX_QUOTE_AGE_S": "600", "IBKR_QUOTE_MAX_AGE_S": "600"}
    near = {
        "STRATEGY_TRAIL_PCT": "0.06",
        "STRATEGY_SETTLE_S": "120",
        "STRATEGY_RETRY_S": "120",
        "RISK_COOLDOWN_S": "60",
    }
    rig = opened(
        "tws", clock={"begin": "2014-05-06T13:35:00Z", "speed": 120}, STK_MARKETS=markets, **both, **times, **near
    )
    rig.open()
    doubled = 0

    def has_met():
        nonlocal doubled
        held = [position.market for position in rig.fold.positions()]
        doubled = max(doubled, len(held) - len(set(held)))
        refused = {(row["candidate"]["strategy"], row["code"]) for row in rig.decisions() if not row["admitted"]}
        return ("crossover", "DUPLICATE") in refused and len(rig.resolutions()) >= 3

    rig.until(has_met, "one strategy finds the other's symbol taken", 30)

    assert doubled == 0
    refs = [ref for ref in rig.story().refs if ref]
    assert len(refs) == len(set(refs))
