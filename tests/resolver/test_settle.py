"""How a trade ended, read from the broker's executions alone, each booked once."""

from datetime import timedelta
from decimal import Decimal

import pytest

from domain.vocabulary import ExitReason, Kind, Leg, Mode, OrderState, ResolutionSource, Side
from journal import Journal, Syscalls

D = Decimal


@pytest.mark.parametrize(
    ("reason", "price", "realised"),
    [
        (ExitReason.STOP_LOSS, "1.0950", "-5"),
        (ExitReason.TAKE_PROFIT, "1.1100", "10"),
        (ExitReason.TRAILING_STOP, "1.1020", "2"),
        (ExitReason.BROKER, "1.0990", "-1"),
    ],
)
def test_the_brokers_exit_is_the_trades_end(stage, reason, price, realised):
    signal_id = stage.trade()
    stage.tick()
    stage.hit(signal_id, reason, price)
    stage.tick()

    found = stage.resolution(signal_id)
    assert (found.reason, found.realised, found.exit_price) == (reason, D(realised), D(price))
    assert (found.quantity, found.entry_price, found.side) == (D(1000), D("1.1000"), Side.BUY)
    assert [row["kind"] for row in stage.records()] == [Kind.ORDER_EVENT, Kind.SIGNAL, Kind.RESOLUTION]
    assert stage.fold.positions() == []
    assert stage.fold.bankroll.realised == D(realised)


def test_the_close_tells_subscribers_what_the_resolution_says(stage):
    signal_id = stage.trade(side=Side.SELL)
    stage.tick()
    stage.hit(signal_id, ExitReason.TAKE_PROFIT, "1.0900")
    ended_at = stage.clock.now()
    stage.tick()

    [close] = stage.records(Kind.SIGNAL)
    told = {key: close[key] for key in ("action", "signal_id", "market", "side", "exit_price", "reason")}
    assert told == {
        "action": "close",
        "signal_id": signal_id,
        "market": "EUR_USD",
        "side": "sell",
        "exit_price": "1.0900",
        "reason": "take_profit",
    }
    assert stage.fold.closed[signal_id].closed_at == ended_at


def test_a_trade_that_was_never_published_is_resolved_without_a_close(stage):
    signal_id = stage.trade(published=False)
    stage.tick()
    stage.hit(signal_id)
    stage.tick()

    assert stage.records(Kind.SIGNAL) == []
    assert stage.resolution(signal_id).realised == -5


def test_a_signal_published_while_its_trade_was_ending_is_closed_after_all_and_once(stage):
    signal_id = stage.trade(published=False)
    stage.tick()
    stage.hit(signal_id)
    stage.tick()
    stage.publish(signal_id)
    stage.tick()
    stage.restart()
    stage.tick()

    [close] = stage.records(Kind.SIGNAL)
    assert (close["signal_id"], close["exit_price"], close["reason"]) == (signal_id, "1.0950", "stop_loss")


def test_an_exit_in_parts_is_resolved_once_with_the_average_and_the_sum(stage):
    signal_id = stage.trade()
    stage.tick()
    stage.hit(signal_id, ExitReason.BROKER, "1.1040", quantity=D(250))
    stage.tick()
    part = stage.fold.position(signal_id).quantity
    stage.hit(signal_id, ExitReason.TAKE_PROFIT, "1.1100")
    stage.tick()

    found = stage.resolution(signal_id)
    assert part == 750
    assert (found.quantity, found.exit_price, found.realised) == (D(1000), D("1.1085"), D("8.5"))
    assert found.reason is ExitReason.TAKE_PROFIT
    assert len(stage.records(Kind.RESOLUTION)) == len(stage.records(Kind.SIGNAL)) == 1
    states = [row["state"] for row in stage.records(Kind.ORDER_EVENT)]
    assert states == [OrderState.PARTIAL, OrderState.FILLED]


def test_an_execution_reported_twice_is_booked_once(stage):
    signal_id = stage.trade()
    stage.tick()
    stage.hit(signal_id, quantity=D(250))
    stage.broker.log.append(stage.broker.log[-1])
    stage.tick()
    stage.restart()
    stage.tick()

    assert stage.fold.position(signal_id).quantity == 750
    assert len(stage.records(Kind.ORDER_EVENT)) == 1


def test_executions_that_come_page_by_page_are_all_read(stage):
    signals = [stage.trade(market) for market in ("EUR_USD", "GBP_USD")]
    stage.broker.page = 1
    stage.tick()
    for signal_id in signals:
        stage.hit(signal_id)
    for _ in range(6):
        stage.tick(1)

    assert set(stage.fold.resolutions) == set(signals)


def test_an_exit_read_before_its_entry_waits_for_it(stage):
    stage.tick()
    signal_id = stage.trade(known=False)
    stage.hit(signal_id)
    stage.tick()
    before = stage.records()
    stage.learn(signal_id)
    stage.tick()

    assert before == []
    assert stage.resolution(signal_id).realised == -5


def test_what_ended_while_the_resolver_was_down_is_found(stage):
    first, second = stage.trade(), stage.trade("GBP_USD")
    stage.tick()
    stage.end()
    stage.hit(first)
    stage.clock.advance(3600)
    stage.hit(second, ExitReason.TAKE_PROFIT, "1.1100")
    stage.start().tick()

    assert stage.resolution(first).reason is ExitReason.STOP_LOSS
    assert stage.resolution(second).reason is ExitReason.TAKE_PROFIT


def test_a_part_of_the_oldest_position_that_was_closed_while_the_resolver_was_down_is_found(stage):
    oldest = stage.trade()
    stage.tick()
    stage.end()
    stage.hit(oldest, ExitReason.BROKER, quantity=D(400))
    stage.clock.advance(60)
    stage.trade("GBP_USD")
    stage.start().tick(0)

    assert stage.fold.position(oldest).quantity == 600


def test_an_exit_behind_the_cursor_is_found_from_its_entry(stage):
    """The surface learns of a fill only after its exit; a resolver started in between begins to read behind both."""
    signal_id = stage.trade(known=False)
    stage.hit(signal_id)
    stage.tick()
    stage.learn(signal_id)
    stage.tick()
    stage.tick(1)

    assert stage.resolution(signal_id).realised == -5
    assert len(stage.records(Kind.RESOLUTION)) == 1


def test_what_other_surfaces_and_other_people_do_is_none_of_ours(stage):
    stage.tick()
    for client_id in (None, f"tb-stk-{'0' * 26}-entry-1", "their-own-id"):
        fill = stage.broker.open("EUR_USD", Side.BUY, D(10), client_id)
        stage.broker.end(fill.trade_id, ExitReason.BROKER)
    stage.tick()

    assert stage.records() == []
    assert stage.loop._waiting == []


def test_a_position_closed_in_the_journals_without_a_resolution_gets_one(stage):
    signal_id = stage.trade()
    stage.report_exit(signal_id, D(1000))
    stage.tick()
    stage.tick()

    assert stage.resolution(signal_id).reason is ExitReason.BROKER
    assert len(stage.records(Kind.SIGNAL)) == len(stage.records(Kind.RESOLUTION)) == 1


@pytest.mark.parametrize(
    ("mode", "source"),
    [
        (Mode.DRY_RUN, ResolutionSource.SIM),
        (Mode.PAPER, ResolutionSource.OANDA_CANDLES),
        (Mode.LIVE, ResolutionSource.OANDA_CANDLES),
    ],
)
def test_a_resolution_says_where_it_was_read(make_stage, mode, source):
    stage = make_stage("home", mode=mode)
    signal_id = stage.trade()
    stage.tick()
    stage.hit(signal_id)
    stage.tick()

    assert (stage.resolution(signal_id).resolution_source, stage.resolution(signal_id).mode) == (source, mode)


@pytest.mark.parametrize(("hours", "late"), [(6, False), (6.001, True)])
def test_a_resolution_says_how_long_it_took_and_whether_it_was_late(stage, hours, late):
    signal_id = stage.trade()
    stage.tick(0)
    stage.clock.advance(hours * 3600)
    stage.hit(signal_id)
    stage.tick()

    found = stage.resolution(signal_id)
    assert (found.eta_hours, found.actual_hours, found.late) == (D(6), D(str(hours)).quantize(D("0.000001")), late)
    assert found.resolved_at - found.opened_at == timedelta(hours=hours)


@pytest.mark.parametrize(("side", "mae", "mfe"), [(Side.BUY, "0.0030", "0.0070"), (Side.SELL, "0.0071", "0.0029")])
def test_excursions_are_those_of_the_bars_wholly_inside_the_trades_life(stage, side, mae, mfe):
    signal_id = stage.trade(side=side)
    opened = stage.clock.now()
    stage.bar(opened - timedelta(seconds=5), "1.0000", "1.2000", period_s=5)
    stage.bar(opened, "1.0970", "1.1000", period_s=5)
    stage.bar(opened + timedelta(seconds=5), "1.1000", "1.1070", period_s=5)
    stage.bar(opened + timedelta(seconds=95), "1.0000", "1.2000", period_s=5)
    stage.tick(0)
    stage.clock.advance(99)
    stage.hit(signal_id, ExitReason.BROKER, "1.1000")
    stage.tick()

    found = stage.resolution(signal_id)
    assert (found.mae, found.mfe) == (D(mae), D(mfe))


def test_excursions_are_never_less_than_the_exit_itself_and_a_venue_without_bars_stops_nothing(stage):
    signal_id = stage.trade()
    stage.tick()
    stage.broker.dumb = {"EUR_USD"}
    stage.hit(signal_id, price="1.0940")
    stage.tick()

    assert (stage.resolution(signal_id).mae, stage.resolution(signal_id).mfe) == (D("0.0060"), D(0))


def test_a_broker_that_does_not_answer_costs_the_turn_and_nothing_else(stage):
    signal_id = stage.trade()
    stage.tick()
    stage.hit(signal_id)
    stage.broker.down = True

    assert stage.tick() is False

    stage.broker.down = False
    assert stage.tick() is True
    assert stage.resolution(signal_id).realised == -5


class FullDisk(Syscalls):
    full = False

    def write(self, fd, data):
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(fd, data)


def test_a_full_disk_costs_no_execution_not_even_a_part(stage):
    signals = [stage.trade(market) for market in ("EUR_USD", "GBP_USD")]
    disk = FullDisk()
    stage.tick()
    books = stage.resolver_books
    books._journal.close()
    books._journal = Journal.open(stage.house.log("fx", "resolutions"), clock=stage.clock, syscalls=disk)
    for signal_id in signals:
        stage.hit(signal_id, quantity=D(400))
    disk.full = True
    refused = stage.tick(1)
    disk.full = False
    stage.tick(1)

    assert refused is False
    assert [position.quantity for position in stage.fold.positions()] == [D(600), D(600)]


def test_a_turn_without_news_writes_nothing(stage):
    stage.trade()
    for _ in range(5):
        stage.tick()

    assert stage.records() == []


def test_an_exit_larger_than_the_known_position_closes_what_is_known(stage):
    signal_id = stage.trade()
    stage.report_exit(signal_id, D(400))
    stage.tick(0)
    stage.hit(signal_id)
    stage.tick()

    found = stage.resolution(signal_id)
    assert found.quantity == 1000
    assert stage.fold.unfinished(Leg.EXIT) == []


def corrected_stage(stage):
    """A trade of 1,000 of which 400 were sold at 1.0950, and the execution of that."""
    signal_id = stage.trade()
    stage.tick()
    stage.hit(signal_id, price="1.0950", quantity=D(400))
    stage.tick()
    return signal_id, stage.broker.log[-1]


def test_a_corrected_exit_takes_the_place_of_the_earlier_one(stage):
    signal_id, exit_ = corrected_stage(stage)
    before = stage.fold.position(signal_id)
    stage.broker.correct(exit_, quantity=D(300), realised=D("-1.5"))
    stage.tick()
    after = stage.fold.position(signal_id)
    stage.tick()

    assert (before.quantity, before.realised) == (600, -2)
    assert (after.quantity, after.realised) == (700, D("-1.5"))
    assert [row["revision"] for row in stage.records(Kind.ORDER_EVENT)] == [0, 1]


def test_an_exit_that_never_was_leaves_the_whole_position_open(stage):
    signal_id, exit_ = corrected_stage(stage)
    stage.broker.correct(exit_, quantity=D(0), realised=D(0))
    stage.tick()

    assert stage.fold.position(signal_id).quantity == 1000
    assert signal_id not in stage.fold.resolutions


def test_a_correction_that_closes_the_rest_is_the_trades_end(stage):
    signal_id, exit_ = corrected_stage(stage)
    stage.broker.correct(exit_, quantity=D(1000), realised=D(-5))
    stage.tick()

    found = stage.resolution(signal_id)
    assert (found.quantity, found.realised) == (1000, -5)


def test_a_correction_after_the_end_rewrites_nothing(stage):
    signal_id = stage.trade()
    stage.tick()
    stage.hit(signal_id)
    stage.tick()
    written = stage.records()
    stage.broker.correct(stage.broker.log[-1], price=D("1.0900"), realised=D(-10))
    stage.tick()

    assert stage.records() == written
    assert stage.resolution(signal_id).realised == -5
