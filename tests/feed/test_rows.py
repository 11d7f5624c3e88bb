"""The board's rows against a dictionary of the same signals."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import new_id
from feed.lines import Signal
from feed.rows import _SHELVES, WIDTH, KeptRows, Rows

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
IDS = (*(new_id("sig", AT) for _ in range(8)), "", "sig_", "rec_1", "sig_ü" + "x" * 24, "x" * 30, "€" * 300)
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  the bounds are naive there
PRICES = st.one_of(
    st.none(),
    st.decimals(allow_nan=False),
    st.decimals(min_value=0, max_value=10**9, places=6),
    st.sampled_from(["-0", "1E+30", "1e-200", "0.000000000000000000001", "9" * 18, "9" * 19, "1.10000"]).map(Decimal),
)
SIGNALS = st.builds(
    Signal,
    st.sampled_from(IDS), st.sampled_from(["fx", "st", ""]), st.sampled_from(["paper", "live"]),
    st.sampled_from(["buy", "sell", "", "anything"]), PRICES, st.none() | MOMENTS, st.none() | MOMENTS,
)  # fmt: skip
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), SIGNALS),
        st.tuples(st.just("end"), st.sampled_from(IDS), MOMENTS),
        st.tuples(st.just("drop"), MOMENTS, st.sets(st.sampled_from(IDS))),
        st.tuples(st.just("keep")),
    ),
    max_size=40,
)


def restored(rows: Rows) -> Rows:
    kept = msgspec.json.decode(msgspec.json.encode(rows.keep()), type=KeptRows)
    assert kept.is_whole
    return Rows.restored(kept)


@given(steps=STEPS, now=MOMENTS)
def test_rows_say_what_a_dictionary_of_signals_says(steps, now):
    rows, signals, ended = Rows(), {}, {}
    for step, *what in steps:
        if step == "put":
            (signal,) = what
            assert rows.put(signal) == (signal.id in ended)
            signals[signal.id] = signal
        elif step == "end":
            rows.end(*what)
            ended.setdefault(*what)
        elif step == "drop":
            moment, but = what
            rows.drop(moment, but)
            for one in [one for one, at in ended.items() if at < moment and one not in but]:
                del ended[one]
                signals.pop(one, None)
        else:
            rows = restored(rows)

    for one in IDS:
        signal, end = signals.get(one), ended.get(one)
        assert rows.signal(one) == signal
        assert str(rows.signal(one) and rows.signal(one).reference_price) == str(signal and signal.reference_price)
        assert rows.ended_at(one) == end
        assert rows.is_known(one) == (signal is not None)
        assert rows.is_served(one, now) == (signal is not None and not (end is not None and end < now))
        assert rows.is_dead(one, now) == (signal is None or end is not None or signal.is_expired(now))
    assert len(rows) == len(signals.keys() | ended.keys())


def test_thousands_of_signals_on_the_same_shelves_are_told_apart():
    rows, number = Rows(), 3 * _SHELVES
    ids = [new_id("sig", AT + timedelta(milliseconds=n)) for n in range(number)]
    for n, one in enumerate(ids):
        rows.put(Signal(one, "fx", "paper", "buy", Decimal(n), None, AT + timedelta(seconds=n)))
        if n % 3:
            rows.end(one, AT + timedelta(seconds=n))
    rows.drop(AT + timedelta(seconds=number // 2), but=ids[1:2])

    known = [rows.signal(one) for one in ids]
    left = [n for n in range(number) if n % 3 == 0 or n == 1 or n >= number // 2]
    assert [n for n, signal in enumerate(known) if signal is not None] == left
    assert all(known[n].reference_price == n for n in left)
    assert len(rows) == len(left)


def test_an_id_that_stands_across_two_rows_by_chance_is_not_found_there():
    rows = Rows()
    first = Signal(new_id("sig", AT), "fx", "paper", "buy", Decimal(1), None, None)
    rows.put(first)
    shelf, at, _ = rows._find(first.id.encode()[4:])
    assert at == 0
    rows._shelves[shelf] = b"x" * 7 + rows._shelves[shelf] + b"x" * (WIDTH - 7)

    assert rows.signal(first.id) is None


@pytest.mark.parametrize("spoiling", ["a shelf less", "half a row", "a row less"])
def test_rows_that_are_not_whole_say_so(spoiling):
    rows = Rows()
    rows.put(Signal(IDS[0], "fx", "paper", "buy", Decimal(1), AT, AT))
    kept = rows.keep()
    shelves = list(kept.shelves)
    place = next(number for number, shelf in enumerate(shelves) if shelf)
    if spoiling == "a shelf less":
        shelves.pop(place - 1)
    else:
        shelves[place] = shelves[place][: WIDTH // 2] if spoiling == "half a row" else b""

    assert kept.is_whole
    assert not msgspec.structs.replace(kept, shelves=shelves).is_whole


def test_what_was_kept_does_not_change_with_what_comes_later():
    rows = Rows()
    rows.put(Signal(IDS[0], "fx", "paper", "buy", Decimal(1), AT, AT))
    kept = rows.keep()
    rows.end(IDS[0], AT)
    rows.put(Signal(IDS[1], "st", "live", "sell", Decimal("1e40"), AT, AT))
    rows.drop(AT + timedelta(seconds=1), but=())

    before = Rows.restored(kept)
    assert (len(before), before.ended_at(IDS[0]), before.is_known(IDS[1])) == (1, None, False)
    assert (len(rows), rows.is_known(IDS[0]), rows.is_known(IDS[1])) == (1, False, True)
