"""A signed log in the hands of somebody who can write its files, and what gives each change of the past away."""

import itertools
import random
import shutil
import zlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from domain.clock import FakeClock
from journal import Journal, head, read, verify
from journal.key_files import create_key, rotate_key
from journal.keys import Keyring, Signer
from tbot_client.errors import HistoryChanged
from tbot_client.history import History
from tbot_client.wire import Head

LOG, RECORDS, ROTATION, SEGMENT_BYTES = "fx/signals", 90, 45, 6_000


class Original:
    """A log signed by two keys, one after the other, with checkpoints every ten records; and who has seen it."""

    def __init__(self, home: Path, clock: FakeClock) -> None:
        self.keys, self.signers, self.clock, self.began = home / "keys", [], clock, clock.now()
        self.directory = home / LOG
        create_key(self.keys, "fx", clock.now())
        self.write(self.directory, changed_at=None)
        self.keyring = Keyring.load(self.keys)
        self.files = {path.name: path.read_bytes() for path in self.directory.iterdir() if path.is_file()}
        self.lines = [
            (name, line)
            for name in sorted(self.files) if name.startswith("0")
            for line in self.files[name].splitlines(keepends=True)
        ]  # fmt: skip
        self.head = head(self.directory)

    def write(self, directory: Path, *, changed_at: int | None) -> None:
        """Write the log from its first record on, as its owner would; ``changed_at`` names what differs."""
        self.clock.advance((self.began - self.clock.now()).total_seconds())
        for half, numbers in enumerate((range(ROTATION), range(ROTATION, RECORDS))):
            if len(self.signers) <= half:
                self.signers.append(self._signer())
            with Journal.open(
                directory, clock=self.clock, log=LOG, segment_bytes=SEGMENT_BYTES, durable=False,
                signer=self.signers[half], sign_lines=True, checkpoint_records=10,
            ) as journal:  # fmt: skip
                for number in numbers:
                    self.clock.advance(1)
                    fields = {"n": number, "price": "1.1" if number != changed_at else "1.2"}
                    journal.append("n", surface="fx", mode="paper", id=f"rec_{number}", fields=fields)
            self.clock.advance(1)

    def _signer(self) -> Signer:
        if self.signers:
            rotate_key(self.keys, "fx", self.clock.now())
        return Signer.load(self.keys, "fx", self.clock.now() + timedelta(seconds=1))

    def witness(self) -> History:
        """Return a client that saw the head of the whole log."""
        seen = History()
        seen.check_heads({LOG: Head(self.head.seq, self.head.h)})
        return seen


class Forger:
    """A copy of the log as a list of lines, to be changed and put back with a commit mark that fits."""

    def __init__(self, original: Original) -> None:
        self.original, self.lines, self.files = original, list(original.lines), dict(original.files)
        self.names: list[str] = []

    def forged(self, index: int) -> bytes:
        return self.lines[index][1].replace(b'"pid":', b'"pid":9', 1)

    def put(self, index: int, line: bytes) -> None:
        self.lines[index] = (self.lines[index][0], line)

    def chain(self, index: int, sign: Callable[[str, bytes], bytes]) -> None:
        """Hash everything anew from ``index`` on."""
        prev = self.lines[index - 1][1] if index else b""
        for at in range(index, len(self.lines)):
            self.put(at, resealed(self.lines[at][1], hash_of(prev), sign))
            prev = self.lines[at][1]

    def trim_checkpoints(self, seq: int) -> None:
        """Leave only checkpoints that say nothing about what comes after ``seq``."""
        self.files["checkpoints.jsonl"] = b"".join(line for line in self.checkpoints() if seq_of(line) <= seq)

    def checkpoints(self) -> list[bytes]:
        return self.files["checkpoints.jsonl"].splitlines(keepends=True)

    def save(self, directory: Path) -> Path:
        directory.mkdir(parents=True)
        segments = {
            name: b"".join(line for _, line in group)
            for name, group in itertools.groupby(self.lines, key=lambda entry: entry[0])
        }
        hints = {name: data for name, data in self.files.items() if not name.startswith("0")}
        for name, data in (hints | segments).items():
            (directory / name).write_bytes(data)
        name, line = self.lines[-1]
        (directory / "head.json").write_bytes(mark_after(int(name[:6]), len(segments[name]), line))
        return directory


def seq_of(line: bytes) -> int:
    return int(line.split(b'"seq":')[1].split(b",")[0])


def mark_after(segment: int, offset: int, line: bytes) -> bytes:
    """Return the commit mark of a log that ends with ``line``, as docs/journals.md describes it."""
    place = f'"segment":{segment},"offset":{offset},"seq":{seq_of(line)},"h":"{hash_of(line)}"'
    text = f'{place},"ts":"{line[7:34].decode()}"'
    return f'{{{text},"crc":"{zlib.crc32(text.encode()):08x}"}}'.ljust(255).encode() + b"\n"


def hash_of(line: bytes) -> str:
    """Return the hash a line gives itself; of nothing, the one before the first line."""
    return line[line.rindex(b',"h":"') + 6 :][:64].decode() if line else "0" * 64


def kept(_: str, line: bytes) -> bytes:
    found = line.rfind(b',"sig":"')
    return line[found:-2] if found > 0 else b""


def stripped(_: str, __: bytes) -> bytes:
    return b""


def signed_by(signer: Signer) -> Callable[[str, bytes], bytes]:
    return lambda h, _: b',"sig":"%b"' % signer.sign_line(h)


def resealed(line: bytes, prev: str, sign: Callable[[str, bytes], bytes]) -> bytes:
    covered = b'%b,"prev":"%b"' % (line[: line.rindex(b',"prev":"')], prev.encode())
    h = sha256(covered).hexdigest()
    return b'%b,"h":"%b"%b}\n' % (covered, h.encode(), sign(h, line))


def edit(forger: Forger, at: int) -> None:
    forger.put(at, forger.forged(at))


def edit_with_its_hash(forger: Forger, at: int) -> None:
    before = forger.lines[at - 1][1] if at else b""
    forger.put(at, resealed(forger.forged(at), hash_of(before), kept))


def delete(forger: Forger, at: int) -> None:
    del forger.lines[at]


def swap(forger: Forger, at: int) -> None:
    one, other = forger.lines[at][1], forger.lines[at - 1][1]
    forger.put(at, other)
    forger.put(at - 1, one)


def insert(forger: Forger, at: int) -> None:
    forger.lines.insert(at, forger.lines[at])


def drop_tail(forger: Forger, at: int) -> None:
    del forger.lines[at:]


def drop_segment(forger: Forger, at: int) -> None:
    name = forger.lines[at][0]
    forger.lines = [entry for entry in forger.lines if entry[0] != name]


def hash_everything_anew(forger: Forger, at: int) -> None:
    edit(forger, at)
    forger.chain(at, kept)


def hash_everything_anew_unsigned(forger: Forger, at: int) -> None:
    edit(forger, at)
    forger.chain(at, stripped)
    forger.trim_checkpoints(at)


def replay_an_old_checkpoint(forger: Forger, at: int) -> None:
    checkpoints = forger.checkpoints()
    forger.files["checkpoints.jsonl"] += checkpoints[at % (len(checkpoints) - 1)]


def seal_with_the_newer_key(forger: Forger, at: int) -> None:
    at %= ROTATION
    edit(forger, at)
    forger.chain(at, signed_by(forger.original.signers[1]))
    forger.trim_checkpoints(at)


FOUND_BY_VERIFY = (
    edit, edit_with_its_hash, delete, swap, insert, drop_tail, drop_segment, hash_everything_anew,
    hash_everything_anew_unsigned, replay_an_old_checkpoint, seal_with_the_newer_key,
)  # fmt: skip


@pytest.fixture
def original(tmp_path: Path, clock: FakeClock) -> Original:
    made = Original(tmp_path / "original", clock)
    report = verify(made.directory, keyring=made.keyring)
    assert (report.problems, report.segments > 6, len({kept("", line)[:25] for _, line in made.lines})) == ([], True, 2)
    assert len(Forger(made).checkpoints()) > 8
    return made


def places(original: Original, count: int) -> Iterator[int]:
    dice = random.Random(11)
    return (dice.randrange(1, len(original.lines) - 1) for _ in range(count))


@pytest.mark.proves("J11", "row 11")
@pytest.mark.parametrize("tamper", FOUND_BY_VERIFY, ids=lambda tamper: tamper.__name__)
def test_verify_with_the_public_keys_finds_it_at_any_place(original: Original, tmp_path: Path, tamper, dose) -> None:
    for number, at in enumerate(places(original, dose(2, 50))):
        forger = Forger(original)
        tamper(forger, at)
        directory = forger.save(tmp_path / str(number) / LOG)
        assert forger.lines != original.lines or forger.files != original.files, "the log has to differ"

        report = verify(directory, log=LOG, keyring=original.keyring)
        assert report.problems != [], f"{tamper.__name__} at line {at}"
        shutil.rmtree(directory)


@pytest.mark.proves("J11", "F10", "row 11")
def test_only_a_client_that_saw_an_earlier_head_finds_a_cut_that_took_its_checkpoints_along(
    original: Original, tmp_path: Path, dose
) -> None:
    for number, at in enumerate(places(original, dose(2, 50))):
        forger = Forger(original)
        drop_tail(forger, at)
        forger.trim_checkpoints(at)
        directory = forger.save(tmp_path / str(number) / LOG)
        found = head(directory)

        assert verify(directory, log=LOG, keyring=original.keyring).problems == [], "nothing in the files shows it"
        with pytest.raises(HistoryChanged):
            original.witness().check_heads({LOG: Head(found.seq, found.h)})


@pytest.mark.proves("J11", "F10", "row 11")
def test_only_a_client_that_saw_an_earlier_head_finds_a_past_written_anew_with_the_publishers_own_keys(
    original: Original, tmp_path: Path, dose
) -> None:
    dice = random.Random(12)
    for number in range(dose(2, 50)):
        directory, at = tmp_path / str(number) / LOG, dice.randrange(RECORDS)
        original.write(directory, changed_at=at)
        found = head(directory)

        assert verify(directory, keyring=original.keyring).problems == [], "nothing in the files shows it"
        assert found.seq == original.head.seq
        with pytest.raises(HistoryChanged):
            original.witness().check_heads({LOG: Head(found.seq, found.h)})


@pytest.mark.proves("J11", "row 11")
def test_the_untouched_log_convinces_everybody(original: Original) -> None:
    original.witness().check_heads({LOG: Head(original.head.seq, original.head.h)})
    seen = History()
    for entry in read(original.directory):
        seen.check_heads({LOG: Head(entry.seq, entry.position.h)})

    assert verify(original.directory, keyring=original.keyring).problems == []
