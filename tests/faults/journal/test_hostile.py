"""Ten thousand hostile records, the same for Python, jq and DuckDB."""

import json
import re
import shutil
import subprocess
import tempfile
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from domain.clock import FakeClock, parse_iso
from domain.errors import Refuse
from journal import Journal, read, verify
from journal.codec import clean_text, encode_fields

NASTY = [
    *("\ud800", "a\udfffb", "\ud83d\ude00", "\0", "a\0b", "\u2028\u2029", "\x1b[31mred\x1b[0m", "\x7f\x85", "\ufeff"),
    *('","h":"', '"', "\\", "\r\n", "NaN", "null", "2014-05-02", "12", "é", "😀", "x" * 60_000, "", "\x1b]0;owned\x07"),
    *(
        "\x9b31m",
        "é" * 9_000,
        '{"a":',
        "1e400",
        "18446744073709551616",
        "-0.0",
        "\ud83d",
        "\\u0000",
        "'; DROP TABLE x;",
    ),
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20) | st.sampled_from(NASTY[:-8]) | st.sampled_from([2**64, -0.0, 2**53 + 1, Decimal("1E+400")]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
RECORDS = st.tuples(st.one_of(st.text(max_size=60), st.sampled_from(NASTY)), VALUES)
A_TIME = 100  # records in one log


def written(content: list[tuple[str, object]]) -> Path:
    directory = Path(tempfile.mkdtemp()) / "fx" / "texts"
    with Journal.open(directory, clock=FakeClock(parse_iso("2014-05-02T12:31:00Z")), durable=False) as journal:
        for text, value in content:
            try:
                journal.append("text", surface="fx", mode="paper", fields={"text": text, "value": value})
            except Refuse as refused:
                if not re.search("keys that stay distinct|a line of at most", str(refused)):
                    raise
                journal.append("text", surface="fx", mode="paper", fields={"text": "refused", "value": None})
    return directory


def jq(files: list[Path]) -> list[list[object]]:
    done = subprocess.run(["jq", "-c", "[.kind, .text]", *map(str, files)], capture_output=True, check=True)
    return [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]


def duck(directory: Path) -> list[tuple[str, str]]:
    columns = {"seq": "BIGINT", "kind": "VARCHAR", "text": "VARCHAR"}
    with duckdb.connect() as connection:
        table = connection.read_json(str(directory / "0*.jsonl"), format="newline_delimited", columns=columns)
        return table.order("seq").project("kind, text").fetchall()


@pytest.mark.proves("J4", "J14", "row 10")
@pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq (Debian package jq)")
@pytest.mark.timeout(3600)
def test_python_jq_and_duckdb_read_the_same_ten_thousand_records(dose) -> None:
    count = 0

    @settings(max_examples=dose(8, 100), deadline=None, suppress_health_check=list(HealthCheck))
    @given(content=st.lists(RECORDS, min_size=A_TIME, max_size=A_TIME))
    @example(content=[(text, text) for text in NASTY] * 4)
    def check(content: list[tuple[str, object]]) -> None:
        nonlocal count
        directory = written(content)
        files = sorted(directory.glob("0*.jsonl"))
        entries = [entry for entry in read(directory) if entry.kind == "text"]
        texts = [entry.record["text"] for entry in entries]
        lines = b"".join(path.read_bytes() for path in files)
        count += len(entries)

        assert len(entries) == len(content)
        assert all(text in (clean_text(given), "refused") for text, (given, _) in zip(texts, content, strict=True))
        assert [text for kind, text in jq(files) if kind == "text"] == texts
        assert [text for kind, text in duck(directory) if kind == "text"] == texts
        assert [json.loads(e.raw)["value"] for e in entries] == [e.record["value"] for e in entries]
        assert all(
            entry.record["value"] == encode_fields({"value": value})["value"]
            for entry, (_, value) in zip(entries, content, strict=True)
            if entry.record["text"] != "refused"
        )
        assert not re.search(rb"[^ -~\n]", lines)
        assert max(map(len, lines.split(b"\n"))) < 64 * 1024
        assert verify(directory).problems == []
        shutil.rmtree(directory.parents[1])

    check()
    print(f"{count} records")
    assert count >= dose(800, 10_000)


@pytest.mark.proves("J14", "row 10")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), Decimal("NaN"), {"a": [float("nan")]}])
def test_what_json_has_no_form_for_is_refused(directory: Path, clock: FakeClock, value: object) -> None:
    with Journal.open(directory, clock=clock, durable=False) as journal, pytest.raises(Refuse):
        journal.append("text", surface="fx", mode="paper", fields={"value": value})

    assert [entry.kind for entry in read(directory)] == ["segment_start"]
