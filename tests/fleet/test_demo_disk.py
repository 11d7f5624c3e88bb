"""A demo on disks that are full, or more than one."""

import configparser
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from domain.house import House
from fleet.demo_fleet import Fleet, interruptible, supervised
from fleet.demo_home import Demo, prepare
from fleet.supervision import Supervisor, write_config

MEMORY = Path("/dev/shm")
CHATTER = "sh -c 'while :; do echo a line that finds no room; sleep 0.02; done'"


def until(what: str, holds: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.02)


@pytest.fixture
def small() -> Iterator[Path]:
    """Return a folder on a disk of its own with room for half a megabyte."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    home = Path(tempfile.mkdtemp(dir="/tmp", prefix="tb"))
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(home)], capture_output=True)
    if done.returncode != 0:
        home.rmdir()
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        yield home
    finally:
        subprocess.run(["umount", "--lazy", str(home)], check=True)  # what a failed test left may still write there
        home.rmdir()


def demo_with(home: Path, command: str) -> Demo:
    """Return a demo in which supervisord looks after one program alone."""
    for name in ("logs", "run"):
        (home / name).mkdir()
    config = write_config(home, {}, clock="real")
    parser = configparser.RawConfigParser()
    parser.read(config)
    for section in [name for name in parser.sections() if name.startswith("program:") and name != "program:feed"]:
        parser.remove_section(section)
    parser["program:feed"]["command"] = command
    with config.open("w") as file:
        parser.write(file)
    return Demo(house=House(home=home), config=config, feed_url="", urls={}, subscriber_homes=())


def fill(home: Path) -> None:
    with (home / "ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return


def complaints(fleet: Fleet) -> int:
    return fleet.said.count("No space left on device")


def test_a_full_disk_does_not_end_the_supervisor_of_a_demo(small: Path) -> None:
    with interruptible(), supervised(demo_with(small, CHATTER)) as fleet:
        supervisor = Supervisor(small)
        (before,) = supervisor.processes()
        fill(small)
        until("supervisord to find no room", lambda: complaints(fleet) >= 3)

        fleet.require_alive()
        (during,) = supervisor.processes()
        (small / "ballast").unlink()
        size = (small / "logs" / "feed.log").stat().st_size
        until("the log to go on", lambda: (small / "logs" / "feed.log").stat().st_size > size)
    assert (before["statename"], during["statename"], during["pid"]) == ("RUNNING", "RUNNING", before["pid"])


def test_a_second_demo_keeps_the_first_though_its_journals_lie_on_another_disk(tbot_home: Path) -> None:
    if not MEMORY.is_dir() or MEMORY.stat().st_dev == tbot_home.stat().st_dev:
        pytest.skip("there is no second disk to write to")
    elsewhere = Path(tempfile.mkdtemp(dir=MEMORY, prefix="tb"))
    try:
        (tbot_home / "logs").rmdir()
        (tbot_home / "logs").symlink_to(elsewhere)
        prepare(tbot_home)
        journal = tbot_home / "logs" / "fx" / "signals" / "000001.jsonl"
        journal.parent.mkdir(parents=True)
        journal.write_text("a record\n")

        prepare(tbot_home)

        (kept,) = (tbot_home / "demo-runs").iterdir()
        assert (kept / "logs" / "fx" / "signals" / "000001.jsonl").read_text() == "a record\n"
        assert not journal.exists()
        assert kept.stat().st_dev != elsewhere.stat().st_dev
    finally:
        shutil.rmtree(elsewhere)
