"""Quotes and bars made from the tape."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal

from simulators.ibkr.clock import local_date, moment
from simulators.ibkr.contracts import BY_CONID
from simulators.ibkr.orders import ZERO, from_points
from simulators.ibkr.quotes import BarRow, Quote, What
from simulators.ibkr.recording import Bar
from simulators.ibkr.sessions import Session, session_of
from simulators.ibkr.tape import Tape

DAY_SECONDS = 86_400
_MINUTE = 60
# quotes nobody pays for are a quarter of an hour old
DELAY_MS = 15 * 60_000


class Prices:
    """What fronts show of the tape; a frozen stock shows the past."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        # symbol -> the time its quote stands still at
        self.frozen: dict[str, int] = {}
        self._closes: dict[str, tuple[tuple[date, bool, int], int]] = {}

    def quote(self, conid: int, now: int, *, halted: bool) -> Quote | None:
        """Return the prices of a stock; None before its first tick and without a recording."""
        contract = BY_CONID.get(conid)
        if contract is None:
            return None
        symbol = contract.symbol
        ms = min(now, self.frozen.get(symbol, now))
        tick = self.tape.last(symbol, ms)
        if tick is None:
            return None
        day = self.tape.summary(symbol, ms)
        return Quote(
            conid=conid,
            symbol=symbol,
            bid=_price(tick.bid),
            ask=_price(tick.ask),
            bid_size=Decimal(tick.bid_size),
            ask_size=Decimal(tick.ask_size),
            last=_price(tick.last),
            last_size=Decimal(tick.last_size),
            volume=Decimal(day.volume),
            high=_price(day.high),
            low=_price(day.low),
            open=_price(day.opening),
            close=_price(self._close(symbol, ms)),
            at=moment(tick.time),
            source_at=moment(tick.source),
            halted=halted,
        )

    def delayed(self, quote: Quote, now: int) -> Quote:
        """Return a quote as those see it who have not paid; what has no past yet is seen as it is."""
        return self.quote(quote.conid, now - DELAY_MS, halted=quote.halted) or quote

    def _close(self, symbol: str, ms: int) -> int:
        session = session_of(local_date(ms))
        key = (local_date(ms), session is not None and ms >= session.pre_open, len(self.tape.splits))
        found = self._closes.get(symbol)
        if found is None or found[0] != key:
            found = self._closes[symbol] = (key, self.tape.close_before(symbol, ms))
        return found[1]

    def bars(
        self, conid: int, start: int, end: int, seconds: int, what: What, *, use_rth: bool, now: int
    ) -> list[BarRow]:
        """Return bars in the units of now, as a broker adjusts its history for splits."""
        contract = BY_CONID.get(conid)
        if contract is None:
            return []
        symbol = contract.symbol
        now = min(now, self.frozen.get(symbol, now))
        rows: list[BarRow] = []
        day, last = local_date(start), local_date(min(end - 1, now))
        while day <= last:
            session = session_of(day)
            if session is not None:
                made = self._day(symbol, session, seconds, what, use_rth, now)
                rows.extend(row for at, row in made if start <= at < end)
            day += timedelta(days=1)
        return rows

    def _day(
        self, symbol: str, session: Session, seconds: int, what: What, use_rth: bool, now: int
    ) -> Iterator[tuple[int, BarRow]]:
        if seconds >= DAY_SECONDS and self.tape.has_history(symbol, session.day):
            found = self.tape.history(symbol, session.day)
            bars: Iterable[Bar] = [] if found is None else [Bar(0, *found)]
        else:
            first, last = (session.open, session.close) if use_rth else (session.pre_open, session.post_close)
            span = (first - session.midnight, min(last, now + 1) - session.midnight)
            source = self._seconds if seconds < _MINUTE else self._minutes
            bars = _grouped(source(symbol, session, span, what), seconds, span[0] // 1000)
        for bar in bars:
            at = session.midnight + bar.start * 1000
            yield at, self._row(symbol, at, now, bar)

    def _row(self, symbol: str, at: int, now: int, bar: Bar) -> BarRow:
        opening, high, low, close = (from_points(self.tape.rebased(symbol, at, now, price)) for price in bar[1:5])
        new, old = self.tape.ratio(symbol, at, now)
        return BarRow(
            at=moment(at),
            open=opening,
            high=high,
            low=low,
            close=close,
            volume=Decimal(bar.volume * new // old),
            wap=((high + low + close) / 3).quantize(Decimal("0.0001")),
            # prints are not recorded: one for each hundred shares
            trades=max(bar.volume // 100, 1),
        )

    def _minutes(self, symbol: str, session: Session, span: tuple[int, int], what: What) -> Iterator[Bar]:
        """Yield the recorded minutes that are over, then what the unfinished one shows so far."""
        first, last = span
        unfinished = last // 60_000 * 60_000
        trades, quotes = self.tape.minutes(symbol, session.day)
        if what == "TRADES":
            yield from (bar for bar in trades if first <= bar.start * 1000 < unfinished)
        else:
            for quote in quotes:
                if first <= quote.start * 1000 < unfinished:
                    a, b, c, d = (_side(bid, ask, what) for bid, ask in zip(quote.bid, quote.ask, strict=True))
                    yield Bar(quote.start, a, b, c, d, 0)
        if last > unfinished:
            yield from self._seconds(symbol, session, (max(first, unfinished), last), what)

    def _seconds(self, symbol: str, session: Session, span: tuple[int, int], what: What) -> Iterator[Bar]:
        """Yield one-price bars of the tape's own steps."""
        if what == "TRADES":
            prints = self.tape.prints(symbol, session.day, *span)
            yield from (Bar(ms // 1000, price, price, price, price, size) for ms, price, size in prints)
        else:
            shown = self.tape.shown(symbol, session.day, *span)
            sides = ((ms, _side(bid, ask, what)) for ms, bid, ask in shown)
            yield from (Bar(ms // 1000, price, price, price, price, 0) for ms, price in sides)


def _grouped(bars: Iterable[Bar], seconds: int, first: int) -> Iterator[Bar]:
    """Merge bars into longer ones counted from midnight; the first begins with the session, a daily one at 0."""
    current: Bar | None = None
    for bar in bars:
        start = 0 if seconds >= DAY_SECONDS else max(bar.start - bar.start % seconds, first)
        if current is not None and current.start == start:
            current = Bar(
                start, current.open, max(current.high, bar.high), min(current.low, bar.low), bar.close,
                current.volume + bar.volume,
            )  # fmt: skip
            continue
        if current is not None:
            yield current
        current = bar._replace(start=start)
    if current is not None:
        yield current


def _side(bid: int, ask: int, what: What) -> int:
    if what == "MIDPOINT":
        return (bid + ask) // 2
    return bid if what == "BID" else ask


def _price(points: int) -> Decimal | None:
    return from_points(points) if points else None


def mark(tape: Tape, symbol: str, now: int) -> Decimal:
    """Return what a share is worth now: its last trade."""
    tick = tape.last(symbol, now)
    return ZERO if tick is None else from_points(tick.last or tick.bid)


def milliseconds(at: datetime) -> int:
    """Return an aware time in epoch milliseconds."""
    return round(at.timestamp() * 1000)
