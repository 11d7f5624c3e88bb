"""What the faults do to an answer, and which refusal they put in its place."""

import json
from dataclasses import replace
from typing import Any

from simulators.models import speech
from simulators.models.catalogue import Model
from simulators.models.engine import count, cut
from simulators.models.faults import Taken
from simulators.models.wire import Answer, Finish, Kind, Problem

_MALFORMED = 'The chance of yes is about 0.6, because {"probability": '
_WRONG_SHAPE = {"answer": "yes", "certainty": "high"}
_OUT_OF_RANGE = 1.7
_REFUSAL_TOKENS, _EMPTY_TOKENS, _TRUNCATED_TOKENS = 12, 2, 3
_REFUSALS = {
    "overloaded": Kind.OVERLOADED,
    "rate_limited": Kind.RATE_LIMITED,
    "out_of_credit": Kind.OUT_OF_CREDIT,
    "auth": Kind.BAD_KEY,
    "retired_model": Kind.RETIRED_MODEL,
    "status": Kind.BROKEN,
}


def refusal(taken: Taken, model: str, key: str) -> Problem | None:
    """Return the refusal that a fault puts in place of any answer."""
    for action, kind in _REFUSALS.items():
        if action not in taken:
            continue
        retry_after = taken.param(action, "retry_after", 1 if action == "rate_limited" else None)
        if taken.param(action, "denied"):
            kind = Kind.DENIED
        detail = {Kind.BAD_KEY: key, Kind.RETIRED_MODEL: model}.get(kind, "")
        return Problem(kind, detail, status=taken.param(action, "status", 500), retry_after=retry_after)
    return None


def spoiled(answer: Answer, taken: Taken, model: Model) -> Answer:
    """Return the answer as the faults leave it."""
    if "refusal" in taken:
        answer = _refused(answer, taken.param("refusal", "form", "answer"))
    elif "malformed_json" in taken:
        answer = _written(answer, None, taken.param("malformed_json", "text", _MALFORMED), model)
    elif "wrong_schema" in taken:
        value = taken.param("wrong_schema", "value", _WRONG_SHAPE)
        answer = _written(answer, value, json.dumps(value), model)
    elif "out_of_range" in taken:
        answer = _out_of_range(answer, taken.param("out_of_range", "value", _OUT_OF_RANGE), model)
    elif "truncated" in taken:
        answer = cut(answer, taken.param("truncated", "tokens", _TRUNCATED_TOKENS), answer.tokens.thoughts, model)
    elif "empty" in taken:
        tokens = replace(answer.tokens, text=_EMPTY_TOKENS)
        answer = replace(answer, text="", value=None, tokens=tokens)
    return replace(answer, has_usage=False) if "no_usage" in taken else answer


def _refused(answer: Answer, form: str) -> Answer:
    if form == "filter":
        # stopped before a word was written
        tokens = replace(answer.tokens, text=0, thoughts=0)
        return replace(answer, text="", value=None, tokens=tokens, finish=Finish.FILTER)
    tokens = replace(answer.tokens, text=_REFUSAL_TOKENS)
    return replace(answer, text="", value=None, tokens=tokens, finish=Finish.REFUSAL)


def _out_of_range(answer: Answer, wanted: Any, model: Model) -> Answer:
    # Python's own JSON writes and reads these two, though JSON has no word for them
    value = float(wanted) if wanted in ("NaN", "Infinity") else wanted
    if not isinstance(answer.value, dict):
        return _written(answer, None, f"Probability: {value}", model)
    names = [name for name in answer.value if speech.is_probability(name)] or ["probability"]
    changed = {**answer.value, **dict.fromkeys(names, value)}
    return _written(answer, changed, json.dumps(changed), model)


def _written(answer: Answer, value: Any, text: str, model: Model) -> Answer:
    tokens = replace(answer.tokens, text=count(text, model))
    return replace(answer, value=value, text=text, tokens=tokens, finish=Finish.STOP)
