"""Prices as they change: quotes, five-second bars, tick by tick."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from simulators.ibkr.contracts import Contract
from simulators.ibkr.pricing import milliseconds
from simulators.ibkr.quotes import Quote
from simulators.ibkr.sessions import session_at
from simulators.tws.behind import Behind, Handler
from simulators.tws.framing import Fields
from simulators.tws.names import Ask
from simulators.tws.price_streams import PriceStreams
from simulators.tws.refusal import Refused, invalid
from simulators.tws.session import Session
from simulators.tws.ticks import Sent, tick_rows
from simulators.tws.wanted import read_contract

_LINES = 100
_LIVE, _FROZEN, _DELAYED, _DELAYED_FROZEN = 1, 2, 3, 4
_NOT_SUBSCRIBED = {
    354: "Requested market data is not subscribed.Delayed market data is available.",
    10089: "Requested market data requires additional subscription for API. See link in 'Market Data Connections' "
    "dialog for more details.Delayed market data is available.",
}
_DISPLAYING = "Requested market data is not subscribed. Displaying delayed market data."


@dataclass(slots=True, eq=False)
class Line:
    """One subscription to a quote; ``kind`` is the type of data it is served with."""

    session: Session
    request: int
    contract: Contract
    generic: tuple[str, ...]
    kind: int
    sent: Sent = field(default_factory=dict)


class MarketDesk:
    """Serves subscriptions to prices and forgets them when data is lost."""

    def __init__(self, gateway: Behind) -> None:
        self._gateway = gateway
        self._venue = gateway.venue
        self._lines: dict[tuple[Session, int], Line] = {}
        self._types: dict[Session, int] = {}
        self._streams = PriceStreams(gateway)

    def handlers(self) -> Mapping[int, Handler]:
        """Return request -> what answers it."""
        return {
            Ask.ReqMktData: self._subscribe,
            Ask.CancelMktData: self._cancel,
            Ask.ReqMarketDataType: self._choose_type,
            **self._streams.handlers(),
        }

    def forget(self, session: Session) -> None:
        """Drop a client's subscriptions."""
        self._lines = {key: line for key, line in self._lines.items() if key[0] is not session}
        self._types.pop(session, None)
        self._streams.forget(session)

    def lose_all(self) -> int:
        """Drop everybody's subscriptions; return how many there were."""
        lost = len(self._lines) + self._streams.lose_all()
        self._lines.clear()
        return lost

    def watchers(self, session: Session, symbol: str) -> Sequence[int]:
        """Return a client's subscriptions to quotes of the symbols a pattern means."""
        return [
            line.request
            for line in self._lines.values()
            if line.session is session and fnmatchcase(line.contract.symbol, symbol)
        ]

    def poll(self) -> None:
        """Send what has changed."""
        quotes: dict[int, Quote | None] = {}
        for line in list(self._lines.values()):
            if line.contract.conid not in quotes:
                quotes[line.contract.conid] = self._venue.quote(line.contract.conid)
            self._serve(line, quotes[line.contract.conid])
        self._streams.poll()

    def _choose_type(self, session: Session, fields: Fields) -> None:
        fields.skip()
        kind = fields.whole()
        if kind not in (_LIVE, _FROZEN, _DELAYED, _DELAYED_FROZEN):
            raise invalid(-1, "Invalid market data type")
        self._types[session] = kind

    def _subscribe(self, session: Session, fields: Fields) -> None:
        fields.skip()
        request, wanted = fields.whole(), read_contract(fields)
        if fields.flag():
            fields.skip(3)
        generic, snapshot = fields.text(), fields.flag()
        contract = self._gateway.resolve(wanted, request)
        if (session, request) in self._lines:
            raise Refused(request, 322, "Error processing request.-'bR' : cause - Duplicate ticker id")
        if sum(key[0] is session for key in self._lines) >= _LINES:
            raise Refused(request, 101, "Max number of tickers has been reached")
        kind = self._kind(session, request, contract.symbol)
        line = Line(session, request, contract, tuple(generic.split(",")), kind)
        session.send(81, request, contract.min_tick, "a60001", 3)
        session.send(58, 1, request, line.kind)
        if (fault := self._gateway.holding("competing_session", session, contract.symbol)) is not None:
            fault.fired += 1
            session.error(request, 10197, "No market data during competing live session")
        if snapshot:
            self._serve(line, self._venue.quote(contract.conid))
            session.send(57, 1, request)
            return
        self._lines[session, request] = line
        self._serve(line, self._venue.quote(contract.conid))

    def _kind(self, session: Session, request: int, symbol: str) -> int:
        """Return the type of data a client gets, and tell it where that is less than it asked for."""
        asked = self._types.get(session, _LIVE)
        if (denied := self._gateway.holding("not_subscribed", session, symbol)) is not None:
            denied.fired += 1
            if asked < _DELAYED:
                code = denied.params.get("code", 354)
                raise Refused(request, code, _NOT_SUBSCRIBED[code])
            session.error(request, 10167, _DISPLAYING)
            return _DELAYED
        if (delayed := self._gateway.holding("delayed_data", session, symbol)) is not None:
            delayed.fired += 1
            session.error(request, 10167, _DISPLAYING)
            return _DELAYED
        return self._own_kind(session)

    def _own_kind(self, session: Session) -> int:
        """Return the type of data of a client that has paid: frozen at night for those who asked for it."""
        asks_frozen = self._types.get(session, _LIVE) in (_FROZEN, _DELAYED_FROZEN)
        return _FROZEN if asks_frozen and not self._is_open() else _LIVE

    def _is_open(self) -> bool:
        now = self._venue.clock.now_ms()
        hours = session_at(now)
        return hours is not None and hours.is_extended(now)

    def _cancel(self, session: Session, fields: Fields) -> None:
        fields.skip()
        request = fields.whole()
        if self._lines.pop((session, request), None) is None:
            raise Refused(request, 300, f"Can't find EId with tickerId:{request}")

    def _serve(self, line: Line, quote: Quote | None) -> None:
        if quote is None or self._is_frozen(line, quote):
            return
        self._switch(line)
        if line.kind == _DELAYED:
            quote = self._venue.prices.delayed(quote, milliseconds(self._gateway.now()))
        elif line.kind == _LIVE and not self._is_open():
            # outside all hours nobody bids or offers
            quote = replace(quote, bid=None, ask=None)
        no_quote = self._gateway.holding("no_quote", line.session, line.contract.symbol)
        empty = None if no_quote is None else no_quote.params
        rows = tick_rows(quote, line.request, line.sent, line.generic, delayed=line.kind == _DELAYED, empty=empty)
        if rows and no_quote is not None:
            no_quote.fired += 1
        for row in rows:
            line.session.send(*row)

    def _switch(self, line: Line) -> None:
        """Begin or end delayed data on an open subscription."""
        session, symbol = line.session, line.contract.symbol
        delayed = self._gateway.holding("delayed_data", session, symbol)
        refused = self._gateway.holding("not_subscribed", session, symbol)
        kind = _DELAYED if delayed is not None or refused is not None else self._own_kind(session)
        if kind == line.kind:
            return
        line.kind = kind
        line.sent.clear()
        if kind == _DELAYED:
            (delayed or refused).fired += 1  # type: ignore[union-attr] # one of the two is why
            session.error(line.request, 10167, _DISPLAYING)
        session.send(58, 1, line.request, kind)

    def _is_frozen(self, line: Line, quote: Quote) -> bool:
        session, symbol = line.session, line.contract.symbol
        frozen = self._gateway.holding("stale_ticker", session, symbol)
        frozen = frozen or self._gateway.holding("competing_session", session, symbol)
        frozen = frozen or self._gateway.broken("market")
        if frozen is None or (frozen.action == "stale_ticker" and not line.sent):
            return False
        if line.sent.get("at") != quote.at:
            frozen.fired += 1
            line.sent["at"] = quote.at
        return True
