"""A demo keeps to itself: it touches nobody's journals, settings or running fleet, and leaves nothing behind."""

from pathlib import Path

import pytest

from domain.errors import Misconfigured, Refuse
from domain.vocabulary import State
from fleet.demo_fleet import Interrupted, interruptible, only_demo
from fleet.demo_home import clear, prepare
from fleet.demo_mark import DEMO_KEY, MARKER, mark, require_free, require_no_demo
from fleet.status import collect_once


@pytest.fixture
def home(tbot_home: Path) -> Path:
    return tbot_home


def test_settings_put_into_a_demos_home_afterwards_are_somebodys_and_stay(home: Path) -> None:
    prepare(home)
    theirs = home / "env" / "fx.env"
    theirs.write_text("OANDA_TOKEN=theirs\n")

    with pytest.raises(Refuse, match=r"env/fx\.env"):
        prepare(home)

    assert theirs.read_text() == "OANDA_TOKEN=theirs\n"


def test_a_demo_cut_short_before_it_began_is_cleared_by_the_next(home: Path) -> None:
    mark(home)
    (home / "env" / "fx.env").write_text("half written")

    prepare(home)

    assert "FX_MODE=paper" in (home / "env" / "fx.env").read_text()


def test_a_cleared_home_is_as_good_as_one_no_demo_has_seen(home: Path) -> None:
    prepare(home)
    journal = home / "logs" / "fx" / "signals" / "000001.jsonl"
    journal.parent.mkdir(parents=True)
    journal.write_text("a record\n")

    clear(home)

    assert not (home / "logs" / MARKER).exists()
    assert not list((home / "env").glob("*.env"))
    assert not (home / "state" / "subscribers.json").exists()
    require_no_demo(home, {})
    require_free(home)


def test_a_cleared_home_shows_no_heartbeat_of_the_demo(home: Path) -> None:
    prepare(home)
    for name in ("oanda-fx", "feed"):
        (home / "run" / f"{name}.beat").write_text('{"phase": "ready", "state": "REDUCE", "open": 2}')
    before = collect_once(home).standings["fx"]

    clear(home)

    after = collect_once(home).standings["fx"]
    assert (before.state, before.open, before.beat_age_s is None) == (State.REDUCE, 2, False)
    assert (after.state, after.open, after.beat_age_s) == (None, 0, None)
    assert not list((home / "run").glob("*.beat"))


def test_the_heartbeats_of_a_home_no_demo_used_stay(home: Path) -> None:
    theirs = home / "run" / "oanda-fx.beat"
    theirs.write_text("{}")

    clear(home)

    assert theirs.exists()


def test_a_run_without_journals_is_not_kept(home: Path) -> None:
    prepare(home)

    clear(home)

    assert list((home / "demo-runs").iterdir()) == []


def test_a_program_works_on_a_demos_journals_only_when_the_demo_started_it(home: Path) -> None:
    mark(home)

    require_no_demo(home, {DEMO_KEY: "1"})
    with pytest.raises(Misconfigured, match="tbot demo --clear"):
        require_no_demo(home, {})


def test_a_home_is_one_demos_at_a_time(home: Path) -> None:
    with only_demo(home), pytest.raises(Refuse, match="stop it first"), only_demo(home):
        pass


def test_an_interrupt_is_raised_once_and_those_that_follow_are_passed_over() -> None:
    import os
    import signal

    seen = []
    with interruptible():
        try:
            os.kill(os.getpid(), signal.SIGHUP)
        except Interrupted:
            seen.append("interrupted")
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            seen.append("unharmed")

    assert seen == ["interrupted", "unharmed"]
