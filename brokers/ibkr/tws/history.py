"""Closed bars, asked for rather than streamed: TWS's own updates of bars stop at midnight, or whenever they like."""

import math
from array import array
from collections import OrderedDict, deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from brokers.ibkr import codes
from brokers.ibkr.config import IbkrConfig
from brokers.ibkr.tws import parse
from brokers.ibkr.tws.session import Failed, Session
from brokers.ibkr.windows import NEW_YORK
from domain.clock import Clock
from domain.errors import Refuse, Retry
from domain.quotes import Bar, Instrument, Ohlc

MOST = 5_000
# period -> IBKR's word for it, and the longest stretch it gives at once. Source: IBKR "Historical Data Limitations".
SIZES = {
    1: ("1 secs", timedelta(seconds=1_800)),
    5: ("5 secs", timedelta(seconds=7_200)),
    10: ("10 secs", timedelta(seconds=14_400)),
    15: ("15 secs", timedelta(seconds=14_400)),
    30: ("30 secs", timedelta(seconds=28_800)),
    60: ("1 min", timedelta(days=1)),
    120: ("2 mins", timedelta(days=2)),
    180: ("3 mins", timedelta(days=5)),
    300: ("5 mins", timedelta(days=7)),
    600: ("10 mins", timedelta(days=7)),
    900: ("15 mins", timedelta(days=14)),
    1200: ("20 mins", timedelta(days=14)),
    1800: ("30 mins", timedelta(days=28)),
    3600: ("1 hour", timedelta(days=30)),
    7200: ("2 hours", timedelta(days=30)),
    10800: ("3 hours", timedelta(days=30)),
    14400: ("4 hours", timedelta(days=30)),
    28800: ("8 hours", timedelta(days=30)),
    86400: ("1 day", timedelta(days=365)),
}
DAY_S = 86_400
# Up to this length IBKR's limits bind, and the same question must not come again sooner than that.
SMALL_S, SAME_S = 30, 15
# A bar may be told so many real seconds after its end; until then its absence proves nothing.
LATE_S = 10.0
# The columns of a bar that is kept, as floats: 48 bytes where a Bar takes ten times that.
COLUMNS = 6
MOST_SERIES = 200


class Pacing:
    """IBKR's limits on history: 60 questions in ten minutes, no same one within 15 s; broken ones cost a pause.

    They bind for bars up to half a minute; for longer ones a gentler limit of ours.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._small: deque[int] = deque()
        self._large: deque[int] = deque()
        self._same: dict[Any, int] = {}
        self._shut_ns = 0
        self._penalty_s = 5.0

    def reserve(self, key: tuple[str, int, datetime]) -> None:
        """Take a place. Raises Retry with the seconds to wait when there is none."""
        now_ns = self._clock.monotonic_ns()
        self._require(self._shut_ns - now_ns)
        is_small = key[1] <= SMALL_S
        asked, most, span_ns = (self._small, 58, 600 * 10**9) if is_small else (self._large, 30, 2 * 10**9)
        while asked and now_ns - asked[0] > span_ns:
            asked.popleft()
        if len(asked) >= most:
            self._require(asked[0] + span_ns - now_ns)
        if is_small:
            self._require(self._same.get(key, -(10**12)) + SAME_S * 10**9 - now_ns)
            self._same = {one: at for one, at in self._same.items() if now_ns - at < SAME_S * 10**9} | {key: now_ns}
        asked.append(now_ns)

    def violated(self) -> Retry:
        """Note that IBKR saw a violation; the pause doubles while they go on."""
        self._shut_ns = self._clock.monotonic_ns() + int(self._penalty_s * 1e9)
        error = Retry("room under IBKR's limit on history", "162 pacing violation", "wait", after_s=self._penalty_s)
        self._penalty_s = min(self._penalty_s * 2, 600.0)
        return error

    def kept(self) -> None:
        self._penalty_s = 5.0

    def _require(self, wait_ns: int) -> None:
        if wait_ns > 0:
            raise Retry("room under IBKR's limit on history", "too many questions", "wait", after_s=wait_ns / 1e9)


class Series:
    """The bars of one market and period that were asked for, without holes, from ``begin`` to ``end``."""

    def __init__(self, begin: datetime) -> None:
        self.begin = self.end = self.asked_until = begin
        self.asked_ns = 0
        self._rows = array("d")

    def add(self, start: datetime, values: Sequence[float]) -> None:
        at = start.timestamp()
        if not self._rows or at > self._rows[-COLUMNS]:
            self._rows.extend((at, *values))
        surplus = len(self._rows) - MOST * COLUMNS
        if surplus > 0:
            del self._rows[:surplus]
            self.begin = datetime.fromtimestamp(self._rows[0], UTC)

    def rows(self, start: datetime, end: datetime) -> Sequence[Sequence[float]]:
        low, high = start.timestamp(), end.timestamp()
        rows = (self._rows[place : place + COLUMNS] for place in range(0, len(self._rows), COLUMNS))
        return [row for row in rows if low <= row[0] < high][:MOST]


class History:
    """Bars of trades in regular hours.

    What was read once is kept; only what is newer is asked for, and only once a bar has closed.
    """

    def __init__(self, config: IbkrConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._pacing = Pacing(clock)
        self._series: OrderedDict[tuple[str, int], Series] = OrderedDict()

    async def bars(
        self, session: Session, instrument: Instrument, contract: Any, period_s: int, start: datetime, end: datetime
    ) -> list[Bar]:
        """Return the closed bars between two times, oldest first. Raises Retry, or Refuse for a period there is not."""
        if period_s not in SIZES:
            raise Refuse(f"a bar of {', '.join(map(str, SIZES))} seconds", str(period_s), "choose one of them")
        until = min(end, self._last_closed(period_s))
        begin = max(start, until - timedelta(seconds=period_s * MOST * 5))
        series = self._of(instrument.name, period_s, begin)
        while series.end < until and self._may_ask(series, period_s, until):
            await self._extend(session, series, instrument.name, contract, period_s, until)
        return [_bar(instrument, period_s, row) for row in series.rows(start, min(end, series.end))]

    def _of(self, market: str, period_s: int, begin: datetime) -> Series:
        """Return the kept series when it reaches back to ``begin``, else a new one that will."""
        key = (market, period_s)
        series = self._series.get(key)
        if series is None or begin < series.begin:
            series = self._series[key] = Series(begin)
        self._series.move_to_end(key)
        while len(self._series) > MOST_SERIES:
            self._series.popitem(last=False)
        return series

    def _may_ask(self, series: Series, period_s: int, until: datetime) -> bool:
        """Tell whether to ask: for a bar that closed since, at once; for one that was late, only now and then."""
        if until > series.asked_until:
            return True
        pause_s = self._config.poll_interval_s if period_s > SMALL_S else SAME_S
        return (self._clock.monotonic_ns() - series.asked_ns) / 1e9 >= pause_s

    def _last_closed(self, period_s: int) -> datetime:
        """Return the end of the last bar that is closed now; days end at midnight in New York."""
        now = self._clock.now()
        if period_s == DAY_S:
            local = now.astimezone(NEW_YORK)
            return local.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)
        return datetime.fromtimestamp(now.timestamp() // period_s * period_s, UTC)

    async def _extend(
        self, session: Session, series: Series, market: str, contract: Any, period_s: int, until: datetime
    ) -> None:
        """Ask for one stretch more, from where the series ends."""
        size, longest = SIZES[period_s]
        to = min(until, series.end + longest)
        self._pacing.reserve((market, period_s, to))
        seconds = max((to - series.end).total_seconds(), period_s)
        length = f"{math.ceil(seconds / DAY_S)} D" if seconds >= DAY_S else f"{math.ceil(seconds)} S"
        number = session.next_number()
        moment = to.strftime("%Y%m%d-%H:%M:%S")  # with a dash it is UTC, whatever zone TWS is set to
        try:
            rows = await session.ask(
                f"bars of {market}",
                number,
                lambda: session.client.reqHistoricalData(
                    number, contract, moment, length, size, "TRADES", True, 2, False, []
                ),
            )
        except Failed as error:
            rows = self._without(error, market)
        self._pacing.kept()
        series.asked_until, series.asked_ns = to, self._clock.monotonic_ns()
        latest = series.end
        for row in rows:
            start = parse.bar_start(str(row.date))
            if series.end <= start and start + timedelta(seconds=period_s) <= to + timedelta(hours=period_s == DAY_S):
                series.add(start, (row.open, row.high, row.low, row.close, max(row.volume, 0)))
                latest = max(latest, start + timedelta(seconds=period_s))
        late = timedelta(seconds=LATE_S / (self._clock.real_seconds(1.0) or 1.0))
        series.end = max(latest, min(to, self._clock.now() - late))

    def _without(self, error: Failed, market: str) -> list[Any]:
        """Take a refusal: no data is an answer, a broken limit costs a pause."""
        if error.code in codes.PACING and "pacing" in error.text.lower():
            raise self._pacing.violated() from error
        if error.code == codes.NO_HISTORY and "no data" in error.text.lower():
            return []
        raise error.as_retry(f"bars of {market}") from error


def _bar(instrument: Instrument, period_s: int, row: Sequence[float]) -> Bar:
    start, *prices, volume = row
    values = [instrument.round_price(Decimal(repr(price))) for price in prices]
    ohlc = Ohlc(open=values[0], high=values[1], low=values[2], close=values[3])
    return Bar(
        market=instrument.name,
        start=datetime.fromtimestamp(start, UTC),
        period_s=period_s,
        bid=ohlc,
        ask=ohlc,
        volume=int(volume),
    )
