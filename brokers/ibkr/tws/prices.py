"""The streams of quotes: which are asked for, what they said last, and which must be asked for again."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import structlog

from brokers.ibkr import codes
from brokers.ibkr.config import IbkrConfig
from brokers.ibkr.tws import parse
from domain.clock import Clock
from domain.errors import Retry
from domain.quotes import Quote

if TYPE_CHECKING:
    from brokers.ibkr.tws.session import Session

log = structlog.get_logger()
# Source: IBKR "Tick Types". Delayed prices (66 to 68) are not among them: they are no quotes.
BID, ASK, LAST, HALTED = 1, 2, 4, 49
DELAYED = frozenset({66, 67, 68})
LIVE = 1
# A stream that was silent this many times quote_silence_s is asked for again, ever more seldom.
PATIENCE, MOST_PATIENCE = 3, 48
SNAPSHOT_WAIT_S = 1.0


@dataclass(slots=True)
class Ticker:
    """One market's prices. ``price_ns`` and ``at`` are when a price came, not when anything did."""

    market: str
    contract: Any
    request: int = 0
    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None
    at: datetime | None = None
    price_ns: int = 0
    asked_ns: int = 0
    polled_ns: int = 0
    patience: int = PATIENCE
    is_live: bool = True
    is_halted: bool = False
    refusal: str = ""

    def clear(self) -> None:
        """Forget the prices: a new subscription tells them anew, and the old ones prove nothing."""
        self.bid = self.ask = self.last = self.at = None
        self.is_live, self.refusal = True, ""


class PriceBoard:
    """Keeps the streams of one connection after another; the set of markets outlives them."""

    def __init__(self, config: IbkrConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._tickers: dict[str, Ticker] = {}
        self._by_request: dict[int, Ticker] = {}
        self._session: Session | None = None
        self._polls: set[asyncio.Future[None]] = set()
        self._spoke = asyncio.Event()

    # ------------------------------------------------------------------------------------- subscribing

    async def begin(self, session: "Session") -> None:
        """Ask for every stream on a new connection, or on one whose subscriptions were lost."""
        self._session = session
        for ticker in list(self._tickers.values()):
            if ticker.request in self._by_request and session.is_open:
                session.client.cancelMktData(ticker.request)
            ticker.request = 0
        self._by_request = {}
        for ticker in self._tickers.values():
            ticker.clear()
            self._subscribe(ticker)

    def watch(self, contracts: Iterable[tuple[str, Any]]) -> None:
        """Begin to stream markets that are not streamed yet, up to the lines there are; the rest is polled."""
        for market, contract in contracts:
            if market not in self._tickers:
                self._tickers[market] = ticker = Ticker(market, contract)
                self._subscribe(ticker)

    def _subscribe(self, ticker: Ticker) -> None:
        session = self._session
        if session is None or not session.is_open:
            return
        streams = sum(one.request != 0 for one in self._tickers.values())
        if ticker.request == 0 and streams >= self._config.market_data_lines:
            return
        ticker.request = session.next_number()
        ticker.asked_ns = self._clock.monotonic_ns()
        self._by_request[ticker.request] = ticker
        session.client.reqMktData(ticker.request, ticker.contract, "", False, False, [])

    async def tend(self, session: "Session") -> None:
        """Ask again for streams that have been silent for long: a dead one looks like a quiet one."""
        for ticker in self._tickers.values():
            silence_s = self._silence_s(ticker, since_asked=True)
            if ticker.request and silence_s > ticker.patience * self._config.quote_silence_s:
                log.info("ibkr_stream_asked_again", market=ticker.market, silence_s=round(silence_s, 1))
                session.client.cancelMktData(ticker.request)
                self._by_request.pop(ticker.request, None)
                ticker.patience = min(ticker.patience * 2, MOST_PATIENCE)
                self._subscribe(ticker)

    async def is_alive(self, session: "Session") -> bool:
        """Tell whether prices come that are newer than this call, or none are streamed."""
        streamed = [one for one in self._tickers.values() if one.request]
        if not streamed:
            return True
        began_ns = self._clock.monotonic_ns()
        await self.poll(session, streamed[:1])
        return any(one.price_ns > began_ns for one in streamed)

    # ------------------------------------------------------------------------------------------ polling

    async def refreshed(self, session: "Session", markets: Iterable[str]) -> None:
        """Wait a little for new streams to speak, and ask for snapshots of those that are silent."""
        mine = [self._tickers[market] for market in markets if market in self._tickers]
        await self._first_prices(mine)
        silent = [one for one in mine if self._is_silent(one) and not self._was_polled(one)]
        if not silent:
            return
        polling = asyncio.ensure_future(self.poll(session, silent))
        self._polls.add(polling)
        polling.add_done_callback(self._polls.discard)
        if any(self._quote(one) is None for one in silent):
            # TWS may take eleven seconds to end a snapshot; a trading loop cannot wait for that
            await asyncio.wait({polling}, timeout=SNAPSHOT_WAIT_S)

    async def _first_prices(self, tickers: list[Ticker]) -> None:
        """Give streams that were asked for just now the time to speak."""
        wait_s = min(1.0, self._config.quote_silence_s)
        fresh = [one for one in tickers if one.request and self._asked_s(one) < wait_s]
        while any(self._quote(one) is None and not one.refusal for one in fresh):
            left_s = wait_s - min(map(self._asked_s, fresh))
            try:
                await asyncio.wait_for(self._spoke.wait(), max(left_s, 0))
            except TimeoutError:
                return

    async def poll(self, session: "Session", tickers: list[Ticker]) -> None:
        """Ask for one snapshot each; what does not come is left as it was."""
        await asyncio.gather(*(self._snapshot(session, one) for one in tickers))

    async def _snapshot(self, session: "Session", ticker: Ticker) -> None:
        from brokers.ibkr.tws.session import Failed  # noqa: PLC0415  session is imported by none of ours before

        ticker.polled_ns = self._clock.monotonic_ns()
        if not session.is_open:
            return  # nobody waits for a poll in the background: what it raised would be heard by nobody
        number = session.next_number()
        self._by_request[number] = ticker
        try:
            await session.ask(
                f"a snapshot of {ticker.market}",
                number,
                lambda: session.client.reqMktData(number, ticker.contract, "", True, False, []),
                min(self._config.request_timeout_s, self._config.quote_silence_s),
            )
        except (Retry, Failed) as error:
            log.info("ibkr_no_snapshot", market=ticker.market, error=str(error))
        finally:
            self._by_request.pop(number, None)

    # --------------------------------------------------------------------------------------- listening

    def on_price(self, request: int, kind: int, price: float, size: float) -> bool:
        """Take in a price; tell whether it was a live one."""
        ticker = self._by_request.get(request)
        if ticker is None:
            return False
        self._spoke.set()
        self._spoke = asyncio.Event()
        if kind in DELAYED:
            ticker.is_live = False
        found = parse.price(price)
        if kind in (BID, ASK) and size == 0:
            found = None
        if kind == BID:
            ticker.bid = found
        elif kind == ASK:
            ticker.ask = found
        elif kind == LAST:
            ticker.last = found or ticker.last
        if kind not in (BID, ASK, LAST) or found is None or not ticker.is_live:
            return False
        ticker.at, ticker.price_ns = self._clock.now(), self._clock.monotonic_ns()
        ticker.patience, ticker.refusal = PATIENCE, ""
        return True

    def on_tick(self, request: int, kind: int, value: float) -> None:
        ticker = self._by_request.get(request)
        if ticker is not None and kind == HALTED:
            ticker.is_halted = value > 0

    def on_data_kind(self, request: int, kind: int) -> None:
        ticker = self._by_request.get(request)
        if ticker is not None:
            ticker.is_live = kind == LIVE

    def on_message(self, request: int, code: int, text: str) -> bool:
        """Take in what is said of a stream; tell whether it was one of ours."""
        ticker = self._by_request.get(request)
        if ticker is None:
            return False
        if code in codes.DELAYED:
            ticker.is_live = False
        elif code in codes.NO_DATA or code in (codes.COMPETING, codes.NO_CONTRACT, codes.TOO_MANY_STREAMS):
            ticker.refusal = f"{code} {text}"
            self._spoke.set()
            self._spoke = asyncio.Event()
            log.warning("ibkr_no_market_data", market=ticker.market, code=code, text=text)
        return True

    # ------------------------------------------------------------------------------------------ reading

    def quotes(self, markets: Iterable[str]) -> dict[str, Quote]:
        """Return the quotes that can be vouched for: both sides live, not crossed, and their price not too old."""
        found = {market: self._quote(self._tickers[market]) for market in markets if market in self._tickers}
        return {market: quote for market, quote in found.items() if quote is not None}

    def _quote(self, ticker: Ticker) -> Quote | None:
        bid, ask, at = ticker.bid, ticker.ask, ticker.at
        if bid is None or ask is None or at is None or bid > ask or not ticker.is_live or ticker.refusal:
            return None
        if (self._clock.now() - at).total_seconds() > self._config.quote_max_age_s:
            return None
        return Quote(
            market=ticker.market,
            bid=bid,
            ask=ask,
            at=at,
            received_at=at,
            tradeable=not ticker.is_halted,
            home_rate=Decimal(1),
            last=ticker.last,
        )

    def _is_silent(self, ticker: Ticker) -> bool:
        return self._silence_s(ticker) > self._config.quote_silence_s or self._quote(ticker) is None

    def _was_polled(self, ticker: Ticker) -> bool:
        return (self._clock.monotonic_ns() - ticker.polled_ns) / 1e9 < self._config.poll_interval_s

    def _silence_s(self, ticker: Ticker, *, since_asked: bool = False) -> float:
        since_ns = max(ticker.price_ns, ticker.asked_ns) if since_asked else ticker.price_ns
        return (self._clock.monotonic_ns() - since_ns) / 1e9

    def _asked_s(self, ticker: Ticker) -> float:
        return (self._clock.monotonic_ns() - ticker.asked_ns) / 1e9
