"""One IBKR account through the Client Portal, behind the protocols of ``brokers.port``."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from brokers.grace import Grace
from brokers.ibkr.config import IbkrConfig
from brokers.ibkr.executions import ExecutionBook
from brokers.ibkr.fills import FillReader
from brokers.ibkr.link import LinkState
from brokers.ibkr.portal import tickets
from brokers.ibkr.portal.contracts import Contracts
from brokers.ibkr.portal.exits import Exits
from brokers.ibkr.portal.holdings import Holdings
from brokers.ibkr.portal.ledger import Ledger
from brokers.ibkr.portal.orders import Orders
from brokers.ibkr.portal.prices import PortalData
from brokers.ibkr.portal.questions import Conversations
from brokers.ibkr.portal.session import Session
from brokers.ibkr.portal.shares import Shares
from brokers.ibkr.portal.stops import Stops
from brokers.ibkr.portal.wire import Wire
from brokers.ibkr.trades import Entries, Held
from brokers.ibkr.windows import ResetWindow
from brokers.port import Account, BrokerTrade, Fill, MarketData, RestingOrder
from domain.clock import Clock
from domain.errors import Refuse
from domain.order import OrderEvent, OrderIntent
from domain.vocabulary import ExitReason, Link

# The brokerage session is reset at about one o'clock of its region, besides what the settings name.
RESETS = ("01:00-01:20",)

__all__ = ["PortalData", "PortalExecutor", "connect"]


def connect(config: IbkrConfig, clock: Clock, *, held: Held = lambda: ()) -> tuple[PortalData, "PortalExecutor"]:
    """Return both halves of one account, and begin to keep its session: the link is DOWN until all was read once.

    Args:
        held: what the journals hold open; IBKR knows positions only, not whose they are.

    Raises:
        Misconfigured: the certificate file cannot be read.
    """
    wire = Wire(config, clock)
    windows = (*config.windows, *map(ResetWindow.parse, RESETS))
    state = LinkState(clock, windows, quiet_s=config.reset_quiet_s, longest_s=config.reset_longest_s)
    contracts = Contracts(wire)
    executor = PortalExecutor(wire, contracts, state, held)
    data = PortalData(wire, contracts, executor.session, on_trade=executor.on_trade)
    executor.price_by(data)
    executor.session.start()
    return data, executor


class PortalExecutor:
    """RestingExecutor of one account."""

    def __init__(self, wire: Wire, contracts: Contracts, state: LinkState, held: Held) -> None:
        config, book = wire.config, ExecutionBook()
        self._wire = wire
        self._state = state
        self._ledger = Ledger(wire, book, contracts)
        entries = Entries(book, held)
        self._fills = FillReader(
            book, entries, wire.clock, commission_wait_s=config.commission_wait_s, reason=self._why
        )
        self._talks = Conversations(wire, frozenset(config.portal_confirm))
        self._holdings = Holdings(wire, self._ledger, entries, self._fills, contracts)
        grace = Grace(wire.clock, config.fresh_order_grace_s)
        shares = Shares(wire, self._ledger)
        self._orders = Orders(wire, self._ledger, contracts, self._fills, state, self._talks, grace, shares)
        self._exits = Exits(wire, self._ledger, self._orders, self._holdings, contracts, state, shares)
        self._stops = Stops(wire, self._ledger, self._orders, self._holdings, contracts)
        self.session = Session(wire, state, self._refresh)

    def link(self) -> tuple[Link, str]:
        return self._state.state()

    def account(self) -> Account:
        return self._holdings.account()

    def submit(self, intent: OrderIntent) -> Sequence[OrderEvent]:
        return self._exits.submit(intent) if tickets.sells_now(intent) else self._orders.submit(intent)

    def find(self, client_order_id: str, *, since: datetime) -> Sequence[OrderEvent]:
        return self._orders.find(client_order_id, since)

    def cancel(self, client_order_id: str) -> Sequence[OrderEvent]:
        return self._orders.cancel(client_order_id)

    def amend(self, client_order_id: str, *, quantity: Decimal) -> Sequence[OrderEvent]:
        return self._orders.amend(client_order_id, quantity)

    def resting(self) -> Sequence[RestingOrder]:
        return self._holdings.resting()

    def open_trades(self) -> Sequence[BrokerTrade]:
        return self._holdings.trades()

    def protect(
        self, trade_id: str, *, stop_loss: Decimal, take_profit: Decimal | None, trailing_distance: Decimal | None
    ) -> None:
        """Make exactly one stop rest for a trade; a target is the surface's own business and is not sent.

        Raises:
            Retry, Ask or Refuse, as for an order.
        """
        self._stops.protect(trade_id, stop_loss, trailing_distance)

    def fills_since(self, cursor: str) -> tuple[Sequence[Fill], str]:
        """Return executions after a cursor; those of the last seconds may come with the next call."""
        self._ledger.refresh_trades()
        return self._fills.since(cursor)

    def price_by(self, data: MarketData) -> None:
        """Say where the price is read that the first stop of a trailing limit is reckoned from."""
        self._orders.quote = lambda market: data.quotes([market]).get(market)

    def on_trade(self, row: object) -> None:
        """Take in an execution that the stream told of."""
        self._ledger.take_trade(row, self._ledger.now_ns())

    def close(self) -> None:
        self.session.close()
        self._wire.close()

    def _refresh(self) -> None:
        """Read everything again on a session that is new: only then may anything be sent."""
        self._select(*self._wire.ask("the login's accounts", "/iserver/accounts", _accounts))
        self._holdings.prepare()
        self._talks.suppress()
        self._ledger.forget_times()
        self._ledger.read_anew()
        self._holdings.positions()

    def _select(self, listed: list[str], selected: str) -> None:
        wanted = self._wire.config.account
        if wanted not in listed:
            found = ", ".join(listed)[:100] or "none"
            raise Refuse(f"IBKR_ACCOUNT {wanted} among the login's accounts", found, "log in as its owner")
        if selected != wanted:
            self._wire.ask("the account to be selected", "/iserver/account", method="POST", body={"acctId": wanted})

    def _why(self, reference: str) -> ExitReason:
        """Tell why a protective order of ours filled."""
        row = self._ledger.of_reference(reference)
        is_trailing = row is not None and row.kind in ("TRAIL", "TRAILLMT")
        return ExitReason.TRAILING_STOP if is_trailing else ExitReason.STOP_LOSS


def _accounts(body: Any) -> tuple[list[str], str]:
    """Return the login's accounts, and the one that is selected."""
    return [str(name) for name in body["accounts"]], str(body.get("selectedAccount") or "")
