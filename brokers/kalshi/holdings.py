"""What the account is worth, and which of our trades its positions are made of."""

from collections.abc import Sequence
from decimal import Decimal

from brokers.kalshi.history import Histories
from brokers.kalshi.lots import CURRENCY, Lot, covered, held
from brokers.kalshi.parse import ONE, ZERO, money, number
from brokers.kalshi.records import PositionRow
from brokers.kalshi.wire import Body, Wire
from brokers.port import Account, BrokerTrade
from domain.errors import Retry
from domain.vocabulary import Side

# What nobody's executions explain is named after its market.
UNEXPLAINED = "unexplained:"


class Holdings:
    """Compares the venue's positions with the trades that executions add up to.

    The venue shows the two at slightly different times. While they differ nothing is said, for as long as an order may
    be late; what still differs then is shown as it is.
    """

    def __init__(self, wire: Wire, histories: Histories) -> None:
        self._wire = wire
        self._histories = histories
        self._differ_ns: dict[str, int] = {}

    def account(self, cursor: str) -> Account:
        """Return the account's figures: what a position was bought for counts as balance until it ends."""
        cash, value = self._wire.read("the balance", "/portfolio/balance", _balance)
        cost = sum((row.cost for row in self._histories.positions()), ZERO)
        return Account(
            account_id=self._wire.config.account,
            currency=CURRENCY,
            balance=cash + cost,
            equity=cash + (cost if value is None else value),
            margin_used=cost,
            margin_available=cash,
            cursor=cursor,
        )

    def trades(self) -> Sequence[BrokerTrade]:
        """Return every position, taken apart into trades. Raises Retry while positions and executions differ."""
        found: list[BrokerTrade] = []
        # A sum alone does not show that one trade ended and another of its size began.
        self._histories.catch_up()
        for row in self._histories.positions():
            lots = self._explained(row)
            found += covered(lots, row.quantity)
            rest = row.quantity - held(lots)
            if rest * row.quantity > 0:
                found.append(_unexplained(row, rest))
        return sorted(found, key=lambda trade: (trade.opened_at, trade.trade_id))

    def _explained(self, row: PositionRow) -> list[Lot]:
        for fresh, deep in ((False, False), (True, False), (True, True)):
            lots = list(self._histories.ledger(row.ticker, fresh=fresh, deep=deep).lots.values())
            if held(lots) == row.quantity:
                self._differ_ns.pop(row.ticker, None)
                return lots
        self._wait(row, held(lots))
        return lots

    def _wait(self, row: PositionRow, expected: Decimal) -> None:
        """Raise Retry while the difference may be that of two views of one moment."""
        now_ns = self._wire.clock.monotonic_ns()
        elapsed_s = (now_ns - self._differ_ns.setdefault(row.ticker, now_ns)) / 1e9
        if elapsed_s < self._wire.config.fresh_order_grace_s:
            raise Retry(
                f"executions of {row.ticker} that add up to its position of {row.quantity}", str(expected), "ask again"
            )


def _unexplained(row: PositionRow, quantity: Decimal) -> BrokerTrade:
    side = Side.BUY if quantity > 0 else Side.SELL
    each = row.cost / abs(row.quantity)
    lot = Lot(
        trade_id=f"{UNEXPLAINED}{row.ticker}",
        client_order_id=None,
        ticker=row.ticker,
        side=side,
        quantity=abs(quantity),
        basis=(each if side is Side.BUY else ONE - each) * abs(quantity),
        opened_at=row.updated_at,
    )
    return lot.trade()


def _balance(body: Body) -> tuple[Decimal, Decimal | None]:
    """Return cash and the value of what is held; the older wire has both in cents."""
    cash = money(body, "balance")
    if cash is None:
        raise ValueError("expected balance_dollars or balance, found neither")
    value = body.get("portfolio_value")
    return cash, None if value is None else number(value) / 100
