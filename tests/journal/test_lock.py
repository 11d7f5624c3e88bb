"""Who may write: the lock facts of the design, each as a test."""

import fcntl
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from domain.clock import FakeClock, RealClock
from domain.errors import Misconfigured, Refuse
from journal import Journal, LogLocked, read
from journal.filesystem import filesystem_magic, refusal, require_local
from journal.lock import read_owner

HOLD = """
journal = Journal.open(directory, clock=RealClock())
journal.append("a", surface="fx", mode="paper", fields={})
print("ready", flush=True)
sys.stdin.read()
"""
TRY = """
try:
    Journal.open(directory, clock=RealClock(), lock_wait_s=0.05).close()
    print("got it")
except Retry as error:
    print("refused", error)
"""
FORK_BESIDE = """
import threading
from journal.lock import WriterLock
directory.mkdir(parents=True)
is_over = threading.Event()
def come_and_go():
    while not is_over.is_set():
        WriterLock(directory).close()
threads = [threading.Thread(target=come_and_go) for _ in range(4)]
for thread in threads:
    thread.start()
for _ in range(300):
    pid = os.fork()
    if pid == 0:
        paths = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
        os._exit(sum(os.path.exists(path) and os.readlink(path).endswith(".lock") for path in paths))
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
is_over.set()
"""
NO_DESCRIPTORS = """
import resource
first = len(os.listdir("/proc/self/fd"))
for limit in range(first, first + 40):
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, 4096))
    try:
        Journal.open(directory, clock=RealClock(), lock_wait_s=0).close()
    except Retry as error:
        print(error)
    else:
        print("opened")
        break
"""


def test_reading_the_files_elsewhere_in_the_process_does_not_lose_the_lock(directory: Path, start) -> None:
    with Journal.open(directory, clock=RealClock()):
        for path in (".lock", "000001.jsonl", "head.json", "owner.json"):
            (directory / path).read_bytes()
        answer = start(TRY).communicate()[0]

    assert answer.startswith(b"refused")


def test_a_second_journal_in_the_same_process_is_refused(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock), pytest.raises(LogLocked, match=f"held by pid {os.getpid()} "):
        Journal.open(directory, clock=clock, lock_wait_s=0)

    Journal.open(directory, clock=clock, lock_wait_s=0).close()


def test_another_process_is_refused_and_told_the_owner(directory: Path, clock: FakeClock, start) -> None:
    with Journal.open(directory, clock=clock):
        owner = read_owner(directory)
        answer = start(TRY).communicate()[0].decode()

    assert set(owner) == {"pid", "start_ticks", "boot", "program", "since"}
    assert f"held by pid {os.getpid()} ({owner['program']}) since 2014-05-02T12:31:00.000000Z" in answer
    assert read_owner(directory) == {}


def test_other_programs_that_use_fcntl_locks_are_kept_out(directory: Path, clock: FakeClock, start) -> None:
    with Journal.open(directory, clock=clock):
        script = "import fcntl\nfcntl.lockf(open(directory / '.lock', 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        process = start(script)
        process.communicate()

        assert process.returncode == 1


def test_a_killed_holder_frees_the_log_at_once(directory: Path, clock: FakeClock, start) -> None:
    holder = start(HOLD)
    assert holder.stdout.readline() == b"ready\n"
    holder.kill()
    holder.wait()

    Journal.open(directory, clock=clock, lock_wait_s=0).close()


def test_a_stopped_holder_costs_a_bounded_wait_and_a_typed_error(directory: Path, clock: FakeClock, start) -> None:
    holder = start(HOLD)
    assert holder.stdout.readline() == b"ready\n"
    holder.send_signal(signal.SIGSTOP)

    with pytest.raises(LogLocked, match=f"held by pid {holder.pid} ") as caught:
        Journal.open(directory, clock=clock, lock_wait_s=0.1)
    holder.send_signal(signal.SIGCONT)

    assert (caught.value.owner["pid"], caught.value.after_s) == (holder.pid, 0.1)


def test_a_stopped_holder_can_be_killed_and_replaced(directory: Path, clock: FakeClock, start) -> None:
    holder = start(HOLD)
    assert holder.stdout.readline() == b"ready\n"
    holder.send_signal(signal.SIGSTOP)
    holder.kill()
    holder.wait()

    with Journal.open(directory, clock=clock, lock_wait_s=0) as journal:
        assert journal.position.seq == 2


def test_whoever_waits_gets_the_log_when_it_becomes_free(directory: Path, clock: FakeClock) -> None:
    first = Journal.open(directory, clock=clock)
    opened: list[Journal] = []
    waiting = threading.Thread(target=lambda: opened.append(Journal.open(directory, clock=clock, lock_wait_s=30)))
    waiting.start()
    first.close()
    waiting.join(30)

    assert len(opened) == 1
    opened[0].close()


def test_a_forked_child_neither_writes_nor_keeps_the_lock(directory: Path, clock: FakeClock) -> None:
    journal = Journal.open(directory, clock=clock)
    release, done = os.pipe()
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(done)
        code = _child(journal)
        os.write(tell, b"x")
        os.read(release, 1)  # outlive the parent's journal
        os._exit(code)
    os.close(release)
    os.read(ready, 1)
    journal.append("parent", surface="fx", mode="paper", fields={})
    journal.close()
    Journal.open(directory, clock=clock, lock_wait_s=0).close()
    for fd in (done, ready, tell):
        os.close(fd)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert [entry.kind for entry in read(directory)] == ["segment_start", "parent"]


def _child(journal: Journal) -> int:
    try:
        journal.append("child", surface="fx", mode="paper", fields={})
    except Refuse:
        journal.close()  # must not take the parent's lock or owner note away
        return 0
    return 1


def test_the_child_of_a_fork_does_not_remove_the_parents_note(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock) as journal:
        pid = os.fork()
        if pid == 0:
            journal.close()
            os._exit(0)
        os.waitpid(pid, 0)

        assert read_owner(directory)["pid"] == os.getpid()
        with pytest.raises(LogLocked):
            Journal.open(directory, clock=clock, lock_wait_s=0)


def test_an_executed_child_does_not_keep_the_lock(directory: Path, clock: FakeClock) -> None:
    journal = Journal.open(directory, clock=clock)
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False)
    journal.close()

    Journal.open(directory, clock=clock, lock_wait_s=0).close()
    child.communicate()


def test_a_failed_opening_frees_the_log(directory: Path, clock: FakeClock) -> None:
    Journal.open(directory, clock=clock).close()
    original = (directory / "000001.jsonl").read_bytes()
    (directory / "000001.jsonl").write_bytes(b"x" + original[1:])
    with pytest.raises(Exception, match="segment 1, offset 0"):
        Journal.open(directory, clock=clock)
    (directory / "000001.jsonl").write_bytes(original)

    Journal.open(directory, clock=clock, lock_wait_s=0).close()


@pytest.mark.parametrize(
    ("magic", "name"), [(0x6969, "NFS"), (0x65735546, "FUSE"), (-11317950, "CIFS"), (0xEF53, None), (0x01021994, None)]
)
def test_network_and_user_space_file_systems_are_known_by_their_magic(magic: int, name: str | None) -> None:
    assert refusal(magic) == name


def test_a_file_system_that_is_not_trusted_needs_a_word_from_the_operator(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("journal.filesystem._REFUSED", {filesystem_magic(tmp_path) & 0xFFFFFFFF: "NFS"})

    require_local(tmp_path, allowed=True)
    with pytest.raises(Misconfigured, match="found NFS"):
        require_local(tmp_path, allowed=False)


def test_plain_flock_would_not_have_kept_anybody_out(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock), open(directory / ".lock", "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the two kinds do not see each other: never mix them


def test_a_note_that_cannot_be_removed_does_not_keep_the_lock(directory: Path, clock: FakeClock) -> None:
    journal = Journal.open(directory, clock=clock)
    (directory / "owner.json").unlink()
    (directory / "owner.json").mkdir()
    journal.close()

    Journal.open(directory, clock=clock, lock_wait_s=0).close()


def test_a_place_that_is_no_directory_is_a_wrong_setting(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "fx").write_text("in the way")

    with pytest.raises(Misconfigured, match="Not a directory"):
        Journal.open(tmp_path / "fx" / "signals", clock=clock)


def test_too_many_open_files_refuse_an_opening_and_keep_nothing_locked(directory: Path, start) -> None:
    answer = start(NO_DESCRIPTORS).communicate()[0].decode().splitlines()

    assert answer[-1] == "opened"
    assert len(answer) > 3
    assert all(line.startswith("expected") and "Too many open files" in line for line in answer[:-1])


def test_forks_while_other_threads_open_and_close_logs_leave_no_child_with_a_lock(directory: Path, start) -> None:
    answer = start(FORK_BESIDE).communicate()[0].decode().split()

    assert answer == ["0"] * 300
