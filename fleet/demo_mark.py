"""The marks that tell a demo's home from one that somebody trades from."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from domain.errors import Misconfigured, Refuse

MARKER = "DEMO"
# Set by the demo's own supervisord: only then may a program work on a demo's journals.
DEMO_KEY = "TBOT_DEMO"


def mark(home: Path) -> None:
    """Say that logs and settings of this home are a demo's; written first, so that half a demo is known as one."""
    for name in ("logs", "env"):
        (home / name).mkdir(parents=True, exist_ok=True)
    (home / "logs" / MARKER).write_text(
        "Journals of a demo: simulated venue, recorded prices. Cleared by the next demo.\n"
    )
    (home / "env" / MARKER).write_text("{}\n")


def seal(home: Path) -> None:
    """Note what the demo wrote into ``env/``, so that a file somebody puts there later is known as theirs."""
    (home / "env" / MARKER).write_text(json.dumps(_hashes(home)) + "\n")


def require_free(home: Path) -> None:
    """Refuse a home that holds journals, keys or settings no demo made, naming them."""
    logs, env = home / "logs", home / "env"
    made = [*sorted(logs.glob("*/*/[0-9]*.jsonl"))[:3], *sorted((home / "keys").glob("*.key"))]
    foreign = [] if (logs / MARKER).exists() else made
    foreign += [env / name for name, digest in _hashes(home).items() if not _is_ours(env / MARKER, name, digest)]
    if foreign:
        names = ", ".join(str(path) for path in foreign)
        raise Refuse("a home that only demos have used", names, "give another --home, or move these files away")


def require_no_demo(home: Path, environ: Mapping[str, str]) -> None:
    """Refuse to work on what a demo left behind: its trades and tokens are made up."""
    if (home / "logs" / MARKER).exists() and environ.get(DEMO_KEY) != "1":
        raise Misconfigured(
            "a home without a demo's journals, trades and tokens",
            str(home / "logs" / MARKER),
            "run `tbot demo --clear` there, or use another TBOT_HOME",
        )


def _hashes(home: Path) -> dict[str, str]:
    files = [*(home / "env").glob("*.env"), *(home / "env").glob("*.json")]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


def _is_ours(marker: Path, name: str, digest: str) -> bool:
    """Tell whether the demo wrote this file; one that was cut short before sealing counts as its own."""
    try:
        known = json.loads(marker.read_text())
    except (OSError, ValueError):
        return False
    return not known or known.get(name) == digest
