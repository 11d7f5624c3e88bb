"""Streams of five-second bars and of single ticks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import cast

from simulators.ibkr.contracts import Contract
from simulators.ibkr.quotes import What
from simulators.ibkr.tape import Tick
from simulators.tws.behind import Behind, Handler
from simulators.tws.framing import Fields
from simulators.tws.names import Ask
from simulators.tws.order_messages import Row
from simulators.tws.refusal import Refused, invalid
from simulators.tws.session import Session
from simulators.tws.wanted import read_contract

_SECONDS = 5
_WHATS = ("TRADES", "BID", "ASK", "MIDPOINT")
_KINDS = {"Last": 1, "AllLast": 2, "BidAsk": 3, "MidPoint": 4}
_SCALE = Decimal("0.0001")


@dataclass(slots=True, eq=False)
class _Bars:
    """A subscription to bars; ``since`` is where the next one begins."""

    contract: Contract
    what: What
    use_rth: bool
    since: datetime


@dataclass(slots=True, eq=False)
class _Ticks:
    """A subscription to ticks; ``since`` is the last one's time in milliseconds."""

    contract: Contract
    kind: int
    since: int
    last: Row = ()


class PriceStreams:
    """Serves real-time bars and tick-by-tick data."""

    def __init__(self, gateway: Behind) -> None:
        self._gateway = gateway
        self._bars: dict[tuple[Session, int], _Bars] = {}
        self._ticks: dict[tuple[Session, int], _Ticks] = {}

    def handlers(self) -> Mapping[int, Handler]:
        """Return request -> what answers it."""
        return {
            Ask.ReqRealTimeBars: self._subscribe_bars,
            Ask.CancelRealTimeBars: self._cancel_bars,
            Ask.ReqTickByTickData: self._subscribe_ticks,
            Ask.CancelTickByTickData: self._cancel_ticks,
        }

    def forget(self, session: Session) -> None:
        """Drop a client's subscriptions."""
        self._bars = {key: one for key, one in self._bars.items() if key[0] is not session}
        self._ticks = {key: one for key, one in self._ticks.items() if key[0] is not session}

    def lose_all(self) -> int:
        """Drop everybody's subscriptions; return how many there were."""
        lost = len(self._bars) + len(self._ticks)
        self._bars.clear()
        self._ticks.clear()
        return lost

    def poll(self) -> None:
        """Send what is new."""
        for (session, request), bars in self._bars.items():
            self._send_bars(session, request, bars)
        for (session, request), ticks in self._ticks.items():
            self._send_ticks(session, request, ticks)

    def _subscribe_bars(self, session: Session, fields: Fields) -> None:
        fields.skip()
        request, wanted = fields.whole(), read_contract(fields)
        fields.skip()
        what, use_rth = fields.text(), fields.flag()
        if what not in _WHATS:
            raise invalid(request, f"What to show field is missing or incorrect: {what!r}")
        contract = self._gateway.resolve(wanted, request)
        now = self._gateway.now()
        begun = now - timedelta(seconds=now.timestamp() % _SECONDS)
        self._bars[session, request] = _Bars(contract, cast(What, what), use_rth, begun)

    def _cancel_bars(self, session: Session, fields: Fields) -> None:
        fields.skip()
        self._bars.pop((session, fields.whole()), None)

    def _send_bars(self, session: Session, request: int, bars: _Bars) -> None:
        now = self._gateway.now()
        done = now - timedelta(seconds=now.timestamp() % _SECONDS)
        if done <= bars.since or self._is_frozen(session, bars.contract.symbol):
            return
        venue = self._gateway.venue
        for row in venue.bars(bars.contract.conid, bars.since, done, _SECONDS, bars.what, bars.use_rth):
            at = int(row.at.timestamp())
            prices = (row.open, row.high, row.low, row.close)
            session.send(50, 3, request, at, *prices, row.volume, row.wap, row.trades)
        bars.since = done

    def _subscribe_ticks(self, session: Session, fields: Fields) -> None:
        request, wanted = fields.whole(), read_contract(fields)
        kind = _KINDS.get(fields.text())
        if kind is None:
            raise Refused(request, 10189, "Failed to request tick-by-tick data:unknown tick type")
        contract = self._gateway.resolve(wanted, request)
        now = int(self._gateway.now().timestamp() * 1000)
        self._ticks[session, request] = _Ticks(contract, kind, now)

    def _cancel_ticks(self, session: Session, fields: Fields) -> None:
        self._ticks.pop((session, fields.whole()), None)

    def _send_ticks(self, session: Session, request: int, ticks: _Ticks) -> None:
        now = int(self._gateway.now().timestamp() * 1000)
        frozen = self._is_frozen(session, ticks.contract.symbol)
        for tick in self._gateway.venue.tape.between(ticks.contract.symbol, ticks.since, now):
            row = tuple(_tick_row(tick, ticks.kind))
            if not row or frozen or (ticks.kind > 2 and row == ticks.last):
                continue
            ticks.last = row
            session.send(99, request, ticks.kind, tick.time // 1000, *row)
        ticks.since = now

    def _is_frozen(self, session: Session, symbol: str) -> bool:
        frozen = self._gateway.holding("stale_ticker", session, symbol)
        frozen = frozen or self._gateway.holding("competing_session", session, symbol)
        frozen = frozen or self._gateway.broken("market")
        if frozen is not None:
            frozen.fired += 1
        return frozen is not None


def _tick_row(tick: Tick, kind: int) -> Iterator[object]:
    bid, ask = tick.bid * _SCALE, tick.ask * _SCALE
    if kind <= 2:
        if tick.is_trade:
            yield from (tick.last * _SCALE, tick.last_size, 0, "ARCA", "")
    elif kind == 3:
        yield from (bid, ask, tick.bid_size, tick.ask_size, 0)
    elif tick.bid > 0 and tick.ask > 0:
        yield (bid + ask) / 2
