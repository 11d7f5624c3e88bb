"""Trades as the venue holds them."""

from dataclasses import dataclass, field
from decimal import Decimal

from simulators.oanda.wire import Json

ZERO = Decimal(0)


@dataclass(slots=True)
class Trade:
    """One trade; units are signed, money is in home currency."""

    id: str
    instrument: str
    price: Decimal
    open_time: str
    initial_units: Decimal
    current_units: Decimal
    initial_margin: Decimal
    realized: Decimal = ZERO
    # sum of close price x closed units, for averageClosePrice
    closed_value: Decimal = ZERO
    closing_ids: list[str] = field(default_factory=list)
    close_time: str | None = None
    extensions: Json | None = None
    # order type -> id of the pending order that protects this trade
    dependents: dict[str, str] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        return self.current_units != 0

    @property
    def is_long(self) -> bool:
        return self.initial_units > 0

    @property
    def client_id(self) -> str | None:
        return (self.extensions or {}).get("id")

    def close(self, units: Decimal, price: Decimal, realized: Decimal, fill_id: str, time: str) -> None:
        """Take ``units`` (positive) off the trade."""
        self.current_units -= units if self.is_long else -units
        self.realized += realized
        self.closed_value += price * units
        self.closing_ids.append(fill_id)
        if not self.is_open:
            self.close_time = time
