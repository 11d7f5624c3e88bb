"""The ``tbot keys`` commands, as a shell runs them."""

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import warm_start

from domain.clock import FakeClock, RealClock
from journal import Journal
from journal.keys import Signer

BIN = Path(sys.executable).parent


def tbot(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    kept = {"PATH": os.environ["PATH"], "HOME": str(home), "COLUMNS": "100"}
    return warm_start.command("tbot", "keys", *words, "--home", str(home), env=kept)


def test_a_key_is_made_listed_and_replaced_by_one_it_vouches_for(tbot_home: Path) -> None:
    made = tbot(tbot_home, "create", "fx")
    rotated = json.loads(tbot(tbot_home, "rotate", "fx", "--json").stdout)
    listed = json.loads(tbot(tbot_home, "list", "--json").stdout)
    plain = tbot(tbot_home, "list").stdout.splitlines()

    old, new = listed
    assert made.stdout == f"fx:{old['key']}\n"
    assert "back up" in made.stderr
    assert (new, new["by"], new["from"]) == (rotated, old["key"], old["until"])
    assert [line.split()[0] for line in plain] == [f"fx:{old['key']}", f"fx:{new['key']}"]
    assert "in use" in plain[1]
    assert "PRIVATE" not in made.stdout + made.stderr


def test_after_a_leak_nothing_vouches_for_the_new_key(tbot_home: Path) -> None:
    tbot(tbot_home, "create", "fx")
    done = tbot(tbot_home, "rotate", "fx", "--leaked")

    assert "tell every subscriber to pin it" in done.stderr
    assert json.loads(tbot(tbot_home, "list", "--json").stdout)[-1]["endorsement"] is None


def test_a_second_key_an_unknown_surface_and_no_key_are_refused(tbot_home: Path) -> None:
    assert tbot(tbot_home, "rotate", "fx").returncode == 2
    assert "tbot keys create SURFACE" in tbot(tbot_home, "list").stderr
    assert tbot(tbot_home, "create", "fx").returncode == 0

    again, unknown = tbot(tbot_home, "create", "fx"), tbot(tbot_home, "create", "fax")
    assert (again.returncode, "tbot keys rotate fx" in again.stderr) == (2, True)
    assert (unknown.returncode, "did you mean 'fx'" in unknown.stderr) == (2, True)


def test_a_lost_key_is_not_replaced_by_a_stranger_without_being_asked(tbot_home: Path) -> None:
    tbot(tbot_home, "create", "fx")
    signer = Signer.load(tbot_home / "keys", "fx", datetime.now(UTC))
    with Journal.open(tbot_home / "logs" / "fx" / "orders", clock=RealClock(), signer=signer) as journal:
        journal.append("order_event", surface="fx", mode="paper", fields={})
    shutil.rmtree(tbot_home / "keys")

    refused, insisted = tbot(tbot_home, "create", "fx"), tbot(tbot_home, "create", "fx", "--anew")

    assert refused.returncode == 2
    assert signer.key in refused.stderr
    assert "restore keys/" in refused.stderr
    assert insisted.returncode == 0


def test_a_key_is_not_replaced_while_its_surface_writes(tbot_home: Path) -> None:
    tbot(tbot_home, "create", "fx")
    with Journal.open(tbot_home / "logs" / "fx" / "orders", clock=FakeClock(datetime.now(UTC))):
        held = tbot(tbot_home, "rotate", "fx")

    assert (held.returncode, f"pid {os.getpid()}" in held.stderr) == (4, True)
    assert tbot(tbot_home, "rotate", "fx").returncode == 0


def test_a_list_without_the_key_in_use_is_to_be_restored_and_not_begun_anew(tbot_home: Path) -> None:
    tbot(tbot_home, "create", "fx")
    (tbot_home / "keys" / "public.json").unlink()
    done = tbot(tbot_home, "rotate", "fx")

    assert (done.returncode, "restore the file from a copy" in done.stderr) == (2, True)
