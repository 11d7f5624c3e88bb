"""Orders: sending them once, and finding out what became of them."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from brokers.answers import Answer, answer_to, answer_to_id
from brokers.grace import Grace
from brokers.kalshi import records
from brokers.kalshi.errors import Rejected, error_of
from brokers.kalshi.history import Histories
from brokers.kalshi.listings import Listings
from brokers.kalshi.lots import CURRENCY, Lot
from brokers.kalshi.parse import count
from brokers.kalshi.paths import Paths
from brokers.kalshi.records import OrderRow
from brokers.kalshi.steps import Steps
from brokers.kalshi.wire import Body, Wire
from brokers.lost import unanswered
from brokers.port import Fill
from domain.errors import Ask, Refuse, Retry
from domain.order import OrderEvent, OrderIntent
from domain.vocabulary import Leg, OrderState

# Our clock and Kalshi's may differ by this much when orders are listed from a time of ours.
SKEW_S = 30.0
# How far back an order is looked for when Kalshi says that its id is taken, or when it is to be cancelled.
LOOK_BACK = timedelta(days=1)
TAKEN = "order_already_exists"
# How often, and how far apart, the executions of an order that filled are asked for before it counts as unknown.
LOOKS, LOOK_S = 4, 0.15
# Reasons in the words of the other brokers.
UNMET, RESTED = "BOUNDS_VIOLATION", "PARTIAL_FILL"


class Orders:
    """Orders of one account: immediate ones, which never rest."""

    def __init__(self, wire: Wire, histories: Histories, listings: Listings, grace: Grace) -> None:
        self._wire = wire
        self._histories = histories
        self._listings = listings
        self._grace = grace
        self._paths = Paths(wire)

    def submit(self, intent: OrderIntent) -> Sequence[OrderEvent]:
        """Send the order once; nothing here repeats a POST that may have arrived."""
        if intent.leg is Leg.EXIT and intent.broker_trade_id is None:
            raise Refuse("an exit that names its trade", "broker_trade_id None", "find the trade in open_trades")
        done = self._histories.order_by(intent.client_order_id)
        if done is not None:
            return self._filled(self._answer(intent), done)
        steps = self._listings.steps(intent.market)
        if steps is None:
            return [self._rejected(intent, "MARKET_UNKNOWN")]
        problem = self._problem(intent)
        return [self._rejected(intent, problem)] if problem else self._send(intent, steps)

    def find(self, client_order_id: str, since: datetime) -> Sequence[OrderEvent]:
        """Look for the order among those made since; absent only when it is not there after the grace."""
        answer = answer_to_id(client_order_id, CURRENCY, self._wire.clock.now())
        self._histories.orders_since(since - self._skew())
        row = self._histories.order_by(client_order_id)
        if row is not None:
            return self._events(answer, row)
        self._grace.require(client_order_id, since)
        return [answer.event(OrderState.ABSENT, reason="no order carries this id")]

    def cancel(self, client_order_id: str) -> Sequence[OrderEvent]:
        """Take what rests of an order off the book; one that is done answers 404, which is no error."""
        since = self._wire.clock.now() - LOOK_BACK
        self._histories.orders_since(since)
        row = self._histories.order_by(client_order_id)
        if row is not None and row.is_resting:
            self._delete(f"{self._paths.orders}/{row.order_id}")
        return self.find(client_order_id, since)

    def cancel_all(self) -> None:
        """Take every order of the account off the book, whoever made it."""
        if not self._paths.is_older:
            self._delete(self._paths.orders)
            return
        resting = self._wire.rows("resting orders", "/portfolio/orders", "orders", records.order, status="resting")
        for row in resting:
            self._delete(f"{self._paths.orders}/{row.order_id}")

    def _problem(self, intent: OrderIntent) -> str:
        """Name what speaks against an order before it is sent, or return an empty string."""
        if intent.quantity <= 0 or intent.quantity != intent.quantity.to_integral_value():
            return "UNITS_INVALID"
        if intent.leg is Leg.ENTRY:
            # The venue nets YES against NO: an entry would close what is held instead of opening anything.
            against = self._histories.position(intent.market) * intent.side.sign < 0
            return "OPPOSITE_POSITION" if against else ""
        lot = self._lot(intent)
        if lot is None or lot.side is intent.side:
            return "TRADE_DOESNT_EXIST"
        return "CLOSE_TRADE_UNITS_EXCEED_TRADE_SIZE" if intent.quantity > lot.quantity else ""

    def _lot(self, intent: OrderIntent) -> Lot | None:
        ledger = self._histories.ledger(intent.market, fresh=True)
        return ledger.lots.get(str(intent.broker_trade_id))

    def _send(self, intent: OrderIntent, steps: Steps) -> Sequence[OrderEvent]:
        try:
            with self._grace.sending(intent.client_order_id):
                row = self._post(intent, steps)
        except Rejected as error:
            return self._refused(intent, steps, error)
        self._paths.proven()
        self._histories.note(row)
        return self._filled(self._answer(intent), row)

    def _post(self, intent: OrderIntent, steps: Steps) -> OrderRow:
        return self._wire.write(
            "an order",
            "POST",
            self._paths.orders,
            lambda body: self._read(intent, body),
            self._paths.ticket(intent, steps),
        )

    def _read(self, intent: OrderIntent, body: Body) -> OrderRow:
        """Read the reply to an order. A 2xx without an order in it proves nothing.

        One that says of the older path that it is deprecated does: Kalshi answered so when it had closed it.

        Raises:
            Rejected: the older path is no longer served.
            Ask: there is no order in the reply.
        """
        code, message = error_of(body)
        if self._paths.is_older and "deprecated" in code:
            raise Rejected("an order", 410, code, message)
        data = body.get("order", body)
        if not isinstance(data, dict) or not data.get("order_id"):
            raise unanswered("an order", f"a reply without an order ({code or 'no code'})", repeatable=False)
        return _row(intent, data)

    def _refused(self, intent: OrderIntent, steps: Steps, error: Rejected) -> Sequence[OrderEvent]:
        if error.code == TAKEN:
            return self._holder_of_id(intent)
        if self._paths.step_back(error):
            return self._send(intent, steps)
        refusal = self._paths.refusal(error)
        if refusal is not None:
            raise refusal from error
        return [self._rejected(intent, error.code or f"status {error.status}")]

    def _holder_of_id(self, intent: OrderIntent) -> Sequence[OrderEvent]:
        """Answer with the order that has our id already: this one did nothing."""
        try:
            found = self.find(intent.client_order_id, self._wire.clock.now() - LOOK_BACK)
        except Retry as error:
            raise Ask("the order that holds this id", error.found, "look it up by its client id") from error
        if found[-1].state is OrderState.ABSENT:
            raise Ask("the order that holds this id", "none in the list", "look it up by its client id")
        return found

    def _filled(self, answer: Answer, row: OrderRow) -> Sequence[OrderEvent]:
        """Return the events of an order just taken, once its executions can be read."""
        for left in reversed(range(LOOKS)):
            try:
                return self._events(answer, row, fresh=True)
            except Retry as error:
                if left == 0:
                    raise Ask("the executions of a filled order", error.found, "look it up by its client id") from error
                time.sleep(LOOK_S)
        raise AssertionError("the loop neither returned nor raised")

    def _events(self, answer: Answer, row: OrderRow, *, fresh: bool = False) -> Sequence[OrderEvent]:
        """Return one event an execution, then the end of what cannot fill any more.

        Raises:
            Retry: the venue does not show all executions yet.
        """
        fills = self._fills(row, fresh=fresh) if row.filled > 0 else []
        found: list[OrderEvent] = []
        done = Decimal(0)
        for fill in fills:
            done += fill.quantity
            state = OrderState.FILLED if done >= row.initial else OrderState.PARTIAL
            found.append(answer.filled(fill, state, row.order_id))
        if row.is_resting and not found:
            return [answer.event(OrderState.ACCEPTED, broker_order_id=row.order_id, reason="order resting")]
        if not row.is_resting and done < row.initial:
            when = fills[-1].happened_at if fills else row.created_at or answer.at
            reason = RESTED if fills else UNMET
            found.append(
                answer.event(OrderState.CANCELLED, happened_at=when, broker_order_id=row.order_id, reason=reason)
            )
        return found

    def _fills(self, row: OrderRow, *, fresh: bool) -> list[Fill]:
        """Return the executions of one order; a part of one that ended another trade counts with them."""
        ledger = self._histories.ledger(row.ticker, fresh=fresh)
        fills = ledger.of_order(row.order_id)
        if sum((fill.quantity for fill in fills), Decimal(0)) < row.filled:
            fills = self._histories.ledger(row.ticker, fresh=True).of_order(row.order_id)
        if sum((fill.quantity for fill in fills), Decimal(0)) < row.filled:
            raise Retry("all executions of an order", f"{len(fills)} of them", "ask again", after_s=0.5)
        return fills

    def _delete(self, path: str) -> None:
        try:
            self._wire.write("a cancel", "DELETE", path, lambda body: None, repeatable=True)
        except Rejected as error:
            if error.status != 404:
                raise

    def _skew(self) -> timedelta:
        return timedelta(seconds=SKEW_S / (self._wire.clock.real_seconds(1.0) or 1.0))

    def _answer(self, intent: OrderIntent) -> Answer:
        return answer_to(intent, CURRENCY, self._wire.clock.now())

    def _rejected(self, intent: OrderIntent, reason: str) -> OrderEvent:
        return self._answer(intent).event(OrderState.REJECTED, reason=reason)


def _row(intent: OrderIntent, data: Body) -> OrderRow:
    """Read the order of a reply: whole on the older wire, in short on today's."""
    filled = count(data, "fill_count")
    if filled is None:
        return records.order(data)
    return OrderRow(
        order_id=str(data["order_id"]),
        client_order_id=intent.client_order_id,
        ticker=intent.market,
        side=intent.side,
        # Immediate orders never rest: what did not fill is gone.
        status="executed" if filled >= intent.quantity else "canceled",
        filled=filled,
        initial=intent.quantity,
        fees=records.fees(data),
        created_at=None,
    )
