"""A real feed process in a house of its own, and a surface's journal to publish through."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec

from bench._peers import Peer, free_port
from domain.clock import RealClock
from domain.house import House
from domain.ids import new_id
from domain.signal import SignalOpen
from domain.vocabulary import Mode, Side, Surface
from feed import tokens
from feed.tokens import Scope, Subscriber
from journal import Journal, NewRecord

NAME = "the feed"
_SECRET = "bench only, never a real secret!"  # noqa: S105  seals the cursors of a benchmark
_POLL = "GET /api/signals/feed?start=head&wait=50 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n"


@contextmanager
def running_feed(home: Path, *, subscribers: int) -> Iterator[tuple[Peer, Journal, list[str]]]:
    """Run a feed whose limits stay out of the way; give it, the journal it serves, and a token a subscriber."""
    house, port, clock = House(home=home), free_port(), RealClock()
    given = _subscribers(house, clock.now(), subscribers)
    settings = {
        "FEED_CURSOR_SECRET": _SECRET, "FEED_PORT": str(port), "TBOT_HOME": str(home), "FEED_PARKED_TOTAL": "100000",
        "FEED_PARKED_PER_TOKEN": "100", "FEED_RATE_PER_MIN": "1000000", "FEED_BURST": "1000000",
    }  # fmt: skip
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with Journal.open(house.log("fx", "signals"), clock=clock) as journal, (home / "feed.log").open("wb") as log:
        peer = Peer(
            NAME, [sys.executable, "-m", "feed"], port, env=kept | settings, log=log.fileno(),
            publish=lambda: publish(journal), requests=[_POLL.format(token).encode() for token in given],
        )  # fmt: skip
        try:
            yield peer, journal, given
        finally:
            peer.end()


def publish(journal: Journal) -> None:
    """Append one signal; it is durable when this returns."""
    signal = _signal(RealClock().now())
    journal.append("signal", surface="fx", mode="paper", id=signal.id, fields=signal)


def publish_many(journal: Journal, count: int) -> list[str]:
    """Append signals together and return their ids."""
    signals = [_signal(RealClock().now()) for _ in range(count)]
    journal.append_many(NewRecord(kind="signal", surface="fx", mode="paper", id=one.id, fields=one) for one in signals)
    return [one.id for one in signals]


def _signal(now: datetime) -> SignalOpen:
    signal_id = new_id("sig", now)
    return SignalOpen(
        id=signal_id, signal_id=signal_id, surface=Surface.FX, mode=Mode.PAPER, market="EUR_USD", side=Side.BUY,
        strategy="fx", sub_strategy="breakout", thesis="breakout:up", quantity=Decimal(1000),
        reference_price=Decimal("1.10000"), stop_loss=Decimal("1.09"), take_profit=Decimal("1.12"),
        trailing_distance=None, quote_currency="USD", edge_bp=Decimal("2.5"), confidence=Decimal("0.7"),
        eta_hours=Decimal(2), decision_id=new_id("dec", now), opened_at=now, published_at=now,
        expires_at=now + timedelta(seconds=600),
    )  # fmt: skip


def _subscribers(house: House, now: datetime, count: int) -> list[str]:
    """Write a list of subscribers at once, each with a token of its own, and return the tokens."""
    made = [tokens.create() for _ in range(count)]
    everybody = [
        Subscriber(id=token_id, sha256=tokens.digest(token), label="bench", surfaces=(Surface.FX,), created_at=now,
                   scopes=(Scope.FEED_READ, Scope.CALLBACK_WRITE))
        for token, token_id in made
    ]  # fmt: skip
    house.subscribers.parent.mkdir(parents=True, exist_ok=True)
    house.subscribers.touch(mode=0o600)
    house.subscribers.write_bytes(msgspec.json.encode(everybody))
    return [token for token, _ in made]
