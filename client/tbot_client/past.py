"""The feed read again from an earlier place, line by line, with what is wrong about each line said beside it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

from tbot_client.clock import iso
from tbot_client.errors import ClientError, Retry, Unreachable
from tbot_client.feed import FeedClient
from tbot_client.keys import BadSignature, Keyring, OlderKey, line_text, parse_keys
from tbot_client.wire import BadLine, Head, Item, Page, hash_matches, parse_item

PAUSE_S = 0.5
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Line:
    """A line as served now; ``fault`` is empty when it is the publisher's, ``is_older`` when no key can tell."""

    item: Item
    fault: str = ""
    is_older: bool = False


class Past:
    """Reads pages from a start to the head; afterwards ``heads`` are those of the last answer."""

    def __init__(self, feed: FeedClient, ring: Keyring, *, is_required: bool, attempts: int = 4) -> None:
        self._feed = feed
        self._ring = ring
        self._is_required = is_required
        self._attempts = attempts
        self.heads: dict[str, Head] = {}
        self.malformed = 0

    def learn(self) -> None:
        """Take in what the feed serves of keys, for this reading alone."""
        self._ring.learn(parse_keys(self._asked(self._feed.keys)))

    def since(self, moment: datetime) -> Iterator[Line]:
        """Yield the lines since a moment, or since the oldest that is served if that is later."""
        try:
            page = self._asked(lambda: self._feed.begin(iso(moment), 0))
        except (Retry, Unreachable):
            raise
        except ClientError:
            return self.everything()
        return self._follow(page)

    def everything(self) -> Iterator[Line]:
        """Yield all lines that are served."""
        return self._follow(self._asked(lambda: self._feed.begin("oldest", 0)))

    def _follow(self, page: Page) -> Iterator[Line]:
        while True:
            for raw in page.items:
                if (line := self._line(bytes(raw))) is not None:
                    yield line
            self.heads = page.logs
            if not page.has_more:
                return
            page = self._asked(partial(self._feed.page, page.after, 0))

    def _line(self, raw: bytes) -> Line | None:
        try:
            item = parse_item(raw)
        except BadLine:
            self.malformed += 1
            return None
        if not hash_matches(raw):
            return Line(item, "its bytes do not match its hash")
        if not self._is_required and item.sig[:16] not in self._ring:
            return Line(item)
        try:
            self._ring.check(item.journal.partition("/")[0], line_text(item.h), item.sig, item.ts)
        except OlderKey:
            return Line(item, is_older=True)
        except BadSignature as error:
            return Line(item, str(error))
        return Line(item)

    def _asked(self, ask: Callable[[], Answer]) -> Answer:
        """Ask a few times: one lost answer should not cost the whole reading."""
        for attempt in range(1, self._attempts):
            try:
                return ask()
            except Retry as error:
                time.sleep(error.after_s if error.after_s is not None else PAUSE_S * attempt)
        return ask()
