"""The ledger of paid estimates, with other surfaces of the house beside it."""

import threading
from decimal import Decimal

import pytest

from audit.costs import Spent
from domain.clock import FakeClock, parse_iso
from domain.house import House
from domain.vocabulary import Kind, Mode, Surface
from forecast.budget import BudgetSpent, PaidCall, Usage
from journal import read
from risk.event_limits import EventLimits
from surfaces.costs import CostBook

D = Decimal
START = parse_iso("2026-03-04T12:00:00Z")
LIMITS = EventLimits(
    bankroll=D(1000),
    cost_day_usd=D("1.00"),
    cost_month_usd=D("2.00"),
    fleet_cost_day_usd=D("1.50"),
    fleet_cost_month_usd=D("2.50"),
)
CALL = PaidCall(provider="anthropic", model="claude", question="q1", worst_usd=D("0.30"))


class Desk:
    """Cost books of several surfaces in one house, on one clock."""

    def __init__(self, home):
        self.house = House(home=home)
        self.clock = FakeClock(START)
        self.books = {}

    def __getitem__(self, surface):
        if surface not in self.books:
            self.books[surface] = CostBook(self.house, surface, Mode.PAPER, self.clock, LIMITS)
        return self.books[surface]

    def end(self):
        for book in self.books.values():
            book.__exit__(None, None, None)
        self.books.clear()


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path)
    yield made
    made.end()


def test_a_reservation_counts_in_full_until_it_is_settled(desk):
    book = desk[Surface.LT]
    reservation = book.reserve(CALL)
    before = book.spent()
    book.settle(reservation, Usage(tokens_in=300, tokens_out=200), D("0.004"), "answered")

    assert before == Spent(day=D("0.30"), month=D("0.30"), fleet_day=D("0.30"), fleet_month=D("0.30"))
    assert book.spent().day == D("0.004")


def test_what_does_not_fit_into_the_day_is_refused_and_not_written(desk):
    book = desk[Surface.LT]
    for _ in range(3):
        book.reserve(CALL)

    with pytest.raises(BudgetSpent, match=r"budget of the day, 1\.00 USD; found 0\.90 USD spent"):
        book.reserve(CALL)

    kinds = [entry.kind for entry in read(desk.house.log(Surface.LT, "costs"))]
    assert kinds.count(Kind.COST_RESERVED) == 3


def test_the_budget_of_the_day_begins_anew_at_midnight_utc_and_that_of_the_month_goes_on(desk):
    book = desk[Surface.LT]
    for _ in range(3):
        book.reserve(CALL)
    desk.clock.advance(24 * 3600)

    for _ in range(3):
        book.reserve(CALL)

    assert book.spent().day == D("0.90")
    desk.clock.advance(24 * 3600)
    with pytest.raises(BudgetSpent, match="budget of the month"):
        book.reserve(CALL)


def test_two_surfaces_share_the_fleets_budget(desk):
    for surface in (Surface.LT, Surface.ST, Surface.LT, Surface.ST, Surface.LT):
        desk[surface].reserve(CALL)

    with pytest.raises(BudgetSpent, match="day of the fleet"):
        desk[Surface.ST].reserve(CALL)

    assert desk[Surface.ST].spent().fleet_day == D("1.50")


def test_a_restart_remembers_what_was_reserved_and_never_settled(desk):
    desk[Surface.LT].reserve(CALL)
    desk.end()

    assert desk[Surface.LT].spent().day == D("0.30")


def test_a_reservation_is_settled_once(desk):
    book = desk[Surface.LT]
    reservation = book.reserve(CALL)

    for cost in ("0.10", "0.01"):
        book.settle(reservation, Usage(), D(cost), "answered")

    assert book.spent().day == D("0.10")


def test_many_threads_and_surfaces_never_reserve_more_than_there_is(desk):
    refused = []

    def take(book):
        for _ in range(6):
            try:
                book.reserve(CALL)
            except BudgetSpent:
                refused.append(book)

    threads = [threading.Thread(target=take, args=(desk[s],)) for s in (Surface.LT, Surface.ST) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert desk[Surface.LT].spent().fleet_day == D("1.50")
    assert len(refused) == 36 - 5


@pytest.mark.parametrize("back_s", [86_400, 40 * 86_400])
def test_a_clock_that_steps_back_finds_no_second_budget(desk, back_s):
    book = desk[Surface.LT]
    for _ in range(3):
        book.reserve(CALL)
    desk.clock.advance(-back_s)

    with pytest.raises(BudgetSpent):
        book.reserve(CALL)
    assert book.spent() == Spent(day=D("0.90"), month=D("0.90"), fleet_day=D("0.90"), fleet_month=D("0.90"))
