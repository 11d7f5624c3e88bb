"""What the broker refuses, with its codes."""

from decimal import Decimal

from simulators.ibkr.accounts import Account
from simulators.ibkr.contracts import Contract
from simulators.ibkr.orders import ZERO, Rejected, Terms
from simulators.ibkr.triggers import TRAILS

_NEEDED = {"LMT": ("limit",), "STP": ("stop",), "STP LMT": ("stop", "limit")}
# Regulation T: half of a purchase, a quarter to keep it
INITIAL, MAINTENANCE = Decimal("0.5"), Decimal("0.25")


def check_terms(terms: Terms, contract: Contract | None, account: Account | None) -> None:
    """Refuse terms that are wrong whatever the account holds.

    Raises:
        Rejected: 200, 321, 434, 10243, 110 or 201.
    """
    if contract is None:
        raise Rejected(200, "No security definition has been found for the request")
    if account is None:
        raise Rejected(321, "Error validating request: The account code is required for this operation.")
    if terms.quantity <= 0:
        raise Rejected(434, "The order size cannot be zero.")
    if terms.quantity % 1 and not (account.spec.fractional and contract.fractional):
        raise Rejected(
            10243, "Fractional-sized order cannot be placed via API. Please use desktop version to place this order."
        )
    _check_prices(terms, contract)


def _check_prices(terms: Terms, contract: Contract) -> None:
    for name in _NEEDED.get(terms.kind, ()):
        if getattr(terms, name) is None:
            raise Rejected(201, f"Order rejected - reason:You must enter a valid price for a {terms.kind} order.")
    if terms.kind in TRAILS and terms.trail_amount is None and terms.trail_percent is None:
        raise Rejected(201, "Order rejected - reason:You must specify a valid trailing amount or percent.")
    for value in (terms.limit, terms.stop, terms.trail_stop):
        if value is not None and (value <= 0 or value % contract.min_tick):
            raise Rejected(110, "The price does not conform to the minimum price variation for this contract.")


def check_means(terms: Terms, account: Account, price: Decimal, free: Decimal) -> None:
    """Refuse what the account cannot pay for or does not hold; the parent of a bracket answers for its children.

    Args:
        price: what a share may cost.
        free: money that is neither spent nor promised to other orders.

    Raises:
        Rejected: 201.
    """
    if terms.parent is not None:
        return
    held = account.held(terms.conid)
    if terms.side == "SELL" and account.is_cash and terms.quantity > max(held, ZERO):
        raise Rejected(
            201,
            "Order rejected - reason:The contract is not available for short sale in a cash account "
            f"(order {terms.quantity}, position {held}).",
        )
    opening = opened_by(terms, held)
    needed = opening * price * (1 if account.is_cash else INITIAL)
    if needed > free:
        raise Rejected(
            201,
            "Order rejected - reason:YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR EQUITY "
            f"WITH LOAN VALUE [{free:.2f} USD] MUST EXCEED THE INITIAL MARGIN [{needed:.2f} USD]",
        )


def opened_by(terms: Terms, held: Decimal) -> Decimal:
    """Return how many shares of an order do not close what is held."""
    signed = terms.quantity if terms.side == "BUY" else -terms.quantity
    closes = min(abs(held), terms.quantity) if held * signed < 0 else ZERO
    return terms.quantity - closes
