"""Bars of the past, and bars kept up to date."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from simulators.ibkr.clock import NEW_YORK
from simulators.ibkr.contracts import Contract
from simulators.ibkr.quotes import BarRow, What
from simulators.tws.behind import Behind, Handler
from simulators.tws.framing import Fields
from simulators.tws.names import Ask
from simulators.tws.order_messages import Row
from simulators.tws.pacing import Pacing
from simulators.tws.periods import DAY, bar_seconds, check_length, midnight, moment_of, start_of
from simulators.tws.refusal import Refused, invalid
from simulators.tws.session import Session
from simulators.tws.wanted import read_contract

_WHATS = ("TRADES", "BID", "ASK", "MIDPOINT")
_SERVICE = "Historical Market Data Service error message:"
_OPEN_STREAMS = 50
# wall-clock seconds between two looks at a bar that is kept up to date
_EVERY_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """What a client wants to see, and how it is to be written."""

    session: Session
    number: int
    contract: Contract
    seconds: int
    what: What
    use_rth: bool
    as_epoch: bool


@dataclass(slots=True, eq=False)
class _Stream:
    """Bars kept up to date; ``last`` is the newest one sent."""

    request: _Request
    last: BarRow


class HistoricalDesk:
    """Answers requests for bars within the broker's limits."""

    def __init__(self, gateway: Behind) -> None:
        self._gateway = gateway
        self._streams: dict[tuple[Session, int], _Stream] = {}
        self._pacing = Pacing()
        self._next = 0.0

    def handlers(self) -> Mapping[int, Handler]:
        """Return request -> what answers it."""
        return {
            Ask.ReqHistoricalData: self._bars,
            Ask.CancelHistoricalData: self._cancel,
            Ask.ReqHeadTimeStamp: self._head,
            Ask.CancelHeadTimeStamp: lambda session, fields: None,
        }

    def forget(self, session: Session) -> None:
        """Drop a client's streams."""
        self._streams = {key: one for key, one in self._streams.items() if key[0] is not session}

    def lose_all(self) -> int:
        """Drop everybody's streams; return how many there were."""
        lost = len(self._streams)
        self._streams.clear()
        return lost

    def poll(self) -> None:
        """Send what has changed in bars that are kept up to date."""
        if not self._streams or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EVERY_SECONDS
        for stream in self._streams.values():
            self._update(stream)

    def _bars(self, session: Session, fields: Fields) -> None:
        number, wanted = fields.whole(), read_contract(fields)
        fields.skip()
        end_text, size, length = fields.text(), fields.text(), fields.text()
        use_rth, what, form, keep = fields.flag(), fields.text(), fields.whole(1), fields.flag()
        contract = self._gateway.resolve(wanted, number)
        self._check_service(session, number, contract.symbol)
        if what not in _WHATS:
            raise invalid(number, f"What to show field is missing or incorrect: {what!r}")
        if keep and end_text:
            raise invalid(number, "End date not supported with keepUpToDate")
        seconds = bar_seconds(size, number)
        if (session, number) in self._streams:
            raise Refused(number, 322, "Error processing request.-'bR' : cause - Duplicate ticker id")
        request = _Request(
            session=session, number=number, contract=contract, seconds=seconds, what=cast(What, what), use_rth=use_rth,
            as_epoch=form == 2,
        )  # fmt: skip
        if seconds <= 30:
            self._pace(request, (end_text, length, keep))
        self._answer(request, end_text, length, keep)

    def _check_service(self, session: Session, number: int, symbol: str) -> None:
        if self._gateway.take("pacing_violation", session, "reqHistoricalData", symbol) is not None:
            raise Refused(number, 162, f"{_SERVICE}Historical data request pacing violation")
        if (fault := self._gateway.holding("competing_session", session, symbol)) is not None:
            fault.fired += 1
            text = f"{_SERVICE}Trading TWS session is connected from a different IP address"
            raise Refused(number, 162, text)
        if (fault := self._gateway.broken("history")) is not None:
            fault.fired += 1
            raise Refused(number, 162, f"{_SERVICE}HMDS server connection was unsuccessful.")

    def _pace(self, request: _Request, rest: tuple[object, ...]) -> None:
        same = (request.contract.conid, request.what)
        if self._pacing.is_too_fast(same, (*same, request.seconds, request.use_rth, *rest)):
            raise Refused(request.number, 162, f"{_SERVICE}Historical data request pacing violation")

    def _answer(self, request: _Request, end_text: str, length: str, keep: bool) -> None:
        now = self._gateway.now()
        end, has_zone = moment_of(end_text, now, request.number)
        if not has_zone:
            text = (
                "Warning: You submitted request with date-time attributes without explicit time zone. "
                "Please switch to use yyyymmdd-hh:mm:ss in UTC or use instrument time zone, like US/Eastern."
            )
            request.session.error(request.number, 2174, text)
        check_length(request.seconds, length, request.number)
        start = start_of(end, length, request.use_rth, request.number)
        if request.seconds >= DAY:
            start = midnight(start)
        rows = self._rows(request, start, min(end, now))
        if not rows:
            told = f"{request.contract.symbol}@{request.contract.exchange} {request.what.capitalize()}"
            raise Refused(request.number, 162, f"{_SERVICE}HMDS query returned no data: {told}")
        cells = [cell for row in rows for cell in _cells(row, request)]
        request.session.send(17, request.number, _text(start), _text(end), len(rows), *cells)
        if keep:
            self._keep(request, rows[-1])

    def _rows(self, request: _Request, start: datetime, end: datetime) -> list[BarRow]:
        return self._gateway.venue.bars(
            request.contract.conid, start, end, request.seconds, request.what, request.use_rth
        )

    def _keep(self, request: _Request, last: BarRow) -> None:
        if sum(key[0] is request.session for key in self._streams) >= _OPEN_STREAMS:
            raise Refused(request.number, 162, f"{_SERVICE}Too many open historical requests")
        self._streams[request.session, request.number] = _Stream(request, last)

    def _update(self, stream: _Stream) -> None:
        request = stream.request
        session, symbol = request.session, request.contract.symbol
        rows = self._rows(request, stream.last.at, self._gateway.now())
        news = [row for row in rows if row != stream.last and row.at >= stream.last.at]
        if not news:
            return
        stopped = self._gateway.holding("keep_up_to_date_stops", session, symbol)
        stopped = stopped or self._gateway.holding("stale_ticker", session, symbol)
        stopped = stopped or self._gateway.holding("competing_session", session, symbol)
        stopped = stopped or self._gateway.broken("history")
        stream.last = news[-1]
        if stopped is not None:
            stopped.fired += 1
            return
        for row in news:
            session.send(90, request.number, *_update_cells(row, request))

    def _cancel(self, session: Session, fields: Fields) -> None:
        fields.skip()
        number = fields.whole()
        if self._streams.pop((session, number), None) is None:
            raise Refused(number, 366, f"No historical data query found for ticker id:{number}")
        session.error(number, 162, f"{_SERVICE}API historical data query cancelled: {number}")

    def _head(self, session: Session, fields: Fields) -> None:
        number, wanted = fields.whole(), read_contract(fields)
        fields.skip()
        use_rth, what, form = fields.flag(), fields.text(), fields.whole(1)
        contract = self._gateway.resolve(wanted, number)
        if what not in _WHATS:
            raise invalid(number, f"What to show field is missing or incorrect: {what!r}")
        rows = self._gateway.venue.bars(
            contract.conid, datetime(1990, 1, 1, tzinfo=UTC), self._gateway.now(), DAY, cast(What, what), use_rth
        )
        if not rows:
            raise Refused(number, 162, f"{_SERVICE}No head time stamp")
        first = rows[0].at
        session.send(88, number, int(first.timestamp()) if form == 2 else f"{first.astimezone(UTC):%Y%m%d-%H:%M:%S}")


def _date(row: BarRow, request: _Request) -> str:
    if request.seconds >= DAY:
        return f"{row.at.astimezone(NEW_YORK):%Y%m%d}"
    if request.as_epoch:
        return str(int(row.at.timestamp()))
    return f"{row.at.astimezone(NEW_YORK):%Y%m%d %H:%M:%S} US/Eastern"


def _traded(row: BarRow, request: _Request) -> Row:
    """Return volume, average price and count; only bars of trades have them."""
    return (row.volume, row.wap, row.trades) if request.what == "TRADES" else (-1, -1, -1)


def _cells(row: BarRow, request: _Request) -> Row:
    return _date(row, request), row.open, row.high, row.low, row.close, *_traded(row, request)


def _update_cells(row: BarRow, request: _Request) -> Row:
    volume, wap, count = _traded(row, request)
    return count, _date(row, request), row.open, row.close, row.high, row.low, wap, volume


def _text(at: datetime) -> str:
    return f"{at.astimezone(NEW_YORK):%Y%m%d %H:%M:%S} US/Eastern"
