"""The Client Portal adapter runs the suite of every broker at which orders rest."""

import pytest
from portal_desk import desks, started
from resting_contract import RestingContract

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def gateway():
    yield from started()


class TestPortalResting(RestingContract):
    @pytest.fixture
    def resting(self, gateway):
        for desk in desks(gateway):
            desk.connect()
            yield desk
