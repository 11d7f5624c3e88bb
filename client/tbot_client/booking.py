"""What the broker says happened, written down once, with the report it calls for."""

from tbot_client import reports
from tbot_client.book import Book, day_of, say
from tbot_client.brokers.port import Broker, Event, NotFilled, Opened, Position, Reduced
from tbot_client.clock import Clock
from tbot_client.config import Config
from tbot_client.journal import Record
from tbot_client.loss import DayLoss
from tbot_client.trade import Phase, Trade, client_id, signal_of

# The broker guards our ids: these say that an earlier order of ours is there, not that this one failed.
ALREADY = frozenset({"CLIENT_TRADE_ID_ALREADY_EXISTS", "CLIENT_ORDER_ID_ALREADY_EXISTS"})


class Booking:
    """Books fills from transactions; a transaction seen twice is booked once."""

    def __init__(self, book: Book, broker: Broker, clock: Clock, config: Config) -> None:
        self._book = book
        self._broker = broker
        self._clock = clock
        self.day_loss = DayLoss(book, broker, config.limits.daily_loss)
        # Whether something was filled of which no trade of ours waits for anything any more.
        self.has_stray = False

    def catch_up(self) -> None:
        """Read the broker's transactions since the last one known."""
        state = self._book.state
        if not state.last_id:
            self._book.write({"kind": "transaction", "id": self._broker.account().last_id})
        events, newest = self._broker.since(state.last_id)
        self.take(events)
        if newest != state.last_id:
            self._book.write({"kind": "transaction", "id": newest})

    def take(self, events: list[Event]) -> None:
        """Book events in order."""
        for event in events:
            if isinstance(event, Opened):
                self._opened(event)
            elif isinstance(event, Reduced):
                self._reduced(event)
            else:
                self._not_filled(event)

    def fail(self, trade: Trade, reason: str) -> None:
        """End an order that led to no position; the accept sent before is corrected to a skip."""
        say(f"{trade.signal_id} {trade.market}: not traded ({reason})")
        report = reports.ack(trade.signal_id, self._clock.now(), reason, rev=1)
        self._book.write({"kind": "failed", "signal_id": trade.signal_id, "reason": reason, "report": report})

    def _intended(self, order_id: str) -> Trade | None:
        trade = self._book.state.trades.get(signal_of(order_id))
        return trade if trade is not None and trade.phase is Phase.INTENDED else None

    def _opened(self, event: Opened) -> None:
        trade = self._intended(event.client_id)
        if trade is None:
            self.has_stray = self.has_stray or signal_of(event.client_id) not in self._book.state.trades
            return
        say(f"{trade.signal_id} {trade.side} {event.units} {trade.market} at {event.price}")
        record: Record = {"kind": "opened", "signal_id": trade.signal_id, "id": event.id, "trade_id": event.trade_id}
        record |= {"units": str(event.units), "price": str(event.price), "report": reports.executed(trade, event)}
        self._book.write(record)

    def _not_filled(self, event: NotFilled) -> None:
        trade = self._intended(event.client_id)
        if trade is not None and event.reason not in ALREADY:
            self.fail(trade, f"broker:{event.reason}")

    def _reduced(self, event: Reduced) -> None:
        trade = self._book.state.by_trade_id(event.trade_id)
        if trade is None or event.id in trade.reductions:
            return
        records = [_reduction(trade, event)]
        if trade.closed_units + event.units >= trade.filled:
            say(f"{trade.signal_id} {trade.market} closed at {event.price} ({reports.end_reason(trade, event)})")
            report = reports.resolved(trade, event)
            records.append({"kind": "closed", "signal_id": trade.signal_id, "report": report})
        self._book.write(*records)
        self.day_loss.note_realised(day_of(event.at), event.currency)

    def reconcile(self) -> set[str]:
        """Compare the broker's open positions with ours; return the ids of positions that had to be adopted."""
        self.catch_up()
        state = self._book.state
        positions = self._broker.positions()
        adopted = self.take_over(positions)
        held = {position.trade_id for position in positions}
        for trade in list(state.trades.values()):
            if trade.phase is Phase.OPEN and trade.trade_id not in held and not trade.end_reason:
                self.end(trade, "broker")
        return adopted

    def take_over(self, positions: list[Position]) -> set[str]:
        """Adopt the positions that no trade of ours has; return their signals' ids."""
        trades = self._book.state.trades
        strays = [each for each in positions if _is_stray(trades.get(signal_of(each.client_id)))]
        self.has_stray = False
        return {self._adopt(position) for position in strays}

    def end(self, trade: Trade, reason: str) -> None:
        """Want a position closed."""
        self._book.insist({"kind": "ending", "signal_id": trade.signal_id, "reason": reason, "price": None})

    def lose(self, trade: Trade) -> None:
        """Give up a position that the broker no longer has and never reported as closed."""
        say(f"{trade.signal_id} {trade.market}: gone at the broker without a transaction; compare by hand")
        self._book.write({"kind": "lost", "signal_id": trade.signal_id, "reason": "lost"})

    def _adopt(self, position: Position) -> str:
        signal_id = signal_of(position.client_id)
        say(f"{signal_id} {position.instrument}: held at the broker but not in our journal; taken over")
        stop, target, trailing = position.levels
        percent = position.trailing_percent
        now = self._clock.now()
        signal = {
            "signal_id": signal_id,
            "surface": "",
            "market": position.instrument,
            "side": position.side,
            "sub_strategy": "",
            "reference": str(position.price),
            "stop": str(position.price if stop is None else stop),
            "target": None if target is None else str(target),
            "trailing": None if trailing is None else str(trailing),
            "trailing_percent": None if percent is None else str(percent),
            "published_at": now.isoformat(),
            "expires_at": now.isoformat(),
            "expired": True,
        }
        record = {"kind": "adopted", "signal": signal, "trade_id": position.trade_id, "units": str(position.units)}
        self._book.write(record)
        return signal_id

    def from_position(self, trade: Trade) -> None:
        """Book an order of unknown outcome by the position that carries its id, if there is one."""
        for position in self._broker.positions():
            if position.client_id == client_id(trade.signal_id):
                self._opened(
                    Opened(
                        id=position.trade_id,
                        client_id=position.client_id,
                        trade_id=position.trade_id,
                        units=position.units,
                        price=position.price,
                        at=self._clock.now(),
                    )
                )


def _is_stray(trade: Trade | None) -> bool:
    return trade is None or trade.phase is Phase.PENDING


def _reduction(trade: Trade, event: Reduced) -> Record:
    return {
        "kind": "reduced",
        "signal_id": trade.signal_id,
        "id": event.id,
        "units": str(event.units),
        "price": str(event.price),
        "realised": str(event.realised),
        "currency": event.currency,
        "reason": reports.end_reason(trade, event),
        "day": day_of(event.at),
    }
