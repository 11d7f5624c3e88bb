"""Reports a second that the feed takes in, each answered 201 after it is durable, beside the disk's own rate.

python -m bench.callbacks [seconds of each run, default 6]

Every connection is a subscriber of its own that reports ack, executed and resolved of one signal after the other,
the next as soon as the last was answered, over keep-alive connections to the real server. Reports that arrive while
the disk is busy share the next fdatasync. The peers, in the same run on the same disk: a bare write and fdatasync of a
line as long, and an append to a journal of ours with one sync a record. The load generator shares the machine.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bench import _reporters
from bench._crowd import raise_limits
from bench._feed import publish_many, running_feed
from bench._peers import Peer
from domain.clock import RealClock, iso
from journal import Journal

TARGET_PER_S = 2_000
CONNECTIONS = (1, 64, 256)
SIGNALS = 4_000
LINE_BYTES = 900
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def main(seconds: float) -> int:
    """Print the table; return 0 whether or not the target is met."""
    raise_limits(2_000)
    with tempfile.TemporaryDirectory(prefix="bench-callbacks-", dir=".") as name:
        home = Path(name).resolve()
        with running_feed(home, subscribers=sum(CONNECTIONS)) as (feed, journal, given):
            signals = publish_many(journal, SIGNALS)
            feed.until_quiet()
            print("| durable reports | per second | p50 ms | p99 ms | server's processor time |")
            print("|---|---|---|---|---|")
            raw = _row("raw write + fdatasync, one after the other", _raw(home / "raw"), seconds / 3)
            _row("journal append, one sync a record", _append(home / "alone"), seconds / 3)
            best = max(
                _feed_row(feed, [given.pop() for _ in range(number)], signals, seconds) for number in CONNECTIONS
            )
            again = _row("raw write + fdatasync, once more", _raw(home / "raw"), seconds / 3)
            print(f"the best is {best / ((raw + again) / 2):.1f}x the rate of one bare fdatasync a report")
            print(
                f"target: at least {TARGET_PER_S} a second: {best:.0f}, {'met' if best >= TARGET_PER_S else 'missed'}"
            )
            _check(home, feed)
    return 0


def _feed_row(feed: Peer, tokens: list[str], signals: list[str], seconds: float) -> float:
    before = feed.cpu_ticks()
    found = _reporters.report(feed.port, tokens, signals, iso(datetime.now(UTC)), seconds)
    cpu_s = (feed.cpu_ticks() - before) / TICKS_PER_S
    took, count = found["took"], len(found["took"])
    share = f"{cpu_s / count * 1e6:.0f} µs a report, {cpu_s / found['seconds']:.0%} of a core"
    rate = count / found["seconds"]
    name = f"the feed over HTTP, {len(tokens)} connection{'s' if len(tokens) > 1 else ''}"
    print(f"| {name} | {rate:,.0f} | {took[count // 2]:.1f} | {took[count * 99 // 100]:.1f} | {share} |", flush=True)
    return float(rate)


def _row(name: str, work: Callable[[], object], seconds: float) -> float:
    took: list[float] = []
    begun = time.monotonic()
    while time.monotonic() < begun + seconds:
        before = time.monotonic()
        work()
        took.append((time.monotonic() - before) * 1e3)
    rate, took = len(took) / (time.monotonic() - begun), sorted(took)
    print(f"| {name} | {rate:,.0f} | {took[len(took) // 2]:.2f} | {took[len(took) * 99 // 100]:.2f} | |", flush=True)
    return rate


def _raw(path: Path) -> Callable[[], None]:
    fd, line = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), b"x" * (LINE_BYTES - 1) + b"\n"

    def write() -> None:
        os.write(fd, line)
        os.fdatasync(fd)

    return write


def _append(directory: Path) -> Callable[[], object]:
    journal = Journal.open(directory, clock=RealClock(), log="bench/alone")
    fields = {"text": "x" * (LINE_BYTES - 400)}
    return lambda: journal.append("callback", surface="fx", mode="paper", fields=fields)


def _check(home: Path, feed: Peer) -> None:
    """Say what the memory of all these reports is."""
    lines = sum(1 for path in (home / "logs/feed/callbacks").glob("0*.jsonl") for _ in path.open("rb"))
    print(f"{lines:,} lines in the callbacks journal; the feed takes {feed.rss_kib() / 1024:.0f} MiB of memory")


if __name__ == "__main__":
    print(f"reports, {iso(datetime.now(UTC))[:10]}")
    raise SystemExit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 6.0))
