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
        self._exits: dict[str, str] = {}

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

    def exited(self, order_id: str, client_order_id: str) -> None:
        self._exits.setdefault(order_id, client_order_id)

    def exit_order(self, order_id: str | None) -> str | None:
        """Return our id of the exit behind OANDA's order id, which a trade's close does not carry."""
        return self._exits.get(order_id) if order_id else None
