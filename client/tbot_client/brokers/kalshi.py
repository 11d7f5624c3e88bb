"""Kalshi: event contracts, over its current wire (orders on the YES book, prices in dollars).

A signal's market is a contract's ticker. A buy buys YES; a sell sells YES, which is buying NO at what YES lacks to 1.
Orders are taken at once or not at all (immediate or cancel) and nothing rests: a position ends when we leave it, or
when the venue settles it. What happened is believed from the venue's lists alone, and kept in `kalshi_ledger`.

An account holds one net number for each contract, also of what its owner traded by hand; ours is told apart by the
ids of our orders. An entry against something that is held already is refused, because the venue would close that.
"""

import re
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from tbot_client.book import say
from tbot_client.brokers import kalshi_parse as parse
from tbot_client.brokers.kalshi_ledger import CURRENCY, Held, Ledger
from tbot_client.brokers.kalshi_parse import Fill, Market, OwnOrder, Settlement
from tbot_client.brokers.kalshi_sign import Signer
from tbot_client.brokers.kalshi_wire import NOT_FOUND, Json, KalshiWire
from tbot_client.brokers.port import Account, Event, Instrument, Levels, Order, Position, Quote, Reduced
from tbot_client.clock import Clock
from tbot_client.config import Broker as Settings
from tbot_client.errors import Ask, Refused, Retry

ENTRY, EXIT = "-entry-", "-exit-"
# An order may be listed some time after it was taken in, by the venue's time.
LATE = timedelta(hours=1)
# So long, in real seconds, nothing is believed absent: an order that was sent, or a position that is not listed.
GRACE_S = 10.0
# A signal's market becomes part of an address: nothing that could lead to another one.
TICKER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
MOST_UNITS = Decimal(1_000_000)
ZERO = Decimal(0)


class KalshiBroker:
    """One account by one API key, used by one thread.

    Args:
        path: the ledger's file.
        grace_s: real seconds that the venue's lists may lag behind its answers.
    """

    def __init__(self, settings: Settings, path: Path, clock: Clock, *, grace_s: float = GRACE_S) -> None:
        self._wire = KalshiWire(settings.api_url, Signer(settings.account_id, settings.token))
        self._ledger = Ledger(path, clock.now)
        self._grace_s = grace_s
        self._markets: dict[str, Instrument] = {}
        self._taken: dict[str, str] = {}
        self._asked_since: dict[str, float] = {}
        self._short_since: dict[str, float] = {}
        self._missing: dict[str, Decimal] = {}
        self._is_behind = False
        self._is_read = False

    def shut(self) -> None:
        self._wire.close()
        self._ledger.close()

    def account(self) -> Account:
        if not self._is_read:
            self._sync()
        balance = self._wire.get("/portfolio/balance")
        return parse.read("a balance", self._account, balance)

    def _account(self, balance: Json) -> Account:
        cash = balance.get("balance_dollars")
        available = parse.number(balance["balance"]) / 100 if cash is None else parse.money(cash)
        equity = available + parse.number(balance["portfolio_value"]) / 100
        return Account(currency=CURRENCY, equity=equity, last_id=self._ledger.last_id, cash=available)

    def instrument(self, name: str) -> Instrument | None:
        if name not in self._markets:
            market = self._market(name)
            if market is None or not market.is_binary:
                return None
            self._markets[name] = _instrument(market)
        return self._markets[name]

    def quote(self, instrument: str, reference: Decimal) -> Quote | None:
        market = self._market(instrument)
        if market is None:
            return None
        is_open = market.status == parse.ACTIVE and self._is_trading()
        return Quote(bid=market.bid, ask=market.ask, tradeable=is_open, home_rate=Decimal(1))

    def place(self, order: Order) -> list[Event]:
        """Buy, or sell, what is there up to the worst price; the rest of the order ends at once."""
        if done := self._ledger.of(order.client_id):
            return done
        market = self._market(order.instrument)
        if market is None:
            raise Refused("UNKNOWN_MARKET", "a contract Kalshi lists", order.instrument, "not sent")
        held = self._nets(order.instrument).get(order.instrument, ZERO)
        if held * (1 if order.side == "buy" else -1) < 0:
            todo = "not sent: the venue would close that instead"
            raise Refused("OPPOSITE_POSITION", "no contracts of the other outcome", f"{held:f} held", todo)
        limit = market.limit(order.side, order.reference if order.worst is None else order.worst)
        self._asked_since.pop(order.client_id, None)
        self._send(order.instrument, order.client_id, order.side, order.units, limit)
        self._sync_after()
        return self._ledger.of(order.client_id)

    def find(self, client_id: str) -> list[Event]:
        self._sync()
        if done := self._ledger.of(client_id):
            return done
        since = self._asked_since.setdefault(client_id, time.monotonic())
        if client_id in self._taken or time.monotonic() - since < self._grace_s:
            raise Ask("the order in Kalshi's lists", "nothing yet", "they may lag behind; asking again")
        return []

    def is_taken(self, client_id: str) -> bool:
        return False  # `find` asks on by itself about one that was taken in

    def protect(self, trade_id: str, instrument: str, levels: Levels) -> None:
        say(f"{instrument}: Kalshi keeps no stop or target; what the contract cost is all it can lose")

    def close(self, trade_id: str, reference: Decimal | None) -> list[Event]:
        """Leave a position at whatever is bid for it now; what nobody takes is left to the next attempt."""
        self._sync()
        held = self._ledger.held.get(trade_id)
        if held is None:
            raise Refused("TRADE_DOESNT_EXIST", "an open position", trade_id, "nothing to do")
        market = _trading(self._market(held.market), held)
        side, worst = ("sell", ZERO) if held.side == "buy" else ("buy", Decimal(1))
        client_id = f"{_stem(held.client_id)}{EXIT}{held.exits + 1}"
        units = held.left - self._missing.get(trade_id, ZERO)
        if units <= 0:
            raise Refused("TRADE_DOESNT_EXIST", "an open position", f"none of {held.market}", "nothing to do")
        self._send(held.market, client_id, side, units, market.limit(side, worst), is_exit=True)
        before = self._ledger.count
        self._sync_after()
        events = self._ledger.since_count(before)
        return [event for event in events if isinstance(event, Reduced) and event.trade_id == trade_id]

    def since(self, last_id: str) -> tuple[list[Event], str]:
        self._sync()
        return self._ledger.after(last_id), self._ledger.last_id

    def is_behind(self) -> bool:
        return self._is_behind

    def positions(self) -> list[Position]:
        self._sync()
        return [
            _position(held, left)
            for held in self._ledger.held.values()
            if (left := held.left - self._missing.get(held.trade_id, ZERO)) > 0
        ]

    def _send(
        self, ticker: str, client_id: str, side: str, units: Decimal, price: Decimal, *, is_exit: bool = False
    ) -> None:
        body = {
            "ticker": ticker,
            "client_order_id": client_id,
            "side": "bid" if side == "buy" else "ask",
            "count": f"{units:.2f}",
            "price": f"{price:.4f}",
            "time_in_force": "immediate_or_cancel",
            "self_trade_prevention_type": "taker_at_cross",
        }
        # An exit that could go past what is held would open the other outcome.
        answer = self._wire.post("/portfolio/events/orders", body | ({"reduce_only": True} if is_exit else {}))
        order_id = answer.get("order_id")
        if not isinstance(order_id, str) or not order_id:
            raise Ask("an answer with the order's id", "one without", "asking what happened")
        self._taken[client_id] = order_id

    def _sync_after(self) -> None:
        """Read what an order led to; trouble with that says nothing about the order, which was taken in."""
        try:
            self._sync()
        except Retry as error:
            raise Ask(error.expected, error.found, "the order was taken in; asking what came of it") from error

    def _sync(self) -> None:
        """Take in what the venue's lists have that the ledger has not."""
        self._is_behind = False
        for order in self._listed():
            if order.order_id not in self._ledger.orders:
                self._take(order)
        self._is_behind = self._is_behind or bool(self._taken)
        self._missing = {}
        if self._ledger.held:
            nets = self._nets()
            for ticker in sorted({held.market for held in self._ledger.held.values()}):
                self._compare(ticker, nets.get(ticker, ZERO))
        self._is_read = True

    def _listed(self) -> list[OwnOrder]:
        newest = self._ledger.newest
        since = None if newest is None else int((newest - LATE).timestamp())
        entries = [
            entry
            for entry in self._wire.pages("/portfolio/orders", "orders", min_ts=since)
            if str(entry.get("client_order_id") or "").startswith(parse.OURS)
        ]
        orders = [parse.read("an order", parse.own_order, entry) for entry in entries]
        return sorted(orders, key=lambda order: (order.at, ENTRY not in order.client_id))

    def _take(self, order: OwnOrder) -> None:
        """Note an order of ours once all of it is listed."""
        listed = self._fills(order_id=order.order_id) if order.filled else []
        if not order.is_final or sum((fill.units for fill in listed), ZERO) < order.filled:
            self._is_behind = True
            return
        fills = [fill for fill in listed if fill.fill_id not in self._ledger.fills]
        if ENTRY in order.client_id:
            self._ledger.opened(order, fills) if fills else self._ledger.unfilled(order)
        else:
            self._take_exit(order, fills)
        self._taken.pop(order.client_id, None)
        self._asked_since.pop(order.client_id, None)

    def _take_exit(self, order: OwnOrder, fills: list[Fill]) -> None:
        stem = _stem(order.client_id)
        held = next((one for one in self._ledger.held.values() if _stem(one.client_id) == stem), None)
        if held is None:
            return self._ledger.known(order)
        self._ledger.exited(held, order, fills)

    def _fills(self, **query: str) -> list[Fill]:
        entries = self._wire.pages("/portfolio/fills", "fills", **query)
        return [parse.read("a fill", parse.fill, entry) for entry in entries]

    def _compare(self, ticker: str, net: Decimal) -> None:
        """Explain what of ours the venue does not hold any more: settled, or left by orders that are not ours."""
        ours = [held for held in self._ledger.held.values() if held.market == ticker]
        sign = ours[0].sign
        short = sum((held.left for held in ours), ZERO) - max(net * sign, ZERO)
        if short <= 0:
            self._short_since.pop(ticker, None)
            return
        settlement = self._settlement(ticker)
        if settlement is not None:
            self._settle(ours, settlement)
        elif (short := self._left_outside(ours, short)) > 0:
            self._note_missing(ticker, ours, short)

    def _settle(self, ours: list[Held], settlement: Settlement) -> None:
        value = settlement.value
        if value is None:
            market = self._market(settlement.ticker)
            value = None if market is None else market.value
        if value is None:
            self._is_behind = True
            return
        self._left_outside(ours, sum((held.left for held in ours), ZERO) - max(settlement.held * ours[0].sign, ZERO))
        for held in ours:
            if held.left > 0:
                self._ledger.settled(held, settlement, value)

    def _left_outside(self, ours: list[Held], short: Decimal) -> Decimal:
        """Book what orders that are not ours took off, newest first; return what they do not explain."""
        if short <= 0:
            return short
        leaving = "sell" if ours[0].side == "buy" else "buy"
        fills = sorted(self._fills(ticker=ours[0].market), key=lambda fill: fill.at, reverse=True)
        known = self._ledger.orders | set(self._taken.values())
        for fill in fills:
            if fill.side != leaving or fill.fill_id in self._ledger.fills or fill.order_id in known:
                continue
            for held in [one for one in ours if one.left > 0 and one.at <= fill.at]:
                part = min(fill.units, held.left, short)
                if part > 0:
                    self._ledger.outside(held, [_part(fill, part)])
                    short -= part
                    fill = _part(fill, fill.units - part)
        return short

    def _note_missing(self, ticker: str, ours: list[Held], short: Decimal) -> None:
        """Believe that something is gone only after a while, and never while its settlement may be on its way."""
        since = self._short_since.setdefault(ticker, time.monotonic())
        market = self._market(ticker)
        if market is not None and market.status in parse.OVER:
            self._is_behind = True
        elif time.monotonic() - since < self._grace_s:
            self._is_behind = True
            return
        for held in ours:
            part = min(held.left, short)
            self._missing[held.trade_id] = part
            short -= part

    def _nets(self, ticker: str | None = None) -> dict[str, Decimal]:
        """Return what the account holds: ticker -> contracts, NO as a negative number."""
        query = {"ticker": ticker, "count_filter": "position"}
        entries = self._wire.pages("/portfolio/positions", "market_positions", **query)
        return dict(parse.read("a position", parse.position, entry) for entry in entries)

    def _settlement(self, ticker: str) -> Settlement | None:
        entries = self._wire.pages("/portfolio/settlements", "settlements", ticker=ticker)
        found = [parse.read("a settlement", parse.settlement, entry) for entry in entries]
        return next((one for one in found if one.ticker == ticker), None)

    def _market(self, ticker: str) -> Market | None:
        if not TICKER.fullmatch(ticker):
            return None
        try:
            answer = self._wire.get(f"/markets/{ticker}")
        except Refused as error:
            if error.reason == NOT_FOUND or error.found.startswith("404"):
                return None
            raise
        market = parse.read("a market", lambda entry: parse.market(entry["market"]), answer)
        if market.ticker != ticker:
            raise Retry(f"the market {ticker}", f"an answer about {market.ticker}")
        return market

    def _is_trading(self) -> bool:
        status = self._wire.get("/exchange/status")
        return bool(status.get("exchange_active", True)) and bool(status.get("trading_active", True))


def _instrument(market: Market) -> Instrument:
    digits = max(-int(step.normalize().as_tuple().exponent) for _, step in market.steps)
    return Instrument(
        name=market.ticker,
        price_digits=digits,
        unit_digits=0,
        minimum=Decimal(1),
        maximum=MOST_UNITS,
        payout=market.payout,
    )


def _trading(market: Market | None, held: Held) -> Market:
    """Return the market if a position can be left there now."""
    if market is None or market.status in parse.OVER:
        found = "none of that name" if market is None else market.status
        raise Refused("MARKET_CLOSED", "a contract that trades", found, "waiting for its settlement")
    if market.status != parse.ACTIVE:
        raise Refused("MARKET_PAUSED", "a contract that trades", market.status, "trying again")
    if not (market.bid > 0 if held.side == "buy" else 0 < market.ask < market.payout):
        raise Refused("NO_BIDS", "somebody to leave the position to", "nobody", "trying again")
    return market


def _position(held: Held, left: Decimal) -> Position:
    levels = (ZERO, Decimal(1), None) if held.side == "buy" else (Decimal(1), ZERO, None)
    return Position(
        client_id=held.client_id,
        trade_id=held.trade_id,
        instrument=held.market,
        side=held.side,
        units=left,
        price=held.price,
        levels=levels,
    )


def _part(fill: Fill, units: Decimal) -> Fill:
    fee = fill.fee if units == fill.units else (fill.fee * units / fill.units).quantize(Decimal("0.0001"))
    return Fill(
        fill_id=fill.fill_id,
        order_id=fill.order_id,
        ticker=fill.ticker,
        side=fill.side,
        units=units,
        price=fill.price,
        fee=fee,
        at=fill.at,
    )


def _stem(client_id: str) -> str:
    """Return what the ids of one signal's orders have in common."""
    return client_id.partition(ENTRY)[0].partition(EXIT)[0]
