"""The publisher's past as this client saw it, so that a rewritten one is noticed.

Each line carries the hash of its bytes and of the line before it, and each answer the head of every log. A head may
only move forward, and whatever was seen at a sequence number must still be there. A past that changed means that what
is published can't be relied on: the caller stops entering.
"""

from collections.abc import Mapping

from tbot_client.errors import HistoryChanged
from tbot_client.wire import Head, Item, hash_matches

REMEMBERED = 512
_TODO = "ask the publisher what happened; after that, `tbot-client run --trust-new-history` begins anew"


class History:
    """Hashes by log and sequence number, at least of the newest head and the newest line."""

    def __init__(self, known: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self._known: dict[str, dict[int, str]] = {}
        self._heads: dict[str, int] = {}
        for log, entries in (known or {}).items():
            self._known[log] = {int(seq): h for seq, h in entries.items()}
            self._heads[log] = max(self._known[log])

    def check_heads(self, heads: Mapping[str, Head]) -> None:
        """Compare the heads of an answer with what is remembered, and remember them.

        Raises:
            HistoryChanged: a log became shorter, or has another hash at the same place.
        """
        for log, head in heads.items():
            last = self._heads.get(log, 0)
            if head.seq < last:
                raise HistoryChanged(f"{log} to have at least {last} lines", str(head.seq), _TODO)
            self._remember(log, head.seq, head.h)
            self._heads[log] = head.seq

    def check_line(self, raw: bytes, item: Item) -> None:
        """Check one line against its own hash and against its neighbours, and remember it.

        Raises:
            HistoryChanged: the bytes don't match the hash, or the line does not follow the one before it.
        """
        log = item.journal
        if not hash_matches(raw):
            raise HistoryChanged(f"{log} line {item.seq} to match its hash", "other bytes", _TODO)
        before = self._known.get(log, {}).get(item.seq - 1)
        if before is not None and item.prev and item.prev != before:
            raise HistoryChanged(f"{log} line {item.seq} to follow {before[:12]}…", f"{item.prev[:12]}…", _TODO)
        self._remember(log, item.seq, item.h)

    def _remember(self, log: str, seq: int, h: str) -> None:
        known = self._known.setdefault(log, {})
        if known.setdefault(seq, h) != h:
            raise HistoryChanged(f"{log} line {seq} to be {known[seq][:12]}… as before", f"{h[:12]}…", _TODO)
        if len(known) > REMEMBERED:
            del known[min(known)]

    def saved(self) -> dict[str, dict[str, str]]:
        """Return what a restart must still know: the newest few hashes of each log."""
        return {log: {str(seq): known[seq] for seq in sorted(known)[-2:]} for log, known in self._known.items()}
