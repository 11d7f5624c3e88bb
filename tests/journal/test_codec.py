"""Domain values on their way into a line and back."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Refuse
from journal import decode, encode_fields
from journal.codec import to_ascii_json


class Side(StrEnum):
    YES = "yes"
    NO = "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    price: Decimal
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    market: str
    side: Side
    legs: tuple[Leg, ...]
    at: datetime
    day: date
    nanoseconds: int
    probability: float
    note: str | None = None
    tags: frozenset[str] = frozenset()
    votes: dict[str, Decimal] | None = None
    held: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("at must be aware")


NOON = datetime(2014, 5, 2, 12, tzinfo=UTC)
TRADE = Trade(
    market="EUR_USD", side=Side.NO, legs=(Leg(price=Decimal("1.0900"), quantity=1_000),), at=NOON, day=date(2014, 5, 2),
    nanoseconds=2**60, probability=0.25, tags=frozenset({"b", "a"}), votes={"m": Decimal("0.5")},
    held=timedelta(hours=1, microseconds=3),
)  # fmt: skip


def test_a_frozen_dataclass_comes_back_equal() -> None:
    assert decode(encode_fields(TRADE), Trade) == TRADE
    assert decode(to_ascii_json(encode_fields(TRADE)), Trade) == TRADE


def test_money_and_big_numbers_are_strings_and_times_are_utc() -> None:
    plain = encode_fields(TRADE)

    assert plain["legs"] == [{"price": "1.0900", "quantity": 1000}]
    assert (plain["nanoseconds"], plain["side"], plain["tags"]) == ("1152921504606846976", "no", ["a", "b"])
    assert (plain["at"], plain["note"]) == ("2014-05-02T12:00:00.000000Z", None)


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_any_amount_comes_back_with_the_same_value_and_digits(amount: Decimal) -> None:
    text = encode_fields({"amount": amount})["amount"]

    assert Decimal(text) == amount
    assert isinstance(text, str)


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5)), timezone(timedelta(hours=14))])))
def test_any_time_comes_back_as_the_same_moment(moment: datetime) -> None:
    try:
        text = encode_fields({"at": moment})["at"]
    except OverflowError:
        return  # year 1 or 9999 pushed over the edge by its offset

    assert datetime.fromisoformat(text) == moment


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (2**53, 2**53), (2**53 + 1, "9007199254740993"), (-(2**64), "-18446744073709551616"), (True, True),
        (Decimal("1E-7"), "0.0000001"), (Decimal("1E+3"), "1000"), (Decimal("-0.00"), "-0.00"),
        (Decimal("1E+900"), "1E+900"), (1e300, 1e300), ((1, [2]), [1, [2]]), ({Side.YES: 1}, {"yes": 1}),
    ],
)  # fmt: skip
def test_each_kind_of_number_has_one_form(value: object, plain: object) -> None:
    assert encode_fields({"value": value})["value"] == plain


def test_minus_zero_becomes_zero() -> None:
    assert str(encode_fields({"value": -0.0})["value"]) == "0.0"


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity"), datetime(2014, 5, 2), b"x", object(), {1: 2},  # noqa: DTZ001
     dict.fromkeys(("\ud800", "\ufffd")), 1j],
)  # fmt: skip
def test_what_has_no_safe_form_is_refused(value: object) -> None:
    with pytest.raises(Refuse, match="nothing was written"):
        encode_fields({"value": value})


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)

    with pytest.raises(Refuse, match="nested"):
        encode_fields({"loop": loop})


def test_unknown_keys_are_ignored_and_missing_ones_are_named() -> None:
    assert decode({"price": "1", "quantity": 2, "new": True}, Leg) == Leg(price=Decimal(1), quantity=2)
    with pytest.raises(Refuse, match="missing required field `quantity`"):
        decode({"price": "1"}, Leg)


def test_what_the_type_itself_refuses_is_refused() -> None:
    with pytest.raises(Refuse, match="at must be aware"):
        decode({**encode_fields(TRADE), "at": "2014-05-02T12:00:00"}, Trade)


def test_text_that_looks_like_something_else_stays_text() -> None:
    assert decode({"a": "null", "b": "12"}, dict[str, str | None]) == {"a": "null", "b": "12"}
