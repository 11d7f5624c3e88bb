"""Day trades: what counts as one, over which sessions, under which rule, and that an entry reserves its exit's."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.day_trades import (
    COUNT_ENDS,
    DayTradeFill,
    DayTradeLedger,
    DayTradePolicy,
    DayTradeRules,
    rules_on,
    settlement_sessions,
)

D = Decimal
NEW_YORK = ZoneInfo("America/New_York")
LEGACY = DayTradeRules(policy=DayTradePolicy.LEGACY_PDT)
SMALL = D(10_000)


class Weekdays:
    """Sessions on every weekday but one holiday, each until 20:00 New York."""

    def __init__(self, holiday=None):
        self._holiday = holiday

    def is_session(self, day):
        return day.weekday() < 5 and day != self._holiday

    def trading_day(self, moment):
        local = moment.astimezone(NEW_YORK)
        day = local.date() + timedelta(days=local.hour >= 20)
        while not self.is_session(day):
            day += timedelta(days=1)
        return day

    def days(self, last, count):
        found = []
        while len(found) < count:
            if self.is_session(last):
                found.insert(0, last)
            last -= timedelta(days=1)
        return tuple(found)


DAYS = Weekdays()


def at(text):
    """Return a moment of New York's wall clock."""
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


def fills(*rows, market="SPY", account="DU1"):
    """Make fills out of texts such as ``open 2014-05-06 10:00``."""
    made = []
    for row in rows:
        leg, _, when = row.partition(" ")
        number = f"{market}-{row}-{len(made)}"
        made.append(DayTradeFill(id=number, account=account, market=market, at=at(when), opens=leg == "open"))
    return made


def ledger_of(rows, days=DAYS):
    ledger = DayTradeLedger(days)
    for fill in rows:
        ledger.add(fill)
    return ledger


def state_of(rows, now, rules=LEGACY, days=DAYS, pending=()):
    return ledger_of(rows, days).state(now, rules, SMALL, pending=pending)


def made(*rows):
    ledger = ledger_of(fills(*rows))
    return sum(ledger.made(day) for day in DAYS.days(date(2014, 12, 31), 400))


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        (["open 2014-05-06 10:00", "close 2014-05-06 15:00"], 1),
        (["open 2014-05-06 10:00", "close 2014-05-07 09:30"], 0),
        (["open 2014-05-06 04:05", "close 2014-05-06 19:55"], 1),
        (["open 2014-01-07 19:30", "close 2014-01-08 10:00"], 0),
        (["open 2014-05-06 10:00", "open 2014-05-06 10:05", "close 2014-05-06 15:00"], 1),
        (["open 2014-05-06 10:00", "close 2014-05-06 11:00", "close 2014-05-06 12:00"], 1),
        (["open 2014-05-06 10:00", "close 2014-05-06 11:00", "open 2014-05-06 12:00", "close 2014-05-06 13:00"], 2),
        (["open 2014-05-05 10:00", "close 2014-05-06 10:00", "open 2014-05-06 11:00"], 0),
        (["open 2014-05-05 10:00", "open 2014-05-06 10:00", "close 2014-05-06 11:00"], 1),
        (["open 2014-05-06 10:00", "close 2014-05-06 10:00"], 1),
    ],
    ids=[
        "same day",
        "overnight carry",
        "extended hours at both ends",
        "same day in UTC, two in New York",
        "two entries, one exit",
        "one entry, partial exits",
        "there and back twice",
        "out of an old position, into a new one",
        "a broker knows no lots: old shares sold after a purchase",
        "within one second",
    ],
)
def test_a_day_trade_is_a_change_from_opening_to_closing_within_one_session(rows, count):
    assert made(*rows) == count


@given(st.permutations(range(6)))
def test_order_of_arrival_changes_nothing(order):
    rows = fills(
        "open 2014-05-06 10:00",
        "close 2014-05-06 11:00",
        "open 2014-05-06 12:00",
        "close 2014-05-06 13:00",
        "open 2014-05-07 10:00",
        "close 2014-05-07 10:01",
    )
    state = state_of([rows[index] for index in order], at("2014-05-07 15:00"))

    assert state == (3, 3)


def test_a_fill_reported_twice_counts_once():
    once = fills("open 2014-05-06 10:00", "close 2014-05-06 11:00", "open 2014-05-06 12:00")

    assert state_of(once * 2, at("2014-05-06 15:00")) == state_of(once, at("2014-05-06 15:00"))


def test_markets_and_accounts_are_counted_apart():
    mixed = [
        *fills("open 2014-05-06 10:00"),
        *fills("close 2014-05-06 11:00", market="AIG"),
        *fills("open 2014-05-06 12:00", "close 2014-05-06 13:00", account="DU2"),
    ]
    ledger = DayTradeLedger(DAYS)
    for fill in mixed:
        ledger.add(fill)
    day = date(2014, 5, 6)

    assert (ledger.made(day), ledger.made(day, "DU1"), ledger.made(day, "DU2")) == (1, 0, 1)
    assert (ledger.reserved(day), ledger.reserved(day, "DU1"), ledger.reserved(day, "DU2")) == (1, 1, 0)


@pytest.mark.parametrize(
    ("now", "count"),
    [
        ("2014-05-23 15:00", 1),
        ("2014-05-27 15:00", 1),
        ("2014-05-30 19:59", 1),
        ("2014-05-30 20:00", 0),
        ("2014-06-02 09:30", 0),
    ],
)
def test_the_window_is_five_sessions_across_a_weekend_and_a_holiday(now, count):
    # Friday, 23 May; Monday, the 26th, was Memorial Day: the fifth session is Friday, the 30th.
    trade = fills("open 2014-05-23 10:00", "close 2014-05-23 11:00")
    state = state_of(trade, at(now), days=Weekdays(holiday=date(2014, 5, 26)))

    assert state.used == count


def test_real_sessions_of_new_york_are_such_days(tmp_path):
    from domain.clock import FakeClock
    from market.calendar import Calendar

    calendar = Calendar.ensure(tmp_path, "XNYS", FakeClock(at("2014-05-06 09:20")))
    trade = fills("open 2014-05-23 10:00", "close 2014-05-23 11:00")
    used = [state_of(trade, at(now), days=calendar).used for now in ("2014-05-30 15:00", "2014-06-02 09:30")]

    assert used == [1, 0]


def test_where_no_session_is_known_everything_counts():
    class Nothing(Weekdays):
        def days(self, last, count):
            return ()

    trade = fills("open 2014-05-06 10:00", "close 2014-05-06 11:00")

    assert state_of(trade, at("2014-05-20 15:00"), days=Nothing()).used == 1


def test_an_entry_of_today_reserves_the_day_trade_of_its_exit():
    opened = fills("open 2014-05-06 10:00")

    assert state_of(opened, at("2014-05-06 15:00")).used == 1
    assert state_of(opened, at("2014-05-07 09:30")).used == 0


def test_the_reserved_one_is_made_by_the_exit_and_not_counted_twice():
    closed = fills("open 2014-05-06 10:00", "close 2014-05-06 11:00")

    assert state_of(closed, at("2014-05-06 15:00")).used == 1


def test_entries_that_rest_at_the_broker_reserve_one_each_and_one_a_market():
    opened = fills("open 2014-05-06 10:00")
    resting = [("DU1", "SPY"), ("DU1", "AIG"), ("DU1", "AIG"), ("DU1", "IBM")]

    assert state_of(opened, at("2014-05-06 15:00"), pending=resting).used == 3


def test_a_fourth_day_trade_is_beyond_the_limit_and_an_exit_is_never_asked():
    three = [
        fill
        for market in ("SPY", "AIG", "IBM")
        for fill in fills("open 2014-05-06 10:00", "close 2014-05-06 11:00", market=market)
    ]
    state = state_of(three, at("2014-05-06 15:00"))
    fourth = [*three, *fills("open 2014-05-06 15:30", "close 2014-05-06 15:40", market="TWX")]

    assert state.used + 1 > state.limit
    assert state_of(fourth, at("2014-05-06 15:50")) == (4, 3)


@pytest.mark.parametrize(("equity", "limit"), [("24999.99", 3), ("25000", None), ("100000", None), ("-5", 3)])
def test_an_account_of_twenty_five_thousand_is_not_limited(equity, limit):
    assert LEGACY.limit(D(equity)) == limit


@pytest.mark.parametrize(
    ("day", "policy"),
    [
        ("2014-05-06", DayTradePolicy.LEGACY_PDT),
        ("2026-06-03", DayTradePolicy.LEGACY_PDT),
        ("2026-06-04", DayTradePolicy.INTRADAY_MARGIN),
        ("2027-10-20", DayTradePolicy.INTRADAY_MARGIN),
    ],
)
def test_the_count_ended_on_the_fourth_of_june_2026(day, policy):
    assert rules_on(date.fromisoformat(day), "ibkr").policy is policy
    assert rules_on(COUNT_ENDS).limit(D(1)) is None


def test_operator_may_say_that_the_broker_still_counts():
    assert rules_on(date(2027, 1, 4), "ibkr", chosen=DayTradePolicy.LEGACY_PDT).limit(SMALL) == 3


@pytest.mark.parametrize("policy", [DayTradePolicy.INTRADAY_MARGIN, DayTradePolicy.CASH_T1, DayTradePolicy.OFF])
def test_other_policies_count_but_do_not_limit(policy):
    trade = fills("open 2014-05-06 10:00", "close 2014-05-06 11:00")

    assert state_of(trade, at("2014-05-06 15:00"), DayTradeRules(policy=policy)) == (1, None)


def test_a_cash_account_is_under_its_own_rule_on_every_day():
    assert rules_on(date(2014, 5, 6), is_cash=True).policy is DayTradePolicy.CASH_T1
    assert rules_on(date(2026, 7, 1), is_cash=True).policy is DayTradePolicy.CASH_T1


@pytest.mark.parametrize(
    ("day", "sessions"),
    [("2014-05-06", 3), ("2017-09-04", 3), ("2017-09-05", 2), ("2024-05-24", 2), ("2024-05-28", 1), ("2026-11-23", 1)],
)
def test_trades_settle_sooner_since_each_change_of_the_rule(day, sessions):
    assert settlement_sessions(date.fromisoformat(day)) == sessions


@pytest.mark.parametrize(
    ("now", "unsettled"),
    [("2026-05-21 15:00", 0), ("2026-05-22 15:00", 500), ("2026-05-23 12:00", 0), ("2026-05-26 09:30", 0)],
)
def test_proceeds_of_a_sale_settle_with_the_next_session(now, unsettled):
    ledger = DayTradeLedger(Weekdays(holiday=date(2026, 5, 25)))
    ledger.add(
        DayTradeFill(id="1", account="DU1", market="SPY", at=at("2026-05-22 11:00"), opens=False, proceeds=D(500))
    )

    assert ledger.unsettled(at(now)) == unsettled


def test_what_was_forgotten_is_not_counted_anew():
    ledger = DayTradeLedger(DAYS)
    trade = fills("open 2014-05-06 10:00", "close 2014-05-06 11:00")
    for fill in trade:
        ledger.add(fill)
    ledger.forget(date(2014, 5, 6))
    kept = ledger.made(date(2014, 5, 6))
    ledger.forget(date(2014, 5, 7))
    for fill in trade:
        ledger.add(fill)

    assert (kept, ledger.made(date(2014, 5, 6))) == (1, 0)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 600)), max_size=12))
def test_there_are_never_more_day_trades_than_exits_or_entries(steps):
    start = at("2014-05-06 09:30")
    rows = [
        DayTradeFill(id=str(n), account="DU1", market="SPY", at=start + timedelta(minutes=minute), opens=opens)
        for n, (opens, minute) in enumerate(steps)
    ]
    state = state_of(rows, start + timedelta(hours=10, minutes=29))

    assert state.used <= sum(fill.opens for fill in rows)
    assert (state.used > 0) is any(fill.opens for fill in rows)
