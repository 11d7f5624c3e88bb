"""What waking all waiting subscribers costs, beside other servers in the same run on the same machine.

python -m bench.feed [numbers of waiters, default 100 1000 5000]

One process of raw sockets is the whole crowd; it shares the machine with the server, so the figures hold its own
receiving too, and only ratios mean anything. A round is: connect, send, wait until the server is quiet, publish, and
note when each client holds its whole answer. The feed's signal is published by an append to the surface's journal,
and its clock starts when that append has returned, durable; the clock of the others starts when the request or the
message that publishes has been sent. All of them send as many bytes as the feed's answer has.
"""

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import monotonic

from bench import _peers
from bench._crowd import Crowd, raise_limits
from bench._feed import NAME as FEED
from bench._feed import running_feed
from bench._peers import Peer
from domain.clock import iso

SUBSCRIBERS = 5_000
ROUNDS = 3
FILES_BESIDE_CLIENTS = 200

Figures = tuple[float, float, float]  # ms until the first, the middle and the last client had their answer


def main(numbers: list[int]) -> int:
    """Print one table a number of waiters; return 0 whether or not a target is met."""
    limit = raise_limits(max(numbers) + FILES_BESIDE_CLIENTS)
    with (
        tempfile.TemporaryDirectory(prefix="bench-feed-", dir=".") as name,
        running_feed(Path(name).resolve(), subscribers=SUBSCRIBERS) as (feed, _, _),
    ):
        crowd = Crowd()
        size = _body_bytes(feed)
        print(f"an answer's body has {size} bytes")
        peers = [feed, *_others(size)]
        try:
            idle = {peer.name: peer.rss_kib() for peer in peers}
            for waiters in numbers:
                if waiters + FILES_BESIDE_CLIENTS > limit:
                    print(f"\n{waiters} waiters: not measured, this machine allows {limit} open files")
                else:
                    _table(waiters, peers, crowd, idle)
        finally:
            crowd.end()
            for peer in peers[1:]:
                peer.end()
    return 0


def _others(size: int) -> list[Peer]:
    found = [_peers.ours(name, size) for name in _peers.SERVERS]
    for name, start in (("nats-server", _peers.nats), ("redis-server", _peers.redis)):
        peer = start(size)
        if peer is None:
            print(f"{name}: not installed")
        else:
            found.append(peer)
    return found


def _table(waiters: int, peers: list[Peer], crowd: Crowd, idle: dict[str, int]) -> None:
    rounds: dict[str, list[Figures]] = {peer.name: [] for peer in peers}
    memory: dict[str, float] = {}
    for _ in range(ROUNDS):
        for peer in peers:  # taking turns, so that a busy moment hits all of them
            figures, rss = _round(peer, waiters, crowd)
            rounds[peer.name].append(figures)
            memory.setdefault(peer.name, (rss - idle[peer.name]) / waiters)
    medians = {name: [median(one[column] for one in many) for column in range(3)] for name, many in rounds.items()}
    print(f"\n| {waiters} waiters, ms | first | p50 | last | µs/client | KiB/waiter | last, feed : this |")
    print("|---|---|---|---|---|---|---|")
    ours = medians[FEED][2]
    for name, (first, middle, last) in medians.items():
        ratio = "" if name == FEED else f"{ours / last:.2f}"
        row = f"{first:.1f} | {middle:.1f} | {last:.1f} | {last / waiters * 1e3:.1f} | {memory[name]:.1f} | {ratio}"
        print(f"| {name} | {row} |", flush=True)
    mib = (idle[FEED] + memory[FEED] * waiters) / 1024
    print(f"the feed's process: {idle[FEED] / 1024:.1f} MiB idle, {mib:.1f} MiB with {waiters} waiting")
    _judge(waiters, {name: last for name, (_, _, last) in medians.items()}, memory[FEED])


def _judge(waiters: int, last: dict[str, float], kib: float) -> None:
    """Say of each target what became of it."""
    for name, most, at in (("bare ASGI on uvicorn", 2.0, 1_000), ("granian + Starlette", 1.2, 5_000)):
        if waiters == at:
            ratio = last[FEED] / last[name]
            print(f"target: last at most {most}x {name}: {ratio:.2f}x, {'met' if ratio <= most else 'missed'}")
    if waiters == 5_000:
        print(f"target: at most 10 KiB a waiter: {kib:.1f} KiB, {'met' if kib <= 10 else 'missed'}")


def _round(peer: Peer, waiters: int, crowd: Crowd) -> tuple[Figures, int]:
    crowd.park(peer.port, peer.requests(waiters), ready=peer.ready, need=peer.need)
    peer.until_quiet()
    rss = peer.rss_kib()
    peer.publish()
    begun = monotonic()
    try:
        took = [(moment - begun) * 1e3 for moment in crowd.answers()]
    except SystemExit:
        print(f"{peer.name} did not answer everybody", file=sys.stderr)
        raise
    peer.until_quiet()
    return (took[0], took[len(took) // 2], took[-1]), rss


def _body_bytes(feed: Peer) -> int:
    """Return the length of the answer's body to a poll that one signal ends."""
    import httpx

    feed.publish()
    head, _, _ = feed.requests(1)[0].decode().partition("\r\n\r\n")
    token = head.rpartition(" ")[2]
    url = f"http://127.0.0.1:{feed.port}/api/signals/feed?start=oldest&limit=1&wait=20"
    return len(httpx.get(url, headers={"authorization": f"Bearer {token}", "accept-encoding": "identity"}).content)


if __name__ == "__main__":
    print(f"fan-out, {iso(datetime.now(UTC))[:10]}")
    raise SystemExit(main([int(number) for number in sys.argv[1:]] or [100, 1_000, 5_000]))
