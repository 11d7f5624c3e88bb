"""The one number a model is asked for, how it is read, and the words for why it is missing."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from forecast.budget import Usage

FIELD = "probability"
# What the vendors that can are told to keep to. Bounds are left out: not all of them accept `minimum` and `maximum`.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        FIELD: {"type": "number", "description": "probability from 0 to 1 that the question resolves YES"},
    },
    "required": [FIELD],
    "additionalProperties": False,
}
LONGEST = 4_000
STEP = Decimal("0.0001")
ANSWERED = "answered"


class Reason(StrEnum):
    """Why a model that was asked gave no opinion."""

    DEADLINE = "deadline"  # the panel's time was over; the answer may still come
    BUDGET = "budget"  # no money for the call
    RESTING = "resting"  # it or its provider failed several times and is left alone for a while
    TIMEOUT = "timeout"  # no answer within the time of one call
    UNREACHABLE = "unreachable"  # no connection
    DROPPED = "dropped"  # the connection ended before the answer
    RATE_LIMITED = "rate_limited"  # 429
    OVERLOADED = "overloaded"  # 503, 529
    SERVER_ERROR = "server_error"  # another 5xx
    UNAUTHORIZED = "unauthorized"  # the key is not accepted
    UNPAID = "unpaid"  # the account with the vendor is empty
    RETIRED = "retired"  # the vendor does not know the model
    REJECTED = "rejected"  # the vendor calls the request wrong
    REFUSED = "refused"  # the model would not answer, or a filter stopped it
    TRUNCATED = "truncated"  # the answer was cut at its longest
    MALFORMED = "malformed"  # not the JSON that was asked for
    OUT_OF_RANGE = "out_of_range"  # a number, but no probability


# What says something about the provider itself rather than about one model or one answer.
PROVIDER_FAILURES = frozenset(
    {
        Reason.TIMEOUT,
        Reason.UNREACHABLE,
        Reason.DROPPED,
        Reason.RATE_LIMITED,
        Reason.OVERLOADED,
        Reason.SERVER_ERROR,
        Reason.UNAUTHORIZED,
        Reason.UNPAID,
    }
)
# What says something about the model: asked again it will most likely do the same, and some of it is billed. A refusal
# is in neither: it is about the question.
MODEL_FAILURES = frozenset({Reason.RETIRED, Reason.REJECTED, Reason.TRUNCATED, Reason.MALFORMED, Reason.OUT_OF_RANGE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back for one call, whatever the vendor: its text, and what was billed for it.

    ``version`` is the model as the vendor named it. ``usage`` is None when the vendor did not say what it billed;
    ``stop`` is set when the vendor itself says that the text is no whole answer.
    """

    text: str
    version: str = ""
    usage: Usage | None = None
    stop: Reason | None = None


class CallFailed(Exception):
    """One call gave no answer. It holds no text of the vendor's but ``detail``, which is cut and cleaned.

    ``is_billed``: the vendor may have billed it all the same. ``is_repeatable``: another attempt is worth its money,
    after ``after_s`` seconds if the vendor named a time.
    """

    def __init__(
        self,
        reason: Reason,
        *,
        is_billed: bool = False,
        is_repeatable: bool = False,
        after_s: float | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.is_billed = is_billed
        self.is_repeatable = is_repeatable
        self.after_s = after_s
        self.detail = detail


def read_probability(reply: Reply) -> Decimal | Reason:
    """Return the probability a reply states, in steps of 0.0001, or why there is none.

    Nothing is repaired: a number in quotes, a percentage or a JSON object in a sentence is malformed, because whoever
    ignores the form may have ignored the definition of the number as well.
    """
    if reply.stop is not None:
        return reply.stop
    value = _field(reply.text)
    if isinstance(value, bool) or not isinstance(value, Decimal):
        return Reason.MALFORMED
    if not 0 <= value <= 1:
        return Reason.OUT_OF_RANGE
    return value.quantize(STEP)


def _field(text: str) -> Any:
    if len(text) > LONGEST:
        return None
    try:
        # NaN and Infinity are no JSON, but Python's reader takes them; as None they are no number here either.
        found = json.loads(text, parse_float=Decimal, parse_int=Decimal, parse_constant=lambda _: None)
    except (ValueError, ArithmeticError, RecursionError):
        return None
    return found.get(FIELD) if isinstance(found, dict) else None


def middle(probabilities: Sequence[Decimal]) -> Decimal:
    """Return one model's opinion from its samples: the mean of their log-odds, each kept within 1 % and 99 %."""
    if len(probabilities) == 1:
        return probabilities[0]
    kept = [min(max(float(p), 0.01), 0.99) for p in probabilities]
    mean = sum(math.log(p / (1 - p)) for p in kept) / len(kept)
    return Decimal(1 / (1 + math.exp(-mean))).quantize(STEP)
