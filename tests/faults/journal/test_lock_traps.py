"""What makes a lock slip away unnoticed, done again and again by whoever holds it."""

import fcntl
from pathlib import Path

import pytest
from journal_rig import Zygote, lines_of

from journal.lock import read_owner

PROCESSES, THREADS = 4, 8
TRAPS = (
    "reopen_in_thread", "fork", "subprocess", "flock_beside", "filelock_beside", "rename_segment", "second_descriptor",
    "collect_file_object", "lockf_elsewhere",
)  # fmt: skip


@pytest.mark.proves("J6", "row 7")
@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.timeout(3600)
def test_no_trap_lets_a_second_holder_in(zygote: Zygote, scratch: Path, trap: str, dose) -> None:
    iterations = dose(4, 1_000)
    directory, said, shared = scratch / "fx" / "signals", scratch / "said", scratch / "shared"
    directory.mkdir(parents=True)
    (directory / "000001.jsonl").write_text("x\n")
    shared.write_bytes(bytes(4096))
    pids = [
        zygote.run(
            "hold_in_turns", directory=directory, shared=shared, said=said, trap=trap,
            threads=THREADS, iterations=iterations,
        )
        for _ in range(PROCESSES)
    ]  # fmt: skip
    codes = [zygote.wait(pid) for pid in pids]

    words = lines_of(said)
    count = int.from_bytes(shared.read_bytes()[8:16], "little")
    print(f"{trap}: {count} turns")
    assert codes == [0] * PROCESSES
    assert [word for word in words if word != "turn"] == [], "overlaps and errors"
    assert words.count("turn") == count == PROCESSES * THREADS * iterations
    assert read_owner(directory) == {}


def test_the_traps_would_take_a_classic_lock_away(tmp_path: Path, zygote: Zygote) -> None:
    """The control: what the journal's kind of lock is there for."""
    path = tmp_path / ".lock"
    with open(path, "w") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        assert zygote.wait(zygote.run("try_lockf", path=path)) == 70
        path.read_bytes()

        assert zygote.wait(zygote.run("try_lockf", path=path)) == 0
