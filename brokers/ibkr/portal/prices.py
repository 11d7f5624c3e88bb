"""Market data of the Client Portal: quotes from the WebSocket while it vouches for them, by polling otherwise."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from brokers.ibkr.portal.contracts import Contracts
from brokers.ibkr.portal.errors import Rejected
from brokers.ibkr.portal.history import History
from brokers.ibkr.portal.parse import Json, moment, price
from brokers.ibkr.portal.session import Session
from brokers.ibkr.portal.stream import FIELDS, Stream
from brokers.ibkr.portal.wire import Wire
from domain.errors import Retry
from domain.quotes import Bar, Instrument, Quote

LAST, BID, ASK, AVAILABILITY = FIELDS
# The first request for a contract only starts its stream: how often, and how far apart, it is asked for again.
LOOKS, LOOK_S = 6, 0.2
AT_ONCE = 100
HALTED, PRIOR_CLOSE = "H", "C"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """The fields of a contract, the venue's time of them, ours, and when stream and polling last vouched for them."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    at: datetime
    received_at: datetime
    streamed_ns: int | None = None
    polled_ns: int | None = None


class PortalData:
    """MarketData of one gateway."""

    def __init__(
        self, wire: Wire, contracts: Contracts, session: Session, on_trade: Callable[[Any], None] = lambda row: None
    ) -> None:
        self._wire = wire
        self._contracts = contracts
        self._session = session
        self._history = History(wire, contracts)
        self._seen: dict[int, _Seen] = {}
        self._asked_ns: dict[int, int] = {}
        self._lock = threading.Lock()
        self.bad_rows = 0
        self.stream = Stream(wire, session, self._on_price, on_trade, self._on_gap)

    def instruments(self, names: Sequence[str]) -> Mapping[str, Instrument]:
        return self._contracts.instruments(names)

    def quotes(self, markets: Sequence[str]) -> Mapping[str, Quote]:
        """Return market -> quote; one is absent when neither stream nor polling vouches for a live one."""
        conids = self._contracts.conids(markets)
        self.stream.watch(conids.values())
        fresh = {conid for conid in conids.values() if self._is_fresh(conid)}
        failure = self._poll([conid for conid in conids.values() if conid not in fresh])
        fresh |= {conid for conid in conids.values() if conid not in fresh and self._is_fresh(conid)}
        found = {name: self._quote(name, conid) for name, conid in conids.items() if conid in fresh}
        quotes = {name: quote for name, quote in found.items() if quote is not None}
        if failure is not None and not quotes:
            raise failure
        return quotes

    def bars(self, market: str, period_s: int, *, start: datetime, end: datetime | None = None) -> Sequence[Bar]:
        return self._history.bars(market, period_s, start, end)

    def close(self) -> None:
        """End the stream and the session; whoever needs the executor afterwards connects anew."""
        self.stream.close()
        self._session.close()
        self._wire.close()

    def _on_price(self, conid: int, message: Json) -> None:
        """Take in the fields that changed; the others stand as they were."""
        now, now_ns = self._wire.clock.now(), self._wire.clock.monotonic_ns()
        news = {name: message[name] for name in FIELDS if name in message}
        with self._lock:
            before = self._seen.get(conid)
            at = moment(message["_updated"]) if message.get("_updated") else now
            self._seen[conid] = _Seen(
                fields={**(before.fields if before else {}), **news},
                at=at if before is None else max(at, before.at),
                received_at=now,
                streamed_ns=now_ns,
                polled_ns=None if before is None else before.polled_ns,
            )

    def _on_gap(self) -> None:
        """Trust no streamed price any more: messages were lost, or will have been by the time we are connected."""
        with self._lock:
            self._seen = {conid: replace(seen, streamed_ns=None) for conid, seen in self._seen.items()}

    def _is_fresh(self, conid: int) -> bool:
        seen, now_ns = self._seen.get(conid), self._wire.clock.monotonic_ns()
        if seen is None:
            return False
        config = self._wire.config
        if seen.polled_ns is not None and now_ns - seen.polled_ns <= config.poll_interval_s * 1e9:
            return True
        recent = seen.streamed_ns is not None and now_ns - seen.streamed_ns <= config.quote_silence_s * 1e9
        return recent and self.stream.is_alive() and not self._is_too_old(seen)

    def _poll(self, conids: Sequence[int]) -> Retry | None:
        """Poll those contracts not polled within ``poll_interval_s``; hand a failure back, others may be fresh."""
        now_ns, apart_ns = self._wire.clock.monotonic_ns(), int(self._wire.config.poll_interval_s * 1e9)
        due = [conid for conid in conids if now_ns - self._asked_ns.get(conid, -apart_ns) >= apart_ns]
        self._asked_ns |= dict.fromkeys(due, now_ns)
        try:
            for first in range(0, len(due), AT_ONCE):
                self._look(due[first : first + AT_ONCE])
        except Retry as error:
            return error
        return None

    def _look(self, conids: Sequence[int]) -> None:
        """Ask for snapshots until each has its prices: a contract's first one has none."""
        left = list(conids)
        for number in range(LOOKS):
            if number:
                time.sleep(LOOK_S)
            asked_ns = self._wire.clock.monotonic_ns()
            rows = self._snapshot(left)
            for row in rows:
                self._take_row(row, asked_ns)
            left = [
                int(row["conid"])
                for row in rows
                if isinstance(row, dict) and "conid" in row and not any(name in row for name in FIELDS)
            ]
            if not left:
                return

    def _snapshot(self, conids: Sequence[int]) -> list[Any]:
        page = f"/iserver/marketdata/snapshot?conids={','.join(map(str, conids))}&fields={','.join(FIELDS)}"
        try:
            rows: list[Any] = self._wire.ask("prices", page, list)
        except Rejected as error:
            if "accounts first" not in error.message:
                raise
            self._wire.ask("the login's accounts", "/iserver/accounts")
            rows = self._wire.ask("prices", page, list)
        return rows

    def _take_row(self, row: Json, asked_ns: int) -> None:
        """Keep what a poll shows, whole: a field it leaves out has no value now."""
        try:
            conid, at = int(row["conid"]), moment(row["_updated"]) if row.get("_updated") else None
        except (KeyError, ValueError, TypeError, AttributeError):
            self.bad_rows += 1
            return
        if at is None or not any(name in row for name in FIELDS):
            return
        now, now_ns = self._wire.clock.now(), self._wire.clock.monotonic_ns()
        fields = {name: row[name] for name in FIELDS if name in row}
        with self._lock:
            before = self._seen.get(conid)
            if before is not None and (before.streamed_ns or 0) > asked_ns:
                # A message overtook the answer: its price is the newer.
                self._seen[conid] = replace(before, polled_ns=now_ns)
                return
            silent = before is not None and before.streamed_ns is not None and at > before.at
            self._seen[conid] = _Seen(
                fields=fields,
                at=at,
                received_at=now,
                streamed_ns=None if before is None else before.streamed_ns,
                polled_ns=now_ns,
            )
        if silent:
            self.stream.renew(conid)

    def _quote(self, market: str, conid: int) -> Quote | None:
        """Return a live quote: both sides, in real time, young enough."""
        seen = self._seen[conid]
        bid, ask, last = (price(seen.fields.get(name)) for name in (BID, ASK, LAST))
        is_live = str(seen.fields.get(AVAILABILITY) or "").startswith("R")
        if not is_live or bid is None or ask is None or bid[0] > ask[0] or self._is_too_old(seen):
            return None
        return Quote(
            market=market,
            bid=bid[0],
            ask=ask[0],
            at=seen.at,
            received_at=seen.received_at,
            tradeable=not (last is not None and last[1] == HALTED),
            home_rate=Decimal(1),
            last=None if last is None or last[1] == PRIOR_CLOSE else last[0],
        )

    def _is_too_old(self, seen: _Seen) -> bool:
        return (self._wire.clock.now() - seen.at).total_seconds() > self._wire.config.quote_max_age_s
