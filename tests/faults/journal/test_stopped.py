"""A writer that is stopped in the middle of its work and holds the lock as long as it likes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from journal_rig import ROOT, Zygote, lines_of, state_of, until

from domain.clock import RealClock
from journal import Journal, LogLocked, read, verify
from surfaces.stop import stop_reasons

MARGIN_S = 1.5


def stopped_holder(zygote: Zygote, directory: Path, acks: Path) -> int:
    """Start a writer on the log and stop it while it writes."""
    pid = zygote.run("take_turns", directory=directory, acks=acks, segment_bytes=20_000, turn=10_000_000)
    before = len(lines_of(acks))
    until(lambda: len(lines_of(acks)) > before + 5, "a writer at work")
    os.kill(pid, signal.SIGSTOP)
    until(lambda: state_of(pid) == "T", "a stopped writer")
    return pid


@pytest.mark.proves("J3", "J6", "J7", "row 8")
@pytest.mark.timeout(3600)
def test_others_fail_typed_within_their_wait_and_nothing_is_doubled_when_the_holder_goes_on(
    zygote: Zygote, directory: Path, tmp_path: Path, dose
) -> None:
    rounds, wait_s, seconds, waits = dose(1, 20), dose(1, 5), dose(1, 30), []
    for again in range(rounds):
        acks = tmp_path / f"acks-{again}"
        pid = stopped_holder(zygote, directory, acks)
        stopped_at, first = time.monotonic(), True
        while first or time.monotonic() - stopped_at < seconds:
            first, begun = False, time.monotonic()
            with pytest.raises(LogLocked, match=f"held by pid {pid} "):
                Journal.open(directory, clock=RealClock(), lock_wait_s=wait_s)
            waits.append(time.monotonic() - begun)
        acknowledged = len(lines_of(acks))
        os.kill(pid, signal.SIGCONT)
        until(lambda acks=acks, acknowledged=acknowledged: len(lines_of(acks)) > acknowledged + 5, "it goes on")
        zygote.kill(pid)
        with Journal.open(directory, clock=RealClock(), lock_wait_s=1) as journal:
            journal.append("between", surface="fx", mode="paper", fields={})

    entries = list(read(directory))
    found = [entry.record["n"] for entry in entries if entry.kind == "n"]
    acknowledged = [number for again in range(rounds) for number in lines_of(tmp_path / f"acks-{again}")]
    print(f"{rounds} stops, {len(waits)} refusals after {min(waits):.2f} to {max(waits):.2f} s")
    assert max(waits) < wait_s + MARGIN_S
    assert (set(acknowledged) - set(found), len(found)) == (set(), len(set(found)))
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert verify(directory).problems == []


@pytest.mark.proves("J7", "row 8")
def test_a_stopped_holder_of_the_operators_log_delays_an_order_by_five_seconds_and_a_stop_file_by_nothing(
    zygote: Zygote, tbot_home: Path, tmp_path: Path
) -> None:
    (tbot_home / "logs/fx/decisions").mkdir(parents=True)
    pid = stopped_holder(zygote, tbot_home / "logs/operator/actions", tmp_path / "acks")
    stop, begun = tbot_home / "logs" / "STOP", time.monotonic()
    done = subprocess.run(
        [Path(sys.executable).parent / "tbot", "halt", "fx", "--home", str(tbot_home)],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    waited = time.monotonic() - begun
    before = stop_reasons([stop])
    stop.touch()

    assert (done.returncode, waited < 5 + 10) == (4, True), done.stderr
    assert f"held by pid {pid} " in done.stderr
    assert (before, stop_reasons([stop])) == ((), (str(stop),))
    os.kill(pid, signal.SIGCONT)
    zygote.kill(pid)
