"""Standard error when nobody reads it."""

import os
import subprocess
import sys
import time

import pytest

from journal.stderr import Pipe

TALKER = """
import structlog
from domain.clock import RealClock
from journal import process_log
process_log.configure("test", RealClock())
log = structlog.get_logger()
for number in range(5_000):
    log.info("turned", number=number, padding="x" * 200)
print("done", flush=True)
"""


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    yield reader, writer
    for fd in (reader, writer):
        try:
            os.close(fd)
        except OSError:
            continue


def test_what_has_room_is_written_as_it_is(pipe):
    reader, writer = pipe

    Pipe(writer).write("one\n")

    assert os.read(reader, 100) == b"one\n"


def test_a_full_pipe_is_not_waited_for_and_what_was_dropped_is_counted_aloud(pipe):
    reader, writer = pipe
    stream = Pipe(writer)
    line = "x" * 4095 + "\n"
    for _ in range(40):
        stream.write(line)
    dropped = stream.dropped
    os.read(reader, 1_000_000)
    stream.write("again\n")

    assert dropped >= 8
    assert os.read(reader, 65_536).decode() == f'{{"event":"log_lines_dropped","count":{dropped}}}\nagain\n'
    assert stream.dropped == 0


def test_a_pipe_whose_reader_is_gone_costs_nothing(pipe):
    reader, writer = pipe
    stream = Pipe(writer)
    os.close(reader)

    stream.write("one\n")

    assert stream.dropped == 1


@pytest.mark.parametrize("reader_is_gone", [True, False])
def test_a_process_goes_on_when_nobody_reads_its_log(reader_is_gone):
    process = subprocess.Popen(
        [sys.executable, "-c", TALKER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=os.getcwd()
    )
    try:
        if reader_is_gone:
            process.stderr.close()
        began = time.monotonic()
        said = process.stdout.readline()

        assert said == b"done\n"
        assert time.monotonic() - began < 30
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            stream.close()
