"""The words for a moment."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.period import parse_moment
from domain.clock import iso
from domain.errors import Refuse

NOW = datetime(2026, 11, 8, 15, 30, 20, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", NOW - timedelta(seconds=90)),
        ("30m", NOW - timedelta(minutes=30)),
        ("24h", NOW - timedelta(hours=24)),
        ("7d", NOW - timedelta(days=7)),
        ("2w", NOW - timedelta(weeks=2)),
        (" 0s\n", NOW),
        ("today", datetime(2026, 11, 8, tzinfo=UTC)),
        ("yesterday", datetime(2026, 11, 7, tzinfo=UTC)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("20261101", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T10:00", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        ("2026-11-01 10:00:00.25", datetime(2026, 11, 1, 10, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-11-01T10:00:00Z", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        ("2026-11-01T10:00:00-05:00", datetime(2026, 11, 1, 15, tzinfo=UTC)),
        ("1793541600", datetime(2026, 11, 1, 14, tzinfo=UTC)),
        ("1793541600.5", datetime(2026, 11, 1, 14, 0, 0, 500_000, tzinfo=UTC)),
        ("999999999", datetime(2001, 9, 9, 1, 46, 39, tzinfo=UTC)),
    ],
)
def test_a_moment_is_read_in_every_form(text, moment):
    found = parse_moment(text, NOW)

    assert found == moment
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "7 d",
        "7y",
        "-7d",
        "1.5h",
        "d",
        "tomorrow",
        "Today",
        "2026",
        "2026-13-01",
        "2026-11-01T25:00",
        "01/11/2026",
        "17935416000",
        "123456",
        "9999999d",
        "9" * 400 + "d",
        "9" * 5000 + "d",
        "0001-01-01T00:00+23:00",
        "9999-12-31T23:00-23:00",
    ],
)
def test_anything_else_is_refused_with_the_forms(text):
    with pytest.raises(Refuse, match="a span \\(30m, 24h, 7d, 2w\\)") as caught:
        parse_moment(text, NOW)

    assert caught.value.found == repr(text)


@given(st.text(max_size=20))
def test_whatever_is_typed_gives_a_moment_or_a_refusal(text):
    try:
        found = parse_moment(text, NOW)
    except Refuse:
        return

    assert found.utcoffset() == timedelta(0)


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)))  # noqa: DTZ001  bounds are naive
def test_a_written_moment_is_read_back(moment):
    assert parse_moment(iso(moment), NOW) == moment
