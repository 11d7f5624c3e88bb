"""The stock surface at a simulated IBKR."""

import pytest
from stock_rig import StockRig
from stock_venue import Venue


@pytest.fixture
def opened(tmp_path):
    """Make venues and accounts at them; everything ends with the test."""
    made = []

    def make(transport, *options, kind="cash", venue=None, clock=None, **changes):
        place = venue or Venue(transport, *options, kind=kind, **(clock or {}))
        rig = StockRig(place, tmp_path / f"home-{len(made)}", **changes)
        made.append((rig, place if venue is None else None))
        return rig

    yield make
    for rig, place in reversed(made):
        rig.finish()
        if place is not None:
            place.stop()
