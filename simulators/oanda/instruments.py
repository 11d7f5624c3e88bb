"""Currency pairs the venue lists, with their wire properties."""

from dataclasses import dataclass
from decimal import Decimal

from simulators.oanda.wire import Json

# the two percent floor of US retail rules holds for all eight pairs; a live account may be asked for more
MARGIN_RATE = Decimal("0.02")
MAXIMUM_ORDER_UNITS = Decimal(100_000_000)


@dataclass(frozen=True, slots=True)
class Instrument:
    """One pair: ``name`` is BASE_QUOTE, ``precision`` the decimals of a price."""

    name: str
    precision: int = 5

    @property
    def base(self) -> str:
        return self.name.partition("_")[0]

    @property
    def quote(self) -> str:
        return self.name.partition("_")[2]

    @property
    def pip_location(self) -> int:
        return 1 - self.precision

    @property
    def minimum_trailing_distance(self) -> Decimal:
        """Five pips."""
        return Decimal(5).scaleb(self.pip_location)

    @property
    def maximum_trailing_distance(self) -> Decimal:
        """Ten thousand pips."""
        return Decimal(10_000).scaleb(self.pip_location)

    def wire(self) -> Json:
        """Return the object listed by ``/instruments``."""
        step = Decimal(1).scaleb(-self.precision)
        return {
            "name": self.name,
            "type": "CURRENCY",
            "displayName": self.name.replace("_", "/"),
            "pipLocation": self.pip_location,
            "displayPrecision": self.precision,
            "tradeUnitsPrecision": 0,
            "minimumTradeSize": "1",
            "maximumTrailingStopDistance": str(self.maximum_trailing_distance.quantize(step)),
            "minimumTrailingStopDistance": str(self.minimum_trailing_distance.quantize(step)),
            "maximumPositionSize": "0",
            "maximumOrderUnits": str(MAXIMUM_ORDER_UNITS),
            "marginRate": str(MARGIN_RATE),
        }


INSTRUMENTS = {
    item.name: item
    for item in (
        Instrument("EUR_USD"),
        Instrument("GBP_USD"),
        Instrument("USD_JPY", precision=3),
        Instrument("USD_CHF"),
        Instrument("AUD_USD"),
        Instrument("USD_CAD"),
        Instrument("NZD_USD"),
        Instrument("EUR_GBP"),
    )
}
