"""What must hold of a surface's journals and of its account at the venue, whatever happened on the way."""

from collections import Counter
from decimal import Decimal

from fx_venue import signal_of
from waiting import until

from audit.fold import SurfaceFold
from audit.logs import verify_all
from domain.vocabulary import Leg
from journal import read

D = Decimal
STREAMS = ("decisions", "orders", "signals", "resolutions")


def lines_of(home):
    """Return log -> the committed lines, as bytes."""
    folders = {stream: home / "logs" / "fx" / stream for stream in STREAMS}
    return {name: [entry.raw for entry in read(folder)] for name, folder in folders.items() if folder.exists()}


def fold_of(home):
    """Return what a process that starts now believes."""
    fold = SurfaceFold(D(25_000), "USD")
    for stream in STREAMS:
        folder = home / "logs" / "fx" / stream
        for entry in read(folder) if folder.exists() else ():
            fold.apply(entry.record)
    return fold


def come_to_rest(desk, seconds=60.0):
    """Stop entries, wait until time has closed every position and all is told, and end both processes cleanly."""
    (desk.home / "logs" / "STOP").touch()
    until(lambda: desk.is_alive() and is_at_rest(desk), f"an account at rest; {desk.said()[-1500:]}", seconds)
    codes = desk.end()
    assert codes == [0] * len(codes), desk.said()


def is_at_rest(desk):
    if desk.held() or not {signal_of(key) for key in desk.entries()} <= desk.resolved():
        return False
    fold = fold_of(desk.home)
    return not (fold.unfinished(Leg.ENTRY) or fold.unfinished(Leg.EXIT) or fold.unclosed() or fold.positions())


def venue_fills(desk):
    rows = desk.venue("transactions/sinceid", id=0)["transactions"]
    return {row["id"]: (abs(D(row["units"])), D(row["price"])) for row in rows if row["type"] == "ORDER_FILL"}


def sent_ids(desk):
    """Return how often the venue was given each order id of ours."""
    rows = desk.venue("transactions/sinceid", id=0)["transactions"]
    orders = [row for row in rows if row["type"] == "MARKET_ORDER" and "clientExtensions" in row]
    return Counter(row["clientExtensions"]["id"] for row in orders)


def assert_books_and_venue_agree(desk):
    """Assert everything that must hold once the account is at rest."""
    assert {name: report.problems for name, report in verify_all(desk.home / "logs").items() if not report.ok} == {}
    events = desk.records("orders", "order_event") + desk.records("resolutions", "order_event")
    told = [event for event in events if D(event["quantity"]) > 0]
    fills = {event["transaction_id"]: (D(event["quantity"]), D(event["price"])) for event in told}
    entries, done = [signal_of(key) for key in desk.entries()], desk.resolved()

    assert fills == venue_fills(desk)
    assert len(told) == len(fills)
    assert set(sent_ids(desk).values()) <= {1}
    assert set(Counter(entries).values()) <= {1}
    intended = Counter(row["client_order_id"] for stream in STREAMS[1:] for row in desk.records(stream, "order_intent"))
    assert sent_ids(desk).keys() <= intended.keys()
    assert set(intended.values()) <= {1}
    assert sorted(row["signal_id"] for row in desk.records("resolutions", "resolution")) == sorted(entries)
    assert done == set(entries)
    closes = Counter(row["signal_id"] for row in desk.records("resolutions", "signal"))
    assert set(desk.opened().values()) <= {1}
    # A position that ended before its open could be told is never told: nobody is invited into what is over.
    assert closes == desk.opened()
    assert fold_of(desk.home).positions() == []
