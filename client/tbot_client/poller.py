"""The thread that waits for the feed, so that a wait of half a minute never holds up the broker's side."""

import queue
import threading
from collections.abc import Callable

from tbot_client.backoff import Backoff
from tbot_client.errors import ClientError, Retry
from tbot_client.feed import FeedClient
from tbot_client.wire import Page


class Poller:
    """Hands over one page at a time; asks for the next while that one is acted on.

    It keeps no place of its own beyond this run: the journal's cursor moves only when the page's actions are done. The
    connection is its own, and closed with it.
    """

    def __init__(self, feed: FeedClient, wait_s: int, backoff: Backoff, say: Callable[[str], None]) -> None:
        self._feed = feed
        self._wait_s = wait_s
        self._backoff = backoff
        self._say = say
        self._pages: queue.Queue[Page | ClientError] = queue.Queue(maxsize=1)
        self._stop = threading.Event()

    def start(self, cursor: str) -> None:
        threading.Thread(target=self._run, args=(cursor,), name="poller", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def next(self, timeout_s: float) -> Page | None:
        """Return the next page, or None when none came in time.

        Raises:
            ClientError: what ended the polling.
        """
        try:
            found = self._pages.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if isinstance(found, ClientError):
            raise found
        return found

    def _run(self, cursor: str) -> None:
        try:
            self._follow(cursor)
        finally:
            self._feed.close()

    def _follow(self, cursor: str) -> None:
        while not self._stop.is_set():
            try:
                page = self._feed.page(cursor, self._wait_s)
            except Retry as error:
                self._say(f"feed: {error}")
                self._stop.wait(self._backoff.next(error.after_s))
            except ClientError as error:
                return self._hand_over(error)
            else:
                self._backoff.reset()
                self._hand_over(page)
                cursor = page.after
                self._stop.wait(page.poll_after_ms / 1000)

    def _hand_over(self, found: Page | ClientError) -> None:
        while not self._stop.is_set():
            try:
                return self._pages.put(found, timeout=0.5)
            except queue.Full:
                pass
