"""Executions, read from ORDER_FILL transactions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from brokers.oanda.book import TradeBook
from brokers.oanda.parse import Json, moment, number, side_of
from brokers.port import Fill
from domain.ids import signal_of_order
from domain.vocabulary import ExitReason

CLOSED_BY_REQUEST = "MARKET_ORDER_TRADE_CLOSE"
# ORDER_FILL reason -> what ended the trade. Source: OANDA v20 definitions, OrderFillReason.
REASONS: Mapping[str, ExitReason] = {
    "STOP_LOSS_ORDER": ExitReason.STOP_LOSS,
    "GUARANTEED_STOP_LOSS_ORDER": ExitReason.STOP_LOSS,
    "TAKE_PROFIT_ORDER": ExitReason.TAKE_PROFIT,
    "TRAILING_STOP_LOSS_ORDER": ExitReason.TRAILING_STOP,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one fill did to one trade; ``units`` are signed as the execution was."""

    trade_id: str
    units: Decimal
    price: Decimal
    realised: Decimal
    closes: bool


def parts(fill: Json) -> list[Part]:
    """Split an ORDER_FILL by trade: it may open one, reduce one and close several."""
    reductions = [*(fill.get("tradesClosed") or []), *filter(None, [fill.get("tradeReduced")])]
    found = [_part(fill, reduction, closes=True) for reduction in reductions]
    if fill.get("tradeOpened"):
        found.append(_part(fill, fill["tradeOpened"], closes=False))
    return found


def _part(fill: Json, trade: Json, *, closes: bool) -> Part:
    """Read one part; profit includes the financing that OANDA books with it."""
    direction = 1 if number(fill["units"]) > 0 else -1
    realised = number(trade.get("realizedPL") or 0) + number(trade.get("financing") or 0) if closes else Decimal(0)
    return Part(
        trade_id=trade["tradeID"],
        units=abs(number(trade["units"])) * direction,
        price=number(trade.get("price") or fill["price"]),
        realised=realised,
        closes=closes,
    )


def fee(fill: Json) -> Decimal:
    return number(fill.get("commission") or 0) + number(fill.get("guaranteedExecutionFee") or 0)


def fills(transaction: Json, book: TradeBook, currency: str) -> Iterator[Fill]:
    """Yield the executions of an ORDER_FILL; nothing for any other transaction.

    The fee stands on the first. Where a fill touched several trades, the second and later are keyed ``id:trade``, so
    that no two executions share a key.
    """
    if transaction["type"] != "ORDER_FILL":
        return
    for index, part in enumerate(parts(transaction)):
        if not part.closes:
            book.opened(part.trade_id, _opener(transaction), transaction["instrument"], side_of(part.units))
        client_id = _client_order(transaction, part, book)
        yield Fill(
            transaction_id=transaction["id"] if index == 0 else f"{transaction['id']}:{part.trade_id}",
            trade_id=part.trade_id,
            client_order_id=client_id,
            opened_by=book.opened_by(part.trade_id),
            market=transaction["instrument"],
            side=side_of(part.units),
            quantity=abs(part.units),
            price=part.price,
            realised=part.realised,
            fee=fee(transaction) if index == 0 else Decimal(0),
            currency=currency,
            closes=part.closes,
            reason=_reason(transaction, client_id) if part.closes else None,
            happened_at=moment(transaction["time"]),
        )


def _client_order(fill: Json, part: Part, book: TradeBook) -> str | None:
    if fill["reason"] == CLOSED_BY_REQUEST:
        return book.exit_order(fill["orderID"], part.trade_id)
    client_id: str | None = fill.get("clientOrderID")
    return client_id


def _opener(fill: Json) -> str | None:
    extensions = fill["tradeOpened"].get("clientExtensions") or {}
    return extensions.get("id") or fill.get("clientOrderID")


def _reason(fill: Json, client_id: str | None) -> ExitReason | None:
    """Name what closed the trade; None for an order of ours, whose reason our own journal holds."""
    if fill["reason"] in REASONS:
        return REASONS[fill["reason"]]
    return None if client_id and signal_of_order(client_id) else ExitReason.BROKER
