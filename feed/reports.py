"""The three reports a subscriber may send, checked at the boundary."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from domain.vocabulary import Stage
from feed import strict
from feed.problems import Problem, invalid

REV_MAX = 1_000
_ERRORS_SHOWN = 20
# Twelve digits on either side hold any price or amount met here, and keep a sum of a million of them exact.
_LARGEST, _FINEST = Decimal("1e15"), -12


def _decimal(value: Any) -> Decimal:
    if not isinstance(value, str) or len(value) > 40 or not value.isascii() or "_" in value or value != value.strip():
        raise ValueError("a decimal number in a string is needed")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError("a decimal number in a string is needed") from None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError("the number must be finite")
    if abs(number) >= _LARGEST or exponent < _FINEST or exponent > 15:
        raise ValueError("the number must lie below 1e15 and have at most 12 decimals")
    return number


def _moment(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("an ISO-8601 moment with its offset, in a string, is needed")
    return value


def _utc(value: datetime) -> datetime:
    if not 2000 <= value.year < 2100:  # also keeps the conversion below inside what a datetime can hold
        raise ValueError("the moment must lie in this century")
    return value.astimezone(UTC)


def _positive(value: Decimal) -> Decimal:
    if value <= 0:
        raise ValueError("the number must be positive")
    return value


def _plain(value: str) -> str:
    if any(0xD800 <= ord(letter) <= 0xDFFF or ord(letter) < 0x20 for letter in value):
        raise ValueError("control characters and lone surrogates are not allowed")
    return value


Number: TypeAlias = Annotated[Decimal, BeforeValidator(_decimal, json_schema_input_type=str)]
Positive: TypeAlias = Annotated[Number, AfterValidator(_positive)]
Moment: TypeAlias = Annotated[
    AwareDatetime, Field(strict=False), BeforeValidator(_moment, json_schema_input_type=str), AfterValidator(_utc)
]
Text: TypeAlias = Annotated[str, Field(max_length=200), AfterValidator(_plain)]
Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_plain)]
Currency: TypeAlias = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{2,9}$")]


class Report(BaseModel):
    """What all three have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    at: Moment
    rev: Annotated[int, Field(ge=0, le=REV_MAX)] = 0


class Ack(Report):
    """The subscriber takes the signal, or skips it and says why."""

    decision: Literal["accept", "skip"]
    reason: Text = ""

    @model_validator(mode="after")
    def _skip_has_a_reason(self) -> "Ack":
        if self.decision == "skip" and not self.reason.strip():
            raise ValueError("a skip needs a reason")
        return self


class Executed(Report):
    """One fill; several of them make up an order."""

    fill_id: Name
    quantity: Positive
    price: Positive
    ordered_quantity: Positive
    fee: Number | None = None
    currency: Currency | None = None

    @model_validator(mode="after")
    def _fee_has_a_currency(self) -> "Executed":
        if self.fee is not None and self.currency is None:
            raise ValueError("a fee needs its currency")
        return self


class Resolved(Report):
    """How the trade ended for the subscriber."""

    realised: Number
    currency: Currency
    quantity: Positive
    price: Annotated[Number, Field(ge=0)]
    reason: Text


MODELS: dict[Stage, type[Report]] = {Stage.ACK: Ack, Stage.EXECUTED: Executed, Stage.RESOLVED: Resolved}


def parse(stage: Stage, body: bytes) -> Report:
    """Read the body of a report.

    Raises:
        Problem: 422, saying for each field what is wrong with it; what was sent is not repeated.
    """
    strict.check(body)
    try:
        return MODELS[stage].model_validate_json(body)
    except ValidationError as error:
        raise _as_problem(error) from None


def _as_problem(error: ValidationError) -> Problem:
    found = error.errors(include_url=False, include_context=False, include_input=False)[:_ERRORS_SHOWN]
    return invalid([{"field": _path(one["loc"]), "found": one["msg"][:200]} for one in found])


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location))[:100] or "body"
