"""Faults of the TWS simulator's own connections, played against the vendor's library, and the script they stand in."""

import asyncio
import time

import ib_async
import pytest
import tws_sim
from tws_client import SPY, Client, last_frame
from tws_sim import ACCOUNT

from simulators.rest.faults import FaultError
from simulators.tws.faults import FaultBook


@pytest.fixture(scope="module")
def _running():
    running = tws_sim.start(speed=60, accounts=f"{ACCOUNT}:5000000:margin")
    yield running
    running.stop()


@pytest.fixture
def sim(_running):
    """A gateway without faults of a test before."""
    yield _running
    _running.clear()


# -- the gateway and its connection
def test_connectivity_is_lost_and_what_waits_is_done_when_it_is_back(sim):
    async def play():
        async with Client(sim, 1) as one:
            ticker = await one.ticking()
            name = sim.fault("connectivity_lost", repeat=3)
            await one.until(lambda: one.codes.count(1100) == 3)
            await one.settled()
            before = last_frame(ticker)
            trade = one.limit(price=100)
            await one.settled()
            cut_off = (trade.orderStatus.status, last_frame(ticker) == before, sim.state()["cut_off"])
            fired = sim.fired(name)
            sim.clear()
            await one.until(lambda: 1102 in one.codes)
            await one.status(trade, "Submitted")
            await one.moves(ticker)
            one.ib.cancelOrder(trade.order)
            await one.until(trade.isDone)
            return cut_off, fired

    cut_off, fired = asyncio.run(play())

    assert cut_off == ("PendingSubmit", True, True)
    assert fired == 1


def test_restored_connectivity_without_its_data_leaves_dead_subscriptions(sim):
    async def play():
        async with Client(sim, 1) as one, Client(sim, 2) as two:
            ticker = await one.ticking()
            sim.fault("connectivity_lost")
            back = sim.fault("restored_data_lost")
            await one.until(lambda: 1101 in one.codes)
            await one.settled()
            before = last_frame(ticker)
            lost = sim.state()["lost_subscriptions"]
            await two.moves(await two.ticking())
            dead = before == last_frame(ticker)
            await one.moves(await one.ticking())
            return dead, lost, sim.fired(back)

    dead, lost, fired = asyncio.run(play())

    assert dead
    assert lost >= 1
    assert fired == 1


def test_restored_connectivity_with_its_data_goes_on(sim):
    async def play():
        async with Client(sim, 1) as one:
            ticker = await one.ticking()
            sim.fault("connectivity_lost")
            back = sim.fault("restored_data_kept")
            await one.until(lambda: 1102 in one.codes)
            await one.moves(ticker)
            return sim.fired(back)

    assert asyncio.run(play()) == 1


@pytest.mark.parametrize(("restored", "code"), [("data_kept", 1102), ("data_lost", 1101), ("never", None)])
def test_connectivity_comes_back_by_itself(sim, restored, code):
    async def play():
        async with Client(sim, 1) as one:
            sim.fault("connectivity_lost", seconds=0.2, restored=restored)
            await one.until(lambda: 1100 in one.codes)
            # answered as soon as the broker can be reached again
            assert await one.ib.reqContractDetailsAsync(SPY)
            return [found for found in one.codes if found in (1101, 1102)]

    assert asyncio.run(play()) == ([] if code is None else [code])


def test_what_is_wrong_is_told_to_those_who_come_meanwhile(sim):
    async def play():
        sim.fault("farm_broken", farm="history")
        async with Client(sim, 1) as one:
            await one.until(lambda: {2104, 2105, 2158} <= set(one.codes))
            sim.clear()
            await one.until(lambda: 2106 in one.codes)
        sim.fault("connectivity_lost")
        async with Client(sim, 1, timeout=0.2) as late:
            await late.until(lambda: 1100 in late.codes)

    asyncio.run(play())


@pytest.mark.parametrize(("farm", "broken", "good"), [("market", 2103, 2104), ("history", 2105, 2106)])
def test_a_farm_breaks_and_comes_back(sim, farm, broken, good):
    async def play():
        async with Client(sim, 1) as one:
            ticker = await one.ticking()
            one.errors.clear()
            name = sim.fault("farm_broken", farm=farm)
            await one.until(lambda: broken in one.codes)
            if farm == "market":
                assert await one.stands_still(ticker, name)
            else:
                assert not await one.ib.reqHistoricalDataAsync(SPY, "", "300 S", "1 min", "TRADES", True)
            fired = sim.fired(name)
            sim.clear()
            await one.until(lambda: good in one.codes)
            await one.moves(ticker)
            return fired

    assert asyncio.run(play()) >= 1


def test_without_the_farm_of_contracts_nothing_is_known_of_them(sim):
    async def play():
        async with Client(sim, 1) as one:
            name = sim.fault("farm_broken", farm="contracts")
            await one.until(lambda: 2157 in one.codes)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(one.ib.reqContractDetailsAsync(SPY), 0.3)
            return sim.fired(name)

    assert asyncio.run(play()) >= 1


def test_the_nightly_reset_puts_everybody_out_and_refuses_for_a_time(sim):
    async def play():
        async with Client(sim, 1) as one:
            gone = []
            one.ib.disconnectedEvent += lambda: gone.append(time.monotonic())
            name = sim.fault("nightly_reset", seconds=1, storm=5)
            await one.until(lambda: gone)
            with pytest.raises(ConnectionRefusedError):
                await Client(sim, 1).__aenter__()
            while True:
                try:
                    async with Client(sim, 1):
                        break
                except OSError:
                    await asyncio.sleep(0.05)
            return one.codes.count(1100), time.monotonic() - gone[0], sim.fired(name)

    storm, away, fired = asyncio.run(play())

    assert storm == 5
    assert 0.5 < away < 8
    assert fired == 1


@pytest.mark.parametrize("action", ["half_up", "dead_socket"])
def test_a_gateway_that_is_not_really_there_lets_clients_wait(sim, action):
    async def play():
        name = sim.fault(action)
        late = Client(sim, 2, timeout=0.3)
        with pytest.raises(TimeoutError):
            await late.__aenter__()
        return sim.fired(name), late.ib.client.serverVersion()

    fired, version = asyncio.run(play())

    assert fired == 1
    assert version == 0


def test_an_open_socket_dies_without_a_word(sim):
    async def play():
        async with Client(sim, 2) as one:
            name = sim.fault("dead_socket", match={"client": 2})
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(one.ib.reqCurrentTimeAsync(), 0.3)
            return sim.fired(name), one.ib.isConnected()

    assert asyncio.run(play()) == (1, True)


@pytest.mark.parametrize(("when", "placed"), [("before", 0), ("after", 1), ("middle", 1)])
def test_the_socket_breaks_at_a_message(sim, when, placed):
    async def play():
        async with Client(sim, 3) as one:
            gone = []
            one.ib.disconnectedEvent += lambda: gone.append(True)
            name = sim.fault("drop_socket", when=when, match={"message": "placeOrder"}, times=1)
            one.limit(price=90, orderRef=f"dropped-{when}")
            await one.until(lambda: gone)
            return sim.fired(name)

    fired = asyncio.run(play())
    orders = [order for order in sim.state()["orders"] if order["ref"] == f"dropped-{when}"]

    assert fired == 1
    assert len(orders) == placed


def test_a_client_number_is_held_to_be_in_use(sim):
    async def play():
        name = sim.fault("client_id_in_use", match={"client": 4}, times=1)
        late = Client(sim, 4, timeout=1)
        with pytest.raises(TimeoutError):
            await late.__aenter__()
        async with Client(sim, 4):
            return sim.fired(name), late.codes

    assert asyncio.run(play()) == (1, [326])


def test_order_numbers_go_back_after_a_restart(sim):
    async def play():
        async with Client(sim, 5) as one:
            used = [one.limit(price=90, quantity=1) for _ in range(3)]
            await one.until(lambda: all(trade.orderStatus.status == "Submitted" for trade in used))
            one.ib.reqGlobalCancel()
            await one.until(lambda: all(trade.isDone() for trade in used))
        name = sim.fault("id_rollback", by=3, times=1)
        async with Client(sim, 5, fetchFields=ib_async.StartupFetchNONE) as again:
            trade = again.limit(price=90, quantity=1, orderRef="same number")
            await again.status(trade, "Submitted")
            again.ib.cancelOrder(trade.order)
            await again.until(trade.isDone)
            resting = again.limit(price=91, quantity=1)
            await again.status(resting, "Submitted")
            again.ib.cancelOrder(resting.order)
            await again.status(resting, "Cancelled")
            return sim.fired(name), [trade.order.orderId for trade in used], trade.order.orderId

    fired, used, number = asyncio.run(play())

    assert fired == 1
    assert number in used


def test_answers_come_slowly(sim):
    async def play():
        async with Client(sim, 6) as one:
            name = sim.fault("slow_answers", seconds=0.4, match={"message": "reqCurrentTime"})
            began = time.monotonic()
            await one.ib.reqCurrentTimeAsync()
            return time.monotonic() - began, sim.fired(name)

    took, fired = asyncio.run(play())

    assert took >= 0.4
    assert fired == 1


# -- the script
@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ({"action": "rejected"}, "name"),
        ({"name": "x", "action": "nonsense"}, "action"),
        ({"name": "x", "action": "rejected", "reason": 1}, "reason"),
        ({"name": "x", "action": "rejected", "seconds": 1}, "seconds"),
        ({"name": "x", "action": "slow_answers"}, "seconds"),
        ({"name": "x", "action": "rejected", "match": {"message": "reqIds"}}, "match"),
        ({"name": "x", "action": "rejected", "match": {"client": "one"}}, "match"),
        ({"name": "x", "action": "stale_ticker", "times": 1}, "times"),
        ({"name": "x", "action": "rejected", "times": 0}, "times"),
        ({"name": "x", "action": "rejected", "between": ["2014-05-06", "2014-05-07"]}, "between"),
        (7, "faults[0]"),
    ],
)
def test_a_wrong_script_is_refused_with_the_name_of_the_field(fault, field):
    with pytest.raises(FaultError) as caught:
        FaultBook().add(fault)

    assert field in str(caught.value)


def test_every_name_is_used_once():
    book = FaultBook()
    book.add({"name": "x", "action": "rejected"})

    with pytest.raises(FaultError, match="is taken"):
        book.add({"name": "x", "action": "inactive"})

    assert len(book.faults) == 1


def test_the_control_page_lists_adds_and_removes(sim):
    name = sim.fault("rejected", after=1, times=2, match={"client": 99})
    wrong = sim.pages.post("/_sim/faults", json={"name": "y", "action": "nothing"})
    listed = sim.pages.get("/_sim/faults").json()["faults"]
    removed = sim.pages.delete("/_sim/faults", params={"name": name}).json()

    assert wrong.status_code == 422
    assert [fault["name"] for fault in listed] == [name]
    assert removed == {"removed": 1}
