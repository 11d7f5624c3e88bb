"""WebSocket of the simulated Kalshi: commands, channels, sequence numbers and faults."""

import asyncio
import json
import time

import kalshi_lab
import kalshi_sim
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from simulators.kalshi.channels import CHANNELS

TICKER = kalshi_sim.TICKER
OTHER = "KXOTHER-14MAY06-A"


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    markets = [kalshi_sim.market(), kalshi_sim.market(OTHER, fair=0.30)]
    started = kalshi_sim.start(tmp_path_factory.mktemp("sockets"), markets)
    yield started
    started.stop()


@pytest.fixture
def clean(venue):
    yield venue
    venue.clear()


class Line:
    """One connection: sends commands, reads messages."""

    def __init__(self, socket):
        self.socket = socket
        self.number = 0

    async def send(self, cmd, **params):
        self.number += 1
        await self.socket.send(json.dumps({"id": self.number, "cmd": cmd, "params": params}))

    async def read(self, kind=None, seconds=5):
        """Return the next message, or the next of a kind."""
        async with asyncio.timeout(seconds):
            while True:
                message = json.loads(await self.socket.recv())
                if kind in (None, message["type"]):
                    return message

    async def is_quiet(self, seconds=0.3):
        try:
            await self.read(seconds=seconds)
        except TimeoutError:
            return True
        return False


def talk(venue, conversation, who=0):
    """Hold a conversation over one signed connection."""

    async def run():
        async with connect(venue.ws_url, additional_headers=venue.websocket_headers(who)) as socket:
            return await conversation(Line(socket))

    return asyncio.run(run())


def test_a_connection_must_be_signed(venue):
    async def run(headers):
        async with connect(venue.ws_url, additional_headers=headers):
            return None

    with pytest.raises(InvalidStatus) as refused:
        asyncio.run(run({}))
    with pytest.raises(InvalidStatus):
        asyncio.run(run(venue.websocket_headers() | {"KALSHI-ACCESS-KEY": "key-1"}))

    assert refused.value.response.status_code == 401


def test_a_book_begins_with_a_snapshot_and_goes_on_with_deltas_in_sequence(venue):
    async def conversation(line):
        await line.send("subscribe", channels=["orderbook_delta"], market_tickers=[TICKER])
        subscribed = await line.read()
        snapshot = await line.read()
        order = await asyncio.to_thread(venue.order, price="0.40", number=7, time_in_force="good_till_canceled")
        added = await line.read()
        await asyncio.to_thread(venue.send, "DELETE", f"/portfolio/events/orders/{order.json()['order_id']}")
        return subscribed, snapshot, added, await line.read()

    subscribed, snapshot, added, removed = talk(venue, conversation)

    assert subscribed == {"id": 1, "type": "subscribed", "msg": {"channel": "orderbook_delta", "sid": 1}}
    assert (snapshot["type"], snapshot["sid"], snapshot["seq"]) == ("orderbook_snapshot", 1, 1)
    assert snapshot["msg"]["yes_dollars_fp"][-1] == ["0.4900", "200.00"]
    assert snapshot["msg"]["no"][-1] == [49, 200]
    assert (added["type"], added["seq"], removed["seq"]) == ("orderbook_delta", 2, 3)
    told = [(d["msg"]["side"], d["msg"]["price_dollars"], d["msg"]["delta_fp"]) for d in (added, removed)]
    assert told == [("yes", "0.4000", "7.00"), ("yes", "0.4000", "-7.00")]
    assert (added["msg"]["price"], added["msg"]["delta"], added["msg"]["market_ticker"]) == (40, 7, TICKER)


def test_snapshot_and_deltas_add_up_to_the_book(venue):
    async def conversation(line):
        await line.send("subscribe", channels=["orderbook_delta"], market_ticker=OTHER)
        first = (await line.read("orderbook_snapshot"))["msg"]
        book = {(side, price): float(count) for side in ("yes", "no") for price, count in first[f"{side}_dollars_fp"]}
        await asyncio.to_thread(venue.order, price="0.33", number=500, ticker=OTHER)
        await asyncio.to_thread(venue.order, side="ask", price="0.29", number=90, ticker=OTHER)
        while not await _settled(line, book):
            pass
        return book

    async def _settled(line, book):
        try:
            delta = (await line.read("orderbook_delta", seconds=0.4))["msg"]
        except TimeoutError:
            return True
        key = (delta["side"], delta["price_dollars"])
        book[key] = book.get(key, 0) + float(delta["delta_fp"])
        return False

    book = talk(venue, conversation)

    told = venue.get(f"/markets/{OTHER}/orderbook")["orderbook_fp"]
    shown = {(side, p): float(n) for side in ("yes", "no") for p, n in told[f"{side}_dollars"]}
    assert {key: count for key, count in book.items() if count} == shown


def test_fills_and_trades_reach_their_account_and_everybody(venue):
    async def conversation(line):
        await line.send("subscribe", channels=["fill", "trade"], market_tickers=[TICKER])
        await line.read(), await line.read()
        await asyncio.to_thread(venue.order, number=3, client_order_id="told")
        await asyncio.to_thread(venue.order, number=2, who=1)
        return [await line.read() for _ in range(3)]

    messages = talk(venue, conversation)

    fills = [message["msg"] for message in messages if message["type"] == "fill"]
    trades = [message["msg"] for message in messages if message["type"] == "trade"]
    assert [fill["client_order_id"] for fill in fills] == ["told"]
    assert (fills[0]["count_fp"], fills[0]["count"], fills[0]["book_side"], fills[0]["is_taker"]) == (
        "3.00",
        3,
        "bid",
        True,
    )
    assert [trade["count_fp"] for trade in trades] == ["3.00", "2.00"]
    assert trades[0]["trade_id"] == fills[0]["trade_id"]


def test_ticker_tells_prices_at_once_if_asked_to_and_when_they_change(venue):
    async def conversation(line):
        await line.send("subscribe", channels=["ticker"], market_tickers=[OTHER])
        await line.read("subscribed")
        await line.send("subscribe", channels=["ticker"], market_tickers=[TICKER], send_initial_snapshot=True)
        first = await line.read("ticker")
        order = await asyncio.to_thread(venue.order, price="0.50", number=7, time_in_force="good_till_canceled")
        second = await line.read("ticker")
        await asyncio.to_thread(venue.send, "DELETE", f"/portfolio/events/orders/{order.json()['order_id']}")
        return first["msg"], second["msg"]

    first, second = talk(venue, conversation)

    assert (first["yes_bid_dollars"], first["yes_ask"], first["market_ticker"]) == ("0.4900", 51, TICKER)
    assert (second["yes_bid_dollars"], second["yes_bid_size_fp"], second["yes_bid"]) == ("0.5000", "7.00", 50)


def test_lifecycle_tells_of_pauses_as_they_happen(clean):
    async def conversation(line):
        await line.send("subscribe", channels=["market_lifecycle_v2"])
        await line.read("subscribed")
        fault = await asyncio.to_thread(clean.fault, "market_paused", match={"ticker": TICKER})
        paused = await line.read("market_lifecycle_v2")
        await asyncio.to_thread(clean.clear, fault)
        return paused["msg"], (await line.read("market_lifecycle_v2"))["msg"]

    told = talk(clean, conversation)

    assert [(body["event_type"], body["market_ticker"]) for body in told] == [
        ("deactivated", TICKER),
        ("activated", TICKER),
    ]


def test_channels_tell_what_time_brings(tmp_path):
    moves = [[kalshi_sim.START, 0.50], ["2014-05-06T07:30:00Z", 0.60]]
    soon = {"determined_at": "2014-05-06T08:30:00Z", "settled_at": "2014-05-06T09:00:00Z"}
    lab = kalshi_lab.lab(kalshi_lab.catalogue(tmp_path, [kalshi_sim.market(hours=1, fair=moves, **soon)]))
    now = lab.venue.position
    names = ("market_lifecycle_v2", "orderbook_delta", "trade")
    lives, books, trades = (CHANNELS[name](lab.venue, lab.account(), 1, {TICKER}, now) for name in names)
    list(books.news(now, lambda _: 0))

    now = lab.at("2014-05-06T07:30:00Z")
    moved = [message["msg"] for message in books.news(now, lambda _: 0)]
    printed = [message["msg"] for message in trades.news(now, lambda _: 0)]
    now = lab.at("2014-05-06T09:00:00Z")
    told = [message["msg"] for message in lives.news(now, lambda _: 0)]

    assert {(d["side"], d["price_dollars"]): d["delta"] for d in moved if d["price_dollars"] == "0.5900"} == {
        ("yes", "0.5900"): 200
    }
    assert sum(delta["delta"] for delta in moved) == 0
    assert [trade["ts"] for trade in printed] == [1399359600 + 300 * i for i in range(1, 7)]
    assert [(body["event_type"], body.get("result")) for body in told] == [("determined", "yes"), ("settled", None)]


def test_a_subscription_takes_markets_in_gives_them_up_and_ends(venue):
    async def conversation(line):
        await line.send("subscribe", channels=["orderbook_delta"], market_tickers=[TICKER])
        await line.read("orderbook_snapshot")
        await line.send("update_subscription", sids=[1], action="add_markets", market_tickers=[OTHER])
        added, snapshot = await line.read("ok"), await line.read("orderbook_snapshot")
        await line.send("update_subscription", sids=[1], action="delete_markets", market_tickers=[OTHER])
        left = await line.read("ok")
        await line.send("list_subscriptions")
        listed = await line.read("ok")
        await line.send("unsubscribe", sids=[1])
        ended = await line.read("unsubscribed")
        await asyncio.to_thread(venue.order, number=1)
        return added, snapshot, left, listed, ended, await line.is_quiet()

    added, snapshot, left, listed, ended, quiet = talk(venue, conversation)

    assert added["msg"] == {"market_tickers": [OTHER, TICKER]}
    assert snapshot["msg"]["market_ticker"] == OTHER
    assert left["msg"] == {"market_tickers": [TICKER]}
    assert listed["msg"] == [{"channel": "orderbook_delta", "sid": 1}]
    assert (ended["sid"], quiet) == (1, True)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("nonsense", 1),
        ("[]", 1),
        ('{"id":9,"cmd":"subscribe"}', 2),
        ('{"id":9,"cmd":"subscribe","params":{}}', 3),
        ('{"id":9,"cmd":"unsubscribe","params":{}}', 4),
        ('{"id":9,"cmd":"dance","params":{}}', 5),
        ('{"id":9,"cmd":"unsubscribe","params":{"sids":[7]}}', 7),
        ('{"id":9,"cmd":"subscribe","params":{"channels":["weather"]}}', 8),
        ('{"id":9,"cmd":"subscribe","params":{"channels":["orderbook_delta"]}}', 11),
        ('{"id":9,"cmd":"subscribe","params":{"channels":["ticker"],"market_tickers":"X"}}', 11),
        ('{"id":9,"cmd":"update_subscription","params":{"action":"add_markets"}}', 12),
    ],
)
def test_a_command_that_cannot_be_done_is_told_by_number_and_the_connection_goes_on(venue, raw, code):
    async def conversation(line):
        await line.socket.send(raw)
        answer = await line.read()
        await line.send("list_subscriptions")
        return answer, await line.read()

    answer, after = talk(venue, conversation)

    assert (answer["type"], answer["msg"]["code"]) == ("error", code)
    assert answer.get("id") == (9 if "id" in raw else None)
    assert after == {"id": 1, "type": "ok", "msg": []}


def test_a_client_ping_is_answered(venue):
    async def conversation(line):
        waiter = await line.socket.ping()
        return await asyncio.wait_for(waiter, 5)

    assert talk(venue, conversation) >= 0


def test_cut_websocket_breaks_the_connection_and_a_new_one_holds(clean):
    fault = clean.fault("cut_websocket", after_seconds=0.2, times=1)

    async def conversation(line):
        await line.send("subscribe", channels=["orderbook_delta"], market_tickers=[TICKER])
        began = time.monotonic()
        with pytest.raises(ConnectionClosed):
            await line.read("what never comes")
        return time.monotonic() - began

    assert talk(clean, conversation) < 4
    assert clean.fired(fault) == 1

    async def again(line):
        await line.send("subscribe", channels=["orderbook_delta"], market_tickers=[TICKER])
        return await line.read("orderbook_snapshot")

    assert talk(clean, again)["seq"] == 1


def test_silent_websocket_sends_nothing_of_its_channels(clean):
    async def conversation(line):
        await line.send("subscribe", channels=["fill"])
        await line.read("subscribed")
        fault = await asyncio.to_thread(clean.fault, "silent_websocket", match={"account": "key-0"})
        while not await asyncio.to_thread(clean.fired, fault):
            pass
        await asyncio.to_thread(clean.order)
        quiet = await line.is_quiet()
        await asyncio.to_thread(clean.clear)
        await asyncio.to_thread(clean.order, client_order_id="heard-again")
        return fault, quiet, await line.read("fill")

    _, quiet, heard = talk(clean, conversation)

    assert quiet
    assert heard["msg"]["client_order_id"] == "heard-again"


def test_gap_websocket_skips_a_sequence_number(clean):
    fault = clean.fault("gap_websocket", skip=2, times=1, match={"ticker": TICKER})

    async def conversation(line):
        await line.send("subscribe", channels=["orderbook_delta"], market_tickers=[TICKER])
        first = await line.read("orderbook_snapshot")
        await asyncio.to_thread(clean.order, price="0.20", time_in_force="good_till_canceled")
        second = await line.read("orderbook_delta")
        await asyncio.to_thread(clean.order, price="0.21", time_in_force="good_till_canceled")
        return [first["seq"], second["seq"], (await line.read("orderbook_delta"))["seq"]]

    assert talk(clean, conversation) == [1, 4, 5]
    assert clean.fired(fault) == 1
