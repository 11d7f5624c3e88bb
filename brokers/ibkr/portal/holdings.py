"""What the account is worth, what it holds, and what rests in it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from brokers.ibkr.fills import FillReader
from brokers.ibkr.portal.contracts import Contracts
from brokers.ibkr.portal.ledger import Ledger
from brokers.ibkr.portal.pace import Page
from brokers.ibkr.portal.parse import OrderRow, number, optional
from brokers.ibkr.portal.wire import Wire
from brokers.ibkr.trades import Entries, Holding, open_trades
from brokers.port import Account, BrokerTrade, RestingOrder

PAGE, PAGES = 100, 100
_FIGURES = ("netliquidation", "availablefunds", "initmarginreq")
ZERO = Decimal(0)


class Holdings:
    """Reads the portfolio pages of one account."""

    def __init__(self, wire: Wire, ledger: Ledger, entries: Entries, fills: FillReader, contracts: Contracts) -> None:
        self._wire = wire
        self._contracts = contracts
        self._ledger = ledger
        self._entries = entries
        self._fills = fills
        self._account = wire.config.account
        self._strange_ns: dict[str, int] = {}

    def prepare(self) -> None:
        """Ask for the list of accounts, without which the portal answers no other portfolio page. Raises Retry."""
        self._wire.ask("the portfolio's accounts", "/portfolio/accounts", page=Page.ACCOUNTS)

    def account(self) -> Account:
        """Return the account's figures: ``balance`` is what it is worth without the profit of what is open."""
        cursor = self._fills.now()
        currency = self._wire.config.currency
        equity, free, margin = self._wire.ask(
            "the account's figures",
            f"/portfolio/{self._account}/summary",
            lambda body: [_amount(body, n) for n in _FIGURES],
        )
        profit = self._wire.ask(
            "the profit of what is open", f"/portfolio/{self._account}/ledger", lambda body: _profit(body, currency)
        )
        return Account(
            account_id=self._account,
            currency=currency,
            balance=equity - profit,
            equity=equity,
            margin_used=margin,
            margin_available=max(free, ZERO),
            cursor=cursor,
        )

    def positions(self) -> list[Holding]:
        """Return what the account holds now: the portal's cache is emptied first. Raises Retry."""
        self._wire.ask("fresh positions", f"/portfolio/{self._account}/positions/invalidate", method="POST")
        found: dict[int, Holding] = {}
        for page in range(PAGES):
            rows, is_last = self._wire.ask("the positions", f"/portfolio/{self._account}/positions/{page}", _page)
            if is_last or rows.keys() <= found.keys():
                # A gateway that shows its last page again has shown everything.
                found |= rows
                break
            found |= rows
        held = {conid: one for conid, one in found.items() if one.quantity != 0}
        markets = self._contracts.markets((conid, one.market) for conid, one in held.items())
        return [replace(one, market=markets[conid]) for conid, one in held.items()]

    def trades(self) -> Sequence[BrokerTrade]:
        """Return every position as a trade, whole, with the stop that rests for it. Raises Retry."""
        holdings = self.positions()
        self._ledger.refresh_trades()
        self._look_for_owners(holdings)
        return open_trades(holdings, self._entries, self.resting(), self._wire.clock.now())

    def _look_for_owners(self, holdings: Sequence[Holding]) -> None:
        """Ask once more for the executions behind a position that is nobody's: they may be younger than the list."""
        now_ns = self._ledger.now_ns()
        strange = {one.market for one in holdings if self._entries.open_in(one.market, one.side) is None}
        self._strange_ns = {market: self._strange_ns.get(market, now_ns) for market in strange}
        if strange:
            self._ledger.read_trades(max(self._strange_ns.values()))

    def resting(self) -> Sequence[RestingOrder]:
        """Return every order that may still fill. Raises Retry."""
        self._ledger.refresh_orders()
        return [_resting(row) for row in self._ledger.rows() if row.is_live]


def _resting(row: OrderRow) -> RestingOrder:
    is_trailing = row.trailing_percent is not None or row.trailing_distance is not None
    return RestingOrder(
        client_order_id=row.reference,
        broker_order_id=row.order_id,
        market=row.market,
        side=row.side,
        quantity=row.remaining,
        trigger=row.stop,
        limit=row.limit,
        trailing_percent=row.trailing_percent if is_trailing else None,
        trailing_distance=row.trailing_distance if is_trailing else None,
        tif=row.tif,
        # Where a stop hands over to a limit, the order is told as working only once its stop was reached.
        triggered=row.kind in ("STOP_LIMIT", "TRAILLMT") and row.status == "Submitted",
    )


def _page(body: Any) -> tuple[dict[int, Holding], bool]:
    """Return contract number -> holding of the stocks of a page, and whether it is the last."""
    if not isinstance(body, list):
        raise TypeError(f"expected a list of positions, found {type(body).__name__}")
    most = int(body[0].get("pageSize") or PAGE) if body else PAGE
    stocks = [row for row in body if row.get("assetClass") in (None, "STK")]
    return {int(number(row["conid"])): _holding(row) for row in stocks}, len(body) < most


def _holding(row: Mapping[str, Any]) -> Holding:
    return Holding(
        market=str(row.get("ticker") or row.get("contractDesc") or ""),
        quantity=number(row["position"]),
        average_cost=number(row.get("avgCost") or row.get("avgPrice") or 0),
    )


def _amount(summary: Mapping[str, Any], name: str) -> Decimal:
    """Read a figure of the summary; one that is not there is an error, never a zero."""
    found = summary.get(name)
    if not isinstance(found, dict) or found.get("isNull") is True or found.get("amount") is None:
        raise ValueError(f"expected {name}, found none")
    return number(found["amount"])


def _profit(ledger: Mapping[str, Any], currency: str) -> Decimal:
    """Return the profit of what is open, in the account's currency."""
    return optional((ledger.get(currency) or ledger["BASE"]).get("unrealizedpnl")) or ZERO
