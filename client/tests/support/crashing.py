"""Clients that kill themselves with signal 9 at one chosen moment: before or after their n-th durable step.

    python crashing.py HOME [broker]

It reads one number a line, runs a client in a forked child that dies at that moment, and answers with the child's exit
code and the moments it lived through. Steps are journal appends (before, half written, after), calls that change the
broker's account, and reports to the feed; with ``broker`` neither half written appends nor reports.
"""

import os
import signal
import sys
from pathlib import Path

from tbot_client import loop
from tbot_client.book import Book
from tbot_client.brokers.ibkr import IbkrBroker
from tbot_client.brokers.ibkr_wire import IbkrWire
from tbot_client.brokers.kalshi import KalshiBroker
from tbot_client.brokers.paper import PaperBroker
from tbot_client.clock import parse_clock
from tbot_client.feed import FeedClient
from tbot_client.home import Home, load
from tbot_client.journal import Journal
from tbot_client.loop import Loop

loop.TICK_S = 0.025  # as in conftest.py: most of a life would be waiting for a tick

moments = 0


def step(fatal):
    global moments
    moments += 1
    if moments == fatal:
        os.kill(os.getpid(), signal.SIGKILL)


def deadly(function, fatal):
    def wrapped(*args, **kwargs):
        step(fatal)
        result = function(*args, **kwargs)
        step(fatal)
        return result

    return wrapped


def torn(self, data, write, fatal):
    """Write half of a line and die, or write it."""
    global moments
    moments += 1
    if moments == fatal:
        os.write(self._fd, data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, data)


def main():
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            live(int(line))
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def live(fatal):
    home = Home(Path(sys.argv[1]))
    config = load(home)
    clock = parse_clock(config.clock.spec)
    kind = {"kalshi": KalshiBroker, "ibkr": IbkrBroker}.get(config.broker.kind, PaperBroker)
    Journal.append = deadly(Journal.append, fatal)
    if sys.argv[2:] != ["broker"]:
        write = Journal._write
        Journal._write = lambda self, data: torn(self, data, write, fatal)
        FeedClient.report = deadly(FeedClient.report, fatal)
    for name in ("place", "close", "protect"):
        setattr(kind, name, deadly(getattr(kind, name), fatal))
    book = Book(home.journal, clock)
    if kind is KalshiBroker:
        broker = KalshiBroker(config.broker, home.kalshi, clock, grace_s=0)
    elif kind is IbkrBroker:
        IbkrWire.act = deadly(IbkrWire.act, fatal)  # each order, answer and cancel on its way is a moment of its own
        broker = IbkrBroker(config.broker, home.ibkr, clock, grace_s=0.1, fill_s=0.3, late_s=0.02)
    else:
        broker = PaperBroker(config.broker, home.paper, clock.now)
    code = Loop(config, home, clock, book, broker, is_dry=False).run(once=True, for_s=None)
    print(moments, end=" ", flush=True)
    os._exit(code)


main()
