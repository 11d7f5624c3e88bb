"""One poll of OANDA's prices, with the conversion rates of the same reply."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from brokers.oanda import parse, sdk
from brokers.oanda.parse import Price
from brokers.oanda.wire import Body, Wire


def poll(wire: Wire, markets: Iterable[str]) -> tuple[list[Price], Mapping[str, Decimal]]:
    """Return the prices of ``markets`` and currency -> home currency per unit, as far as OANDA sent them."""
    params = {"instruments": ",".join(sorted(markets)), "includeHomeConversions": "true"}
    return wire.read("pricing", lambda: sdk.pricing.PricingInfo(wire.config.account_id, params=params), _read)


def _read(body: Body) -> tuple[list[Price], Mapping[str, Decimal]]:
    prices = [price for row in body["prices"] if (price := parse.price(row)) is not None]
    factors = {price.market.partition("_")[2]: price.rate for price in prices if price.rate is not None}
    return prices, factors | parse.home_rates(body)
