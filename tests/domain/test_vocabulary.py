"""The words on the wire: closed, distinct, and the same as their enum's value."""

import json
from enum import StrEnum

import pytest

from domain import vocabulary
from domain.vocabulary import Action, Code, Gate, Link, ResolutionSource, Side, Stage, State, Surface

ENUMS = [item for item in vars(vocabulary).values() if isinstance(item, type) and issubclass(item, StrEnum)][1:]
DOCUMENTED_GATES = (
    "stop_file",
    "dedup",
    "market_cap",
    "direction",
    "category",
    "risk",
    "slippage",
    "edge",
    "confidence",
    "cost",
)


def test_the_enums_of_the_module_are_looked_at():
    assert {Surface, Gate, Code, Stage, Action, State} <= set(ENUMS)


@pytest.mark.parametrize("enum", ENUMS)
def test_no_word_of_a_vocabulary_has_two_names(enum):
    # An alias would vanish from list(enum), but not from __members__.
    assert len(enum.__members__) == len(list(enum)) == len({str(member) for member in enum})


@pytest.mark.parametrize("enum", ENUMS)
def test_a_member_is_its_wire_string(enum):
    for member in enum:
        assert member == member.value == str(member) == f"{member}"
        assert json.dumps(member) == f'"{member.value}"'
        assert enum(member.value) is member


@pytest.mark.parametrize("enum", ENUMS)
def test_a_word_is_lower_case_or_a_code_in_capitals_and_stands_for_its_name(enum):
    shape = str.upper if enum in (Code, State, Link) else str.lower

    assert all(member.value == shape(member.name) for member in enum)
    assert all(member.value.replace("_", "").isalpha() and member.value.isascii() for member in enum)


def test_the_ten_gates_stand_in_the_order_they_are_asked():
    assert tuple(Gate) == DOCUMENTED_GATES


def test_the_two_sides_are_each_others_opposite():
    for side in Side:
        assert side.opposite.opposite is side
        assert side.sign == -side.opposite.sign
    assert Side.BUY.sign == 1


def test_only_the_simulation_is_a_synthetic_source():
    assert [source for source in ResolutionSource if source.is_synthetic] == [ResolutionSource.SIM]
