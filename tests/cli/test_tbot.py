"""The ``tbot`` command: help, subscribers, orders to a surface, and the exit code of everything that goes wrong."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
import warm_start

from cli.audit import app as audit_app
from cli.tbot import app as tbot_app
from feed import tokens
from journal import read

BIN = Path(sys.executable).parent
HEAVY = ("fastapi", "uvicorn", "oandapyV20", "duckdb", "pydantic", "httpx", "supervisor", "numpy", "pandas")
Done = subprocess.CompletedProcess[str]


def run(*words: str, home: Path | None = None, columns: int = 100, **env: str) -> Done:
    kept = {"PATH": os.environ["PATH"], "HOME": str(home or "/"), "COLUMNS": str(columns), **env}
    given = [] if home is None else ["--home", str(home)]
    return warm_start.command(*words, *given, env=kept)


def commands() -> list[tuple[str, ...]]:
    """Return every command line that takes --help: the two programs, their groups and their commands."""
    found: list[tuple[str, ...]] = []
    for name, app in (("tbot", tbot_app), ("audit", audit_app)):
        found.append((name,))
        pending = [((name,), typer.main.get_command(app))]
        while pending:
            path, command = pending.pop()
            for word, inner in getattr(command, "commands", {}).items():
                found.append((*path, word))
                pending.append(((*path, word), inner))
    return sorted(found)


@pytest.mark.parametrize("line", commands(), ids=" ".join)
def test_help_explains_each_command_within_100_columns(line: tuple[str, ...]) -> None:
    done = run(*line, "--help", columns=200)

    assert (done.returncode, done.stderr) == (0, "")
    assert f"Usage: {' '.join(line)}" in done.stdout
    assert [row for row in done.stdout.splitlines() if len(row) > 100] == []
    # A sentence says what it does, before the options do.
    assert re.search(r"^  [A-Z][^\[]{20,}?[.:]", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("program", ["tbot", "audit"])
def test_help_loads_no_server_no_sdk_and_no_database(program: str) -> None:
    code = (
        f"import sys; sys.argv = ['{program}', '--help']\n"
        f"from cli.{program} import main\n"
        "try:\n main()\nexcept SystemExit:\n pass\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)

    assert f"Usage: {program}" in done.stdout
    assert set(done.stderr.split()) & set(HEAVY) == set()


@pytest.mark.parametrize("program", ["tbot", "audit"])
def test_nothing_to_do_shows_the_help(program: str) -> None:
    done = run(program)

    assert f"Usage: {program}" in done.stdout + done.stderr
    assert done.returncode == 2


def test_a_misspelt_command_is_a_usage_error_with_a_hint() -> None:
    done = run("tbot", "statsu")

    assert done.returncode == 2
    assert "status" in done.stderr


def stored(home: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((home / "state" / "subscribers.json").read_text())
    return found


def test_a_subscriber_is_added_listed_and_revoked(tbot_home: Path) -> None:
    added = run("tbot", "subscribers", "add", "a friend", home=tbot_home)
    token = added.stdout.strip()
    token_id = tokens.parse(token)
    listed = run("tbot", "subscribers", "list", home=tbot_home)
    revoked = run("tbot", "subscribers", "revoke", str(token_id), home=tbot_home)
    after = run("tbot", "subscribers", "list", "--json", home=tbot_home)

    assert (added.returncode, listed.returncode, revoked.returncode, after.returncode) == (0, 0, 0, 0)
    # The token alone on stdout, so that it can be piped; what to do with it on stderr.
    assert added.stdout == token + "\n"
    assert "not shown again" in added.stderr
    assert listed.stdout.split()[:2] == [token_id, "valid"]
    assert "a friend" in listed.stdout
    assert revoked.stdout == f"{token_id} revoked\n"
    (row,) = json.loads(after.stdout)
    assert row["state"] == "revoked"
    assert row["surfaces"] == ["fx"]
    assert row["scopes"] == ["feed:read", "cb:write"]


def test_a_token_is_shown_once_and_only_its_hash_is_kept(tbot_home: Path) -> None:
    added = run("tbot", "subscribers", "add", "a friend", "--json", home=tbot_home)
    shown = json.loads(added.stdout)
    listed = run("tbot", "subscribers", "list", "--json", home=tbot_home)
    plain = run("tbot", "subscribers", "list", home=tbot_home)
    files = [path for path in tbot_home.rglob("*") if path.is_file()]

    assert added.stderr == ""
    assert shown.keys() == {"id", "token", "label", "publisher_keys"}
    assert shown["token"] not in listed.stdout + plain.stdout
    assert [path for path in files if shown["token"] in path.read_text()] == []
    (kept,) = stored(tbot_home)
    assert kept["sha256"] == tokens.digest(shown["token"])
    assert kept["sha256"] not in listed.stdout
    assert (tbot_home / "state" / "subscribers.json").stat().st_mode & 0o777 == 0o600


def test_two_subscribers_may_have_the_same_label(tbot_home: Path) -> None:
    for _ in range(2):
        assert run("tbot", "subscribers", "add", "twin", home=tbot_home).returncode == 0

    assert len({one["id"] for one in stored(tbot_home)}) == 2


def test_scopes_surfaces_and_an_end_are_kept(tbot_home: Path) -> None:
    options = ["--surface", "fx", "--surface", "stk", "--scope", "feed:read", "--expires", "2999-01-01"]
    added = run("tbot", "subscribers", "add", "x", *options, home=tbot_home)

    (kept,) = stored(tbot_home)
    assert added.returncode == 0
    assert (kept["surfaces"], kept["scopes"]) == (["fx", "stk"], ["feed:read"])
    assert kept["expires_at"].startswith("2999-01-01T00:00:00")


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (["--surface", "stkk"], "did you mean 'stk'?"),
        (["--surface", "forex"], "known: st, lt, fx, stk"),
        (["--scope", "feed:raed"], "did you mean 'feed:read'?"),
        (["--expires", "soon"], "an ISO date"),
        (["--expires", "2001-01-01"], "still to come"),
        (["--expires", "30d"], "still to come"),
    ],
)
def test_a_subscriber_who_could_not_be_served_is_refused(tbot_home: Path, options: list[str], hint: str) -> None:
    done = run("tbot", "subscribers", "add", "x", *options, home=tbot_home)

    assert done.returncode == 2
    assert hint in done.stderr
    assert done.stdout == ""
    assert not (tbot_home / "state" / "subscribers.json").exists()


@pytest.mark.parametrize("label", ["", "  "])
def test_a_subscriber_without_a_label_is_refused(tbot_home: Path, label: str) -> None:
    done = run("tbot", "subscribers", "add", label, home=tbot_home)

    assert (done.returncode, done.stdout) == (2, "")
    assert f"expected a label to know the subscriber by; found {label!r}; give one" in done.stderr
    assert not (tbot_home / "state" / "subscribers.json").exists()


@pytest.mark.parametrize(
    "words",
    [("status",), *(("subscribers", *rest) for rest in (("add", "x"), ("list",), ("rotate", "a"), ("revoke", "a")))],
    ids=" ".join,
)
def test_a_home_that_does_not_exist_is_refused_and_not_made(tbot_home: Path, words: tuple[str, ...]) -> None:
    typo = tbot_home / "typo" / "home"

    done = run("tbot", *words, home=typo)

    assert (done.returncode, done.stdout) == (2, "")
    assert f"expected a home that exists; found no folder {typo}; correct --home" in done.stderr
    assert not typo.parent.exists()


def test_only_orders_and_the_revoking_of_a_token_have_no_json() -> None:
    leaves = [
        line for line in commands() if not any(other[: len(line)] == line for other in commands() if other != line)
    ]
    without = {line for line in leaves if not {"--json"} & options_of(line)}

    orders = {("tbot", verb) for verb in ("halt", "reduce", "flatten", "resume")}
    assert without == {*orders, ("tbot", "subscribers", "revoke")}


def options_of(line: tuple[str, ...]) -> set[str]:
    command = typer.main.get_command(tbot_app if line[0] == "tbot" else audit_app)
    for word in line[1:]:
        command = getattr(command, "commands", {})[word]
    return {name for parameter in command.params for name in parameter.opts}


def test_nobody_is_listed_before_anybody_was_added(tbot_home: Path) -> None:
    done = run("tbot", "subscribers", "list", "--json", home=tbot_home)

    assert (done.returncode, done.stdout) == (0, "[]\n")
    assert "subscribers add" in run("tbot", "subscribers", "list", home=tbot_home).stderr


def test_revoking_an_unknown_id_is_refused(tbot_home: Path) -> None:
    done = run("tbot", "subscribers", "revoke", "nobody00", home=tbot_home)

    assert done.returncode == 2
    assert "nobody00" in done.stderr


@pytest.mark.parametrize("span", ["soon", "-5s", "0", "5x", "inf", "1e3s", "1h30m"])
def test_a_span_that_is_none_is_refused_with_the_grammar(tbot_home: Path, span: str) -> None:
    done = run("tbot", "demo", f"--for={span}", home=tbot_home)

    assert done.returncode == 2
    assert "60s, 5m or 2h" in done.stderr
    assert not any((tbot_home / "env").iterdir())


def test_a_demo_in_a_home_that_is_traded_from_is_refused_before_anything_starts(tbot_home: Path) -> None:
    (tbot_home / "env" / "fx.env").write_text("FX_MODE=live\n")

    done = run("tbot", "demo", "--for", "1s", home=tbot_home)

    assert done.returncode == 2
    assert "--home" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def traded(tbot_home: Path) -> Path:
    """Return a home in which the FX surface has run."""
    (tbot_home / "logs" / "fx" / "decisions").mkdir(parents=True)
    return tbot_home


def actions(home: Path) -> list[Mapping[str, Any]]:
    entries = read(home / "logs" / "operator" / "actions")
    return [entry.record for entry in entries if entry.kind == "operator_action"]


@pytest.mark.parametrize(("verb", "state"), [("halt", "HALT"), ("reduce", "REDUCE"), ("resume", "RUN")])
def test_an_order_to_a_surface_is_written_down_with_its_reason(traded: Path, verb: str, state: str) -> None:
    done = run("tbot", verb, "fx", "--reason", "a look at it", home=traded)

    (record,) = actions(traded)
    assert done.returncode == 0
    assert (record["surface"], record["state"], record["reason"]) == ("fx", state, "a look at it")
    assert record["flatten"] is False


def test_flatten_needs_a_yes_when_nobody_can_be_asked(traded: Path) -> None:
    refused = run("tbot", "flatten", "fx", home=traded)
    before = actions(traded)
    done = run("tbot", "flatten", "fx", "--yes", home=traded)

    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert before == []
    assert done.returncode == 0
    (record,) = actions(traded)
    assert (record["state"], record["flatten"]) == ("REDUCE", True)


def test_an_order_that_nobody_would_read_is_refused(tbot_home: Path) -> None:
    done = run("tbot", "halt", "fx", home=tbot_home)

    assert done.returncode == 2
    assert "--home" in done.stderr
    assert not (tbot_home / "logs" / "operator").exists()


@pytest.mark.parametrize("verb", ["halt", "reduce", "resume", "flatten"])
def test_an_order_to_a_surface_that_does_not_exist_is_refused_with_a_hint(traded: Path, verb: str) -> None:
    options = ["--yes"] if verb == "flatten" else []
    done = run("tbot", verb, "stkk", *options, home=traded)

    assert done.returncode == 2
    assert "did you mean 'stk'?" in done.stderr
    assert actions(traded) == []


def test_a_wrong_clock_is_78_and_no_traceback(tbot_home: Path) -> None:
    done = run("tbot", "subscribers", "add", "x", home=tbot_home, TBOT_CLOCK="sometimes")

    assert done.returncode == 78
    assert "TBOT_CLOCK" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_damaged_list_of_subscribers_is_70_and_stays_as_it_is(tbot_home: Path) -> None:
    path = tbot_home / "state" / "subscribers.json"
    path.write_text("{")

    done = run("tbot", "subscribers", "add", "x", home=tbot_home)

    assert done.returncode == 70
    assert "backup" in done.stderr
    assert path.read_text() == "{"


def test_a_new_subscriber_is_given_the_key_to_pin(tbot_home: Path) -> None:
    made = json.loads(run("tbot", "keys", "create", "fx", "--json", home=tbot_home).stdout)
    added = run("tbot", "subscribers", "add", "x", home=tbot_home)
    as_json = json.loads(run("tbot", "subscribers", "add", "y", "--json", home=tbot_home).stdout)

    pin = f"fx:{made['key']}"
    assert f'publisher_keys = ["{pin}"]\n' in added.stderr
    assert len(added.stdout.split()) == 1
    assert as_json["publisher_keys"] == [pin]


def test_a_token_is_not_made_when_the_keys_cannot_be_read(tbot_home: Path) -> None:
    (tbot_home / "keys").mkdir(mode=0o700)
    (tbot_home / "keys" / "public.json").write_text("[")

    done = run("tbot", "subscribers", "add", "x", home=tbot_home)

    assert done.returncode == 78
    assert not (tbot_home / "state" / "subscribers.json").exists()


def test_a_second_token_takes_over_from_the_first(tbot_home: Path) -> None:
    first = json.loads(run("tbot", "subscribers", "add", "x", "--json", home=tbot_home).stdout)
    done = run("tbot", "subscribers", "rotate", first["id"], "--overlap", "2h", home=tbot_home)
    again = run("tbot", "subscribers", "rotate", first["id"], home=tbot_home)
    rows = json.loads(run("tbot", "subscribers", "list", "--json", home=tbot_home).stdout)

    token = done.stdout.strip()
    assert tokens.parse(token) == rows[1]["id"]
    assert f"{first['id']} ends in 2h" in done.stderr
    assert [row["subscriber"] for row in rows] == [first["id"]] * 2
    assert [row["state"] for row in rows] == ["valid", "valid"]
    assert (rows[0]["expires_at"] is None, rows[1]["expires_at"], rows[1]["last_used_at"]) == (False, None, None)
    assert again.returncode == 2
    assert "two" in again.stderr
