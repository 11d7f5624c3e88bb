"""What is done about each signal: decide, order, protect, close, and above all ask before doing anything twice."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from tbot_client import reports
from tbot_client.backoff import Backoff
from tbot_client.book import Book, say
from tbot_client.booking import Booking
from tbot_client.brokers.port import Broker, Instrument, Order
from tbot_client.clock import Clock
from tbot_client.config import Config
from tbot_client.decide import Situation, has_limit, priced, refusal, worst_price
from tbot_client.errors import Ask, Refused, Retry, Unreachable
from tbot_client.home import Home
from tbot_client.journal import is_full
from tbot_client.outbox import Outbox
from tbot_client.state import level_texts
from tbot_client.trade import Phase, Trade

# The usual end: stop, target or settlement at the broker came first. Its transaction says how, and is what gets told.
GONE = frozenset({"TRADE_DOESNT_EXIST", "NO_SUCH_TRADE", "MARKET_CLOSED"})


class Trader:
    """Brings every live trade one step nearer to what is wanted; called again and again, it needs no memory."""

    def __init__(
        self, config: Config, home: Home, clock: Clock, book: Book, broker: Broker, booking: Booking, outbox: Outbox
    ) -> None:
        self._config = config
        self._home = home
        self._clock = clock
        self._book = book
        self._broker = broker
        self._booking = booking
        self._outbox = outbox
        # Orders this process has written down but not sent. After a restart it is empty, so that whatever is intended
        # counts as possibly sent.
        self._unsent: set[str] = set()
        self._absent_since: dict[str, float] = {}
        self._pause_until: dict[str, float] = {}
        self._backoffs: dict[str, Backoff] = {}
        self._steps: dict[Phase, Callable[[Trade], None]] = {
            Phase.PENDING: self._consider,
            Phase.INTENDED: self._settle,
            Phase.OPEN: self._tend,
        }

    def work(self) -> None:
        """Take one step with every trade that is not waiting."""
        self._work(list(self._book.state.trades.values()))
        self._forget()

    def tend(self) -> None:
        """Take one step with what is held, and begin nothing: for as long as the feed was not heard yet."""
        self._work([trade for trade in self._book.state.trades.values() if trade.phase is Phase.OPEN])

    def _work(self, trades: list[Trade]) -> None:
        for trade in trades:
            if self._clock.monotonic() >= self._pause_until.get(trade.signal_id, 0.0):
                self._step(trade)

    def _forget(self) -> None:
        """Drop what is remembered of trades that ended."""
        for memory in (self._absent_since, self._pause_until, self._backoffs):
            for signal_id in memory.keys() - self._book.state.trades.keys():
                del memory[signal_id]

    def _step(self, trade: Trade) -> None:
        try:
            self._steps[trade.phase](trade)
        except (Retry, Ask, Refused, Unreachable) as error:
            say(f"{trade.signal_id} {trade.market}: {error}")
            self._back_off(trade, getattr(error, "after_s", None))
        except OSError as error:
            # Without room for a line in the journal nothing is entered, but the next trade may have to be closed.
            if not is_full(error):
                raise
            say(f"! {trade.signal_id} {trade.market}: the journal can't be written ({error}); trying again")
            self._back_off(trade)

    def _back_off(self, trade: Trade, named_s: float | None = None) -> None:
        """Wait longer each time: a market may be closed for a weekend."""
        poll = self._config.poll
        backoff = self._backoffs.setdefault(trade.signal_id, Backoff(poll.retry_s, poll.retry_max_s))
        self._pause(trade, backoff.next(named_s))

    def _pause(self, trade: Trade, seconds: float) -> None:
        self._pause_until[trade.signal_id] = self._clock.monotonic() + seconds

    def _consider(self, trade: Trade) -> None:
        """Decide on an open; the decision, its report and the intent to order are one line of the journal."""
        reason, units = self._judge(trade)
        report = reports.ack(trade.signal_id, self._clock.now(), reason)
        if reason:
            say(f"{trade.signal_id} {trade.market}: skipped ({reason})")
            self._book.write({"kind": "skipped", "signal_id": trade.signal_id, "reason": reason, "report": report})
            return
        self._unsent.add(trade.signal_id)
        self._book.write({"kind": "intended", "signal_id": trade.signal_id, "units": str(units), "report": report})
        if self._outbox.first(trade.signal_id):
            return self._give_up(trade, "expired")
        self._send(trade)

    def _judge(self, trade: Trade) -> tuple[str, Decimal]:
        reason = refusal(trade, self._config, self._situation(trade))
        if reason:
            return reason, Decimal(0)
        self._booking.day_loss.note_marked(self._clock.now())
        if self._book.state.is_over(self._clock.now()):
            return "daily_loss", Decimal(0)
        instrument = self._instrument(trade)
        quote = None if instrument is None else self._broker.quote(trade.market, trade.reference)
        is_asked = self._config.size.rule != "fixed" or (instrument is not None and has_limit(instrument))
        account = self._broker.account() if is_asked else None
        return priced(trade, self._config, instrument, quote, account)

    def _instrument(self, trade: Trade) -> Instrument | None:
        """Return what may be ordered; a broker that knows no markets is told by the signal what it is."""
        found = self._broker.instrument(trade.market)
        if found is None or not found.is_as_signalled or not trade.is_contract:
            return found
        return replace(found, payout=Decimal(1))

    def _situation(self, trade: Trade) -> Situation:
        state, now = self._book.state, self._clock.now()
        return Situation(
            now=now,
            is_stopped=self._home.is_stopped(),
            is_distrusted=bool(state.distrust),
            is_day_over=state.is_over(now),
            open_count=state.open_count(without=trade.signal_id),
        )

    def _send(self, trade: Trade) -> None:
        """Send the order; the STOP file is looked at last, right before the socket."""
        if self._home.is_stopped():
            return self._give_up(trade, "stopped")
        order = Order(
            client_id=trade.client_id,
            instrument=trade.market,
            side=trade.side,
            units=trade.units,
            levels=trade.resting or trade.levels,
            reference=trade.reference,
            worst=worst_price(trade, self._config, self._instrument(trade)),
        )
        self._unsent.discard(trade.signal_id)
        try:
            self._booking.take(self._broker.place(order))
        except Retry:
            self._unsent.add(trade.signal_id)
            raise
        except Refused as error:
            self._booking.catch_up()
            if self._is_intended(trade):
                self._booking.fail(trade, f"broker:{error.reason}")

    def _give_up(self, trade: Trade, reason: str) -> None:
        self._unsent.discard(trade.signal_id)
        self._booking.fail(trade, reason)

    def _is_intended(self, trade: Trade) -> bool:
        return self._book.state.trades.get(trade.signal_id) is trade and trade.phase is Phase.INTENDED

    def _settle(self, trade: Trade) -> None:
        """Find out what became of an order; only one that was never sent, or is proven absent, may be sent."""
        if trade.signal_id not in self._unsent:
            for ask in (self._booking.catch_up, lambda: self._booking.from_position(trade), lambda: self._find(trade)):
                ask()
                if not self._is_intended(trade):
                    self._absent_since.pop(trade.signal_id, None)  # a later question begins with a time of its own
                    return
            if not self._is_absent(trade):
                return
        reason, _ = self._judge(trade)
        if reason and self._broker.is_taken(trade.client_id):
            todo = "asking on; look into the account"
            raise Ask("an order the broker took in to be in its lists", "nothing of it", todo)
        if reason:
            return self._give_up(trade, reason)
        self._send(trade)

    def _find(self, trade: Trade) -> None:
        self._booking.take(self._broker.find(trade.client_id))

    def _is_absent(self, trade: Trade) -> bool:
        """Believe that the broker does not have something only when it says so twice, some time apart."""
        now = self._clock.monotonic()
        since = self._absent_since.setdefault(trade.signal_id, now)
        if now - since >= self._config.poll.settle_s:
            del self._absent_since[trade.signal_id]
            return True
        self._pause(trade, self._config.poll.settle_s)
        return False

    def _tend(self, trade: Trade) -> None:
        if trade.end_reason:
            self._close(trade)
        elif trade.levels not in (trade.resting, trade.refused):
            self._protect(trade)

    def _close(self, trade: Trade) -> None:
        """Close a position; that it is gone already is as good, and its outcome is in the transactions."""
        try:
            self._booking.take(self._broker.close(trade.trade_id, trade.end_price))
        except Refused as error:
            if error.reason not in GONE:
                say(f"{trade.signal_id} {trade.market}: {error}")
        if trade.signal_id not in self._book.state.trades:
            return
        self._back_off(trade)
        if self._is_held(trade):
            self._absent_since.pop(trade.signal_id, None)
            return self._booking.catch_up()
        # Read after the positions: whatever closed it came before it was gone, though its list may lag behind.
        self._booking.catch_up()
        if trade.signal_id not in self._book.state.trades:
            return
        if self._broker.is_behind():
            self._absent_since.pop(trade.signal_id, None)
        elif self._is_absent(trade):
            self._booking.lose(trade)

    def _is_held(self, trade: Trade) -> bool:
        return any(position.trade_id == trade.trade_id for position in self._broker.positions())

    def _protect(self, trade: Trade) -> None:
        levels = trade.levels
        refused = ""
        try:
            self._broker.protect(trade.trade_id, trade.market, levels)
        except Refused as error:
            if error.reason not in GONE:
                say(f"{trade.signal_id} {trade.market}: new levels refused, the old ones stay ({error.reason})")
            refused = error.reason
        record = {"kind": "resting", "signal_id": trade.signal_id, "refused": refused}
        self._book.write(record | level_texts(levels))
