"""Which of a surface's and a resolver's logs carry signatures, and on what."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from audit.fold import SurfaceFold
from domain.clock import FakeClock
from domain.house import House
from domain.vocabulary import Mode, Surface
from journal import read
from journal.checkpoints import last_checkpoint, signed_part
from journal.key_files import create_key
from journal.keys import Keyring, Signer
from resolver.books import ResolverBooks
from surfaces.books import Books

ROOT = Path(__file__).parents[2]
NOW = datetime(2014, 5, 6, 7, tzinfo=UTC)
LOGS = {"decisions": False, "orders": False, "signals": True, "resolutions": True}


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A home in which a surface and its resolver ran once with their key."""
    home, clock = House(home=tmp_path), FakeClock(NOW)
    create_key(home.keys, Surface.FX, NOW)
    signer = Signer.load(home.keys, Surface.FX, NOW)
    for books in (Books, ResolverBooks):
        fold = SurfaceFold(Decimal(1000), "USD", Mode.PAPER)
        books(home, Surface.FX, Mode.PAPER, clock, fold, signer).__exit__(None, None, None)
    return home


@pytest.mark.parametrize(("stream", "is_signed"), LOGS.items())
def test_published_lines_are_signed_one_by_one_and_others_are_not(house: House, stream: str, is_signed: bool) -> None:
    ring, entries = Keyring.load(house.keys), list(read(house.log("fx", stream)))

    assert [("sig" in entry.record) for entry in entries] == [is_signed] * len(entries)
    assert len(entries) >= 1
    for entry in entries if is_signed else ():
        ring.verify_line(entry.position.h, entry.record["sig"], entry.record["ts"], "fx")


@pytest.mark.parametrize("stream", LOGS)
def test_the_checkpoints_of_all_four_logs_are_signed(house: House, stream: str) -> None:
    found = last_checkpoint(house.log("fx", stream))

    assert found is not None
    line, checkpoint = found
    Keyring.load(house.keys).verify_checkpoint(signed_part(line), checkpoint.sig or "", checkpoint.ts, "fx")


@pytest.mark.parametrize("module", ["surfaces", "resolver"])
def test_a_process_without_its_key_ends_with_78_and_names_the_command(tmp_path: Path, module: str) -> None:
    needed = {"OANDA_ACCOUNT_ID": "101-001-1-001", "OANDA_TOKEN": "sesame-7f3a9c", "RISK_BANKROLL": "1000"}
    done = subprocess.run(
        [sys.executable, "-m", module, "fx"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "TBOT_HOME": str(tmp_path), **needed},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert os.listdir(tmp_path) == []
    assert (done.returncode, "tbot keys create fx" in done.stdout + done.stderr) == (78, True)
