"""Exits: closing one trade by its own id, so that asking twice cannot close anything else.

A REDUCE_ONLY market order could carry our client id, but OANDA applies it to the oldest trade of the instrument, not to
the one meant, and a second one would eat into the next trade. ``PUT /trades/{id}/close`` carries no client id, yet
names the trade: a repetition finds it closed. What became of an exit is then read from the trade itself.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from brokers.grace import Grace
from brokers.oanda import outcome, sdk
from brokers.oanda.account import AccountReader
from brokers.oanda.book import TradeBook
from brokers.oanda.errors import Rejected
from brokers.oanda.fills import CLOSED_BY_REQUEST
from brokers.oanda.orders import LOOK_BACK, SKEW
from brokers.oanda.outcome import Ticket
from brokers.oanda.parse import Json, moment
from brokers.oanda.transactions import TransactionLog
from brokers.oanda.wire import Body, Wire
from domain.errors import Ask, Refuse, Retry, TBotError
from domain.ids import signal_of_order
from domain.order import OrderEvent, OrderIntent

GONE = frozenset({"TRADE_DOESNT_EXIST", "NO_SUCH_TRADE"})
# The most that GET /trades returns; an exit is looked for while its trade is among the latest.
TRADES = "500"


class Exits:
    """Closes of trades."""

    def __init__(self, wire: Wire, reader: AccountReader, log: TransactionLog, book: TradeBook, grace: Grace) -> None:
        self._wire = wire
        self._reader = reader
        self._log = log
        self._book = book
        self._account_id = wire.config.account_id
        self._grace = grace

    def submit(self, intent: OrderIntent) -> Sequence[OrderEvent]:
        """Close the trade, whole or in part; one that is closed already answers with the close that did it."""
        if intent.broker_trade_id is None:
            raise Refuse("an exit that names its trade", "broker_trade_id None", "find the trade in open_trades")
        ticket, trade_id = self._ticket_of(intent), intent.broker_trade_id
        self._book.exiting(trade_id, intent.client_order_id)
        units = format(intent.quantity.normalize(), "f")
        request = sdk.trades.TradeClose(self._account_id, trade_id, data={"units": units})
        try:
            with self._grace.sending(intent.client_order_id):
                return self._wire.write("a trade's close", request, lambda body: self._read(ticket, trade_id, body))
        except Rejected as error:
            return self._refused(replace(ticket, learned_at=self._wire.clock.now()), trade_id, error)
        except Ask:
            raise
        except TBotError:
            self._book.exit_refused(trade_id, intent.client_order_id)
            raise

    def find(self, ticket: Ticket, since: datetime) -> Sequence[OrderEvent]:
        """Read the close off the trade; absent when the trade shows none and none can come any more."""
        trade = self._trade(ticket.client_order_id)
        closes = self._closes(ticket, trade, since - SKEW) if trade else []
        if closes:
            return closes
        if trade is not None and trade["state"] == "CLOSED":
            return [ticket.absent("the trade was closed by something else")]
        self._grace.require(ticket.client_order_id, since)
        return [ticket.absent("the trade shows no such close")]

    def _ticket_of(self, intent: OrderIntent) -> Ticket:
        return outcome.ticket_of_intent(intent, self._reader.currency(), self._wire.clock.now())

    def _read(self, ticket: Ticket, trade_id: str, body: Body) -> list[OrderEvent]:
        events = outcome.of_reply(replace(ticket, learned_at=self._wire.clock.now()), body)
        self._book.exited(body["orderCreateTransaction"]["id"], trade_id, ticket.client_order_id)
        return events

    def _refused(self, ticket: Ticket, trade_id: str, error: Rejected) -> Sequence[OrderEvent]:
        """Answer with the close that got there first, if the trade is gone because of one."""
        refusal = outcome.of_rejection(ticket, error)
        if error.code not in GONE and error.status != 404:
            self._book.exit_refused(trade_id, ticket.client_order_id)
            return refusal
        try:
            trade = self._reader.trade(trade_id)
            closes = self._closes(ticket, trade, self._wire.clock.now() - LOOK_BACK) if trade else []
        except Retry as retry:
            raise Ask(f"what closed trade {trade_id}", retry.found, "look the exit up by its client id") from retry
        self._book.exit_refused(trade_id, ticket.client_order_id)
        return closes or refusal

    def _trade(self, client_order_id: str) -> Body | None:
        """Return the trade an exit concerns: as we sent it, or, after a restart, that of the same signal."""
        known = self._book.trade_of_exit(client_order_id)
        if known is not None:
            return self._reader.trade(known)
        wanted = _signal(client_order_id)
        rows = self._wire.read("all trades", self._all_trades, lambda body: list(body["trades"]))
        return next((row for row in rows if wanted and _signal(_client_id(row)) == wanted), None)

    def _all_trades(self) -> object:
        return sdk.trades.TradesList(self._account_id, params={"state": "ALL", "count": TRADES})

    def _closes(self, ticket: Ticket, trade: Json, since: datetime) -> list[OrderEvent]:
        """Return the newest close by request since ``since`` that no other exit of ours made."""
        for transaction_id in reversed(trade.get("closingTransactionIDs") or []):
            fill = self._log.one(transaction_id)
            if fill is None:
                raise Retry("the fill that closed a trade", "none yet", "ask again", after_s=0.5)
            if self._is_close_of(ticket, trade["id"], fill, since):
                self._book.exited(fill["orderID"], trade["id"], ticket.client_order_id)
                return outcome.events(ticket, None, [fill], None)
        return []

    def _is_close_of(self, ticket: Ticket, trade_id: str, fill: Json, since: datetime) -> bool:
        if fill.get("reason") != CLOSED_BY_REQUEST or moment(fill["time"]) < since:
            return False
        return self._book.exit_order(fill["orderID"], trade_id) in (None, ticket.client_order_id)


def _client_id(trade: Json) -> str:
    return str((trade.get("clientExtensions") or {}).get("id") or "")


def _signal(client_order_id: str) -> tuple[str, str] | None:
    found = signal_of_order(client_order_id)
    return (found[0], found[1]) if found else None
