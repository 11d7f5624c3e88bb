"""Hostile content: what goes in comes out the same in Python, jq and DuckDB, one line a record."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import duckdb
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from domain.clock import FakeClock, parse_iso
from domain.errors import Refuse
from journal import Journal, NewRecord, read, verify
from journal.codec import clean_text, encode_fields

NASTY = [
    *("\ud800", "a\udfffb", "\ud83d\ude00", "\0", "a\0b", "\u2028\u2029", "\x1b[31mred\x1b[0m", "\x7f\x85", "\ufeff"),
    *('","h":"', '"', "\\", "\r\n", "NaN", "null", "2014-05-02", "12", "é", "😀", "x" * 9000, ""),
]
texts = st.lists(st.one_of(st.text(max_size=30), st.sampled_from(NASTY)), min_size=1, max_size=40)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20) | st.sampled_from(NASTY),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def written(fields: list[dict[str, object]]) -> Path:
    """Write one record for each mapping, in a directory of its own."""
    directory = Path(tempfile.mkdtemp()) / "fx" / "texts"
    clock = FakeClock(parse_iso("2014-05-02T12:31:00Z"))
    with Journal.open(directory, clock=clock, durable=False) as journal:
        journal.append_many(NewRecord(kind="text", surface="fx", mode="paper", fields=item) for item in fields)
    return directory


@settings(max_examples=150, deadline=None)
@given(value=values)
def test_any_value_comes_back_as_its_plain_form(value: object) -> None:
    try:
        plain = encode_fields({"value": value})["value"]
    except Refuse as refused:
        assume("keys that stay distinct" not in str(refused))
        raise
    directory = written([{"value": value}])
    entry = list(read(directory))[-1]

    assert entry.record["value"] == plain == json.loads(entry.raw)["value"]
    assert entry.raw.isascii()
    assert not any(byte < 0x20 or byte == 0x7F for byte in entry.raw)
    assert verify(directory).ok
    shutil.rmtree(directory.parents[1])


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
@settings(max_examples=25, deadline=None)
@given(content=texts)
@example(content=NASTY)
def test_jq_reads_the_same_texts(content: list[str]) -> None:
    directory = written([{"text": text} for text in content])
    command = ["jq", "-c", "[.seq, .text]", str(directory / "000001.jsonl")]
    shown = subprocess.run(command, capture_output=True, check=True).stdout.decode("utf-8").split("\n")[:-1]

    # jq splits nothing and merges nothing: one answer a line, the segment's own first line included.
    assert [json.loads(line)[1] for line in shown[1:]] == [clean_text(text) for text in content]
    shutil.rmtree(directory.parents[1])


@settings(max_examples=25, deadline=None)
@given(content=texts)
@example(content=NASTY)
def test_duckdb_reads_the_same_texts(content: list[str]) -> None:
    directory = written([{"text": text} for text in content])
    columns = {"seq": "BIGINT", "kind": "VARCHAR", "text": "VARCHAR"}
    with duckdb.connect() as connection:
        table = connection.read_json(str(directory / "*.jsonl"), format="newline_delimited", columns=columns)
        rows = table.filter("kind = 'text'").order("seq").project("text").fetchall()

    assert [row[0] for row in rows] == [clean_text(text) for text in content]
    shutil.rmtree(directory.parents[1])


def test_duckdb_finds_the_types_by_itself(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock) as journal:
        for number in range(3):
            journal.append("n", surface="fx", mode="paper", fields={"n": number, "price": "1.50", "edge": 0.5})
    with duckdb.connect() as connection:
        table = connection.read_json(str(directory / "*.jsonl"))
        rows = table.filter("kind = 'n'").project("ts, seq, n, price, edge").fetchall()

    assert [(row[1:]) for row in rows] == [(2, 0, "1.50", 0.5), (3, 1, "1.50", 0.5), (4, 2, "1.50", 0.5)]
    assert rows[0][0] == clock.now()


def test_a_line_cannot_be_ended_or_forged_from_inside_a_text(directory: Path, clock: FakeClock) -> None:
    attack = 'x","prev":"' + "0" * 64 + '","h":"' + "0" * 64 + '"}\n{"ts":"'
    with Journal.open(directory, clock=clock) as journal:
        journal.append("n", surface="fx", mode="paper", id=attack, fields={attack: attack, "inner": {"h": "0" * 64}})

    assert (verify(directory).ok, verify(directory).records) == (True, 2)
    assert list(read(directory))[-1].record[attack] == attack
