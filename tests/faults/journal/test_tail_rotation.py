"""Tailers while the log rotates, and rotates again."""

from pathlib import Path

import pytest
from journal_rig import Zygote, lines_of, until

from domain.clock import FakeClock
from journal import Journal, read

TAILERS = 5


@pytest.mark.proves("J9", "row 12")
@pytest.mark.timeout(1800)
def test_five_tailers_miss_nothing_and_repeat_nothing_over_a_thousand_rotations(
    zygote: Zygote, directory: Path, tmp_path: Path, clock: FakeClock, dose
) -> None:
    rotations = dose(150, 1_000)
    seen = [tmp_path / f"seen-{number}" for number in range(TAILERS)]
    with Journal.open(directory, clock=clock, segment_bytes=2_500, durable=False) as journal:
        journal.append("n", surface="fx", mode="paper", fields={})
        pids = [zygote.run("follow", directory=directory, seen=path, fds=f"{path}-fds") for path in seen]
        until(lambda: all(lines_of(path) for path in seen), "five tailers at work")
        while journal.position.segment <= rotations:
            journal.append("n", surface="fx", mode="paper", fields={"pad": "x" * 300})
        journal.append("end", surface="fx", mode="paper", fields={})
    ends = [zygote.wait(pid) for pid in pids]

    expected = [f"{entry.seq} {entry.position.h}" for entry in read(directory)]
    fds = [{int(count) for count in lines_of(Path(f"{path}-fds"))} for path in seen]
    print(f"{rotations} rotations, {len(expected)} records, open descriptors: {fds}")
    assert ends == [0] * TAILERS
    assert len(list(directory.glob("0*.jsonl"))) > rotations
    assert [lines_of(path) for path in seen] == [expected] * TAILERS
    assert [len(counts) for counts in fds] == [1] * TAILERS, "as many descriptors at the end as at the start"
