"""Current prices and candles."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from simulators.oanda.call import Call
from simulators.oanda.candles import MAXIMUM_COUNT, CandleQuery, candles
from simulators.oanda.granularity import LENGTHS, WEEKDAYS, Alignment
from simulators.oanda.instruments import INSTRUMENTS, Instrument
from simulators.oanda.wire import Json, factor, invalid_value, parse_time, rfc3339


def prices(call: Call) -> tuple[int, Json]:
    """Return current prices, or those newer than ``since``; instruments never quoted are absent."""
    listed, since = call.instruments(), call.moment("since")
    found = []
    for instrument in listed:
        price = call.venue.market.client_price(instrument, call.account.currency, call.now)
        if price is not None and (since is None or parse_time(price["time"]) > since):
            found.append(price)
    body: Json = {"prices": found, "time": rfc3339(call.now)}
    if call.flag("includeHomeConversions", False):
        body["homeConversions"] = _conversions(call, listed)
    return 200, body


def _conversions(call: Call, listed: list[Instrument]) -> list[Json]:
    currencies = dict.fromkeys(name for instrument in listed for name in (instrument.base, instrument.quote))
    found = []
    for currency in currencies:
        factors = call.venue.market.factors(currency, call.account.currency, call.now)
        if factors is not None:
            gain, loss, value = factor(factors.gain), factor(factors.loss), factor(factors.middle)
            found.append({"currency": currency, "accountGain": gain, "accountLoss": loss, "positionValue": value})
    return found


def account_candles(call: Call) -> tuple[int, Json]:
    """Return candles to the owner of an account."""
    _ = call.account
    return instrument_candles(call)


def instrument_candles(call: Call) -> tuple[int, Json]:
    """Return candles."""
    query = _candle_query(call)
    found = candles(call.venue.market.tape, query, call.now)
    if len(found) > MAXIMUM_COUNT:
        raise invalid_value("count", f"Maximum value is {MAXIMUM_COUNT}")
    return 200, {"instrument": query.instrument.name, "granularity": query.granularity, "candles": found}


def _candle_query(call: Call) -> CandleQuery:
    instrument = INSTRUMENTS.get(call.params["instrument"])
    if instrument is None:
        raise invalid_value("instrument")
    granularity = call.query.get("granularity", "S5")
    if granularity not in LENGTHS:
        raise invalid_value("granularity", f"Expected one of {', '.join(LENGTHS)}")
    sides = call.query.get("price", "M")
    if not sides or set(sides) - set("MBA") or len(set(sides)) != len(sides):
        raise invalid_value("price")
    start, end, count = _range(call)
    return CandleQuery(
        instrument=instrument,
        granularity=granularity,
        price=sides,
        count=count,
        start=start,
        end=end,
        include_first=call.flag("includeFirst", True),
        alignment=_alignment(call),
    )


def _range(call: Call) -> tuple[int | None, int | None, int | None]:
    start, end = call.moment("from"), call.moment("to")
    for name, moment in (("from", start), ("to", end)):
        if moment is not None and moment > call.now:
            raise invalid_value(name, "Time is in the future")
        if moment is not None and moment < 0:
            raise invalid_value(name)
    if start is not None and end is not None:
        if "count" in call.query:
            raise invalid_value("count", "It cannot be given together with both 'from' and 'to'")
        if start >= end:
            raise invalid_value("to", "It must be later than 'from'")
    count = call.integer("count", 0, 1, MAXIMUM_COUNT) or None
    if start is not None and end is None and count is None:
        # without an end the reply is one default page
        count = 500
    return start, end, count


def _alignment(call: Call) -> Alignment:
    hour = call.integer("dailyAlignment", 17, 0, 23)
    zone_name = call.query.get("alignmentTimezone", "America/New_York")
    try:
        zone = ZoneInfo(zone_name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise invalid_value("alignmentTimezone") from exc
    weekday = call.query.get("weeklyAlignment", "Friday")
    if weekday not in WEEKDAYS:
        raise invalid_value("weeklyAlignment")
    return Alignment(hour, zone, WEEKDAYS.index(weekday))
