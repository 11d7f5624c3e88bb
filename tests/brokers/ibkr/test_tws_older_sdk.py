"""The TWS adapter on ib_insync, the SDK's predecessor, in its own environment: both ship a module ``eventkit``."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".tools" / "ib_insync" / "bin" / "python"
HERE = Path(__file__).parent
# What an SDK could do differently: decode, drop, repeat, hold back, lose a connection.
CASES = "contract or sdk or test_tws_failures or test_tws_readings or data_lost or dead_socket or leave_together"


@pytest.mark.skipif(not PYTHON.exists(), reason="`make second` makes .tools/ib_insync, and `make test` asks for it")
def test_adapter_does_the_same_on_the_older_sdk():
    tests = [HERE / f"test_tws_{name}.py" for name in ("contract", "failures", "link", "readings", "sdk")]
    command = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--confcutdir={HERE}", "-k", CASES, *tests]
    path = os.pathsep.join((str(ROOT), str(ROOT / "tests" / "support")))
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=110
    )

    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
