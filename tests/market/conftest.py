"""Exchange calendars as the child process computes them, once for all tests."""

from datetime import UTC, datetime

import pytest

from domain.clock import FakeClock
from market.calendar import Calendar

# Each covers a year either way.
MOMENTS = {
    2013: datetime(2013, 6, 1, tzinfo=UTC),
    2014: datetime(2014, 5, 6, 13, 20, tzinfo=UTC),
    2025: datetime(2025, 12, 31, tzinfo=UTC),
    2027: datetime(2026, 12, 31, tzinfo=UTC),
}


@pytest.fixture(scope="session")
def calendars(tmp_path_factory):
    """Map year -> the calendar of New York computed in it."""
    base = tmp_path_factory.mktemp("calendars")
    return {year: Calendar.ensure(base / str(year), "XNYS", FakeClock(at)) for year, at in MOMENTS.items()}


@pytest.fixture(scope="session")
def new_york(calendars):
    """Return the calendar of New York around May 2014."""
    return calendars[2014]
