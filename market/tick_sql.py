"""The SQL with which DuckDB reads recorded market data.

It must not be imported by a loop: DuckDB alone is as large as one.
"""

# DuckDB takes no parameters for files and columns: paths and markets are quoted, all else is ours.
# ruff: noqa: S608

import json
from collections.abc import Sequence
from pathlib import Path

import duckdb

from domain.errors import Refuse
from market.tick_files import COLUMNS

SOURCES = "sources"
# Nothing is fetched from anywhere, and a child of a process with a bound on its memory stays below that bound.
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "memory_limit": "256MB",
    "preserve_insertion_order": "false",
    "threads": "1",
}


def connect(spill: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Return a connection to a database in memory; what a sort can't hold goes to the folder ``spill``."""
    return duckdb.connect(config=_CONFIG if spill is None else {**_CONFIG, "temp_directory": str(spill)})


def rows_of_csv(path: Path, kind: str) -> str:
    """Return the query for the rows of a CSV file; a column that its form did not have yet is null.

    Raises:
        Refuse: the header names a column that no form of ours has.
    """
    with path.open("rb") as file:
        header = file.readline().decode(errors="replace").strip().split(",")
    types = COLUMNS[kind]
    if strange := [name for name in header if name not in types]:
        raise Refuse(f"columns of {kind} in {path.name}", ", ".join(map(repr, strange)), "look at the file by hand")
    columns = ", ".join(f"'{name}': '{types[name]}'" for name in header)
    wanted = ", ".join(f'"{name}"' if name in header else f'NULL::{types[name]} AS "{name}"' for name in types)
    options = f"header = true, auto_detect = false, delim = ',', quote = '\"', columns = {{{columns}}}"
    return f"SELECT {wanted} FROM read_csv({quoted(path)}, {options})"


def rows_of_parquet(paths: Sequence[Path], kind: str) -> str:
    """Return the query for the rows of Parquet files of one kind."""
    wanted = ", ".join(f'"{name}"' for name in COLUMNS[kind])
    return f"SELECT {wanted} FROM read_parquet([{', '.join(map(quoted, paths))}])"


def union(queries: Sequence[str]) -> str:
    return " UNION ALL ".join(f"({query})" for query in queries)


def sources_of(connection: duckdb.DuckDBPyConnection, path: Path) -> list[str]:
    """Return the SHA-256 of each CSV file whose rows a Parquet file of ours holds."""
    query = f"SELECT value FROM parquet_kv_metadata({quoted(path)}) WHERE key = '{SOURCES}'"
    found = connection.execute(query).fetchone()
    return [str(one) for one in json.loads(bytes(found[0]))] if found else []


def quoted(path: Path) -> str:
    """Return a path as a text of SQL."""
    return text(str(path))


def text(value: str) -> str:
    """Return a text of SQL."""
    return "'" + value.replace("'", "''") + "'"
