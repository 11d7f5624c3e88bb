"""What arrives from the feed, checked and written down; acting on it comes afterwards."""

from datetime import datetime

from tbot_client.book import Book, optional, say
from tbot_client.clock import Clock, iso
from tbot_client.errors import HistoryChanged
from tbot_client.holes import Holes
from tbot_client.journal import Record, is_full
from tbot_client.wire import BadLine, Item, Page, hash_matches, parse_item
from tbot_client.witness import Witness

KEEP_S = 600.0


class Intake:
    """Turns pages into records: an open to decide on, new levels, or a wanted end."""

    def __init__(self, book: Book, surfaces: tuple[str, ...], clock: Clock, witness: Witness) -> None:
        self._book = book
        self._clock = clock
        self._cursor = ""
        self._keep_due = 0.0
        self._surfaces = surfaces
        self._witness = witness
        self._failed: OSError | None = None
        self._holes = Holes()

    def take(self, page: Page, *, is_snapshot: bool = False) -> set[str]:
        """Write down what a page says; return the ids of the signals it speaks of.

        Raises:
            Stale: the page is older than one taken before; nothing of it was taken in.
            Retry: it can't be checked now; the same.
        """
        lines = [(bytes(raw), _parsed(bytes(raw))) for raw in page.items]
        items = [item for _, item in lines if isinstance(item, Item)]
        self._witness.prepare(page, items)
        self._witness.take_heads(page)
        good = self._good(lines)
        self._witness.keep(good)
        self._note_all([item for item in good if not self._surfaces or item.surface in self._surfaces], page.expired)
        if is_snapshot:
            self._holes.begin(page)
        else:
            self._holes.note(page, items, self._clock.monotonic())
        # A line that can't be believed still shows that its signal is not gone.
        return {item.signal_id for item in items}

    def is_missing_something(self) -> bool:
        """Tell whether lines were left out that the snapshot may know of."""
        return self._holes.is_due(self._clock.monotonic())

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
        state, hashes = self._book.state, self._witness.history.saved()
        self._keep_due = self._clock.monotonic() + KEEP_S
        self._witness.save()
        if self._cursor and (self._cursor != state.cursor or hashes != state.hashes):
            self._book.write({"kind": "place", "cursor": self._cursor, "hashes": hashes})

    def _good(self, lines: list[tuple[bytes, Item | BadLine]]) -> list[Item]:
        good = []
        for raw, item in lines:
            if isinstance(item, BadLine):
                self._malformed(raw, item)
            elif self._witness.check(raw, item):
                good.append(item)
        return good

    def _note_all(self, items: list[Item], expired: list[str]) -> None:
        """Write down one item after the other; a full disk keeps no later end from being acted on."""
        self._failed = None
        for item in items:
            try:
                self._note(item, item.signal_id in expired)
            except OSError as error:
                self._failed = self._failed or error

    def require_room(self) -> None:
        """Raise the OSError for which something of the last page could not be written down, if there was one."""
        if self._failed is not None:
            raise self._failed

    def _malformed(self, raw: bytes, error: BadLine) -> None:
        if not hash_matches(raw):
            todo = "ask the publisher"
            return self._witness.distrust(HistoryChanged("a line that matches its hash", str(error), todo))
        say(f"a line of the feed was left out: {error}")
        try:
            self._book.write({"kind": "malformed", "what": str(error)[:200]})
        except OSError as problem:
            # A count that is one too low must not keep the next line from being acted on.
            if not is_full(problem):
                raise

    def _note(self, item: Item, expired: bool) -> None:
        state = self._book.state
        trade = state.trades.get(item.signal_id)
        if item.is_open:
            if item.signal_id not in state.seen:
                self._book.write({"kind": "received", "signal": _signal(item, expired)})
        elif item.is_end:
            self._note_end(item)
        elif trade is not None and item.action == "amend" and item.id not in state.seen and item.ts >= trade.amended_ts:
            # The snapshot has the newest levels alone: older ones, which the cursor's page brings after it, are over.
            record = {"kind": "amended", "signal_id": item.signal_id, "id": item.id, "ts": item.ts}
            self._book.write(record | _levels(item))

    def _note_end(self, item: Item) -> None:
        state = self._book.state
        trade = state.trades.get(item.signal_id)
        if trade is not None and not trade.end_reason:
            reason, price = item.reason or "closed", optional(item.exit_price)
            self._book.insist({"kind": "ending", "signal_id": item.signal_id, "reason": reason, "price": price})
        elif item.signal_id not in state.seen and item.signal_id not in state.ended:
            # Ends stand in another log than opens, so one may overtake the other: a late open must still be skipped.
            self._book.write({"kind": "ended", "signal_id": item.signal_id})


def _parsed(raw: bytes) -> Item | BadLine:
    try:
        return parse_item(raw)
    except BadLine as error:
        return error


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
        "trailing_percent": optional(item.trailing_percent),
        "dead_man": item.dead_man if item.dead_man in ("hold", "flatten", "tighten") else "",
    } | _levels(item)


def _levels(item: Item) -> Record:
    return {
        "stop": optional(item.stop_loss),
        "target": optional(item.take_profit),
        "trailing": optional(item.trailing_distance),
    }


def _moment(moment: datetime | None) -> str:
    return iso(moment) if moment is not None else ""
