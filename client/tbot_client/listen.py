"""Signals as they come, printed or passed on to a program on this machine; nothing is traded or remembered."""

import sys
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import httpx
import msgspec

from tbot_client.backoff import Backoff
from tbot_client.book import say
from tbot_client.clock import MOMENT, iso, parse_iso
from tbot_client.config import LOOPBACK, Config
from tbot_client.distrust import unsigned
from tbot_client.errors import HistoryChanged, Resync, Retry, Usage, did_you_mean
from tbot_client.feed import FeedClient
from tbot_client.history import TODO, History
from tbot_client.home import Home
from tbot_client.journal import read
from tbot_client.keys import BadSignature, Key, Keyring, OlderKey, line_text, parse_keys
from tbot_client.state import State
from tbot_client.wire import BadLine, Item, Page, hash_matches, parse_item

EVENTS = ("open", "amend", "close", "resolution")
STARTS = ("head", "oldest")


class Listener:
    """Follows the feed from a start and hands every wanted line on."""

    def __init__(
        self, config: Config, events: frozenset[str], *, as_json: bool, forward_to: str, keys: Mapping[str, Key]
    ) -> None:
        for name in events - set(EVENTS):
            raise Usage(f"--events among {', '.join(EVENTS)}", repr(name), did_you_mean(name, EVENTS) or "correct it")
        if forward_to and urlsplit(forward_to).hostname not in LOOPBACK:
            raise Usage("--forward-to on this machine (127.0.0.1)", forward_to, "signals are for you alone")
        self._config = config
        self._events = events or frozenset(EVENTS)
        self._as_json = as_json
        self._forward_to = forward_to
        self._history = History()
        self._ring = Keyring(config.feed.publisher_keys, keys)
        self._feed = FeedClient(config)
        self._http = httpx.Client(trust_env=False, timeout=5.0)

    def close(self) -> None:
        self._feed.close()
        self._http.close()

    def run(self, start: str, is_over: Callable[[], bool]) -> None:
        """Print until told to stop; a cursor that can't be served goes on from now, and says so."""
        wait, cursor = self._config.poll.wait_s, ""
        backoff = Backoff(self._config.poll.retry_s, self._config.poll.retry_max_s)
        while not is_over():
            try:
                page = self._feed.page(cursor, wait) if cursor else self._feed.begin(start, 0)
            except Resync as error:
                say(f"{error}: lines may be missing")
                cursor, start = "", "head"
            except Retry as error:
                say(str(error))
                time.sleep(backoff.next(error.after_s))
            else:
                backoff.reset()
                self._take(page)
                cursor = page.after

    def _take(self, page: Page) -> None:
        """Hand on what is the publisher's own.

        Raises:
            HistoryChanged: something is not, or contradicts what came before.
        """
        if any(head.sig and head.sig[:16] not in self._ring for head in page.logs.values()):
            for learned in self._ring.learn(parse_keys(self._feed.keys())):
                say(f"publisher key {learned.key.key} of {learned.key.surface} ({learned.why})")
        self._history.check_heads(page.logs, page.server_time)
        for raw in page.items:
            try:
                item = parse_item(bytes(raw))
            except BadLine as error:
                say(f"a line was left out: {error}")
                continue
            if not self._is_signed(bytes(raw), item):
                continue
            self._history.check_line(item)
            if name_of(item) in self._events:
                self._hand_on(bytes(raw), item, item.signal_id in page.expired)

    def _is_signed(self, raw: bytes, item: Item) -> bool:
        where = f"{item.journal} line {item.seq}"
        if not hash_matches(raw):
            raise HistoryChanged(f"{where} to match its hash", "other bytes", TODO)
        if not self._config.feed.require_signatures and item.sig[:16] not in self._ring:
            return True
        try:
            self._ring.check(item.journal.partition("/")[0], line_text(item.h), item.sig, item.ts)
        except OlderKey as error:
            say(f"{where} was left out: {error}")
            return False
        except BadSignature as error:
            raise unsigned(where, error) from error
        return True

    def _hand_on(self, raw: bytes, item: Item, expired: bool) -> None:
        sys.stdout.write(raw.decode() + "\n" if self._as_json else arrow(item, expired) + "\n")
        sys.stdout.flush()
        if self._forward_to:
            self._forward(raw, expired)

    def _forward(self, raw: bytes, expired: bool) -> None:
        body = msgspec.json.encode({"expired": expired, "item": msgspec.Raw(raw)})
        try:
            answer = self._http.post(self._forward_to, content=body, headers={"Content-Type": "application/json"})
            say(f"  {answer.status_code} from {self._forward_to}")
        except httpx.HTTPError as error:
            say(f"  {type(error).__name__} from {self._forward_to}: not repeated")


def beginning(start: str) -> str:
    """Return a start as the feed takes it.

    Raises:
        Usage: it is none.
    """
    if start in STARTS:
        return start
    try:
        return iso(parse_iso(start))
    except (ValueError, OverflowError) as error:
        hint = did_you_mean(start, STARTS) or "correct it"
        raise Usage(f"--start as head, oldest, or {MOMENT}", repr(start), hint) from error


def remembered_keys(home: Home) -> Mapping[str, Key]:
    """Return the publisher's keys that a run on this home has come to know."""
    return State(read(home.journal)).keys


def name_of(item: Item) -> str:
    return item.action if item.kind == "signal" else item.kind


def arrow(item: Item, expired: bool) -> str:
    """Write one line for a person: time, what, where, levels."""
    at = f"{item.published_at:%Y-%m-%d %H:%M:%S}" if item.published_at else item.ts[:19].replace("T", " ")
    levels = f" at {item.reference_price} stop {item.stop_loss}" if item.stop_loss else ""
    if levels and item.take_profit is not None:
        levels += f" target {item.take_profit}"
    if levels and item.trailing_percent is not None:
        levels += f" trailing {item.trailing_percent} %"
    end = f" {item.reason}" if item.reason else ""
    late = " (expired)" if expired and item.action == "open" else ""  # an end never expires
    return f"{at} --> {name_of(item)} {item.side} {item.market}{levels}{end}{late} [{item.signal_id}]".replace(
        "  ", " "
    )
