"""Env files: one a process, readable by its owner alone."""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from domain.errors import Misconfigured

_LINE = re.compile(r"^(?P<key>[A-Z][A-Z0-9_]*)=(?P<value>.*)$")
# What a process may inherit; everything else comes from its own file.
ALLOWED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TBOT_HOME", "TBOT_CLOCK")


def read_env_file(path: Path) -> dict[str, str]:
    """Return the settings of an env file.

    Lines are ``KEY=value``; blank lines and lines starting with ``#`` are passed over. The value is everything after
    the first ``=``, without quoting.

    Raises:
        Misconfigured: the file is missing, is not a plain file of ours with mode 600, or holds a line of another form.
    """
    _require_private(path)
    values: dict[str, str] = {}
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        key, value = _parse(path, number, line)
        if key in values:
            raise Misconfigured("each key once", f"{key} again in line {number} of {path}", "remove one of the lines")
        if key:
            values[key] = value
    return values


def write_env_file(path: Path, values: Mapping[str, str]) -> None:
    """Write an env file with mode 600, replacing an older one at once or not at all.

    Raises:
        Misconfigured: a key or value would not read back as it was given; nothing was written.
    """
    lines = [f"{key}={value}" for key, value in values.items()]
    for number, (line, given) in enumerate(zip(lines, values.items(), strict=True), start=1):
        if "\n" in line or _parse(path, number, line.encode()) != given:
            raise Misconfigured("a value on one line", f"another form in line {number} of {path}", "correct the value")
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".new")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.writelines(f"{line}\n" for line in lines)
    scratch.replace(path)


def clean_environment(inherited: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process: the allow-list of what it inherited, and its own file."""
    return {key: value for key, value in inherited.items() if key in ALLOWED} | dict(own)


def _require_private(path: Path) -> None:
    try:
        status = path.lstat()
    except FileNotFoundError as error:
        example = f"copy {path.name}.example to {path.name}, fill it in and run chmod 600 on it"
        raise Misconfigured(f"the env file {path}", "no such file", example) from error
    if not stat.S_ISREG(status.st_mode):
        raise Misconfigured(f"{path} to be a plain file", "a link or something else", "replace it by a plain file")
    if status.st_uid != os.geteuid():
        raise Misconfigured(f"{path} to belong to uid {os.geteuid()}", f"uid {status.st_uid}", f"chown {path}")
    if stat.S_IMODE(status.st_mode) & 0o077:
        mode = f"{stat.S_IMODE(status.st_mode):o}"
        raise Misconfigured(
            f"{path} with mode 600", f"mode {mode}", f"run chmod 600 {path}; others could read its secrets"
        )


def _parse(path: Path, number: int, line: bytes) -> tuple[str, str]:
    """Return key and value of a line, two empty texts for one that says nothing. A value is never shown."""
    where = f"line {number} of {path}"
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise Misconfigured("UTF-8 text", f"other bytes in {where}", "retype the line") from error
    if "\0" in text:
        raise Misconfigured("text", f"a NUL byte in {where}", "retype the line")
    if text.endswith("\r"):
        raise Misconfigured("lines ending in LF", f"CR LF in {where}", f"run sed -i 's/\\r$//' {path}")
    if not text.strip() or text.lstrip().startswith("#"):
        return "", ""
    found = _LINE.match(text)
    if found is None:
        raise Misconfigured("KEY=value with a capital key", f"something else in {where}", "correct the line")
    value = found["value"]
    if value[:1] in ("'", '"') and value[-1:] == value[:1] and len(value) > 1:
        raise Misconfigured("a value without quotes", f"a quoted one in {where}", "remove the quotes")
    return found["key"], value
