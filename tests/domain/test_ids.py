"""Identifiers sort by time, and order ids say whose they are."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import client_order_id, is_id, new_id, signal_of_order
from domain.vocabulary import Leg, Surface

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  bounds are naive
ORDER = client_order_id(Surface.FX, "sig_01KJX1V2R0ABCDEFGHJKMNPQRS", Leg.ENTRY, 1)


@given(MOMENTS, st.timedeltas(timedelta(milliseconds=1), timedelta(days=900)))
def test_an_id_made_a_millisecond_later_sorts_later(moment, gap):
    assert new_id("sig", moment) < new_id("sig", moment + gap)


@given(MOMENTS)
def test_an_id_has_the_form_of_an_id_with_its_prefix(moment):
    made = new_id("dec", moment)

    assert is_id(made, "dec")
    assert not is_id(made, "sig")
    assert len(made) == 30


def test_two_ids_of_the_same_moment_differ():
    assert len({new_id("sig", NOW) for _ in range(1000)}) == 1000


@pytest.mark.parametrize("change", [str.lower, lambda t: t + "\n", lambda t: t[:-1], lambda t: t + "A"])
def test_text_of_another_form_is_no_id(change):
    assert not is_id(change(new_id("sig", NOW)), "sig")


@pytest.mark.parametrize("letter", "ILOU8")
def test_an_id_holds_no_letter_that_looks_like_another_and_fits_130_bits(letter):
    made = new_id("sig", NOW)

    assert not is_id(f"sig_{letter}{made[5:]}", "sig")


@pytest.mark.parametrize("surface", Surface)
@pytest.mark.parametrize("leg", Leg)
@given(moment=MOMENTS, attempt=st.integers(0, 10**9))
def test_a_client_order_id_comes_apart_into_what_it_was_made_of(surface, leg, moment, attempt):
    signal_id = new_id("sig", moment)

    order_id = client_order_id(surface, signal_id, leg, attempt)

    assert signal_of_order(order_id) == (surface, signal_id, leg, attempt)
    assert order_id == client_order_id(surface, signal_id, leg, attempt)


@pytest.mark.parametrize(
    "foreign",
    [
        "",
        "123",
        "web-order-7",
        ORDER.replace("tb-", "xx-"),
        ORDER.replace("-fx-", "-crypto-"),
        ORDER.replace("-entry-", "-hedge-"),
        ORDER.replace("-1", "-01"),
        ORDER.replace("-1", "-"),
        ORDER.replace("-1", "--1"),
        ORDER.replace("-1", "-٣"),
        ORDER.replace("-1", "-" + "9" * 5000),
        ORDER.lower(),
        ORDER + "\n",
        ORDER + "-2",
        " " + ORDER,
    ],
)
def test_an_id_that_is_not_ours_names_no_signal(foreign):
    assert signal_of_order(foreign) is None


@given(st.text())
def test_whatever_text_is_taken_for_ours_is_made_again_exactly(text):
    parsed = signal_of_order(text)

    assert parsed is None or client_order_id(*parsed) == text
