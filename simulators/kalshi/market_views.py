"""Contracts, events and series as the wire shows them, with the fields of both wires."""

from datetime import datetime
from decimal import Decimal

from simulators.kalshi.book import Quotes
from simulators.kalshi.contract import Contract, Trade
from simulators.kalshi.listing import Series
from simulators.kalshi.orders import Side
from simulators.kalshi.venue import Venue
from simulators.kalshi.wire import Json, cents, dollars, fp, iso

_NONE = Decimal(0)
NOTE = "simulated market: quotes and volume are synthetic"
PRICE_RANGES = [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}]


def merged(wire: str, shared: Json, current: Json, older: Json) -> Json:
    """Put together the fields of one object.

    Args:
        wire: ``current``, ``older`` or ``both``.
        shared: fields both wires have.
        current: those only the current wire has.
        older: those only the older one has.
    """
    return {**shared, **(current if wire != "older" else {}), **(older if wire != "current" else {})}


def published(venue: Venue, contract: Contract, now: datetime) -> Quotes | None:
    """Return the synthetic quotes the venue shows, which a fault may hold back; None outside trading."""
    if venue.status(contract, now) not in ("active", "inactive"):
        return None
    quotes = contract.refresh(now)
    stale = venue.faults.market("stale_quotes", contract.ticker, now)
    if stale is not None and stale.begins < now:
        stale.bend(contract.ticker)
        return contract.quotes_at(stale.begins)
    return quotes


def levels(venue: Venue, contract: Contract, side: Side, now: datetime) -> list[tuple[Decimal, int]]:
    """Return the published price levels of a side of the YES book, best first; none outside trading."""
    quotes = published(venue, contract, now)
    return [] if quotes is None else contract.book.levels(side, quotes)


def market_view(venue: Venue, contract: Contract, now: datetime) -> Json:
    """Return a market."""
    bids, asks = levels(venue, contract, Side.BID, now), levels(venue, contract, Side.ASK, now)
    last = contract.last_trade(now)
    prices = {
        "yes_bid": bids[0][0] if bids else _NONE,
        "yes_ask": asks[0][0] if asks else Decimal(1),
        "last_price": _NONE if last is None else last.price,
        # a day ago is not looked up
        "previous_yes_bid": _NONE,
        "previous_yes_ask": _NONE,
        "previous_price": _NONE,
        "notional_value": Decimal(1),
        "liquidity": _NONE,
    }
    prices |= {"no_bid": 1 - prices["yes_ask"], "no_ask": 1 - prices["yes_bid"]}
    counts = {
        "volume": contract.volume(now),
        "volume_24h": contract.volume_24h(now),
        "open_interest": open_interest(venue, contract, now),
    }
    sizes = {"yes_bid_size": bids[0][1] if bids else 0, "yes_ask_size": asks[0][1] if asks else 0}
    shared = {**_terms(contract), "status": venue.status(contract, now), **_outcome(contract, now)}
    shared |= {f"{name}_dollars": dollars(price) for name, price in prices.items()}
    current = {f"{name}_fp": fp(count) for name, count in (counts | sizes).items()} | _current_terms(contract, now)
    older = {name: cents(price) for name, price in prices.items()} | counts | _older_terms(contract, now)
    return merged(venue.wire, shared, current, older)


def _terms(contract: Contract) -> Json:
    """Return what is agreed about a market, in fields both wires have."""
    listing, life = contract.listing, contract.life
    terms: Json = {
        "ticker": listing.ticker,
        "event_ticker": listing.event_ticker,
        "market_type": "binary",
        "title": listing.title,
        "subtitle": listing.yes_sub_title,
        "yes_sub_title": listing.yes_sub_title,
        "no_sub_title": listing.no_sub_title,
        "created_time": iso(life.created),
        "updated_time": iso(contract.updated),
        "open_time": iso(life.opens),
        "close_time": iso(life.closes),
        "expected_expiration_time": iso(listing.expected_expiration_time),
        "expiration_time": iso(listing.latest_expiration_time),
        "latest_expiration_time": iso(listing.latest_expiration_time),
        "settlement_timer_seconds": int((listing.settled_at - listing.determined_at).total_seconds()),
        "can_close_early": listing.can_close_early,
        "strike_type": listing.strike_type,
        "rules_primary": listing.rules_primary,
        "rules_secondary": listing.rules_secondary,
        "price_level_structure": "linear_cent",
        "price_ranges": PRICE_RANGES,
    }
    strikes = {"floor_strike": listing.floor_strike, "cap_strike": listing.cap_strike}
    return terms | {name: strike for name, strike in strikes.items() if strike is not None}


def _outcome(contract: Contract, now: datetime) -> Json:
    """Return what is public of a market's result."""
    result = contract.life.shown_result(now)
    if not result:
        return {"result": "", "expiration_value": ""}
    worth = dollars(Decimal(int(result == "yes")))
    return {"result": result, "expiration_value": contract.listing.expiration_value, "settlement_value_dollars": worth}


def _current_terms(contract: Contract, now: datetime) -> Json:
    terms: Json = {"fractional_trading_enabled": False, "is_provisional": False, "exchange_index": 0}
    return terms | {"settlement_ts": iso(contract.life.settled)} if now >= contract.life.settled else terms


def _older_terms(contract: Contract, now: datetime) -> Json:
    terms: Json = {
        "series_ticker": contract.listing.series_ticker,
        "category": contract.series.category,
        "response_price_units": "usd_cent",
        "risk_limit_cents": 0,
        "tick_size": 1,
    }
    result = contract.life.shown_result(now)
    return terms | {"settlement_value": 100 * int(result == "yes")} if result else terms


def open_interest(venue: Venue, contract: Contract, now: datetime) -> int:
    """Return contracts outstanding: those of accounts, and half of the synthetic volume."""
    printed = contract.volume(now) - sum(trade.count for trade in contract.trades)
    members = (*venue.accounts.values(), venue.clearing.synthetic)
    return printed // 2 + sum(max(account.held(contract.ticker), 0) for account in members)


def event_view(venue: Venue, event_ticker: str, now: datetime, *, nested: bool) -> Json:
    """Return an event, with its markets if asked for."""
    contracts = [contract for contract in venue.events[event_ticker] if contract.life.created <= now]
    first = contracts[0]
    shared: Json = {
        "event_ticker": event_ticker,
        "series_ticker": first.listing.series_ticker,
        "sub_title": first.listing.event_title,
        "title": first.listing.event_title,
        "collateral_return_type": "",
        "mutually_exclusive": first.listing.mutually_exclusive,
        "category": first.series.category,
        "strike_date": iso(first.listing.expected_expiration_time),
        "product_metadata": {},
    }
    current: Json = {
        "settlement_sources": _sources(first.series),
        "last_updated_ts": iso(max(contract.updated for contract in contracts)),
        "exchange_index": 0,
    }
    older: Json = {"available_on_brokers": True, "status": "settled" if _is_over(venue, contracts, now) else "open"}
    if nested:
        shared["markets"] = [market_view(venue, contract, now) for contract in contracts]
    return merged(venue.wire, shared, current, older)


def _is_over(venue: Venue, contracts: list[Contract], now: datetime) -> bool:
    return all(venue.status(contract, now) == "finalized" for contract in contracts)


def series_view(venue: Venue, series: Series) -> Json:
    """Return a series."""
    shared: Json = {
        "ticker": series.ticker,
        "frequency": series.frequency,
        "title": series.title,
        "category": series.category,
        "tags": [],
        "settlement_sources": _sources(series),
        "contract_url": "",
        "contract_terms_url": "",
        "product_metadata": {"note": NOTE},
        "fee_type": series.fee_type,
        "fee_multiplier": series.fee_multiplier,
        "additional_prohibitions": [],
    }
    return merged(venue.wire, shared, {"categories": [series.category], "exchange_index": 0}, {"status": "open"})


def _sources(series: Series) -> list[Json]:
    return [{"name": name, "url": url} for name, url in series.settlement_sources]


def orderbook_view(venue: Venue, contract: Contract, now: datetime, depth: int) -> Json:
    """Return a book: bids for YES and bids for NO, best last, ``depth`` best levels of each or all for 0."""
    yes = levels(venue, contract, Side.BID, now)
    no = [(1 - price, count) for price, count in levels(venue, contract, Side.ASK, now)]
    best = [list(reversed(side[: depth or None])) for side in (yes, no)]
    told = [[[dollars(price), fp(count)] for price, count in side] for side in best]
    current: Json = {"orderbook_fp": {"yes_dollars": told[0], "no_dollars": told[1]}}
    whole = [[[cents(price), count] for price, count in side] for side in best]
    older: Json = {
        "orderbook": {"yes": whole[0], "no": whole[1], "yes_dollars": told[0], "no_dollars": told[1]},
    }
    return merged(venue.wire, {}, current, older)


def trade_view(wire: str, trade: Trade) -> Json:
    """Return a public trade."""
    outcome = "yes" if trade.taker is Side.BID else "no"
    shared: Json = {
        "trade_id": trade.id,
        "ticker": trade.ticker,
        "yes_price_dollars": dollars(trade.price),
        "no_price_dollars": dollars(1 - trade.price),
        "taker_side": outcome,
        "created_time": iso(trade.time),
    }
    current: Json = {
        "count_fp": fp(trade.count),
        "taker_outcome_side": outcome,
        "taker_book_side": str(trade.taker),
        "is_block_trade": False,
    }
    older: Json = {
        "count": trade.count,
        "price": float(trade.price),
        "yes_price": cents(trade.price),
        "no_price": cents(1 - trade.price),
    }
    return merged(wire, shared, current, older)
