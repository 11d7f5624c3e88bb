"""The stock surface at a simulated IBKR."""

from itertools import count

import pytest
from stock_rig import StockRig
from stock_venue import Venue


@pytest.fixture
def opened(tmp_path):
    """Make venues and accounts at them; everything ends with the test."""
    made, numbers = [], count()

    def make(transport, *options, kind="cash", venue=None, clock=None, **changes):
        place = venue or Venue(transport, *options, kind=kind, **(clock or {}))
        rig = StockRig(place, tmp_path / f"home-{next(numbers)}", **changes)
        made.append(rig)
        return rig

    # What a gateway keeps between two of its lives.
    make.folder = lambda: tmp_path / f"venue-{next(numbers)}"
    yield make
    for rig in reversed(made):
        rig.finish()
    # A test may have moved an account on to another gateway, and have stopped the first.
    for place in {id(rig.venue): rig.venue for rig in made}.values():
        place.stop()
