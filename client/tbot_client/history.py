"""The publisher's past as this client saw it, so that a rewritten one is noticed.

Each line carries the hash of its bytes and of the line before it, and each answer the head of every log. A head may
only move forward, and whatever was seen at a sequence number must still be there. A past that changed means that what
is published can't be relied on: the caller stops entering.
"""

from collections.abc import Mapping
from datetime import datetime

from tbot_client.errors import HistoryChanged, Stale
from tbot_client.wire import Head, Item

REMEMBERED = 512
TODO = "ask the publisher what happened; after that, `tbot-client run --trust-new-history` begins anew"


class History:
    """Hashes by log and sequence number, at least of the newest head and the newest line."""

    def __init__(
        self, known: Mapping[str, Mapping[str, str]] | None = None, last_heard: datetime | None = None
    ) -> None:
        self._known: dict[str, dict[int, str]] = {}
        self._heads: dict[str, int] = {}
        self._newest = last_heard
        for log, entries in (known or {}).items():
            self._known[log] = {int(seq): h for seq, h in entries.items()}
            self._heads[log] = max(self._known[log])

    def check_heads(self, heads: Mapping[str, Head], server_time: datetime | None = None) -> None:
        """Compare the heads of an answer with what is remembered, and remember them.

        Raises:
            Stale: the answer is older than one taken before, as a cache or a proxy may serve it.
            HistoryChanged: a log became shorter, or has another hash at the same place.
        """
        changed = [found for log, head in heads.items() if (found := self._change(log, head)) is not None]
        is_stale = server_time is not None and self._newest is not None and server_time < self._newest
        if any(head.seq < self._heads.get(log, 0) for log, head in heads.items()) and is_stale:
            todo = "left out; something between here and the feed keeps old answers"
            raise Stale("an answer no older than the last one", f"one of {server_time:%Y-%m-%d %H:%M:%S} UTC", todo)
        if server_time is not None and not is_stale:
            self._newest = server_time
        if changed:
            raise changed[0]

    def _change(self, log: str, head: Head) -> HistoryChanged | None:
        last = self._heads.get(log, 0)
        if head.seq < last:
            return HistoryChanged(f"{log} to have at least {last} lines", str(head.seq), TODO)
        try:
            self._remember(log, head.seq, head.h)
        except HistoryChanged as error:
            return error
        self._heads[log] = head.seq
        return None

    def check_line(self, item: Item) -> None:
        """Check one line against its neighbours, and remember it.

        Raises:
            HistoryChanged: it does not follow the one before it, or another stood in its place.
        """
        log = item.journal
        before = self._known.get(log, {}).get(item.seq - 1)
        if before is not None and item.prev and item.prev != before:
            raise HistoryChanged(f"{log} line {item.seq} to follow {before[:12]}…", f"{item.prev[:12]}…", TODO)
        self._remember(log, item.seq, item.h)

    def _remember(self, log: str, seq: int, h: str) -> None:
        known = self._known.setdefault(log, {})
        if known.setdefault(seq, h) != h:
            raise HistoryChanged(f"{log} line {seq} to be {known[seq][:12]}… as before", f"{h[:12]}…", TODO)
        if len(known) > REMEMBERED:
            del known[min(known)]

    def saved(self) -> dict[str, dict[str, str]]:
        """Return what a restart must still know: the newest few hashes of each log."""
        return {log: {str(seq): known[seq] for seq in sorted(known)[-2:]} for log, known in self._known.items()}
