"""Operating states only tighten by themselves."""

from itertools import product

import pytest

from domain.errors import Ask, Halt, Misconfigured, Refuse, Retry, TBotError, did_you_mean
from domain.house import House
from domain.operation import TIGHTNESS, tighter
from domain.vocabulary import State, Surface


@pytest.mark.parametrize(("first", "second"), [*product(State, State)])
def test_the_tighter_of_two_states_is_the_same_whoever_comes_first(first, second):
    found = tighter(first, second)

    assert found is tighter(second, first)
    assert found in (first, second)
    assert TIGHTNESS[found] >= max(TIGHTNESS[first], TIGHTNESS[second])


def test_run_reduce_and_halt_are_ever_tighter():
    assert sorted(State, key=TIGHTNESS.__getitem__) == [State.RUN, State.REDUCE, State.HALT]
    assert len(set(TIGHTNESS.values())) == len(State)


@pytest.mark.parametrize(
    ("error", "code"), [(Retry, 1), (Ask, 1), (Refuse, 2), (Halt, 70), (Misconfigured, 78), (TBotError, 1)]
)
def test_an_error_says_what_was_expected_found_and_to_do_and_has_its_exit_code(error, code):
    raised = error("a number", "'x'", "correct it")

    assert str(raised) == "expected a number; found 'x'; correct it"
    assert raised.exit_code == code


def test_a_name_is_corrected_to_the_nearest_known_one_or_to_none():
    assert did_you_mean("resolver-fy", ["feed", "resolver-fx"]) == "did you mean 'resolver-fx'?"
    assert did_you_mean("zzz", ["feed"]) == ""


def test_a_surface_looks_at_the_global_stop_file_and_at_its_own(tmp_path):
    house = House(home=tmp_path)

    assert house.stop_files(Surface.FX) == (tmp_path / "logs" / "STOP", tmp_path / "logs" / "fx" / "STOP")
