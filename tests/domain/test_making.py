"""Facts made from a draft are the facts that their own class makes."""

import copy
import pickle
from dataclasses import FrozenInstanceError
from decimal import Decimal

import pytest

from domain.candidate import Candidate
from domain.decision import Size, Verdict, make_size, make_verdict
from domain.making import draft
from domain.vocabulary import Code, Gate

D = Decimal
QUICK = make_verdict(Gate.EDGE, False, Code.EDGE, D(1), D(2), "bp", "thin")
PLAIN = Verdict(gate=Gate.EDGE, passed=False, code=Code.EDGE, value=D(1), limit=D(2), unit="bp", note="thin")


def test_quickly_made_verdict_is_the_plain_one():
    assert type(QUICK) is Verdict
    assert (QUICK, hash(QUICK), repr(QUICK), QUICK.margin) == (PLAIN, hash(PLAIN), repr(PLAIN), PLAIN.margin)


def test_quickly_made_size_is_the_plain_one():
    plain = Size(quantity=D(1), notional=D(2), risk=D(3), margin=D(4), currency="USD")

    assert plain == make_size(D(1), D(2), D(3), D(4), "USD")


def test_quickly_made_verdict_is_frozen_and_can_be_copied():
    with pytest.raises(FrozenInstanceError):
        QUICK.note = "other"

    assert PLAIN == copy.deepcopy(QUICK) == pickle.loads(pickle.dumps(QUICK))  # noqa: S301  # our own bytes


def test_class_that_checks_its_values_is_refused_a_draft():
    with pytest.raises(TypeError, match="Candidate must have no __post_init__"):
        draft(Candidate)
