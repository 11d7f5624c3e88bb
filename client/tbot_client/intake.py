"""What arrives from the feed, checked and written down; acting on it comes afterwards."""

from datetime import datetime

from tbot_client.book import Book, optional, say
from tbot_client.clock import Clock, iso
from tbot_client.errors import HistoryChanged
from tbot_client.history import History
from tbot_client.journal import Record
from tbot_client.wire import BadLine, Item, Page, hash_matches, parse_item

KEEP_S = 600.0


class Intake:
    """Turns pages into records: an open to decide on, new levels, or a wanted end."""

    def __init__(self, book: Book, surfaces: tuple[str, ...], clock: Clock) -> None:
        self._book = book
        self._clock = clock
        self._cursor = ""
        self._keep_due = 0.0
        self._surfaces = surfaces
        self._history = History(book.state.hashes)

    def take(self, page: Page) -> set[str]:
        """Write down what a page says; return the ids of the signals it speaks of."""
        try:
            self._history.check_heads(page.logs)
        except HistoryChanged as error:
            self._distrust(error)
        named = set()
        for raw in page.items:
            item = self._checked(bytes(raw))
            if item is not None and (not self._surfaces or item.surface in self._surfaces):
                named.add(item.signal_id)
                self._note(item, item.signal_id in page.expired)
        return named

    def keep(self, cursor: str, *, later: bool = False) -> None:
        """Remember where to go on; called after everything before it was acted on.

        ``later`` says that there was nothing to act on: losing such a place costs one more look at nothing, while
        writing each down would be most of the journal.
        """
        self._cursor = cursor
        if not later or self._clock.monotonic() >= self._keep_due:
            self.save()

    def save(self) -> None:
        """Write the latest place down, if it is not."""
        state, hashes = self._book.state, self._history.saved()
        self._keep_due = self._clock.monotonic() + KEEP_S
        if self._cursor and (self._cursor != state.cursor or hashes != state.hashes):
            self._book.write({"kind": "place", "cursor": self._cursor, "hashes": hashes})

    def _checked(self, raw: bytes) -> Item | None:
        try:
            item = parse_item(raw)
            self._history.check_line(raw, item)
        except HistoryChanged as error:
            self._distrust(error)
        except BadLine as error:
            self._malformed(raw, error)
        else:
            return item
        return None

    def _malformed(self, raw: bytes, error: BadLine) -> None:
        if not hash_matches(raw):
            return self._distrust(HistoryChanged("a line that matches its hash", str(error), "ask the publisher"))
        say(f"a line of the feed was left out: {error}")
        self._book.write({"kind": "malformed", "what": str(error)[:200]})

    def _distrust(self, error: HistoryChanged) -> None:
        if not self._book.state.distrust:
            say(f"HistoryChanged: {error}. No more entries; exits go on.")
            self._book.write({"kind": "distrust", "what": str(error)})

    def _note(self, item: Item, expired: bool) -> None:
        state = self._book.state
        trade = state.trades.get(item.signal_id)
        if item.is_open:
            if item.signal_id not in state.seen:
                self._book.write({"kind": "received", "signal": _signal(item, expired)})
        elif item.is_end:
            self._note_end(item)
        elif trade is not None and item.action == "amend" and item.id not in state.seen:
            self._book.write({"kind": "amended", "signal_id": item.signal_id, "id": item.id} | _levels(item))

    def _note_end(self, item: Item) -> None:
        state = self._book.state
        trade = state.trades.get(item.signal_id)
        if trade is not None and not trade.end_reason:
            reason, price = item.reason or "closed", optional(item.exit_price)
            self._book.write({"kind": "ending", "signal_id": item.signal_id, "reason": reason, "price": price})
        elif item.signal_id not in state.seen and item.signal_id not in state.ended:
            # Ends stand in another log than opens, so one may overtake the other: a late open must still be skipped.
            self._book.write({"kind": "ended", "signal_id": item.signal_id})


def _signal(item: Item, expired: bool) -> Record:
    return {
        "signal_id": item.signal_id,
        "surface": item.surface,
        "market": item.market,
        "side": item.side,
        "sub_strategy": item.sub_strategy,
        "reference": optional(item.reference_price),
        "confidence": optional(item.confidence),
        "edge_bp": optional(item.edge_bp),
        "published_at": _moment(item.published_at),
        "expires_at": _moment(item.expires_at),
        "expired": expired,
    } | _levels(item)


def _levels(item: Item) -> Record:
    return {
        "stop": optional(item.stop_loss),
        "target": optional(item.take_profit),
        "trailing": optional(item.trailing_distance),
    }


def _moment(moment: datetime | None) -> str:
    return iso(moment) if moment is not None else ""
