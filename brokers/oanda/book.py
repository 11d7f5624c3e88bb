"""What a transaction leaves out: who opened a trade, and which of our orders a trade's close was."""

from dataclasses import dataclass

from brokers.oanda.account import AccountReader
from brokers.oanda.parse import number, side_of
from domain.errors import Refuse
from domain.vocabulary import Side


@dataclass(frozen=True, slots=True)
class Opened:
    """The entry order's id as we gave it (None when somebody else opened the trade), its market and side."""

    client_order_id: str | None
    market: str
    side: Side


class TradeBook:
    """Remembers facts about trades that never change, and asks OANDA for those of before a restart."""

    def __init__(self, reader: AccountReader) -> None:
        self._reader = reader
        self._trades: dict[str, Opened] = {}
        # order id of a close -> our exit; trade id -> our exit under way; our exit -> trade id
        self._exits: dict[str, str] = {}
        self._pending_exit: dict[str, str] = {}
        self._trade_of_exit: dict[str, str] = {}

    def opened(self, trade_id: str, client_order_id: str | None, market: str, side: Side) -> None:
        self._trades.setdefault(trade_id, Opened(client_order_id, market, side))

    def opened_by(self, trade_id: str) -> str | None:
        trade = self.trade(trade_id)
        return trade.client_order_id if trade else None

    def trade(self, trade_id: str) -> Opened | None:
        """Return what is known of a trade, open or closed; None when OANDA has no such trade."""
        if trade_id not in self._trades:
            data = self._reader.trade(trade_id)
            if data is None:
                return None
            client_id = (data.get("clientExtensions") or {}).get("id")
            self.opened(trade_id, client_id, data["instrument"], side_of(number(data["initialUnits"])))
        return self._trades[trade_id]

    def known_trade(self, trade_id: str) -> Opened:
        trade = self.trade(trade_id)
        if trade is None:
            raise Refuse("a trade of this account", f"trade {trade_id}", "read open_trades again")
        return trade

    def exiting(self, trade_id: str, client_order_id: str) -> None:
        """Note that an exit is about to be sent: its fill may be read from the log before its own reply."""
        self._trade_of_exit[client_order_id] = trade_id
        self._pending_exit[trade_id] = client_order_id

    def exit_refused(self, trade_id: str, client_order_id: str) -> None:
        if self._pending_exit.get(trade_id) == client_order_id:
            del self._pending_exit[trade_id]

    def trade_of_exit(self, client_order_id: str) -> str | None:
        return self._trade_of_exit.get(client_order_id)

    def exited(self, order_id: str, trade_id: str, client_order_id: str) -> None:
        """Note which of our exits a trade's close was."""
        self._exits.setdefault(order_id, client_order_id)
        self.exit_refused(trade_id, client_order_id)

    def exit_order(self, order_id: str, trade_id: str) -> str | None:
        """Return our id of the exit behind a close by request, which OANDA's transaction does not carry."""
        return self._exits.get(order_id) or self._pending_exit.get(trade_id)
