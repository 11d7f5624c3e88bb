"""What holds at the venue behind the IBKR simulators whatever happens, and after any restart."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import ibkr_venue_lab
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ibkr_venue_lab import AAPL, ACCOUNT, IBM, SPY

from simulators.ibkr.accounts import AccountSpec
from simulators.ibkr.orders import Rejected
from simulators.ibkr.persistence import StateError
from simulators.ibkr.tape import Tape
from simulators.ibkr.venue import Venue

D = Decimal
MARGIN = AccountSpec(id=ACCOUNT, kind="MARGIN", cash=D(1_000_000))

prices = st.integers(9_000, 11_000).map(lambda cents: D(cents) / 100)
sizes = st.integers(1, 500)
steps = st.lists(st.tuples(prices, sizes), min_size=1, max_size=30)


def booked(lab):
    """Return shares and cash as the last issue of every execution says."""
    newest = {}
    for each in lab.venue.executions():
        newest[each.exec_id[:-3]] = each
    shares = sum((each.quantity if each.side == "BUY" else -each.quantity for each in newest.values()), D(0))
    spent = sum((each.quantity * each.price * (1 if each.side == "BUY" else -1) for each in newest.values()), D(0))
    fees = sum((lab.venue.commission_of(each.exec_id).amount for each in newest.values()), D(0))
    return shares, MARGIN.cash - spent - fees


@given(
    deals=st.lists(
        st.tuples(st.sampled_from(["BUY", "SELL", "correct", "bust", "tick"]), sizes, prices), min_size=1, max_size=25
    )
)
@settings(max_examples=60, deadline=None)
def test_cash_and_shares_are_what_the_executions_say(deals):
    lab = ibkr_venue_lab.written(accounts=[MARGIN])
    for number, (deal, size, price) in enumerate(deals):
        made = [each for each in lab.venue.executions() if each.quantity]
        if deal in ("BUY", "SELL"):
            lab.place(deal, size, "LMT", limit=price)
        elif deal == "tick" or not made:
            lab.trade(price, size=size)
        elif deal == "correct":
            lab.venue.correct(made[number % len(made)].exec_id, price, D(size))
        else:
            lab.venue.bust(made[number % len(made)].exec_id)

    assert (lab.held(), lab.cash) == booked(lab)


@given(steps=steps, side=st.sampled_from(["BUY", "SELL"]), percent=st.booleans(), distance=st.integers(1, 900))
@settings(max_examples=60, deadline=None)
def test_a_trailing_stop_never_loosens(steps, side, percent, distance):
    lab = ibkr_venue_lab.written(accounts=[MARGIN])
    name = "trail_percent" if percent else "trail_amount"
    order = lab.place(side, 10, "TRAIL", **{name: D(distance) / 100})
    stops = [order.stop_now]
    for price, size in steps:
        lab.trade(price, size=size)
        stops.append(order.stop_now)

    assert stops == sorted(stops, reverse=side == "BUY")


@given(steps=steps, oca_type=st.sampled_from([1, 2, 3]), quantity=st.integers(1, 900), count=st.integers(2, 4))
@settings(max_examples=60, deadline=None)
def test_a_group_fills_no_more_than_its_quantity(steps, oca_type, quantity, count):
    lab = ibkr_venue_lab.written(accounts=[MARGIN])
    for number in range(count):
        kind, level = ("LMT", {"limit": D(101 + number)}) if number % 2 else ("STP", {"stop": D(99 - number)})
        lab.place("SELL", quantity, kind, oca_group="g", oca_type=oca_type, **level)
    for price, size in steps:
        lab.trade(price, size=size)

    assert -quantity <= lab.held() <= 0


@given(steps=steps, quantity=st.integers(1, 900), cancel_at=st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_children_never_sell_more_than_their_parent_bought(steps, quantity, cancel_at):
    lab = ibkr_venue_lab.written(accounts=[MARGIN])
    parent = lab.place("BUY", quantity, "LMT", limit="98", transmit=False)
    target = lab.place("SELL", quantity, "LMT", limit="101", parent=parent.perm_id, transmit=False)
    stop = lab.place("SELL", quantity, "STP", stop="95", parent=parent.perm_id)
    for number, (price, size) in enumerate(steps):
        if number == cancel_at and not parent.is_done:
            lab.venue.cancel(parent.perm_id)
        lab.trade(price, size=size)

        assert target.filled + stop.filled <= parent.filled
        assert lab.held() >= 0


orders = st.tuples(
    st.sampled_from(["BUY", "SELL"]),
    st.sampled_from(["MKT", "LMT", "STP", "TRAIL"]),
    prices,
    sizes,
    st.sampled_from(["", "g"]),
    st.sampled_from(["place", "cancel", "split", "tick"]),
)


@given(steps=st.lists(orders, min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_a_cash_account_never_sells_what_it_does_not_hold(steps):
    lab = ibkr_venue_lab.written(accounts=[AccountSpec(id=ACCOUNT, cash=D(1_000_000))])
    for side, kind, price, size, group, deed in steps:
        live = lab.venue.orders()
        if deed == "place":
            # a sale of more than is held is refused at the door; two sales of the same shares are not
            size = size if side == "BUY" else min(size, int(lab.held()))
            levels = {"limit": price if kind == "LMT" else None, "stop": price if kind == "STP" else None}
            if size:
                lab.place(side, size, kind, oca_group=group, oca_type=1, trail_amount=D(1), **levels)
        elif deed == "cancel" and live:
            lab.venue.cancel(live[0].perm_id)
        elif deed == "split":
            lab.venue.split("IBM", 2, 1)
        lab.trade(price, size=size)

        assert lab.held() >= 0
        assert all(order.filled <= order.terms.quantity for order in live)


def story(lab, pieces):
    """Trade a recorded morning; the venue looks at the clock so many times."""
    entry = lab.place("BUY", 400, "STP", stop="167.20", conid=SPY, transmit=False)
    lab.place("SELL", 400, "TRAIL", trail_percent="0.2", conid=SPY, parent=entry.perm_id, tif="GTC")
    lab.place("BUY", 150, "LMT", limit="181.20", conid=IBM)
    start = lab.clock.ms
    for piece in range(1, pieces + 1):
        lab.clock.ms = start + 2 * 3_600_000 * piece // pieces
        lab.venue.advance()


@pytest.mark.parametrize("pieces", [7, 240])
def test_a_replay_does_not_depend_on_how_often_the_venue_looks(pieces):
    once, often = (ibkr_venue_lab.recorded("2014-05-06T13:29:00+00:00") for _ in range(2))
    story(once, 1)
    story(often, pieces)

    assert once.fills() == often.fills() != []
    assert [each.at for each in once.venue.executions()] == [each.at for each in often.venue.executions()]
    assert once.venue.saved() == often.venue.saved()


def busy(folder, tape=None):
    lab = ibkr_venue_lab.recorded("2014-05-06T13:29:00+00:00", state=folder)
    story(lab, 5)
    lab.venue.split("IBM", 2, 1)
    lab.place("BUY", 7, "TRAIL LIMIT", trail_amount="3", limit_offset="0.05", conid=AAPL, tif="GTC", owner=(3, 4))
    lab.venue.halt("TWX")
    lab.venue.correct(lab.venue.executions()[0].exec_id, D("167.00"), D(90))
    return lab


def again(lab, folder):
    venue = Venue(Tape(date(2014, 5, 6)), lab.clock, list(lab.venue.specs.values()), state=folder)
    return replace(lab, venue=venue, told=[])


def test_the_state_survives_restarts_byte_for_byte(tmp_path):
    lab = busy(tmp_path)
    written = (tmp_path / "venue.json").read_bytes()
    first = again(lab, tmp_path)
    second = again(first, tmp_path)

    assert first.venue.saved() == second.venue.saved() == written == lab.venue.saved()
    assert [each.owner for each in second.venue.orders()][-1] == (3, 4)
    assert second.venue.positions() == lab.venue.positions()
    assert second.venue.quote(IBM) == lab.venue.quote(IBM)


def test_a_restart_continues_as_if_it_had_not_happened(tmp_path):
    lab, other = busy(tmp_path), busy(tmp_path / "other")
    lab.clock.ms += 3_600_000
    restarted = again(lab, tmp_path)
    restarted.venue.advance()
    other.clock.ms = lab.clock.ms
    other.venue.advance()
    fresh = restarted.place("BUY", 1, conid=SPY, owner=(9, 9))
    same = other.place("BUY", 1, conid=SPY, owner=(9, 9))

    assert fresh.perm_id == same.perm_id
    assert restarted.venue.saved() == other.venue.saved()


def test_a_crash_in_the_middle_of_writing_leaves_the_state_before(tmp_path):
    lab = busy(tmp_path)
    (tmp_path / "venue.json.part").write_text("half")

    assert again(lab, tmp_path).venue.saved() == lab.venue.saved()


@pytest.mark.parametrize("content", ["{", "[]", '{"version": 9}'])
def test_a_state_that_cannot_be_continued_is_refused(tmp_path, content):
    (tmp_path / "venue.json").write_text(content)

    with pytest.raises(StateError, match="move the file away"):
        ibkr_venue_lab.recorded("2014-05-06T13:29:00+00:00", state=tmp_path)


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_any_orders_survive_a_restart(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("state")
    lab = ibkr_venue_lab.written(accounts=[MARGIN], state=folder)
    for _ in range(data.draw(st.integers(1, 8))):
        side = data.draw(st.sampled_from(["BUY", "SELL"]))
        kind = data.draw(st.sampled_from(["MKT", "LMT", "STP", "STP LMT", "TRAIL", "TRAIL LIMIT"]))
        price = data.draw(prices)
        levels = {"limit": price, "stop": price, "trail_amount": D(2), "limit_offset": D("0.1")}
        try:
            lab.place(side, data.draw(sizes), kind, tif=data.draw(st.sampled_from(["DAY", "GTC"])), **levels)
        except Rejected:
            continue
        lab.trade(data.draw(prices), size=data.draw(sizes))
    kept = Venue(lab.venue.tape, lab.clock, [MARGIN], state=folder)
    as_written = (folder / "venue.json").read_bytes() if lab.told else kept.saved()

    assert kept.saved() == as_written
    kept.advance()
    assert kept.saved() == lab.venue.saved()
