"""Orders through the Client Portal when something goes wrong at the gateway; numbers are those of docs/brokers.md."""

from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pytest
from portal_desk import desks, started

from domain.errors import Ask, Refuse, Retry
from domain.order import OPEN_AT_BROKER
from domain.vocabulary import Leg, OrderState, Side

D = Decimal
BEGINNING = "1970-01-01T00:00:00.000000Z"


# What can become of one answer in a conversation.
CUTS = [
    ("drop", {}),
    ("error_500", {"after_accept": False}),
    ("error_500", {"after_accept": True}),
    ("no_session", {"form": "401"}),
    ("no_session", {"form": "body"}),
    ("status", {"status": 429, "retry_after": 1}),
    ("session_expired", {}),
]


@pytest.fixture(scope="module")
def gateway():
    yield from started()


@pytest.fixture
def desk(gateway):
    yield from desks(gateway)


@pytest.fixture
def linked(desk):
    desk.connect()
    return desk


def orders_with(desk, reference):
    """Return all orders the venue has of one id, live or done."""
    account = desk.venue()
    return [row for row in (*account["live"], *account["done"]) if row.get("order_ref") == reference]


def told_with(desk, gateway, fault):
    """Return the ids of the stops the adapter tells of once a fault has had its effect."""
    told = [order.client_order_id for order in desk.executor.resting() if order.side is Side.SELL]
    return told if gateway.fired(fault) >= 2 else None


def test_failure_01_lost_reply_is_asked_about_and_never_sent_again(linked, gateway):
    name, intent = gateway.fault("lost_reply", times=1), linked.entry()
    with pytest.raises(Ask):
        linked.executor.submit(intent)
    state = linked.find(intent)[-1].state
    again = linked.executor.submit(intent)

    assert gateway.fired(name) == 1
    assert state is OrderState.ACCEPTED
    assert again[-1].state is OrderState.ACCEPTED
    assert len(orders_with(linked, intent.client_order_id)) == 1
    assert len(linked.sent()) == 1


def test_failure_01_lost_request_is_absent_only_after_the_grace(linked, gateway):
    name, intent = gateway.fault("swallowed_order", acknowledged=False, times=1), linked.entry()
    with pytest.raises(Ask):
        linked.executor.submit(intent)
    with pytest.raises(Retry):
        linked.executor.find(intent.client_order_id, since=linked.clock.now() - timedelta(minutes=1))

    assert gateway.fired(name) == 1
    assert linked.states(intent) == ["absent"]
    assert orders_with(linked, intent.client_order_id) == []


def test_failure_01_server_error_after_the_order_was_taken_is_asked_about(linked, gateway):
    name = gateway.fault("error_500", after_accept=True, times=1, match={"path": "*/orders", "method": "POST"})
    intent = linked.entry()
    with pytest.raises(Ask):
        linked.executor.submit(intent)

    assert gateway.fired(name) == 1
    assert linked.find(intent)[-1].state is OrderState.ACCEPTED
    assert len(orders_with(linked, intent.client_order_id)) == 1


def test_failure_01_slow_answer_is_not_taken_as_a_failure(desk, gateway):
    desk.connect(request_timeout_s=0.8)
    name = gateway.fault("slow", seconds=1.5, after_accept=True, times=1, match={"path": "*/orders", "method": "POST"})
    intent = desk.entry()
    with pytest.raises(Ask):
        desk.executor.submit(intent)

    assert gateway.fired(name) == 1
    assert desk.find(intent)[-1].state is OrderState.ACCEPTED


def test_failure_01_restarted_process_finds_what_an_earlier_life_sent(linked, gateway):
    name, intent = gateway.fault("lost_reply", times=1), linked.entry()
    with pytest.raises(Ask):
        linked.executor.submit(intent)
    for _ in range(2):
        linked.restart()
        linked.executor.submit(intent)

    assert gateway.fired(name) == 1
    assert len(orders_with(linked, intent.client_order_id)) == 1
    assert len(linked.sent()) == 1


def test_failure_01_taken_id_is_looked_up_and_is_no_error(linked, gateway):
    name, intent = gateway.fault("duplicate_coid", taken=True, times=1), linked.entry()
    events = linked.executor.submit(intent)

    assert gateway.fired(name) == 1
    assert events[-1].state is OrderState.ACCEPTED
    assert len(orders_with(linked, intent.client_order_id)) == 1


def test_failure_02_number_the_venue_never_saw_is_told_as_over_and_not_as_working(linked, gateway):
    name, intent = gateway.fault("swallowed_order", acknowledged=True, times=1), linked.entry()
    first = linked.executor.submit(intent)

    assert gateway.fired(name) == 1
    assert first[-1].state in OPEN_AT_BROKER
    assert linked.until_state(intent, "cancelled")
    assert linked.executor.resting() == []


def test_failure_03_cancel_is_a_request_and_told_as_done_only_with_proof(linked):
    intent = linked.entry()
    linked.executor.submit(intent)
    at_once = linked.executor.cancel(intent.client_order_id)

    assert at_once[-1].state is OrderState.ACCEPTED
    assert linked.until_state(intent, "cancelled")
    assert linked.until_state(linked.stop_of(intent), "cancelled")


def test_failure_03_fill_after_a_cancel_is_booked(linked, gateway):
    name, intent = gateway.fault("late_fill_after_cancel", times=1), linked.entry()
    linked.executor.submit(intent)
    linked.executor.cancel(intent.client_order_id)
    states = linked.eventually(lambda: [s for s in [linked.states(intent)] if s[-1] in ("filled", "cancelled")])[0]
    fills = linked.eventually(lambda: linked.executor.fills_since(BEGINNING)[0])

    assert gateway.fired(name) == 1
    assert states == ["filled"]
    assert [fill.client_order_id for fill in fills] == [intent.client_order_id]
    assert [trade.client_order_id for trade in linked.executor.open_trades()] == [intent.client_order_id]


def test_failure_03_cancel_of_a_filled_order_answers_with_its_fill(linked):
    intent = linked.bought()

    assert linked.executor.cancel(intent.client_order_id)[-1].state is OrderState.FILLED


def test_failure_05_partial_fill_leaves_a_stop_of_the_size_that_is_held(linked, gateway):
    name, intent = gateway.fault("partial_fill", quantity=4, times=1), linked.near()
    linked.executor.submit(intent)
    linked.until_state(intent, "partial")
    linked.executor.cancel(intent.client_order_id)
    linked.until_state(intent, "cancelled")
    linked.executor.amend(linked.stop_of(intent), quantity=linked.position())
    events = linked.find(intent)
    (trade,) = linked.executor.open_trades()
    stops = [order for order in linked.executor.resting() if order.side is Side.SELL]

    assert gateway.fired(name) == 1
    assert [(event.state, event.quantity) for event in events] == [
        (OrderState.PARTIAL, D(4)),
        (OrderState.CANCELLED, D(0)),
    ]
    assert trade.quantity == D(4)
    assert [(stop.client_order_id, stop.quantity) for stop in stops] == [(linked.stop_of(intent), D(4))]


def test_failure_05_part_of_an_order_is_not_its_whole_because_a_list_leaves_it_out(linked, gateway):
    gateway.fault("partial_fill", quantity=4, times=1)
    intent = linked.near()
    linked.executor.submit(intent)
    linked.until_state(intent, "partial")
    name = gateway.fault("missing_order", ref=intent.client_order_id, times=2)
    linked.restart()

    assert linked.states(intent) == ["partial"]
    assert gateway.fired(name) == 2


def test_failure_05_amendment_begins_with_what_the_order_has_filled_by_now(linked, gateway):
    intent = linked.bought()
    linked.executor.amend(linked.stop_of(intent), quantity=D(6))
    (changed,) = linked.sent("POST", f"/{linked.executor._ledger.of_reference(linked.stop_of(intent)).order_id}")
    paths = [row["path"] for row in gateway.requests() if "/account/" in row["path"] and "/order" in row["path"]]
    before = paths[: paths.index(changed["path"])]

    assert before[-1].endswith(f"/order/status/{changed['path'].rpartition('/')[2]}")


def test_failure_12_chained_questions_are_answered_one_after_the_other(linked, gateway):
    name, intent = gateway.fault("extra_questions", message_ids=["o451", "o163"], times=1), linked.entry()
    events = linked.executor.submit(intent)
    replies = [row for row in gateway.requests() if "/reply/" in row["path"]][-2:]

    assert gateway.fired(name) == 1
    assert events[-1].state is OrderState.ACCEPTED
    assert [row["body"] for row in replies] == ['{"confirmed":true}'] * 2
    assert len({row["path"] for row in replies}) == 2


@pytest.mark.parametrize(("action", "fields"), CUTS)
@pytest.mark.parametrize("number", [0, 1])
def test_failure_01_conversation_cut_off_at_any_answer_leaves_one_order_or_none(
    linked, gateway, action, fields, number
):
    asked = gateway.fault("extra_questions", message_ids=["o451", "o163"], times=1)
    cut = gateway.fault(action, times=1, after=number, match={"path": "*/iserver/reply/*"}, **fields)
    intent = linked.entry()
    with pytest.raises((Ask, Retry)) as raised:
        linked.executor.submit(intent)
    linked.until_up()
    state = linked.states(intent)[-1]
    is_there = len(orders_with(linked, intent.client_order_id))
    if state == "absent":
        linked.executor.submit(intent)

    assert (gateway.fired(asked), gateway.fired(cut)) == (1, 1)
    assert (state, is_there) == (("accepted", 1) if number == 1 and fields.get("after_accept") else ("absent", 0))
    assert isinstance(raised.value, Ask) or not is_there
    assert len(orders_with(linked, intent.client_order_id)) == 1
    assert linked.live_refs() == sorted([intent.client_order_id, linked.stop_of(intent)])


def test_failure_12_question_that_is_not_allowed_is_declined_and_the_order_refused(linked, gateway):
    name, intent = gateway.fault("unknown_question", text="Sell your house too?", times=1), linked.entry()
    with pytest.raises(Refuse, match="Sell your house too"):
        linked.executor.submit(intent)
    last = [row for row in gateway.requests() if "/reply/" in row["path"]][-1]

    assert gateway.fired(name) == 1
    assert last["body"] == '{"confirmed":false}'
    assert linked.states(intent) == ["absent"]


def test_failure_12_more_questions_than_anybody_asks_end_the_conversation(linked, gateway):
    name = gateway.fault("extra_questions", message_ids=["o451", "o163"] * 4, times=1)
    intent = linked.entry()
    with pytest.raises(Refuse, match="5 questions"):
        linked.executor.submit(intent)

    assert gateway.fired(name) == 1
    assert linked.states(intent) == ["absent"]


@pytest.mark.parametrize("status", [400, 503])
def test_failure_12_forgotten_question_is_asked_about(linked, gateway, status):
    gateway.fault("extra_questions", message_ids=["o451"], times=1)
    name, intent = gateway.fault("stale_reply", status=status, times=1), linked.entry()
    with pytest.raises(Ask):
        linked.executor.submit(intent)

    assert gateway.fired(name) == 1
    assert linked.states(intent) == ["absent"]


def test_failure_12_rejection_with_status_200_is_one(linked, gateway):
    name, intent = gateway.fault("reject_200", error="No trading permission.", times=1), linked.entry()
    events = linked.executor.submit(intent)

    assert gateway.fired(name) == 1
    assert [(event.state, event.reason) for event in events] == [(OrderState.REJECTED, "No trading permission.")]


def test_failure_12_entry_whose_stop_was_refused_is_taken_back(linked, gateway):
    name, intent = gateway.fault("child_refused", error="No trailing stops here.", times=1), linked.entry()
    with pytest.raises(Ask, match="No trailing stops here"):
        linked.executor.submit(intent)

    assert gateway.fired(name) == 1
    assert linked.until_state(intent, "cancelled")
    assert linked.live_refs() == []


def test_failure_12_list_of_orders_that_was_emptied_proves_nothing(linked, gateway):
    intent = linked.entry()
    linked.executor.submit(intent)
    name = gateway.fault("orders_cache_empty", times=5)
    for _ in range(3):
        with suppress(Retry):
            linked.executor.find(intent.client_order_id, since=linked.clock.now() - timedelta(minutes=1))
    linked.eventually(lambda: gateway.fired(name) == 5 or linked.executor.resting() is None)

    assert linked.states(intent) == ["accepted"]
    assert linked.stop_of(intent) in [order.client_order_id for order in linked.executor.resting()]


def test_order_held_inactive_is_taken_back_so_that_it_cannot_wake_up(linked, gateway):
    name, intent = gateway.fault("inactive_order", times=1), linked.entry()
    linked.executor.submit(intent)
    linked.eventually(lambda: linked.states(intent)[-1] in ("rejected", "cancelled"))

    assert gateway.fired(name) == 1
    assert "inactive" in linked.find(intent)[-1].reason
    assert len(linked.sent("DELETE", f"/{linked.find(intent)[-1].broker_order_id}")) == 1


def test_failure_16_stop_the_list_leaves_out_is_still_known_to_rest(linked, gateway):
    intent = linked.bought()
    linked.eventually(lambda: any(o.side is Side.SELL for o in linked.executor.resting()))
    name = gateway.fault("missing_child")
    stops = linked.eventually(lambda: told_with(linked, gateway, name))

    assert stops == [linked.stop_of(intent)]


def test_failure_16_after_a_restart_each_position_has_exactly_one_stop(linked):
    intent = linked.bought()
    for _ in range(2):
        linked.restart()
        linked.executor.submit(intent)
    (trade,) = linked.executor.open_trades()
    stops = [order for order in linked.executor.resting() if order.side is Side.SELL]

    assert trade.client_order_id == intent.client_order_id
    assert [(stop.client_order_id, stop.quantity) for stop in stops] == [(linked.stop_of(intent), trade.quantity)]
    assert len(linked.sent()) == 1


def test_failure_06_executions_are_told_once_whatever_is_repeated(linked):
    intent = linked.bought()
    first, cursor = linked.eventually(lambda: [p for p in [linked.executor.fills_since(BEGINNING)] if p[0]])[0]
    again, _ = linked.executor.fills_since(cursor)
    linked.restart()
    after_restart, _ = linked.executor.fills_since(cursor)

    assert [fill.client_order_id for fill in first] == [intent.client_order_id]
    assert (again, after_restart) == ([], [])


def test_failure_10_executions_are_known_from_the_stream_between_two_turns_of_the_list(linked):
    linked.restart(portal_page_pause_s=0.6)
    linked.quote()
    linked.eventually(lambda: linked.data.stream.connections)
    intent = linked.near()
    linked.executor.submit(intent)

    assert linked.eventually(lambda: linked.executor.fills_since(BEGINNING)[0])


def test_order_of_the_portal_names_every_key_it_needs(linked):
    intent = linked.entry(price_bound=D("181.00"), trailing_offset=D("0.50"))
    linked.executor.submit(intent)
    entry, stop = sorted(linked.executor.resting(), key=lambda order: order.side)

    assert (entry.trigger, entry.limit, entry.tif) == (D("180"), D("181"), intent.tif)
    assert (stop.trailing_percent, stop.trigger, stop.limit) == (D(10), D("150"), D("149.5"))
    assert linked.executor.amend(stop.client_order_id, quantity=D(10))[-1].state is OrderState.ACCEPTED
    assert stop.client_order_id == linked.stop_of(intent)
    assert intent.leg is Leg.ENTRY
