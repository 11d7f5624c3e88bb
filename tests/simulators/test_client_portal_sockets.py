"""WebSocket of the simulated Client Portal gateway: topics, heartbeats, sessions, faults."""

import asyncio
import json
import time
from decimal import Decimal

import portal_sim
import pytest
from portal_sim import ACCOUNT, AMZN, SPY, ticket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from simulators.client_portal.gateway import Gateway, Rules
from simulators.client_portal.topics import Orders, Trades
from simulators.ibkr.accounts import AccountSpec
from simulators.ibkr.orders import Terms
from simulators.ibkr.tape import Tape
from simulators.ibkr.venue import Venue


@pytest.fixture(scope="module")
def running():
    started = portal_sim.start_portal("--limits", "off", accounts="DU1:1000000:margin")
    yield started
    started.stop()


@pytest.fixture
def gate(running):
    running.tidy()
    running.post("/iserver/questions/suppress", {"messageIds": ["o10151", "o10331", "o163"]})
    yield running
    running.tidy()


class Line:
    """One connection: sends commands, reads messages."""

    def __init__(self, gate, socket):
        self.gate = gate
        self.socket = socket

    async def send(self, text):
        await self.socket.send(text)

    async def heard(self):
        """Wait until the gateway has read every command sent so far: it takes them in order."""
        await self.send("ech+hb")
        await self.read("ech+hb")

    async def read(self, topic, seconds=30):
        """Return the next message of a topic."""
        async with asyncio.timeout(seconds):
            while True:
                text = await self.socket.recv()
                message = json.loads(text) if text.startswith("{") else {"topic": text}
                if message["topic"] == topic:
                    return message

    async def order(self, *args, **fields):
        return await asyncio.to_thread(self.gate.order, *args, **fields)


def talk(gate, conversation, **options):
    async def run():
        async with connect(gate.ws_url, **options) as socket:
            return await conversation(Line(gate, socket))

    return asyncio.run(run())


def test_a_connection_is_greeted_with_the_state_of_the_session(gate):
    async def conversation(line):
        return [json.loads(await line.socket.recv()) for _ in range(3)]

    system, act, sts = talk(gate, conversation)

    assert (system["topic"], "success" in system) == ("system", True)
    assert act["args"]["accounts"] == [ACCOUNT]
    assert (sts["topic"], sts["args"]["authenticated"], sts["args"]["competing"]) == ("sts", True, False)


def test_a_heartbeat_is_echoed(gate):
    async def conversation(line):
        await line.send("ech+hb")
        return await line.read("ech+hb")

    assert talk(gate, conversation) == {"topic": "ech+hb"}


def test_prices_come_whole_and_then_by_what_changed():
    fast = portal_sim.start_portal("--limits", "off", speed=120)

    async def conversation(line):
        await line.send(f'smd+{SPY}+{{"fields":["31","84","86","55"]}}')
        first, second = await line.read(f"smd+{SPY}"), await line.read(f"smd+{SPY}")
        await line.send(f"umd+{SPY}+{{}}")
        return first, second

    try:
        fast.get("/iserver/accounts")
        first, second = talk(fast, conversation)
    finally:
        fast.stop()

    assert first.keys() >= {"topic", "conid", "conidEx", "server_id", "_updated", "31", "84", "86", "55", "6509"}
    assert (first["conid"], first["55"]) == (SPY, "SPY")
    assert "55" not in second
    assert second["_updated"] > first["_updated"]


def test_prices_need_the_accounts_page_and_a_contract(gate):
    gate.login()

    async def conversation(line):
        await line.send(f'smd+{SPY}+{{"fields":["31"]}}')
        return await line.read("error")

    assert "cannot subscribe" in talk(gate, conversation)["error"]


def test_a_stock_without_prices_sends_its_label_only(gate):
    async def conversation(line):
        await line.send(f'smd+{AMZN}+{{"fields":["31"]}}')
        return await line.read(f"smd+{AMZN}")

    found = talk(gate, conversation)

    assert found["6509"].startswith("N")
    assert "31" not in found


def test_orders_are_told_whole_once_and_then_by_what_changed(gate):
    order = gate.entered("BUY", 3, "LMT", price=165, cOID="ws-resting")

    async def conversation(line):
        await line.send("sor+{}")
        first = await line.read("sor")
        await asyncio.to_thread(gate.send, "DELETE", f"/iserver/account/{ACCOUNT}/order/{order}")
        while True:
            later = await line.read("sor")
            if later["args"][0].get("status") == "Cancelled":
                return first, later

    first, later = talk(gate, conversation)

    assert (first["args"][0]["orderId"], first["args"][0]["order_ref"]) == (order, "ws-resting")
    assert later["args"][0].keys() >= {"acct", "conid", "orderId", "status"}
    assert "companyName" not in later["args"][0]


def test_trades_come_with_their_commission(gate):
    async def conversation(line):
        await line.send('str+{"realtimeUpdatesOnly":true}')
        await line.heard()
        await line.order("BUY", 2, cOID="ws-trade")
        return await line.read("str")

    found = talk(gate, conversation)["args"]

    assert [(row["order_ref"], row["size"]) for row in found] == [("ws-trade", 2.0)]
    assert float(found[0]["commission"]) > 0


def test_trades_of_the_day_come_first_unless_only_new_ones_are_wanted(gate):
    gate.entered("BUY", 1, cOID="ws-past")

    async def conversation(line):
        await line.send("str+{}")
        return await line.read("str")

    assert "ws-past" in {row["order_ref"] for row in talk(gate, conversation)["args"]}


def test_profit_is_told_by_account(gate):
    async def conversation(line):
        await line.send("spl+{}")
        return await line.read("spl")

    assert talk(gate, conversation)["args"].keys() == {f"{ACCOUNT}.Core"}


def test_what_was_unsubscribed_is_told_no_more(gate):
    async def conversation(line):
        await line.send("sor+{}")
        await line.send("str+{}")
        await line.send("uor+{}")
        await line.send("utr+{}")
        await line.heard()
        await line.order("BUY", 1, cOID="ws-unseen")
        with pytest.raises(TimeoutError):
            await line.read("sor", seconds=0.4)

    talk(gate, conversation)


def test_subscriptions_end_silently_with_the_brokerage_session(gate):
    fault = gate.fault("session_expired")

    async def conversation(line):
        await line.send("sor+{}")
        await asyncio.to_thread(gate.send, "GET", "/iserver/accounts")
        lost = await line.read("sts")
        while lost["args"]["authenticated"]:
            lost = await line.read("sts")
        again = {"publish": True, "compete": True}
        await asyncio.to_thread(gate.post, "/iserver/auth/ssodh/init", again)
        back = await line.read("sts")
        await asyncio.to_thread(gate.post, "/iserver/questions/suppress", {"messageIds": ["o10151"]})
        await line.order("BUY", 1)
        with pytest.raises(TimeoutError):
            await line.read("sor", seconds=0.4)
        return lost, back

    lost, back = talk(gate, conversation)

    assert lost["args"]["authenticated"] is False
    assert back["args"]["authenticated"] is True
    assert gate.fired(fault) == 1


def test_a_competing_session_is_announced(gate):
    fault = gate.fault("competing_session")

    async def conversation(line):
        await line.read("sts")
        await asyncio.to_thread(gate.post, "/tickle")
        return await line.read("sts")

    assert talk(gate, conversation)["args"]["competing"] is True
    assert gate.fired(fault) == 1


def test_no_connection_without_a_person_signed_in(gate):
    fault = gate.fault("needs_login")
    gate.send("POST", "/tickle")
    with pytest.raises(InvalidStatus) as refused:
        talk(gate, lambda line: line.read("sts"))

    assert refused.value.response.status_code == 401
    assert gate.fired(fault) == 1


def test_cut_socket_breaks_the_connection_without_a_goodbye(gate):
    fault = gate.fault("cut_socket", times=1)

    async def conversation(line):
        await line.read("never")

    with pytest.raises(ConnectionClosed) as closed:
        talk(gate, conversation)
    talk(gate, lambda line: line.read("sts"))

    assert closed.value.rcvd is None
    assert gate.fired(fault) == 1


def test_websocket_silent_keeps_the_connection_open_and_says_nothing(gate):
    fault = gate.fault("websocket_silent", times=1, seconds=0.6)

    async def conversation(line):
        await line.send("ech+hb")
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            await line.read("ech+hb", seconds=0.3)
        await asyncio.wait_for(await line.socket.ping(), 2)
        while time.monotonic() - begun < 5:
            await line.send("ech+hb")
            try:
                return await line.read("ech+hb", seconds=0.2)
            except TimeoutError:
                continue

    assert talk(gate, conversation) == {"topic": "ech+hb"}
    assert gate.fired(fault) == 1


def test_an_unknown_topic_is_an_error(gate):
    async def conversation(line):
        await line.send("xyz+1")
        return await line.read("error")

    assert "xyz" in talk(gate, conversation)["error"]


def test_a_bracket_is_told_as_it_lives(gate):
    family = [
        ticket("BUY", 2, cOID="ws-entry"),
        ticket("SELL", 2, "STP", price=100, tif="GTC", cOID="ws-stop", parentId="ws-entry"),
    ]

    async def conversation(line):
        await line.send("sor+{}")
        await line.heard()
        await asyncio.to_thread(gate.orders, family)
        told = {}
        while told.get("ws-entry") != "Filled" or "ws-stop" not in told:
            row = (await line.read("sor"))["args"][0]
            told[row.get("order_ref", row["orderId"])] = row.get("status")
        return told

    assert talk(gate, conversation)["ws-stop"] == "PreSubmitted"


class Still:
    """A clock that stands still half an hour after the open."""

    def now_ms(self):
        return 1_399_384_800_000


def test_a_correction_is_told_as_an_execution_of_its_own():
    gateway = Gateway(Venue(Tape(), Still(), [AccountSpec(id=ACCOUNT)]), Rules())
    told = Trades(gateway, only_new=True)
    made = gateway.venue.trade_by_hand(ACCOUNT, SPY, Decimal(2))
    first = list(told.news(gateway.venue.now()))
    corrected = gateway.venue.correct(made.exec_id, made.price, Decimal(1))
    second = list(told.news(gateway.venue.now()))

    assert [row["execution_id"] for row in first[0]["args"]] == [made.exec_id]
    assert [(row["execution_id"], row["size"]) for row in second[0]["args"]] == [(corrected.exec_id, 1.0)]
    assert list(told.news(gateway.venue.now())) == []


def test_an_order_that_is_over_is_told_once():
    gateway = Gateway(Venue(Tape(), Still(), [AccountSpec(id=ACCOUNT)]), Rules())
    told = Orders(gateway)
    gateway.venue.place(Terms(conid=SPY, account=ACCOUNT, side="BUY", quantity=Decimal(2), kind="MKT"), None)
    first = list(told.news(gateway.venue.now()))

    assert [message["args"][0]["status"] for message in first] == ["Filled"]
    assert list(told.news(gateway.venue.now())) == []
