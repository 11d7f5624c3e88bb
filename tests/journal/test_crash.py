"""Writers killed with SIGKILL, again and again."""

import random
from pathlib import Path

from journal import read, verify

WRITER = """
first = int(sys.stdin.readline())
futures = []
with Journal.open(directory, clock=RealClock(), segment_bytes=300_000) as journal:
    def acknowledge(number):
        return lambda future: os.write(1, b"%d\\n" % number)
    for number in range(first, first + 100_000):
        if number % 2:
            future = journal.submit("n", surface="fx", mode="paper", fields={"n": number, "pad": "x" * (number % 9000)})
            future.add_done_callback(acknowledge(number))
        else:
            journal.append("n", surface="fx", mode="paper", fields={"n": number, "pad": "x" * (number % 9000)})
            acknowledge(number)(None)
"""
KILLS = 40


def test_forty_killed_writers_lose_nothing_they_acknowledged(directory: Path, start) -> None:
    dice = random.Random(20140502)
    acknowledged: set[int] = set()
    for kill in range(KILLS):
        writer = start(WRITER)
        writer.stdin.write(b"%d\n" % (kill * 1_000_000))
        writer.stdin.flush()
        for _ in range(dice.randrange(1, 60)):
            acknowledged.add(int(writer.stdout.readline()))
        writer.kill()
        acknowledged.update(int(line) for line in writer.stdout.read().splitlines() if line)
        writer.wait()

    found = [entry.record["n"] for entry in read(directory) if entry.kind == "n"]
    assert acknowledged - set(found) == set()
    assert len(found) == len(set(found))
    assert found == sorted(found)
    assert len(acknowledged) > KILLS
    assert verify(directory).problems == []
