"""Market, event and series rows of either wire, read into domain values."""

from decimal import Decimal
from typing import Any

from brokers.kalshi.parse import ONE, ZERO, Json, moment, money, number, optional_moment, price, text
from brokers.kalshi.steps import CENT, steps_of
from domain.contract import Contract, ContractStatus
from domain.quotes import Instrument, Quote

# The most contracts of one order that a ticket ever needs; the venue itself names no limit.
MOST = Decimal(1_000_000)
# Words of the older wire -> today's.
_STATUSES = {"open": "active", "unopened": "initialized", "paused": "inactive", "settled": "finalized"}


def contract(row: Json, event: Json, series: Json) -> Contract:
    """Read a contract; a field that must be there and is not is an error."""
    fee_type, multiplier = _fees(event, series)
    return Contract(
        ticker=str(row["ticker"]),
        event=str(row["event_ticker"]),
        series=series_of(event, row),
        category=text(series, "category") or text(event, "category") or text(row, "category"),
        title=text(row, "title") or text(event, "title"),
        event_title=text(event, "title"),
        yes_sub_title=text(row, "yes_sub_title") or text(row, "subtitle"),
        no_sub_title=text(row, "no_sub_title"),
        rules_primary=text(row, "rules_primary"),
        rules_secondary=text(row, "rules_secondary"),
        strike_type=text(row, "strike_type") or "custom",
        floor_strike=_strike(row, "floor_strike"),
        cap_strike=_strike(row, "cap_strike"),
        open_at=moment(row["open_time"]),
        close_at=moment(row["close_time"]),
        expected_expiration_at=optional_moment(row.get("expected_expiration_time")),
        latest_expiration_at=moment(row.get("latest_expiration_time") or row["expiration_time"]),
        status=status(row),
        result=_result(row),
        value=_value(row),
        expiration_value=text(row, "expiration_value"),
        can_close_early=bool(row.get("can_close_early", False)),
        tick=steps_of(row).finest,
        fee_type=fee_type,
        fee_multiplier=multiplier,
        settlement_sources=_sources(series) or _sources(event),
    )


def instrument(ticker: str, step: Decimal) -> Instrument:
    """Return a contract as an instrument: it pays one dollar at most, and is paid for in full."""
    return Instrument(
        name=ticker,
        base=ticker,
        quote_currency="USD",
        tick=step,
        pip=CENT,
        quantity_step=ONE,
        quantity_min=ONE,
        quantity_max=MOST,
        margin_rate=ONE,
        payout=ONE,
    )


def series_of(event: Json, row: Json) -> str:
    """Return the series' ticker; where neither row names it, the part of the ticker before the first dash."""
    return text(event, "series_ticker") or text(row, "series_ticker") or str(row["ticker"]).partition("-")[0]


def status(row: Json) -> ContractStatus:
    word = str(row["status"])
    return ContractStatus(_STATUSES.get(word, word))


def book(row: Json) -> tuple[Decimal, Decimal] | None:
    """Return bid and ask of YES; None when either was not sent or cannot be a price.

    A side nobody stands on shows as a bid of 0 or an ask of 1. An ask of 0 is no price anybody meant.
    """
    bid, ask = price(row, "yes_bid"), price(row, "yes_ask")
    if bid is None or ask is None or ask <= 0 or bid >= 1 or bid > ask:
        return None
    return bid, ask


def quote(ticker: str, prices: tuple[Decimal, Decimal], **facts: Any) -> Quote:
    return Quote(market=ticker, bid=prices[0], ask=prices[1], home_rate=ONE, **facts)


def _fees(event: Json, series: Json) -> tuple[str, Decimal]:
    """Return fee type and multiplier: the event's own win over its series'."""
    kind = text(event, "fee_type_override") or text(series, "fee_type") or "quadratic"
    given = event.get("fee_multiplier_override")
    multiplier = series.get("fee_multiplier") if given is None else given
    return kind, ONE if multiplier is None else number(multiplier)


def _strike(row: Json, name: str) -> Decimal | None:
    value = row.get(name)
    return None if value is None else number(value)


def _result(row: Json) -> str:
    """Return yes, no or nothing; a market settled at some other value has no word of its own."""
    result = text(row, "result")
    return result if result in ("yes", "no") else ""


def _value(row: Json) -> Decimal | None:
    """Return what YES paid: what the row says, else what its result means."""
    told = money(row, "settlement_value")
    if told is not None:
        return told
    return {"yes": ONE, "no": ZERO}.get(text(row, "result"))


def _sources(row: Json) -> tuple[str, ...]:
    named = row.get("settlement_sources") or ()
    return tuple(text(one, "name") or text(one, "url") for one in named)
