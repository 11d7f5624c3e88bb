#!/usr/bin/env python3
"""Set up .venv from the hash-pinned lock: ``python3 bootstrap.py [--plain] [--python PATH]``.

Standard library only, and nothing newer than Python 3.7 in the syntax, so that an old interpreter can still say what is
missing. Tools are tried in this order: uv on PATH; uv installed into .tools by pip; plain ``python -m venv`` and pip.

Everything installed is checked against a hash: first requirements-build.lock (hatchling, setuptools, uv), then
requirements.lock without build isolation, then the two editable projects of this repository. A stamp in .venv holds
hashes of what it was made from, so a run that finds nothing changed ends at once; a file lock lets one set-up run at a
time. ``--second`` then makes .tools/ib_insync from requirements-insync.lock: a small environment for the tests of the
TWS adapter on the older of its two SDKs, which cannot be installed beside the newer.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator, NamedTuple, NoReturn  # noqa: UP035 - collections.abc refuses subscripts before 3.9

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools"
STAMP = VENV / "tbot-stamp.json"
LOCKS = ("requirements-build.lock", "requirements.lock")
SECOND = TOOLS / "ib_insync"
SECOND_LOCK = "requirements-insync.lock"
PROJECTS = (".", "client")
MINIMUM = (3, 11)
# Twice quiet: errors only. pip's warnings are about the machine's own configuration.
PIP_INSTALL = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--quiet", "--no-input"]
HASHED = ["--require-hashes", "--no-deps"]
PROBE = (
    "import json, sys; from importlib.util import find_spec;"
    "print(json.dumps({'version': sys.version.split()[0], 'info': sys.version_info[:2], 'path': sys.executable,"
    " **{name: bool(find_spec(name)) for name in ('ensurepip', 'venv', 'pip')}}))"
)


class Python(NamedTuple):
    """An interpreter that answered."""

    path: str
    version: str
    is_new_enough: bool
    can_make_venv: bool
    has_pip: bool


class StepFailed(Exception):
    """A command ended with an error; its own output has been shown."""


def main(argv: list[str] | None = None) -> int:
    """Set up, or find that nothing is to be done."""
    args = parse(argv)
    wanted = fingerprint()
    if not is_current(wanted, args.python):
        with one_at_a_time():
            wanted = fingerprint()
            if not is_current(wanted, args.python):  # else another set-up did it while we waited
                set_up(args, wanted)
    if args.second and not has_second():
        with one_at_a_time():
            if not has_second():
                set_up_second(args)
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line; TBOT_PYTHON and TBOT_PLAIN stand for the options."""
    parser = argparse.ArgumentParser(description="Set up .venv from the hash-pinned lock.")
    parser.add_argument(
        "--plain",
        action="store_true",
        default=os.environ.get("TBOT_PLAIN", "") not in ("", "0"),
        help="use python -m venv and pip even where uv is available",
    )
    parser.add_argument("--second", action="store_true", help="make .tools/ib_insync too")
    parser.add_argument("--python", default=os.environ.get("TBOT_PYTHON"), help="the interpreter to make .venv from")
    return parser.parse_args(argv)


# ------------------------------------------------------------------------------------------------------ what is there


def fingerprint() -> dict[str, str]:
    """Hash what .venv is made from: ``packages`` asks for a new .venv, ``projects`` for the two editable installs."""
    return {
        "packages": digest([str(ROOT), *LOCKS]),
        "projects": digest([str(Path(project) / "pyproject.toml") for project in PROJECTS]),
    }


def digest(names: list[str]) -> str:
    """Hash names and, where they are files of the repository, their contents."""
    total = hashlib.sha256()
    for name in names:
        total.update(name.encode() + b"\0")
        if (ROOT / name).is_file():
            total.update((ROOT / name).read_bytes() + b"\0")
    return total.hexdigest()


def stamp(venv: Path = VENV) -> dict[str, str]:
    """Read the stamp of an environment's last set-up that ended well; empty where there is none."""
    try:
        found = json.loads((venv / STAMP.name).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def is_current(wanted: dict[str, str], python: str | None) -> bool:
    """Tell whether .venv is what we would make now."""
    found = stamp()
    return (
        has_packages(found, wanted, python)
        and found.get("projects") == wanted["projects"]
        and (VENV / "bin" / "tbot").exists()
    )


def has_packages(found: dict[str, str], wanted: dict[str, str], python: str | None) -> bool:
    """Tell whether .venv holds the locked packages for the interpreter that was asked for."""
    if found.get("packages") != wanted["packages"] or not (VENV / "bin" / "python").exists():
        return False
    if python is None:
        return True
    asked = probe(python)
    return asked is not None and asked.version == found.get("python")


def has_second() -> bool:
    """Tell whether the second environment is what we would make now."""
    return stamp(SECOND) == second_stamp() and (SECOND / "bin" / "python").exists()


def second_stamp() -> dict[str, str]:
    """Return what the second environment is made from: its lock, and the Python of .venv."""
    return {"packages": digest([str(ROOT), SECOND_LOCK]), "python": stamp().get("python", "")}


# ------------------------------------------------------------------------------------------------------------ set up


def set_up(args: argparse.Namespace, wanted: dict[str, str]) -> None:
    """Bring .venv up to date; each of its two parts is stamped when it is done."""
    started = time.monotonic()
    python = choose_python(args.python)
    uv = None if args.plain else find_uv(python)
    if not has_packages(stamp(), wanted, args.python) or not (uv or has_pip_in_venv()):
        uv = install_packages(python, [uv, None] if uv else [None], wanted)
    try:
        install_projects(uv)
    except StepFailed as failure:
        fail(str(failure), "the lines above say what is wrong with pyproject.toml or client/pyproject.toml")
    STAMP.write_text(json.dumps({**stamp(), "projects": wanted["projects"]}, indent=1) + "\n")
    print(f"set up in {time.monotonic() - started:.1f} s", file=sys.stderr, flush=True)


def install_packages(python: Python, tools: list[str | None], wanted: dict[str, str]) -> str | None:
    """Make .venv anew with the locked packages; return the tool, of those named, that got through (None is pip)."""
    for uv in tools:
        name = "uv" if uv else "pip"
        print(f"setting up .venv with Python {python.version} and {name} ...", file=sys.stderr, flush=True)
        try:
            make_venv(python, uv)
            for lock in LOCKS:
                run([*installer(uv), *HASHED, "--no-build-isolation", "-r", str(ROOT / lock)])
        except StepFailed as failure:
            print(f"bootstrap: {name} did not get through: {failure}", file=sys.stderr, flush=True)
            continue
        done = {"packages": wanted["packages"], "python": python.version, "tool": name}
        STAMP.write_text(json.dumps(done, indent=1) + "\n")
        return uv
    fail("set-up failed", "the lines above say why; without a network, only a primed cache will do")


def set_up_second(args: argparse.Namespace) -> None:
    """Make the second environment anew, with the Python of .venv."""
    started = time.monotonic()
    python = probe(str(VENV / "bin" / "python"))
    uv = None if args.plain else find_uv(python) if python else None
    try:
        if python is None:
            raise StepFailed(".venv has no Python that runs")
        make_venv(python, uv, SECOND)
        run([*installer(uv, SECOND), *HASHED, "-r", str(ROOT / SECOND_LOCK)])
    except StepFailed as failure:
        fail(f"the second environment could not be made: {failure}", "the lines above say why")
    (SECOND / STAMP.name).write_text(json.dumps(second_stamp(), indent=1) + "\n")
    print(f"second environment set up in {time.monotonic() - started:.1f} s", file=sys.stderr, flush=True)


def install_projects(uv: str | None) -> None:
    """Install the server and the client in editable form."""
    editable = [word for project in PROJECTS for word in ("-e", str(ROOT / project))]
    run([*installer(uv), "--no-deps", "--no-build-isolation", *editable])


def installer(uv: str | None, venv: Path = VENV) -> list[str]:
    """Return the words that install into an environment, with uv or with its own pip."""
    inside = str(venv / "bin" / "python")
    if uv:
        return [uv, "pip", "install", "--quiet", "--python", inside]
    return [inside, *PIP_INSTALL, "--use-pep517"]  # pip before 23.1 would run setup.py install


def make_venv(python: Python, uv: str | None, venv: Path = VENV) -> None:
    """Make an empty environment in place of the one that is there."""
    if uv:
        shutil.rmtree(venv, ignore_errors=True)
        run([uv, "venv", "--quiet", "--no-project", "--python", python.path, str(venv)])
        return
    if not python.can_make_venv:
        fail(
            f"plain set-up needs the modules venv and ensurepip; {python.path} (Python {python.version}) lacks them",
            "on Debian and Ubuntu: apt-get install python3-venv; or put uv on PATH",
        )
    shutil.rmtree(venv, ignore_errors=True)
    run([python.path, "-m", "venv", str(venv)])


def has_pip_in_venv() -> bool:
    """Tell whether .venv has a pip of its own."""
    return any(VENV.glob("lib/python*/site-packages/pip/__init__.py"))


# ----------------------------------------------------------------------------------------------------- interpreters


def choose_python(asked: str | None) -> Python:
    """Return the interpreter asked for, or the first that is new enough; python3.11 is preferred."""
    names = (
        [asked] if asked else ["python3.11", sys.executable, "python3", "python3.12", "python3.13", "/usr/bin/python3"]
    )
    found = [python for python in map(probe, names) if python]
    for python in found:
        if python.is_new_enough:
            return python
    seen = ", ".join(f"{python.path} is {python.version}" for python in found) or "none that runs"
    fail(
        f"Python {MINIMUM[0]}.{MINIMUM[1]} or newer is needed; found {seen}",
        "on Debian 12: apt-get install python3 python3-venv; or name one: TBOT_PYTHON=/path/to/python3.11 make setup",
    )


def probe(name: str) -> Python | None:
    """Ask an interpreter what it is; None where it does not run."""
    path = shutil.which(name)
    if path is None:
        return None
    try:
        answer = subprocess.run([path, "-c", PROBE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30)
        facts = json.loads(answer.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return Python(
        path=facts["path"],
        version=facts["version"],
        is_new_enough=tuple(facts["info"]) >= MINIMUM,
        can_make_venv=facts["venv"] and facts["ensurepip"],
        has_pip=facts["pip"],
    )


# --------------------------------------------------------------------------------------------------------------- uv


def find_uv(python: Python) -> str | None:
    """Return a uv that runs: from PATH, from .tools, or put into .tools by pip; None where pip will not."""
    for candidate in (shutil.which("uv"), str(TOOLS / "bin" / "uv")):
        if candidate and runs(candidate):
            return candidate
    if not python.has_pip:
        return None
    print("fetching uv into .tools ...", file=sys.stderr, flush=True)
    target = ["--target", str(TOOLS), "--upgrade"]  # --target is allowed where PEP 668 forbids installing
    try:
        run([python.path, *PIP_INSTALL, *target, *HASHED, "-r", str(ROOT / "requirements-build.lock")])
    except StepFailed:
        return None
    return str(TOOLS / "bin" / "uv") if runs(str(TOOLS / "bin" / "uv")) else None


def runs(program: str) -> bool:
    """Tell whether a program starts: a file of another architecture, or a shim without its tool, does not."""
    try:
        done = subprocess.run([program, "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError:
        return False
    return done.returncode == 0


# ----------------------------------------------------------------------------------------------------------- helpers


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold a lock that the kernel releases when this process ends, however it ends."""
    TOOLS.mkdir(exist_ok=True)
    with open(str(TOOLS / "setup.lock"), "w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("another set-up is running; waiting for it ...", file=sys.stderr, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def run(command: list[str]) -> None:
    """Run a command from the root, its output going to ours."""
    misleading = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")
    environment = {name: value for name, value in os.environ.items() if name not in misleading}
    environment.update(UV_PYTHON_DOWNLOADS="never", PIP_ROOT_USER_ACTION="ignore")
    code = subprocess.run(command, cwd=str(ROOT), env=environment, stdin=subprocess.DEVNULL).returncode
    if code != 0:
        shown = " ".join(Path(word).name if os.path.isabs(word) else word for word in command[:5])
        raise StepFailed(f"`{shown} …` ended with code {code}")


def fail(what: str, what_to_do: str) -> NoReturn:
    """Say what is wrong and what to do, and end."""
    print(f"bootstrap: {what}\n           {what_to_do}", file=sys.stderr)
    raise SystemExit(1)


if __name__ == "__main__":
    raise SystemExit(main())
