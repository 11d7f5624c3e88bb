"""A whole day of one surface, and what must hold at its end however often its processes died."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal

from sweeping import Crash, assert_never_looser, holds

from domain.errors import Halt, Retry
from domain.vocabulary import Action, Cause, ExitReason, Kind, Leg, State

D = Decimal


def stop_out(market):
    """Return a step in which the market falls through the stop and the broker sells."""

    def step(stage):
        for number, trade in list(stage.broker.trades.items()):
            if trade.market == market:
                stage.broker.end(number, ExitReason.STOP_LOSS, D("1.0950"))

    return step


def nothing(stage): ...


# Each step changes the world; then five seconds or more pass and both processes turn. Three trades are stopped out, any
# two of which trip the breaker; the fourth stays open. The second order's reply is lost, and the broker wavers.
DAY = (
    (5, lambda stage: stage.propose("EUR_USD")),
    (5, lambda stage: stage.broker.accidents.append(stage.Accident.REPLY_LOST)),
    (0, lambda stage: setattr(stage.broker, "hesitations", 1)),
    (5, lambda stage: stage.propose("GBP_USD")),
    (5, nothing),
    (5, nothing),
    (5, lambda stage: stage.propose("AUD_USD")),
    (5, lambda stage: stage.propose("NZD_USD")),
    (61, stop_out("EUR_USD")),
    (5, nothing),
    (61, stop_out("GBP_USD")),
    (5, stop_out("AUD_USD")),
    (5, nothing),
    (5, lambda stage: stage.propose("EUR_USD", thesis="another")),
    (305, nothing),
    (61, nothing),
)


# What is left to do when the last of the day's writes failed.
REST = ((5, nothing), (61, nothing), (5, nothing))
DEATHS = (Crash, Halt, OSError, Retry)


def live(stage, fuse, day=DAY):
    """Let the day pass, starting whatever dies anew; return how often something died."""
    stage.limits = replace(stage.limits, daily_loss=D(90))
    stage.fuse = fuse
    deaths = 0
    for seconds, change in day:
        change(stage)
        stage.clock.advance(seconds)
        while True:
            try:
                if stage.books is None:
                    stage.start()
                    assert_never_looser(fuse.held or holds(stage.books.fold), holds(stage.books.fold))
                stage.loop.on_tick()
                stage.settle()
                break
            except DEATHS:
                deaths += 1
                stage.end()
                stage.fuse.tear()
    return deaths


def assert_sound(stage):
    """Assert what must hold at the end of the day, wherever it was interrupted."""
    broker = stage.broker
    assert max(Counter(intent.client_order_id for intent in broker.sent).values()) == 1
    # One bet each, and the one proposed again after the breaker none.
    assert max(Counter(intent.market for intent in broker.sent if intent.leg is Leg.ENTRY).values()) == 1

    entered = {fill.opened_by[6:-8] for fill in broker.log if not fill.closes}
    left = {fill.opened_by[6:-8] for fill in broker.log if fill.closes}
    opened = [signal["signal_id"][4:] for signal in stage.signals() if signal["action"] == Action.OPEN]
    closed = [r["signal_id"][4:] for r in stage.records("resolutions", Kind.SIGNAL)]
    resolved = [r["signal_id"][4:] for r in stage.records("resolutions", Kind.RESOLUTION)]
    assert sorted(opened) == sorted(entered)
    assert sorted(closed) == sorted(resolved) == sorted(left)
    assert len(stage.records("decisions", Kind.COOLDOWN)) == len(left)

    fold = stage.books.fold
    held = {trade.client_order_id[6:-8]: trade.quantity for trade in broker.trades.values()}
    assert {position.signal_id[4:]: position.quantity for position in fold.positions()} == held
    assert fold.bankroll.realised == sum(fill.realised for fill in broker.log)
    assert fold.unfinished(Leg.ENTRY) == []
    assert fold.wish(Cause.BREAKER).state is State.REDUCE
    assert fold.wish(Cause.RECONCILIATION).state is State.RUN
    stage.verify()
