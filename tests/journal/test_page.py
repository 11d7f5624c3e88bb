"""What docs/journals.md tells a reader to type, typed."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from domain.clock import FakeClock
from journal import Journal
from journal.key_files import create_key, rotate_key
from journal.keys import Signer

PAGE = Path(__file__).resolve().parents[2] / "docs" / "journals.md"


@pytest.fixture
def home(tmp_path: Path, clock: FakeClock) -> Path:
    """A home whose fx has its second key, and fifty signed lines of it."""
    create_key(tmp_path / "keys", "fx", clock.now())
    rotate_key(tmp_path / "keys", "fx", clock.now())
    signer = Signer.load(tmp_path / "keys", "fx", clock.now())
    directory = tmp_path / "logs" / "fx" / "signals"
    with Journal.open(directory, clock=clock, durable=False, signer=signer, sign_lines=True) as journal:
        for number in range(50):
            journal.append("signal", surface="fx", mode="paper", fields={"n": number, "inner": {"h": "x", "sig": "y"}})
    return tmp_path


@pytest.fixture
def recipe() -> str:
    """The shell lines that check one signature."""
    if not all(shutil.which(tool) for tool in ("openssl", "sha256sum", "base64", "sed")):
        pytest.skip("needs openssl, sha256sum, base64 and sed")
    return next(block for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL) if "openssl" in block)


def typed(recipe: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", recipe], cwd=home, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.proves("J11")
def test_a_signature_can_be_checked_with_sed_sha256sum_and_openssl(home: Path, recipe: str) -> None:
    done = typed(recipe, home)
    shown = done.stdout.split("\n")

    assert done.returncode == 0, done.stderr
    assert shown[0] == shown[1]
    assert "Signature Verified Successfully" in done.stdout


@pytest.mark.proves("J11")
def test_openssl_refuses_a_changed_line(home: Path, recipe: str) -> None:
    path = home / "logs/fx/signals/000001.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"n":40,', b'"n":41,'))
    done = typed(recipe, home)
    shown = done.stdout.split("\n")

    assert done.returncode != 0
    assert shown[0] != shown[1]
    assert "Signature Verification Failure" in done.stdout + done.stderr
