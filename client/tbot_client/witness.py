"""Whether what arrives is what the publisher wrote: hash, signature and place of every line and of every head.

What can't be shown to be the publisher's own is never acted on. What is, but contradicts the past that was seen, still
may end a position: leaving lessens risk.
"""

import contextlib
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import msgspec

from tbot_client.book import Book, say
from tbot_client.clock import Clock, iso, parse_iso
from tbot_client.config import Feed
from tbot_client.distrust import unsigned
from tbot_client.errors import ClientError, HistoryChanged
from tbot_client.heads import Evidence, Seen
from tbot_client.history import TODO, History
from tbot_client.keys import BadSignature, Keyring, Learned, OlderKey, line_text, parse_keys
from tbot_client.wire import Head, Item, Page, hash_matches

ASK_AGAIN_S = 10.0
# Something in between may hold an older answer; a key that is missing in this many is not served.
ASKED = 3
_WHY = {
    "pinned": "as your settings name it",
    "first": "the first one seen for it. Compare it with what your publisher tells you on another way",
    "endorsed": "vouched for by the one before it",
    "ended": "which ends",
}


class Witness:
    """Checks lines and heads against the keys that count and against what was seen."""

    def __init__(
        self,
        book: Book,
        settings: Feed,
        clock: Clock,
        evidence: Evidence,
        ask: Callable[[], bytes],
        cache: Path,
        last_heard: datetime | None = None,
    ) -> None:
        self._book = book
        self._clock = clock
        self._is_required = settings.require_signatures
        self._evidence = evidence
        self._ask = ask
        self._cache = cache
        self._ask_due: dict[str, float] = {}
        self._verified: set[tuple[str, int, str]] = set()
        self.is_genuine = False
        self.history = History(book.state.hashes, last_heard)
        self.ring = Keyring(settings.publisher_keys, book.state.keys)

    def prepare(self, page: Page, items: Iterable[Item]) -> None:
        """Ask for the publisher's keys when something is signed by one that is not known yet.

        Raises:
            Retry: they can't be had now; nothing of the page was taken in.
        """
        signed = {item.sig[:16] for item in items} | {(head.sig or "")[:16] for head in page.logs.values()}
        now = self._clock.monotonic()
        wanted = {key for key in signed if key and key not in self.ring and now >= self._ask_due.get(key, 0.0)}
        for _ in range(ASKED):
            if not wanted or all(self.ring.is_served(key) for key in wanted):
                break
            body = self._ask()
            if learned := self.ring.learn(parse_keys(body)):
                self._keep(body, learned)
        self._ask_due |= dict.fromkeys(wanted, now + ASK_AGAIN_S)

    def _keep(self, body: bytes, learned: list[Learned]) -> None:
        for one in learned:
            self._book.insist({"kind": "key", "key": msgspec.to_builtins(one.key), "why": one.why})
            say(f"publisher key {one.key.key} of {one.key.surface} since {one.key.from_}: {_WHY[one.why]}")
        partial = self._cache.with_suffix(".new")
        # A copy for `verify` and for people; what counts is in the journal.
        with contextlib.suppress(OSError):
            partial.write_bytes(body)
            partial.replace(self._cache)

    def take_heads(self, page: Page) -> None:
        """Check and keep the heads of an answer; ``is_genuine`` tells whether they are the publisher's, as they were.

        Raises:
            Stale: the answer is older than one taken before.
        """
        self.is_genuine = False
        try:
            self.history.check_heads(page.logs, page.server_time)
            for log, head in page.logs.items():
                self._take_head(log, head)
        except HistoryChanged as error:
            self.distrust(error)
        else:
            self.is_genuine = True

    def _take_head(self, log: str, head: Head) -> None:
        place = (log, head.seq, head.h)
        if head.seq == 0 or place in self._verified:
            return
        self._check(log, head.seq, head.h, head.sig or "", "", "head")
        self._verified = {one for one in self._verified if one[0] != log} | {place}
        self._evidence.head(Seen(log=log, seq=head.seq, h=head.h, sig=head.sig or "", at=iso(self._clock.now())))

    def check(self, raw: bytes, item: Item) -> bool:
        """Tell whether a line may be acted on; say so, and stop entries, where it contradicts anything."""
        try:
            if not hash_matches(raw):
                raise HistoryChanged(f"{item.journal} line {item.seq} to match its hash", "other bytes", TODO)
            self._check(item.journal, item.seq, item.h, item.sig, item.ts, "line")
        except HistoryChanged as error:
            self.distrust(error)
            return False
        except OlderKey as error:
            say(f"{item.journal} line {item.seq} is left out: {error}")
            return False
        if item.ts:
            # What is signed for a moment was written then: a feed that says it is earlier brings nothing back to life.
            self._clock.at_least(parse_iso(item.ts))
        return self._is_in_place(item)

    def _is_in_place(self, item: Item) -> bool:
        try:
            self.history.check_line(item)
        except HistoryChanged as error:
            self.distrust(error)
            # Without a signature the place is all that speaks for a line.
            return bool(item.sig) and item.is_end
        return True

    def _check(self, log: str, seq: int, h: str, sig: str, ts: str, what: str) -> None:
        if not self._is_required and sig[:16] not in self.ring:
            return
        try:
            if not sig:
                raise BadSignature("it carries none")
            if what == "line" and not ts:
                raise BadSignature("it carries no ts")
            self.ring.check(log.partition("/")[0], line_text(h), sig, ts)
        except OlderKey:
            if what == "line":
                raise
        except BadSignature as error:
            raise unsigned(f"{log} {what} {seq} ({h[:12]}…)", error) from error

    def keep(self, items: Iterable[Item]) -> None:
        """Keep the lines of a page as evidence."""
        at = iso(self._clock.now())
        self._evidence.lines([Seen(log=i.journal, seq=i.seq, h=i.h, sig=i.sig, at=at, is_line=True) for i in items])

    def save(self) -> None:
        self._evidence.save()

    def distrust(self, error: ClientError) -> None:
        """Stop entries for good, aloud and on disk."""
        state, signer = self._book.state, getattr(error, "signer", "")
        if state.distrust and (not state.distrust_signers or signer in state.distrust_signers):
            return
        say(f"HistoryChanged: {error}. No more entries; exits go on.")
        # A key that a corrected setting would make count is the lightest cause: a graver one must not hide behind it.
        signers = [*state.distrust_signers, signer] if signer else []
        self._book.insist({"kind": "distrust", "what": str(error), "signers": signers})
