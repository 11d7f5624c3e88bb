"""Channels of a WebSocket: what each subscription has seen, and what is new to it."""

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal

from simulators.kalshi.account import Account, Fill
from simulators.kalshi.contract import Contract, Trade
from simulators.kalshi.market_views import levels, market_view, merged
from simulators.kalshi.orders import Side
from simulators.kalshi.venue import Announcement, Venue
from simulators.kalshi.wire import Json, cents, dollars, fp, iso, unix, unix_ms

Gap = Callable[[str], int]


class SubscriptionError(Exception):
    """A subscription that cannot be made: the venue's number and words for it."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Channel:
    """One subscription; without tickers it is about every market."""

    name = ""
    sequenced = False

    def __init__(self, venue: Venue, account: Account, sid: int, tickers: set[str], now: datetime) -> None:
        self._venue = venue
        self._account = account
        self.sid = sid
        self.tickers = tickers
        self._seq = 0
        self._begin(now)

    def _begin(self, now: datetime) -> None:
        """Note what is old news."""

    def add(self, tickers: set[str]) -> None:
        """Follow more markets."""
        self.tickers |= tickers

    def remove(self, tickers: set[str]) -> None:
        """Follow fewer markets."""
        self.tickers -= tickers

    def skip_present(self, now: datetime) -> None:
        """Take what is there as told already; books begin with a snapshot in any case."""

    def next_seq(self) -> int:
        """Return the next sequence number."""
        self._seq += 1
        return self._seq

    def news(self, now: datetime, gap: Gap) -> Iterator[Json]:
        """Yield the messages that are new since the last call."""
        raise NotImplementedError

    def _message(self, kind: str, body: Json) -> Json:
        if not self.sequenced:
            return {"type": kind, "sid": self.sid, "msg": body}
        return {"type": kind, "sid": self.sid, "seq": self.next_seq(), "msg": body}

    def _follows(self, ticker: str) -> bool:
        return not self.tickers or ticker in self.tickers

    def _contracts(self, now: datetime) -> list[Contract]:
        if self.tickers:
            return [self._venue.contracts[name] for name in sorted(self.tickers) if name in self._venue.contracts]
        return self._venue.shown(now)


class Books(Channel):
    """``orderbook_delta``: a snapshot of each book, then every change of a level."""

    name = "orderbook_delta"
    sequenced = True

    def _begin(self, now: datetime) -> None:
        if not self.tickers:
            raise SubscriptionError(11, "Market tickers required")
        self._sent: dict[str, dict[tuple[str, Decimal], int]] = {}

    def remove(self, tickers: set[str]) -> None:
        """Follow fewer markets; one that comes back begins with a snapshot."""
        super().remove(tickers)
        for ticker in tickers:
            self._sent.pop(ticker, None)

    def news(self, now: datetime, gap: Gap) -> Iterator[Json]:
        """Yield snapshots and deltas."""
        for contract in self._contracts(now):
            book = self._book(contract, now)
            before = self._sent.get(contract.ticker)
            self._sent[contract.ticker] = book
            if before is None:
                yield self._message("orderbook_snapshot", self._snapshot(contract.ticker, book))
                continue
            for key in sorted(before.keys() | book.keys()):
                change = book.get(key, 0) - before.get(key, 0)
                if change:
                    self._seq += gap(contract.ticker)
                    yield self._message("orderbook_delta", self._delta(contract.ticker, key, change, now))

    def _book(self, contract: Contract, now: datetime) -> dict[tuple[str, Decimal], int]:
        yes = {("yes", price): count for price, count in levels(self._venue, contract, Side.BID, now)}
        return yes | {("no", 1 - price): count for price, count in levels(self._venue, contract, Side.ASK, now)}

    def _snapshot(self, ticker: str, book: dict[tuple[str, Decimal], int]) -> Json:
        sides = {
            side: sorted((price, count) for (found, price), count in book.items() if found == side)
            for side in ("yes", "no")
        }
        current: Json = {
            f"{side}_dollars_fp": [[dollars(price), fp(count)] for price, count in found]
            for side, found in sides.items()
        }
        older: Json = {side: [[cents(price), count] for price, count in found] for side, found in sides.items()}
        older |= {f"{side}_dollars": [[dollars(p), n] for p, n in found] for side, found in sides.items()}
        return merged(self._venue.wire, {"market_ticker": ticker, "market_id": ticker}, current, older)

    def _delta(self, ticker: str, key: tuple[str, Decimal], change: int, now: datetime) -> Json:
        side, price = key
        shared: Json = {
            "market_ticker": ticker,
            "market_id": ticker,
            "side": side,
            "price_dollars": dollars(price),
            "ts": iso(now),
            "ts_ms": unix_ms(now),
        }
        return merged(self._venue.wire, shared, {"delta_fp": fp(change)}, {"price": cents(price), "delta": change})


class Tickers(Channel):
    """``ticker``: best prices, last trade, volume, whenever one of them changes; at once where that is asked for."""

    name = "ticker"
    # all markets cost 50 ms to look at, so this is not done at every poll (wall-clock seconds)
    _PAUSE = 0.25

    def _begin(self, now: datetime) -> None:
        self._sent: dict[str, Json] = {}
        self._looked = 0.0

    def skip_present(self, now: datetime) -> None:
        """Take the prices of now as told already."""
        for contract in self._contracts(now):
            self._sent.setdefault(contract.ticker, self._body(contract, now))

    def news(self, now: datetime, gap: Gap) -> Iterator[Json]:
        """Yield what changed."""
        if self._venue.wall() - self._looked < self._PAUSE:
            return
        self._looked = self._venue.wall()
        for contract in self._contracts(now):
            if self._venue.status(contract, now) not in ("active", "inactive"):
                continue
            body = self._body(contract, now)
            if self._sent.get(contract.ticker) != body:
                self._sent[contract.ticker] = body
                yield self._message("ticker", {**body, "ts": unix(now), "ts_ms": unix_ms(now), "time": iso(now)})

    def _body(self, contract: Contract, now: datetime) -> Json:
        market = market_view(self._venue, contract, now)
        kept = ("yes_bid_dollars", "yes_ask_dollars", "yes_bid_size_fp", "yes_ask_size_fp", "volume_fp")
        older = ("yes_bid", "yes_ask", "volume", "open_interest")
        body: Json = {"market_ticker": contract.ticker, "market_id": contract.ticker}
        body |= {name: market[name] for name in (*kept, "open_interest_fp", *older) if name in market}
        body["price_dollars"] = market["last_price_dollars"]
        if "last_price" in market:
            body["price"] = market["last_price"]
        return body


class Trades(Channel):
    """``trade``: public trades."""

    name = "trade"

    def _begin(self, now: datetime) -> None:
        self._seen: dict[str, tuple[int, int]] = {c.ticker: self._mark(c, now) for c in self._venue.contracts.values()}

    def _mark(self, contract: Contract, now: datetime) -> tuple[int, int]:
        return len(contract.trades), contract.prints(now)

    def news(self, now: datetime, gap: Gap) -> Iterator[Json]:
        """Yield new trades, oldest first."""
        for contract in self._contracts(now):
            own, printed = self._seen.get(contract.ticker, (0, 0))
            self._seen[contract.ticker] = self._mark(contract, now)
            trades = [*contract.trades[own:], *(contract.print_at(i) for i in range(printed, contract.prints(now)))]
            for trade in sorted(trades, key=lambda found: found.time):
                yield self._message("trade", self._body(trade))

    def _body(self, trade: Trade) -> Json:
        outcome = "yes" if trade.taker is Side.BID else "no"
        shared: Json = {
            "trade_id": trade.id,
            "market_ticker": trade.ticker,
            "yes_price_dollars": dollars(trade.price),
            "no_price_dollars": dollars(1 - trade.price),
            "taker_side": outcome,
            "ts": unix(trade.time),
            "ts_ms": unix_ms(trade.time),
        }
        current: Json = {
            "count_fp": fp(trade.count),
            "taker_outcome_side": outcome,
            "taker_book_side": str(trade.taker),
            "is_block_trade": False,
        }
        older: Json = {"count": trade.count, "yes_price": cents(trade.price), "no_price": cents(1 - trade.price)}
        return merged(self._venue.wire, shared, current, older)


class Fills(Channel):
    """``fill``: the account's own fills."""

    name = "fill"

    def _begin(self, now: datetime) -> None:
        self._seen = len(self._account.fills)

    def news(self, now: datetime, gap: Gap) -> Iterator[Json]:
        """Yield new fills."""
        fills = self._account.fills[self._seen :]
        self._seen += len(fills)
        for fill in fills:
            if self._follows(fill.ticker):
                yield self._message("fill", self._body(fill))

    def _body(self, fill: Fill) -> Json:
        outcome = "yes" if fill.side is Side.BID else "no"
        shared: Json = {
            "trade_id": fill.id,
            "order_id": fill.order_id,
            "client_order_id": fill.client_order_id,
            "market_ticker": fill.ticker,
            "is_taker": fill.is_taker,
            "side": fill.outcome or outcome,
            "action": fill.action or "buy",
            "purchased_side": outcome,
            "yes_price_dollars": dollars(fill.price),
            "fee_cost": dollars(fill.fee),
            "ts": unix(fill.time),
            "ts_ms": unix_ms(fill.time),
        }
        current: Json = {
            "exchange_index": 0,
            "outcome_side": outcome,
            "book_side": str(fill.side),
            "count_fp": fp(fill.count),
            "post_position_fp": fp(fill.position),
        }
        older: Json = {
            "count": fill.count,
            "yes_price": cents(fill.price),
            "no_price": cents(1 - fill.price),
            "post_position": fill.position,
        }
        return merged(self._venue.wire, shared, current, older)


class Lifecycles(Channel):
    """``market_lifecycle_v2``: changes in the life of every market."""

    name = "market_lifecycle_v2"

    def _begin(self, now: datetime) -> None:
        self._seen = len(self._venue.announcements)

    def news(self, now: datetime, gap: Gap) -> Iterator[Json]:
        """Yield new announcements."""
        told = self._venue.announcements[self._seen :]
        self._seen += len(told)
        for announcement in told:
            yield self._message("market_lifecycle_v2", self._body(announcement))

    def _body(self, told: Announcement) -> Json:
        return {"event_type": told.kind, "market_ticker": told.ticker, "ts_ms": unix_ms(told.time), **told.fields}


CHANNELS: dict[str, type[Channel]] = {kind.name: kind for kind in (Books, Tickers, Trades, Fills, Lifecycles)}
