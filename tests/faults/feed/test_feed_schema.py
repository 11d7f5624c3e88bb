"""The OpenAPI document held against the feed, by a program that believes every word of it and tries what it forbids."""

import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.vocabulary import Surface
from feed.tokens import Scope

KINDS = (
    "both scopes", "both scopes, a known signal", "feed:read only", "cb:write only", "admin:read", "no token",
    "revoked", "expired", "another surface",
)  # fmt: skip
FAST = ("both scopes, a known signal",)  # the checks take the token away themselves, too
# Its positive answer does not end: it is tried with tokens that do not get one.
STREAM = "/api/signals/stream"
STREAMS = ("cb:write only", "admin:read", "no token", "revoked", "expired")
# What no schema can say: cursors are sealed, only one of cursor and start is taken, a surface belongs to a token,
# a report contradicts what is stored.
CONFIG = """
[[operations]]
include-path-regex = "/api/signals/(feed|stream|open)"
checks.positive_data_acceptance.expected-statuses = ["2xx", "304", "400", "401", "403", "410"]
[[operations]]
include-path-regex = "/api/signals/.signal_id./.*"
checks.positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "422"]
"""


@pytest.fixture(scope="module")
def desk(shared: Any) -> Any:
    publishers = [shared.publisher(surface) for surface in (Surface.FX, Surface.ST)]
    shared.signal_id = publishers[0].open()
    publishers[1].open()
    publishers[0].close(publishers[0].open())
    shared.up = shared.feed(
        FEED_DOCS="true",
        FEED_MAX_WAIT_S="0.05",
        FEED_DEFAULT_WAIT_S="0.02",
        FEED_COHORT_MIN="1",
        FEED_PARKED_TOTAL="9999",
    )
    return shared


def token_of(desk: Any, kind: str) -> str | None:
    both, now = (Surface.FX, Surface.ST), desk.clock.now()
    if kind == "no token":
        return None
    if kind == "expired":
        return str(desk.token(*both, not_before=now - timedelta(days=2), expires_at=now - timedelta(days=1)))
    if kind == "revoked":
        made = desk.token(*both)
        desk.store.revoke(made.split("_")[1], now=now)
        return str(made)
    scopes = {"feed:read only": (Scope.FEED_READ,), "cb:write only": (Scope.CALLBACK_WRITE,)}
    scopes["admin:read"] = (Scope.ADMIN_READ,)
    surfaces = (Surface.ST,) if kind == "another surface" else both
    return str(desk.token(*surfaces, scopes=scopes.get(kind, (Scope.FEED_READ, Scope.CALLBACK_WRITE))))


@pytest.mark.proves("row 20", "C7", "F8")
@pytest.mark.parametrize("kind", KINDS)
def test_the_document_and_the_feed_say_the_same(desk: Any, kind: str, dose: Any, tmp_path: Path) -> None:
    if kind not in dose(FAST, KINDS):
        pytest.skip("this token is tried at the full dose: a run takes seconds before it begins")
    known = f'[parameters]\n"path.signal_id" = "{desk.signal_id}"\n' if kind.endswith("known signal") else ""
    (tmp_path / "schemathesis.toml").write_text(known + CONFIG)
    token = token_of(desk, kind)
    extra = [] if token is None else ["-H", f"Authorization: Bearer {token}"]
    extra += [] if kind in STREAMS else ["--exclude-path", STREAM]

    for seed in range(dose(1, 3)):
        found = subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"), "run", f"{desk.up.url}/openapi.json", *extra,
                "--max-examples", str(dose(4, 500)), "--seed", str(seed), "--mode", "all",
                "--phases", "examples,coverage,fuzzing,stateful", "--checks", "all", "--no-color",
                "--request-timeout", "10",
            ],
            cwd=tmp_path, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, capture_output=True, text=True,
            timeout=3_600,
        )  # fmt: skip
        generated = int(re.search(r"(\d+) generated", found.stdout)[1]) if "generated" in found.stdout else 0
        print(f"{kind}, seed {seed}: {generated} cases")

        assert found.returncode == 0, found.stdout[-6_000:] + found.stderr[-2_000:]
        assert generated > dose(100, 2_000)
    assert desk.up.is_up()
