"""What an account is worth."""

from datetime import time
from decimal import Decimal

from simulators.ibkr.accounts import Account
from simulators.ibkr.checks import INITIAL, MAINTENANCE, opened_by
from simulators.ibkr.clock import local_date
from simulators.ibkr.contracts import BY_CONID
from simulators.ibkr.desk import Desk
from simulators.ibkr.fees import commission_total
from simulators.ibkr.orders import ZERO, Margins, Terms
from simulators.ibkr.pricing import mark
from simulators.ibkr.sessions import local_ms


def values_of(desk: Desk, account: Account, now: int) -> dict[str, Decimal]:
    """Return tag -> value in dollars; a cash account must cover its stock in full."""
    stock = gross = unrealised = ZERO
    for conid, book in account.books.items():
        price = mark(desk.tape, BY_CONID[conid].symbol, now)
        stock += book.quantity * price
        gross += abs(book.quantity) * price
        unrealised += book.quantity * (price - book.average)
    equity = account.cash + stock
    initial, maintenance = (gross, gross) if account.is_cash else (gross * INITIAL, gross * MAINTENANCE)
    free = equity - initial
    available = free - desk.promised(account)
    return {
        "TotalCashValue": account.cash,
        "SettledCash": account.cash,
        "CashBalance": account.cash,
        "AccruedCash": ZERO,
        "NetLiquidation": equity,
        "EquityWithLoanValue": equity,
        "AvailableFunds": available,
        "BuyingPower": available if account.is_cash else available / INITIAL,
        "ExcessLiquidity": equity - maintenance,
        "GrossPositionValue": gross,
        "StockMarketValue": stock,
        "InitMarginReq": initial,
        "MaintMarginReq": maintenance,
        "RealizedPnL": account.realised_since(local_ms(local_date(now), time(0))),
        "UnrealizedPnL": unrealised,
    }


def margins_of(desk: Desk, terms: Terms, now: int) -> Margins:
    """Return what an order would do to its account; raise Rejected as if it were placed."""
    account = desk.check(terms, now)
    price = desk.price_of(terms, now)
    before = values_of(desk, account, now)
    fee = commission_total(terms.quantity, terms.quantity * price)
    opening = opened_by(terms, account.held(terms.conid))
    # what opens adds to the requirement, what closes takes away
    more = (2 * opening - terms.quantity) * price
    initial, maintenance = (Decimal(1), Decimal(1)) if account.is_cash else (INITIAL, MAINTENANCE)
    return Margins(
        initial_before=before["InitMarginReq"],
        maintenance_before=before["MaintMarginReq"],
        equity_before=before["EquityWithLoanValue"],
        initial_after=max(before["InitMarginReq"] + more * initial, ZERO),
        maintenance_after=max(before["MaintMarginReq"] + more * maintenance, ZERO),
        equity_after=before["EquityWithLoanValue"] - fee,
        commission=fee,
    )
