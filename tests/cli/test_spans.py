"""Spans of time as a person types them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.spans import parse_span
from domain.errors import Refuse


@pytest.mark.parametrize(
    ("text", "seconds"), [("60s", 60), ("5m", 300), ("2h", 7200), ("90", 90), ("0.5s", 0.5), ("1.5m", 90), (" 7s ", 7)]
)
def test_a_span_is_read_in_seconds(text, seconds):
    assert parse_span(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "0", "0s", "0.0m", "-5s", "5 s", "5d", "5S", "1e3s", ".5s", "5.s", "nan", "1m3s"]
)
def test_anything_else_is_refused_with_examples(text):
    with pytest.raises(Refuse, match="a span such as 60s, 5m or 2h") as caught:
        parse_span(text)

    assert caught.value.found == repr(text)


def test_a_span_beyond_every_number_is_refused():
    with pytest.raises(Refuse):
        parse_span("9" * 400 + "s")


@given(st.text(max_size=12) | st.from_regex(r"[0-9]{1,20}(\.[0-9]+)?[smh]?", fullmatch=True))
def test_whatever_is_typed_gives_seconds_or_a_refusal(text):
    try:
        seconds = parse_span(text)
    except Refuse:
        return

    assert 0 < seconds < math.inf
