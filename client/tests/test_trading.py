"""A signal's whole life, from the open to the reported outcome."""

from decimal import Decimal as D


def test_an_open_is_accepted_ordered_protected_and_reported(client, feed, broker):
    signal = feed.open()

    assert client.run_once() == 0

    (order,) = broker.orders
    assert order.client_id == f"tc-{signal.removeprefix('sig_')}-entry-1"
    assert (order.side, order.units) == ("buy", D(1000))
    assert (order.levels.stop, order.levels.target) == (D("1.09500"), D("1.11000"))
    assert feed.stages(signal) == ["ack", "executed"]
    ack, fill = feed.bodies(signal)
    assert ack["decision"] == "accept"
    assert {k: fill[k] for k in ("fill_id", "quantity", "price", "ordered_quantity")} == {
        "fill_id": "1", "quantity": "1000", "price": "1.10000", "ordered_quantity": "1000",
    }  # fmt: skip


def test_a_close_closes_the_position_and_reports_its_own_result(client, feed, broker):
    signal = feed.open()
    client.run_once()
    broker.bid = D("1.10300")
    feed.end(signal)

    assert client.run_once() == 0

    assert broker.open == {}
    (outcome,) = feed.bodies(signal, "resolved")
    assert (outcome["realised"], outcome["currency"], outcome["reason"]) == ("3.00000", "USD", "time")


def test_an_amend_replaces_the_protective_orders(client, feed, broker):
    signal = feed.open()
    client.run_once()
    feed.amend(signal)

    client.run_once()

    ((_, levels),) = broker.protections
    assert (levels.stop, levels.target) == (D("1.09800"), D("1.11500"))
