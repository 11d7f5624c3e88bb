"""The TWS adapter runs the suite of every broker at which orders rest."""

import pytest
from resting_contract import RestingContract
from tws_desk import desks, started

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def gateway():
    yield from started()


class TestTwsResting(RestingContract):
    @pytest.fixture
    def resting(self, gateway):
        for desk in desks(gateway):
            desk.connect()
            yield desk
