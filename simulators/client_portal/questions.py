"""Questions the gateway asks before it takes an order.

The wording is our own around the phrases clients look for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from simulators.client_portal.wire import plain
from simulators.ibkr.orders import Terms
from simulators.ibkr.quotes import Quote

PERCENT, MOST_SHARES, MOST_VALUE = Decimal(3), Decimal(500), Decimal(100_000)
STOPS = ("STP", "STP LMT", "TRAIL", "TRAIL LIMIT")

# message id -> what it says
TEXTS = {
    "o163": "The order's price exceeds the Percentage constraint of 3%. Are you sure you want to submit this order?",
    "o354": "You are submitting an order without market data. We strongly recommend against this as it may result in "
    "erroneous and unexpected trades. Are you sure you want to submit this order?",
    "o382": "The order exceeds the Tick Size Limit of 500. Are you sure you want to submit this order?",
    "o383": "The order's size exceeds the Size Limit of 500. Are you sure you want to submit this order?",
    "o403": "This order will most likely trigger and fill immediately. Are you sure you want to submit this order?",
    "o451": "The order's value exceeds the Total Value Limit of 100,000 USD. Are you sure you want to submit it?",
    "o10151": "A Market Order is an instruction to trade your order at any available price. Are you sure you want to "
    "submit this order?",
    "o10331": "You are about to submit a stop order. Please be aware of the various stop order types available and the "
    "risks associated with each one. Are you sure you want to submit this order?",
    "p12": "If your order is not immediately executable, our systems may, depending on market conditions, reject your "
    "order. Use the Price Management Algo?",
}


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to be confirmed."""

    message_id: str
    text: str


def question(message_id: str, text: str | None = None) -> Question:
    """Return a question; one that is not known says so."""
    return Question(message_id, text or TEXTS.get(message_id, f"This order needs another confirmation ({message_id})."))


def questions_about(orders: Sequence[tuple[Terms, Quote | None]]) -> list[Question]:
    """Return what is asked about orders sent together, each question once."""
    found: dict[str, Question] = {}
    for terms, quote in orders:
        for message_id in _raised(terms, quote):
            found.setdefault(message_id, question(message_id))
    return list(found.values())


def _raised(terms: Terms, quote: Quote | None) -> list[str]:
    market = None if quote is None else quote.ask if terms.side == "BUY" else quote.bid
    checks = {
        "o354": market is None,
        "o163": _is_far(terms, market),
        "o383": terms.quantity > MOST_SHARES,
        "o451": market is not None and terms.quantity * market > MOST_VALUE,
        "o403": terms.parent is None and _is_triggered(terms, market),
        "o10151": terms.kind == "MKT",
        "o10331": terms.kind in STOPS,
    }
    return [message_id for message_id, raised in checks.items() if raised]


def _is_far(terms: Terms, market: Decimal | None) -> bool:
    if terms.kind != "LMT" or terms.limit is None or not market:
        return False
    return abs(terms.limit - market) > market * PERCENT / 100


def _is_triggered(terms: Terms, market: Decimal | None) -> bool:
    if terms.kind not in ("STP", "STP LMT") or terms.stop is None or market is None:
        return False
    return market >= terms.stop if terms.side == "BUY" else market <= terms.stop


def asked(message_ids: Sequence[str], text: str | None = None) -> list[Question]:
    """Return questions a fault asks for."""
    return [question(message_id, text) for message_id in message_ids]


def described(terms: Terms, symbol: str = "") -> str:
    """Describe an order as lists do: ``Buy 1 SPY Limit 457.00, GTC``."""
    words = [terms.side.title(), plain(terms.quantity), symbol, _pricing(terms)]
    return f"{' '.join(word for word in words if word)}, {'Day' if terms.tif == 'DAY' else 'GTC'}"


def _pricing(terms: Terms) -> str:
    trail = f"{terms.trail_percent:f}%" if terms.trail_percent is not None else f"{terms.trail_amount or 0:f}"
    match terms.kind:
        case "LMT":
            return f"Limit {terms.limit:.2f}"
        case "STP":
            return f"Stop {terms.stop:.2f}"
        case "STP LMT":
            return f"Stop Limit {terms.limit:.2f}, Stop {terms.stop:.2f}"
        case "TRAIL":
            return f"Trail {trail}"
        case "TRAIL LIMIT":
            return f"Trail Limit {trail}"
    return "Market"
