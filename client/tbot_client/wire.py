"""What the feed's bytes mean: pages, lines and their fields.

A line is kept as the exact bytes it came in, because its hash is of those bytes. This module is the single authority
for what a line must look like; it decides nothing about trades.
"""

import re
from datetime import datetime
from decimal import Decimal
from hashlib import sha256

import msgspec

from tbot_client.errors import Retry

SIGNAL_ID = re.compile(r"sig_[0-9A-HJKMNP-TV-Z]{26}")
# What may follow the hashed bytes: the hash and one signature. Anything else there would be covered by nothing.
_TAIL = re.compile(rb',"h":"([0-9a-f]{64})"(?:,"sig":"[0-9a-f]{16}:[A-Za-z0-9+/]{86}==")?\}\Z')
LONGEST_TEXT = 200
_TAIL_ROOM = 64 + 8 + 105 + 16
# Fixed in width, so that times compare as text.
_TS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


class Head(msgspec.Struct, frozen=True):
    """The last committed line of a log; ``sig`` is null while the log is empty or nobody signs it."""

    seq: int
    h: str
    sig: str | None = None


class Page(msgspec.Struct, frozen=True):
    """One answer of the feed or of its snapshot; the snapshot's ``cursor`` is a page's ``next_cursor``.

    ``asked_s`` and ``got_s`` are not the feed's: when it was asked and answered, by `clock.ticks`.
    """

    items: list[msgspec.Raw]
    server_time: datetime
    next_cursor: str = ""
    cursor: str = ""
    expired: list[str] = []
    has_more: bool = False
    logs: dict[str, Head] = {}
    poll_after_ms: int = 0
    asked_s: float = 0.0
    got_s: float = 0.0

    @property
    def after(self) -> str:
        return self.next_cursor or self.cursor


class Item(msgspec.Struct, frozen=True):
    """The fields of a signal or resolution line that a subscriber acts on."""

    seq: int
    id: str
    kind: str
    h: str
    signal_id: str
    ts: str = ""
    sig: str = ""
    log: str = ""
    prev: str = ""
    action: str = ""
    surface: str = ""
    market: str = ""
    side: str = ""
    sub_strategy: str = ""
    reference_price: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    trailing_distance: Decimal | None = None
    trailing_percent: Decimal | None = None
    exit_price: Decimal | None = None
    confidence: Decimal | None = None
    edge_bp: Decimal | None = None
    published_at: datetime | None = None
    expires_at: datetime | None = None
    reason: str = ""
    dead_man: str = ""
    provisional: bool = False

    @property
    def is_open(self) -> bool:
        return self.kind == "signal" and self.action == "open"

    @property
    def is_end(self) -> bool:
        """Tell whether whoever still holds the signal's position should leave it."""
        return (self.kind == "signal" and self.action == "close") or (
            self.kind == "resolution" and not self.provisional
        )

    @property
    def journal(self) -> str:
        """Return the log the line stands in; opens and amends, and ends, are written by different processes."""
        return self.log or f"{self.surface}/{'signals' if self.action in ('open', 'amend') else 'resolutions'}"


class BadLine(Exception):
    """A line that can't be what the publisher wrote; the message says why."""


_TEXTS = tuple(name for name, kind in Item.__annotations__.items() if kind is str)
_NUMBERS = tuple(name for name, kind in Item.__annotations__.items() if kind == Decimal | None)
_page = msgspec.json.Decoder(Page)
_item = msgspec.json.Decoder(Item)


def parse_page(body: bytes) -> Page:
    """Read a whole answer.

    Raises:
        Retry: cut short, not JSON, or not of the form the feed documents.
    """
    try:
        page = _page.decode(body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Retry("a page of the feed", f"{len(body)} bytes that are none ({error})") from error
    if page.server_time.tzinfo is None or not page.after:
        raise Retry("a page with server_time and a cursor", "one without")
    return page


def hash_matches(raw: bytes) -> bool:
    """Tell whether the line's ``h`` is the SHA-256 of its bytes before ``,"h":"``, with nothing smuggled in after."""
    found = _TAIL.search(raw, max(0, len(raw) - _TAIL_ROOM))
    return found is not None and sha256(raw[: found.start()]).hexdigest() == found[1].decode()


def parse_item(raw: bytes) -> Item:
    """Read one line.

    Raises:
        BadLine: it lacks what every line has, or an open lacks what an entry needs.
    """
    try:
        item = _item.decode(raw)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadLine(str(error)) from error
    # The id becomes part of addresses and order ids: nothing but the documented form may get there.
    if not SIGNAL_ID.fullmatch(item.signal_id):
        raise BadLine("signal_id is not sig_ and 26 characters")
    if problem := _problem(item):
        raise BadLine(problem)
    return item


def _problem(item: Item) -> str:
    # Texts end up in terminals and reports.
    if item.ts and not _TS.fullmatch(item.ts):
        return "a ts that is not UTC with microseconds"
    if not all(getattr(item, name).isprintable() and len(getattr(item, name)) <= LONGEST_TEXT for name in _TEXTS):
        return "a text that is too long or can't be printed"
    numbers = (getattr(item, name) for name in _NUMBERS)
    if any(number is not None and not number.is_finite() for number in numbers):
        return "a number that is none"
    for name in ("trailing_distance", "trailing_percent"):
        value = getattr(item, name)
        if value is not None and value <= 0:
            return f"a {name} that is not positive"
    if item.trailing_percent is not None and item.trailing_percent >= 100:
        return "a trailing_percent of the whole price"
    if item.action == "amend" and not _are_levels(item.stop_loss, item.take_profit):
        return "an amend without a stop_loss that can be one"
    return _open_problem(item) if item.is_open else ""


def _open_problem(item: Item) -> str:
    if item.id != item.signal_id:
        return "an open whose id is not its signal_id"
    if item.side not in ("buy", "sell") or not item.market:
        return "an open without market and side"
    if not _positive(item.reference_price) or not _are_levels(item.stop_loss, item.take_profit):
        return "an open without a positive reference_price and levels around it"
    if not _aware(item.published_at) or not _aware(item.expires_at):
        return "an open without published_at and expires_at"
    return ""


def _are_levels(stop: Decimal | None, target: Decimal | None) -> bool:
    """Tell whether a position can lie between the two; one of them is 0 for an event contract, which settles there.

    Without a target only the stop ends it: that is no contract, and its stop is a price.
    """
    if stop is None or target is None:
        return target is None and _positive(stop)
    return min(stop, target) >= 0 and max(stop, target) > 0


def _positive(number: Decimal | None) -> bool:
    return number is not None and number.is_finite() and number > 0


def _aware(moment: datetime | None) -> bool:
    return moment is not None and moment.tzinfo is not None
