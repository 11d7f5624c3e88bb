"""Orders as the venue holds them."""

from dataclasses import dataclass, field
from decimal import Decimal

from simulators.oanda.sessions import NEW_YORK, day_bounds
from simulators.oanda.wire import Json, decimal_or_none, parse_time, to_points

ENTRY_TYPES = ("MARKET", "LIMIT", "STOP", "MARKET_IF_TOUCHED")
# order type -> the key under which a trade and a request name it
DEPENDENT_KEYS = {"TAKE_PROFIT": "takeProfit", "STOP_LOSS": "stopLoss", "TRAILING_STOP_LOSS": "trailingStopLoss"}


@dataclass(slots=True)
class Order:
    """One order: ``wire`` is what a client reads, the rest is derived from it for matching.

    ``units`` of a dependent order are those that would close its trade, so its sign is the side it trades.
    """

    wire: Json
    instrument: str
    units: Decimal
    level: int | None = None
    distance: int | None = None
    bound: int | None = None
    expires: int | None = None
    rising: bool = False
    lost_legs: tuple[str, ...] = field(default=())
    # wall-clock time before which GET pretends the order does not exist
    hidden_until: float = 0.0

    @property
    def id(self) -> str:
        return str(self.wire["id"])

    @property
    def type(self) -> str:
        return str(self.wire["type"])

    @property
    def is_pending(self) -> bool:
        return bool(self.wire["state"] == "PENDING")

    @property
    def is_buy(self) -> bool:
        return self.units > 0

    @property
    def trade_id(self) -> str | None:
        """Return the trade a dependent order protects."""
        return self.wire.get("tradeID")

    @property
    def client_id(self) -> str | None:
        return (self.wire.get("clientExtensions") or {}).get("id")

    def trail_to(self, level: int, text: str) -> None:
        """Move a trailing stop."""
        self.level = level
        self.wire["trailingStopValue"] = text


def order_from_wire(wire: Json, instrument: str, units: Decimal) -> Order:
    """Return the order whose derived fields follow from what a client reads."""
    return Order(
        wire=wire,
        instrument=instrument,
        units=units,
        level=_points(wire.get("trailingStopValue") or wire.get("price")),
        distance=_points(wire.get("distance")) if wire["type"] == "TRAILING_STOP_LOSS" else None,
        bound=_points(wire.get("priceBound")),
        expires=_expiry(wire),
    )


def _expiry(wire: Json) -> int | None:
    if wire.get("timeInForce") == "GFD":
        return day_bounds(parse_time(wire["createTime"]), 17, NEW_YORK)[1]
    gtd = wire.get("gtdTime")
    return None if gtd is None else parse_time(gtd)


def _points(value: object) -> int | None:
    number = decimal_or_none(value)
    return None if number is None else to_points(number)
