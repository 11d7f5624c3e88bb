"""The fold: what a surface believes does not depend on how its four journals were interleaved."""

from decimal import Decimal

from folding import beliefs, fold_of
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.fold import SurfaceFold
from domain.vocabulary import Cause, Gate, Leg, OrderState, State

D = Decimal
EXIT = Leg.EXIT
PARTIAL, FILLED, UNKNOWN = OrderState.PARTIAL, OrderState.FILLED, OrderState.UNKNOWN

TRADES = st.fixed_dictionaries(
    {
        "admitted": st.sampled_from([True, True, True, False]),
        "fills": st.lists(st.integers(1, 50), max_size=3),
        "last": st.sampled_from([FILLED, PARTIAL, UNKNOWN, OrderState.CANCELLED]),
        "repeats": st.lists(st.integers(0, 5), max_size=3),
        "published": st.booleans(),
        "exits": st.lists(st.integers(1, 50), max_size=3),
        "exit_attempts": st.integers(0, 2),
        "resolved": st.booleans(),
        "resolved_twice": st.booleans(),
        "late_fill": st.booleans(),
        "cooled": st.integers(0, 90),
        "state": st.sampled_from([None, *State]),
        "cause": st.sampled_from(Cause),
    }
)


def tell(story, n, trade):
    """Let one trade happen, with everything written in the order in which it could have been."""
    if trade["state"] is not None:
        story.change(trade["state"], f"because {n}", trade["cause"])
    if not trade["admitted"]:
        story.refuse(n, Gate.EDGE, "1", "2")
        return
    story.decide(n)
    story.intend(n)
    fills = [story.happen(n, PARTIAL, quantity, f"in-{n}-{i}") for i, quantity in enumerate(trade["fills"])]
    if trade["last"] is not PARTIAL:
        story.happen(n, trade["last"])
    if trade["published"] and fills:
        story.publish(n)
        story.amend(n)
    for attempt in range(1, trade["exit_attempts"] + 1):
        story.intend(n, EXIT, attempt)
    left = tell_exits(story, n, trade, fills)
    for choice in trade["repeats"]:
        if choice < len(fills):
            story.repeat(fills[choice])
    tell_end(story, n, trade, resolved=trade["resolved"] and left == 0 and bool(fills))


def tell_exits(story, n, trade, fills):
    left, exits = sum(trade["fills"]), []
    for i, quantity in enumerate(trade["exits"]):
        if quantity <= left and fills:
            left -= quantity
            state = PARTIAL if left else FILLED
            exits.append(story.happen(n, state, quantity, f"out-{n}-{i}", leg=EXIT, attempt=0, realised=i - 1))
    for choice in trade["repeats"]:
        if choice < len(exits):
            story.repeat(exits[choice])
    return left


def tell_end(story, n, trade, *, resolved):
    if resolved:
        if trade["published"]:
            story.close(n)
        story.resolve(n, str(n - 2))
        if trade["resolved_twice"]:
            story.resolve(n, "99")
        if trade["late_fill"]:
            story.happen(n, FILLED, 7, f"late-{n}")
    if trade["cooled"]:
        story.cool(n, minutes=trade["cooled"])


def interleave(streams, random):
    """Return all records in an order that keeps each stream's own."""
    left = {name: list(records) for name, records in streams.items()}
    order = [name for name, records in left.items() for _ in records]
    random.shuffle(order)
    return [left[name].pop(0) for name in order]


@settings(max_examples=300)
@given(trades=st.lists(TRADES, max_size=4), random=st.randoms(use_true_random=False))
def test_any_interleaving_of_the_four_logs_folds_to_the_same_beliefs(new_story, trades, random):
    story = new_story()
    for n, trade in enumerate(trades):
        tell(story, n, trade)
    streams = story.streams
    live = beliefs(fold_of(story.records))

    assert beliefs(fold_of(interleave(streams, random))) == live
    # A restarted surface reads its own logs first, a restarted resolver its resolutions.
    assert beliefs(fold_of(r for name in streams for r in streams[name])) == live
    assert beliefs(fold_of(r for name in reversed(streams) for r in streams[name])) == live


@settings(max_examples=200)
@given(trades=st.lists(TRADES, max_size=4))
def test_at_every_moment_of_a_life_what_is_open_can_be_asked(new_story, trades):
    story = new_story()
    for n, trade in enumerate(trades):
        tell(story, n, trade)
    fold = SurfaceFold(D(1000), "USD")

    for record in story.records:
        fold.apply(record)
        assert all(0 < position.quantity <= position.quantity_in for position in fold.positions())
        assert {position.signal_id for position in fold.positions()}.isdisjoint(fold.resolutions)
        assert fold.bankroll.balance == 1000 + sum(r.realised for r in fold.resolutions.values())
