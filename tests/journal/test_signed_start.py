"""What a start makes of a past whose newest line its own key cannot have signed, and of a process that must halt."""

import json
from pathlib import Path

import pytest

from domain.clock import FakeClock
from domain.errors import Halt, Misconfigured, Retry
from journal import Journal, verify
from journal.beat import NO_CRASH, note_end
from journal.key_files import create_key, rotate_key, signed_by
from journal.keys import Keyring, Signer
from journal.layout import CHECKPOINTS, MARK


@pytest.fixture
def keys(tmp_path: Path, clock: FakeClock) -> Path:
    create_key(tmp_path / "keys", "fx", clock.now())
    return tmp_path / "keys"


def written(directory: Path, clock: FakeClock, keys: Path, count: int = 5) -> Signer:
    signer = Signer.load(keys, "fx", clock.now())
    with Journal.open(directory, clock=clock, durable=False, signer=signer, sign_lines=True) as journal:
        for number in range(count):
            journal.append("signal", surface="fx", mode="paper", fields={"n": number})
    return signer


def sealed_again(directory: Path, signer: Signer) -> None:
    """Sign the newest line with ``signer``, and take away what else would contradict it."""
    path = directory / "000001.jsonl"
    *before, last = path.read_bytes().splitlines()
    h = json.loads(last)["h"]
    forged = last.partition(b',"sig":"')[0] + b',"sig":"' + signer.sign_line(h) + b'"}'
    path.write_bytes(b"\n".join([*before, forged]) + b"\n")
    (directory / CHECKPOINTS).unlink()
    (directory / MARK).unlink()


@pytest.mark.proves("J11", "row 11")
def test_a_line_older_than_the_key_that_signed_it_refuses_to_open(
    directory: Path, clock: FakeClock, keys: Path
) -> None:
    written(directory, clock, keys)
    clock.advance(3600)
    rotate_key(keys, "fx", clock.now())
    newer = Signer.load(keys, "fx", clock.now())
    sealed_again(directory, newer)

    with pytest.raises(Halt, match=f"a line that key {newer.key} cannot have signed"):
        Journal.open(directory, clock=clock, signer=newer, sign_lines=True)


@pytest.mark.proves("J11")
def test_a_signature_taken_from_another_line_refuses_to_open(directory: Path, clock: FakeClock, keys: Path) -> None:
    signer = written(directory, clock, keys)
    path = directory / "000001.jsonl"
    *before, other, last = path.read_bytes().splitlines()
    forged = last.partition(b',"sig":"')[0] + b',"sig":"' + other.partition(b',"sig":"')[2]
    path.write_bytes(b"\n".join([*before, other, forged]) + b"\n")

    with pytest.raises(Halt, match=f"a line that key {signer.key} cannot have signed"):
        Journal.open(directory, clock=clock, signer=signer, sign_lines=True)


def test_an_honest_log_opens_after_a_rotation_too(directory: Path, clock: FakeClock, keys: Path) -> None:
    written(directory, clock, keys)
    clock.advance(3600)
    rotate_key(keys, "fx", clock.now())
    written(directory, clock, keys)

    assert verify(directory, keyring=Keyring.load(keys)).ok


def test_the_key_of_a_log_is_found_from_its_checkpoints(directory: Path, clock: FakeClock, keys: Path) -> None:
    before = signed_by(directory.parent)
    signer = written(directory, clock, keys)

    assert (before, signed_by(directory.parent)) == (None, signer.key)


@pytest.mark.proves("row 11")
def test_an_older_copy_of_the_checkpoints_is_found_once_enough_stands_after_it(
    directory: Path, clock: FakeClock, keys: Path
) -> None:
    written(directory, clock, keys)
    older = (directory / CHECKPOINTS).read_bytes()
    written(directory, clock, keys, count=5_100)
    (directory / CHECKPOINTS).write_bytes(older)

    report = verify(directory, keyring=Keyring.load(keys), signatures="none")

    assert ["no checkpoint since seq 6" in problem.what for problem in report.problems] == [True]


@pytest.mark.parametrize(("error", "is_no_crash"), [(Halt, True), (Misconfigured, True), (Retry, False)])
def test_a_halt_and_a_wrong_setting_are_no_crash(tmp_path: Path, error: type[Halt], is_no_crash: bool) -> None:
    (tmp_path / "run").mkdir()
    note_end({"TBOT_HOME": str(tmp_path)}, "oanda-fx", error("a", "b", "c"))
    beat = tmp_path / "run" / "oanda-fx.beat"

    assert (beat.exists() and json.loads(beat.read_text())["phase"] in NO_CRASH) is is_no_crash
