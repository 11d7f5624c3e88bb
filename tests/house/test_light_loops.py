"""No trading loop carries a library of tables: what needs one runs in a child process, once a day."""

import subprocess
import sys
from pathlib import Path

import resolver.__main__ as resolvers
import surfaces.__main__ as surfaces

HEAVY = ("duckdb", "exchange_calendars", "numpy", "pandas", "polars", "pyarrow", "scipy")
# Imported by the processes only once they connect.
ON_DEMAND = (
    "brokers.dry_run.executor",
    "brokers.ibkr.portal.client",
    "brokers.ibkr.tws.client",
    "brokers.kalshi.client",
    "brokers.oanda.client",
)
PROGRAM = """
import importlib, sys
heavy, *modules = sys.argv[1:]
for name in modules:
    importlib.import_module(name)
print(*(name for name in heavy.split(",") if name in sys.modules))
"""


def test_no_loop_imports_a_library_of_tables(root: Path) -> None:
    wires = [wire for wire, _ in (*surfaces.SURFACES.values(), *resolvers.SURFACES.values())]

    command = [sys.executable, "-c", PROGRAM, ",".join(HEAVY), *wires, *ON_DEMAND]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)

    assert len(wires) == 8
    assert (done.stdout.split(), done.stderr) == ([], "")
