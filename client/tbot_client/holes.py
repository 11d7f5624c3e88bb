"""Places of a log that no answer brought: lines that are not for subscribers, or a page that was never ours to see.

A cursor says where to go on, but not that nothing was left out: an answer meant for another subscriber brings a cursor
ahead of ours. Lines are counted, so what is missing shows, and the snapshot says what it was: an open that is missing
is in it, and an end that is missing is not.
"""

from tbot_client.wire import Item, Page

# The head of an answer may be a line newer than its items; the next answer brings that line.
PATIENCE_S = 5.0


class Holes:
    """Follows the sequence numbers of every log; lines that are not for subscribers cost a look at the snapshot."""

    def __init__(self) -> None:
        self._read_to: dict[str, int] = {}
        self._since: dict[str, float] = {}

    def begin(self, page: Page) -> None:
        """Take a snapshot for what it is: nothing before its heads is missing."""
        self._read_to = {log: head.seq for log, head in page.logs.items()}
        self._since = {}

    def note(self, page: Page, items: list[Item], now_s: float) -> None:
        """Count the lines of a page."""
        for item in items:
            if (last := self._read_to.get(item.journal)) is not None:
                if item.seq > last + 1:
                    self._since[item.journal] = now_s - PATIENCE_S
                self._read_to[item.journal] = max(last, item.seq)
        for log, last in self._read_to.items():
            is_behind = log in page.logs and page.logs[log].seq > last
            if is_behind and not page.has_more:
                self._since.setdefault(log, now_s)
            elif not is_behind and self._since.get(log, now_s) > now_s - PATIENCE_S:
                self._since.pop(log, None)

    def is_due(self, now_s: float) -> bool:
        """Tell whether something has been missing for too long."""
        return any(now_s - since >= PATIENCE_S for since in self._since.values())
