"""Price and transaction streams, one JSON object a line."""

import asyncio
import time as wall
from collections.abc import Iterator
from dataclasses import dataclass, field

from simulators.oanda.call import Call
from simulators.oanda.faults import Fault, Occasion
from simulators.oanda.instruments import INSTRUMENTS
from simulators.oanda.tape import Quote
from simulators.oanda.wire import Json, encode, rfc3339, unix_times
from simulators.rest.transport import Dropped, Request, head_of

POLL_SECONDS = 0.05
# a client's watchdog runs on its own clock, so heartbeats follow the wall whatever the simulated speed
HEARTBEAT_SECONDS = 5.0
# at most four prices a second, in simulated time
SLOT_MS = 250


@dataclass(frozen=True, slots=True)
class Stream:
    """A reply without end: chunks are asked for every ``pause_seconds`` while the client is there."""

    chunks: Iterator[bytes]
    pause_seconds: float
    headers: dict[str, str] = field(default_factory=dict)

    async def serve(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send chunk by chunk, and end cleanly when the simulator does."""
        headers = {**self.headers, "Transfer-Encoding": "chunked", "Content-Type": "application/octet-stream"}
        writer.write(head_of(200, headers))
        for chunk in self.chunks:
            if chunk:
                writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            await writer.drain()
            await asyncio.sleep(self.pause_seconds)
            # asked before the next chunk is made: a fault meant for an open stream must not meet one already left
            if request.is_left() or reader.exception() is not None:
                break
        writer.write(b"0\r\n\r\n")
        await writer.drain()


class Ended(Exception):
    """The stream is to end as if the venue had closed it."""


@dataclass(slots=True)
class Disturbance:
    """What the fault script does to one open stream; every fault is counted once for each connection."""

    call: Call
    opened: float = field(default_factory=wall.monotonic)
    engaged: dict[str, float | None] = field(default_factory=dict)

    def look(self, now: int) -> tuple[bool, set[str]]:
        """Return whether the stream is mute, and the instruments that stall.

        Raises:
            Dropped: a fault cuts the connection.
            Ended: a fault ends the stream.
        """
        mute, stalled = False, set[str]()
        occasion = self.occasion(now)
        for action in ("cut_stream", "end_stream", "mute_stream", "stall_stream"):
            for fault in occasion.matching(action):
                if not self._holds(fault):
                    continue
                if action == "cut_stream":
                    raise Dropped
                if action == "end_stream":
                    raise Ended
                if action == "mute_stream":
                    mute = True
                else:
                    stalled.update(fault.params.get("instruments", INSTRUMENTS))
        return mute, stalled

    def occasion(self, now: int) -> Occasion:
        """Return the stream's request as it would look now."""
        first = self.call.occasion
        return Occasion(first.book, first.method, first.path, first.account, now)

    def _holds(self, fault: Fault) -> bool:
        if wall.monotonic() - self.opened < fault.params.get("after_seconds", 0):
            return False
        if fault.name not in self.engaged:
            self.engaged[fault.name] = wall.monotonic() if fault.take() else None
        since = self.engaged[fault.name]
        limit = fault.params.get("seconds")
        return since is not None and (limit is None or wall.monotonic() - since < limit)


def price_lines(call: Call) -> Iterator[bytes]:
    """Yield a snapshot, then prices as they are replayed, coalesced into slots, and heartbeats."""
    feed = _PriceFeed(call)
    disturbance, beat = Disturbance(call), wall.monotonic()
    lines = feed.snapshot() if call.flag("snapshot", True) else []
    while True:
        yield _encoded(call, lines)
        now = call.venue.advance()
        try:
            mute, stalled = disturbance.look(now)
        except Ended:
            return
        lines = [line for line in feed.news(now) if line["instrument"] not in stalled]
        if wall.monotonic() - beat >= HEARTBEAT_SECONDS - POLL_SECONDS:
            beat = wall.monotonic()
            lines.append({"type": "HEARTBEAT", "time": rfc3339(now)})
        if mute:
            lines = []


class _PriceFeed:
    """Prices of one stream: what was sent, and what is new."""

    def __init__(self, call: Call) -> None:
        self._market = call.venue.market
        self._home = call.account.currency
        self._instruments = {instrument.name: instrument for instrument in call.instruments()}
        self._sent_through = call.now
        self._tradeable = {name: self._market.is_tradeable(name, call.now) for name in self._instruments}

    def snapshot(self) -> list[Json]:
        """Return the current price of every instrument that has one."""
        prices = (self._market.client_price(i, self._home, self._sent_through) for i in self._instruments.values())
        return [price for price in prices if price is not None]

    def news(self, now: int) -> list[Json]:
        """Return the last quote of each full slot since the last call, and every change of status."""
        cutoff = now - now % SLOT_MS
        if cutoff <= self._sent_through:
            return []
        slots: dict[tuple[int, str], Quote] = {}
        for quote in self._market.tape.merged(tuple(self._instruments), self._sent_through, cutoff - 1):
            slots[quote.time // SLOT_MS, quote.instrument] = quote
        self._sent_through = cutoff - 1
        lines = [line for quote in slots.values() if (line := self._line(quote)) is not None]
        return lines + self._status_changes(cutoff)

    def _line(self, quote: Quote) -> Json | None:
        frozen = self._market.faults.market("freeze_quote", quote.instrument, quote.time)
        if frozen is not None and quote.time > frozen.begins:
            frozen.fired += 1
            return None
        if self._market.is_halted(quote.instrument, quote.time):
            return None
        return self._market.client_price(self._instruments[quote.instrument], self._home, quote.time, quote)

    def _status_changes(self, now: int) -> list[Json]:
        lines = []
        for name, instrument in self._instruments.items():
            tradeable = self._market.is_tradeable(name, now)
            if tradeable != self._tradeable[name]:
                self._tradeable[name] = tradeable
                price = self._market.client_price(instrument, self._home, now)
                lines.extend([] if price is None else [price])
        return lines


def transaction_lines(call: Call) -> Iterator[bytes]:
    """Yield every transaction written from now on, and heartbeats, the first at once."""
    account, disturbance = call.account, Disturbance(call)
    sent, beat = account.visible(), wall.monotonic() - HEARTBEAT_SECONDS
    now, mute, stalled = call.now, False, set[str]()
    while True:
        lines: list[Json] = []
        visible = account.visible()
        for transaction in [] if stalled else account.transactions[sent:visible]:
            twice = disturbance.occasion(now).take("duplicate_transactions") is not None
            lines.extend([transaction] * (2 if twice else 1))
        sent = visible
        if wall.monotonic() - beat >= HEARTBEAT_SECONDS - POLL_SECONDS:
            beat = wall.monotonic()
            lines.append({"type": "HEARTBEAT", "lastTransactionID": str(visible), "time": rfc3339(now)})
        yield b"" if mute else _encoded(call, lines)
        now = call.venue.advance()
        try:
            mute, stalled = disturbance.look(now)
        except Ended:
            return


def _encoded(call: Call, lines: list[Json]) -> bytes:
    return b"".join(encode(unix_times(line) if call.unix else line) + b"\n" for line in lines)
