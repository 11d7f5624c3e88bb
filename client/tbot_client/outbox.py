"""Reports on their way to the feed: kept until answered, in order for each signal, repeated as the same bytes."""

from tbot_client.backoff import Backoff
from tbot_client.book import Book, say
from tbot_client.clock import Clock
from tbot_client.errors import Retry, Unreachable
from tbot_client.feed import Answer, FeedClient
from tbot_client.reports import Report

AT_ONCE = 50
ACK_TIMEOUT_S = 3.0


class Outbox:
    """Sends what the journal says is unsent; without a feed (a dry run) reports are only ticked off."""

    def __init__(self, book: Book, feed: FeedClient | None, clock: Clock, backoff: Backoff) -> None:
        self._book = book
        self._feed = feed
        self._clock = clock
        self._backoff = backoff
        self._due = 0.0

    def flush(self) -> None:
        """Send what is due, oldest first; the first sign of trouble postpones the rest.

        Raises:
            Unreachable: the token is not accepted.
        """
        if self._clock.monotonic() < self._due:
            return
        try:
            for report in list(self._book.state.outbox.values())[:AT_ONCE]:
                self._send(report, 10.0)
            self._backoff.reset()
        except Retry as error:
            self._due = self._clock.monotonic() + self._backoff.next(error.after_s)

    def first(self, signal_id: str) -> bool:
        """Send a signal's ack ahead of its order; return whether the feed says it is too late to execute.

        A feed that is slow or away does not hold up an order: the decision rests on our own clock and limits.
        """
        if self._clock.monotonic() < self._due:
            return False
        try:
            for report in [r for r in self._book.state.outbox.values() if r.signal_id == signal_id]:
                answer = self._send(report, ACK_TIMEOUT_S)
                if answer.do_not_execute:
                    return True
        except (Retry, Unreachable) as error:
            self._due = self._clock.monotonic() + self._backoff.next(getattr(error, "after_s", None))
        return False

    def _send(self, report: Report, timeout_s: float) -> Answer:
        if self._feed is None:
            answer = Answer(200, "")
        else:
            answer = self._feed.report(report.signal_id, report.stage, report.body, timeout_s)
        self._file(report, answer)
        return answer

    def _file(self, report: Report, answer: Answer) -> None:
        """Tick a report off: taken, contradicted (409, 422 and other refusals), or unknown there (404)."""
        record = {"number": report.number, "status": answer.status}
        if 200 <= answer.status < 300:
            return self._book.write({"kind": "sent"} | record)
        kind = "dropped" if answer.status == 404 else "disputed"
        say(f"the feed answered {answer.status} to {report.stage} of {report.signal_id}: {kind}")
        return self._book.write({"kind": kind, "text": answer.text} | record)
