"""The surface's heartbeat: how its last turn went, and why."""

import json

import pytest

from domain.house import House


def beat(house: House, program: str = "oanda-fx") -> dict:
    return json.loads(house.heartbeat(program).read_text())


@pytest.mark.proves("row 31")
def test_a_turn_that_failed_is_told_with_its_reason_until_one_succeeds(running):
    running.tick()
    running.broker.down = True
    running.tick()
    running.tick()
    troubled = beat(running.house)
    running.broker.down = False
    running.tick()
    running.tick()
    well = beat(running.house)

    assert troubled["phase"] == "degraded"
    assert "found no answer" in troubled["trouble"]
    assert (well["phase"], well["trouble"]) == ("ready", "")


def test_a_surface_that_waits_for_its_venue_to_start_says_so(stage):
    stage.broker.down = True
    loop = stage.open()
    seen = []

    def look():
        seen.append(beat(stage.house))
        stage.broker.down = False

    stage.stop.on_wait = look
    loop.startup()
    stage.tick()

    assert seen[0]["phase"] == "starting"
    assert "found no answer" in seen[0]["trouble"]
    assert (beat(stage.house)["phase"], beat(stage.house)["trouble"]) == ("ready", "")
