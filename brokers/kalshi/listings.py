"""What the venue lists: markets with the events and series they belong to."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from brokers.kalshi import market_rows
from brokers.kalshi.errors import Rejected
from brokers.kalshi.steps import Steps, steps_of
from brokers.kalshi.wire import Body, Wire
from domain.contract import Contract, ContractStatus
from domain.errors import Retry
from domain.quotes import Instrument

# Series and events change seldom; markets are read anew each time they matter.
KEPT_S = 3600.0
FORGOTTEN_S = 86_400.0
# The most events a page gives, and the most markets a request can name. Source: OpenAPI 3.13.0.
EVENTS_PAGE, MARKETS_AT_ONCE = 200, 100

_UNREADABLE = (KeyError, ValueError, TypeError, ArithmeticError)


class Listings:
    """Reads markets; keeps what does not change from one minute to the next.

    ``unreadable`` counts markets left out of a list because their row could not be read, ``last_problem`` says why.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._events: dict[str, tuple[int, Body]] = {}
        self._series: dict[str, tuple[int, Body]] = {}
        self._steps: dict[str, Steps] = {}
        self._contracts: dict[str, tuple[int, Contract]] = {}
        self.unreadable = 0
        self.last_problem = ""

    def contracts(self, series: Sequence[str] | None, *, closing_before: datetime | None) -> Sequence[Contract]:
        """Return the open contracts of some series, or of all, in the venue's order."""
        self._forget()
        names: Iterable[str | None] = [None] if series is None else series
        if series is None:
            self._read_all_series()
        found: dict[str, Contract] = {}
        for name in names:
            for event in self._open_events(name):
                found |= {contract.ticker: contract for contract in self._of_event(event)}
        wanted = [c for c in found.values() if closing_before is None or c.close_at < closing_before]
        return [contract for contract in wanted if contract.status is ContractStatus.ACTIVE]

    def contract(self, ticker: str) -> Contract | None:
        """Return one contract as it is now, open or over; None when the venue does not list it."""
        row = self._market(ticker)
        if row is None:
            return None
        try:
            return self._keep(row, self._event(str(row["event_ticker"])))
        except _UNREADABLE as error:
            raise Retry(f"a market row of {ticker} that can be read", str(error), "ask again") from error

    def known(self, ticker: str) -> Contract | None:
        """Return a contract as it was last read, however long ago; None when it never was."""
        return self._contracts.get(ticker, (0, None))[1]

    def is_open(self, ticker: str, now: datetime) -> bool:
        """Tell whether a contract trades, by a row at most ``listing_refresh_s`` old."""
        at_ns, known = self._contracts.get(ticker, (0, None))
        contract = known if known is not None and self._age_s(at_ns) <= self._refresh_s else self.contract(ticker)
        return contract is not None and contract.is_open(now)

    def instruments(self, names: Sequence[str]) -> Mapping[str, Instrument]:
        """Return ticker -> instrument for those the venue lists."""
        missing = [name for name in names if name not in self._steps]
        for row in self.rows(missing):
            self._note_steps(row)
        known = {name: self._steps[name] for name in names if name in self._steps}
        return {name: market_rows.instrument(name, steps.finest) for name, steps in known.items()}

    def steps(self, ticker: str) -> Steps | None:
        """Return a market's price steps; None when the venue does not list it."""
        self.instruments([ticker])
        return self._steps.get(ticker)

    def rows(self, tickers: Sequence[str]) -> list[Body]:
        """Read the rows of some markets, whatever their status."""
        found: list[Body] = []
        for start in range(0, len(tickers), MARKETS_AT_ONCE):
            some = ",".join(tickers[start : start + MARKETS_AT_ONCE])
            found += self._wire.rows("markets", "/markets", "markets", dict, tickers=some)
        return found

    @property
    def _refresh_s(self) -> float:
        return self._wire.config.listing_refresh_s

    def _open_events(self, series: str | None) -> Sequence[Body]:
        rows = self._wire.rows(
            f"open events of {series or 'every series'}",
            "/events",
            "events",
            dict,
            series_ticker=series,
            status="open",
            with_nested_markets="true",
            limit=EVENTS_PAGE,
        )
        return list({row["event_ticker"]: row for row in rows if row.get("event_ticker")}.values())

    def _of_event(self, event: Body) -> list[Contract]:
        # Without its markets: they are read anew each time they matter, and a year of them would fill the memory.
        kept = {key: value for key, value in event.items() if key != "markets"}
        self._events[str(event["event_ticker"])] = (self._now_ns(), kept)
        found: list[Contract] = []
        for row in event.get("markets") or ():
            try:
                if row.get("market_type") != "scalar":
                    found.append(self._keep(row, event))
            except _UNREADABLE as error:
                self.unreadable += 1
                self.last_problem = f"{row.get('ticker')}: {error}"
        return found

    def _forget(self) -> None:
        """Let go of what was not read for long; who asks for it again makes a request."""
        self._events = {name: kept for name, kept in self._events.items() if self._age_s(kept[0]) <= KEPT_S}
        old = [name for name, (at_ns, _) in self._contracts.items() if self._age_s(at_ns) > FORGOTTEN_S]
        for name in old:
            del self._contracts[name]
            self._steps.pop(name, None)

    def _keep(self, row: Body, event: Body) -> Contract:
        self._note_steps(row)
        contract = market_rows.contract(row, event, self._series_of(event, row))
        self._contracts[contract.ticker] = (self._now_ns(), contract)
        return contract

    def _note_steps(self, row: Body) -> None:
        if row.get("ticker"):
            self._steps[str(row["ticker"])] = steps_of(row)

    def _market(self, ticker: str) -> Body | None:
        return self._one(f"market {ticker}", f"/markets/{quote(ticker, safe='')}", "market")

    def _event(self, ticker: str) -> Body:
        return self._kept(self._events, ticker, f"event {ticker}", f"/events/{quote(ticker, safe='')}", "event")

    def _series_of(self, event: Body, row: Body) -> Body:
        name = market_rows.series_of(event, row)
        return self._kept(self._series, name, f"series {name}", f"/series/{quote(name, safe='')}", "series")

    def _read_all_series(self) -> None:
        """Read every series at once; by themselves they would cost a request each."""
        rows = self._wire.rows("series", "/series", "series", dict, limit=None)
        self._series |= {str(row["ticker"]): (self._now_ns(), row) for row in rows if row.get("ticker")}

    def _kept(self, kept: dict[str, tuple[int, Body]], name: str, what: str, path: str, key: str) -> Body:
        at_ns, row = kept.get(name, (0, None))
        if row is None or self._age_s(at_ns) > KEPT_S:
            row = self._one(what, path, key)
            if row is None:
                raise Retry(f"{what} to be listed", "404", "ask again")
            kept[name] = (self._now_ns(), row)
        return row

    def _one(self, what: str, path: str, key: str) -> Body | None:
        try:
            return self._wire.read(what, path, lambda body: _object(body[key]))
        except Rejected as error:
            if error.status == 404:
                return None
            raise

    def _now_ns(self) -> int:
        return self._wire.clock.monotonic_ns()

    def _age_s(self, at_ns: int) -> float:
        return (self._now_ns() - at_ns) / 1e9


def _object(value: Any) -> Body:
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, found {type(value).__name__}")
    return value
