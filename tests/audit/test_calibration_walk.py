"""Calibration held against a plain walk through the records."""

from datetime import timedelta

from event_journals import EventJournals
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.calibration import calibrations

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("estimate"), st.sampled_from("ABC"), st.sampled_from(["0.1", "0.5", "0.8", None])),
        st.tuples(st.just("trade"), st.sampled_from("ABC"), st.sampled_from(["0.3", "0.9"])),
        st.tuples(st.just("end"), st.sampled_from("ABC"), st.sampled_from(["0", "1", "0.5"])),
    ),
    max_size=14,
)


@settings(max_examples=25)
@given(STEPS, st.integers(0, 14))
def test_the_join_is_that_of_a_plain_walk_through_the_records(tmp_path_factory, steps, cut):
    ends, traded, moment = {}, [], None
    with EventJournals(tmp_path_factory.mktemp("home")) as told:
        for number, (what, market, said) in enumerate(steps):
            if number == cut:
                told.clock.advance(1)
                moment = told.clock.now()
            if what == "end":
                told.end(market, said, closed_at=told.clock.now() + timedelta(seconds=1))
                ends[market] = said, told.clock.now()
            else:
                (told.trade if what == "trade" else told.estimate)(market, model=said, blended=said or "0.5")
                traded += [(market, said)] * (what == "trade")

        modes = [mode for surface in calibrations(told.logs, moment) for mode in surface.modes]

    counted = {m: v for m, (v, at) in ends.items() if (moment is None or at >= moment) and v != "0.5"}
    found = [(one.forecast.market, one.forecast.chances["blended"], one.came) for mode in modes for one in mode.traded]
    assert found == [(market, float(said), int(counted[market])) for market, said in traded if market in counted]
    judged = {one.forecast.market: one for mode in modes for one in mode.newest}
    for market, value in counted.items():
        before = walk(steps, market)
        assert (market in judged) == (before is not None)
        if before is not None:
            assert (judged[market].forecast.chances["blended"], judged[market].came) == (float(before), int(value))
    assert judged.keys() <= counted.keys()


def walk(steps, market):
    """Return the newest opinion of a market before its last end."""
    last = max(n for n, (what, name, _) in enumerate(steps) if (what, name) == ("end", market))
    said = [p for what, name, p in steps[:last] if name == market and what != "end" and p is not None]
    return said[-1] if said else None
