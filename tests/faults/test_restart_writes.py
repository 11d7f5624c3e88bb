"""A surface and its resolver on a fake broker, with each write and each order of a day failing in turn."""

from collections import Counter

import pytest
from surface_day import DAY, REST, assert_sound, live
from surface_stage import Stage

from domain.vocabulary import Kind
from journal import failpoints

# kill and sleep need a process of their own: test_restart_failpoints.py.
PLACES = [
    *((point, "eio") for point in ("before_write", "after_write", "before_fsync", "after_fsync", "before_ack")),
    ("before_order", "eio"),
    ("after_order", "eio"),
    ("before_write", "enospc"),
]

pytestmark = [pytest.mark.proves("row 38", "N11"), pytest.mark.timeout(1800)]


@pytest.fixture
def arm(tmp_path):
    """Arm one failure and return the file that says whether it happened; afterwards nothing is armed."""
    log = tmp_path / "fired"

    def armed(failure):
        log.unlink(missing_ok=True)
        failpoints.arm({failpoints.KEY: f"{failure},log={log}"})
        return log

    yield armed
    failpoints.arm({})


@pytest.mark.proves("J8")
@pytest.mark.parametrize(("point", "action"), PLACES)
def test_each_write_and_each_order_of_a_day_may_fail_once(tmp_path, arm, dose, point, action):
    number = 1
    while True:
        stage = Stage(tmp_path / f"{number}")
        fired = arm(f"{point}={action}@{number}")
        try:
            deaths = live(stage, stage.Fuse(), DAY + REST)
            if not fired.exists():
                break
            # A full disk costs a turn, and the process only where it is met before the first one.
            assert deaths == 1 or action == "enospc"
            assert_no_order_without_intent(stage)
            assert_sound(stage)
        except AssertionError as error:
            raise AssertionError(f"after {point}={action}@{number}: {error}") from error
        finally:
            failpoints.arm({})
            stage.end()
        number += dose(7, 1)

    assert number > 1


def assert_no_order_without_intent(stage):
    written = [*stage.records("orders", Kind.ORDER_INTENT), *stage.records("resolutions", Kind.ORDER_INTENT)]
    intended = Counter(record["client_order_id"] for record in written)
    assert {intent.client_order_id for intent in stage.broker.sent} <= intended.keys()
