"""Operating states, errors and the house."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Ask, Halt, Misconfigured, Refuse, Retry, TBotError, did_you_mean
from domain.house import House
from domain.operation import TIGHTNESS, StateChange, effective
from domain.vocabulary import Cause, State, Surface

WISHES = st.builds(
    StateChange,
    state=st.sampled_from(State),
    reason=st.text(max_size=3),
    cause=st.sampled_from(Cause),
    flatten=st.booleans(),
)


@given(st.lists(WISHES, min_size=1, max_size=4))
def test_of_several_wishes_the_tightest_rules_whatever_their_order(wishes):
    found = effective(wishes)

    assert found in wishes
    assert TIGHTNESS[found.state] == max(TIGHTNESS[wish.state] for wish in wishes)
    assert found.flatten == any(wish.flatten for wish in wishes if wish.state is found.state)
    assert effective(reversed(wishes)).state is found.state


@given(st.lists(WISHES, max_size=4), WISHES)
def test_a_further_wish_never_loosens_the_state(wishes, more):
    assert TIGHTNESS[effective([*wishes, more]).state] >= TIGHTNESS[effective(wishes).state]


def test_without_a_wish_the_surface_runs():
    assert effective(()).state is State.RUN


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
    assert did_you_mean("stkk", Surface) == "did you mean 'stk'?"
    assert did_you_mean("zzz", ["feed"]) == ""


def test_a_surface_looks_at_the_global_stop_file_and_at_its_own(tmp_path):
    house = House(home=tmp_path)

    assert house.stop_files(Surface.FX) == (tmp_path / "logs" / "STOP", tmp_path / "logs" / "fx" / "STOP")
