"""Settings of both IBKR connections, the reset windows, and the link's state."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from brokers.ibkr import codes
from brokers.ibkr.codes import Meaning
from brokers.ibkr.config import IbkrConfig, load
from brokers.ibkr.link import LinkState
from brokers.ibkr.windows import ResetWindow, upcoming
from domain.clock import FakeClock
from domain.errors import Misconfigured, Retry
from domain.vocabulary import Link

WINDOWS = (ResetWindow.parse("23:45-00:45"), ResetWindow.parse("Fri 23:00-03:00"))
# Tuesday 23:44:30 in New York
BEFORE = datetime(2014, 5, 7, 3, 44, 30, tzinfo=UTC)


def state(clock):
    made = LinkState(clock, WINDOWS, quiet_s=60, longest_s=14_400)
    made.settled("session")
    return made


def test_link_begins_down():
    made = LinkState(FakeClock(BEFORE), (), quiet_s=60, longest_s=60)

    assert made.state() == (Link.DOWN, "not connected yet")
    with pytest.raises(Retry):
        made.require_up("an order")


def test_link_is_as_bad_as_its_worst_trouble():
    link = state(FakeClock(datetime(2014, 5, 6, 15, tzinfo=UTC)))
    link.trouble("market data", Link.DEGRADED, "a farm is broken")
    link.trouble("server", Link.DOWN, "no servers")
    worst = link.state()
    link.settled("server")
    better = link.state()
    link.settled("market data")

    assert worst == (Link.DOWN, "no servers; a farm is broken")
    assert better == (Link.DEGRADED, "a farm is broken")
    assert link.state() == (Link.UP, "")


def test_nothing_is_sent_in_the_last_minute_before_a_reset():
    clock = FakeClock(BEFORE - timedelta(seconds=31))
    link = state(clock)
    early = link.state()[0]
    clock.advance(1)
    late = link.state()
    clock.advance(60)

    assert early is Link.UP
    assert late == (Link.DEGRADED, "IBKR's reset begins at 03:45 UTC")
    assert link.state() == (Link.UP, "")


def test_absence_in_a_reset_window_is_explained_and_not_for_ever():
    clock = FakeClock(BEFORE + timedelta(minutes=2))
    link = state(clock)
    link.trouble("server", Link.DOWN, "no servers (1100)")
    inside = link.state()[1]
    clock.advance(2 * 3600)
    after = link.state()[1]
    clock.advance(3 * 3600)

    assert inside == "no servers (1100) (IBKR's reset, until 04:45 UTC)"
    assert after == "no servers (1100)"
    assert "a person must look" in link.state()[1]


@pytest.mark.parametrize(
    ("moment", "begin", "end"),
    [
        ("2014-05-06T15:00:00Z", "2014-05-07T03:45:00Z", "2014-05-07T04:45:00Z"),
        ("2014-05-07T04:00:00Z", "2014-05-07T03:45:00Z", "2014-05-07T04:45:00Z"),
        ("2014-05-10T04:00:00Z", "2014-05-10T03:00:00Z", "2014-05-10T07:00:00Z"),
        ("2014-01-07T15:00:00Z", "2014-01-08T04:45:00Z", "2014-01-08T05:45:00Z"),
        ("2014-03-09T03:00:00Z", "2014-03-09T04:45:00Z", "2014-03-09T05:45:00Z"),
        ("2014-03-09T20:00:00Z", "2014-03-10T03:45:00Z", "2014-03-10T04:45:00Z"),
    ],
)
def test_reset_window_follows_the_clocks_of_new_york(moment, begin, end):
    found = upcoming(WINDOWS, datetime.fromisoformat(moment))

    assert found == (datetime.fromisoformat(begin), datetime.fromisoformat(end))


@pytest.mark.parametrize("text", ["", "midnight", "25:00-26:00", "Xyz 01:00-02:00", "1:00-2:00"])
def test_text_that_is_no_window_is_refused(text):
    with pytest.raises(Misconfigured) as refused:
        load({"IBKR_ACCOUNT": "DU1", "IBKR_RESET_WINDOWS": text or ";"}, source="env/stk.env")

    assert "env/stk.env" in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"account": "U1234567"},
        {"account": "DU1", "environment": "live"},
        {"account": "put-your-account-here"},
        {"account": "du1"},
        {"port": "70000"},
        {"host": "gate way"},
        {"client_id": "-1"},
        {"messages_per_s": "50"},
        {"margin_rate": "0"},
        {"order_timeout_s": "60"},
        {"portal_url": "http://gateway.example/v1/api"},
        {"portal_url": "https://user:secret@localhost:5000/v1/api"},
    ],
)
def test_setting_that_makes_no_sense_is_refused_with_its_name(changes):
    given = {"IBKR_ACCOUNT": "DU1"} | {f"IBKR_{key.upper()}": value for key, value in changes.items()}
    with pytest.raises(Misconfigured) as refused:
        load(given, source="env/stk.env")

    assert f"IBKR_{next(reversed(changes)).upper()}" in str(refused.value) or "IBKR_ACCOUNT" in str(refused.value)


def test_defaults_reach_a_paper_gateway():
    config = load({"IBKR_ACCOUNT": "DU1"}, source="env/stk.env")

    assert (config.socket_port, config.client_ids, config.quantity_step) == (4002, (1, 11, 21, 31), Decimal(1))
    assert IbkrConfig(account="U1", environment="live").socket_port == 4001
    assert IbkrConfig(account="DU1", fractional=True).quantity_step == Decimal("0.0001")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (201, Meaning.REJECT), (399, Meaning.INFO), (404, Meaning.INFO), (10349, Meaning.INFO), (202, Meaning.UNKNOWN),
        (321, Meaning.UNKNOWN), (10147, Meaning.UNKNOWN), (10148, Meaning.UNKNOWN), (2109, Meaning.WARN),
        (110, Meaning.REJECT), (99_999, Meaning.UNKNOWN),
    ],
)  # fmt: skip
def test_code_means_what_our_own_table_says(code, expected):
    assert codes.meaning(code) is expected
